//! pure: a decoded picture as rows of integers, and the reduced picture that previews show.

/// Longest side of a reduced picture.
pub const PREVIEW_SIDE: u32 = 480;

/// Decoded pixels: row by row from the top left, R G B (A), 8 bits or 16 bits big-endian each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    pub w: u32,
    pub h: u32,
    pub channels: u8,
    pub bits: u8,
    pub bytes: Vec<u8>,
}

/// A reduced picture: three bytes a pixel, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduced {
    pub w: u32,
    pub h: u32,
    pub rgb8: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    #[error("picture of {w}x{h} has no pixels, or more than an index can count")]
    Size { w: u32, h: u32 },
    #[error("{channels} channels of {bits} bits; known are 1 to 4 channels of 8 or 16 bits")]
    Format { channels: u8, bits: u8 },
    #[error("picture holds {found} bytes where {expected} belong")]
    Length { found: usize, expected: usize },
}

impl Pixels {
    /// A picture whose size, format and length fit together; nothing else is hashed or reduced.
    pub fn new(
        w: u32,
        h: u32,
        channels: u8,
        bits: u8,
        bytes: Vec<u8>,
    ) -> Result<Self, PictureError> {
        let pixels = Self { w, h, channels, bits, bytes };
        pixels.check()?;
        Ok(pixels)
    }

    pub fn check(&self) -> Result<(), PictureError> {
        let Self { w, h, channels, bits, .. } = *self;
        if !matches!(channels, 1..=4) || !matches!(bits, 8 | 16) {
            return Err(PictureError::Format { channels, bits });
        }
        let count = (w as usize).checked_mul(h as usize);
        let expected = count.and_then(|count| count.checked_mul(self.pixel_bytes()));
        match expected {
            None | Some(0) => Err(PictureError::Size { w, h }),
            Some(expected) if expected == self.bytes.len() => Ok(()),
            Some(expected) => Err(PictureError::Length { found: self.bytes.len(), expected }),
        }
    }

    /// Bytes of one pixel.
    pub fn pixel_bytes(&self) -> usize {
        usize::from(self.channels) * usize::from(self.bits / 8)
    }

    /// `256 * channels + bits`: how pixel hashes name the format.
    pub fn format(&self) -> u32 {
        256 * u32::from(self.channels) + u32::from(self.bits)
    }

    /// One row of a rectangle.
    pub(crate) fn row(&self, x: u32, y: u32, w: u32) -> &[u8] {
        let size = self.pixel_bytes();
        let start = (y as usize * self.w as usize + x as usize) * size;
        &self.bytes[start..start + w as usize * size]
    }

    /// One channel of a pixel as 8 bits; 16 bits are scaled by 255/65535 and rounded, in integers.
    fn sample8(&self, pixel: usize, channel: usize) -> u32 {
        // One or two channels are grey, with or without alpha: grey stands for all colours.
        let channel = if self.channels < 3 { 0 } else { channel };
        let at = pixel * self.pixel_bytes() + channel * usize::from(self.bits / 8);
        if self.bits == 8 {
            u32::from(self.bytes[at])
        } else {
            let wide = u32::from(u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]));
            (wide * 255 + 32_767) / 65_535
        }
    }
}

/// Side of the blocks that are averaged: the least k >= 2 that brings both sides to 480 or less.
pub fn block_side(w: u32, h: u32) -> u32 {
    w.max(h).div_ceil(PREVIEW_SIDE).max(2)
}

/// The reduced picture: each pixel is the rounded integer mean of a k x k block (cut at the right
/// and lower edge), alpha dropped. The same on every machine, so its hash can be signed.
pub fn reduce(pixels: &Pixels) -> Result<Reduced, PictureError> {
    pixels.check()?;
    let k = block_side(pixels.w, pixels.h);
    let (w, h) = (pixels.w.div_ceil(k), pixels.h.div_ceil(k));
    let mut rgb8 = Vec::with_capacity(w as usize * h as usize * 3);
    for by in 0..h {
        for bx in 0..w {
            rgb8.extend(block_mean(pixels, bx * k, by * k, k));
        }
    }
    Ok(Reduced { w, h, rgb8 })
}

/// Rounded mean (halves up) of the block whose top left pixel is (x, y).
fn block_mean(pixels: &Pixels, x: u32, y: u32, k: u32) -> [u8; 3] {
    let (right, bottom) = ((x + k).min(pixels.w), (y + k).min(pixels.h));
    let mut sums = [0u64; 3];
    for row in y..bottom {
        for column in x..right {
            let pixel = row as usize * pixels.w as usize + column as usize;
            for (channel, sum) in sums.iter_mut().enumerate() {
                *sum += u64::from(pixels.sample8(pixel, channel));
            }
        }
    }
    let count = u64::from(right - x) * u64::from(bottom - y);
    // A mean of bytes is a byte.
    sums.map(|sum| u8::try_from((sum + count / 2) / count).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests;
