//! A stored value changed by one is found and named, whichever table it is in.

use std::time::Duration;

use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::aliases::U40;
use alloy::primitives::{Bytes, U256, keccak256};
use alloy::signers::local::PrivateKeySigner;
use contracts::registry::UNBOND_DELAY_SECONDS;
use contracts::{Amount, Payout, RenderEscrow};
use indexer::audit::{Difference, Report, Until};
use store::{
    Action, IntakeOrder, Lease, LeaseState, LotDraft, Node, Quote, ReceiptRow, SentTx, Spec, Store,
    WorkWriter,
};

use crate::world::bonds::Bond;
use crate::world::deals::Deal;
use crate::world::{RNDR, World, hash_of, wallet};

/// Every amount column of the chain's tables.
const AMOUNTS: [(&str, &str); 30] = [
    ("events", "amount"),
    ("events", "fee"),
    ("events", "burn"),
    ("events", "free"),
    ("events", "funded"),
    ("events", "released"),
    ("events", "pending"),
    ("events", "credit"),
    ("events", "spent"),
    ("events", "allowance"),
    ("events", "max_per_job"),
    ("job_orders", "cap"),
    ("job_orders", "max_unit_price"),
    ("lots", "unit_price"),
    ("account_states", "free"),
    ("account_states", "credit"),
    ("job_states", "funded"),
    ("job_states", "released"),
    ("job_states", "pending"),
    ("job_states", "units_paid"),
    ("job_states", "credit_share"),
    ("delegate_states", "allowance"),
    ("delegate_states", "max_per_job"),
    ("registry_events", "amount"),
    ("registry_events", "bonded"),
    ("registry_events", "unbonding"),
    ("registry_events", "burned"),
    ("registry_events", "rewarded"),
    ("bond_states", "bonded"),
    ("bond_states", "unbonding"),
];

/// Every kind of event at least once.
pub async fn eventful(world: &World) {
    let payer = world.funded("payer", 200 * RNDR).await;
    world.deposit(&payer, 60 * RNDR).await;
    let amount = Amount::from_base(RNDR).unwrap().into();
    let to = wallet("elsewhere").address();
    world.send(&payer, world.escrow, RenderEscrow::withdrawCall { amount, to }).await;

    let deal = Deal::new(world, &payer, 1).await;
    deal.open(world).await;
    deal.top_up(world, RNDR).await;
    deal.release(world, &[deal.work(&[0, 1], 1, false), deal.work(&[2], 2, false)]).await;
    let (kept, lapsed) = (deal.work(&[3, 4, 5], 3, true), deal.work(&[6, 7], 4, true));
    deal.commit(world, &[kept.clone(), lapsed.clone()], false).await;
    deal.reject(world, &kept, U256::from(1u64 << 4)).await;
    deal.approve(world, std::slice::from_ref(&kept)).await;
    deal.settle(world, &[kept]).await;
    let late = deal.work(&[8], 5, true);
    deal.commit(world, std::slice::from_ref(&late), false).await;
    deal.request_close(world).await;
    world.anvil.pass(2 * 3_600).await;
    deal.close(world).await;
    // Money freed in a closed job goes back at once.
    deal.lapse(world, &lapsed).await;
    deal.settle(world, &[late]).await;
    world.send(&payer, world.escrow, RenderEscrow::burnCall {}).await;
    consents(world, &payer).await;
    bonds(world).await;
}

/// A bond that goes back in part, and one that is slashed.
async fn bonds(world: &World) {
    let kept = Bond::new(world, "kept node", 50 * RNDR).await;
    let lost = Bond::new(world, "lost node", 50 * RNDR).await;
    for bond in [&kept, &lost] {
        world.send(&bond.owner, world.registry, bond.register_call()).await;
        world.send(&bond.owner, world.registry, bond.bond_call(40 * RNDR)).await;
        world.send(&bond.owner, world.registry, bond.unbond_call(10 * RNDR)).await;
    }
    let payout = wallet("elsewhere").address();
    world.send(&kept.owner, world.registry, kept.update_call(payout)).await;
    world.send(&lost.owner, world.registry, lost.slash_call()).await;
    world.anvil.pass(UNBOND_DELAY_SECONDS).await;
    world.send(&kept.owner, world.registry, kept.withdraw_call()).await;
    world.send(&kept.owner, world.registry, kept.unbond_call(RNDR)).await;
}

/// Credit, a delegate, a job of calls, an agreed close, and the pause.
async fn consents(world: &World, payer: &PrivateKeySigner) {
    let issue = world.issue_call(payer.address(), 5 * RNDR).await;
    let issuer = wallet("issuer");
    world.send(&issuer, world.escrow, issue).await;
    let (agent, node) = (wallet("agent"), wallet("node").address());
    let calls = Deal::of_calls(world, payer, 2).await;
    let name = RenderEscrow::nameSettlerCall { settler: calls.order.settler };
    world.send(&issuer, world.escrow, name).await;
    let set = calls.delegate_call(agent.address(), world.anvil.now().await);
    world.send(payer, world.escrow, set).await;
    world.send(payer, world.escrow, calls.open_for_call(&agent)).await;
    let revoke = RenderEscrow::revokeDelegateCall { agent: agent.address() };
    world.send(payer, world.escrow, revoke).await;
    let payouts = [Payout { node, amount: Amount::from_base(RNDR).unwrap() }];
    world.send(payer, world.escrow, calls.redeem_call(RNDR, &payouts)).await;
    world.send(payer, world.escrow, calls.agreed_close_call()).await;
    let guardian = world.funded("guardian", 0).await;
    let until = U40::from(world.anvil.now().await + 3_600);
    world.send(&guardian, world.escrow, RenderEscrow::pauseCall { until }).await;
}

async fn indexed(world: &World) -> Store {
    let store = world.store().await;
    let indexer = world.indexer(&store);
    world.caught_up(&store).await;
    indexer.stop().await;
    store
}

fn assert_clean(report: &Report) {
    assert!(report.is_clean(), "{}", report.first().unwrap());
    assert_eq!(report.stored_digest, Some(report.digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_index_is_clean_and_its_balance_sheet_sums_to_zero() {
    let world = World::new().await;
    eventful(&world).await;
    let store = indexed(&world).await;
    let report = world.audit(&store).await;
    assert_clean(&report);
    let kinds: std::collections::BTreeSet<_> = store
        .reader()
        .events_between(0, report.block)
        .await
        .unwrap()
        .iter()
        .map(|row| row.event.name())
        .collect();
    assert_eq!(kinds.len(), 24, "{kinds:?}");
    let registry = store.reader().registry_events_between(0, report.block).await.unwrap();
    let kinds: std::collections::BTreeSet<_> = registry.iter().map(|r| r.event.name()).collect();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    let held = report.registry.as_ref().unwrap();
    assert_eq!((held.nodes, held.token_balance), (2, held.bonds));
    assert_eq!(held.bonds, Amount::from_base(30 * RNDR).unwrap());
    assert_eq!((report.jobs, report.lots), (2, 5));
    assert_eq!(report.token_balance, report.liabilities);
    let sum = report.books.iter().fold(0i128, |sum, book| {
        let side = |amount: Amount| i128::try_from(amount.base()).unwrap();
        sum + side(book.credits) - side(book.debits)
    });
    assert_eq!(sum, 0);
    // Replayed without a database to compare with, up to the head.
    let fresh = world.folder.path().join("alone.db");
    let fresh = format!("sqlite:{}", fresh.display());
    let fresh = Store::open(&fresh, &world.folder.path().join("objects")).await.unwrap();
    let alone =
        indexer::audit::replay(&world.indexer_config(), fresh, None, Until::Tip).await.unwrap();
    assert_eq!((alone.digest, alone.events), (report.digest, report.events));
    assert!(alone.is_clean() && alone.stored_digest.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_changed_by_one_is_found_and_named_in_every_table() {
    let world = World::new().await;
    eventful(&world).await;
    let store = indexed(&world).await;
    for (table, column) in AMOUNTS {
        // The highest value, so that the row is told apart from the others by it.
        let pick = format!("SELECT CAST(MAX({column}) AS TEXT) FROM {table}");
        let before = world.database.texts(pick).await.remove(0);
        let after = before.parse::<u128>().unwrap() + 1;
        let (quote, after) = match column {
            "units_paid" => ("", after.to_string()),
            _ => ("'", format!("{after:029}")),
        };
        let set = |from: &str, to: &str| {
            let (from, to) = (format!("{quote}{from}{quote}"), format!("{quote}{to}{quote}"));
            format!("UPDATE {table} SET {column} = {to} WHERE {column} = {from}")
        };
        let touched = world.database.tamper(set(&before, &after)).await;
        assert!(touched > 0, "{table}.{column}");

        let report = world.audit(&store).await;
        let first = report.first().unwrap_or_else(|| panic!("{table}.{column} was not found"));
        assert_eq!((first.table, first.column.as_str()), (table, column), "{first}");
        let text = first.to_string();
        let plain = |digits: &str| digits.parse::<u128>().unwrap().to_string();
        assert!(text.contains(&plain(&before)) && text.contains(&plain(&after)), "{text}");
        assert_eq!(world.database.tamper(set(&after, &before)).await, touched);
    }
    assert_clean(&world.audit(&store).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_an_added_and_a_moved_row_are_found() {
    let world = World::new().await;
    eventful(&world).await;
    let store = indexed(&world).await;
    let changes = [
        ("blocks", "mined_at", "UPDATE blocks SET mined_at = mined_at + 1 WHERE block > 4"),
        ("blocks", "hash", "UPDATE blocks SET hash = parent_hash WHERE block > 4"),
        ("lots", "key_commit", "UPDATE lots SET key_commit = lot_hash"),
        ("lot_states", "status", "UPDATE lot_states SET status = 'lapsed' WHERE paid > rejected"),
        ("blocks", "digest", "UPDATE blocks SET digest = hash WHERE block > 3"),
        ("bond_states", "slashed", "UPDATE bond_states SET slashed = 1 - slashed"),
        ("bond_states", "payout", "UPDATE bond_states SET payout = owner"),
        ("bond_states", "unbond_at", "UPDATE bond_states SET unbond_at = unbond_at + 1"),
        ("bond_states", "(whole row)", "DELETE FROM bond_states WHERE seq = 1"),
        (
            "registry_events",
            "account",
            "UPDATE registry_events SET account = signer \
          WHERE account IS NOT NULL",
        ),
        ("registry_events", "at", "UPDATE registry_events SET at = at + 1"),
        (
            "registry_events",
            "tx_hash",
            "UPDATE registry_events SET tx_hash = capabilities_hash \
          WHERE capabilities_hash IS NOT NULL",
        ),
        ("registry_events", "(whole row)", "DELETE FROM registry_events WHERE kind = 'bonded'"),
        ("registry_receipts", "output_hash", "UPDATE registry_receipts SET output_hash = job_id"),
        ("registry_receipts", "attempt", "UPDATE registry_receipts SET attempt = attempt + 1"),
        ("registry_receipts", "signature", "UPDATE registry_receipts SET signature = job_id"),
        ("account_states", "(whole row)", "DELETE FROM account_states WHERE seq = 1"),
        (
            "events",
            "(whole row)",
            "DELETE FROM events WHERE kind = 'approved' OR kind = 'deposited'",
        ),
    ];
    let tip = store.reader().tip().await.unwrap().unwrap();
    for (table, column, sql) in &changes {
        let copy = copied(&world, &store).await;
        assert!(copy.1.tamper((*sql).to_owned()).await > 0, "{sql}");
        let report = world.audit(&copy.0).await;
        let named = |d: &Difference| (d.table, d.column.as_str()) == (*table, *column);
        let named = report.differences.iter().any(named);
        assert!(named, "{sql}: {:?}", report.differences);
        assert_eq!(report.block, tip.number);
    }
}

/// The same index once more, in a SQLite file of its own.
async fn copied(world: &World, store: &Store) -> (Store, crate::world::database::Database) {
    let folder = tempfile::TempDir::new_in(world.folder.path()).unwrap().keep();
    let database = crate::world::database::Database::file(&folder.join("copy.db"));
    let copy = Store::open(&database.url, &folder.join("objects")).await.unwrap();
    let writer = copy.chain_writer();
    writer.set_escrow(&store.reader().escrow().await.unwrap().unwrap()).await.unwrap();
    let rows = store.reader().rows_between(0, u64::from(u32::MAX)).await.unwrap();
    writer.extend(&rows).await.unwrap();
    (copy, database)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_empty_or_of_another_escrow_is_refused() {
    let world = World::new().await;
    let fresh = |name: &str| {
        let url = format!("sqlite:{}", world.folder.path().join(name).display());
        let objects = world.folder.path().join("objects");
        async move { Store::open(&url, &objects).await.unwrap() }
    };
    let config = world.indexer_config();
    let replay =
        indexer::audit::replay(&config, fresh("a").await, Some(fresh("b").await), Until::Tip).await;
    let text = replay.unwrap_err().to_string();
    assert!(text.contains("holds no block yet"), "{text}");

    let store = indexed(&world).await;
    let other = indexer::Config { escrow: world.token, poll: Duration::from_millis(50), ..config };
    let error = world.indexer_as(other.clone(), &store).fails().await.to_string();
    assert!(error.contains("set --escrow to"), "{error}");
    let error = world.indexer_as(other, &fresh("c").await).fails().await.to_string();
    assert!(error.contains("is not a RenderEscrow"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_no_event_tells_of_are_held_to_their_own_hash() {
    let world = World::new().await;
    let payer = world.funded("payer", 200 * RNDR).await;
    world.deposit(&payer, 60 * RNDR).await;
    let (opened, unopened) =
        (Deal::new(&world, &payer, 1).await, Deal::new(&world, &payer, 2).await);
    opened.open(&world).await;
    let store = indexed(&world).await;
    hand_in(&world, &store, &[&opened, &unopened]).await;
    assert_clean(&world.audit(&store).await);

    let changes = [
        ("orders", "cap", "UPDATE orders SET cap = max_unit_price"),
        ("orders", "job_id", "UPDATE orders SET max_unit_price = cap"),
        ("quotes", "cap", "UPDATE quotes SET cap = unit_price"),
        ("quotes", "unit_price", "UPDATE quotes SET unit_price = cap"),
        ("quotes", "quote_hash", "UPDATE quotes SET canonical = canonical || ' '"),
        ("specs", "spec_hash", "UPDATE specs SET canonical = canonical || ' '"),
        ("lot_drafts", "lot_hash", "UPDATE lot_drafts SET word = word + 1"),
        ("outbox_transactions", "nonce", "UPDATE outbox_transactions SET nonce = nonce + 1"),
        ("outbox_transactions", "max_fee", "UPDATE outbox_transactions SET max_fee = '%'"),
    ];
    for (table, column, sql) in changes {
        let copy = copied(&world, &store).await;
        hand_in(&world, &copy.0, &[&opened, &unopened]).await;
        let sql = sql.replace('%', &format!("{:039}", 7));
        assert!(copy.1.tamper(sql.clone()).await > 0, "{sql}");
        let report = world.audit(&copy.0).await;
        let named = |d: &Difference| (d.table, d.column.as_str()) == (table, column);
        assert!(report.differences.iter().any(named), "{sql}: {:?}", report.differences);
        assert!(report.differences.iter().all(|d| d.table == table), "{:?}", report.differences);
    }
}

/// What API and settler would have stored of these deals.
async fn hand_in(world: &World, store: &Store, deals: &[&Deal]) {
    let (intake, work, created_at) = (store.intake(), store.work(), 1_700_000_000);
    let canonical = r#"{"engine":"povray"}"#.to_owned();
    let spec_hash = keccak256(&canonical);
    intake.put_spec(&Spec { spec_hash, canonical, created_at }).await.unwrap();
    let (unit_price, cap) = (Amount::from(5u64), Amount::from(50u64));
    let canonical = format!(r#"{{"cap":"{cap}","unit_price":"{unit_price}"}}"#);
    let (quote_hash, expires_at) = (keccak256(&canonical), created_at);
    let quote = Quote { quote_hash, spec_hash, canonical, unit_price, cap, expires_at, created_at };
    intake.put_quote(&quote).await.unwrap();
    for deal in deals {
        let (job_id, order) = (deal.job_id, deal.order.clone());
        let (signature, name) = (None, "a job".to_owned());
        let order = IntakeOrder { job_id, order, signature, delegate: None, name, created_at };
        intake.put_order(&order).await.unwrap();
    }
    draft(&work, deals[0], created_at).await;
    let calldata = Bytes::from_static(&[1, 2, 3]);
    let job_id = deals[0].job_id;
    let intent = work.put_intent(Action::Close, job_id, job_id, calldata, created_at).await;
    let raw = world.sign(&deals[0].payer, world.escrow, deals[0].close_call()).await;
    let signed = TxEnvelope::decode_2718_exact(&raw).unwrap();
    work.put_transaction(&SentTx {
        tx_hash: keccak256(&raw),
        intent_id: intent.unwrap().unwrap().intent_id,
        sender: deals[0].payer.address(),
        nonce: signed.nonce(),
        max_fee: signed.max_fee_per_gas(),
        raw,
        signed_at: created_at,
    })
    .await
    .unwrap();
}

/// An accepted lot of one unit.
async fn draft(work: &WorkWriter, deal: &Deal, accepted_at: i64) {
    let (node, job_id, lot) = (deal.node, deal.job_id, deal.work(&[0], 9, true).lot);
    let (registered_at, seen_at) = (accepted_at, accepted_at);
    let token_hash = hash_of(1);
    let node_row = Node { node, token_hash, registered_at, seen_at, backends: vec![] };
    work.register_node(&node_row).await.unwrap();
    let lease_id = "lease".to_owned();
    let lease = Lease {
        lease_id: lease_id.clone(),
        job_id,
        node,
        state: LeaseState::Active,
        taken_at: accepted_at,
        expires_at: accepted_at + 60,
        problem: None,
    };
    assert!(work.take_lease(&lease, &[(0, 0)]).await.unwrap());
    let lot_hash = deal.lot_hash(&lot);
    let receipt = ReceiptRow {
        job_id,
        unit: 0,
        attempt: 0,
        node,
        output_hash: hash_of(2),
        preview_hash: hash_of(3),
        key_commit: lot.key_commit,
        started_at: accepted_at,
        finished_at: accepted_at,
        signature: Bytes::from_static(&[1; 65]),
        lot_hash,
        pixel_root: hash_of(4),
        file_root: hash_of(5),
        file_name: "a_0001.png".into(),
        opened_hash: hash_of(6),
        stored_hash: hash_of(7),
        stored_size: 1,
        preview_object: hash_of(8),
    };
    let (acceptance, lot_key) = (Bytes::from_static(&[1; 65]), None);
    let draft = LotDraft { lot_hash, job_id, lease_id, lot, acceptance, lot_key, accepted_at };
    work.accept_lot(&draft, &[receipt]).await.unwrap();
}
