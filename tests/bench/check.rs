//! Compares an index with what the generator is known to have said; no figure counts before it.

use anyhow::{Result, ensure};
use contracts::order;
use store::{JobState, Reader, Store};

use crate::chain::Chain;
use crate::expected::{Job, Totals, amount_of};

/// Events read at once.
const PAGE: u32 = 5_000;
/// Every so many jobs one is compared in each figure; no divisor of the kinds' ten.
const JOBS_APART: usize = 97;

/// Every event counted and summed, every account's balance and number of events, jobs by sample.
pub async fn check(chain: &Chain, store: &Store, expected: &Totals) -> Result<()> {
    let reader = store.reader();
    let mut found = Totals::default();
    let mut after = None;
    loop {
        let rows = reader.events_after(after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = Some((last.block, last.log_index));
        rows.iter().for_each(|row| found.add(row.event.name(), amount_of(&row.event)));
    }
    let accounts = reader.accounts().await?.into_iter();
    found.accounts =
        accounts.map(|state| (state.account, (state.free.base(), state.seq))).collect();
    ensure!(
        found.events == expected.events,
        "events: {:?}, not {:?}",
        found.events,
        expected.events
    );
    let differing = expected
        .accounts
        .iter()
        .find(|(account, state)| found.accounts.get(*account) != Some(*state));
    ensure!(differing.is_none(), "account {differing:?} is otherwise in the index");
    ensure!(found.accounts.len() == expected.accounts.len(), "accounts that nobody should have");
    check_jobs(chain, &reader).await
}

async fn check_jobs(chain: &Chain, reader: &Reader) -> Result<()> {
    let domain = order::domain(chain.anvil.chain_id, chain.escrow);
    for number in (0..chain.plan.jobs).step_by(JOBS_APART) {
        let job_id = order::job_id(&chain.plan.order(number), &domain);
        let Some((opened, state)) = reader.job(job_id).await? else {
            anyhow::bail!("job {number}, {job_id}, is not in the index");
        };
        ensure!(opened.order == chain.plan.order(number), "job {number} has other terms");
        let job = Job::of(number);
        let JobState { funded, released, pending, units_paid, job_seq, closed, .. } = state;
        let found =
            (funded.base(), released.base(), pending.base(), u64::from(units_paid), job_seq);
        let wanted = (job.released(), job.released(), 0, job.units_paid(), job.seq());
        ensure!(found == wanted, "job {number} is {found:?}, not {wanted:?}");
        ensure!(closed, "job {number} is not closed");
    }
    Ok(())
}
