//! Scenes, outputs and previews by content hash, in a folder; a file is there whole or not at all.

use std::path::Path;
use std::sync::Arc;

use alloy::primitives::{B256, hex, keccak256};
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::error::{Error, Result};
use crate::open::make_folder;

/// Files named by the keccak256 of their bytes: a second write of the same is a no-op.
#[derive(Clone)]
pub struct Objects {
    files: Arc<dyn ObjectStore>,
}

impl Objects {
    pub(crate) async fn open(folder: &Path) -> Result<Self> {
        make_folder(folder).await?;
        Self::open_existing(folder)
    }

    pub(crate) fn open_existing(folder: &Path) -> Result<Self> {
        // A put writes beside its place, syncs, renames and syncs the folder, so a crash leaves
        // no half file under a hash and no hash without its file.
        let files = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Self { files: Arc::new(files) })
    }

    /// Stores `bytes` durably under their hash.
    pub async fn put(&self, bytes: Bytes) -> Result<B256> {
        let hash = keccak256(&bytes);
        let stored = self.size(hash).await?;
        // A file of another size was cut or altered by someone else; the true bytes replace it.
        if stored != u64::try_from(bytes.len()).ok() {
            self.files.put(&key(hash), bytes.into()).await?;
        }
        Ok(hash)
    }

    /// The bytes, checked against their hash.
    pub async fn get(&self, hash: B256) -> Result<Option<Bytes>> {
        let bytes = match self.files.get(&key(hash)).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if keccak256(&bytes) != hash {
            return Err(Error::DamagedObject(hash));
        }
        Ok(Some(bytes))
    }

    pub async fn has(&self, hash: B256) -> Result<bool> {
        Ok(self.size(hash).await?.is_some())
    }

    /// Forgets an object; one that is not there is no error.
    pub async fn delete(&self, hash: B256) -> Result<()> {
        match self.files.delete(&key(hash)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn size(&self, hash: B256) -> Result<Option<u64>> {
        match self.files.head(&key(hash)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Two levels, so that no folder grows to millions of files.
fn key(hash: B256) -> Key {
    let name = hex::encode(hash);
    Key::from(format!("{}/{name}", &name[..2]))
}

#[cfg(test)]
mod tests;
