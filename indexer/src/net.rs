//! pure: snapshots of a step of final blocks: of each row the last one alone.

use std::collections::HashSet;
use std::hash::Hash;

use store::Step;

/// Nobody can go back to a place inside a step of final blocks, and what a row was there follows
/// from the events, which all stay.
pub fn keep_last(step: &mut Step) {
    last_of(&mut step.accounts, |state| state.account);
    last_of(&mut step.jobs, |state| state.job_id);
    last_of(&mut step.lot_states, |state| state.lot_hash);
    last_of(&mut step.delegates, |state| (state.payer, state.agent));
    last_of(&mut step.offices, |_| ());
    last_of(&mut step.bonds, |state| state.signer);
}

/// Rows are in the order of the chain, and stay so.
fn last_of<T, K: Hash + Eq>(rows: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let mut seen = HashSet::with_capacity(rows.len());
    rows.reverse();
    rows.retain(|row| seen.insert(key(row)));
    rows.reverse();
}
