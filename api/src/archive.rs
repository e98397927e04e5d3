//! An upload's bytes -> the files of a scene, or why it is none; in memory, every byte counted.

use std::collections::BTreeMap;

use alloy::primitives::keccak256;
use async_zip::base::read1::ZipOptions;
use async_zip::base::read1::seek::ZipArchiveReader;
use async_zip::spec::constructs::CDR;
use axum::body::Bytes;
use contracts::scene::{Manifest, SceneFile};
use contracts::spec::check_entry;
use futures::AsyncReadExt;
use futures::io::Cursor;

/// Largest upload: it is held in memory while it is checked.
pub const MAX_UPLOAD: usize = 64 * 1024 * 1024;
/// Most bytes of all files together, unpacked: they are held in memory too.
pub const MAX_UNPACKED: usize = 128 * 1024 * 1024;
/// Most files of a scene; nodes fetch each by itself.
pub const MAX_FILES: usize = 1_000;
/// Deepest folder: deeper ones are made to break programs, not to keep scenes.
const MAX_DEPTH: usize = 16;
/// Bytes unpacked at a time, so that a bomb is noticed within one such piece.
const PIECE: usize = 64 * 1024;

/// A checked upload: each file's bytes by its path, in the order of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub files: BTreeMap<String, Bytes>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    #[error("the body is empty")]
    Empty,
    #[error("the body is no zip, and no name says what file it is; add ?name=scene.pov")]
    Unnamed,
    #[error("`{0}` is no scene file: a single file must be a POV-Ray scene, with a name in .pov")]
    NotPov(String),
    #[error("`{path}`: {problem}")]
    Path { path: String, problem: String },
    #[error("`{0}` is not text in UTF-8, so it is no POV-Ray source")]
    NotText(String),
    #[error("the archive holds no .pov file, so there is nothing to render")]
    NoScene,
    #[error("the archive cannot be read: {0}")]
    Broken(String),
    #[error("the archive has more than {MAX_FILES} entries")]
    TooManyFiles,
    #[error("the files unpack to more than {MAX_UNPACKED} bytes")]
    TooLarge,
    #[error("`{0}` is a link or another special file; only plain files are taken")]
    Special(String),
    #[error("`{0}` is an archive inside the archive")]
    Nested(String),
    #[error("`{0}` is a settings file of the renderer; those can name commands and are not taken")]
    Settings(String),
    #[error("`{0}` stands in the archive twice, or as file and as folder")]
    Twice(String),
}

impl UploadError {
    /// Whether the upload is no scene at all, rather than an archive with something bad in it.
    pub fn is_no_scene(&self) -> bool {
        match self {
            Self::Empty | Self::Unnamed | Self::NotPov(_) | Self::NotText(_) | Self::NoScene => {
                true
            }
            Self::Path { .. }
            | Self::Broken(_)
            | Self::TooManyFiles
            | Self::TooLarge
            | Self::Special(_)
            | Self::Nested(_)
            | Self::Settings(_)
            | Self::Twice(_) => false,
        }
    }
}

impl Upload {
    /// Reads a zip, or one file that `name` names.
    pub fn read(name: Option<&str>, body: &Bytes) -> Result<Self, UploadError> {
        if body.is_empty() {
            return Err(UploadError::Empty);
        }
        let zip = body.starts_with(b"PK\x03\x04") || body.starts_with(b"PK\x05\x06");
        let named_zip = name.is_some_and(|name| ends_with(name, ".zip"));
        let files = match name {
            _ if zip => unpack(body)?,
            Some(_) if named_zip => return Err(UploadError::Broken("it is no zip".into())),
            Some(name) => single(name, body)?,
            None => return Err(UploadError::Unnamed),
        };
        let upload = Self { files };
        upload.check()?;
        Ok(upload)
    }

    fn check(&self) -> Result<(), UploadError> {
        for (path, bytes) in &self.files {
            if is_archive(bytes) {
                return Err(UploadError::Nested(path.clone()));
            }
            if ends_with(path, ".ini") {
                return Err(UploadError::Settings(path.clone()));
            }
            let source = [".pov", ".inc", ".mcr"].iter().any(|end| ends_with(path, end));
            if source && (bytes.contains(&0) || std::str::from_utf8(bytes).is_err()) {
                return Err(UploadError::NotText(path.clone()));
            }
        }
        if self.entries().next().is_none() {
            return Err(UploadError::NoScene);
        }
        Ok(())
    }

    /// The files that a renderer can be started with.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str).filter(|path| ends_with(path, ".pov"))
    }

    pub fn manifest(&self) -> Manifest {
        let file = |(path, bytes): (&String, &Bytes)| SceneFile {
            path: path.clone(),
            size: bytes.len() as u64,
            hash: keccak256(bytes),
        };
        Manifest { files: self.files.iter().map(file).collect() }
    }
}

fn single(name: &str, body: &Bytes) -> Result<BTreeMap<String, Bytes>, UploadError> {
    check_path(name)?;
    if name.contains('/') || !ends_with(name, ".pov") {
        return Err(UploadError::NotPov(clip(name)));
    }
    Ok(BTreeMap::from([(name.to_owned(), body.clone())]))
}

fn unpack(body: &Bytes) -> Result<BTreeMap<String, Bytes>, UploadError> {
    // The reader loads records until they end, whatever number the archive declares.
    let records = body.windows(4).filter(|bytes| *bytes == b"PK\x01\x02").count();
    if records > MAX_FILES {
        return Err(UploadError::TooManyFiles);
    }
    // Memory only: nothing here ever waits.
    futures::executor::block_on(read_zip(body))
}

async fn read_zip(body: &Bytes) -> Result<BTreeMap<String, Bytes>, UploadError> {
    let broken = |error: async_zip::error::ZipError| UploadError::Broken(error.to_string());
    let options = ZipOptions {
        max_cd_num_files: MAX_FILES as u64,
        max_cd_num_files_load: MAX_FILES as u64,
        max_uncompressed_size_per_file: MAX_UNPACKED as u64,
        ..ZipOptions::untrusted()
    };
    let opened = ZipArchiveReader::open_with_options(Cursor::new(&body[..]), options).await;
    let mut archive = opened.map_err(broken)?;
    let records = archive.cdrs().to_vec();
    let mut room = MAX_UNPACKED;
    let mut files = BTreeMap::new();
    for (index, record) in records.iter().enumerate() {
        let Some(path) = plain_file(record)? else { continue };
        let mut entry = archive.file(index).await.map_err(broken)?;
        let mut bytes = Vec::new();
        let mut piece = vec![0; PIECE];
        loop {
            let read = entry.read(&mut piece).await;
            let read = read.map_err(|error| UploadError::Broken(format!("{path}: {error}")))?;
            if read == 0 {
                break;
            }
            room = room.checked_sub(read).ok_or(UploadError::TooLarge)?;
            bytes.extend_from_slice(&piece[..read]);
        }
        if files.insert(path.clone(), Bytes::from(bytes)).is_some() {
            return Err(UploadError::Twice(path));
        }
    }
    for path in files.keys() {
        let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
        if let Some(twice) = folders.into_iter().find(|folder| files.contains_key(*folder)) {
            return Err(UploadError::Twice(twice.to_owned()));
        }
    }
    Ok(files)
}

/// The path of a plain file; None for a folder.
fn plain_file(record: &CDR) -> Result<Option<String>, UploadError> {
    let raw = String::from_utf8_lossy(record.insecure_file_name.as_bytes()).into_owned();
    let Some(name) = record.insecure_file_name.as_str() else {
        let problem = "the name is not marked as UTF-8".into();
        return Err(UploadError::Path { path: clip(&raw), problem });
    };
    let folder = name.strip_suffix('/');
    check_path(folder.unwrap_or(name))?;
    // Unix mode, when the archive was made where there is one: regular file, folder, or nothing.
    let kind = (record.cdrh.exter_attr >> 16) & 0o170_000;
    match (kind, folder) {
        (0 | 0o040_000, Some(_)) => Ok(None),
        (0 | 0o100_000, None) => Ok(Some(name.to_owned())),
        _ => Err(UploadError::Special(clip(name))),
    }
}

fn check_path(path: &str) -> Result<(), UploadError> {
    let wrong = |problem: String| UploadError::Path { path: clip(path), problem };
    if path.starts_with('/') {
        return Err(wrong("is an absolute path; only paths inside the scene are taken".into()));
    }
    check_entry(path).map_err(wrong)?;
    if path.contains(':') {
        return Err(wrong("has a colon, which names drives and streams on some systems".into()));
    }
    if path.split('/').count() > MAX_DEPTH {
        return Err(wrong(format!("lies deeper than {MAX_DEPTH} folders")));
    }
    Ok(())
}

/// By their first bytes: what unpacks into something else.
fn is_archive(bytes: &[u8]) -> bool {
    let heads: [&[u8]; 8] = [
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"\x1f\x8b",
        b"BZh",
        b"\xfd7zXZ\x00",
        b"7z\xbc\xaf\x27\x1c",
        b"Rar!\x1a",
        b"\x28\xb5\x2f\xfd",
    ];
    heads.iter().any(|head| bytes.starts_with(head)) || bytes.get(257..262) == Some(b"ustar")
}

fn ends_with(path: &str, end: &str) -> bool {
    let tail = path.len().checked_sub(end.len()).and_then(|at| path.get(at..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
