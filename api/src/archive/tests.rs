//! Tests of uploads: hostile archives by construction, and random bytes.

use async_zip::base::write::ZipFileWriter;
use async_zip::{Compression, ZipEntryBuilder};
use proptest::prelude::*;

use super::*;

const SCENE: &[u8] = b"camera { location <0,1,-3> look_at 0 }\nsphere { 0, 1 }\n";

struct Entry {
    name: String,
    bytes: Vec<u8>,
    mode: u16,
}

fn file(name: &str, bytes: &[u8]) -> Entry {
    Entry { name: name.into(), bytes: bytes.to_vec(), mode: 0o100_644 }
}

fn zip(entries: &[Entry]) -> Bytes {
    futures::executor::block_on(async {
        let mut writer = ZipFileWriter::new(Vec::new());
        for Entry { name, bytes, mode } in entries {
            let entry = ZipEntryBuilder::new(name.clone().into(), Compression::Deflate)
                .unix_permissions(*mode);
            writer.write_entry_whole(entry, bytes).await.unwrap();
        }
        Bytes::from(writer.close().await.unwrap())
    })
}

fn refused(entries: &[Entry]) -> UploadError {
    Upload::read(None, &zip(entries)).unwrap_err()
}

#[test]
fn a_single_scene_file_and_a_zip_of_it_have_the_same_manifest() {
    let single = Upload::read(Some("demo.pov"), &Bytes::from_static(SCENE)).unwrap();
    let packed = Upload::read(None, &zip(&[file("demo.pov", SCENE)])).unwrap();
    assert_eq!(single, packed);
    let manifest = single.manifest();
    assert_eq!(manifest.files.len(), 1);
    assert_eq!(manifest.files[0].size, SCENE.len() as u64);
    assert_eq!(manifest.files[0].hash, keccak256(SCENE));
    assert_eq!(single.entries().collect::<Vec<_>>(), ["demo.pov"]);
}

#[test]
fn folders_are_skipped_and_files_sorted_by_path() {
    let mut folder = file("parts/", b"");
    folder.mode = 0o040_755;
    let parts = [file("z.pov", SCENE), folder, file("parts/a.inc", b"#declare A = 1;")];
    let upload = Upload::read(Some("scene.zip"), &zip(&parts)).unwrap();
    assert_eq!(upload.files.keys().collect::<Vec<_>>(), ["parts/a.inc", "z.pov"]);
}

#[test]
fn paths_that_leave_the_scene_are_refused() {
    for path in [
        "../evil.pov",
        "a/../../evil.pov",
        "/etc/passwd.pov",
        "a\\..\\evil.pov",
        "C:/evil.pov",
        "a//b.pov",
        "./a.pov",
        "a/./b.pov",
        "-Oevil.pov",
        "new\nline.pov",
        "",
    ] {
        let error = refused(&[file(path, SCENE)]);
        assert!(matches!(error, UploadError::Path { .. }), "{path}: {error}");
        assert!(!error.is_no_scene());
    }
    let deep = "d/".repeat(16) + "deep.pov";
    assert!(matches!(refused(&[file(&deep, SCENE)]), UploadError::Path { .. }));
}

#[test]
fn links_and_devices_are_refused() {
    for mode in [0o120_777, 0o020_644, 0o060_644, 0o010_644, 0o140_644] {
        let mut link = file("link.pov", b"/etc/passwd");
        link.mode = mode;
        assert_eq!(refused(&[link]), UploadError::Special("link.pov".into()));
    }
}

#[test]
fn archives_inside_and_settings_files_are_refused() {
    let inner = zip(&[file("demo.pov", SCENE)]);
    let nested = [file("demo.pov", SCENE), file("texture.png", &inner)];
    assert_eq!(refused(&nested), UploadError::Nested("texture.png".into()));
    let gzip = [file("demo.pov", SCENE), file("data.bin", b"\x1f\x8b\x08rest")];
    assert_eq!(refused(&gzip), UploadError::Nested("data.bin".into()));
    let ini = [file("demo.pov", SCENE), file("Render.INI", b"Pre_Scene_Command=rm")];
    assert_eq!(refused(&ini), UploadError::Settings("Render.INI".into()));
}

#[test]
fn names_that_collide_are_refused() {
    let twice = [file("a.pov", SCENE), file("a.pov", SCENE)];
    assert_eq!(refused(&twice), UploadError::Twice("a.pov".into()));
    let both = [file("a.pov", SCENE), file("a.pov/b.inc", b"x")];
    assert_eq!(refused(&both), UploadError::Twice("a.pov".into()));
}

#[test]
fn what_holds_no_scene_is_no_scene() {
    let read = |name, bytes: &'static [u8]| Upload::read(name, &Bytes::from_static(bytes));
    assert_eq!(read(Some("a.pov"), b""), Err(UploadError::Empty));
    assert_eq!(read(None, SCENE), Err(UploadError::Unnamed));
    assert_eq!(read(Some("a.blend"), b"BLENDER"), Err(UploadError::NotPov("a.blend".into())));
    assert_eq!(read(Some("a.pov"), b"\x89PNG\r\n\xff"), Err(UploadError::NotText("a.pov".into())));
    assert_eq!(read(Some("a.pov"), b"text\0text"), Err(UploadError::NotText("a.pov".into())));
    assert!(matches!(read(Some("a.zip"), SCENE), Err(UploadError::Broken(_))));
    assert_eq!(refused(&[file("readme.txt", b"hello")]), UploadError::NoScene);
    assert_eq!(refused(&[]), UploadError::NoScene);
    assert!(UploadError::NoScene.is_no_scene());
}

#[test]
fn bombs_are_stopped_by_counted_bytes() {
    let half = vec![0; MAX_UNPACKED / 2 + 1];
    let bomb = zip(&[file("a.pov", &half), file("b.pov", &half)]);
    assert!(bomb.len() < 1024 * 1024, "small when packed");
    assert_eq!(Upload::read(None, &bomb), Err(UploadError::TooLarge));
}

#[test]
fn a_size_that_lies_is_noticed() {
    let mut bytes = zip(&[file("a.pov", &[b' '; 5_000])]).to_vec();
    let honest = 5_000u32.to_le_bytes();
    let places: Vec<usize> =
        (0..bytes.len() - 4).filter(|at| bytes[*at..*at + 4] == honest).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + 4].copy_from_slice(&10u32.to_le_bytes());
    }
    let error = Upload::read(None, &bytes.into()).unwrap_err();
    assert!(matches!(error, UploadError::Broken(_)), "{error}");
}

#[test]
fn too_many_entries_are_refused_before_they_are_read() {
    let many: Vec<Entry> = (0..=MAX_FILES).map(|i| file(&format!("{i}.inc"), b"x")).collect();
    assert_eq!(refused(&many), UploadError::TooManyFiles);
}

#[test]
fn a_giant_count_in_a_zip64_record_takes_no_memory() {
    // End record of zip64 with 2^60 entries, its locator, and the plain end record.
    let mut bytes = b"PK\x05\x06".to_vec();
    bytes.resize(22, 0);
    let record = bytes.len() as u64;
    bytes.extend_from_slice(b"PK\x06\x06");
    bytes.extend_from_slice(&44u64.to_le_bytes());
    bytes.extend_from_slice(&[45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend_from_slice(&(1u64 << 60).to_le_bytes());
    bytes.extend_from_slice(&(1u64 << 60).to_le_bytes());
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend_from_slice(b"PK\x06\x07");
    bytes.extend_from_slice(&0u32.to_le_bytes());
    bytes.extend_from_slice(&record.to_le_bytes());
    bytes.extend_from_slice(&1u32.to_le_bytes());
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff");
    bytes.extend_from_slice(&[0xff; 8]);
    bytes.extend_from_slice(&[0, 0]);
    let error = Upload::read(None, &bytes.into()).unwrap_err();
    assert!(matches!(error, UploadError::Broken(_)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_answered_without_panic(
        tail in proptest::collection::vec(any::<u8>(), 0..2_000),
        name in proptest::option::of("\\PC{0,40}"),
    ) {
        let zip = [&b"PK\x03\x04"[..], &tail].concat();
        let _ = Upload::read(name.as_deref(), &zip.into());
        let _ = Upload::read(name.as_deref(), &tail.into());
    }

    #[test]
    fn a_damaged_archive_never_yields_other_bytes(at in 0usize..1_000, bit in 0u8..8) {
        let good = zip(&[file("a.pov", SCENE), file("sub/b.inc", b"#declare B = 2;")]);
        let honest = Upload::read(None, &good).unwrap();
        let mut bytes = good.to_vec();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(read) = Upload::read(Some("x.zip"), &bytes.into()) {
            for (path, bytes) in &read.files {
                let same = honest.files.values().any(|honest| honest == bytes);
                prop_assert!(same, "{} holds bytes that were never packed", path);
            }
        }
    }

    #[test]
    fn every_path_taken_stays_inside(path in "[a./\\\\:-]{1,12}\\.pov") {
        if let Ok(upload) = Upload::read(None, &zip(&[file(&path, SCENE)])) {
            for path in upload.files.keys() {
                let plain = std::path::Path::new(path).components().all(|part| {
                    matches!(part, std::path::Component::Normal(_))
                });
                prop_assert!(plain, "{}", path);
            }
        }
    }
}
