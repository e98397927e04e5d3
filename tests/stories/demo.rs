//! The demo as a person runs it: real POV-Ray, every service a process, and nothing left behind.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use contracts::Amount;
use serde_json::Value;
use tempfile::TempDir;

/// From the first line to the last, on a machine that does nothing else.
const PROMISED: Duration = Duration::from_secs(60);
/// Beside other stories on two cores it takes longer.
const PATIENCE: Duration = Duration::from_secs(240);

fn demo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rndr"));
    command.arg("demo").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env("TMPDIR", folder).stdin(Stdio::null());
    command
}

/// Processes whose command line or environment names the folder.
fn alive(folder: &Path) -> Vec<String> {
    let name = folder.display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().map_while(Result::ok);
    let lines = processes.filter_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let environment = std::fs::read(entry.path().join("environ")).ok()?;
        let named = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(&name);
        let line_text = String::from_utf8_lossy(&line).replace('\0', " ");
        (named(&line) || named(&environment)).then_some(line_text)
    });
    lines.filter(|line| !line.is_empty()).collect()
}

fn wait_until_gone(folder: &Path) {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end && !alive(folder).is_empty() {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(alive(folder), Vec::<String>::new());
}

fn amount(value: &Value) -> u128 {
    value.as_str().unwrap().parse::<Amount>().unwrap().base()
}

/// One job paid by a plain transfer, one opened by a delegate, and one that it could not open.
fn other_doors(report: &Value) {
    let sent = report["transactions"].as_array().unwrap();
    let books = report["audit"]["books"].as_array().unwrap();
    // A wallet that can only send tokens paid a job, and what it sent too much came back.
    let transfer = &report["by_transfer"];
    for (sender, action) in [
        ("exchange", "transfer to the vault"),
        ("operator", "open from the vault"),
        ("operator", "rescue the vault"),
        ("creator", "set the delegate"),
    ] {
        let done = sent.iter().filter(|one| one["sender"] == sender && one["action"] == action);
        assert_eq!(done.count(), 1, "{action} by {sender}: {sent:?}");
    }
    let surplus = amount(&transfer["rescued"]);
    assert_eq!(surplus, 250_000_000_000_000_000);
    let book = |name: &str| {
        let book =
            books.iter().find(|book| book["book"] == name).unwrap_or_else(|| panic!("{name}"));
        (amount(&book["credits"]), amount(&book["debits"]))
    };
    // All that the vault sent on went through its job, and the job is empty.
    let cap = amount(&transfer["paid"]) - surplus;
    let job = |of: &Value| book(&format!("job:{}", of["job_id"].as_str().unwrap()));
    assert_eq!(job(transfer), (cap, cap));
    // A delegate spent its whole allowance in one job, and no more.
    let delegate = &report["by_delegate"];
    let allowance = amount(&delegate["allowance"]);
    assert_eq!(job(delegate), (allowance, allowance));
    let refused = delegate["refused"].as_str().unwrap();
    assert!(refused.contains("may spend 0 RNDR"), "{refused}");
    assert_eq!(
        sent.iter().filter(|one| one["action"] == "open").count(),
        2,
        "the vault's job is opened by its money: {sent:?}"
    );
}

#[test]
fn one_command_goes_from_deposit_to_download_and_every_wei_is_accounted_for() {
    let folder = TempDir::new().unwrap();
    let began = Instant::now();
    let output = demo(folder.path(), &["--json"]).output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{talk}");
    assert!(began.elapsed() < PATIENCE, "took {:?}, promised are {PROMISED:?}", began.elapsed());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();

    let audit = &report["audit"];
    assert_eq!(audit["differences"], Value::Array(vec![]));
    assert_eq!(audit["digest"], audit["stored_digest"]);
    assert_eq!(audit["token_balance"], audit["liabilities"]);
    assert_eq!(audit["surplus"], "0");
    let books = audit["books"].as_array().unwrap();
    let credits: u128 = books.iter().map(|book| amount(&book["credits"])).sum();
    let debits: u128 = books.iter().map(|book| amount(&book["debits"])).sum();
    assert_eq!(credits, debits);

    let sent = report["transactions"].as_array().unwrap();
    let actions = |wanted: &str| sent.iter().filter(|one| one["action"] == wanted).count();
    for (action, least) in [("open", 1), ("reject", 1), ("approve", 1), ("close", 1)] {
        assert!(actions(action) >= least, "{action}: {sent:?}");
    }
    assert!(actions("commit") >= 2 && actions("settle") >= 2, "{sent:?}");
    assert!(sent.iter().all(|one| one["gas_used"].as_u64().unwrap() > 20_000));

    other_doors(&report);

    let finals: Vec<PathBuf> = serde_json::from_value(report["finals"].clone()).unwrap();
    assert_eq!(finals.len(), 12);
    let mut pictures: Vec<image::RgbImage> = Vec::new();
    for path in &finals {
        let picture = image::open(path).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (320, 180));
        assert!(!pictures.contains(&picture), "{} is a frame twice", path.display());
        pictures.push(picture);
    }
    let sheet: PathBuf = serde_json::from_value(report["contact_sheet"].clone()).unwrap();
    assert_eq!(image::open(&sheet).unwrap().width(), 4 * 328 + 8);
    let previews = sheet.with_file_name("previews");
    let preview = image::open(previews.join("preview_0001.jpg")).unwrap();
    assert_eq!((preview.width(), preview.height()), (160, 90));
    wait_until_gone(folder.path());
}

#[test]
fn an_interrupted_demo_takes_all_its_children_with_it() {
    let folder = TempDir::new().unwrap();
    let mut child = demo(folder.path(), &["--keep"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + PATIENCE;
    // Itself, the chain, three services, two nodes.
    while alive(folder.path()).len() < 7 {
        assert!(Instant::now() < end, "only {:?} started", alive(folder.path()));
        assert!(child.try_wait().unwrap().is_none(), "the demo ended by itself");
        std::thread::sleep(Duration::from_millis(50));
    }
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    wait_until_gone(folder.path());
}
