//! The command line at work: keystores, settings, commands with their exit codes, child processes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use alloy::signers::local::PrivateKeySigner;
use serde_json::Value;

use super::World;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rndr");

/// A wallet's keystore and the settings of one world.
pub struct Desk {
    pub folder: PathBuf,
    settings: Vec<(String, String)>,
}

/// A service in a process of its own; killed on drop.
pub struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Desk {
    pub fn of(world: &World, key: &PrivateKeySigner) -> Desk {
        let folder = world.folder.path().to_path_buf();
        std::fs::write(folder.join("password"), "secret\n").unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let settings = [
            ("RNDR__CHAIN__RPC_URL", world.anvil.rpc_url()),
            ("RNDR__CHAIN__ESCROW", world.escrow.to_string()),
            ("RNDR__CHAIN__REGISTRY", world.registry.to_string()),
            ("RNDR__CHAIN__DEPLOY_BLOCK", world.deploy_block.to_string()),
            ("RNDR__STORE__URL", world.database.url.clone()),
            ("RNDR__STORE__OBJECTS", path("objects")),
            ("RNDR__WALLET__KEYSTORE", path("wallet.json")),
            ("RNDR_PASSWORD_FILE", path("password")),
        ];
        let settings = settings.map(|(key, value)| (key.to_owned(), value)).into();
        let desk = Desk { folder, settings };
        desk.keystore("wallet.json", key);
        desk
    }

    /// Adds a setting for everything that runs from now on.
    pub fn set(&mut self, key: &str, value: impl ToString) {
        self.settings.push((format!("RNDR__{key}"), value.to_string()));
    }

    pub fn unset(&mut self, key: &str) {
        self.settings.retain(|(name, _)| *name != format!("RNDR__{key}"));
    }

    /// Imports a key; its password is the desk's.
    pub fn keystore(&self, name: &str, key: &PrivateKeySigner) -> PathBuf {
        std::fs::write(self.folder.join("key"), key.to_bytes().to_string()).unwrap();
        self.run(&["wallet", "import", "--key-file", "key", "--out", name], 0);
        self.folder.join(name)
    }

    pub fn password_file(&self) -> PathBuf {
        self.folder.join("password")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        let settings = self.settings.iter().map(|(key, value)| (key, value));
        command.args(arguments).current_dir(&self.folder);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(settings).stdin(Stdio::null());
        command
    }

    /// Starts a service; its log is added to `<name>.log` in the world's folder.
    pub fn start(&self, name: &str, arguments: &[&str], own: &[(&str, &Path)]) -> Process {
        let log = self.folder.join(format!("{name}.log"));
        let log = File::options().create(true).append(true).open(log).unwrap();
        let own = own.iter().map(|(key, value)| (format!("RNDR__{key}"), value));
        let mut command = self.command(arguments);
        Process(command.envs(own).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// Runs `rndr` without a terminal; it must end with this code.
    pub fn run(&self, arguments: &[&str], code: i32) -> Output {
        let output = self.command(arguments).output().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {talk}");
        output
    }

    /// What a successful command prints with `--json`.
    pub fn data(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat(), 0);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The same while a service may still be starting: unavailable is no answer yet.
    pub fn data_when_up(&self, arguments: &[&str]) -> Option<Value> {
        let output = self.command(&[arguments, &["--json"]].concat()).output().unwrap();
        match output.status.code() {
            Some(0) => Some(serde_json::from_slice(&output.stdout).unwrap()),
            Some(6) => None,
            code => panic!("{arguments:?} ended with {code:?}: {output:?}"),
        }
    }

    /// What a refused command says with `--json`; nothing of it is data.
    pub fn refusal(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat(), code);
        assert!(output.stdout.is_empty(), "{arguments:?} printed data");
        let text = String::from_utf8(output.stderr).unwrap();
        let error: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        assert!(!error["error"]["hint"].as_str().unwrap().is_empty(), "{text}");
        error["error"].clone()
    }
}
