//! Tests of picture.rs: sizes, rounding, formats.

use super::*;
use proptest::prelude::*;

fn flat(w: u32, h: u32, channels: u8, bits: u8, value: u8) -> Pixels {
    let len = w as usize * h as usize * usize::from(channels) * usize::from(bits / 8);
    Pixels::new(w, h, channels, bits, vec![value; len]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flat_picture_stays_flat(
        w in 1u32..200,
        h in 1u32..200,
        channels in 1u8..=4,
        wide: bool,
        value: u8,
    ) {
        let bits = if wide { 16 } else { 8 };
        let reduced = reduce(&flat(w, h, channels, bits, value)).unwrap();
        prop_assert_eq!((reduced.w, reduced.h), (w.div_ceil(2), h.div_ceil(2)));
        prop_assert_eq!(reduced.rgb8.len(), (reduced.w * reduced.h * 3) as usize);
        // 16 bits of two equal bytes v are 257 v, which is v in 8 bits.
        prop_assert!(reduced.rgb8.iter().all(|byte| *byte == value));
    }

    #[test]
    fn the_block_side_is_the_least_that_fits(w in 1u32..65_000, h in 1u32..65_000) {
        let k = block_side(w, h);
        prop_assert!(k >= 2 && w.max(h) <= 480 * k);
        prop_assert!(k == 2 || w.max(h) > 480 * (k - 1));
    }
}

#[test]
fn sizes_of_known_pictures() {
    assert_eq!(block_side(320, 180), 2);
    assert_eq!(block_side(960, 540), 2);
    assert_eq!(block_side(961, 540), 3);
    assert_eq!(block_side(1920, 1080), 4);
    let reduced = reduce(&flat(1920, 1080, 3, 8, 9)).unwrap();
    assert_eq!((reduced.w, reduced.h), (480, 270));
}

#[test]
fn blocks_are_rounded_means_and_cut_at_the_edge() {
    // 3 x 1, grey: the first block is (1 + 2) / 2 = 1.5 -> 2, the second is its one pixel.
    let pixels = Pixels::new(3, 1, 1, 8, vec![1, 2, 9]).unwrap();
    assert_eq!(reduce(&pixels).unwrap().rgb8, [2, 2, 2, 9, 9, 9]);
    // 2 x 2 RGBA: alpha plays no part; means 1.25 -> 1, 2.5 -> 3, 255.
    let bytes = [
        [1, 1, 255, 0],
        [1, 2, 255, 9],
        [1, 3, 255, 99],
        [2, 4, 255, 255], //
    ];
    let pixels = Pixels::new(2, 2, 4, 8, bytes.concat()).unwrap();
    assert_eq!(reduce(&pixels).unwrap().rgb8, [1, 3, 255]);
}

#[test]
fn sixteen_bits_become_eight_by_rounding() {
    let sample = |value: u16| {
        let bytes = value.to_be_bytes().to_vec();
        reduce(&Pixels::new(1, 1, 1, 16, bytes).unwrap()).unwrap().rgb8[0]
    };
    assert_eq!((sample(0), sample(128), sample(129), sample(65_535)), (0, 0, 1, 255));
    assert_eq!((sample(32_767), sample(32_768)), (127, 128));
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let size = |w, h| Pixels::new(w, h, 3, 8, vec![]).unwrap_err();
    assert_eq!(size(0, 5), PictureError::Size { w: 0, h: 5 });
    assert_eq!(size(u32::MAX, u32::MAX), PictureError::Size { w: u32::MAX, h: u32::MAX });
    let length = PictureError::Length { found: 11, expected: 12 };
    assert_eq!(Pixels::new(2, 2, 3, 8, vec![0; 11]), Err(length));
    let format = PictureError::Format { channels: 3, bits: 32 };
    assert_eq!(Pixels::new(1, 1, 3, 32, vec![0; 12]), Err(format));
    let format = PictureError::Format { channels: 5, bits: 8 };
    assert_eq!(Pixels::new(1, 1, 5, 8, vec![0; 5]), Err(format));
}
