//! pure: bonds in the fold: the registry's events one by one, their times and proofs checked too.

use alloy::primitives::Address;
use alloy::sol_types::Eip712Domain;
use contracts::registry::{
    FoldError, NodeState, Nodes, ProofProblem, RegistryEvent, Slashed, UNBOND_DELAY_SECONDS,
    check_proof,
};
use store::{BondState, RegistryRow};

/// The registry and the fold disagree: a log is missing, altered, or a stored row was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "block {block} log {log_index} ({event}): {reason}. A log is missing or altered, or the \
     database was changed: run `rndr audit replay`, and compare the chain node with another one"
)]
pub struct BondError {
    pub block: u64,
    pub log_index: u64,
    pub event: &'static str,
    pub reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error(transparent)]
    Fold(#[from] FoldError),
    #[error("{what} is {found}, expected {expected}")]
    Time { what: &'static str, found: u64, expected: String },
    #[error("the slash is no proof of fraud: {0}")]
    Proof(#[from] ProofProblem),
    #[error("the slash names another job than its receipts")]
    OtherJob,
}

/// All bonds that some events touch, as they are before them. What is not in it does not exist.
#[derive(Debug, Clone)]
pub struct Bonds {
    nodes: Nodes,
    /// In which receipts are signed.
    escrow: Eip712Domain,
}

impl Bonds {
    /// Knows nothing yet; `load` puts rows in. `escrow` is the escrow's domain.
    pub fn new(escrow: Eip712Domain) -> Self {
        Self { nodes: Nodes::default(), escrow }
    }

    pub fn load(&mut self, state: BondState) {
        let signer = state.signer;
        self.nodes.load(
            signer,
            NodeState {
                owner: state.owner,
                payout: state.payout,
                capabilities_hash: state.capabilities_hash,
                bonded: state.bonded,
                unbonding: state.unbonding,
                unbond_at: state.unbond_at.unsigned_abs(),
                slashed: state.slashed,
                seq: state.seq,
            },
        );
    }

    pub fn holds(&self, signer: Address) -> bool {
        self.nodes.get(signer).is_some()
    }

    /// Bytes it holds, about.
    pub fn size(&self) -> usize {
        self.nodes.iter().count() * size_of::<(Address, NodeState)>()
    }

    /// Forgets every node: each can be read again.
    pub fn forget(&mut self) {
        self.nodes = Nodes::default();
    }

    /// The node after the event, or what does not follow from the state before it. `mined_at` is
    /// the time of its block.
    pub fn apply(&mut self, row: &RegistryRow, mined_at: i64) -> Result<BondState, BondError> {
        let RegistryRow { block, log_index, ref event, .. } = *row;
        let wrong = |reason| BondError { block, log_index, event: event.name(), reason };
        let now = mined_at.unsigned_abs();
        self.check(event, now).map_err(wrong)?;
        let unregistered = || FoldError::Unregistered { signer: event.signer() };
        self.nodes.apply(event).map_err(|e| wrong(e.into()))?;
        let state = self.nodes.get(event.signer()).ok_or_else(|| wrong(unregistered().into()))?;
        let NodeState { owner, payout, capabilities_hash, bonded, unbonding, .. } = *state;
        Ok(BondState {
            signer: event.signer(),
            block,
            log_index,
            owner,
            payout,
            capabilities_hash,
            bonded,
            unbonding,
            unbond_at: time(state.unbond_at).map_err(wrong)?,
            slashed: state.slashed,
            seq: state.seq,
        })
    }

    /// What the events' own figures do not tell: dates by the block's time, and proofs of fraud.
    fn check(&self, event: &RegistryEvent, now: u64) -> Result<(), Reason> {
        match event {
            RegistryEvent::UnbondRequested { unbond_at, .. } => {
                let due = now.saturating_add(UNBOND_DELAY_SECONDS);
                match *unbond_at == due {
                    true => Ok(()),
                    false => Err(off("the time of withdrawal", *unbond_at, due.to_string())),
                }
            }
            RegistryEvent::BondWithdrawn { signer, .. } => {
                let from = self.nodes.get(*signer).map_or(0, |node| node.unbond_at);
                match now >= from {
                    true => Ok(()),
                    false => Err(off("the time of the withdrawal", now, format!("from {from}"))),
                }
            }
            RegistryEvent::Slashed(e) => self.check_slash(e),
            RegistryEvent::Registered { .. }
            | RegistryEvent::Updated { .. }
            | RegistryEvent::Bonded { .. } => Ok(()),
        }
    }

    fn check_slash(&self, e: &Slashed) -> Result<(), Reason> {
        let (first, second) =
            ((&e.first, &e.first_signature[..]), (&e.second, &e.second_signature[..]));
        check_proof(e.signer, first, second, &self.escrow)?;
        if e.job_id == e.first.job_id { Ok(()) } else { Err(Reason::OtherJob) }
    }
}

fn off(what: &'static str, found: u64, expected: String) -> Reason {
    Reason::Time { what, found, expected }
}

fn time(seconds: u64) -> Result<i64, Reason> {
    let much = || off("the time of withdrawal", seconds, "a time in 40 bits".into());
    i64::try_from(seconds).map_err(|_| much())
}

#[cfg(test)]
mod tests;
