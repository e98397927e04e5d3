//! pure: the state of all nodes, folded from the events; what does not add up is an error.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};

use super::{RegistryEvent, Slashed};
use crate::amount::{Amount, AmountError};

/// A node as the registry's `node` view tells it. Amounts in base units, times in unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    pub owner: Address,
    pub payout: Address,
    pub capabilities_hash: B256,
    pub bonded: Amount,
    pub unbonding: Amount,
    /// From when `unbonding` can be withdrawn, of the last request; 0 before the first.
    pub unbond_at: u64,
    pub slashed: bool,
    pub seq: u64,
}

/// All nodes of one registry, by signer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nodes(BTreeMap<Address, NodeState>);

/// The events are not all there, or not the registry's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    #[error("an event of node {signer}, which never registered; an earlier log is missing")]
    Unregistered { signer: Address },
    #[error("node {signer} registered twice")]
    RegisteredTwice { signer: Address },
    #[error("node {signer}: event {found} follows event {last}; a log is missing or doubled")]
    Gap { signer: Address, last: u64, found: u64 },
    #[error("node {signer}: {what} is {told} by the event and {folded} by those before it")]
    Differs { signer: Address, what: &'static str, told: Amount, folded: Amount },
    #[error("node {signer}: an event of a slashed signer's money")]
    Barred { signer: Address },
    #[error("node {signer}: {source}")]
    Amount { signer: Address, source: AmountError },
}

impl Nodes {
    pub fn get(&self, signer: Address) -> Option<&NodeState> {
        self.0.get(&signer)
    }

    /// Puts a node in as it is: the state before some events.
    pub fn load(&mut self, signer: Address, state: NodeState) {
        self.0.insert(signer, state);
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Address, &NodeState)> {
        self.0.iter()
    }

    /// Takes one event, in the order of the chain. On an error nothing changed.
    pub fn apply(&mut self, event: &RegistryEvent) -> Result<(), FoldError> {
        let signer = event.signer();
        let next = match (self.0.get(&signer), event) {
            (Some(_), RegistryEvent::Registered { .. }) => {
                return Err(FoldError::RegisteredTwice { signer });
            }
            (None, RegistryEvent::Registered { owner, payout, capabilities_hash, seq, .. }) => {
                let state = NodeState {
                    owner: *owner,
                    payout: *payout,
                    capabilities_hash: *capabilities_hash,
                    bonded: Amount::ZERO,
                    unbonding: Amount::ZERO,
                    unbond_at: 0,
                    slashed: false,
                    seq: 0,
                };
                state.counted(signer, *seq)?
            }
            (None, _) => return Err(FoldError::Unregistered { signer }),
            (Some(state), event) => state.clone().after(signer, event)?,
        };
        self.0.insert(signer, next);
        Ok(())
    }
}

impl NodeState {
    fn after(mut self, signer: Address, event: &RegistryEvent) -> Result<Self, FoldError> {
        let failed = |source| FoldError::Amount { signer, source };
        match event {
            // Taken apart by `apply`.
            RegistryEvent::Registered { .. } => Err(FoldError::RegisteredTwice { signer }),
            RegistryEvent::Updated { payout, capabilities_hash, seq, .. } => {
                (self.payout, self.capabilities_hash) = (*payout, *capabilities_hash);
                self.counted(signer, *seq)
            }
            RegistryEvent::Bonded { amount, bonded, seq, .. } => {
                self.not_slashed(signer)?;
                self.bonded = self.bonded.checked_add(*amount).map_err(failed)?;
                same(signer, "the bond", *bonded, self.bonded)?;
                self.counted(signer, *seq)
            }
            RegistryEvent::UnbondRequested {
                amount, bonded, unbonding, unbond_at, seq, ..
            } => {
                self.not_slashed(signer)?;
                self.bonded = self.bonded.checked_sub(*amount).map_err(failed)?;
                self.unbonding = self.unbonding.checked_add(*amount).map_err(failed)?;
                self.unbond_at = *unbond_at;
                same(signer, "the bond", *bonded, self.bonded)?;
                same(signer, "what is unbonding", *unbonding, self.unbonding)?;
                self.counted(signer, *seq)
            }
            RegistryEvent::BondWithdrawn { amount, seq, .. } => {
                self.not_slashed(signer)?;
                same(signer, "what is unbonding", *amount, self.unbonding)?;
                self.unbonding = Amount::ZERO;
                self.counted(signer, *seq)
            }
            RegistryEvent::Slashed(e) => self.slashed_by(e),
        }
    }

    fn slashed_by(mut self, e: &Slashed) -> Result<Self, FoldError> {
        let signer = e.signer;
        let failed = |source| FoldError::Amount { signer, source };
        self.not_slashed(signer)?;
        let lost = self.bonded.checked_add(self.unbonding).map_err(failed)?;
        let told = e.burned.checked_add(e.rewarded).map_err(failed)?;
        same(signer, "what the slash took", told, lost)?;
        // Half, rounded down, is the reporter's.
        let half = lost.share(5_000).map_err(failed)?;
        same(signer, "the reward", e.rewarded, half)?;
        (self.bonded, self.unbonding, self.slashed) = (Amount::ZERO, Amount::ZERO, true);
        self.counted(signer, e.seq)
    }

    fn not_slashed(&self, signer: Address) -> Result<(), FoldError> {
        if self.slashed { Err(FoldError::Barred { signer }) } else { Ok(()) }
    }

    fn counted(mut self, signer: Address, seq: u64) -> Result<Self, FoldError> {
        if self.seq.checked_add(1) != Some(seq) {
            return Err(FoldError::Gap { signer, last: self.seq, found: seq });
        }
        self.seq = seq;
        Ok(self)
    }
}

fn same(
    signer: Address,
    what: &'static str,
    told: Amount,
    folded: Amount,
) -> Result<(), FoldError> {
    if told == folded { Ok(()) } else { Err(FoldError::Differs { signer, what, told, folded }) }
}
