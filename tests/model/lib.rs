//! The escrow's rules written twice: a small model plays random calls beside the real contract.

#![allow(clippy::unwrap_used, reason = "a test may stop on a failed assumption")]

mod acts;
mod chain;
mod compare;
mod contract;
mod deviation;
mod escrow;
mod flaws;
mod hashes;
mod jobs;
mod lots;
mod play;
mod words;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use contracts::order::domain;

use compare::{compare_all, step};
use contract::{CHAIN_ID, Contract};
use escrow::{Escrow, MOST, Refusal, State, Terms};
use play::Play;
use words::Actors;

pub use compare::Difference;
pub use deviation::Deviation;

/// Calls of one world, which starts with a new contract: long enough for every date of its orders,
/// short enough that the state stays small.
const WORLD: u64 = 2_000;

struct World {
    contract: Contract,
    model: Escrow,
    play: Play,
}

impl World {
    fn new(seed: u64, deviation: Option<Deviation>) -> Self {
        let mut actors = Actors::new();
        let (issuer, guardian) = (actors.issuer, actors.guardian);
        let mut contract = Contract::deploy(issuer, guardian);
        let (token, escrow) = (contract.token, contract.escrow);
        let wallets = [contract.create_wallet(), contract.create_wallet()];
        actors.add_wallets(wallets);
        let mut state = State::default();
        for owner in actors.callers() {
            let tokens = if owner == actors.whale { MOST * 8 } else { 10_000_000 };
            contract.mint(owner, tokens);
            state.tokens.insert(owner, tokens);
        }
        let domain = domain(CHAIN_ID, escrow).separator();
        let wallets = BTreeSet::from(wallets);
        let terms = Terms { escrow, token, issuer, guardian, domain, wallets, deviation };
        let play = Play::new(seed, actors, terms.clone());
        Self { contract, model: Escrow { terms, state }, play }
    }

    /// One call on both, counted; the first difference ends the campaign.
    fn step(&mut self, met: &mut Met) -> Result<(), Difference> {
        let call = self.play.next(&self.model);
        let (name, outcome) = step(&mut self.contract, &mut self.model, &call)?;
        match outcome {
            Ok(()) => {
                *met.successes.entry(name).or_default() += 1;
                self.play.learn(&call);
            }
            Err(refusal) => *met.refusals.entry(selector(&refusal)).or_default() += 1,
        }
        Ok(())
    }
}

/// How often each operation succeeded, and each error was met, by its selector.
#[derive(Debug, Default)]
pub struct Met {
    pub calls: u64,
    pub successes: BTreeMap<&'static str, u64>,
    pub refusals: BTreeMap<[u8; 4], u64>,
}

/// Plays worlds one after the other until `calls` are done or the two differ.
pub fn campaign(calls: u64, seed: u64, deviation: Option<Deviation>) -> (Met, Option<Difference>) {
    let mut met = Met::default();
    for number in 0..calls.div_ceil(WORLD) {
        let mut world = World::new(seed.wrapping_add(number), deviation);
        for _ in 0..WORLD.min(calls - met.calls) {
            met.calls += 1;
            if let Err(difference) = world.step(&mut met) {
                return (met, Some(difference));
            }
        }
        if let Err(difference) = compare_all(&mut world.contract, &world.model) {
            return (met, Some(difference));
        }
    }
    (met, None)
}

/// Zero for legacy RNDR's refusals, which say nothing.
fn selector(refusal: &Refusal) -> [u8; 4] {
    refusal.first_chunk().copied().unwrap_or_default()
}
