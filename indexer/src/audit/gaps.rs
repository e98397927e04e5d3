//! Snapshots that an index left out below finalized, where it writes the last of several.

use std::collections::BTreeMap;

use store::{Reader, Step, Tag};

use super::{AuditError, BLOCKS_AT_ONCE, Findings, Place};

/// Missing snapshots, each until a later one of its row is found: only the last one counts.
pub(super) struct Gaps {
    /// Up to here snapshots may be left out.
    finalized: u64,
    /// By table and row: block and log of the newest one that is missing.
    missing: BTreeMap<(&'static str, String), (u64, u64)>,
}

impl Gaps {
    pub async fn of(stored: &Reader) -> Result<Self, AuditError> {
        let heads = stored.heads().await?;
        let finalized = heads.iter().find(|head| head.tag == Tag::Finalized);
        let finalized = finalized.map_or(0, |head| head.block);
        Ok(Self { finalized, missing: BTreeMap::new() })
    }

    /// A snapshot is not there. False: it has to be.
    pub fn missing(&mut self, at: &Place) -> bool {
        match at.log {
            Some(log) if log.0 <= self.finalized => {
                self.missing.insert((at.table, at.row.clone()), log);
                true
            }
            Some(_) | None => false,
        }
    }

    /// A snapshot is there, in the order of the chain.
    pub fn found(&mut self, at: &Place) {
        self.missing.remove(&(at.table, at.row.clone()));
    }

    /// What is still missing after block `last` may be in a later snapshot of the same step.
    pub async fn close(
        mut self,
        stored: &Reader,
        last: u64,
        found: &mut Findings,
    ) -> Result<(), AuditError> {
        let mut from = last + 1;
        while !self.missing.is_empty() && from <= self.finalized {
            let to = self.finalized.min(from.saturating_add(BLOCKS_AT_ONCE - 1));
            let rows = stored.rows_between(from, to).await?;
            for later in names(&rows) {
                self.missing.remove(&later);
            }
            from = to + 1;
        }
        for ((table, row), log) in self.missing {
            let place = Place { log: Some(log), ..Place::new(table, row) };
            found.add(&place, "(whole row)", "this row".into(), "nothing".into());
        }
        Ok(())
    }
}

/// The snapshots of a step: their table, and the name of what they are of.
fn names(step: &Step) -> impl Iterator<Item = (&'static str, String)> {
    let accounts = step.accounts.iter().map(|a| ("account_states", account(a)));
    let jobs = step.jobs.iter().map(|j| ("job_states", job(j)));
    let lots = step.lot_states.iter().map(|l| ("lot_states", lot(l)));
    let delegates = step.delegates.iter().map(|d| ("delegate_states", delegate(d)));
    let offices = step.offices.iter().map(|o| ("office_states", office(o)));
    let bonds = step.bonds.iter().map(|b| ("bond_states", bond(b)));
    accounts.chain(jobs).chain(lots).chain(delegates).chain(offices).chain(bonds)
}

pub(super) fn account(state: &store::AccountState) -> String {
    format!("account {}", state.account)
}

pub(super) fn job(state: &store::JobState) -> String {
    format!("job {}", state.job_id)
}

pub(super) fn lot(state: &store::LotState) -> String {
    format!("lot {}", state.lot_hash)
}

pub(super) fn delegate(state: &store::DelegateState) -> String {
    format!("delegate {} of {}", state.agent, state.payer)
}

pub(super) fn office(_: &store::OfficeState) -> String {
    "offices".into()
}

pub(super) fn bond(state: &store::BondState) -> String {
    format!("bond of {}", state.signer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Store;

    #[tokio::test]
    async fn only_the_last_snapshot_of_a_row_has_to_be_there_below_finalized() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("store.db").display());
        let stored = Store::open(&url, folder.path()).await.unwrap().reader();
        let at = |row: &str, log| Place { log: Some(log), ..Place::new("job_states", row.into()) };
        let mut gaps = Gaps { finalized: 7, missing: BTreeMap::new() };
        assert!(gaps.missing(&at("job a", (5, 1))) && gaps.missing(&at("job b", (7, 9))));
        assert!(!gaps.missing(&at("job a", (8, 0))), "above finalized there is one for each event");
        gaps.found(&at("job a", (6, 0)));
        let mut found = Findings::default();
        gaps.close(&stored, 7, &mut found).await.unwrap();
        let rows: Vec<_> = found.0.iter().map(|d| (d.table, d.row.as_str(), d.log)).collect();
        assert_eq!(rows, [("job_states", "job b", Some((7, 9)))]);
    }
}
