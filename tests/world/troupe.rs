//! The built program as processes of its own, to be killed without warning and started again.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use alloy::signers::k256::elliptic_curve::rand_core::OsRng;
use alloy::signers::local::PrivateKeySigner;

use super::studio::Studio;
use super::{free_port, wallet};

const PASSWORD: &str = "story";
const ROLES: [&str; 4] = ["indexer", "settler", "node", "api"];

/// Indexer, settler, API and one node with the real renderer; killed on drop.
pub struct Troupe {
    settings: Vec<(String, String)>,
    folder: PathBuf,
    running: Vec<Child>,
    starts: u32,
}

impl Troupe {
    pub fn start(studio: &Studio, lease_seconds: u64) -> Self {
        let folder = studio.world.folder.path().join("troupe");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("password"), PASSWORD).unwrap();
        let keys = [
            ("settler", studio.settler_key.clone()),
            ("gas", studio.gas_key.clone()),
            ("node", wallet("node")),
        ];
        for (name, key) in keys {
            let mut random = OsRng;
            let secret = key.to_bytes();
            PrivateKeySigner::encrypt_keystore(&folder, &mut random, secret, PASSWORD, Some(name))
                .unwrap();
        }
        let path = |name: &str| folder.join(name).display().to_string();
        let door = format!("127.0.0.1:{}", studio.door_port);
        let objects = studio.world.folder.path().join("objects");
        let settings = [
            ("CHAIN__RPC_URL", studio.world.anvil.rpc_url()),
            ("CHAIN__WS_URL", studio.world.anvil.ws_url()),
            ("CHAIN__ESCROW", studio.world.escrow.to_string()),
            ("CHAIN__REGISTRY", studio.world.registry.to_string()),
            ("CHAIN__POLL_MS", "100".into()),
            ("STORE__URL", studio.world.database.url.clone()),
            ("STORE__OBJECTS", objects.display().to_string()),
            ("SETTLER__LISTEN", door.clone()),
            ("SETTLER__KEYSTORE", path("settler")),
            ("SETTLER__GAS_KEYSTORE", path("gas")),
            ("SETTLER__PASSWORD_FILE", path("password")),
            ("SETTLER__LEASE_SECONDS", lease_seconds.to_string()),
            ("SETTLER__CONFIRMATIONS", "1".into()),
            ("SETTLER__POLL_MS", "100".into()),
            ("SETTLER__COMMIT_AFTER_SECONDS", "600".into()),
            ("API__LISTEN", format!("127.0.0.1:{}", free_port())),
            ("API__SETTLER", studio.settler_key.address().to_string()),
            ("NODE__DOOR", format!("http://{door}")),
            ("NODE__KEYSTORE", path("node")),
            ("NODE__PASSWORD_FILE", path("password")),
            ("NODE__WORK_DIR", path("work")),
        ];
        let settings = settings.map(|(key, value)| (format!("RNDR__{key}"), value)).to_vec();
        let mut troupe = Self { settings, folder, running: Vec::new(), starts: 0 };
        troupe.start_all();
        troupe
    }

    pub fn start_all(&mut self) {
        self.starts += 1;
        for role in ROLES {
            let name = format!("{role}-{}.log", self.starts);
            let log = File::create(self.folder.join(name)).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_rndr"));
            command.arg(role).envs(self.settings.iter().cloned());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
            self.running.push(command.spawn().unwrap());
        }
    }

    /// SIGKILL to every one of them at once: nobody can finish or say anything.
    pub fn kill_all(&mut self) {
        for child in &mut self.running {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "one ended by itself: {ended:?}");
            child.kill().unwrap();
        }
        for mut child in self.running.drain(..) {
            child.wait().unwrap();
        }
    }

    /// What they said, for a story that failed.
    pub fn logs(&self) -> String {
        let mut all = String::new();
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return all };
        let is_log = |path: &PathBuf| path.extension().is_some_and(|end| end == "log");
        for path in entries.flatten().map(|entry| entry.path()).filter(is_log) {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let tail: Vec<&str> = text.lines().rev().take(30).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            all.push_str(&format!("== {}\n{}\n", path.display(), tail.join("\n")));
        }
        all
    }
}

impl Drop for Troupe {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
    }
}
