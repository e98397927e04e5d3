//! Tests of spec.rs: defaults and presets, canonical text and its hash, a message per bad field.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn request() -> Value {
    json!({
        "version": 1,
        "engine": "povray",
        "engine_version": "3.7.0.10",
        "scene": format!("0x{}", "11".repeat(32)),
        "entry": "demo.pov",
        "frames": "1-8,9-12",
        "resolution": {"width": 320, "height": 180},
        "quality": {"preset": "standard"},
        "output": {"format": "png8"},
        "animation": {"fps": 24, "first": 1, "last": 12},
        "tier": "economy",
        "chunk": {"size": 4},
        "attempts": 3,
        "timeout_seconds": 600,
    })
}

fn read(value: &Value) -> JobSpec {
    serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{e}: {value}"))
}

fn with(path: &[&str], value: Value) -> Value {
    let mut spec = request();
    let mut at = &mut spec;
    for key in path {
        at = &mut at[*key];
    }
    *at = value;
    spec
}

fn fields(value: &Value) -> Vec<String> {
    let errors = read(value).validate().expect_err("the spec should be refused");
    for error in &errors {
        assert!(!error.message.is_empty() && !error.hint.is_empty(), "{error:?}");
    }
    errors.into_iter().map(|error| error.field).collect()
}

#[test]
fn expanded_spec_is_whole_and_canonical() {
    let spec = read(&request()).validate().unwrap();
    let text = "{\"animation\":{\"first\":1,\"fps\":24,\"last\":12},\"attempts\":3,\
        \"chunk\":{\"size\":4},\"engine\":\"povray\",\"engine_version\":\"3.7.0.10\",\
        \"entry\":\"demo.pov\",\"frames\":\"1-12\",\"output\":{\"format\":\"png8\"},\
        \"quality\":{\"antialias\":{\"depth\":3,\"method\":2,\"threshold_milli\":100},\
        \"preset\":\"standard\"},\"resolution\":{\"height\":180,\"width\":320},\
        \"scene\":\"0x1111111111111111111111111111111111111111111111111111111111111111\",\
        \"tier\":\"economy\",\"timeout_seconds\":600,\"version\":1}";
    assert_eq!(spec.canonical_json(), text);
    assert_eq!(spec.spec_hash(), keccak256(text));
    assert_eq!(spec.units(), 12);
    assert_eq!(spec.unit_frame(0), Some(1));
    assert_eq!(spec.unit_frame(11), Some(12));
    assert_eq!(spec.unit_frame(12), None);
    assert_eq!(spec.frame_unit(9), Some(8));
    assert_eq!(spec.frame_unit(13), None);
}

#[test]
fn defaults_expand_to_what_they_stand_for() {
    let mut short = request();
    for key in ["quality", "output", "animation", "chunk", "attempts", "timeout_seconds"] {
        short.as_object_mut().unwrap().remove(key);
    }
    let whole = read(&request()).validate().unwrap();
    assert_eq!(read(&short).validate().unwrap().spec_hash(), whole.spec_hash());
}

#[test]
fn presets_are_the_renderers_numbers() {
    let quality = |preset: &str| {
        let spec = read(&with(&["quality", "preset"], preset.into())).validate().unwrap();
        spec.quality.antialias.map(|a| (a.method, a.depth, a.threshold_milli))
    };
    assert_eq!(quality("draft"), None);
    assert_eq!(quality("standard"), Some((2, 3, 100)));
    assert_eq!(quality("final"), Some((2, 4, 30)));
}

proptest! {
    #[test]
    fn expanded_spec_reads_back_with_the_same_hash(
        width in 1u32..2000,
        height in 1u32..2000,
        first in 0i64..1000,
        count in 1i64..400,
        step in 1i64..9,
        preset in prop_oneof!["draft", "standard", "final"],
        format in prop_oneof!["png8", "png16", "jpg"],
        tier in prop_oneof!["trusted", "priority", "economy"],
        size in 1u32..=256,
        attempts in 1u32..=3,
    ) {
        let mut spec = request();
        let last = first + count;
        spec["resolution"] = json!({"width": width, "height": height});
        spec["frames"] = format!("{first}-{last}x{step}").into();
        spec["animation"] = json!({"fps": 24, "first": first, "last": last});
        spec["quality"]["preset"] = preset.into();
        spec["output"]["format"] = format.into();
        spec["tier"] = tier.into();
        spec["chunk"]["size"] = size.into();
        spec["attempts"] = attempts.into();
        let expanded = read(&spec).validate().unwrap();
        let text = expanded.canonical_json();
        let again: ExpandedSpec = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&again, &expanded);
        prop_assert_eq!(again.canonical_json(), text);
        for unit in 0..expanded.units() {
            let frame = expanded.unit_frame(unit).unwrap();
            prop_assert_eq!(expanded.frame_unit(frame), Some(unit));
        }
    }

    #[test]
    fn entries_never_leave_the_scene(entry in "[a-z./\\\\ \\-+]{0,20}") {
        if check_entry(&entry).is_ok() {
            let path = std::path::Path::new(&entry);
            prop_assert!(path.is_relative());
            let plain = |c| matches!(c, std::path::Component::Normal(_));
            prop_assert!(path.components().all(plain));
        }
    }
}

#[test]
fn every_bad_field_is_named() {
    assert_eq!(fields(&with(&["version"], 2.into())), ["version"]);
    assert_eq!(fields(&with(&["engine_version"], "".into())), ["engine_version"]);
    assert_eq!(fields(&with(&["engine_version"], "3.7; rm".into())), ["engine_version"]);
    let zero = format!("0x{}", "00".repeat(32));
    assert_eq!(fields(&with(&["scene"], zero.into())), ["scene"]);
    for entry in ["", "/etc/passwd", "../x.pov", "a/../b", "a//b", ".", "-x", "+Ix", "a\\b", "a\0"]
    {
        assert_eq!(fields(&with(&["entry"], entry.into())), ["entry"], "{entry}");
    }
    assert_eq!(fields(&with(&["resolution", "width"], 0.into())), ["resolution.width"]);
    assert_eq!(fields(&with(&["resolution", "height"], 65_001.into())), ["resolution.height"]);
    let huge = json!({"width": 65_000, "height": 65_000});
    assert_eq!(fields(&with(&["resolution"], huge)), ["resolution"]);
    assert_eq!(fields(&with(&["chunk", "size"], 0.into())), ["chunk.size"]);
    assert_eq!(fields(&with(&["chunk", "size"], 257.into())), ["chunk.size"]);
    assert_eq!(fields(&with(&["attempts"], 0.into())), ["attempts"]);
    assert_eq!(fields(&with(&["attempts"], 4.into())), ["attempts"]);
    assert_eq!(fields(&with(&["timeout_seconds"], 9.into())), ["timeout_seconds"]);
    assert_eq!(fields(&with(&["timeout_seconds"], 3_601.into())), ["timeout_seconds"]);
    assert_eq!(fields(&with(&["frames"], "1-99999999".into())), ["frames"]);
    assert_eq!(fields(&with(&["frames"], "1-13".into())), ["frames"]);
    assert_eq!(fields(&with(&["animation", "first"], 2.into())), ["frames"]);
    assert_eq!(fields(&with(&["animation", "fps"], 0.into())), ["animation.fps"]);
    assert_eq!(fields(&with(&["animation", "first"], (-1).into())), ["animation.first"]);
    assert_eq!(fields(&with(&["animation", "last"], 0.into())), ["animation.last"]);
}

#[test]
fn all_problems_are_told_at_once() {
    let mut bad = request();
    bad["attempts"] = 9.into();
    bad["entry"] = "/x".into();
    bad["frames"] = "one".into();
    assert_eq!(fields(&bad), ["entry", "attempts", "frames"]);
}

#[test]
fn unknown_fields_and_words_are_refused() {
    for (path, value, word) in [
        (vec!["colour"], json!(1), "colour"),
        (vec!["resolution", "depth"], json!(1), "depth"),
        (vec!["engine"], json!("blender"), "blender"),
        (vec!["tier"], json!("gold"), "gold"),
        (vec!["output", "format"], json!("exr"), "exr"),
        (vec!["resolution", "width"], json!(-1), "number"),
        (vec!["attempts"], json!("3"), "3"),
    ] {
        let error = serde_json::from_value::<JobSpec>(with(&path, value)).unwrap_err();
        assert!(error.to_string().contains(word), "{path:?}: {error}");
    }
}

#[test]
fn formats_and_tiers_have_their_words() {
    for tier in Tier::ALL {
        assert_eq!(serde_json::to_value(tier).unwrap(), tier.name());
    }
    assert_eq!((Format::Png16.extension(), Format::Png16.bits()), ("png", 16));
    assert_eq!((Format::Jpg.extension(), Format::Jpg.bits()), ("jpg", 8));
}
