//! pure: a reduced picture and its watermark -> the JPEG that a payer sees before paying.

use contracts::picture::Reduced;
use font8x8::{BASIC_FONTS, UnicodeFonts};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

const JPEG_QUALITY: u8 = 70;
/// Sine and cosine of 28 degrees in 65,536ths: integers, so that the mark is the same everywhere.
const SIN_28: i64 = 30_767;
const COS_28: i64 = 57_865;
const ONE: i64 = 65_536;
/// Side of a letter's cell.
const CELL: i64 = 8;
/// Cells between two texts of a row, and pixels from one row to the next.
const GAP_CELLS: i64 = 3;
const ROW_HEIGHT: i64 = 22;
/// Share of white, and of the dark shadow one pixel below and right, in hundredths.
const OPACITY: u32 = 38;

/// "PREVIEW job frame payer", short enough to fit twice across a picture.
pub fn mark_text(job: &str, frame: i64, payer: &str) -> String {
    let job: String = job.chars().take(10).collect();
    let payer: String = payer.chars().take(10).collect();
    format!("PREVIEW {job} frame {frame} {payer}")
}

/// The text tiled over the whole picture at 28 degrees, rows in brick offset, as JPEG without
/// metadata. A known overlay can be subtracted: small size and JPEG protect, the text warns.
pub fn watermarked(picture: &Reduced, text: &str) -> Result<Vec<u8>, image::ImageError> {
    let mark = Mark::new(text);
    let mut rgb = picture.rgb8.clone();
    let width = i64::from(picture.w);
    for (pixel, place) in rgb.chunks_exact_mut(3).zip(0i64..) {
        let (x, y) = (place % width, place / width);
        if mark.covers(x, y) {
            blend(pixel, 255);
        } else if mark.covers(x - 1, y - 1) {
            blend(pixel, 0);
        }
    }
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY);
    encoder.encode(&rgb, picture.w, picture.h, ExtendedColorType::Rgb8)?;
    Ok(jpeg)
}

fn blend(pixel: &mut [u8], towards: u32) {
    for channel in pixel {
        let mixed = (u32::from(*channel) * (100 - OPACITY) + towards * OPACITY) / 100;
        *channel = u8::try_from(mixed).unwrap_or(u8::MAX);
    }
}

struct Mark {
    letters: Vec<[u8; 8]>,
}

impl Mark {
    fn new(text: &str) -> Self {
        let letters = text.chars().map(|c| BASIC_FONTS.get(c).unwrap_or([0; 8])).collect();
        Self { letters }
    }

    fn covers(&self, x: i64, y: i64) -> bool {
        let along = (x * COS_28 + y * SIN_28).div_euclid(ONE);
        let across = (y * COS_28 - x * SIN_28).div_euclid(ONE);
        let (row, line) = (across.div_euclid(ROW_HEIGHT), across.rem_euclid(ROW_HEIGHT));
        let cells = i64::try_from(self.letters.len()).unwrap_or(0) + GAP_CELLS;
        let length = cells * CELL;
        // Every other row starts half a text later.
        let shifted = (along + row.rem_euclid(2) * length / 2).rem_euclid(length);
        let letter = usize::try_from(shifted / CELL).ok().and_then(|at| self.letters.get(at));
        let bits = letter.zip(usize::try_from(line).ok()).and_then(|(l, at)| l.get(at).copied());
        bits.is_some_and(|bits| (bits >> (shifted % CELL)) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(w: u32, h: u32) -> Reduced {
        Reduced { w, h, rgb8: vec![100; (w * h * 3) as usize] }
    }

    #[test]
    fn every_region_of_the_picture_carries_the_mark() {
        let text = mark_text("0x1234567890abcdef", 7, "0xAbCdEf0123456789");
        assert_eq!(text, "PREVIEW 0x12345678 frame 7 0xAbCdEf01");
        let mark = Mark::new(&text);
        for (left, top) in [(0, 0), (400, 0), (0, 200), (430, 220), (210, 110)] {
            let inside = |x: i64, y: i64| (x - left, y - top);
            let marked = (0..480i64)
                .flat_map(|x| (0..270i64).map(move |y| (x, y)))
                .filter(|(x, y)| matches!(inside(*x, *y), (0..=49, 0..=49)) && mark.covers(*x, *y))
                .count();
            assert!(marked > 100, "{marked} marked pixels at {left},{top}");
        }
    }

    #[test]
    fn the_jpeg_has_the_reduced_size_and_visible_light_and_shadow() {
        let jpeg = watermarked(&grey(160, 90), "PREVIEW abc frame 1 def").unwrap();
        let seen = image::load_from_memory_with_format(&jpeg, image::ImageFormat::Jpeg).unwrap();
        let seen = seen.to_rgb8();
        assert_eq!(seen.dimensions(), (160, 90));
        let light = seen.pixels().filter(|p| p.0[0] > 130).count();
        let dark = seen.pixels().filter(|p| p.0[0] < 80).count();
        assert!(light > 200 && dark > 200, "{light} light, {dark} dark");
        assert!(!jpeg.windows(4).any(|w| w == b"Exif"));
    }

    #[test]
    fn the_smallest_picture_is_marked_without_panic() {
        assert!(watermarked(&grey(1, 1), "").is_ok());
        assert!(watermarked(&grey(3, 2), "PREVIEW € frame -5").is_ok());
    }
}
