//! Files that are generated and checked in: writes them, or compares them byte for byte.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use foundry_compilers::artifacts::remappings::Remapping;
use foundry_compilers::artifacts::{Settings, SettingsMetadata, SolcInput, SolcLanguage, Source};
use foundry_compilers::compilers::solc::Solc;
use foundry_compilers::resolver::parse::SolParser;
use foundry_compilers::{Graph, ProjectPathsConfig};
use serde::Serialize;
use serde_json::Value;

use crate::foundry;

/// Contracts whose ABI and bytecode the Rust side reads, and their sources.
const CONTRACTS: &[(&str, &str)] = &[
    ("RenderEscrow", "src/RenderEscrow.sol"),
    ("Funding", "src/Funding.sol"),
    ("NodeRegistry", "src/NodeRegistry.sol"),
    ("LegacyRndr", "test/doubles/LegacyRndr.sol"),
    // What only the stories deploy.
    ("UsdcLike", "test/doubles/UsdcLike.sol"),
    ("Permit2Like", "test/doubles/Proxies.sol"),
    ("Multicall3Like", "test/doubles/Proxies.sol"),
    ("WalletFactory", "test/doubles/Wallets.sol"),
    // What the benchmark deploys.
    ("Generator", "test/doubles/Generator.sol"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Write,
    Check,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact<'a> {
    contract_name: &'a str,
    solc: String,
    abi: &'a Value,
    bytecode: String,
    deployed_bytecode: String,
}

/// Compiles each contract of the table and writes or compares `contracts/artifacts/`.
pub fn contracts(root: &Path, mode: Mode) -> Result<()> {
    let folder = root.join("contracts");
    let settings = settings(&foundry::config(root)?)?;
    let solc = Solc::new(folder.join("solc.mjs"))
        .context("the compiler does not start; run `cargo xtask setup` to install npm packages")?;
    for (name, source) in CONTRACTS {
        let text = compile(&folder, &solc, settings.clone(), name, source)?;
        let path = PathBuf::from(format!("contracts/artifacts/{name}.json"));
        settle_difference(root, &path, &text, mode, "cargo xtask contracts write")?;
    }
    Ok(())
}

/// Asks the built `rndr` for its OpenAPI document and writes or compares `api/openapi.json`.
pub fn openapi(root: &Path, mode: Mode) -> Result<()> {
    let output = Command::new("cargo")
        .args(["run", "--quiet", "--locked", "--bin", "rndr", "--", "openapi"])
        .current_dir(root)
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("`rndr openapi` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8(output.stdout).context("`rndr openapi` printed no UTF-8")?;
    let path = Path::new("api/openapi.json");
    settle_difference(root, path, &text, mode, "cargo xtask openapi write")
}

/// Reads from foundry.toml, as forge itself sees it, everything that shapes the bytecode.
fn settings(config: &Value) -> Result<Settings> {
    let word = |key: &str| {
        config[key].as_str().with_context(|| format!("foundry.toml has no text `{key}`"))
    };
    let flag = |key: &str| {
        config[key].as_bool().with_context(|| format!("foundry.toml has no true or false `{key}`"))
    };
    let mut settings = Settings::default();
    settings.optimizer.enabled = Some(flag("optimizer")?);
    let runs = config["optimizer_runs"].as_u64().context("foundry.toml has no `optimizer_runs`")?;
    settings.optimizer.runs = Some(usize::try_from(runs)?);
    settings.via_ir = Some(flag("via_ir")?);
    settings.evm_version = Some(word("evm_version")?.parse().map_err(anyhow::Error::msg)?);
    settings.metadata = Some(SettingsMetadata::new(
        word("bytecode_hash")?.parse().map_err(anyhow::Error::msg)?,
        flag("cbor_metadata")?,
    ));
    let remappings = config["remappings"].as_array().context("foundry.toml has no `remappings`")?;
    for remapping in remappings {
        let text = remapping.as_str().context("a remapping in foundry.toml is no text")?;
        settings.remappings.push(text.parse::<Remapping>()?);
    }
    Ok(settings)
}

/// Compiles one contract with nothing but its own imports, all paths relative to `contracts/`:
/// neither the place of the checkout nor any other file can change a byte.
fn compile(
    folder: &Path,
    solc: &Solc,
    settings: Settings,
    name: &str,
    source: &str,
) -> Result<String> {
    let mut paths = ProjectPathsConfig::builder().root(folder).sources(folder.join("src"));
    for remapping in &settings.remappings {
        let mut absolute = remapping.clone();
        absolute.path = folder.join(&remapping.path).display().to_string();
        paths = paths.remapping(absolute);
    }
    let entry = folder.join(source);
    let sources = [(entry.clone(), Source::read(&entry)?)].into_iter().collect();
    let graph = Graph::<SolParser>::resolve_sources(&paths.build()?, sources)
        .with_context(|| format!("cannot resolve the imports of contracts/{source}"))?;
    let (sources, _) = graph.into_sources();
    let mut input = SolcInput::new(SolcLanguage::Solidity, sources, settings);
    input.strip_prefix(folder);
    let output: Value = solc.compile_as(&input)?;
    for error in output["errors"].as_array().into_iter().flatten() {
        if error["severity"] == "error" {
            let message = error["formattedMessage"].as_str().unwrap_or("no message");
            bail!("contracts/{source} does not compile:\n{message}");
        }
    }
    let contract = &output["contracts"][source][name];
    let code = |part: &str| match contract["evm"][part]["object"].as_str() {
        Some(code) if !code.is_empty() && !code.contains("__$") => Ok(format!("0x{code}")),
        Some(_) => bail!("{name} has no finished {part}: is it abstract, or does it need linking?"),
        None => bail!("contracts/{source} holds no contract {name}"),
    };
    let artifact = Artifact {
        contract_name: name,
        solc: solc.version.to_string(),
        abi: &contract["abi"],
        bytecode: code("bytecode")?,
        deployed_bytecode: code("deployedBytecode")?,
    };
    Ok(serde_json::to_string_pretty(&artifact)? + "\n")
}

/// Writes `text`, or fails naming the first byte in which the checked-in file differs.
fn settle_difference(
    root: &Path,
    path: &Path,
    text: &str,
    mode: Mode,
    write_command: &str,
) -> Result<()> {
    let shown = path.display();
    ensure!(!text.is_empty(), "{shown} would be empty: what generates it printed nothing");
    let is = match std::fs::read_to_string(root.join(path)) {
        Ok(is) => is,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
    };
    match (first_difference(&is, text), mode) {
        (None, _) => println!("{shown} is up to date"),
        (Some(_), Mode::Write) => {
            if let Some(folder) = root.join(path).parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(root.join(path), text)
                .with_context(|| format!("cannot write {shown}"))?;
            println!("wrote {shown}");
        }
        (Some((line, is, new)), Mode::Check) => bail!(
            "{shown}:{line} is old: it holds `{is}`, generated anew it is `{new}`; \
             run `{write_command}` and commit the result"
        ),
    }
    Ok(())
}

/// Line (from 1) and surroundings of the first byte in which two texts differ.
fn first_difference(is: &str, new: &str) -> Option<(usize, String, String)> {
    const BEFORE: usize = 20; // enough to find the place inside a long line of bytecode
    const SHOWN: usize = 60;
    if is == new {
        return None;
    }
    let same = is.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
    let line = 1 + is.as_bytes()[..same].iter().filter(|byte| **byte == b'\n').count();
    let around = |text: &str| {
        let bytes = text.as_bytes();
        let line_start =
            bytes[..same].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let start = line_start.max(same.saturating_sub(BEFORE));
        let end = bytes.len().min(start + SHOWN);
        let piece = String::from_utf8_lossy(&bytes[start..end]).into_owned();
        piece.lines().next().unwrap_or("the end of the file").to_owned()
    };
    Some((line, around(is), around(new)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(first_difference("a\nb", "a\nb"), None);
    }

    #[test]
    fn the_first_difference_is_named_by_line_and_surroundings() {
        let difference = first_difference("a\nb: 1\nc", "a\nb: 2\nc");
        assert_eq!(difference, Some((2, "b: 1".to_owned(), "b: 2".to_owned())));
        let long = first_difference(&"ab".repeat(200), &format!("{}c", "ab".repeat(150)));
        let (line, is, new) = long.expect("they differ");
        assert_eq!((line, new.ends_with('c')), (1, true));
        assert!(is.len() <= 60 && is.starts_with("ab"));
    }

    #[test]
    fn check_refuses_a_changed_byte_and_write_repairs_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Path::new("made/it.json");
        let settle = |text, mode| settle_difference(folder.path(), path, text, mode, "make it");
        assert!(settle("one", Mode::Check).is_err(), "a missing file is a difference");
        assert!(settle("", Mode::Check).is_err(), "nothing equals a missing file, and is wrong");
        settle("one", Mode::Write).expect("written");
        settle("one", Mode::Check).expect("equal");
        let message = settle("onf", Mode::Check).expect_err("differs").to_string();
        assert!(message.contains("made/it.json:1") && message.contains("make it"), "{message}");
    }
}
