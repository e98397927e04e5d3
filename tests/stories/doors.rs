//! The ways in by the command line: delegates, credit, the pause, vouchers, vaults, order files.

use alloy::primitives::{Address, U256};
use contracts::funding::{order_to_sol, vault_address};
use contracts::{Amount, Funding, LegacyRndr, Order};
use serde_json::Value;

use crate::world::deals::Deal;
use crate::world::desk::Desk;
use crate::world::{RNDR, World, wallet};

fn amount(value: &Value) -> u128 {
    value.as_str().unwrap().parse::<Amount>().unwrap().base()
}

fn message(refused: &Value) -> &str {
    refused["message"].as_str().unwrap()
}

/// A wallet with gas money and RNDR, and its keystore at this desk.
async fn keystore(world: &World, desk: &Desk, name: &str, rndr: u128) -> String {
    let key = world.funded(name, rndr).await;
    let file = format!("{name}.json");
    desk.keystore(&file, &key);
    file
}

fn save(desk: &Desk, order: &Order) -> &'static str {
    let text = serde_json::to_string(order).unwrap();
    std::fs::write(desk.folder.join("order.json"), text).unwrap();
    "order.json"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_is_set_shown_and_revoked() {
    let world = World::new().await;
    let payer = world.funded("payer", RNDR).await;
    let desk = Desk::of(&world, &payer);
    let agent = wallet("agent").address().to_checksum(None);
    let settler = wallet("settler").address().to_checksum(None);
    let set = ["delegate", "set", &agent, "--settler", &settler, "--allowance", "10"];
    let bounds = desk.data(&[&set[..], &["--max-per-job", "4", "--days", "2"]].concat());
    assert_eq!((&bounds["settler"], &bounds["live"]), (&settler.clone().into(), &true.into()));
    assert_eq!(
        (amount(&bounds["allowance"]), amount(&bounds["max_per_job"])),
        (10 * RNDR, 4 * RNDR)
    );
    let now = world.anvil.now().await;
    assert!(bounds["expiry"].as_u64().unwrap().abs_diff(now + 2 * 86_400) < 60, "{bounds}");
    world.anvil.pass(2 * 86_400).await;
    let show = ["delegate", "show", &agent, "--payer", &payer.address().to_string()];
    let bounds = desk.data(&[&show[..], &["--keystore", "none.json"]].concat());
    assert_eq!((&bounds["live"], &bounds["transaction"]), (&false.into(), &Value::Null));
    assert_eq!(desk.data(&set)["live"], true, "whole allowance in one job, for 30 days");
    assert_eq!(desk.data(&["delegate", "revoke", &agent])["live"], false);
    let refused = desk.refusal(&["delegate", "revoke", &agent], 5);
    assert!(message(&refused).contains("delegate unknown"), "{refused}");
    desk.refusal(&["delegate", "set", "0x12", "--settler", &settler, "--allowance", "1"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_offices_issue_credit_and_pause_and_nobody_else_does() {
    let world = World::new().await;
    let payer = world.funded("payer", 9 * RNDR).await;
    let desk = Desk::of(&world, &payer);
    let issuer = keystore(&world, &desk, "issuer", 7 * RNDR).await;
    let guardian = keystore(&world, &desk, "guardian", 0).await;
    let account = payer.address().to_checksum(None);
    let settler = wallet("settler").address().to_checksum(None);

    let issue = ["credit", "issue", "5", "--to", &account];
    let refused = desk.refusal(&issue, 5);
    assert!(message(&refused).contains("caller refused"), "{refused}");
    let issued = desk.data(&[&issue[..], &["--keystore", &issuer]].concat());
    assert_eq!(issued["transactions"].as_array().unwrap().len(), 2, "approve and issue");
    desk.refusal(&["credit", "issue", "3", "--to", &account, "--keystore", &issuer], 4);
    let named = desk.data(&["credit", "name-settler", &settler, "--keystore", &issuer]);
    assert_eq!(named["credit_settler"], settler);
    let shown = desk.data(&["credit", "show", &account, "--keystore", "none.json"]);
    assert_eq!((amount(&shown["credit"]), &shown["paused"]), (5 * RNDR, &false.into()));
    desk.refusal(&["withdraw", "1"], 4);

    desk.refusal(&["pause"], 5);
    assert_eq!(desk.data(&["pause", "--hours", "2", "--keystore", &guardian])["paused"], true);
    let refused = desk.refusal(&["deposit", "1"], 5);
    assert!(message(&refused).contains("is paused"), "{refused}");
    assert_eq!(desk.data(&["unpause", "--keystore", &guardian])["paused"], false);
    desk.data(&["deposit", "1"]);
    let refused = desk.refusal(&["pause", "--keystore", &guardian], 5);
    assert!(message(&refused).contains("pause too soon"), "{refused}");
    desk.refusal(&["pause", "--hours", "169", "--keystore", &guardian], 5);
    desk.refusal(&["pause", "--hours", "0", "--keystore", &guardian], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_permit_spares_the_approval_where_the_token_takes_one() {
    let world = World::of_dollars().await;
    let payer = world.funded("payer", 9 * world.coin).await;
    let mut desk = Desk::of(&world, &payer);
    let refused = desk.refusal(&["deposit", "1", "--permit"], 2);
    assert!(refused["hint"].as_str().unwrap().contains("RNDR__CHAIN__FUNDING"), "{refused}");
    desk.set("CHAIN__FUNDING", world.ways_in().await);
    let deposited = desk.data(&["deposit", "2", "--permit"]);
    assert_eq!(deposited["transactions"].as_array().unwrap().len(), 1, "no approval");
    let other = wallet("other").address().to_string();
    let again = ["deposit", "3", "--permit", "--account", &other];
    assert_eq!(amount(&desk.data(&again)["free"]), 3 * world.coin, "with the next nonce");
    let account = desk.data(&["account"]);
    assert_eq!(
        (amount(&account["free"]), amount(&account["balance"])),
        (2 * world.coin, 4 * world.coin)
    );
    desk.refusal(&["deposit", "5", "--permit"], 4);
    desk.refusal(&["deposit", "0", "--permit"], 2);

    let legacy = World::new().await;
    let payer = legacy.funded("payer", RNDR).await;
    let mut desk = Desk::of(&legacy, &payer);
    desk.set("CHAIN__FUNDING", legacy.ways_in().await);
    let refused = desk.refusal(&["deposit", "1", "--permit"], 5);
    assert!(message(&refused).contains("takes no permits"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_paid_by_one_voucher_that_grows() {
    let world = World::new().await;
    let payer = world.funded("payer", 30 * RNDR).await;
    let desk = Desk::of(&world, &payer);
    let settler = keystore(&world, &desk, "settler", 0).await;
    let stranger = keystore(&world, &desk, "stranger", 0).await;
    let deal = Deal::of_calls(&world, &payer, 1).await;
    let job_id = deal.job_id.to_string();

    // From its order file: 5 of its own account, the lack of 15 from its tokens.
    desk.data(&["deposit", "5"]);
    let file = save(&desk, &deal.order);
    desk.refusal(&["open", file, "--keystore", &stranger], 4);
    let opened = desk.data(&["open", file]);
    assert_eq!(opened["job_id"], job_id);
    assert_eq!(amount(&desk.data(&["account"])["balance"]), 10 * RNDR);
    desk.refusal(&["open", file], 4);

    let sign = |total: &str| desk.data(&["voucher", "sign", &job_id, total]);
    let signed = sign("1.5");
    assert_eq!(amount(&signed["due"]), RNDR * 3 / 2);
    let (first, second) = (wallet("node-1").address(), wallet("node-2").address());
    let redeem = |total: &str, signature: &Value, payouts: &[&str]| {
        let line = ["voucher", "redeem", &job_id, total, "--keystore", &settler];
        let signature = signature.as_str().unwrap();
        let payouts = payouts.iter().flat_map(|payout| ["--payout", payout]);
        let line = line.into_iter().chain(["--signature", signature]).chain(payouts);
        line.collect::<Vec<_>>().join(" ")
    };
    let run = |line: String| desk.data(&line.split(' ').collect::<Vec<_>>());
    let refuse = |line: String, code| desk.refusal(&line.split(' ').collect::<Vec<_>>(), code);
    let split = [format!("{first}=0.5"), second.to_string()];
    let split: Vec<&str> = split.iter().map(String::as_str).collect();
    let redeemed = run(redeem("1.5", &signed["signature"], &split));
    assert_eq!(amount(&redeemed["payouts"][1]["amount"]), RNDR);
    // 5 % fee and 2 % burn.
    let free = |of: Address| amount(&desk.data(&["account", &of.to_string()])["free"]);
    assert_eq!((free(first), free(second)), (RNDR / 2 * 93 / 100, RNDR * 93 / 100));

    let refused = refuse(redeem("1.5", &signed["signature"], &split), 5);
    assert!(message(&refused).contains("redeemed already"), "{refused}");
    let grown = sign("2");
    let half = format!("{first}=0.4");
    let refused = refuse(redeem("2", &grown["signature"], &[&half]), 2);
    assert!(message(&refused).contains("come to 0.4 RNDR; the voucher adds 0.5 RNDR"), "{refused}");
    let all = first.to_string();
    let refused = refuse(redeem("2.5", &grown["signature"], &[&all]), 5);
    assert!(message(&refused).contains("signature refused"), "another total: {refused}");
    run(redeem("2", &grown["signature"], &[&all]));
    desk.refusal(&["voucher", "sign", &job_id, "21"], 4);
    let refused = desk.refusal(&["voucher", "sign", &job_id, "3", "--keystore", &stranger], 5);
    assert!(message(&refused).contains("neither payer nor approver"), "{refused}");

    let frames = Deal::new(&world, &payer, 2).await;
    world.deposit(&payer, 10 * RNDR).await;
    let order = Order { cap: Amount::from_base(10 * RNDR).unwrap(), ..frames.order };
    let opened = desk.data(&["open", save(&desk, &order)]);
    let refused = desk.refusal(&["voucher", "sign", opened["job_id"].as_str().unwrap(), "1"], 5);
    assert!(message(&refused).contains("16 units"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_transfer_pays_a_vault_and_what_is_too_much_comes_back() {
    let world = World::new().await;
    let buyer = world.funded("buyer", 50 * RNDR).await;
    let mut desk = Desk::of(&world, &world.funded("relayer", 0).await);
    desk.unset("CHAIN__ESCROW");
    desk.unset("CHAIN__DEPLOY_BLOCK");
    let token = world.token.to_string();
    let deployed = desk.data(&["deploy", "--token", &token, "--out", "d.json"]);
    desk.set("CHAIN__DEPLOYMENT", "d.json");
    let deal = Deal::new(&world, &buyer, 1).await;
    let refund_to = wallet("refunds").address();
    let order = Order { refund_to, ..deal.order };
    let file = save(&desk, &order);

    let shown = desk.data(&["vault", "address", file, "--keystore", "none.json"]);
    let funding: Address = deployed["funding"]["address"].as_str().unwrap().parse().unwrap();
    let vault: Address = shown["vault"].as_str().unwrap().parse().unwrap();
    let at = Funding::new(funding, &world.anvil.provider);
    assert_eq!(at.vaultOf(order_to_sol(&order)).call().await.unwrap(), vault);
    let job_id = shown["job_id"].as_str().unwrap().to_owned();
    assert_eq!(vault_address(funding, job_id.parse().unwrap()), vault);
    assert_eq!((amount(&shown["cap"]), &shown["job"]), (20 * RNDR, &"none".into()));

    let pay = async |rndr: u128| {
        let call = LegacyRndr::transferCall { to: vault, value: U256::from(rndr) };
        world.send(&buyer, world.token, call).await;
    };
    let refused = desk.refusal(&["vault", "open", file], 4);
    assert!(message(&refused).contains("vault too low"), "{refused}");
    pay(19 * RNDR).await;
    desk.refusal(&["vault", "open", file], 4);
    let refused = desk.refusal(&["vault", "rescue", file], 5);
    assert!(message(&refused).contains("too early"), "{refused}");
    pay(4 * RNDR).await;
    assert_eq!(amount(&desk.data(&["vault", "address", file])["held"]), 23 * RNDR);
    let opened = desk.data(&["vault", "open", file]);
    assert_eq!((&opened["job"], amount(&opened["held"])), (&"open".into(), 3 * RNDR));
    let refused = desk.refusal(&["vault", "open", file], 5);
    assert!(message(&refused).contains("was opened before"), "{refused}");

    // By the job's id as well: its terms are in its log.
    let rescued = desk.data(&["vault", "rescue", &job_id]);
    assert_eq!(amount(&rescued["held"]), 0);
    let balance = LegacyRndr::new(world.token, &world.anvil.provider);
    let balance = balance.balanceOf(refund_to).call().await.unwrap();
    assert_eq!(balance, U256::from(3 * RNDR));
    let refused = desk.refusal(&["vault", "rescue", file], 5);
    assert!(message(&refused).contains("nothing to rescue"), "{refused}");

    // 7: ways in of another escrow are never used.
    let salt = ["--salt", &deal.job_id.to_string()];
    let other = desk.data(&[&["deploy", "--token", &token], &salt[..]].concat());
    desk.set("CHAIN__FUNDING", other["funding"]["address"].as_str().unwrap());
    let refused = desk.refusal(&["vault", "address", file], 7);
    assert!(message(&refused).contains("is of the escrow"), "{refused}");
    desk.unset("CHAIN__FUNDING");
    desk.unset("CHAIN__DEPLOYMENT");
    desk.set("CHAIN__ESCROW", deployed["escrow"]["address"].as_str().unwrap());
    let refused = desk.refusal(&["vault", "address", file], 2);
    assert!(refused["hint"].as_str().unwrap().contains("--deployment"), "{refused}");
    std::fs::write(desk.folder.join("order.json"), "{}").unwrap();
    desk.set("CHAIN__DEPLOYMENT", "d.json");
    let refused = desk.refusal(&["vault", "address", file], 2);
    assert!(message(&refused).contains("missing field"), "{refused}");
}
