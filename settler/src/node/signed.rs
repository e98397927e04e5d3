//! What a node has said, for ever: one output for each attempt, on disk before it leaves the node.
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use alloy::primitives::B256;
use contracts::JobId;
use serde::{Deserialize, Serialize};

use super::DeliveredUnit;
use super::journal::{JournalError, PRIVATE, io, read, sync_folder};

/// The outputs under a node's signature, by job; outlives leases, journals and restarts.
///
/// Two receipts for one attempt with two outputs cost the node its whole bond, whoever asked for
/// them: a settler may lease the same attempt twice for that. So this is kept as long as the key.
#[derive(Clone, Debug)]
pub struct Signed {
    folder: PathBuf,
}

/// One line of a job's file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    unit: u32,
    attempt: u32,
    output_hash: B256,
}

/// Outputs by unit and attempt.
pub type Outputs = BTreeMap<(u32, u32), B256>;

impl Signed {
    pub fn at(folder: PathBuf) -> Signed {
        Signed { folder }
    }

    pub fn outputs(&self, job_id: JobId) -> Result<Outputs, JournalError> {
        Ok(self.load(job_id)?.0)
    }

    /// Keeps what these words say, all of it or nothing; refuses a second output for an attempt.
    /// Only after this may they be shown to anyone.
    pub fn keep(&self, job_id: JobId, words: &[DeliveredUnit]) -> Result<(), JournalError> {
        let (mut outputs, whole) = self.load(job_id)?;
        let mut lines = Vec::new();
        for word in words {
            let (unit, attempt) = (word.receipt.unit, word.receipt.attempt);
            let output_hash = word.receipt.output_hash;
            match outputs.insert((unit, attempt), output_hash) {
                None => {
                    let line = Line { unit, attempt, output_hash };
                    let path = self.path(job_id);
                    serde_json::to_writer(&mut lines, &line)
                        .map_err(|source| JournalError::Garbled { path, source })?;
                    lines.push(b'\n');
                }
                Some(before) if before == output_hash => {}
                Some(_) => return Err(JournalError::SignedBefore { unit, attempt }),
            }
        }
        if lines.is_empty() { Ok(()) } else { self.append(job_id, whole, &lines) }
    }

    /// Behind the last whole line: a crash may have cut the one after it, which nobody saw.
    fn append(&self, job_id: JobId, whole: u64, lines: &[u8]) -> Result<(), JournalError> {
        let path = self.path(job_id);
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(PRIVATE);
        let mut file = options.open(&path).map_err(io("opening", &path))?;
        file.set_len(whole).map_err(io("cutting", &path))?;
        file.write_all(lines).map_err(io("writing", &path))?;
        file.sync_all().map_err(io("syncing", &path))?;
        sync_folder(&self.folder)
    }

    /// The outputs, and the bytes of whole lines.
    fn load(&self, job_id: JobId) -> Result<(Outputs, u64), JournalError> {
        let path = self.path(job_id);
        let bytes = read(&path)?.unwrap_or_default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mut outputs = Outputs::new();
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let garbled = |source| JournalError::Garbled { path: path.clone(), source };
            let line: Line = serde_json::from_slice(line).map_err(garbled)?;
            outputs.insert((line.unit, line.attempt), line.output_hash);
        }
        Ok((outputs, whole as u64))
    }

    fn path(&self, job_id: JobId) -> PathBuf {
        self.folder.join(format!("{job_id}.jsonl"))
    }
}

#[cfg(test)]
mod tests;
