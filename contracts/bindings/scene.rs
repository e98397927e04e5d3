//! pure: the manifest of a scene, whose canonical JSON is what the scene's id hashes.

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

/// A file of a scene; `path` is relative to the scene's folder, `hash` its keccak256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SceneFile {
    pub path: String,
    pub size: u64,
    pub hash: B256,
}

/// The files of a scene, sorted by path; its id is the keccak256 of this in canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub files: Vec<SceneFile>,
}
