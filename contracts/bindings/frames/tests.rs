//! Tests of frames.rs: the grammar of the API, canonical text, limits before expansion.

use super::*;
use proptest::prelude::*;

fn list(text: &str) -> Vec<i64> {
    Frames::parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).iter().collect()
}

fn canonical(text: &str) -> String {
    Frames::parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).to_string()
}

fn refused(text: &str) -> String {
    Frames::parse(text).expect_err(text).to_string()
}

fn sets() -> impl Strategy<Value = Vec<i64>> {
    let scattered = proptest::collection::btree_set(-60i64..60, 1..50);
    let stepped = (-1000i64..1000, 1i64..40, 1i64..60)
        .prop_map(|(first, step, count)| (0..count).map(|i| first + i * step).collect());
    prop_oneof![
        scattered.prop_map(|set| set.into_iter().collect::<Vec<_>>()),
        stepped,
        proptest::collection::vec(i64::from(i32::MIN)..=i64::from(i32::MAX), 1..60),
    ]
}

proptest! {
    #[test]
    fn printed_text_reads_back_the_same(numbers in sets()) {
        let frames = Frames::from_numbers(numbers).unwrap();
        let text = frames.to_string();
        let again = Frames::parse(&text).unwrap();
        prop_assert_eq!(&again, &frames);
        prop_assert_eq!(again.to_string(), text.clone());
        // Canonical text names each frame once.
        prop_assert_eq!(Frames::parse_strict(&text).unwrap(), frames.clone());
        let json = serde_json::to_string(&frames).unwrap();
        prop_assert_eq!(serde_json::from_str::<Frames>(&json).unwrap(), frames);
    }

    #[test]
    fn place_and_frame_are_two_views(numbers in sets()) {
        let frames = Frames::from_numbers(numbers).unwrap();
        prop_assert_eq!(frames.len() as usize, frames.iter().len());
        for (index, frame) in (0u32..).zip(frames.iter()) {
            prop_assert_eq!(frames.index_of(frame), Some(index));
            prop_assert_eq!(frames.frame_at(index), Some(frame));
            prop_assert!(frames.contains(frame));
        }
        prop_assert_eq!(frames.frame_at(frames.len()), None);
        prop_assert_eq!(frames.iter().next(), Some(frames.first()));
        prop_assert_eq!(frames.iter().last(), Some(frames.last()));
    }

    #[test]
    fn ranges_name_what_arithmetic_names(a in -300i64..300, b in -300i64..300, n in 2i64..50) {
        let (low, high) = (a.min(b), a.max(b));
        prop_assert_eq!(list(&format!("{a}-{b}")), (low..=high).collect::<Vec<_>>());
        let on_step = |f: &i64| (f - a) % n == 0;
        let stepped: Vec<i64> = (low..=high).filter(on_step).collect();
        for word in ["x", ":", "step", "by", "every"] {
            prop_assert_eq!(list(&format!("{a}-{b}{word}{n}")), stepped.clone());
        }
        let others: Vec<i64> = (low..=high).filter(|f| !on_step(f)).collect();
        match Frames::parse(&format!("{a}-{b}y{n}")) {
            Ok(frames) => prop_assert_eq!(frames.iter().collect::<Vec<_>>(), others),
            Err(error) => {
                prop_assert!(others.is_empty());
                prop_assert_eq!(error, FramesError::Empty);
            }
        }
    }

    #[test]
    fn intersection_is_that_of_sets(a in sets(), b in sets()) {
        let (a, b) = (Frames::from_numbers(a).unwrap(), Frames::from_numbers(b).unwrap());
        let expected: Vec<i64> = a.iter().filter(|f| b.contains(*f)).collect();
        let both: Vec<i64> = a.intersect(&b).map(|f| f.iter().collect()).unwrap_or_default();
        prop_assert_eq!(both, expected);
        prop_assert_eq!(a.intersect(&a), Some(a.clone()));
        let missing = a.missing_in(&b).count();
        let common = a.intersect(&b).map_or(0, |f| f.len());
        prop_assert_eq!(missing, (a.len() - common) as usize);
    }

    #[test]
    fn any_text_is_answered_without_panic(text in "[-0-9xy:., stepbyvr]{0,40}|\\PC{0,40}") {
        if let Ok(frames) = Frames::parse(&text) {
            prop_assert_eq!(Frames::parse(&frames.to_string()), Ok(frames));
        }
    }
}

#[test]
fn grammar_of_the_api() {
    assert_eq!(list("5"), [5]);
    assert_eq!(list("-5--1"), [-5, -4, -3, -2, -1]);
    assert_eq!(list("-2"), [-2]);
    assert_eq!(list("1..4"), [1, 2, 3, 4]);
    assert_eq!(list("-2..1"), [-2, -1, 0, 1]);
    assert_eq!(list("1-10x3"), [1, 4, 7, 10]);
    assert_eq!(list("10-1x4"), [2, 6, 10]);
    assert_eq!(list("1-7y3"), [2, 3, 5, 6]);
    assert_eq!(list(" 1 - 3 , 7 "), [1, 2, 3, 7]);
    assert_eq!(list("1-3,2-4,3"), [1, 2, 3, 4]);
    assert_eq!(list("1-5by2"), [1, 3, 5]);
    assert_eq!(list("1-8,9-12").len(), 12);
}

#[test]
fn canonical_text_is_ascending_and_merged() {
    assert_eq!(canonical("1-8,9-12"), "1-12");
    assert_eq!(canonical("12,1,3,2"), "1-3,12");
    assert_eq!(canonical("1,3,5,7"), "1-7x2");
    assert_eq!(canonical("1,3"), "1,3");
    assert_eq!(canonical("1,2"), "1-2");
    assert_eq!(canonical("10-1"), "1-10");
    assert_eq!(canonical("10-1x3"), "1-10x3");
    assert_eq!(canonical("1,2,4,6,8"), "1-2,4-8x2");
    assert_eq!(canonical("-3--1"), "-3--1");
    assert_eq!(canonical("1-10y2"), "2-10x2");
}

#[test]
fn limits_hold_before_anything_is_expanded() {
    let error = refused("1-99999999");
    assert!(error.contains("1-99999999") && error.contains("1048576"), "{error}");
    assert!(refused("-2147483648-2147483647").contains("4294967296 frames"));
    assert!(refused("1-1048576,7").contains("1048577"));
    assert_eq!(Frames::parse("1-1048576").unwrap().len(), 1 << 20);
    assert_eq!(Frames::parse("1-2097152x2").unwrap().len(), 1 << 20);
    let long = "1,".repeat(40_000);
    assert_eq!(Frames::parse(&long), Err(FramesError::TooLong { bytes: 80_000 }));
    // Few bytes in, many bytes out: the canonical text must stay readable too.
    assert_eq!(Frames::parse("1-1000000y3"), Err(FramesError::TooScattered));
    let many = (0..(1 << 20) + 1).map(i64::from);
    assert!(matches!(Frames::from_numbers(many), Err(FramesError::TooMany { .. })));
    let far = Frames::from_numbers([i64::from(i32::MAX) + 1]).unwrap_err();
    assert!(far.to_string().contains("2^31"), "{far}");
}

#[test]
fn errors_name_the_item_and_what_to_write() {
    let bare = refused("1-3,1:100");
    assert!(bare.contains("`1:100`") && bare.contains("write 1-100"), "{bare}");
    assert!(refused("1-10x0").contains("step 0"));
    assert!(refused("1-10x-2").contains("step -2"));
    assert!(refused("1-10y1").contains("y1 leaves no frame"));
    assert!(refused("1..10x2").contains("a-bxn"));
    assert!(refused("1,,2").contains("item 2"));
    assert!(refused("1,").contains("item 2"));
    assert_eq!(refused(""), FramesError::Empty.to_string());
    assert_eq!(refused("  "), FramesError::Empty.to_string());
    assert!(refused("abc").contains("`abc`"));
    assert!(refused("1-").contains("missing"));
    assert!(refused("1-10x").contains("missing"));
    assert!(refused("1-10x2z").contains("`z` follows the step"));
    assert!(refused("1-10z2").contains("`z2`"));
    assert!(refused("1.5").contains("`1.5`"));
    assert!(refused("99999999999").contains("2^31"));
    assert!(refused("1-99999999999999999999999").contains("2^31"));
}

#[test]
fn strict_refuses_overlaps() {
    assert_eq!(Frames::parse_strict("1-5,5-9"), Err(FramesError::Overlap { frame: 5 }));
    assert_eq!(Frames::parse_strict("1-4,5-9").map(|f| f.len()), Ok(9));
}
