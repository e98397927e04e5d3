//! A world whose chain an indexer follows, and what the index says once it is at the head.

use std::ops::Deref;

use alloy::primitives::Address;
use contracts::JobId;
use indexer::audit::Report;
use reqwest::Method;
use serde_json::Value;
use store::entries::entries_of;
use store::{DelegateState, JobState, LotState, OfficeState, Store};

use super::counter::Counter;
use super::deals::{Deal, Work};
use super::{Running, World};

pub struct Watched {
    pub world: World,
    pub store: Store,
    indexer: Running<indexer::Error>,
}

impl Deref for Watched {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

/// One line of an account's statement: the event, and each balance that it tells, in base units.
pub type Line = (&'static str, Option<u128>, Option<u128>);

impl Watched {
    pub async fn new() -> Self {
        Self::over(World::new().await).await
    }

    pub async fn over(world: World) -> Self {
        let store = world.store().await;
        let indexer = world.indexer(&store);
        Self { world, store, indexer }
    }

    /// Free balance and credit, in base units.
    pub async fn balances(&self, of: Address) -> (u128, u128) {
        self.caught_up(&self.store).await;
        let state = self.store.reader().account(of).await.unwrap();
        state.map_or((0, 0), |state| (state.free.base(), state.credit.base()))
    }

    pub async fn free(&self, of: Address) -> u128 {
        self.balances(of).await.0
    }

    pub async fn job(&self, job_id: JobId) -> JobState {
        self.caught_up(&self.store).await;
        self.store.reader().job(job_id).await.unwrap().expect("the job is in the index").1
    }

    /// What a job took in, paid, and reserves, in base units.
    pub async fn money(&self, deal: &Deal) -> (u128, u128, u128) {
        let job = self.job(deal.job_id).await;
        (job.funded.base(), job.released.base(), job.pending.base())
    }

    pub async fn lot(&self, deal: &Deal, work: &Work) -> LotState {
        self.caught_up(&self.store).await;
        let lot = self.store.reader().lot(deal.lot_hash(&work.lot)).await.unwrap();
        lot.expect("the lot is in the index").1
    }

    pub async fn delegate(&self, payer: Address, agent: Address) -> Option<DelegateState> {
        self.caught_up(&self.store).await;
        self.store.reader().delegate(payer, agent).await.unwrap()
    }

    pub async fn offices(&self) -> Option<OfficeState> {
        self.caught_up(&self.store).await;
        self.store.reader().offices().await.unwrap()
    }

    /// Every event that the account counts, which are numbered without a gap.
    pub async fn statement(&self, of: Address) -> Vec<Line> {
        self.caught_up(&self.store).await;
        let rows = self.store.reader().events_of_account(of, None, 1_000).await.unwrap();
        let lines = rows.iter().zip(1..).map(|(row, number)| {
            let after = row.event.account_after().expect("it counts this event");
            assert_eq!((after.account, after.seq), (of, number));
            let base = |amount: Option<contracts::Amount>| amount.map(|amount| amount.base());
            (row.event.name(), base(after.free), base(after.credit))
        });
        lines.collect()
    }

    /// The API tells of an account what the index has: its balances, and every line of its
    /// statement, whose entries sum to zero.
    pub async fn api_agrees(&self, of: Address) {
        let counter = Counter::open(self, &self.store).await;
        let ask = |end| counter.ask(Method::GET, &format!("/v1/accounts/{of}{end}"));
        let base = |money: &Value| Some(money["amount"].as_str()?.parse::<u128>().unwrap());
        let (free, credit) = self.balances(of).await;
        let shown = counter.good(ask("")).await;
        assert_eq!((base(&shown["free"]), base(&shown["credit"])), (Some(free), Some(credit)));
        let ledger = counter.good(ask("/ledger?limit=500")).await;
        let mut lines = Vec::new();
        for event in ledger["events"].as_array().unwrap() {
            let sides = event["entries"].as_array().unwrap().iter().map(|entry| {
                let amount = i128::try_from(base(&entry["amount"]).unwrap()).unwrap();
                if entry["side"] == "debit" { -amount } else { amount }
            });
            assert_eq!(sides.sum::<i128>(), 0, "{event}");
            let name = event["event"].as_str().unwrap();
            lines.push((name, base(&event["free"]), base(&event["credit"])));
        }
        assert_eq!(lines, self.statement(of).await);
    }

    /// Names of a job's events, oldest first.
    pub async fn told(&self, job_id: JobId) -> Vec<&'static str> {
        self.caught_up(&self.store).await;
        let rows = self.store.reader().events_of_job(job_id).await.unwrap();
        rows.iter().map(|row| row.event.name()).collect()
    }

    /// Index, fresh index, books, contract and token agree, and every event's entries sum to zero.
    pub async fn audited(&self) -> Report {
        let report = self.world.audited(&self.store).await;
        for row in self.store.reader().events_between(0, report.block).await.unwrap() {
            let sides = entries_of(&row).unwrap().iter().fold((0, 0), |(out, into), entry| {
                let amount = entry.amount.base();
                if entry.debit { (out + amount, into) } else { (out, into + amount) }
            });
            assert_eq!(sides.0, sides.1, "{row:?}");
        }
        report
    }

    /// The last word of a story.
    pub async fn end(self) {
        self.audited().await;
        self.indexer.stop().await;
    }
}
