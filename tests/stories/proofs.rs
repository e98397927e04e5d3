//! What an auditor can prove: solvency at any block, offline bundles, and the README's own lines.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::Provider;
use alloy::providers::ext::AnvilApi;
use contracts::layout::Item;
use contracts::{Amount, RenderEscrow};
use indexer::audit::{Report, Until, Wanted, bundle, replay};
use indexer::proof::bundle::{Bundle, Checked, check};
use store::Store;

use super::audit::eventful;
use crate::world::database::Database;
use crate::world::deals::Deal;
use crate::world::desk::Desk;
use crate::world::{RNDR, World, wallet};

const README: &str = include_str!("../../README.md");
const CHAPTER: &str = "\n## One job's money, from the logs alone\n";

/// An empty store for a replay.
async fn fresh(world: &World, name: &str) -> Store {
    let database = Database::file(&world.folder.path().join(name));
    Store::open(&database.url, &world.folder.path().join("objects")).await.unwrap()
}

async fn bundled(world: &World, replayed: &Store, wanted: &Wanted) -> (String, B256) {
    let made = bundle(&world.indexer_config(), replayed, wanted).await.unwrap();
    let tip = replayed.reader().tip().await.unwrap().unwrap();
    (made.text(), tip.hash)
}

/// What contract and token say at a block.
async fn assert_is_the_chains_word(world: &World, checked: &Checked) {
    let block = checked.block_hash.into();
    let escrow = RenderEscrow::new(world.escrow, &world.anvil.provider);
    for claim in &checked.escrow.claims {
        match claim.item {
            Item::Account { account } => {
                let told = escrow.account(account).block(block).call().await.unwrap();
                assert_eq!(claim.owed.free, told.free.into());
                assert_eq!(claim.owed.credit, told.credit.into());
            }
            Item::Job { job_id } => {
                let told = escrow.job(job_id).block(block).call().await.unwrap();
                let left = Amount::from(told.funded).checked_sub(told.released.into());
                assert_eq!(Ok(claim.owed.locked), left);
                assert_eq!(claim.owed.pending, told.pending.into());
            }
            other => panic!("{other:?} is no claim"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_every_block_the_whole_storage_is_what_the_logs_say_and_no_money_is_missing() {
    let world = World::new().await;
    eventful(&world).await;
    world.anvil.mine(1).await;
    let (head, _) = world.anvil.head().await;
    let mut with_money = 0;
    for number in (world.deploy_block..head).step_by(5) {
        let report = replayed(&world, number).await.1;
        assert!(report.is_clean(), "block {number}: {}", report.first().unwrap());
        assert_eq!(report.block, number);
        assert_eq!(report.token_balance.checked_sub(report.liabilities), Ok(report.surplus));
        with_money += u32::from(!report.liabilities.is_zero());
    }
    assert!(with_money > 5, "{with_money} blocks with money");
    // Every replayed word must be proven by the chain, which proves the layout too.
    let (store, report) = replayed(&world, head).await;
    let (text, trusted) = bundled(&world, &store, &Wanted::default()).await;
    let checked = check(text.as_bytes(), trusted).unwrap();
    assert_eq!((checked.block, checked.block_hash), (head, report.block_hash));
    assert_eq!(checked.escrow.token_balance, report.token_balance);
    assert_eq!(checked.escrow.liabilities.total(), Ok(report.liabilities));
    let registry = checked.registry.as_ref().unwrap();
    assert_eq!(registry.liabilities.total(), Ok(registry.token_balance));
    assert_eq!(Some(registry.liabilities.bonds), report.registry.map(|held| held.bonds));
    assert_is_the_chains_word(&world, &checked).await;
    nothing_else_is_stored(&world, &text).await;
}

async fn replayed(world: &World, number: u64) -> (Store, Report) {
    let store = fresh(world, &format!("{number}.db")).await;
    let until = Until::Block(number);
    let report = replay(&world.indexer_config(), store.clone(), None, until).await.unwrap();
    (store, report)
}

/// The test chain's roots count slots that hold zero, so what a real chain's root would say is read
/// from its dump: the bundle has every word that escrow and registry store, and no other.
async fn nothing_else_is_stored(world: &World, text: &str) {
    let provider = &world.anvil.provider;
    let dump: Bytes = provider.raw_request("anvil_dumpState".into(), ()).await.unwrap();
    let zipped = world.folder.path().join("dump.gz");
    std::fs::write(&zipped, dump).unwrap();
    let unzipped = Command::new("gzip").arg("-dc").arg(&zipped).output().unwrap();
    let dump: serde_json::Value = serde_json::from_slice(&unzipped.stdout).unwrap();
    let bundle: Bundle = serde_json::from_str(text).unwrap();
    for contract in [&bundle.escrow, bundle.registry.as_ref().unwrap()] {
        let accounts = dump["accounts"].as_object().unwrap().iter();
        let named = |name: &str| name.parse::<Address>().unwrap() == contract.address;
        let (_, account) = accounts.clone().find(|(name, _)| named(name)).unwrap();
        let number = |text: &str| text.parse::<U256>().unwrap();
        let slots = account["storage"].as_object().unwrap().iter();
        let stored = slots.map(|(slot, word)| (number(slot), number(word.as_str().unwrap())));
        let stored: BTreeMap<U256, U256> = stored.filter(|(_, word)| !word.is_zero()).collect();
        let told = contract.items.iter().flat_map(|s| s.item.slots().into_iter().zip(&s.words));
        let told = told.map(|(slot, word)| (slot.into(), *word));
        let told: BTreeMap<U256, U256> = told.filter(|(_, word)| !word.is_zero()).collect();
        assert_eq!(told, stored, "{}", contract.address);
        assert!(stored.len() > 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_and_one_job_are_proven_alone_and_a_changed_bundle_is_refused() {
    let world = World::new().await;
    let deal = work(&world).await;
    let store = fresh(&world, "replay.db").await;
    replay(&world.indexer_config(), store.clone(), None, Until::Tip).await.unwrap();
    let payer = deal.payer.address();
    let wanted = Wanted { accounts: [payer].into(), jobs: [deal.job_id].into() };
    let (text, trusted) = bundled(&world, &store, &wanted).await;
    let checked = check(text.as_bytes(), trusted).unwrap();
    assert_eq!(checked.escrow.claims.len(), 2);
    assert!(!checked.escrow.whole && checked.escrow.surplus().is_none());
    assert_is_the_chains_word(&world, &checked).await;
    // One bit in every hundredth byte; the tests beside the code take every byte.
    let mut changed = text.clone().into_bytes();
    for at in (0..changed.len()).step_by(101) {
        changed[at] ^= 1;
        assert!(check(&changed, trusted).is_err(), "byte {at}");
        changed[at] ^= 1;
    }
    let wanted = Wanted { accounts: [wallet("nobody").address()].into(), ..Wanted::default() };
    let refused = bundle(&world.indexer_config(), &store, &wanted).await.unwrap_err().to_string();
    assert!(refused.contains("knows no account"), "{refused}");
}

/// A job with money left: some of it paid in each way, some waiting.
async fn work(world: &World) -> Deal {
    let payer = world.funded("payer", 200 * RNDR).await;
    world.deposit(&payer, 60 * RNDR).await;
    let deal = Deal::new(world, &payer, 1).await;
    deal.open(world).await;
    deal.top_up(world, RNDR).await;
    deal.release(world, &[deal.work(&[0, 1], 1, false)]).await;
    let (sealed, waiting) = (deal.work(&[3, 4], 3, true), deal.work(&[6], 4, true));
    deal.commit(world, std::slice::from_ref(&sealed), true).await;
    deal.settle(world, &[sealed]).await;
    deal.commit(world, &[waiting], false).await;
    deal
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_proves_solvency_offline_and_ends_with_7_when_money_is_missing() {
    let world = World::new().await;
    let deal = work(&world).await;
    let mut desk = Desk::of(&world, &deal.payer);
    let report = desk.data(&["audit", "solvency", "--bundle", "all.json"]);
    assert_eq!(report["surplus"], "0");
    let hash = report["block_hash"].as_str().unwrap().to_owned();
    // No chain node, no database: the file and the hash alone.
    desk.set("CHAIN__RPC_URL", "http://127.0.0.1:1");
    desk.set("STORE__URL", "postgres://127.0.0.1:1/none");
    let line = ["verify", "all.json", "--block-hash", &hash];
    let checked = desk.data(&line);
    assert_eq!(checked["escrow"]["claims"].as_array().unwrap().len(), 5);
    assert_eq!(checked["escrow"]["token_balance"], report["token_balance"]);
    desk.refusal(&["verify", "all.json"], 2);
    let other = B256::repeat_byte(1).to_string();
    let refused = desk.refusal(&["verify", "all.json", "--block-hash", &other], 7);
    assert!(refused["message"].as_str().unwrap().contains("header"), "{refused}");
    let text = std::fs::read_to_string(desk.folder.join("all.json")).unwrap();
    let changed = text.replacen("\"words\": [\n          \"0x", "\"words\": [\n          \"0x1", 1);
    assert_ne!(changed, text);
    std::fs::write(desk.folder.join("changed.json"), changed).unwrap();
    let refused = desk.refusal(&["verify", "changed.json", "--block-hash", &hash], 7);
    assert!(refused["message"].as_str().unwrap().contains("escrow"), "{refused}");
    desk.set("CHAIN__ESCROW", wallet("another").address());
    let refused = desk.refusal(&line, 7);
    assert!(refused["message"].as_str().unwrap().contains("not 0x"), "{refused}");

    // One base unit less than is owed, taken from the token's own storage.
    desk.set("CHAIN__RPC_URL", world.anvil.rpc_url());
    desk.set("CHAIN__ESCROW", world.escrow);
    let base = checked["balance_base"].as_str().unwrap().parse().unwrap();
    let slot = Item::Balance { holder: world.escrow, base }.slots()[0];
    let held = U256::from(world.held(world.escrow).await) - U256::from(1);
    let provider = &world.anvil.provider;
    provider.anvil_set_storage_at(world.token, slot.into(), held.into()).await.unwrap();
    world.anvil.mine(1).await;
    let output = desk.run(&["audit", "solvency", "--bundle", "less.json", "--json"], 7);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains("all that the escrow owes"), "{talk}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let hash = report["block_hash"].as_str().unwrap();
    let output = desk.run(&["verify", "less.json", "--block-hash", hash], 7);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains("1 base units less than it owes"), "{talk}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_stops_at_the_block_that_it_is_told() {
    let world = World::new().await;
    let deal = work(&world).await;
    // Far enough for something to be finalized: two epochs of the test chain.
    world.anvil.mine(70).await;
    let store = world.store().await;
    let indexer = world.indexer(&store);
    world.caught_up(&store).await;
    indexer.stop().await;
    let tip = store.reader().tip().await.unwrap().unwrap().number;
    store.close().await;
    let desk = Desk::of(&world, &deal.payer);
    let whole = desk.data(&["audit", "replay"]);
    assert_eq!(whole["block"], tip);
    let fresh = format!("sqlite:{}", world.folder.path().join("kept.db").display());
    // Before the last event.
    let block = (tip - 71).to_string();
    let part = desk.data(&["audit", "replay", "--block", &block, "--fresh", &fresh]);
    assert_eq!(part["block"], tip - 71);
    assert_eq!(part["stored_digest"], part["digest"]);
    assert_ne!(part["digest"], whole["digest"]);
    let last = desk.data(&["audit", "solvency", "--block", "finalized", "--record"]);
    assert!(last["block"].as_u64().unwrap() <= tip);
    let store = world.store().await;
    let runs = store.reader().audit_runs(5).await.unwrap();
    assert_eq!(runs.len(), 1, "only what was to be recorded");
    assert_eq!(last["block"], runs[0].block);
    assert_eq!(last["token_balance"], runs[0].token_balance.to_string());
    let owed = store.reader().owed_at(runs[0].block).await.unwrap();
    assert_eq!(owed.by_escrow(), Ok(runs[0].liabilities));
    store.close().await;
    // Used once, it is not fresh any more; and what is not indexed cannot be compared.
    let used = desk.refusal(&["audit", "replay", "--fresh", &fresh], 1);
    assert!(used["message"].as_str().unwrap().contains("not empty"), "{used}");
    world.anvil.mine(3).await;
    let ahead = desk.refusal(&["audit", "replay", "--block", &(tip + 2).to_string()], 1);
    assert!(ahead["message"].as_str().unwrap().contains("not in the database yet"), "{ahead}");
    let early = desk.refusal(&["audit", "solvency", "--block", "0"], 1);
    assert!(early["message"].as_str().unwrap().contains("deployment"), "{early}");
    desk.run(&["audit", "solvency", "--block", "newest"], 2);
}

/// The native program, as for anvil.
const CAST_FOLDER: &str = "contracts/node_modules/@foundry-rs/cast-linux-amd64/bin";

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_the_readme_rebuild_a_jobs_balance_by_cast_alone() {
    let world = World::new().await;
    let deal = work(&world).await;
    let (_, text) = README.split_once(CHAPTER).expect("the README has the chapter");
    let block = text.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let cast = Path::new(env!("CARGO_MANIFEST_DIR")).join(CAST_FOLDER);
    let rebuilt = || {
        let mut command = Command::new("sh");
        command.args(["-eu", "-c", block]).env_clear();
        command.env("PATH", format!("{}:/usr/bin:/bin", cast.display()));
        command.env("HOME", world.folder.path()).env("ETH_RPC_URL", world.anvil.rpc_url());
        command.env("ESCROW", world.escrow.to_string()).env("JOB", deal.job_id.to_string());
        command.env("FROM_BLOCK", world.deploy_block.to_string());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().parse::<u128>().unwrap()
    };
    let escrow = RenderEscrow::new(world.escrow, &world.anvil.provider);
    let job = escrow.job(deal.job_id).call().await.unwrap();
    let left = Amount::from(job.funded).base() - Amount::from(job.released).base();
    assert!(left > 0);
    assert_eq!(rebuilt(), left);
    // What is not pending returns when the job closes.
    deal.request_close(&world).await;
    world.anvil.pass(2 * 3_600).await;
    deal.close(&world).await;
    let job = escrow.job(deal.job_id).call().await.unwrap();
    assert_eq!(rebuilt(), Amount::from(job.funded).base() - Amount::from(job.released).base());
}
