//! pure: what a ledger keeps from one step to the next, and what it forgets to stay small.

use std::collections::HashSet;

use super::*;

impl Ledger {
    /// Of these rows those that it does not hold.
    pub fn lacks(&self, mut touched: Touched) -> Touched {
        touched.accounts.retain(|account| !self.accounts.contains_key(account));
        touched.jobs.retain(|job_id| !self.jobs.contains_key(job_id));
        touched.lots.retain(|lot_hash| !self.lots.contains_key(lot_hash));
        touched.delegates.retain(|pair| !self.delegates.contains_key(pair));
        touched
    }

    /// Bytes it holds, about: rows, and room to spare in the tables.
    pub fn size(&self) -> usize {
        fn table<K, V>(table: &HashMap<K, V>) -> usize {
            table.capacity() * size_of::<(K, V)>()
        }
        let tables =
            table(&self.accounts) + table(&self.jobs) + table(&self.lots) + table(&self.delegates);
        tables
            + self.jobs.len() * size_of::<(Order, JobState)>()
            + self.lots.len() * size_of::<(LotRow, LotState)>()
    }

    /// Forgets what no event can move any more: lots that are paid or lapsed, and closed jobs that
    /// hold nothing and have no other lots.
    pub fn forget_ended(&mut self) {
        self.lots.retain(|_, lot| match lot.1.status {
            LotStatus::Committed | LotStatus::Approved => true,
            LotStatus::Settled | LotStatus::Lapsed | LotStatus::Released => false,
        });
        let live: HashSet<JobId> = self.lots.values().map(|lot| lot.0.job_id).collect();
        let holds = |job: &JobState| !job.closed || !job.pending.is_zero();
        self.jobs.retain(|job_id, job| holds(&job.1) || live.contains(job_id));
        self.jobs.shrink_to_fit();
        self.lots.shrink_to_fit();
    }

    /// Forgets what no event moved since block `since`: it can be read again.
    pub fn forget_before(&mut self, since: u64) {
        self.accounts.retain(|_, account| account.block >= since);
        self.jobs.retain(|_, job| job.1.block >= since);
        self.lots.retain(|_, lot| lot.1.block >= since);
        self.delegates.retain(|_, delegate| delegate.block >= since);
        self.accounts.shrink_to_fit();
        self.jobs.shrink_to_fit();
        self.lots.shrink_to_fit();
    }
}
