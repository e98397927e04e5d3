//! A service in a process of its own, on a database of its choice: killed, paused, traced, timed.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use store::Store;

use super::{World, eventually, wallet};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rndr");

/// How services of one world are started.
#[derive(Clone)]
pub struct Launch {
    folder: PathBuf,
    settings: Vec<(String, String)>,
    wrapper: Vec<String>,
    /// The chain node's process.
    anvil: u32,
}

impl Launch {
    pub fn on(world: &World, store: &str) -> Self {
        let folder = world.folder.path().to_path_buf();
        let objects = folder.join("objects").display().to_string();
        let settings = [
            ("CHAIN__RPC_URL", world.anvil.rpc_url()),
            ("CHAIN__WS_URL", world.anvil.ws_url()),
            ("CHAIN__ESCROW", world.escrow.to_string()),
            ("CHAIN__REGISTRY", world.registry.to_string()),
            ("CHAIN__DEPLOY_BLOCK", world.deploy_block.to_string()),
            ("CHAIN__POLL_MS", "100".into()),
            ("STORE__URL", store.into()),
            ("STORE__OBJECTS", objects),
            ("API__SETTLER", wallet("settler").address().to_string()),
        ];
        let settings = settings.map(|(key, value)| (format!("RNDR__{key}"), value)).into();
        Self { folder, settings, wrapper: Vec::new(), anvil: world.anvil.process() }
    }

    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.push((format!("RNDR__{key}"), value.to_string()));
        self
    }

    pub fn without(mut self, key: &str) -> Self {
        self.settings.retain(|(name, _)| *name != format!("RNDR__{key}"));
        self
    }

    /// A variable that is not ours.
    pub fn variable(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((name.into(), value.to_string()));
        self
    }

    /// Under strace, which does to these system calls what `injection` says; what it sees of them
    /// goes to the file `trace`.
    pub fn traced(mut self, calls: &str, injection: Option<&str>, trace: &Path) -> Self {
        // Not with `--seccomp-bpf`, which is faster: strace 6.1 then injects at a first call alone.
        let words = ["strace", "-f", "-qq", "-o"].map(String::from);
        self.wrapper = words.into();
        self.wrapper.push(trace.display().to_string());
        self.wrapper.extend(["-e".into(), format!("trace={calls}")]);
        if let Some(injection) = injection {
            self.wrapper.extend(["-e".into(), format!("inject={calls}:{injection}")]);
        }
        self
    }

    /// Of the traced calls only those on this file: strace counts and changes no others.
    pub fn on_file(mut self, path: &Path) -> Self {
        self.wrapper.extend(["-P".into(), path.display().to_string()]);
        self
    }

    pub fn command(&self, role: &str) -> Command {
        let mut words = self.wrapper.iter().map(String::as_str).chain([PROGRAM, role]);
        let mut command = Command::new(words.next().unwrap_or(PROGRAM));
        command.args(words).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.settings.iter().cloned()).current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        command
    }

    pub fn start(&self, role: &str) -> Started {
        let mut command = self.command(role);
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.join(format!("{role}-{count}.log"));
        command.stderr(File::create(&log).unwrap());
        let child = command.spawn().expect("rndr, or strace or what it is started by, is there");
        let anvil = (self.anvil, starved(self.anvil));
        Started { child, log, started: Instant::now(), anvil }
    }

    /// Starts one that must end by itself; what it said and how it ended.
    pub async fn refused(&self, role: &str) -> String {
        let (status, said) = self.start(role).ends().await;
        assert!(status.code().is_some_and(|code| code != 0), "{status}: {said}");
        said
    }
}

pub struct Started {
    child: Child,
    log: PathBuf,
    pub started: Instant,
    /// The chain node, and how long it had waited for a processor before.
    anvil: (u32, Duration),
}

impl Started {
    /// SIGSTOP, SIGCONT, SIGKILL: to it and to what traces it.
    pub fn signal(&self, signal: &str) {
        let group = format!("-{}", self.child.id());
        let done = Command::new("kill").args([signal, "--", &group]).status();
        assert!(done.unwrap().success(), "it runs");
    }

    /// SIGKILL; it ran until then.
    pub fn kill(mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "ended by itself: {ended:?}\n{}", self.said());
        self.signal("-KILL");
        self.child.wait().unwrap();
    }

    pub fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it ends by itself: how, and all that it said.
    pub async fn ends(mut self) -> (ExitStatus, String) {
        let mut ended = None;
        eventually("the end of a process", || {
            ended = self.child.try_wait().unwrap();
            std::future::ready(ended.map(|_| ()))
        })
        .await;
        (ended.unwrap(), self.said())
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until its log holds these words.
    pub async fn says(&mut self, words: &str) {
        let what = format!("`{words}` in {}", self.log.display());
        eventually(&what, || {
            let said = self.said();
            assert!(said.contains(words) || self.running(), "ended without `{words}`: {said}");
            std::future::ready(said.contains(words).then_some(()))
        })
        .await;
    }

    /// How long it and the chain node were ready to run since it was started, and did not.
    pub fn starved(&self) -> Duration {
        let (anvil, before) = self.anvil;
        starved(self.child.id()) + starved(anvil).saturating_sub(before)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.running() {
            self.signal("-KILL");
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("== {}\n{}", self.log.display(), self.said());
        }
    }
}

/// How long the threads of a process were ready to run and did not.
pub fn starved(process: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    let waited = tasks.into_iter().flatten().flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').nth(1)?.parse::<u64>().ok()
    });
    Duration::from_nanos(waited.sum())
}

/// A handle that reads alone, once there is something to read.
pub async fn reading(world: &World, url: &str) -> Option<Store> {
    let objects = world.folder.path().join("objects");
    std::fs::create_dir_all(&objects).unwrap();
    Store::open_reading(url, None, &objects).await.ok()
}
