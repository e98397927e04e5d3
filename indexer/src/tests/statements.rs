//! Statements over random histories with reorgs, on both databases: each closing opens the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use alloy::primitives::{Address, B256, U256};
use contracts::order::BURN_ACCOUNT;
use proptest::prelude::*;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use store::entries::{credit_book, wallet_book};
use store::{LotStatus, Period, Reader, Side, Statement, StatementBook, Store, entries_of};
use tempfile::TempDir;

use super::escrow::{Call, calls};
use super::memory::Memory;
use super::{config, settle, store};
use crate::Follower;

/// Names a PostgreSQL server as its superuser: postgres://postgres@127.0.0.1:5432/postgres
const POSTGRES: &str = "RNDR_TEST_POSTGRES";
/// Histories of one run that are played on PostgreSQL too.
const ON_POSTGRES: u32 = 2;
/// More than any history here has.
const MOST: usize = 100_000;

#[derive(Debug, Clone)]
enum Turn {
    Mine(Vec<Call>),
    Reorg(usize, Vec<Vec<Call>>),
    Finalize(u64),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let one = prop_oneof![
        5 => calls(12).prop_map(Turn::Mine),
        2 => (1..10usize, prop::collection::vec(calls(8), 1..12))
            .prop_map(|(depth, blocks)| Turn::Reorg(depth, blocks)),
        1 => (0..12u64).prop_map(Turn::Finalize),
    ];
    prop::collection::vec(one, 4..30)
}

/// The history with its reorgs, followed turn by turn; half way and at its end every statement
/// must hold.
async fn play(turns: &[Turn], live: &Store, cuts: &[prop::sample::Index]) {
    let chain = Memory::new();
    let mut follower = Follower::start(&chain, &config(), live).await.unwrap();
    for (number, turn) in turns.iter().enumerate() {
        match turn {
            Turn::Mine(calls) => chain.mine(calls),
            Turn::Reorg(depth, blocks) => {
                let above = usize::try_from(chain.head() - chain.finalized()).unwrap();
                chain.reorg((*depth).min(above), blocks);
            }
            Turn::Finalize(distance) => chain.finalize(*distance),
        }
        let _ = follower.look().await.unwrap();
        if number == turns.len() / 2 {
            check(&live.reader(), cuts).await;
        }
    }
    // Longer than any branch was, so that waiting for a lagging node ends.
    (0..15).for_each(|_| chain.mine(&[(0, 1, 1)]));
    settle(&mut follower).await.unwrap();
    check(&live.reader(), cuts).await;
}

/// Every account that an event names, and what each book of it must hold at the tip.
async fn check(reader: &Reader, cuts: &[prop::sample::Index]) {
    let Some(tip) = reader.tip().await.unwrap() else { return };
    let events = reader.events_between(0, tip.number).await.unwrap();
    let bonds = reader.bonds().await.unwrap();
    let mut accounts: BTreeSet<Address> = bonds.iter().map(|bond| bond.signer).collect();
    accounts.extend(events.iter().flat_map(|row| row.event.accounts()));
    let blocks = reader.blocks_of(0..=tip.number).await.unwrap();
    let times: Vec<i64> = blocks.values().map(|block| block.mined_at).collect();
    let mut ends: BTreeSet<i64> = cuts.iter().map(|cut| *cut.get(&times)).collect();
    ends.extend([0, tip.mined_at + 1]);
    let ends: Vec<i64> = ends.into_iter().collect();
    for account in accounts {
        for side in [Side::Wallet, Side::Node] {
            let mut opening: Option<Statement> = None;
            for pair in ends.windows(2) {
                let period = Period { from: pair[0], to: pair[1] };
                let read = reader.statement(account, side, period, tip.number, MOST).await;
                let next = read.unwrap().unwrap();
                meets(opening.as_ref(), &next, period);
                opening = Some(next);
            }
            let last = opening.unwrap();
            assert_eq!(closings(&last), held(reader, account, side).await, "{account}");
            at_a_cut(reader, account, side, ends[ends.len() / 2], tip.number).await;
        }
    }
}

/// Opening and movements give the closing, and the opening is the last period's closing.
fn meets(before: Option<&Statement>, next: &Statement, period: Period) {
    for (place, sum) in next.books.iter().enumerate() {
        let opening = before.map_or(0, |before| before.books[place].closing.base());
        assert_eq!(sum.opening.base(), opening, "{sum:?}");
        let own = next.movements.iter().filter(|moved| moved.book == sum.book);
        let mut balance = opening;
        for moved in own {
            let amount = moved.amount.base();
            balance = if moved.debit { balance - amount } else { balance + amount };
            assert_eq!(moved.balance.base(), balance, "{moved:?}");
            let at = next.blocks[&moved.block].mined_at;
            assert!((period.from..period.to).contains(&at), "{moved:?}");
        }
        assert_eq!(sum.closing.base(), balance);
        let turned = sum.opening.base() + sum.credits.base() - sum.debits.base();
        assert_eq!(turned, balance);
    }
}

fn closings(statement: &Statement) -> BTreeMap<StatementBook, u128> {
    statement.books.iter().map(|sum| (sum.book, sum.closing.base())).collect()
}

/// What the snapshots of the tip say of each book; `earned` has none, so it comes from entries.
async fn held(reader: &Reader, of: Address, side: Side) -> BTreeMap<StatementBook, u128> {
    let bond = reader.bond(of).await.unwrap();
    let bond = bond.map_or(0, |bond| bond.bonded.base() + bond.unbonding.base());
    let mut held = BTreeMap::from([(StatementBook::Bond, bond)]);
    match side {
        Side::Wallet => {
            let state = reader.account(of).await.unwrap();
            let jobs = reader.jobs_with_money(of).await.unwrap();
            let in_jobs = jobs.iter().map(|(_, job)| job.funded.base() - job.released.base());
            held.insert(StatementBook::InJobs, in_jobs.sum());
            held.insert(StatementBook::Free, state.as_ref().map_or(0, |s| s.free.base()));
            held.insert(StatementBook::Credit, state.map_or(0, |s| s.credit.base()));
        }
        Side::Node => {
            let lots = reader.all_lots().await.unwrap();
            let open = lots.iter().filter(|(row, state)| {
                let open = [LotStatus::Committed, LotStatus::Approved].contains(&state.status);
                row.lot.node == of && open
            });
            let reserved = open.map(|(row, state)| {
                let units: U256 = row.lot.mask & !state.rejected;
                row.lot.unit_price.base() * u128::try_from(units.count_ones()).unwrap()
            });
            held.insert(StatementBook::Pending, reserved.sum());
            held.insert(StatementBook::Earned, earned(reader, of).await);
        }
    }
    held
}

async fn earned(reader: &Reader, of: Address) -> u128 {
    let rows = reader.events_of_account(of, None, 10_000).await.unwrap();
    let paid = ["Released", "Settled", "Redeemed"];
    let rows = rows.iter().filter(|row| paid.contains(&row.event.name()));
    let entries = rows.flat_map(|row| entries_of(row).unwrap());
    let own = entries.filter(|entry| entry.book == wallet_book(of));
    own.map(|entry| entry.amount.base()).sum()
}

/// The opening at a time in the middle is what all entries before it sum to, found another way.
async fn at_a_cut(reader: &Reader, of: Address, side: Side, time: i64, tip: u64) {
    let period = Period { from: time, to: time + 1 };
    let statement = reader.statement(of, side, period, tip, MOST).await.unwrap().unwrap();
    let opening = |book| {
        let sum = statement.books.iter().find(|sum| sum.book == book);
        sum.map(|sum| i128::try_from(sum.opening.base()).unwrap())
    };
    let mut books: BTreeMap<String, i128> = BTreeMap::new();
    let blocks = reader.blocks_of(0..=tip).await.unwrap();
    for row in reader.events_between(0, tip).await.unwrap() {
        if blocks[&row.block].mined_at < time {
            for entry in entries_of(&row).unwrap() {
                let base = i128::try_from(entry.amount.base()).unwrap();
                *books.entry(entry.book).or_default() += if entry.debit { -base } else { base };
            }
        }
    }
    let of_jobs = reader.all_jobs().await.unwrap().into_iter();
    let own = of_jobs.filter(|(opened, _)| opened.order.payer == of);
    let in_jobs = own.map(|(opened, _)| {
        books.get(&store::entries::job_book(opened.job_id)).copied().unwrap_or_default()
    });
    let in_jobs: i128 = in_jobs.sum();
    let book = |name: String| books.get(&name).copied().unwrap_or_default();
    if side == Side::Wallet {
        assert_eq!(opening(StatementBook::Free), Some(book(wallet_book(of))));
        assert_eq!(opening(StatementBook::Credit), Some(book(credit_book(of))));
        assert_eq!(opening(StatementBook::InJobs), Some(in_jobs));
    }
}

async fn admin(server: &str, sql: String) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}

async fn on_both(turns: Vec<Turn>, cuts: Vec<prop::sample::Index>) {
    let folder = TempDir::new().unwrap();
    play(&turns, &store(&folder, "live.db").await, &cuts).await;
    let Ok(server) = std::env::var(POSTGRES) else { return };
    // Each statement asks some thirty questions, which a server answers ten times slower.
    static PLAYED: AtomicU32 = AtomicU32::new(0);
    if PLAYED.fetch_add(1, Ordering::Relaxed) >= ON_POSTGRES {
        return;
    }
    let name = format!("rndr_statements_{}", std::process::id());
    admin(&server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
    admin(&server, format!("CREATE DATABASE {name}")).await;
    let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
    let live = Store::open(&url, &folder.path().join("objects")).await.unwrap();
    let played = tokio::spawn({
        let live = live.clone();
        async move { play(&turns, &live, &cuts).await }
    });
    let ended = played.await;
    live.close().await;
    admin(&server, format!("DROP DATABASE {name} WITH (FORCE)")).await;
    ended.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 8,
        max_shrink_iters: 20,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_closing_is_the_next_opening_and_the_last_is_what_the_account_has(
        turns in turns(),
        cuts: [prop::sample::Index; 4],
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(on_both(turns, cuts.into()));
    }
}

/// The accounts of this history are in every kind of book, so that no check above is idle.
#[test]
fn the_histories_fill_every_book() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let folder = TempDir::new().unwrap();
        let live = store(&folder, "full.db").await;
        let chain = Memory::new();
        let mut follower = Follower::start(&chain, &config(), &live).await.unwrap();
        for seed in 0..60u32 {
            let call = |n: u32| {
                let hash = alloy::primitives::keccak256((seed * 100 + n).to_be_bytes());
                let pick = u32::from_be_bytes(hash[1..5].try_into().unwrap());
                (hash[0], pick, u64::from(pick % 1_000_000) + 1)
            };
            chain.mine(&(0..10).map(call).collect::<Vec<Call>>());
        }
        settle(&mut follower).await.unwrap();
        let reader = live.reader();
        let tip = reader.tip().await.unwrap().unwrap();
        let period = Period { from: 0, to: tip.mined_at + 1 };
        let mut moved: BTreeSet<&str> = BTreeSet::new();
        let rows = reader.events_between(0, tip.number).await.unwrap();
        let mut accounts: BTreeSet<Address> =
            rows.iter().flat_map(|row| row.event.accounts()).collect();
        accounts.extend(reader.bonds().await.unwrap().iter().map(|bond| bond.signer));
        assert!(accounts.contains(&BURN_ACCOUNT));
        for account in accounts {
            for side in [Side::Wallet, Side::Node] {
                let read = reader.statement(account, side, period, tip.number, MOST).await;
                let movements = read.unwrap().unwrap().movements;
                moved.extend(movements.iter().map(|moved| moved.book.as_str()));
                assert!(movements.iter().all(|moved| moved.tx_hash != B256::ZERO));
            }
        }
        let all = ["bond", "credit", "earned", "free", "in_jobs", "pending"];
        assert_eq!(moved, BTreeSet::from(all));
    });
}
