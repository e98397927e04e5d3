//! Tests of the POV-Ray backend, most of them with the real program.
use std::sync::Mutex;

use contracts::spec::{
    Animation, Chunk, ExpandedSpec, Format, JobSpec, Output, Preset, Quality, Resolution, Tier,
};

use super::*;
use crate::node::UnitTask;
use alloy::primitives::B256;

const SCENE: &str = "#version 3.7;\nglobal_settings { assumed_gamma 1 }\n\
    camera { location <0, 1, -4> look_at 0 }\nlight_source { <3, 5, -4> rgb 1 }\n\
    sphere { <clock, 0, 0>, 1 pigment { rgb x } }\n";

fn povray() -> Povray {
    Povray::new(1, 1 << 32)
}

fn spec(format: Format, preset: Preset) -> ExpandedSpec {
    let spec = JobSpec {
        version: 1,
        engine: Engine::Povray,
        engine_version: "3.7.0.10".into(),
        scene: B256::repeat_byte(1),
        entry: "s.pov".into(),
        frames: "1-12".into(),
        resolution: Resolution { width: 64, height: 36 },
        quality: Quality { preset },
        output: Output { format },
        animation: Some(Animation { fps: 24, first: 1, last: 12 }),
        tier: Tier::Economy,
        chunk: Chunk::default(),
        attempts: 3,
        timeout_seconds: 60,
    };
    spec.validate().unwrap()
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(scene: &str) -> Bench {
        let bench = Bench { folder: tempfile::tempdir().unwrap() };
        for name in ["in", "out"] {
            std::fs::create_dir(bench.folder.path().join(name)).unwrap();
        }
        bench.add("s.pov", scene);
        bench
    }

    fn add(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.folder.path().join("in").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    async fn preflight(&self) -> Result<(), BackendError> {
        let scene = self.folder.path().join("in");
        povray().preflight(&scene, &spec(Format::Png8, Preset::Draft)).await
    }

    async fn render(&self, spec: &ExpandedSpec, frame: i64) -> Result<PathBuf, BackendError> {
        let request = RenderRequest {
            job_id: B256::ZERO,
            spec: spec.clone(),
            task: UnitTask { unit: 0, frame, attempt: 1 },
            scene_dir: self.folder.path().join("in"),
            out_dir: self.folder.path().join("out"),
        };
        let seen = Mutex::new(Vec::new());
        let told = |thousandths: u16| seen.lock().unwrap().push(thousandths);
        let path = povray().render(&request, &told).await;
        let seen = seen.into_inner().unwrap();
        assert!(seen.is_sorted(), "progress goes back: {seen:?}");
        if path.is_ok() {
            assert_eq!(seen.last(), Some(&1000));
        }
        path
    }
}

async fn scene_problem(bench: &Bench) -> String {
    match bench.preflight().await {
        Err(BackendError::Scene(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn presets_and_formats_become_arguments() {
    let line = |format, preset| render_arguments(&spec(format, preset), 3, 2).join(" ");
    assert_eq!(
        line(Format::Png8, Preset::Standard),
        "+I/in/s.pov +L/in -D -P -GD -GR -GS -GW +O/out/frame.png +FN8 +W64 +H36 +A0.100 +AM2 \
         +R3 +WT2 +KFI1 +KFF12 +SF3 +EF3"
    );
    assert!(line(Format::Png16, Preset::Final).contains("+FN16 +W64 +H36 +A0.030 +AM2 +R4 +WT2"));
    assert!(line(Format::Jpg, Preset::Draft).contains("frame.jpg +FJ +W64 +H36 -A +WT2"));
    let mut spec = spec(Format::Png8, Preset::Draft);
    spec.entry = "shots/a/s.pov".into();
    assert!(
        render_arguments(&spec, 3, 2)
            .join(" ")
            .starts_with("+I/in/shots/a/s.pov +L/in/shots/a +L/in")
    );
}

#[test]
fn names_carry_as_many_digits_as_the_last_frame() {
    let mut spec = spec(Format::Png8, Preset::Draft);
    assert_eq!(picture_name(&spec, 3), "frame03.png");
    spec.animation.last = 1000;
    assert_eq!(picture_name(&spec, 3), "frame0003.png");
    spec.animation = Animation { fps: 24, first: 7, last: 7 };
    assert_eq!(picture_name(&spec, 7), "frame7.png".replace('7', ""));
}

#[test]
fn talk_is_read() {
    assert_eq!(progress_in("Rendered 1024 of 57600 pixels (1%)"), Some(17));
    assert_eq!(progress_in("Rendered 57600 of 57600 pixels (100%)"), Some(1000));
    assert_eq!(progress_in("Rendered 0 of 0 pixels"), None);
    assert_eq!(progress_in("Parsing 12 tokens"), None);
    let lines = [
        "Project.",
        "File '/in/a/s.pov' line 1: Parse Error: No matching } in 'sphere',",
        " End of File found instead",
        "Fatal error in parser: Cannot parse input.",
        "Render failed",
    ];
    assert_eq!(
        cause_in(&lines.map(str::to_owned)),
        "File 'a/s.pov' line 1: Parse Error: No matching } in 'sphere', End of File found instead"
    );
    assert_eq!(cause_in(&["Out of memory.".to_owned()]), "Out of memory.");
    assert_eq!(cause_in(&[]), "nothing");
    assert_eq!(version_in("POV-Ray 3.7.0.10.unofficial").as_deref(), Some("3.7.0.10"));
    assert_eq!(version_in("POV-Ray 3.8.0-beta.2"), Some("3.8".into()));
    assert_eq!(version_in("POV-Ray finished"), None);
    assert_eq!(vector_level("flags\t\t: fpu sse2 avx2 bmi2\n"), "x86-64-v3");
    assert_eq!(vector_level("flags\t\t: fpu avx2 avx512f\n"), "x86-64-v4");
    assert_eq!(vector_level("flags\t\t: fpu sse2\n"), "x86-64-v2");
}

#[tokio::test]
async fn the_real_program_names_its_version() {
    let info = povray().probe().await.unwrap();
    assert_eq!(info.backend, "povray");
    assert!(info.version.starts_with("3."), "{info:?}");
    assert!(super::super::is_plain_name(&info.kernel_class), "{info:?}");
}

#[tokio::test]
async fn each_format_renders_at_its_size_and_the_clock_moves() {
    let bench = Bench::new(SCENE);
    let mut pictures = Vec::new();
    for (format, frame) in
        [(Format::Png8, 1), (Format::Png8, 12), (Format::Png16, 1), (Format::Jpg, 1)]
    {
        let path = bench.render(&spec(format, Preset::Standard), frame).await.unwrap();
        let picture = image::open(&path).unwrap();
        assert_eq!((picture.width(), picture.height()), (64, 36));
        assert_eq!(picture.color().bytes_per_pixel() * 8 / 3, format.bits());
        pictures.push(picture);
    }
    assert_ne!(pictures[0], pictures[1], "frames 1 and 12 look alike");
}

#[tokio::test]
async fn a_good_scene_passes_the_preflight_and_bad_ones_say_why() {
    Bench::new(SCENE).preflight().await.unwrap();
    let problem = scene_problem(&Bench::new("sphere { <0,0,0>, 1 ")).await;
    assert!(problem.contains("s.pov") && problem.contains("Error"), "{problem}");
    let problem = scene_problem(&Bench::new("#include \"gone.inc\"\n")).await;
    assert!(problem.contains("gone.inc"), "{problem}");
    assert!(problem.contains("files uploaded with it"), "{problem}");
    let problem = scene_problem(&Bench::new(&format!("{SCENE}\n#declare T = now;"))).await;
    assert!(problem.contains("s.pov line 7: `now`"), "{problem}");
    let bench = Bench::new(SCENE);
    bench.add("parts/light.inc", "// fine\nglobal_settings { radiosity {} }");
    let problem = scene_problem(&bench).await;
    assert!(problem.contains("parts/light.inc line 2: `radiosity`"), "{problem}");
    let bench = Bench::new(SCENE);
    bench.add("povray.ini", "Post_Scene_Command=touch x");
    assert!(scene_problem(&bench).await.contains("povray.ini is an INI file"));
    let bench = Bench::new("\0\u{1}PNG");
    assert!(scene_problem(&bench).await.contains("zero bytes"));
    let bench = Bench::new(SCENE);
    bench.add("map.png", b"\x89PNG\0now radiosity");
    bench.preflight().await.unwrap();
}

#[tokio::test]
async fn includes_are_found_beside_the_entry_and_at_the_root() {
    let bench = Bench::new("#include \"parts/ball.inc\"\n#include \"colors.inc\"");
    bench.add("parts/ball.inc", SCENE);
    bench.preflight().await.unwrap();
}

#[tokio::test]
async fn a_scene_that_writes_outside_fails_and_leaves_nothing() {
    for target in ["/etc/rndr-escaped", "../rndr-escaped", "/in/rndr-escaped", "/usr/rndr-escaped"]
    {
        let bench = Bench::new(&format!("#fopen F \"{target}\" write\n{SCENE}"));
        let problem = scene_problem(&bench).await;
        assert!(problem.contains("writ"), "{problem}");
        let problem = bench.render(&spec(Format::Png8, Preset::Draft), 1).await;
        assert!(matches!(problem, Err(BackendError::Scene(_))), "{problem:?}");
        assert!(!Path::new("/etc/rndr-escaped").exists());
        for folder in ["in", "out", "."] {
            assert!(!bench.folder.path().join(folder).join("rndr-escaped").exists());
        }
    }
}

#[tokio::test]
async fn an_endless_scene_ends_at_the_limit_of_the_job() {
    let bench = Bench::new("#while (1) #end");
    let mut spec = spec(Format::Png8, Preset::Draft);
    spec.timeout_seconds = 1;
    let problem = bench.render(&spec, 1).await;
    assert!(matches!(problem, Err(BackendError::TimeOut { seconds: 1 })), "{problem:?}");
}

#[tokio::test]
async fn a_frame_outside_the_animation_is_refused() {
    let bench = Bench::new(SCENE);
    let problem = bench.render(&spec(Format::Png8, Preset::Draft), 13).await.unwrap_err();
    assert!(problem.to_string().contains("outside the animation, 1 to 12"), "{problem}");
}
