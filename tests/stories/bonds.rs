//! Bonds of nodes, from registration to withdrawal or slash, each step through reorgs and an audit.

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use contracts::order::BURN_ACCOUNT;
use contracts::registry::UNBOND_DELAY_SECONDS;
use contracts::{Amount, LegacyRndr, NodeRegistry};
use store::{BondState, Store};

use super::reorg::through_reorgs;
use crate::world::bonds::Bond;
use crate::world::{RNDR, World};

async fn moved_about(world: &World, store: &Store, from: &PrivateKeySigner, call: impl SolCall) {
    let raw = world.sign(from, world.registry, call).await;
    assert_eq!(through_reorgs(world, store, raw).await.len(), 1);
}

/// The name under which the registry refuses a call.
async fn refusal(world: &World, from: &PrivateKeySigner, call: impl SolCall) -> String {
    let data = world.refused(from, world.registry, call).await;
    contracts::revert::explain_revert(&data).code
}

async fn tokens(world: &World, of: Address) -> Amount {
    let token = LegacyRndr::new(world.token, &world.anvil.provider);
    token.balanceOf(of).call().await.unwrap().try_into().unwrap()
}

fn rndr(whole: u128) -> Amount {
    Amount::from_base(whole * RNDR).unwrap()
}

/// The index's bond, which is also what the registry's own view says.
async fn state(world: &World, store: &Store, bond: &Bond) -> BondState {
    world.caught_up(store).await;
    let state = store.reader().bond(bond.id()).await.unwrap().unwrap();
    let registry = NodeRegistry::new(world.registry, &world.anvil.provider);
    let told = registry.node(bond.id()).call().await.unwrap();
    assert_eq!((told.owner, told.payout), (state.owner, state.payout));
    assert_eq!(Amount::from(told.bonded), state.bonded);
    assert_eq!(Amount::from(told.unbonding), state.unbonding);
    assert_eq!(told.unbondAt.to::<i64>(), state.unbond_at);
    assert_eq!((told.slashed, told.seq), (state.slashed, state.seq));
    state
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bond_goes_back_to_its_owner_after_the_delay_and_not_before() {
    let world = World::new().await;
    let store = world.store().await;
    let indexer = world.indexer(&store);
    let bond = Bond::new(&world, "node", 100 * RNDR).await;
    // Somebody else cannot register the signer with a consent that it saw.
    let stranger = world.funded("stranger", 0).await;
    let copied = refusal(&world, &stranger, bond.register_call()).await;
    assert_eq!(copied, "registration_refused");
    moved_about(&world, &store, &bond.owner, bond.register_call()).await;
    assert_eq!(state(&world, &store, &bond).await.owner, bond.owner.address());
    assert_eq!(refusal(&world, &bond.owner, bond.register_call()).await, "signer_known");
    moved_about(&world, &store, &bond.owner, bond.bond_call(30 * RNDR)).await;
    moved_about(&world, &store, &bond.owner, bond.update_call(stranger.address())).await;
    let now = state(&world, &store, &bond).await;
    assert_eq!((now.payout, now.bonded, now.seq), (stranger.address(), rndr(30), 3));

    moved_about(&world, &store, &bond.owner, bond.unbond_call(20 * RNDR)).await;
    let now = state(&world, &store, &bond).await;
    assert_eq!((now.bonded, now.unbonding), (rndr(10), rndr(20)));
    assert_eq!(refusal(&world, &bond.owner, bond.withdraw_call()).await, "too_early");
    world.anvil.pass(UNBOND_DELAY_SECONDS).await;
    assert_eq!(refusal(&world, &stranger, bond.withdraw_call()).await, "caller_refused");
    moved_about(&world, &store, &bond.owner, bond.withdraw_call()).await;
    let now = state(&world, &store, &bond).await;
    assert_eq!((now.bonded, now.unbonding, now.seq), (rndr(10), Amount::ZERO, 5));
    assert_eq!(tokens(&world, bond.owner.address()).await, rndr(90));
    assert_eq!(tokens(&world, world.registry).await, rndr(10));
    assert_eq!(refusal(&world, &bond.owner, bond.withdraw_call()).await, "nothing_unbonding");

    // Every movement of the bond's book, and a gift that is nobody's.
    let entries = store.reader().entries_of_bond(bond.id()).await.unwrap();
    let book = store::entries::bond_book(bond.id());
    let moved: Vec<_> = entries.iter().filter(|e| e.book == book).collect();
    let moved: Vec<_> = moved.iter().map(|e| (e.debit, e.amount)).collect();
    assert_eq!(moved, [(false, rndr(30)), (true, rndr(20))]);
    let gift = LegacyRndr::transferCall { to: world.registry, value: rndr(3).to_u256() };
    world.send(&bond.owner, world.token, gift).await;
    world.caught_up(&store).await;
    let report = world.audit(&store).await;
    assert!(report.is_clean(), "{}", report.first().unwrap());
    let held = report.registry.unwrap();
    assert_eq!((held.nodes, held.bonds, held.surplus), (1, rndr(10), rndr(3)));
    assert_eq!(held.token_balance, rndr(13));
    indexer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_of_two_outputs_loses_all_once_half_to_whoever_reports_it_first() {
    let world = World::new().await;
    let store = world.store().await;
    let indexer = world.indexer(&store);
    let bond = Bond::new(&world, "node", 101 * RNDR).await;
    let reporter = world.funded("reporter", 0).await;
    let copier = world.funded("copier", 0).await;
    assert_eq!(refusal(&world, &reporter, bond.slash_call()).await, "signer_unknown");
    moved_about(&world, &store, &bond.owner, bond.register_call()).await;
    moved_about(&world, &store, &bond.owner, bond.bond_call(100 * RNDR)).await;
    world.send(&bond.owner, world.registry, bond.unbond_call(40 * RNDR)).await;

    // A pair that agrees, and one that two keys signed, prove nothing.
    let same = NodeRegistry::slashCall {
        second: bond.slash_call().first,
        secondSignature: bond.slash_call().firstSignature,
        ..bond.slash_call()
    };
    assert_eq!(refusal(&world, &reporter, same).await, "outputs_equal");
    let other = Bond::new(&world, "other node", 0).await;
    let mixed = NodeRegistry::slashCall {
        secondSignature: other.slash_call().secondSignature,
        ..bond.slash_call()
    };
    assert_eq!(refusal(&world, &reporter, mixed).await, "signers_differ");

    moved_about(&world, &store, &reporter, bond.slash_call()).await;
    let now = state(&world, &store, &bond).await;
    assert_eq!((now.bonded, now.unbonding, now.slashed), (Amount::ZERO, Amount::ZERO, true));
    assert_eq!(tokens(&world, reporter.address()).await, rndr(50));
    assert_eq!(tokens(&world, BURN_ACCOUNT).await, rndr(50));
    assert_eq!(tokens(&world, world.registry).await, Amount::ZERO);
    // The proof is public now, and worth nothing a second time; nor does the signer come back.
    assert_eq!(refusal(&world, &copier, bond.slash_call()).await, "signer_barred");
    assert_eq!(refusal(&world, &bond.owner, bond.bond_call(RNDR)).await, "signer_barred");
    assert_eq!(refusal(&world, &bond.owner, bond.withdraw_call()).await, "nothing_unbonding");
    world.audited(&store).await;
    let events = store.reader().registry_events_of(bond.id()).await.unwrap();
    let names: Vec<_> = events.iter().map(|row| row.event.name()).collect();
    assert_eq!(names, ["Registered", "Bonded", "UnbondRequested", "Slashed"]);
    indexer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_keeps_the_registry_it_began_with() {
    let world = World::new().await;
    let store = world.store().await;
    let indexer = world.indexer(&store);
    world.caught_up(&store).await;
    indexer.stop().await;
    let with = |registry| indexer::Config { registry, ..world.indexer_config() };
    let error = world.indexer_as(with(None), &store).fails().await.to_string();
    let set = format!("set RNDR__CHAIN__REGISTRY to {}", world.registry);
    assert!(error.contains(&set), "{error}");
    let error = world.indexer_as(with(Some(world.escrow)), &store).fails().await.to_string();
    assert!(error.contains(&set), "{error}");

    let url = format!("sqlite:{}", world.folder.path().join("without.db").display());
    let without = Store::open(&url, &world.folder.path().join("objects")).await.unwrap();
    for (registry, reason) in [(world.token, "is not the NodeRegistry"), (Address::ZERO, "none")] {
        let error = world.indexer_as(with(Some(registry)), &without).fails().await.to_string();
        assert!(error.contains(reason), "{error}");
    }
    let indexer = world.indexer_as(with(None), &without);
    world.caught_up(&without).await;
    indexer.stop().await;
    let error = world.indexer(&without).fails().await.to_string();
    assert!(error.contains("indexed without the node registry"), "{error}");
    assert!(error.contains("use a new --store"), "{error}");
}
