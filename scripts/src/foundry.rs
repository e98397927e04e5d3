//! Finds the native Foundry programs: their npm launchers would swallow exit codes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Path of `forge`, `anvil` or `cast` for this machine, installed or not.
pub fn program(root: &Path, name: &str) -> PathBuf {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let package = format!("{name}-{}-{architecture}", std::env::consts::OS);
    root.join("contracts/node_modules/@foundry-rs").join(package).join("bin").join(name)
}

/// Puts `forge` on the path of a checker that calls it by name.
pub fn on_path(root: &Path, command: &mut Command) -> Result<()> {
    let folder = program(root, "forge").parent().map(Path::to_owned);
    let old = std::env::var_os("PATH").unwrap_or_default();
    let folders = folder.into_iter().chain(std::env::split_paths(&old));
    let path = std::env::join_paths(folders).context("PATH cannot take forge's folder")?;
    command.env("PATH", path);
    Ok(())
}

/// The settings of contracts/foundry.toml, defaults filled in, as forge reads them.
pub fn config(root: &Path) -> Result<Value> {
    let forge = program(root, "forge");
    let output = Command::new(&forge)
        .args(["config", "--json"])
        .current_dir(root.join("contracts"))
        .output()
        .with_context(|| format!("cannot start {}; run `cargo xtask setup`", forge.display()))?;
    if !output.status.success() {
        bail!("forge config failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("forge config printed no JSON")
}
