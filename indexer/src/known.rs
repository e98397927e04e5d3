//! What the fold knows between steps, so that a step reads back only what it does not: bounded.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256};
use contracts::order;
use store::{Escrow, EventRow, Reader, RegistryRow};

use crate::Error;
use crate::bonds::Bonds;
use crate::ledger::{self, Ledger, Touched};

/// Most bytes kept, about. A hundred thousand jobs under way with a lot each take less.
pub const MOST_BYTES: usize = 64 << 20;

/// Ledger and bonds as the newest stored block left them. Whoever folds takes it, and puts it
/// back when the rows are committed: after an error or a rewind it is thrown away.
pub struct Known {
    pub ledger: Ledger,
    pub bonds: Bonds,
    /// Hash of the newest stored block, whose end this is.
    pub at: Option<B256>,
    /// It began with an empty store and forgot nothing that can move again: what it does not hold
    /// does not exist, and nothing is read.
    complete: bool,
    offices_read: bool,
    most_bytes: usize,
}

impl Known {
    /// Nothing yet, of a store whose newest block has the hash `at`. None: it is empty.
    pub fn new(escrow: &Escrow, at: Option<B256>, most_bytes: usize) -> Self {
        let complete = at.is_none();
        let domain = order::domain(escrow.chain_id, escrow.address);
        let (ledger, bonds) = (Ledger::new(domain.clone()), Bonds::new(domain));
        Self { ledger, bonds, at, complete, offices_read: complete, most_bytes }
    }

    /// Reads what these events touch and what is not known yet.
    pub async fn read<'e>(
        &mut self,
        reader: &Reader,
        events: impl Iterator<Item = &'e EventRow>,
        registry: impl Iterator<Item = &'e RegistryRow>,
    ) -> Result<(), Error> {
        if self.complete {
            return Ok(());
        }
        let Touched { accounts, jobs, lots, delegates } =
            self.ledger.lacks(ledger::touched(events));
        for account in accounts {
            if let Some(state) = reader.account(account).await? {
                self.ledger.load_account(state);
            }
        }
        for job_id in jobs {
            if let Some((opened, state)) = reader.job(job_id).await? {
                self.ledger.load_job(opened, state);
            }
        }
        for (payer, agent) in delegates {
            if let Some(state) = reader.delegate(payer, agent).await? {
                self.ledger.load_delegate(state);
            }
        }
        for lot_hash in lots {
            if let Some((row, state)) = reader.lot(lot_hash).await? {
                self.ledger.load_lot(row, state);
            }
        }
        // Every way in asks whether there is a pause, and every opening who takes credit.
        if !self.offices_read {
            if let Some(state) = reader.offices().await? {
                self.ledger.load_offices(state);
            }
            self.offices_read = true;
        }
        let mut signers: BTreeSet<Address> = registry.map(|row| row.event.signer()).collect();
        signers.retain(|signer| !self.bonds.holds(*signer));
        for signer in signers {
            if let Some(state) = reader.bond(signer).await? {
                self.bonds.load(state);
            }
        }
        Ok(())
    }

    /// Keeps it within its bound, at the end of a step that went up to block `tip`. False: that
    /// took something which may move again, so a complete one is complete no more.
    pub fn shrink(&mut self, tip: u64) -> bool {
        if self.size() <= self.most_bytes {
            return true;
        }
        self.ledger.forget_ended();
        if self.size() <= self.most_bytes / 2 {
            return true;
        }
        let was_complete = std::mem::take(&mut self.complete);
        self.bonds.forget();
        let mut blocks = 1 << 16;
        // Ends: the last round forgets everything but the last block.
        while self.size() > self.most_bytes / 2 && blocks > 0 {
            self.ledger.forget_before(tip.saturating_sub(blocks));
            blocks /= 4;
        }
        !was_complete
    }

    fn size(&self) -> usize {
        self.ledger.size() + self.bonds.size()
    }
}
