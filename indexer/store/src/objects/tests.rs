//! Tests of objects.rs: stored under the hash, once, whole, and checked on the way out.

use std::path::PathBuf;

use super::*;

fn file(folder: &Path, hash: B256) -> PathBuf {
    let name = hex::encode(hash);
    folder.join(&name[..2]).join(name)
}

/// Every file under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn bytes_are_kept_under_their_hash_until_they_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(&folder.path().join("new/objects")).await.unwrap();
    let bytes = Bytes::from_static(b"a picture");
    let hash = keccak256(&bytes);
    assert_eq!(objects.get(hash).await.unwrap(), None);
    assert!(!objects.has(hash).await.unwrap());
    assert_eq!(objects.put(bytes.clone()).await.unwrap(), hash);
    assert_eq!(objects.get(hash).await.unwrap(), Some(bytes));
    assert!(objects.has(hash).await.unwrap());
    objects.delete(hash).await.unwrap();
    objects.delete(hash).await.unwrap();
    assert_eq!(objects.get(hash).await.unwrap(), None);
    let empty = objects.put(Bytes::new()).await.unwrap();
    assert_eq!(objects.get(empty).await.unwrap(), Some(Bytes::new()));
}

#[tokio::test]
async fn the_same_bytes_are_written_once_and_leave_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path()).await.unwrap();
    let bytes = Bytes::from(vec![7; 100_000]);
    let many = (0..8).map(|_| objects.put(bytes.clone()));
    let hashes = futures::future::try_join_all(many).await.unwrap();
    let path = file(folder.path(), hashes[0]);
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    objects.put(bytes).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), written);
    assert_eq!(files(folder.path()), [path]);
}

#[tokio::test]
async fn a_damaged_file_is_never_handed_out_and_a_cut_one_is_mended_by_a_put() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path()).await.unwrap();
    let bytes = Bytes::from_static(b"0123456789");
    let hash = objects.put(bytes.clone()).await.unwrap();
    std::fs::write(file(folder.path(), hash), b"0123456780").unwrap();
    let error = objects.get(hash).await.unwrap_err();
    assert!(matches!(error, Error::DamagedObject(h) if h == hash), "{error}");
    std::fs::write(file(folder.path(), hash), b"01234").unwrap();
    objects.put(bytes.clone()).await.unwrap();
    assert_eq!(objects.get(hash).await.unwrap(), Some(bytes));
}

#[tokio::test]
async fn what_a_crash_left_half_written_is_no_object() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(folder.path()).await.unwrap();
    let bytes = Bytes::from_static(b"whole");
    let hash = keccak256(&bytes);
    // The store writes beside the place first, under the name with #1 and so on.
    let path = file(folder.path(), hash);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let staged = format!("{}#1", path.display());
    std::fs::write(&staged, b"who").unwrap();
    assert_eq!(objects.get(hash).await.unwrap(), None);
    assert!(!objects.has(hash).await.unwrap());
    objects.put(bytes.clone()).await.unwrap();
    assert_eq!(objects.get(hash).await.unwrap(), Some(bytes));
}
