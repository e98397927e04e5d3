//! Runs one renderer in bubblewrap: no network, read-only input, limits on time and memory.
use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// Lines of a renderer's talk that are kept for the problem text; the cause is near the end.
const KEPT_LINES: usize = 24;
/// A longer line is cut: a scene may print megabytes without a line end.
const LINE_BYTES: usize = 400;
/// `bwrap ... true` takes 30 ms; a machine that needs longer than this is not fit to render.
const PROBE_WALL: Duration = Duration::from_secs(10);
/// After the wall limit the renderer gets SIGTERM, and this much later SIGKILL.
const KILL_AFTER: &str = "5";

#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(
        "bubblewrap starts no sandbox here ({detail}); install the package bubblewrap and allow \
         user namespaces, or start the node in a place that has them"
    )]
    Unavailable { detail: String },
    #[error(
        "the output folder {path} belongs to uid {owner} and this process runs as uid {caller}; \
         give the folder to that user"
    )]
    ForeignOutput { path: PathBuf, owner: u32, caller: u32 },
    #[error("{doing} failed: {source}")]
    Io { doing: String, source: std::io::Error },
}

fn io_error(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> SandboxError {
    let doing = doing.into();
    move |source| SandboxError::Io { doing, source }
}

/// What one run may use at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub wall: Duration,
    pub cpu: Duration,
    pub memory_bytes: u64,
    pub file_bytes: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Done,
    Failed(i32),
    WallLimit,
    /// SIGKILL: by the CPU limit, or by the kernel when the machine ran out of memory.
    Killed,
    /// The program is not there, or the memory limit is too small for it to start.
    NotStarted,
}

impl End {
    fn of_code(code: Option<i32>) -> End {
        match code {
            Some(0) => End::Done,
            Some(124) => End::WallLimit,
            Some(127) => End::NotStarted,
            Some(137) | None => End::Killed,
            Some(other) => End::Failed(other),
        }
    }
}

/// The end of a run and its last words.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub end: End,
    pub last_lines: Vec<String>,
}

/// One program with its folders: `input` appears as /in, `output` as /out.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    pub program: &'a str,
    pub arguments: &'a [String],
    pub input: &'a Path,
    pub output: &'a Path,
    pub limits: Limits,
}

/// Proof that a sandbox could be started here; nothing renders without one.
#[derive(Clone, Debug)]
pub struct Sandbox {
    caller: u32,
}

impl Sandbox {
    /// Starts `true` in a sandbox, so that a machine without namespaces is found out before work.
    pub async fn probe() -> Result<Sandbox, SandboxError> {
        let caller =
            std::fs::metadata("/proc/self").map_err(io_error("reading the own uid"))?.uid();
        let sandbox = Sandbox { caller };
        let folder = tempfile::tempdir().map_err(io_error("making a folder for the probe"))?;
        let limits = Limits {
            wall: PROBE_WALL,
            cpu: PROBE_WALL,
            memory_bytes: 1 << 31,
            file_bytes: 1 << 20,
        };
        let run = Run {
            program: "true",
            arguments: &[],
            input: folder.path(),
            output: folder.path(),
            limits,
        };
        let outcome = match sandbox.run(&run, &mut |_| true).await {
            Ok(outcome) => outcome,
            Err(error) => return Err(SandboxError::Unavailable { detail: error.to_string() }),
        };
        match outcome.end {
            End::Done => Ok(sandbox),
            End::Failed(_) | End::WallLimit | End::Killed | End::NotStarted => {
                let detail = match outcome.last_lines.last() {
                    Some(line) => line.clone(),
                    None => format!("it ended as {:?}", outcome.end),
                };
                Err(SandboxError::Unavailable { detail })
            }
        }
    }

    /// Runs a program to its end. `on_line` sees every line it prints (progress lines end with a
    /// carriage return) and answers whether the line is worth keeping. A dropped future kills it.
    pub async fn run(
        &self,
        run: &Run<'_>,
        on_line: &mut (dyn FnMut(&str) -> bool + Send),
    ) -> Result<Outcome, SandboxError> {
        self.check_owner(run.output)?;
        let mut command = Command::new("timeout");
        command
            .args(arguments(run))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(io_error("starting timeout and bwrap"))?;
        let mut tail = Tail::default();
        if let Some(mut stderr) = child.stderr.take() {
            let mut buffer = [0u8; 8192];
            loop {
                let read = stderr.read(&mut buffer).await.map_err(io_error("reading its talk"))?;
                if read == 0 {
                    break;
                }
                tail.push(&buffer[..read], on_line);
            }
        }
        let status = child.wait().await.map_err(io_error("waiting for its end"))?;
        tail.finish(on_line);
        Ok(Outcome { end: End::of_code(status.code()), last_lines: tail.lines.into() })
    }

    /// bwrap maps the caller to uid 65534 inside, so it can write only to folders of the caller.
    fn check_owner(&self, output: &Path) -> Result<(), SandboxError> {
        let doing = format!("looking at {}", output.display());
        let owner = std::fs::metadata(output).map_err(io_error(doing))?.uid();
        if owner == self.caller {
            return Ok(());
        }
        let path = output.to_path_buf();
        Err(SandboxError::ForeignOutput { path, owner, caller: self.caller })
    }
}

/// The whole line after `timeout`: limits, then bubblewrap, then the program.
fn arguments(run: &Run<'_>) -> Vec<String> {
    const FIXED: &str = "--unshare-all --die-with-parent --new-session --cap-drop ALL \
        --uid 65534 --gid 65534 --hostname node --ro-bind /usr /usr --symlink usr/bin /bin \
        --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
        --ro-bind-try /etc/alternatives /etc/alternatives --ro-bind-try /etc/fonts /etc/fonts \
        --ro-bind-try /etc/povray /etc/povray --ro-bind /etc/ld.so.cache /etc/ld.so.cache \
        --proc /proc --dev /dev --tmpfs /tmp --dir /tmp/home";
    // The root is remounted last: else `../x` lands in bwrap's own root and the scene "succeeds".
    const LAST: &str = "--chdir /out --clearenv --setenv PATH /usr/bin --setenv HOME /tmp/home \
        --setenv LANG C.UTF-8 --remount-ro /";
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let limits = run.limits;
    let mut line = words(&format!("-k {KILL_AFTER} {}", limits.wall.as_secs().max(1)));
    line.extend(words(&format!(
        "prlimit --cpu={} --as={} --fsize={} --nofile=1024 bwrap",
        limits.cpu.as_secs().max(1),
        limits.memory_bytes,
        limits.file_bytes
    )));
    line.extend(words(FIXED));
    for (option, folder, inside) in
        [("--ro-bind", run.input, "/in"), ("--bind", run.output, "/out")]
    {
        line.extend([option.into(), folder.display().to_string(), inside.into()]);
    }
    line.extend(words(LAST));
    line.push(run.program.to_owned());
    line.extend_from_slice(run.arguments);
    line
}

/// Cuts a byte stream into lines at `\n` and `\r` and keeps the last ones that matter.
#[derive(Default)]
struct Tail {
    partial: Vec<u8>,
    lines: VecDeque<String>,
}

impl Tail {
    fn push(&mut self, bytes: &[u8], on_line: &mut (dyn FnMut(&str) -> bool + Send)) {
        for byte in bytes {
            if matches!(byte, b'\n' | b'\r') {
                self.finish(on_line);
            } else if self.partial.len() < LINE_BYTES {
                self.partial.push(*byte);
            }
        }
    }

    fn finish(&mut self, on_line: &mut (dyn FnMut(&str) -> bool + Send)) {
        let line = String::from_utf8_lossy(&self.partial).trim_end().to_owned();
        self.partial.clear();
        if line.is_empty() || !on_line(&line) {
            return;
        }
        if self.lines.len() == KEPT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(wall: u64, cpu: u64) -> Limits {
        Limits {
            wall: Duration::from_secs(wall),
            cpu: Duration::from_secs(cpu),
            memory_bytes: 1 << 32,
            file_bytes: 1 << 20,
        }
    }

    async fn shell(script: &str, limits: Limits, folder: &Path) -> Outcome {
        let sandbox = Sandbox::probe().await.unwrap();
        let arguments = ["-c".to_owned(), script.to_owned()];
        let (input, output) = (folder.join("in"), folder.join("out"));
        std::fs::create_dir_all(&input).unwrap();
        std::fs::create_dir_all(&output).unwrap();
        let run =
            Run { program: "sh", arguments: &arguments, input: &input, output: &output, limits };
        sandbox.run(&run, &mut |_| true).await.unwrap()
    }

    #[test]
    fn lines_end_at_carriage_returns_and_the_last_ones_stay() {
        let mut seen = Vec::new();
        let mut tail = Tail::default();
        let mut on_line = |line: &str| {
            seen.push(line.to_owned());
            !line.starts_with("Rendered")
        };
        tail.push(b"Rendered 1 of 2\rRendered 2 ", &mut on_line);
        tail.push(b"of 2\r\n\nParse Err", &mut on_line);
        tail.push(b"or", &mut on_line);
        tail.finish(&mut on_line);
        assert_eq!(seen, ["Rendered 1 of 2", "Rendered 2 of 2", "Parse Error"]);
        assert_eq!(tail.lines, ["Parse Error"]);
        let many: String = (0..100).map(|n| format!("{n}\n")).collect();
        tail.push(many.as_bytes(), &mut |_| true);
        assert_eq!(tail.lines.len(), KEPT_LINES);
        assert_eq!(tail.lines.back().map(String::as_str), Some("99"));
    }

    #[tokio::test]
    async fn only_the_output_folder_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo 1 >/out/kept; for f in /etc/x /in/x ../x /usr/x /x; do \
            if (echo 1 >$f) 2>/dev/null; then echo wrote $f >&2; fi; done";
        let outcome = shell(script, limits(10, 10), folder.path()).await;
        assert_eq!(outcome.last_lines, Vec::<String>::new());
        assert!(folder.path().join("out/kept").exists());
        assert!(!folder.path().join("in/x").exists());
        assert!(!folder.path().join("x").exists());
    }

    #[tokio::test]
    async fn no_network_and_no_other_process_is_visible() {
        let folder = tempfile::tempdir().unwrap();
        let script = "ls /sys/class/net >&2 2>/dev/null; grep -c : /proc/net/dev >&2; \
            ls -d /proc/[0-9]* | wc -l >&2; id -u >&2; cat /etc/passwd";
        let outcome = shell(script, limits(10, 10), folder.path()).await;
        assert!(matches!(outcome.end, End::Failed(1)), "{outcome:?}");
        assert_eq!(outcome.last_lines[0], "1", "loopback only: {outcome:?}");
        let processes: u32 = outcome.last_lines[1].trim().parse().unwrap();
        assert!(processes <= 5, "{outcome:?}");
        assert_eq!(outcome.last_lines[2], "65534");
    }

    #[tokio::test]
    async fn wall_and_cpu_limits_end_a_run_and_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let outcome = shell("sleep 60", limits(1, 10), folder.path()).await;
        assert_eq!(outcome.end, End::WallLimit);
        let outcome = shell("while :; do :; done", limits(30, 1), folder.path()).await;
        assert_eq!(outcome.end, End::Killed);
        let outcome = shell("exit 3", limits(10, 10), folder.path()).await;
        assert_eq!(outcome.end, End::Failed(3));
    }
}
