//! pure: when an intent is tried, looked at or sent again; all that a restart may forget.

use std::collections::HashMap;

use alloy::primitives::B256;

/// A parked intent is tried again after this, doubled each time, as its cause may have gone.
const FIRST_RETRY: i64 = 5;
const LAST_RETRY: i64 = 300;
/// An intent that nobody wants now is looked at this often: somebody else may have done it.
const LOOK_AGAIN: i64 = 60;

#[derive(Debug, Default)]
pub struct Pace {
    sent_at: HashMap<B256, i64>,
    /// When it is tried again, and how long the wait before that is.
    retries: HashMap<i64, (i64, i64)>,
    looks: HashMap<i64, i64>,
}

impl Pace {
    pub fn sent(&mut self, tx_hash: B256, now: i64) {
        self.sent_at.insert(tx_hash, now);
    }

    /// None: not by this process.
    pub fn sent_at(&self, tx_hash: B256) -> Option<i64> {
        self.sent_at.get(&tx_hash).copied()
    }

    /// The intent was parked; how long it rests.
    pub fn parked(&mut self, intent_id: i64, now: i64) -> i64 {
        let before = self.retries.get(&intent_id).map(|(_, wait)| wait * 2);
        let wait = before.unwrap_or(FIRST_RETRY).min(LAST_RETRY);
        self.retries.insert(intent_id, (now.saturating_add(wait), wait));
        wait
    }

    pub fn may_try(&self, intent_id: i64, now: i64) -> bool {
        self.retries.get(&intent_id).is_none_or(|(at, _)| *at <= now)
    }

    /// Is it time to look at an intent? Always, when it is wanted.
    pub fn may_look(&mut self, intent_id: i64, is_wanted: bool, now: i64) -> bool {
        let next = self.looks.entry(intent_id).or_insert(now);
        let may = is_wanted || *next <= now;
        if may {
            *next = now.saturating_add(LOOK_AGAIN);
        }
        may
    }

    pub fn finished(&mut self, intent_id: i64, tx_hashes: impl Iterator<Item = B256>) {
        self.retries.remove(&intent_id);
        self.looks.remove(&intent_id);
        for tx_hash in tx_hashes {
            self.sent_at.remove(&tx_hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_the_longest_and_end_with_the_intent() {
        let mut pace = Pace::default();
        assert!(pace.may_try(1, 0));
        let waits: Vec<i64> = (0..8).map(|_| pace.parked(1, 1_000)).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert!(!pace.may_try(1, 1_299) && pace.may_try(1, 1_300) && pace.may_try(2, 0));
        pace.finished(1, [].into_iter());
        assert!(pace.may_try(1, 0));
    }

    #[test]
    fn unwanted_intents_are_looked_at_once_a_minute_and_wanted_ones_always() {
        let mut pace = Pace::default();
        assert!(pace.may_look(1, false, 100));
        assert!(!pace.may_look(1, false, 159) && pace.may_look(1, true, 120));
        assert!(!pace.may_look(1, false, 179) && pace.may_look(1, false, 180));
    }

    #[test]
    fn sends_are_remembered_until_the_intent_is_finished() {
        let mut pace = Pace::default();
        let tx = B256::repeat_byte(1);
        assert_eq!(pace.sent_at(tx), None);
        pace.sent(tx, 7);
        assert_eq!(pace.sent_at(tx), Some(7));
        pace.finished(1, [tx].into_iter());
        assert_eq!(pace.sent_at(tx), None);
    }
}
