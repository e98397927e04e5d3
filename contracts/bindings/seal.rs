//! pure: files sealed and opened under a lot key; the key's commitment.

use std::fmt;

use aead_stream::{DecryptorBE32, EncryptorBE32};
use aes_gcm::{Aes256Gcm, KeyInit};
use alloy::primitives::{B256, U256, keccak256};
use alloy::sol_types::SolValue;
use hkdf::Hkdf;
use sha2::Sha256;

use crate::JobId;

/// First bytes of every sealed file.
pub const MAGIC: &[u8; 8] = b"RNDRENC1";
/// Random bytes after the magic; the rest of each segment's nonce is its number and a last flag.
pub const NONCE_BYTES: usize = 7;
/// Plain bytes of each segment but the last.
pub const SEGMENT_BYTES: usize = 64 * 1024;
/// What the cipher adds to each segment.
pub const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = MAGIC.len() + NONCE_BYTES;

/// The random key of one lease. It is shown to nobody but the settler until `settle` reveals it,
/// so it never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct LotKey([u8; 32]);

impl LotKey {
    /// 32 bytes from the system's random source, or those that the chain revealed.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For sealing at rest and for the `settle` call; never for a log.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The commitment that receipts and lot carry, and that `settle` checks the key against.
    pub fn commit(&self) -> B256 {
        keccak256(self.0)
    }
}

impl fmt::Debug for LotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LotKey(hidden)")
    }
}

impl From<B256> for LotKey {
    fn from(key: B256) -> Self {
        Self(key.0)
    }
}

/// `keccak256(key)`.
pub fn key_commit(key: &LotKey) -> B256 {
    key.commit()
}

/// Which file a sealed text is: part of its key and of every segment's tag, so that a file of
/// another unit, attempt or name does not open in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId<'a> {
    pub job_id: JobId,
    pub unit: u32,
    pub attempt: u32,
    pub name: &'a str,
}

impl FileId<'_> {
    /// keccak(abi.encode(jobId, unit, attempt, file name)).
    fn associated_data(&self) -> B256 {
        let words = (self.job_id, U256::from(self.unit), U256::from(self.attempt), self.name);
        keccak256(words.abi_encode_params())
    }

    /// HKDF-SHA256 of the lot key; info is unit and attempt (4 bytes each, big-endian) and name.
    fn key(&self, key: &LotKey) -> Result<[u8; 32], SealError> {
        let info =
            [&self.unit.to_be_bytes()[..], &self.attempt.to_be_bytes(), self.name.as_bytes()];
        let mut file_key = [0; 32];
        Hkdf::<Sha256>::new(None, &key.0)
            .expand_multi_info(&info, &mut file_key)
            .map_err(|_| SealError::TooLong)?;
        Ok(file_key)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("not a sealed file: it does not begin with RNDRENC1")]
    NotSealed,
    #[error("sealed file is cut off: {found} bytes cannot hold its head and one segment")]
    Short { found: usize },
    #[error(
        "segment {segment} does not open: wrong key, or the file was cut, reordered, altered, or \
         belongs to another job, unit, attempt or name"
    )]
    Segment { segment: usize },
    #[error("file is too long to seal: more than 2^32 segments")]
    TooLong,
}

/// Seals a file. `nonce` must be random and new for every file: the caller draws it.
pub fn seal(
    key: &LotKey,
    file: &FileId<'_>,
    plain: &[u8],
    nonce: [u8; NONCE_BYTES],
) -> Result<Vec<u8>, SealError> {
    let cipher = Aes256Gcm::new(&file.key(key)?.into());
    let mut stream = EncryptorBE32::from_aead(cipher, &nonce.into());
    let aad = file.associated_data();
    let aad = aad.as_slice();
    let segments = plain.len().div_ceil(SEGMENT_BYTES).max(1);
    let mut sealed = Vec::with_capacity(HEAD_BYTES + plain.len() + segments * TAG_BYTES);
    sealed.extend_from_slice(MAGIC);
    sealed.extend_from_slice(&nonce);
    let (body, last) = plain.split_at((segments - 1) * SEGMENT_BYTES);
    for segment in body.chunks(SEGMENT_BYTES) {
        let mut buffer = segment.to_vec();
        stream.encrypt_next_in_place(aad, &mut buffer).map_err(|_| SealError::TooLong)?;
        sealed.append(&mut buffer);
    }
    let mut buffer = last.to_vec();
    stream.encrypt_last_in_place(aad, &mut buffer).map_err(|_| SealError::TooLong)?;
    sealed.append(&mut buffer);
    Ok(sealed)
}

/// Opens a sealed file whole, or not at all.
pub fn open(key: &LotKey, file: &FileId<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let rest = sealed.strip_prefix(MAGIC).ok_or(SealError::NotSealed)?;
    let short = SealError::Short { found: sealed.len() };
    let (nonce, body) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(short)?;
    if body.len() < TAG_BYTES {
        return Err(short);
    }
    let cipher = Aes256Gcm::new(&file.key(key)?.into());
    let mut stream = DecryptorBE32::from_aead(cipher, &(*nonce).into());
    let aad = file.associated_data();
    let aad = aad.as_slice();
    let mut segments = body.chunks(SEGMENT_BYTES + TAG_BYTES).enumerate();
    let last = segments.next_back().ok_or(short)?;
    let mut plain = Vec::with_capacity(body.len());
    for (segment, text) in segments {
        let mut buffer = text.to_vec();
        let opened = stream.decrypt_next_in_place(aad, &mut buffer);
        opened.map_err(|_| SealError::Segment { segment })?;
        plain.append(&mut buffer);
    }
    let (segment, text) = last;
    let mut buffer = text.to_vec();
    let opened = stream.decrypt_last_in_place(aad, &mut buffer);
    opened.map_err(|_| SealError::Segment { segment })?;
    plain.append(&mut buffer);
    Ok(plain)
}

#[cfg(test)]
mod tests;
