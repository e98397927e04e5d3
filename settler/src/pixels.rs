//! pure: a stored picture -> the pixels that receipts are about.

use std::io::Cursor;

use contracts::picture::{PictureError, Pixels};
use contracts::spec::{Format, MAX_PIXELS, MAX_SIDE};
use image::{DynamicImage, ImageFormat, ImageReader, Limits};

/// Memory one decoder may take: 8 bytes for each pixel of the largest picture, and tables.
const DECODER_BYTES: u64 = MAX_PIXELS * 8 + (32 << 20);

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("the file is no readable {format:?} picture: {source}")]
    Unreadable { format: ImageFormat, source: image::ImageError },
    #[error("the picture's colours ({found}) are none of grey, RGB and RGBA of 8 or 16 bits")]
    Colours { found: String },
    #[error(transparent)]
    Picture(#[from] PictureError),
}

/// Width and height that a picture's head claims; nothing is decoded yet.
pub fn size(bytes: &[u8], format: Format) -> Result<(u32, u32), DecodeError> {
    let format = image_format(format);
    let unreadable = |source| DecodeError::Unreadable { format, source };
    reader(bytes, format).into_dimensions().map_err(unreadable)
}

/// Decodes a picture of a known format, within limits on size and memory.
pub fn decode(bytes: &[u8], format: Format) -> Result<Pixels, DecodeError> {
    let format = image_format(format);
    let unreadable = |source| DecodeError::Unreadable { format, source };
    let picture = reader(bytes, format).decode().map_err(unreadable)?;
    let (w, h) = (picture.width(), picture.height());
    let (channels, bits, bytes) = raw(picture)?;
    Ok(Pixels::new(w, h, channels, bits, bytes)?)
}

fn image_format(format: Format) -> ImageFormat {
    match format {
        Format::Png8 | Format::Png16 => ImageFormat::Png,
        Format::Jpg => ImageFormat::Jpeg,
    }
}

fn reader(bytes: &[u8], format: ImageFormat) -> ImageReader<Cursor<&[u8]>> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(DECODER_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    reader
}

fn raw(picture: DynamicImage) -> Result<(u8, u8, Vec<u8>), DecodeError> {
    Ok(match picture {
        DynamicImage::ImageLuma8(grey) => (1, 8, grey.into_raw()),
        DynamicImage::ImageRgb8(rgb) => (3, 8, rgb.into_raw()),
        DynamicImage::ImageRgba8(rgba) => (4, 8, rgba.into_raw()),
        DynamicImage::ImageLuma16(grey) => (1, 16, big_endian(&grey.into_raw())),
        DynamicImage::ImageRgb16(rgb) => (3, 16, big_endian(&rgb.into_raw())),
        DynamicImage::ImageRgba16(rgba) => (4, 16, big_endian(&rgba.into_raw())),
        other => return Err(DecodeError::Colours { found: format!("{:?}", other.color()) }),
    })
}

fn big_endian(samples: &[u16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageBuffer, Rgb};

    fn encoded(picture: DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn sixteen_bits_are_big_endian_and_rows_run_from_the_top_left() {
        let picture = ImageBuffer::from_fn(2, 1, |x, _| Rgb([0x0102u16, 0x0304, x as u16]));
        let bytes = encoded(DynamicImage::ImageRgb16(picture), ImageFormat::Png);
        let pixels = decode(&bytes, Format::Png16).unwrap();
        assert_eq!((pixels.w, pixels.h, pixels.channels, pixels.bits), (2, 1, 3, 16));
        assert_eq!(pixels.bytes, [1, 2, 3, 4, 0, 0, 1, 2, 3, 4, 0, 1]);
    }

    #[test]
    fn eight_bits_and_jpeg_are_read_and_other_files_refused() {
        let picture = ImageBuffer::from_pixel(3, 2, Rgb([9u8, 8, 7]));
        let png = encoded(DynamicImage::ImageRgb8(picture.clone()), ImageFormat::Png);
        assert_eq!(decode(&png, Format::Png8).unwrap().bytes, [9, 8, 7].repeat(6));
        let jpg = encoded(DynamicImage::ImageRgb8(picture), ImageFormat::Jpeg);
        assert_eq!(decode(&jpg, Format::Jpg).unwrap().bits, 8);
        assert!(decode(&png, Format::Jpg).is_err());
        assert!(decode(&png[..png.len() / 2], Format::Png8).is_err());
        assert!(decode(b"", Format::Png8).is_err());
    }
}
