//! pure: job spec, presets expanded, canonical JSON (RFC 8785), specHash.

use std::collections::BTreeSet;

use alloy::primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};

use crate::frames::Frames;

/// Version of the spec's schema.
pub const VERSION: u32 = 1;
/// Largest width and height: what picture formats can hold.
pub const MAX_SIDE: u32 = 65_000;
/// Most pixels of a picture: it is decoded in memory by node and settler (256 MiB at 8 bytes).
pub const MAX_PIXELS: u64 = 1 << 25;
/// Most units leased together: a lot never crosses a word of 256 units.
pub const MAX_CHUNK: u32 = 256;
pub const MAX_ATTEMPTS: u32 = 3;
/// Shortest and longest time for one unit: start-up takes seconds; no lease may outlive the
/// shortest claim grace, one hour.
pub const MIN_TIMEOUT_SECONDS: u32 = 10;
pub const MAX_TIMEOUT_SECONDS: u32 = 3_600;
pub const MAX_FPS: u32 = 240;
/// Longest path inside a scene, as file systems have it.
pub const MAX_ENTRY_BYTES: usize = 255;

/// What a creator asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    pub version: u32,
    pub engine: Engine,
    pub engine_version: String,
    /// Hash of the scene's manifest.
    pub scene: B256,
    /// The file of the scene that the renderer is started with.
    pub entry: String,
    pub frames: String,
    pub resolution: Resolution,
    #[serde(default)]
    pub quality: Quality,
    #[serde(default)]
    pub output: Output,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub animation: Option<Animation>,
    pub tier: Tier,
    #[serde(default)]
    pub chunk: Chunk,
    #[serde(default = "default_attempts")]
    pub attempts: u32,
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    Povray,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    pub width: u32,
    pub height: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    pub preset: Preset,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    Draft,
    #[default]
    Standard,
    Final,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Png8,
    Png16,
    Jpg,
}

/// The clock of an animation runs from 0 at frame `first` to 1 at frame `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Animation {
    pub fps: u32,
    pub first: i64,
    pub last: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    Trusted,
    Priority,
    Economy,
}

/// How many units a node is given at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chunk {
    pub size: u32,
}

impl Default for Chunk {
    fn default() -> Self {
        Self { size: 4 }
    }
}

fn default_attempts() -> u32 {
    3
}

fn default_timeout() -> u32 {
    600
}

/// The spec with every preset and default written out: what `spec_hash` covers and nodes render.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpandedSpec {
    pub version: u32,
    pub engine: Engine,
    pub engine_version: String,
    pub scene: B256,
    pub entry: String,
    pub frames: Frames,
    pub resolution: Resolution,
    pub quality: ExpandedQuality,
    pub output: Output,
    pub animation: Animation,
    pub tier: Tier,
    pub chunk: Chunk,
    pub attempts: u32,
    pub timeout_seconds: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpandedQuality {
    pub preset: Preset,
    /// None: one ray a pixel.
    pub antialias: Option<Antialias>,
}

/// POV-Ray's `+AM method +R depth +A threshold`, in whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Antialias {
    pub method: u8,
    pub depth: u8,
    /// Thousandths: 100 is `+A0.1`.
    pub threshold_milli: u16,
}

/// What is wrong with one field, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    pub field: String,
    pub message: String,
    pub hint: String,
}

impl Preset {
    pub fn antialias(self) -> Option<Antialias> {
        match self {
            Self::Draft => None,
            Self::Standard => Some(Antialias { method: 2, depth: 3, threshold_milli: 100 }),
            Self::Final => Some(Antialias { method: 2, depth: 4, threshold_milli: 30 }),
        }
    }
}

impl Format {
    /// Ending of the stored file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png8 | Self::Png16 => "png",
            Self::Jpg => "jpg",
        }
    }

    /// Bits of one channel of the decoded picture.
    pub fn bits(self) -> u8 {
        match self {
            Self::Png8 | Self::Jpg => 8,
            Self::Png16 => 16,
        }
    }
}

impl Engine {
    /// As specs and nodes' backends write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Povray => "povray",
        }
    }
}

impl Tier {
    pub const ALL: [Self; 3] = [Self::Trusted, Self::Priority, Self::Economy];

    pub fn name(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Priority => "priority",
            Self::Economy => "economy",
        }
    }
}

impl JobSpec {
    /// Checks every field and expands presets and defaults; all problems are told at once.
    pub fn validate(&self) -> Result<ExpandedSpec, Vec<FieldError>> {
        let mut problems = Problems::default();
        self.check_engine(&mut problems);
        self.check_limits(&mut problems);
        let frames = match Frames::parse(&self.frames) {
            Ok(frames) => frames,
            Err(error) => {
                problems.add("frames", error.to_string(), "for example \"1-8,10-20x2\"");
                return Err(problems.0);
            }
        };
        let animation = self.animation.unwrap_or(Animation {
            fps: 24,
            first: frames.first(),
            last: frames.last(),
        });
        check_animation(&animation, &frames, &mut problems);
        if !problems.0.is_empty() {
            return Err(problems.0);
        }
        let Quality { preset } = self.quality;
        Ok(ExpandedSpec {
            version: self.version,
            engine: self.engine,
            engine_version: self.engine_version.clone(),
            scene: self.scene,
            entry: self.entry.clone(),
            frames,
            resolution: self.resolution,
            quality: ExpandedQuality { preset, antialias: preset.antialias() },
            output: self.output,
            animation,
            tier: self.tier,
            chunk: self.chunk,
            attempts: self.attempts,
            timeout_seconds: self.timeout_seconds,
        })
    }

    fn check_engine(&self, problems: &mut Problems) {
        if self.version != VERSION {
            let message = format!("version {} is unknown", self.version);
            problems.add("version", message, "write 1");
        }
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '~' | '-');
        if !(1..=32).contains(&self.engine_version.len()) || !self.engine_version.chars().all(known)
        {
            let message = "not a version: 1 to 32 letters, digits, dots, +, ~ or -";
            problems.add("engine_version", message, "for example \"3.7.0.10\"");
        }
        if self.scene.is_zero() {
            let hint = "upload the scene with POST /v1/scenes and write the id it answers";
            problems.add("scene", "the zero hash is no scene", hint);
        }
        if let Err(message) = check_entry(&self.entry) {
            problems.add("entry", message, "name a file inside the scene, such as \"demo.pov\"");
        }
    }

    fn check_limits(&self, problems: &mut Problems) {
        let Resolution { width, height } = self.resolution;
        for (field, value, min, max) in [
            ("resolution.width", width, 1, MAX_SIDE),
            ("resolution.height", height, 1, MAX_SIDE),
            ("chunk.size", self.chunk.size, 1, MAX_CHUNK),
            ("attempts", self.attempts, 1, MAX_ATTEMPTS),
            ("timeout_seconds", self.timeout_seconds, MIN_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS),
        ] {
            if !(min..=max).contains(&value) {
                let hint = format!("write a number from {min} to {max}");
                problems.add(field, format!("{value} is outside {min} to {max}"), hint);
            }
        }
        let pixels = u64::from(width) * u64::from(height);
        if width <= MAX_SIDE && height <= MAX_SIDE && pixels > MAX_PIXELS {
            let message = format!("{width}x{height} is {pixels} pixels; at most {MAX_PIXELS}");
            problems.add("resolution", message, "ask for a smaller picture");
        }
    }
}

impl ExpandedSpec {
    /// RFC 8785 text: what is stored, shown and hashed.
    pub fn canonical_json(&self) -> String {
        serde_jcs::to_string(self).expect("integers, strings and named fields always serialise")
    }

    /// keccak256 of the canonical JSON; stands in the order.
    pub fn spec_hash(&self) -> B256 {
        keccak256(self.canonical_json())
    }

    /// How many units the job has: one for each frame.
    pub fn units(&self) -> u32 {
        self.frames.len()
    }

    /// The frame of a unit; None beyond the last.
    pub fn unit_frame(&self, unit: u32) -> Option<i64> {
        self.frames.frame_at(unit)
    }

    /// The unit of a frame; None when the job does not have it.
    pub fn frame_unit(&self, frame: i64) -> Option<u32> {
        self.frames.index_of(frame)
    }
}

#[derive(Default)]
struct Problems(Vec<FieldError>);

impl Problems {
    fn add(&mut self, field: &str, message: impl Into<String>, hint: impl Into<String>) {
        let (message, hint) = (message.into(), hint.into());
        self.0.push(FieldError { field: field.into(), message, hint });
    }
}

fn check_animation(animation: &Animation, frames: &Frames, problems: &mut Problems) {
    let Animation { fps, first, last } = *animation;
    if !(1..=MAX_FPS).contains(&fps) {
        let hint = format!("write a number from 1 to {MAX_FPS}, such as 24");
        problems.add("animation.fps", format!("{fps} is outside 1 to {MAX_FPS}"), hint);
    }
    // POV-Ray 3.7 takes negative numbers and then renders fewer frames than asked.
    if first < 0 {
        let hint = "number the animation from 0 or 1; POV-Ray loses negative frames";
        problems.add("animation.first", format!("frame {first} is below 0"), hint);
    }
    if last < first {
        let hint = "write the last frame of the whole animation";
        problems.add("animation.last", format!("{last} is before first ({first})"), hint);
    } else if frames.first() < first || frames.last() > last {
        let message = format!(
            "frames {} to {} reach outside the animation, {first} to {last}",
            frames.first(),
            frames.last()
        );
        problems.add("frames", message, "widen animation.first and animation.last, or ask less");
    }
}

/// A scene's entry is a relative path of plain names, so that it can only mean a file inside.
pub fn check_entry(entry: &str) -> Result<(), String> {
    if entry.is_empty() || entry.len() > MAX_ENTRY_BYTES {
        return Err(format!("has {} bytes; 1 to {MAX_ENTRY_BYTES} are allowed", entry.len()));
    }
    if entry.chars().any(|c| c.is_control() || c == '\\') {
        return Err("has a backslash or a control character".into());
    }
    let names: BTreeSet<&str> = entry.split('/').collect();
    if names.contains("") || names.contains(".") || names.contains("..") {
        return Err(format!("`{entry}` is not a plain relative path"));
    }
    // The renderer reads a leading dash or plus as an option.
    if entry.starts_with(['-', '+']) {
        return Err(format!("`{entry}` begins like an option"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
