//! Puts a leased scene's files into a folder of their own, each checked against its hash.
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use alloy::primitives::{B256, keccak256};
use contracts::spec::check_entry;

use super::client::{Client, ClientError};
use contracts::scene::{Manifest, SceneFile};

/// Scenes kept on disk for later leases; the least recently made one goes first.
const KEPT_SCENES: usize = 16;
/// More files are no scene: each is a request of its own.
const MAX_FILES: usize = 10_000;
/// What one scene may take of the node's disk.
const MAX_BYTES: u64 = 8 << 30;

#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    #[error("the scene's list of files is refused: {0}")]
    Manifest(String),
    #[error("scene file {path} hashes to {found}, its list says {expected}; it was altered")]
    Hash { path: String, found: B256, expected: B256 },
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{doing} {path} failed: {source}; the node's work folder needs space and rights")]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
}

fn io<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> SceneError + use<'a> {
    move |source| SceneError::Io { doing, path: path.to_path_buf(), source }
}

/// The scene's folder under `root`, downloaded now unless it is there already. It is complete or
/// absent: files are collected beside it and take its name together.
pub async fn materialise(
    client: &Client,
    root: &Path,
    scene: B256,
    manifest: &Manifest,
) -> Result<PathBuf, SceneError> {
    check(manifest).map_err(SceneError::Manifest)?;
    let folder = root.join(scene.to_string());
    if folder.is_dir() {
        return Ok(folder);
    }
    make_room(root)?;
    let fresh = tempfile::tempdir_in(root).map_err(io("making a folder in", root))?;
    for SceneFile { path, size, hash } in &manifest.files {
        let bytes = client.scene_file(*hash, *size).await?;
        let found = keccak256(&bytes);
        if found != *hash {
            return Err(SceneError::Hash { path: path.clone(), found, expected: *hash });
        }
        let target = fresh.path().join(path);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(io("making", parent))?;
        }
        std::fs::write(&target, &bytes).map_err(io("writing", &target))?;
    }
    let fresh = fresh.keep();
    std::fs::rename(&fresh, &folder).map_err(io("naming", &folder))?;
    Ok(folder)
}

/// Only plain relative paths, each once, none both file and folder, within limits.
fn check(manifest: &Manifest) -> Result<(), String> {
    if manifest.files.len() > MAX_FILES {
        return Err(format!("{} files; at most {MAX_FILES}", manifest.files.len()));
    }
    let mut total = 0u64;
    let mut names = BTreeSet::new();
    let mut folders = BTreeSet::new();
    for SceneFile { path, size, .. } in &manifest.files {
        check_entry(path)?;
        total = total.saturating_add(*size);
        if !names.insert(path.as_str()) {
            return Err(format!("`{path}` is listed twice"));
        }
        folders.extend(path.match_indices('/').map(|(at, _)| &path[..at]));
    }
    if total > MAX_BYTES {
        return Err(format!("{total} bytes; at most {MAX_BYTES}"));
    }
    match names.intersection(&folders).next() {
        Some(name) => Err(format!("`{name}` is both a file and a folder")),
        None => Ok(()),
    }
}

fn make_room(root: &Path) -> Result<(), SceneError> {
    let mut kept: Vec<(i64, PathBuf)> = Vec::new();
    for item in std::fs::read_dir(root).map_err(io("reading", root))? {
        let path = item.map_err(io("reading", root))?.path();
        let made = path.metadata().map_err(io("reading", &path))?.mtime();
        kept.push((made, path));
    }
    kept.sort();
    let too_many = (kept.len() + 1).saturating_sub(KEPT_SCENES);
    for (_, path) in kept.iter().take(too_many) {
        std::fs::remove_dir_all(path).map_err(io("removing", path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(paths: &[&str]) -> Manifest {
        let file = |path: &&str| SceneFile { path: (*path).into(), size: 1, hash: B256::ZERO };
        Manifest { files: paths.iter().map(file).collect() }
    }

    #[test]
    fn only_plain_paths_that_stay_inside_are_written() {
        assert_eq!(check(&listing(&["a.pov", "maps/b.png", "maps/c/d.inc"])), Ok(()));
        for bad in [
            &["../a.pov"][..],
            &["/etc/a"],
            &["a//b"],
            &["a/./b"],
            &["a\\b"],
            &["a", "a"],
            &["a", "a/b"],
            &[""],
        ] {
            assert!(check(&listing(bad)).is_err(), "{bad:?}");
        }
        let mut large = listing(&["a", "b"]);
        large.files[0].size = u64::MAX;
        assert!(check(&large).is_err());
    }

    #[test]
    fn old_scenes_make_room_for_new_ones() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..KEPT_SCENES + 3 {
            std::fs::create_dir(root.path().join(number.to_string())).unwrap();
        }
        make_room(root.path()).unwrap();
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), KEPT_SCENES - 1);
    }
}
