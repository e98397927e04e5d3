//! Scene manifests by hash; their files are objects.

use alloy::primitives::B256;
use serde::Serialize;

use crate::dialect::Writer;
use crate::error::Result;
use crate::specs::known_or_conflict;
use crate::values::{Row, values};
use crate::{IntakeWriter, Reader};

/// `scene_id` is the keccak256 of `manifest`; `size` counts the bytes of all its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scene {
    pub scene_id: B256,
    pub manifest: String,
    pub size: u64,
    pub created_at: i64,
}

const SELECT_SCENE: &str =
    "SELECT scene_id, manifest, size, created_at FROM scenes WHERE scene_id = $1";

impl IntakeWriter {
    /// False when it is there already. Store its files first: whoever sees the scene may ask
    /// for them.
    pub async fn put_scene(&self, scene: &Scene) -> Result<bool> {
        let mut tx = self.pool.write(Writer::Intake).await?;
        if let Some(row) = tx.one(SELECT_SCENE, values![scene.scene_id]).await? {
            let known = Scene { created_at: scene.created_at, ..scene_from(&row)? } == *scene;
            return known_or_conflict(known, || format!("scene {}", scene.scene_id));
        }
        let sql =
            "INSERT INTO scenes (scene_id, manifest, size, created_at) VALUES ($1, $2, $3, $4)";
        let row = values![scene.scene_id, scene.manifest.as_str(), scene.size, scene.created_at];
        tx.execute(sql, row).await?;
        tx.commit().await?;
        Ok(true)
    }
}

impl Reader {
    pub async fn scene(&self, scene_id: B256) -> Result<Option<Scene>> {
        let row = self.pool.one(SELECT_SCENE, values![scene_id]).await?;
        row.as_ref().map(scene_from).transpose()
    }
}

fn scene_from(row: &Row) -> Result<Scene> {
    Ok(Scene {
        scene_id: row.get("scene_id")?,
        manifest: row.get("manifest")?,
        size: row.get("size")?,
        created_at: row.get("created_at")?,
    })
}

#[cfg(test)]
mod tests;
