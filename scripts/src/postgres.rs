//! Starts a PostgreSQL cluster of its own in a temporary folder, and stops it when dropped.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::steps;

const LIMIT: Duration = Duration::from_secs(60); // initdb and first start take 2 s when calm

pub struct Cluster {
    server: Child,
    port: u16,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    folder: TempDir,
}

/// What outlives a power cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// The folder goes away with the tests.
    Nothing,
    /// All that was committed, as by the server's own defaults.
    Durable,
}

impl Cluster {
    /// Starts a server that trusts everybody on this machine and is gone afterwards.
    pub fn start(keeping: Keeping) -> Result<Self> {
        let programs = programs()
            .context("no initdb in /usr/lib/postgresql; run `cargo xtask setup --test`")?;
        let user = lesser_user()?;
        let folder = tempfile::Builder::new().prefix("rndr-postgres-").tempdir()?;
        if let Some((user_id, group_id)) = user {
            chown(folder.path(), Some(user_id), Some(group_id))?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let data = folder.path().join("data");
        let mut initdb = Command::new(programs.join("initdb"));
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]);
        initdb.args(["--locale=C", "-D"]).arg(&data).stdout(Stdio::null());
        lower(&mut initdb, user, folder.path());
        steps::run(&mut initdb, LIMIT)?;

        let mut postgres = Command::new(programs.join("postgres"));
        postgres.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        postgres.arg("-k").arg(folder.path());
        for setting in ["listen_addresses=127.0.0.1", "max_connections=300"] {
            postgres.args(["-c", setting]);
        }
        if keeping == Keeping::Nothing {
            for setting in ["fsync=off", "full_page_writes=off", "synchronous_commit=off"] {
                postgres.args(["-c", setting]);
            }
        }
        let log = fs::File::create(folder.path().join("log"))?;
        postgres.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        lower(&mut postgres, user, folder.path());
        let server = postgres.spawn().context("cannot start postgres")?;
        let mut cluster = Self { server, port, programs, user, folder };
        cluster.wait_until_ready()?;
        Ok(cluster)
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// What the server says of itself.
    pub fn version(&self) -> Result<String> {
        let output = Command::new(self.programs.join("postgres")).arg("--version").output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        const PAUSE: Duration = Duration::from_millis(50);
        let start = Instant::now();
        loop {
            let mut ask = Command::new(self.programs.join("pg_isready"));
            ask.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            if steps::run(&mut ask, LIMIT).is_ok() {
                return Ok(());
            }
            let ended = self.server.try_wait()?.is_some();
            if ended || start.elapsed() > LIMIT {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                bail!("PostgreSQL did not get ready; its log says:\n{log}");
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = Command::new(self.programs.join("pg_ctl"));
        stop.args(["stop", "--silent", "-m", "immediate", "-D"]);
        stop.arg(self.folder.path().join("data"));
        lower(&mut stop, self.user, self.folder.path());
        if let Err(error) = steps::run(&mut stop, LIMIT) {
            eprintln!("cannot stop PostgreSQL in {}: {error:#}", self.folder.path().display());
            let _killed = self.server.kill();
        }
        let _reaped = self.server.wait();
    }
}

/// The newest PostgreSQL that Debian has installed.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok);
    let newest = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).max();
    let folder = Path::new("/usr/lib/postgresql").join(newest?.to_string()).join("bin");
    folder.join("initdb").is_file().then_some(folder)
}

pub fn is_installed() -> bool {
    programs().is_some()
}

/// PostgreSQL refuses to run as root: root starts it as Debian's own user for it.
fn lesser_user() -> Result<Option<(u32, u32)>> {
    let output =
        Command::new("id").arg("-u").output().context("cannot ask `id -u` who runs this")?;
    if String::from_utf8_lossy(&output.stdout).trim() != "0" {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(str::parse::<u32>);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    let user = find("postgres").or_else(|| find("nobody"));
    user.map(Some)
        .context("neither user postgres nor nobody exists; run `cargo xtask setup --test`")
}

fn lower(command: &mut Command, user: Option<(u32, u32)>, folder: &Path) {
    command.current_dir(folder);
    if let Some((user_id, group_id)) = user {
        command.uid(user_id).gid(group_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_answers_and_is_gone_after_drop() {
        let cluster = Cluster::start(Keeping::Nothing).expect("a running cluster");
        let ask = |port: u16| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        let (port, folder) = (cluster.port, cluster.folder.path().to_owned());
        assert!(ask(port));
        assert!(cluster.url().ends_with(&format!(":{port}/postgres")));
        drop(cluster);
        assert!(!ask(port));
        assert!(!folder.exists());
    }
}
