//! Readers of the API while the chain turns: no row twice or missed, and nothing final taken back.

use std::collections::BTreeMap;

use alloy::primitives::U256;
use alloy::signers::local::PrivateKeySigner;
use contracts::{Amount, LegacyRndr, RenderEscrow};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Method;
use serde_json::Value;

use crate::world::anvil::Options;
use crate::world::counter::Counter;
use crate::world::watched::Watched;
use crate::world::{RNDR, World, eventually};

/// Plays one of these again: `RNDR_TEST_SEED=7 cargo test --workspace --test stories reads::`.
const SEED: &str = "RNDR_TEST_SEED";

fn seed() -> u64 {
    let seed = std::env::var(SEED).ok().and_then(|text| text.parse().ok()).unwrap_or(7);
    println!("{SEED}={seed}");
    seed
}

/// A chain that grows and turns at random, with an index and an API on it.
struct Turning {
    watched: Watched,
    counter: Counter,
    payer: PrivateKeySigner,
    random: StdRng,
    /// Deeper the chain never turns.
    depth: u64,
}

impl Turning {
    async fn open(options: Options, depth: u64) -> Self {
        let watched = Watched::over(World::on(options).await).await;
        let payer = watched.world.funded("payer", 10_000 * RNDR).await;
        let (spender, value) = (watched.world.escrow, U256::MAX);
        let allow = LegacyRndr::approveCall { spender, value };
        watched.world.send(&payer, watched.world.token, allow).await;
        watched.world.anvil.mine(depth + 1).await;
        let counter = Counter::open(&watched.world, &watched.store).await;
        Self { watched, counter, payer, random: StdRng::seed_from_u64(seed()), depth }
    }

    async fn deposit(&self) {
        let amount = Amount::from_base(RNDR).unwrap().into();
        let world = &self.watched.world;
        world.send(&self.payer, world.escrow, RenderEscrow::depositCall { amount }).await;
    }

    /// Some deposits, or a reorg that loses some, and perhaps both. True: blocks were replaced.
    async fn turn(&mut self) -> bool {
        let turned = self.random.random_bool(0.5);
        if turned {
            let depth = self.random.random_range(1..=self.depth);
            self.watched.world.anvil.reorg(depth, &[]).await;
        }
        for _ in 0..self.random.random_range(1..=3) {
            self.deposit().await;
        }
        turned
    }

    async fn get(&self, path: &str, etag: Option<&str>) -> Got {
        let request = self.counter.ask(Method::GET, path);
        let request = match etag {
            Some(etag) => request.header("if-none-match", etag),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let text =
            |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (etag, link) = (text("etag"), text("link"));
        let is_kept = text("cache-control").is_some_and(|words| words.contains("immutable"));
        let next = link.map(|link| {
            let path = link.strip_prefix('<').and_then(|link| link.split_once(">; rel=\"next\""));
            path.expect("a link to the next page").0.to_owned()
        });
        let status = answer.status().as_u16();
        Got { status, etag, next, is_kept, body: answer.text().await.unwrap() }
    }

    async fn caught_up(&self) {
        self.watched.world.caught_up(&self.watched.store).await;
    }
}

struct Got {
    status: u16,
    etag: Option<String>,
    next: Option<String>,
    /// Clients may keep it for ever.
    is_kept: bool,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    fn rows(&self) -> Vec<Row> {
        let json = self.json();
        let events = json["events"].as_array().cloned().unwrap_or_default();
        events.into_iter().map(row).collect()
    }
}

/// Block, log index, and everything about the event.
type Row = (u64, u64, String);

fn row(event: Value) -> Row {
    let number = |name: &str| event[name].as_u64().unwrap();
    (number("block"), number("log_index"), event.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_over_inserts_and_reorgs_has_each_row_that_stays_once() {
    let mut chain = Turning::open(Options::default(), 6).await;
    for _ in 0..8 {
        chain.deposit().await;
    }
    chain.caught_up().await;
    let (mut rows, mut gone) = (Vec::<Row>::new(), 0);
    let start = "/v1/events?limit=2";
    let mut path = start.to_owned();
    for _ in 0..60 {
        let page = chain.get(&path, None).await;
        match page.status {
            200 => {
                rows.extend(page.rows());
                let cursor = page.json()["next_cursor"].as_str().map(str::to_owned);
                let tail = cursor.map(|cursor| format!("{start}&cursor={cursor}"));
                path = page.next.or(tail).unwrap_or_else(|| start.to_owned());
            }
            410 => {
                let problem = page.json();
                let fork = problem["fork"]["block"].as_u64().unwrap();
                rows.retain(|(block, ..)| *block <= fork);
                path = format!("{start}&cursor={}", problem["fork"]["cursor"].as_str().unwrap());
                gone += 1;
            }
            other => panic!("{other}: {}", page.body),
        }
        // Mostly the reader is ahead of the index and the index of nothing.
        if chain.turn().await || chain.random.random_bool(0.3) {
            chain.caught_up().await;
        }
    }
    chain.caught_up().await;
    loop {
        let page = chain.get(&path, None).await;
        if page.status == 410 {
            let problem = page.json();
            let fork = problem["fork"]["block"].as_u64().unwrap();
            rows.retain(|(block, ..)| *block <= fork);
            path = format!("{start}&cursor={}", problem["fork"]["cursor"].as_str().unwrap());
            gone += 1;
            continue;
        }
        rows.extend(page.rows());
        let Some(next) = page.next else { break };
        path = next;
    }
    assert!(gone > 0, "no reorg overtook the walk");
    let stored = chain.watched.store.reader().events_between(0, u64::from(u32::MAX)).await.unwrap();
    let places = |rows: &[Row]| rows.iter().map(|row| (row.0, row.1)).collect::<Vec<_>>();
    let wanted: Vec<_> = stored.iter().map(|event| (event.block, event.log_index)).collect();
    assert_eq!(places(&rows), wanted);
    let whole = chain.get("/v1/events?limit=500", None).await.rows();
    assert_eq!(rows, whole);
    chain.watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_called_final_is_never_taken_back_by_reorgs_of_all_above_it() {
    let slots_in_an_epoch = 2;
    let options = Options { slots_in_an_epoch, ..Options::default() };
    // Finalized is two epochs below the head.
    let mut chain = Turning::open(options, 2 * slots_in_an_epoch).await;
    let account = format!("/v1/accounts/{}?tag=finalized", chain.payer.address());
    let some_final = || async {
        let page = chain.get(&account, None).await;
        (page.status == 200).then_some(())
    };
    eventually("a final answer", some_final).await;
    let mut rows: Vec<Row> = Vec::new();
    // By block hash for the account, by path for pages.
    let (mut accounts, mut pages) = (BTreeMap::<String, Got>::new(), BTreeMap::new());
    let start = "/v1/events?tag=finalized&limit=3";
    let mut path = start.to_owned();
    for _ in 0..30 {
        let page = chain.get(&path, None).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let as_of = page.json()["as_of"].clone();
        assert_eq!(as_of["tag"], "finalized");
        rows.extend(page.rows());
        let cursor = page.json()["next_cursor"].as_str().map(str::to_owned);
        let tail = cursor.map(|cursor| format!("{start}&cursor={cursor}"));
        path = page.next.clone().or(tail).unwrap_or_else(|| start.to_owned());

        let state = chain.get(&account, None).await;
        let hash = state.json()["as_of"]["block_hash"].to_string();
        if let Some(before) = accounts.insert(hash, state) {
            let now = accounts.values().find(|now| now.etag == before.etag);
            assert_eq!(now.map(|now| &now.body), Some(&before.body), "a final account changed");
        }
        let below = format!("/v1/events?tag=finalized&before={}", as_of["block_number"]);
        let kept = chain.get(&below, None).await;
        if kept.is_kept {
            pages.entry(below).or_insert(kept);
        }
        chain.turn().await;
        chain.caught_up().await;
    }
    assert!(chain.watched.store.reader().reorgs(1_000).await.unwrap().len() > 5, "no reorgs");
    assert!(pages.len() > 5, "{} pages to keep", pages.len());
    for (path, kept) in &pages {
        let now = chain.get(path, None).await;
        assert_eq!((now.status, &now.body), (200, &kept.body), "{path}");
        assert_eq!(chain.get(path, kept.etag.as_deref()).await.status, 304, "{path}");
    }
    let whole = chain.get("/v1/events?tag=finalized&limit=500", None).await.rows();
    assert!(rows.len() > 10 && whole.starts_with(&rows), "{} of {}", rows.len(), whole.len());
    chain.watched.end().await;
}
