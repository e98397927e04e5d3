//! The settler falls silent: what it has signed still pays the node, by the node's own calls.

use std::path::Path;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use contracts::seal::{FileId, LotKey};
use contracts::{RenderEscrow as Escrow, order, seal, signing};
use settler::node::Accepted;
use store::LotStatus;

use crate::world::deals::Deal;
use crate::world::studio::{PRICE, Painter, Studio};
use crate::world::watched::Watched;
use crate::world::{RNDR, wallet};

/// What a node has kept of its one accepted lease: the settler's word, and the sealed lot key.
fn kept(work_dir: &Path) -> (Accepted, Vec<u8>) {
    let folders = std::fs::read_dir(work_dir.join("accepted")).unwrap();
    let folders: Vec<_> = folders.map(|folder| folder.unwrap().path()).collect();
    assert_eq!(folders.len(), 1);
    let read = |name: &str| std::fs::read(folders[0].join(name)).unwrap();
    (serde_json::from_slice(&read("accepted.json")).unwrap(), read("lot-key.sealed"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_commits_settles_and_is_paid_by_what_the_settler_handed_it() {
    let studio = Studio::open().await;
    let (world, reader) = (&studio.world, studio.store.reader());
    // It accepts, and would commit only long after.
    let config = settler::Config { commit_after_seconds: 6_000, ..studio.settler_config() };
    let settler = studio.settler_as(config);
    let running = studio.node("node", Painter::default());
    let job_id = studio.submit(&studio.payer, 3, 3, 1).await;
    let drafts = studio.accepted(job_id, 3).await;
    let archive = world.folder.path().join("node").join("accepted");
    let archived = || async {
        let mut folders = std::fs::read_dir(&archive).ok()?;
        folders.next().map(|_| ())
    };
    crate::world::eventually("the node's copy of the acceptance", archived).await;
    running.stop().await;
    settler.stop().await;

    let node = world.funded("node", 0).await;
    let (accepted, sealed) = kept(&world.folder.path().join("node"));
    assert_eq!((accepted.lot_hash, &accepted.lot), (drafts[0].lot_hash, &drafts[0].lot));
    let secret = node.to_bytes();
    let at_rest = keccak256([b"rndr node: lot keys at rest", secret.as_slice()].concat());
    let file = FileId { job_id, unit: u32::MAX, attempt: 0, name: "lot key" };
    let key = seal::open(&LotKey::from(at_rest), &file, &sealed).unwrap();
    let key = B256::try_from(key.as_slice()).unwrap();
    assert_eq!(LotKey::from(key).commit(), accepted.lot.key_commit);

    let (terms, _) = reader.job(job_id).await.unwrap().unwrap();
    let commit = Escrow::commitCall {
        order: terms.order.to_sol(),
        lots: vec![accepted.lot.to_sol()],
        acceptance: accepted.acceptance.clone(),
        approval: Bytes::new(),
    };
    world.send(&node, world.escrow, commit).await;
    world.anvil.pass(600).await;
    let settle = Escrow::settleCall {
        order: terms.order.to_sol(),
        lots: vec![accepted.lot.to_sol()],
        keys: vec![key],
    };
    world.send(&node, world.escrow, settle.clone()).await;
    // All units are paid, so anybody ends the job.
    let close = Escrow::closeCall {
        order: terms.order.to_sol(),
        payerSide: Bytes::new(),
        settlerSide: Bytes::new(),
    };
    world.send(&node, world.escrow, close).await;
    studio.paid_once(job_id, 3).await;
    let earned = reader.account(node.address()).await.unwrap().unwrap().free;
    assert_eq!(earned.base(), 3 * PRICE * 93 / 100);
    let (_, lot) = reader.lot(accepted.lot_hash).await.unwrap().unwrap();
    assert_eq!((lot.status, lot.lot_key), (LotStatus::Settled, Some(key)));
    let withdraw = Escrow::withdrawCall { amount: earned.into(), to: node.address() };
    world.send(&node, world.escrow, withdraw).await;
    assert_eq!(world.held(node.address()).await, 3 * PRICE * 93 / 100);

    // Back again, the settler takes it as done: nothing is paid twice.
    let settler = studio.settler();
    studio.outbox_done().await;
    settler.stop().await;
    studio.pause_mining().await;
    let report = world.audited(&studio.store).await;
    assert_eq!(report.liabilities.base(), 100 * RNDR - 3 * PRICE * 93 / 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_settlers_word_for_exactly_this_lot_a_node_commits_nothing() {
    let watched = Watched::new().await;
    let payer = watched.funded("payer", 100 * RNDR).await;
    watched.deposit(&payer, 60 * RNDR).await;
    let deal = Deal::new(&watched, &payer, 1).await;
    deal.open(&watched).await;
    let node = watched.funded("node", 0).await;
    let (accepted, other) = (deal.work(&[0, 1], 1, true), deal.work(&[0, 1, 2], 1, true));
    let word = deal.acceptance(std::slice::from_ref(&accepted.lot));
    let commit = |work, acceptance| Escrow::commitCall {
        acceptance,
        ..deal.commit_call(std::slice::from_ref(work), false)
    };
    let refused = |work: &crate::world::deals::Work| {
        let act = signing::acceptance(deal.job_id, std::slice::from_ref(&work.lot));
        let domain = order::domain(watched.anvil.chain_id, watched.escrow);
        let digest = signing::signing_hash(&act, &domain);
        let wanted = deal.order.settler;
        move |_| Escrow::RenderEscrow_SignatureRefused { digest, wanted, orWanted: Address::ZERO }
    };
    watched.refuses(&node, commit(&other, word.clone()), refused(&other)).await;
    let own = signing::acceptance(deal.job_id, std::slice::from_ref(&accepted.lot));
    let own = deal.signed(&wallet("node"), &own);
    watched.refuses(&node, commit(&accepted, own), refused(&accepted)).await;
    let nobody = |_| Escrow::RenderEscrow_CallerRefused {
        caller: node.address(),
        wanted: deal.order.settler,
        orWanted: Address::ZERO,
    };
    watched.refuses(&node, commit(&accepted, Bytes::new()), nobody).await;

    watched.send(&node, watched.escrow, commit(&accepted, word.clone())).await;
    // The payer still has its whole window, and its word is the last: one unit is not wanted.
    deal.reject(&watched, &accepted, U256::ONE).await;
    let lot_hash = deal.lot_hash(&accepted.lot);
    let known = |_| Escrow::RenderEscrow_LotKnown { lotHash: lot_hash, status: 1 };
    watched.refuses(&node, commit(&accepted, word), known).await;
    watched.anvil.pass(600).await;
    let settle = deal.settle_call(std::slice::from_ref(&accepted));
    watched.send(&node, watched.escrow, settle).await;
    assert_eq!(watched.money(&deal).await, (20 * RNDR, RNDR / 2, 0));
    assert_eq!(watched.free(node.address()).await, RNDR / 2 * 93 / 100);
    watched.end().await;
}
