//! Reads a scene's files before any render: what POV-Ray must not be given is named here.
use std::path::Path;

use super::{BackendError, io_error, scan};

/// The longest text a preflight reads; a larger one is no hand-written or exported scene.
const MAX_SCENE_TEXT: u64 = 256 << 20;
/// A folder deeper than this is not a scene's.
const MAX_DEPTH: usize = 16;

/// Refuses INI files (they can name shell commands) and words that no second run repeats.
pub(super) fn check_files(scene_dir: &Path, entry: &str) -> Result<(), BackendError> {
    let lower = entry.to_ascii_lowercase();
    if !lower.ends_with(".pov") {
        return Err(BackendError::Scene(format!(
            "the entry {entry} is no POV-Ray scene; name a file that ends in .pov"
        )));
    }
    if !scene_dir.join(entry).is_file() {
        return Err(BackendError::Scene(format!(
            "the scene has no file {entry}; upload it, or name another entry"
        )));
    }
    let mut folders = vec![(scene_dir.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        if depth > MAX_DEPTH {
            let problem = format!("its folders are nested deeper than {MAX_DEPTH}");
            return Err(BackendError::Scene(problem));
        }
        let doing = || io_error(format!("reading {}", folder.display()));
        for item in std::fs::read_dir(&folder).map_err(doing())? {
            let item = item.map_err(doing())?;
            if item.file_type().map_err(doing())?.is_dir() {
                folders.push((item.path(), depth + 1));
            } else {
                check_file(scene_dir, &item.path())?;
            }
        }
    }
    Ok(())
}

fn check_file(scene_dir: &Path, path: &Path) -> Result<(), BackendError> {
    let name = path.strip_prefix(scene_dir).unwrap_or(path).display();
    let extension = path.extension().and_then(|text| text.to_str()).map(str::to_ascii_lowercase);
    let extension = extension.unwrap_or_default();
    if extension == "ini" {
        return Err(BackendError::Scene(format!(
            "{name} is an INI file, and these can name shell commands; put its settings into the \
             job spec and leave the file out"
        )));
    }
    let doing = || io_error(format!("reading {}", path.display()));
    let source = matches!(extension.as_str(), "pov" | "inc" | "mac");
    if std::fs::metadata(path).map_err(doing())?.len() > MAX_SCENE_TEXT {
        if source {
            let problem = format!("{name} is longer than {MAX_SCENE_TEXT} bytes; split it");
            return Err(BackendError::Scene(problem));
        }
        return Ok(());
    }
    let text = std::fs::read(path).map_err(doing())?;
    // Pictures, fonts and volumes hold zero bytes; a text that does is no POV-Ray source.
    if text.contains(&0) {
        if source {
            return Err(BackendError::Scene(format!("{name} is no text: it has zero bytes")));
        }
        return Ok(());
    }
    match scan::refused_word(&text) {
        None => Ok(()),
        Some(finding) => Err(BackendError::Scene(format!(
            "{name} line {}: `{}` is refused: {}",
            finding.line, finding.word, finding.reason
        ))),
    }
}
