//! How often a random story is played, and from which seeds: few in the checks, many in full.

/// Names one seed, to play a failed run again.
const SEED: &str = "RNDR_SEED";
/// Set for the whole counts: `scripts/test --full`.
const FULL: &str = "RNDR_FULL";
/// The seed of the first run; the others follow it.
const FIRST: u64 = 2_026;

/// As many seeds as asked for, or the one that is to be played again. Each is printed when its
/// turn comes: the last one before a failure is the one that failed.
pub fn seeds(in_checks: u64, in_full: u64) -> impl Iterator<Item = u64> {
    let (first, count) = match setting(SEED) {
        Some(seed) => (seed, 1),
        None if is_full() => (FIRST, in_full),
        None => (FIRST, in_checks),
    };
    (first..first + count).inspect(|seed| println!("{SEED}={seed}"))
}

pub fn is_full() -> bool {
    std::env::var(FULL).is_ok_and(|value| value == "1")
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a seed is a number"))
}
