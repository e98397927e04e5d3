//! Light default renderer: POV-Ray for text scenes, always inside the sandbox.
mod files;
mod lines;
mod scan;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use contracts::spec::{Engine, ExpandedSpec};
use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use super::sandbox::{End, Limits, Outcome, Run, Sandbox};
use super::{Backend, BackendError, BackendInfo, Progress, RenderRequest};
use lines::{
    STEM, cause_in, clock_arguments, picture_name, progress_in, render_arguments, scene_arguments,
    version_in,
};

/// The name under which nodes offer it and specs ask for it.
pub const NAME: &str = "povray";
/// `povray --version` takes 20 ms.
const VERSION_WALL: Duration = Duration::from_secs(10);
/// A 16x9 picture takes 0.7 s; parsing a large scene takes the rest.
const PREFLIGHT_WALL: Duration = Duration::from_secs(120);
const PREFLIGHT_SIZE: (u32, u32) = (16, 9);
/// Beside 16 bytes a pixel the renderer may write this much into one file.
const FILE_SLACK: u64 = 64 << 20;

/// What the operator grants the renderer.
#[derive(Debug)]
pub struct Povray {
    threads: u32,
    memory_bytes: u64,
    sandbox: OnceCell<Sandbox>,
}

impl Backend for Povray {
    fn probe(&self) -> BoxFuture<'_, Result<BackendInfo, BackendError>> {
        Box::pin(async {
            let version = self.version().await?;
            Ok(BackendInfo { backend: NAME.into(), version, kernel_class: kernel_class() })
        })
    }

    fn preflight<'a>(
        &'a self,
        scene_dir: &'a Path,
        spec: &'a ExpandedSpec,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(self.try_out(scene_dir, spec))
    }

    fn render<'a>(
        &'a self,
        request: &'a RenderRequest,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<PathBuf, BackendError>> {
        Box::pin(self.picture(request, progress))
    }
}

impl Povray {
    /// Each render may use this many threads, and this much address space.
    pub fn new(threads: u32, memory_bytes: u64) -> Povray {
        Povray { threads: threads.max(1), memory_bytes, sandbox: OnceCell::new() }
    }

    /// Probed once; without a working sandbox nothing is rendered.
    async fn sandbox(&self) -> Result<&Sandbox, BackendError> {
        self.sandbox.get_or_try_init(Sandbox::probe).await.map_err(unavailable)
    }

    async fn version(&self) -> Result<String, BackendError> {
        let sandbox = self.sandbox().await?;
        let folder = tempfile::tempdir().map_err(io_error("making a folder for the probe"))?;
        let limits = self.limits(VERSION_WALL, 0);
        let arguments = ["--version".to_owned()];
        let run = Run {
            program: NAME,
            arguments: &arguments,
            input: folder.path(),
            output: folder.path(),
            limits,
        };
        let outcome = sandbox.run(&run, &mut |_| true).await.map_err(unavailable)?;
        let version = outcome.last_lines.iter().find_map(|line| version_in(line));
        match version {
            Some(version) => Ok(version),
            None => Err(unavailable(format!(
                "`povray --version` names no version (it ended as {:?}); install the packages \
                 povray and povray-includes",
                outcome.end
            ))),
        }
    }

    /// Reads every file of the scene for refused words, then renders it very small.
    async fn try_out(&self, scene_dir: &Path, spec: &ExpandedSpec) -> Result<(), BackendError> {
        match spec.engine {
            Engine::Povray => {}
        }
        let folder = scene_dir.to_path_buf();
        let entry = spec.entry.clone();
        tokio::task::spawn_blocking(move || files::check_files(&folder, &entry))
            .await
            .map_err(|error| unavailable(format!("reading the scene stopped: {error}")))??;
        let out = tempfile::tempdir().map_err(io_error("making a folder for the preflight"))?;
        let mut arguments = scene_arguments(spec);
        let (width, height) = PREFLIGHT_SIZE;
        arguments.extend([format!("+W{width}"), format!("+H{height}"), "-A".into()]);
        arguments.extend(clock_arguments(&spec.animation, spec.frames.first()));
        arguments.extend([format!("+O/out/{STEM}.png"), "+FN8".into(), "+WT1".into()]);
        let run = Run {
            program: NAME,
            arguments: &arguments,
            input: scene_dir,
            output: out.path(),
            limits: self.limits(PREFLIGHT_WALL, 0),
        };
        let outcome = self.run(&run, &mut |_| {}).await?;
        ended_well(&outcome, PREFLIGHT_WALL)
    }

    async fn picture(
        &self,
        request: &RenderRequest,
        progress: Progress<'_>,
    ) -> Result<PathBuf, BackendError> {
        let RenderRequest { spec, task, scene_dir, out_dir, .. } = request;
        let animation = &spec.animation;
        if !(animation.first..=animation.last).contains(&task.frame) {
            return Err(BackendError::Scene(format!(
                "frame {} is outside the animation, {} to {}",
                task.frame, animation.first, animation.last
            )));
        }
        let wall = Duration::from_secs(u64::from(spec.timeout_seconds));
        let pixels = u64::from(spec.resolution.width) * u64::from(spec.resolution.height);
        let arguments = render_arguments(spec, task.frame, self.threads);
        let run = Run {
            program: NAME,
            arguments: &arguments,
            input: scene_dir,
            output: out_dir,
            limits: self.limits(wall, pixels.saturating_mul(16)),
        };
        let highest = Mutex::new(0);
        let mut on_progress = |thousandths: u16| {
            let mut highest = highest.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if thousandths > *highest {
                *highest = thousandths;
                progress(thousandths);
            }
        };
        let outcome = self.run(&run, &mut on_progress).await?;
        ended_well(&outcome, wall)?;
        let path = out_dir.join(picture_name(spec, task.frame));
        if tokio::fs::try_exists(&path).await.map_err(io_error("looking for the picture"))? {
            return Ok(path);
        }
        Err(BackendError::Scene(format!(
            "POV-Ray ended without an error and without a picture; it said: {}",
            cause_in(&outcome.last_lines)
        )))
    }

    async fn run(
        &self,
        run: &Run<'_>,
        on_progress: &mut (dyn FnMut(u16) + Send),
    ) -> Result<Outcome, BackendError> {
        let mut on_line = |line: &str| match progress_in(line) {
            Some(thousandths) => {
                on_progress(thousandths);
                false
            }
            None => true,
        };
        self.sandbox().await?.run(run, &mut on_line).await.map_err(unavailable)
    }

    fn limits(&self, wall: Duration, file_bytes: u64) -> Limits {
        Limits {
            wall,
            // CPU time adds up over threads; the wall limit is the one a job names.
            cpu: wall.saturating_mul(self.threads) + Duration::from_secs(5),
            memory_bytes: self.memory_bytes,
            file_bytes: file_bytes.saturating_add(FILE_SLACK),
        }
    }
}

fn unavailable(reason: impl ToString) -> BackendError {
    BackendError::Unavailable { backend: NAME.into(), reason: reason.to_string() }
}

fn io_error(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> BackendError {
    let action = action.into();
    move |source| BackendError::Io { action, source }
}

fn ended_well(outcome: &Outcome, wall: Duration) -> Result<(), BackendError> {
    match outcome.end {
        End::Done => Ok(()),
        End::WallLimit => Err(BackendError::TimeOut { seconds: wall.as_secs() }),
        End::Killed => Err(BackendError::Limit { limit: "CPU time or memory".into() }),
        End::NotStarted => Err(unavailable(format!(
            "POV-Ray did not start: it is not installed in /usr, or the memory limit is too \
             small; it said: {}",
            cause_in(&outcome.last_lines)
        ))),
        End::Failed(code) => {
            let hint = if outcome.last_lines.iter().any(|line| line.contains("Cannot open")) {
                "; a scene may read the files uploaded with it and write nothing"
            } else {
                ""
            };
            Err(BackendError::Scene(format!(
                "POV-Ray ended with {code}; it said: {}{hint}",
                cause_in(&outcome.last_lines)
            )))
        }
    }
}

/// The CPU's vector level: renderers of one class give equal pixels.
fn kernel_class() -> String {
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    vector_level(&flags).to_owned()
}

fn vector_level(cpuinfo: &str) -> &'static str {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let has = |flag: &str| flags.split(' ').any(|word| word == flag);
    match (has("avx512f"), has("avx2"), flags.is_empty()) {
        (true, _, _) => "x86-64-v4",
        (false, true, _) => "x86-64-v3",
        (false, false, false) => "x86-64-v2",
        (false, false, true) => std::env::consts::ARCH,
    }
}

#[cfg(test)]
mod tests;
