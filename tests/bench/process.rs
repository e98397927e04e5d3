//! What processes use, as the kernel tells it in `/proc`: processor time, memory; and the machine.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// Ticks of `/proc` a second: the kernel tells user space 100 on every architecture of ours.
const TICKS: u64 = 100;

/// Processor time of a process and all below it, also of those that ended and were waited for.
pub fn cpu(root: u32) -> Duration {
    let ticks: u64 = tree(root).into_iter().filter_map(ticks_of).sum();
    Duration::from_millis(ticks * 1_000 / TICKS)
}

/// Most memory that a process ever had, in bytes.
pub fn peak_rss(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    kilobytes(&status, "VmHWM:")
}

/// Memory of a process and all below it now, shared pages counted once, in bytes.
pub fn pss(root: u32) -> u64 {
    let of = |process| fs::read_to_string(format!("/proc/{process}/smaps_rollup"));
    let all = tree(root).into_iter().filter_map(|process| of(process).ok());
    all.map(|text| kilobytes(&text, "Pss:")).sum()
}

pub fn parent(process: u32) -> Option<u32> {
    fields(process)?.get(1)?.parse().ok()
}

/// One-minute load of the machine.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0) * 1_024
}

/// Fields of `/proc/PID/stat` after the program's name, which may hold spaces: the first is the
/// state, the second the parent.
fn fields(process: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// User and system time, its own and of children that it waited for.
fn ticks_of(process: u32) -> Option<u64> {
    const USER: usize = 11;
    let fields = fields(process)?;
    let times = fields.get(USER..USER + 4)?.iter();
    Some(times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum())
}

fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for process in all {
        if let Some(parent) = parent(process) {
            children.entry(parent).or_default().push(process);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(process) = found.get(next) {
        found.extend(children.remove(process).unwrap_or_default());
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_time_and_memory_and_has_a_parent() {
        let own = std::process::id();
        let before = cpu(own);
        let mut sum = 0u64;
        while cpu(own) == before {
            sum = (0..1_000_000).fold(sum, |sum, number| sum.wrapping_mul(31).wrapping_add(number));
        }
        assert!(cpu(own) > before, "{sum}");
        assert!(peak_rss(own) > 1 << 20 && pss(own) > 1 << 20);
        assert!(parent(own).is_some_and(|parent| tree(parent).contains(&own)));
        assert_eq!(peak_rss(u32::MAX), 0, "nobody has this number");
    }
}
