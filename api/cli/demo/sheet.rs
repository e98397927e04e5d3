//! One picture of all frames: a grid on a dark ground, in the order of the frames.
use std::path::{Path, PathBuf};

use image::{ImageReader, Rgb, RgbImage, imageops};

use crate::exit::{Exit, Failure, Outcome};

const COLUMNS: u32 = 4;
const GAP: u32 = 8;
const GROUND: Rgb<u8> = Rgb([18, 18, 24]);

/// Writes the sheet; all pictures have the size of the first.
pub fn write(pictures: &[PathBuf], target: &Path) -> Outcome {
    let mut frames = Vec::new();
    for path in pictures {
        frames.push(read(path)?);
    }
    let sheet = lay_out(&frames);
    sheet.save(target).map_err(|error| failed(target, &error))
}

fn read(path: &Path) -> Outcome<RgbImage> {
    let reader = ImageReader::open(path).map_err(|error| failed(path, &error))?;
    let picture = reader.decode().map_err(|error| failed(path, &error))?;
    Ok(picture.to_rgb8())
}

fn lay_out(frames: &[RgbImage]) -> RgbImage {
    let (w, h) = frames.first().map_or((1, 1), RgbImage::dimensions);
    let count = u32::try_from(frames.len()).unwrap_or(u32::MAX).max(1);
    let (columns, rows) = (COLUMNS.min(count), count.div_ceil(COLUMNS));
    let size = |cells: u32, side: u32| cells * (side + GAP) + GAP;
    let mut sheet = RgbImage::from_pixel(size(columns, w), size(rows, h), GROUND);
    for (place, frame) in (0u32..).zip(frames) {
        let x = i64::from(GAP + (place % COLUMNS) * (w + GAP));
        let y = i64::from(GAP + (place / COLUMNS) * (h + GAP));
        imageops::replace(&mut sheet, frame, x, y);
    }
    sheet
}

fn failed(path: &Path, error: &impl std::fmt::Display) -> Failure {
    let message = format!("the picture {}: {error}", path.display());
    Failure::new(Exit::Failed, message, "look at the file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_stand_in_rows_of_four() {
        let frame = |shade: u8| RgbImage::from_pixel(10, 6, Rgb([shade, shade, shade]));
        let frames: Vec<RgbImage> = (1..=6).map(frame).collect();
        let sheet = lay_out(&frames);
        assert_eq!(sheet.dimensions(), (4 * 18 + 8, 2 * 14 + 8));
        assert_eq!(sheet.get_pixel(0, 0), &GROUND);
        assert_eq!(sheet.get_pixel(8, 8), &Rgb([1, 1, 1]));
        assert_eq!(sheet.get_pixel(8 + 3 * 18, 8), &Rgb([4, 4, 4]));
        assert_eq!(sheet.get_pixel(8 + 18, 8 + 14), &Rgb([6, 6, 6]));
        assert_eq!(sheet.get_pixel(8 + 2 * 18, 8 + 14), &GROUND);
    }
}
