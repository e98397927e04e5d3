//! Keystores: encrypted JSON files of keys, opened by a password from a file or a terminal.
use std::io::IsTerminal;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use alloy::primitives::{Address, B256};
use alloy::signers::k256::elliptic_curve::rand_core::OsRng;
use alloy::signers::local::PrivateKeySigner;

use crate::exit::{Exit, Failure, Outcome, local};

/// Only the owner may read a keystore.
const PRIVATE: u32 = 0o600;

/// Opens a keystore. Without a password file the terminal is asked; without a terminal it fails.
pub async fn open(keystore: &Path, password_file: Option<&Path>) -> Outcome<PrivateKeySigner> {
    if !keystore.is_file() {
        let message = format!("there is no keystore at {}", keystore.display());
        let hint = "make one with `rndr wallet new`, or name it with --keystore";
        return Err(Failure::new(Exit::NotFound, message, hint));
    }
    let password = password(password_file, "Password of the keystore: ")?;
    let path = keystore.to_path_buf();
    // Slow on purpose: the key is stretched.
    let opened =
        tokio::task::spawn_blocking(move || PrivateKeySigner::decrypt_keystore(path, password));
    let opened = opened.await.map_err(|error| failed(&error))?;
    opened.map_err(|error| {
        let message = format!("the keystore {} does not open: {error}", keystore.display());
        Failure::usage(message, "check the password and that the file is a keystore JSON")
    })
}

/// Writes a key as a new keystore; an existing file is never overwritten.
pub async fn save(key: B256, keystore: &Path, password: String) -> Outcome<Address> {
    if keystore.exists() {
        let message = format!("{} exists already", keystore.display());
        return Err(Failure::usage(message, "keystores are never overwritten; name another file"));
    }
    let folder = match keystore.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        Some(_) | None => ".".into(),
    };
    let Some(name) = keystore.file_name().and_then(|name| name.to_str()).map(str::to_owned) else {
        return Err(Failure::usage("the keystore's name is no text", "name another file"));
    };
    std::fs::create_dir_all(&folder).map_err(local(format!("making {}", folder.display())))?;
    let encrypted = tokio::task::spawn_blocking(move || {
        let mut random = OsRng;
        PrivateKeySigner::encrypt_keystore(folder, &mut random, key, password, Some(&name))
    });
    let encrypted = encrypted.await.map_err(|error| failed(&error))?;
    let (signer, _) = encrypted.map_err(|error| failed(&error))?;
    let private = std::fs::Permissions::from_mode(PRIVATE);
    std::fs::set_permissions(keystore, private)
        .map_err(local(format!("closing {} to others", keystore.display())))?;
    Ok(signer.address())
}

fn failed(error: &impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("the keystore failed: {error}"), "try again")
}

/// The first line of the file, else what a person types.
pub fn password(password_file: Option<&Path>, prompt: &str) -> Outcome<String> {
    if let Some(path) = password_file {
        let text = std::fs::read_to_string(path)
            .map_err(local(format!("reading the password in {}", path.display())))?;
        return Ok(text.lines().next().unwrap_or_default().to_owned());
    }
    if !std::io::stdin().is_terminal() {
        let hint = "name a file with --password-file or RNDR_PASSWORD_FILE";
        return Err(Failure::usage("a password is needed and there is no terminal to ask", hint));
    }
    rpassword::prompt_password(prompt).map_err(local("reading the password"))
}

/// A password for a new keystore: typed twice, unless it comes from a file.
pub fn new_password(password_file: Option<&Path>) -> Outcome<String> {
    let first = password(password_file, "Password for the new keystore: ")?;
    if first.is_empty() {
        return Err(Failure::usage("the password is empty", "choose one"));
    }
    if password_file.is_none() && password(None, "The same again: ")? != first {
        return Err(Failure::usage("the two passwords differ", "type them again"));
    }
    Ok(first)
}
