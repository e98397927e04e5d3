//! Tampered answers about blocks are refused, every one; of honest blocks none is.

use std::collections::BTreeMap;

use alloy::primitives::{B256, Log};
use indexer::chain::answers;
use indexer::verify;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use serde_json::value::to_raw_value;

use crate::world::blocks::{self, Answers, OURS};
use crate::world::lies::{self, Asked, Lie};
use crate::world::seeds::seeds;

/// From each seed; there are ten in a full run.
const TAMPERED: u64 = 1_000;
/// From each seed; there are fifty in a full run.
const HONEST: u64 = 2_000;

/// The logs that an index takes from these answers, or why it takes none.
fn taken(answers: &Answers) -> Result<Vec<(u64, B256, Log)>, String> {
    let text = |answer: &Value| match answer {
        Value::Null => Err("nothing".to_owned()),
        some => Ok(to_raw_value(some).unwrap()),
    };
    let header = answers::header(&text(&answers.header)?, true).map_err(|bad| bad.to_string())?;
    if header.number != answers.number {
        return Err("another block".into());
    }
    if !verify::may_hold(&header.logs_bloom, &[OURS]) {
        return Ok(Vec::new());
    }
    let receipts = answers::receipts(&text(&answers.receipts)?).map_err(|bad| bad.to_string())?;
    let placed = verify::logs(&header, &[OURS], receipts).map_err(|bad| bad.to_string())?;
    if placed.is_empty() {
        return Ok(Vec::new());
    }
    let encoded = answers::transactions(&text(&answers.block)?).map_err(|bad| bad.to_string())?;
    let logs = verify::signed_by(&header, placed, &encoded).map_err(|bad| bad.to_string())?;
    Ok(logs.into_iter().map(|found| (found.log_index, found.tx_hash, found.log)).collect())
}

/// Parts of an answer that nothing proves: they are not read, so a lie there changes nothing.
fn is_unread(lie: Lie, asked: Asked) -> bool {
    matches!((lie, asked), (Lie::WrongIndex | Lie::OtherTransaction, Asked::Receipts))
}

#[test]
fn every_tampered_answer_is_refused() {
    let (mut refused, mut unread) = (BTreeMap::<String, u64>::new(), 0);
    for seed in seeds(1, 10) {
        let rng = &mut StdRng::seed_from_u64(seed);
        let mut wanted = TAMPERED;
        while wanted > 0 {
            let (honest, other) = (blocks::random(rng, true), blocks::random(rng, true));
            let lie = Lie::ALL[rng.random_range(0..Lie::ALL.len())];
            let asked = [Asked::Header, Asked::Block, Asked::Receipts][rng.random_range(0..3)];
            let told = lies::tell(lie, asked, honest.of(asked), Some(other.of(asked)), rng);
            let Some(told) = told else { continue };
            match taken(&honest.with(asked, told)) {
                Err(_) => {
                    *refused.entry(format!("{lie:?}")).or_default() += 1;
                    wanted -= 1;
                }
                Ok(logs) => {
                    assert!(is_unread(lie, asked), "{lie:?} of {asked:?} was believed");
                    assert_eq!(logs, honest.ours, "{lie:?} of {asked:?}");
                    unread += 1;
                }
            }
        }
    }
    let total: u64 = refused.values().sum();
    println!("{total} of {total} tampered answers refused: {refused:?}");
    println!("{unread} more were tampered with in parts that are not read");
    // The order is not read from the answers, so a wrong index alone is no lie.
    assert_eq!(refused.len() + 1, Lie::ALL.len(), "{refused:?}");
}

#[test]
fn no_honest_block_is_refused() {
    let (mut blocks, mut logs) = (0, 0);
    for seed in seeds(1, 50) {
        let rng = &mut StdRng::seed_from_u64(seed);
        for number in 0..HONEST {
            let eventful = rng.random();
            let honest = blocks::random(rng, eventful);
            assert_eq!(taken(&honest).as_ref(), Ok(&honest.ours), "honest block {number}");
            (blocks, logs) = (blocks + 1, logs + honest.ours.len());
        }
    }
    println!("no false alarm in {blocks} honest blocks with {logs} logs of the contract");
    assert!(logs > 1_000);
}
