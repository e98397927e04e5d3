//! pure: the arguments POV-Ray is started with, and what its lines say.
use contracts::spec::{Animation, ExpandedSpec, Format};

/// The base name of the picture inside the output folder.
pub(super) const STEM: &str = "frame";
/// Lines that stand in the problem when none of them names a file.
const CAUSE_LINES: usize = 4;

/// Scene and library paths: includes are found beside the entry and at the scene's root.
pub(super) fn scene_arguments(spec: &ExpandedSpec) -> Vec<String> {
    let mut arguments = vec![format!("+I/in/{}", spec.entry)];
    if let Some((folder, _)) = spec.entry.rsplit_once('/') {
        arguments.push(format!("+L/in/{folder}"));
    }
    arguments.push("+L/in".into());
    // No window, no pause; of its talk only errors and progress.
    arguments.extend(["-D", "-P", "-GD", "-GR", "-GS", "-GW"].map(str::to_owned));
    arguments
}

/// The clock runs from 0 at the animation's first frame to 1 at its last; one frame of it is
/// rendered. With a single frame the clock is 0.
pub(super) fn clock_arguments(animation: &Animation, frame: i64) -> [String; 4] {
    let Animation { first, last, .. } = animation;
    [format!("+KFI{first}"), format!("+KFF{last}"), format!("+SF{frame}"), format!("+EF{frame}")]
}

pub(super) fn render_arguments(spec: &ExpandedSpec, frame: i64, threads: u32) -> Vec<String> {
    let mut arguments = scene_arguments(spec);
    let (flag, extension) = match spec.output.format {
        Format::Png8 => ("+FN8", "png"),
        Format::Png16 => ("+FN16", "png"),
        Format::Jpg => ("+FJ", "jpg"),
    };
    arguments.extend([
        format!("+O/out/{STEM}.{extension}"),
        flag.into(),
        format!("+W{}", spec.resolution.width),
        format!("+H{}", spec.resolution.height),
    ]);
    match &spec.quality.antialias {
        Some(antialias) => {
            let milli = antialias.threshold_milli;
            arguments.extend([
                format!("+A{}.{:03}", milli / 1000, milli % 1000),
                format!("+AM{}", antialias.method),
                format!("+R{}", antialias.depth),
            ]);
        }
        None => arguments.push("-A".into()),
    }
    arguments.push(format!("+WT{}", threads.max(1)));
    arguments.extend(clock_arguments(&spec.animation, frame));
    arguments
}

/// POV-Ray appends the frame's number, padded to the digits of the last one; none when the
/// animation is a single frame.
pub(super) fn picture_name(spec: &ExpandedSpec, frame: i64) -> String {
    let Animation { first, last, .. } = spec.animation;
    let extension = spec.output.format.extension();
    if first == last {
        return format!("{STEM}.{extension}");
    }
    let digits = last.to_string().len();
    format!("{STEM}{frame:0digits$}.{extension}")
}

/// "Rendered 1024 of 57600 pixels (1%)" -> 17 thousandths.
pub(super) fn progress_in(line: &str) -> Option<u16> {
    let mut words = line.strip_prefix("Rendered ")?.split(' ');
    let done: u64 = words.next()?.parse().ok()?;
    let all: u64 = words.nth(1)?.parse().ok()?;
    let thousandths = done.checked_mul(1000)?.checked_div(all)?;
    u16::try_from(thousandths.min(1000)).ok()
}

/// The cause of a failure in the creator's terms: from the last `File '..' line` on, without the
/// sandbox's paths. POV-Ray breaks lines at 79 columns; those that begin with a space go on.
pub(super) fn cause_in(lines: &[String]) -> String {
    const EMPTY_WORDS: [&str; 4] =
        ["Fatal error in parser", "Render failed", "POV-Ray finished", "==== ["];
    let says = |line: &&String| !EMPTY_WORDS.iter().any(|start| line.starts_with(start));
    let from = match lines.iter().rposition(|line| line.starts_with("File '")) {
        Some(from) => from,
        None => lines.len().saturating_sub(CAUSE_LINES),
    };
    let mut cause = String::new();
    for line in lines[from..].iter().filter(says) {
        if !cause.is_empty() && !line.starts_with(' ') {
            cause.push_str("; ");
        }
        cause.push_str(line);
    }
    let cause = cause.replace("/in/", "");
    if cause.is_empty() { "nothing".into() } else { cause }
}

/// "POV-Ray 3.7.0.10.unofficial" -> "3.7.0.10".
pub(super) fn version_in(line: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("POV-Ray ")?;
    let numbers: Vec<&str> = rest
        .split(|c: char| c == '.' || c.is_whitespace())
        .take_while(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    (numbers.len() >= 2).then(|| numbers.join("."))
}
