//! What a node writes to disk about a lease before it tells anyone; a crash changes no word.
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Accepted, DeliveredUnit, LeaseOffer, is_plain_name};

const OFFER: &str = "offer.json";
const SEALED_KEY: &str = "lot-key.sealed";
const ACCEPTED: &str = "accepted.json";
/// Files of one journal are private: they hold what a payer has not paid for yet.
pub(super) const PRIVATE: u32 = 0o600;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{doing} {path} failed: {source}; the node's work folder needs space and rights")]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{path} cannot be read back: {source}; move it out of the work folder by hand")]
    Garbled { path: PathBuf, source: serde_json::Error },
    #[error(
        "this node gave its word about attempt {attempt} at unit {unit} before, and signs no \
         second one; lease it as a new attempt"
    )]
    SignedBefore { unit: u32, attempt: u32 },
    #[error("lease id `{0}` is no plain name")]
    LeaseId(String),
}

pub(super) fn io<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> JournalError + use<'a> {
    move |source| JournalError::Io { doing, path: path.to_path_buf(), source }
}

/// The folder of one lease: offer, sealed lot key, one file and one signed word for each unit.
#[derive(Clone, Debug)]
pub struct Journal {
    folder: PathBuf,
    pub offer: LeaseOffer,
}

impl Journal {
    /// Starts the journal of a new lease. The key, sealed at rest, is on disk before anything that
    /// commits to it is signed.
    pub fn begin(
        root: &Path,
        offer: LeaseOffer,
        sealed_key: Option<&[u8]>,
    ) -> Result<Journal, JournalError> {
        if !is_plain_name(&offer.lease_id) || offer.lease_id.starts_with('.') {
            return Err(JournalError::LeaseId(offer.lease_id));
        }
        let folder = root.join(&offer.lease_id);
        std::fs::create_dir_all(&folder).map_err(io("making", &folder))?;
        let journal = Journal { folder, offer };
        if let Some(sealed_key) = sealed_key {
            journal.write(SEALED_KEY, sealed_key)?;
        }
        // The offer comes last: a folder without one was left by a crash before any word.
        journal.write_json(OFFER, &journal.offer)?;
        sync_folder(root)?;
        Ok(journal)
    }

    /// The journals under `root` without an acceptance: what a crash left to finish. Accepted
    /// ones stand in `archive`, so that `root` stays small however long a node lives.
    pub fn unfinished(root: &Path, archive: &Path) -> Result<Vec<Journal>, JournalError> {
        let mut found = Vec::new();
        for item in std::fs::read_dir(root).map_err(io("reading", root))? {
            let folder = item.map_err(io("reading", root))?.path();
            if folder.join(ACCEPTED).exists() {
                move_into(&folder, archive)?;
                continue;
            }
            match read_json(&folder.join(OFFER))? {
                Some(offer) => found.push(Journal { folder, offer }),
                None => std::fs::remove_dir_all(&folder).map_err(io("removing", &folder))?,
            }
        }
        found.sort_by(|a, b| a.folder.cmp(&b.folder));
        Ok(found)
    }

    pub fn sealed_key(&self) -> Result<Option<Vec<u8>>, JournalError> {
        self.read(SEALED_KEY)
    }

    /// Keeps a finished unit: first its file, then the signed word about it.
    pub fn put_unit(&self, word: &DeliveredUnit, stored: &[u8]) -> Result<(), JournalError> {
        let unit = word.receipt.unit;
        self.write(&file_name(unit), stored)?;
        self.write_json(&word_name(unit), word)
    }

    pub fn unit(&self, unit: u32) -> Result<Option<DeliveredUnit>, JournalError> {
        read_json(&self.folder.join(word_name(unit)))
    }

    pub fn stored(&self, unit: u32) -> Result<Option<Vec<u8>>, JournalError> {
        self.read(&file_name(unit))
    }

    /// Keeps the settler's consent: with it, key and receipts the node can be paid without anyone.
    /// The files are the settler's from now on, and the rest moves to `archive`.
    pub fn put_accepted(self, accepted: &Accepted, archive: &Path) -> Result<(), JournalError> {
        self.write_json(ACCEPTED, accepted)?;
        for task in &self.offer.units {
            let path = self.folder.join(file_name(task.unit));
            std::fs::remove_file(&path).map_err(io("removing", &path))?;
        }
        move_into(&self.folder, archive)
    }

    /// Forgets a lease that is lost, failed or refused.
    pub fn drop_all(self) -> Result<(), JournalError> {
        std::fs::remove_dir_all(&self.folder).map_err(io("removing", &self.folder))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, JournalError> {
        read(&self.folder.join(name))
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), JournalError> {
        let text = serde_json::to_vec_pretty(value)
            .map_err(|source| JournalError::Garbled { path: self.folder.join(name), source })?;
        self.write(name, &text)
    }

    /// Whole or not at all: a new file, synced, takes the name.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), JournalError> {
        let path = self.folder.join(name);
        let fresh = self.folder.join(format!("{name}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(PRIVATE)
            .open(&fresh)
            .map_err(io("making", &fresh))?;
        file.write_all(bytes).map_err(io("writing", &fresh))?;
        file.sync_all().map_err(io("syncing", &fresh))?;
        std::fs::rename(&fresh, &path).map_err(io("naming", &path))?;
        sync_folder(&self.folder)
    }
}

fn file_name(unit: u32) -> String {
    format!("unit-{unit}.stored")
}

fn word_name(unit: u32) -> String {
    format!("unit-{unit}.json")
}

fn move_into(folder: &Path, archive: &Path) -> Result<(), JournalError> {
    let kept = archive.join(folder.file_name().unwrap_or_default());
    std::fs::rename(folder, kept).map_err(io("moving", folder))?;
    sync_folder(archive)
}

pub(super) fn sync_folder(folder: &Path) -> Result<(), JournalError> {
    let opened = File::open(folder).map_err(io("opening", folder))?;
    opened.sync_all().map_err(io("syncing", folder))
}

pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, JournalError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("reading", path)(error)),
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, JournalError> {
    let Some(bytes) = read(path)? else {
        return Ok(None);
    };
    let garbled = |source| JournalError::Garbled { path: path.to_path_buf(), source };
    serde_json::from_slice(&bytes).map(Some).map_err(garbled)
}

#[cfg(test)]
mod tests;
