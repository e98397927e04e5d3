//! The command line as scripts see it: data on stdout, talk on stderr, published exit codes.

use alloy::primitives::B256;
use contracts::registry::UNBOND_DELAY_SECONDS;
use contracts::{Amount, LegacyRndr, RenderEscrow};
use serde_json::{Value, json};

use crate::world::bonds::Bond;
use crate::world::deals::Deal;
use crate::world::desk::Desk;
use crate::world::{RNDR, World, free_port, wallet};

#[tokio::test(flavor = "multi_thread")]
async fn money_goes_in_and_out_and_every_refusal_has_its_exit_code() {
    let world = World::new().await;
    let payer = world.funded("payer", 100 * RNDR).await;
    let desk = Desk::of(&world, &payer);
    let whole = |rndr: u128| Value::String((rndr * RNDR).to_string());

    let deposited = desk.data(&["deposit", "12.5"]);
    assert_eq!(deposited["transactions"].as_array().unwrap().len(), 2, "approve and deposit");
    let account = desk.data(&["account"]);
    assert_eq!(account["account"], payer.address().to_checksum(None));
    assert_eq!(account["free"], (RNDR * 25 / 2).to_string());
    assert_eq!(account["allowance"], "0");
    desk.data(&["withdraw", "2.5"]);
    desk.data(&["withdraw", "all", "--to", &wallet("elsewhere").address().to_string()]);
    let account = desk.data(&["account"]);
    assert_eq!(
        (&account["free"], &account["balance"]),
        (&whole(0), &(90 * RNDR).to_string().into())
    );

    // 2: usage, with the key or flag by name.
    let unnamed = ["quote", "a.pov", "--size", "1x1"];
    assert!(String::from_utf8_lossy(&desk.run(&unnamed, 2).stderr).contains("--frames"));
    assert!(desk.refusal(&["deposit", "1e5"], 2)["message"].as_str().unwrap().contains("1e5"));
    desk.refusal(&["wallet", "new", "--out", "wallet.json"], 2);
    // 3: not found.
    let unknown = B256::repeat_byte(7).to_string();
    desk.refusal(&["close", &unknown], 3);
    desk.refusal(&["account", "--escrow", &wallet("nobody").address().to_string()], 3);
    // 4: insufficient funds, with the figures, before legacy RNDR's silent revert.
    let lack = desk.refusal(&["deposit", "91"], 4);
    assert!(lack["message"].as_str().unwrap().contains("holds 90 RNDR, 91 RNDR are needed"));
    desk.refusal(&["withdraw", "1"], 4);
    // 6: unavailable.
    let dead = format!("http://127.0.0.1:{}", free_port());
    desk.refusal(&["account", "--rpc-url", &dead], 6);
    let scene = desk.folder.join("a.pov");
    std::fs::write(&scene, "sphere { 0, 1 }").unwrap();
    let quote = ["quote", "a.pov", "--frames", "1", "--size", "1x1", "--api", &dead];
    desk.refusal(&quote, 6);
    assert_eq!(desk.data(&["account"])["balance"], (90 * RNDR).to_string(), "nothing changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_closed_without_any_server_once_and_only_when_it_may() {
    let world = World::new().await;
    let payer = world.funded("payer", 100 * RNDR).await;
    world.deposit(&payer, 60 * RNDR).await;
    let desk = Desk::of(&world, &payer);
    let deal = Deal::new(&world, &payer, 1).await;
    deal.open(&world).await;
    let job_id = deal.job_id.to_string();
    let requested = desk.data(&["close", &job_id]);
    assert_eq!(requested["state"], "requested");
    // 5: rejected, while the request runs.
    let refused = desk.refusal(&["close", &job_id], 5);
    assert!(refused["message"].as_str().unwrap().contains("requested"));
    world.anvil.pass(2 * 86_400).await;
    assert_eq!(desk.data(&["close", &job_id])["state"], "closed");
    let refused = desk.refusal(&["close", &job_id], 5);
    assert!(refused["message"].as_str().unwrap().contains("closed already"));
    assert_eq!(desk.data(&["account"])["free"], (60 * RNDR).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_ends_with_seven_and_names_the_row_when_one_base_unit_changed() {
    let world = World::new().await;
    let payer = world.funded("payer", 100 * RNDR).await;
    world.deposit(&payer, 5 * RNDR).await;
    let amount = Amount::from_base(RNDR).unwrap().into();
    let to = payer.address();
    world.send(&payer, world.escrow, RenderEscrow::withdrawCall { amount, to }).await;
    let bond = Bond::new(&world, "node", 3 * RNDR).await;
    world.send(&bond.owner, world.registry, bond.register_call()).await;
    world.send(&bond.owner, world.registry, bond.bond_call(2 * RNDR)).await;
    let store = world.store().await;
    let indexer = world.indexer(&store);
    world.caught_up(&store).await;
    indexer.stop().await;
    let desk = Desk::of(&world, &payer);

    let clean = desk.data(&["audit", "replay"]);
    assert_eq!(
        (&clean["digest"], &clean["token_balance"]),
        (&clean["stored_digest"], &(4 * RNDR).to_string().into())
    );
    let sql = "UPDATE account_states SET free = '00000000004000000000000000001' \
        WHERE free = '00000000004000000000000000000'";
    assert_eq!(world.database.tamper(sql.into()).await, 1);
    let output = desk.run(&["audit", "replay"], 7);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains("table account_states") && talk.contains("column free"), "{talk}");
    assert!(talk.contains("4000000000000000001, but the chain says 4000000000000000000"), "{talk}");
    desk.data(&["audit", "replay", "--chain-only"]);

    let sql = "UPDATE account_states SET free = '00000000004000000000000000000' \
        WHERE free = '00000000004000000000000000001'";
    assert_eq!(world.database.tamper(sql.into()).await, 1);
    let sql = "UPDATE bond_states SET bonded = '00000000002000000000000000001' \
        WHERE bonded = '00000000002000000000000000000'";
    assert_eq!(world.database.tamper(sql.into()).await, 1);
    let output = desk.run(&["audit", "replay"], 7);
    let talk = String::from_utf8(output.stderr).unwrap();
    let row = format!("table bond_states, row bond of {}, column bonded", bond.id());
    let row = row.to_lowercase();
    assert!(talk.to_lowercase().contains(&row) && talk.contains(" log "), "{talk}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bond_is_made_shown_taken_back_and_slashed_from_the_command_line() {
    let world = World::new().await;
    let owner = world.funded("owner", 100 * RNDR).await;
    let bond = Bond::new(&world, "node", 0).await;
    let mut desk = Desk::of(&world, &owner);
    desk.set("NODE__KEYSTORE", desk.keystore("node.json", &bond.signer).display());
    let node = bond.id().to_string();
    let amount = |rndr: u128| Value::String((rndr * RNDR).to_string());

    desk.refusal(&["registry", "show", &node], 3);
    desk.refusal(&["registry", "bond", &node, "1"], 3);
    let payout = wallet("elsewhere").address().to_string();
    let made = desk.data(&["registry", "register", "--payout", &payout]);
    assert_eq!((&made["signer"], &made["payout"]), (&node.clone().into(), &payout.into()));
    assert_eq!(made["owner"], owner.address().to_string());
    let bonded = desk.data(&["registry", "bond", &node, "30"]);
    assert_eq!(bonded["transactions"].as_array().unwrap().len(), 2, "approve and bond");
    assert_eq!(bonded["bonded"], amount(30));
    desk.refusal(&["registry", "bond", &node, "71"], 4);
    let asked = desk.data(&["registry", "unbond", &node, "20"]);
    assert_eq!((&asked["bonded"], &asked["unbonding"]), (&amount(10), &amount(20)));
    let early = desk.refusal(&["registry", "withdraw", &node], 5);
    assert!(early["hint"].as_str().unwrap().contains("wait for the named time"));
    world.anvil.pass(UNBOND_DELAY_SECONDS).await;
    assert_eq!(desk.data(&["registry", "withdraw", &node])["unbonding"], amount(0));

    let receipt = |name: &str, output: u64| {
        let (receipt, signature) = bond.receipt(output);
        // Whatever else stands beside the two, as in an answer of the API.
        let text = json!({ "receipt": receipt, "signature": signature, "node": node });
        std::fs::write(desk.folder.join(name), text.to_string()).unwrap();
    };
    receipt("one.json", 1);
    receipt("two.json", 2);
    std::fs::write(desk.folder.join("none.json"), "{}").unwrap();
    desk.refusal(&["registry", "report", "one.json", "nowhere.json"], 3);
    desk.refusal(&["registry", "report", "one.json", "none.json"], 2);
    let same = desk.refusal(&["registry", "report", "one.json", "one.json"], 5);
    assert!(same["message"].as_str().unwrap().contains("prove nothing"), "{same}");
    let reported = desk.data(&["registry", "report", "one.json", "two.json"]);
    assert_eq!((&reported["burned"], &reported["rewarded"]), (&amount(5), &amount(5)));
    let again = desk.refusal(&["registry", "report", "one.json", "two.json"], 5);
    assert!(again["hint"].as_str().unwrap().contains("register a new key"), "{again}");
    let shown = desk.data(&["registry", "show", &node]);
    assert_eq!((&shown["slashed"], &shown["bonded"]), (&true.into(), &amount(0)));
    desk.data(&["audit", "replay", "--chain-only"]);
    desk.set("CHAIN__REGISTRY", world.escrow);
    desk.refusal(&["registry", "show", &node], 5);
    desk.set("CHAIN__REGISTRY", "");
    desk.refusal(&["registry", "show", &node], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_token_goes_on_test_chains_only_and_an_escrow_needs_a_token() {
    let world = World::new().await;
    let payer = world.funded("payer", RNDR).await;
    let desk = Desk::of(&world, &payer);
    let deployed = desk.data(&["deploy", "--test-token", "--supply", "7"]);
    let token = deployed["token"].as_str().unwrap().parse().unwrap();
    let token = LegacyRndr::new(token, &world.anvil.provider);
    let supply = token.balanceOf(payer.address()).call().await.unwrap();
    assert_eq!(supply, alloy::primitives::U256::from(7 * RNDR));
    let nothing = wallet("nobody").address().to_string();
    desk.refusal(&["deploy", "--token", &nothing], 3);
    let other = World::on(crate::world::anvil::Options { chain_id: 1, ..Default::default() }).await;
    let rich = other.funded("payer", RNDR).await;
    let desk = Desk::of(&other, &rich);
    let refused = desk.refusal(&["deploy", "--test-token"], 2);
    assert!(refused["message"].as_str().unwrap().contains("chain 1 is no local test chain"));
}
