//! Contracts at addresses known beforehand: put there once, verified, and used from their file.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::providers::Provider;
use alloy::providers::ext::AnvilApi;
use contracts::deploy::{PROXY, PROXY_MAKER, PROXY_TRANSACTION};
use contracts::funding::PERMIT2;
use contracts::{Funding, NodeRegistry, RenderEscrow};
use serde_json::{Value, json};

use crate::world::anvil::Options;
use crate::world::desk::Desk;
use crate::world::{RNDR, World, wallet};

/// The arguments of one deployment: the world's token, both offices, a salt.
fn arguments(world: &World) -> Vec<String> {
    let office = |name: &str| wallet(name).address().to_string();
    let salt = B256::repeat_byte(5).to_string();
    let (token, issuer, guardian) = (world.token.to_string(), office("ivy"), office("gus"));
    let named = [("--token", token), ("--issuer", issuer), ("--guardian", guardian)];
    let named = named.into_iter().chain([("--salt", salt)]);
    let words = named.flat_map(|(name, value)| [name.to_owned(), value]);
    ["deploy".to_owned()].into_iter().chain(words).collect()
}

fn run<'a>(arguments: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    arguments.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

fn address(value: &Value) -> Address {
    value.as_str().unwrap().parse().unwrap()
}

/// As the standard says it, from the checked-in bytecode and hand-made arguments.
fn create2(salt: B256, code: &Bytes, arguments: &[Address]) -> Address {
    let words = arguments.iter().flat_map(|word| word.into_word().0);
    let init = keccak256(code.iter().copied().chain(words).collect::<Vec<u8>>());
    let packed = [&[0xff][..], PROXY.as_slice(), salt.as_slice(), init.as_slice()].concat();
    Address::from_slice(&keccak256(packed)[12..])
}

#[tokio::test(flavor = "multi_thread")]
async fn contracts_stand_where_foretold_and_are_put_there_once() {
    let world = World::new().await;
    let payer = world.funded("payer", RNDR).await;
    let desk = Desk::of(&world, &payer);
    let arguments = arguments(&world);
    let [ivy, gus] = ["ivy", "gus"].map(|name| wallet(name).address());

    let foretold = desk.data(&run(&arguments, &["--dry-run", "--keystore", "none.json"]));
    let salt = B256::repeat_byte(5);
    let escrow = create2(salt, &RenderEscrow::BYTECODE, &[world.token, ivy, gus]);
    let funding = create2(salt, &Funding::BYTECODE, &[escrow, Address::ZERO]);
    let registry = create2(salt, &NodeRegistry::BYTECODE, &[escrow]);
    for (name, wanted) in [("escrow", escrow), ("funding", funding), ("registry", registry)] {
        assert_eq!(address(&foretold[name]["address"]), wanted, "{name}");
        assert_eq!(foretold[name]["stands"], false, "{name}");
    }
    let output = desk.run(&run(&arguments, &["--out", "d.json", "--json"]), 0);
    let deployed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let file = std::fs::read_to_string(desk.folder.join("d.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), deployed);
    assert_eq!(address(&deployed["escrow"]["address"]), escrow);
    assert_eq!(deployed["permit2"], Value::Null, "no Permit2 on this chain");

    // The same again, with the file of the first run and without it.
    let provider = &world.anvil.provider;
    let sent = provider.get_transaction_count(payer.address()).await.unwrap();
    world.anvil.mine(3).await;
    for more in [["--out", "d.json", "--json"], ["--out", "e.json", "--json"]] {
        let output = desk.run(&run(&arguments, &more), 0);
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), deployed, "{more:?}");
        let talk = String::from_utf8(output.stderr).unwrap();
        assert!(talk.contains("nothing was deployed"), "{talk}");
    }
    assert_eq!(provider.get_transaction_count(payer.address()).await.unwrap(), sent);
    let foretold = desk.data(&run(&arguments, &["--dry-run"]));
    assert_eq!(foretold["registry"]["stands"], true);

    // Clients take the file; on another chain than the file's they refuse.
    let other = World::on(Options { chain_id: 5, ..Options::default() }).await;
    let file = ["account", "--deployment", "d.json"];
    let mut desk = desk;
    desk.unset("CHAIN__ESCROW");
    let refused = desk.refusal(&[&file[..], &["--rpc-url", &other.anvil.rpc_url()]].concat(), 7);
    assert!(refused["message"].as_str().unwrap().contains("chain 5"), "{refused}");
    assert_eq!(address(&desk.data(&file)["escrow"]), escrow);

    // With Permit2 on the chain, it is taken unless refused.
    provider.anvil_set_code(PERMIT2, Bytes::from([0xfe])).await.unwrap();
    let with = desk.data(&run(&arguments, &["--dry-run"]));
    assert_eq!(address(&with["permit2"]), PERMIT2);
    assert_ne!(with["funding"]["address"], foretold["funding"]["address"]);
    let zero = Address::ZERO.to_string();
    let without = desk.data(&run(&arguments, &["--dry-run", "--permit2", &zero]));
    assert_eq!(without["funding"]["address"], foretold["funding"]["address"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_differs_from_bytecode_or_chain_is_named_and_ends_with_seven() {
    let world = World::new().await;
    let payer = world.funded("payer", RNDR).await;
    let desk = Desk::of(&world, &payer);
    let good = desk.data(&run(&arguments(&world), &["--out", "d.json"]));
    let verify = ["deploy", "verify", "--deployment", "d.json"];
    let verified = desk.data(&verify);
    let checks = verified["checks"].as_array().unwrap();
    assert!(checks.len() > 20 && checks.iter().all(|check| check["same"] == true), "{verified}");

    let stranger = wallet("stranger").address().to_checksum(None);
    let hash = B256::repeat_byte(6).to_string();
    let other_tx = good["funding"]["tx"].clone();
    let changes = [
        ("/chain_id", json!(9), "chain_id"),
        ("/proxy", json!(stranger), "proxy"),
        ("/salt", json!(hash), "escrow.address"),
        ("/token", json!(stranger), "token"),
        ("/issuer", json!(stranger), "issuer"),
        ("/guardian", json!(stranger), "guardian"),
        ("/permit2", json!(stranger), "permit2"),
        ("/escrow/address", json!(stranger), "escrow.address"),
        ("/escrow/block", json!(1), "escrow.block"),
        ("/escrow/tx", other_tx, "escrow.tx"),
        ("/escrow/tx", json!(hash), "escrow.tx"),
        ("/escrow/init_code_hash", json!(hash), "escrow.init_code_hash"),
        ("/escrow/code_hash", json!(hash), "escrow.code_hash"),
        ("/funding/address", json!(stranger), "funding.address"),
        ("/funding/constructor_arguments", json!("0x01"), "funding.constructor_arguments"),
        ("/registry/address", good["funding"]["address"].clone(), "registry.address"),
        ("/registry/code_hash", json!(hash), "registry.code_hash"),
    ];
    for (pointer, value, named) in changes {
        let mut file = good.clone();
        *file.pointer_mut(pointer).unwrap() = value;
        std::fs::write(desk.folder.join("d.json"), file.to_string()).unwrap();
        let refused = desk.refusal(&verify, 7);
        let message = refused["message"].as_str().unwrap();
        let fields = message.lines().filter_map(|line| line.trim().split_once(':'));
        let fields: Vec<&str> = fields.map(|(field, _)| field).collect();
        assert!(fields.iter().any(|field| field.starts_with(named)), "{pointer}: {message}");
    }
    std::fs::write(desk.folder.join("d.json"), good.to_string()).unwrap();
    desk.data(&verify);

    // Other code at the right address, as only a lying chain node can show it.
    let registry = address(&good["registry"]["address"]);
    world.anvil.provider.anvil_set_code(registry, Bytes::from([0xfe])).await.unwrap();
    let refused = desk.refusal(&verify, 7);
    assert!(refused["message"].as_str().unwrap().contains("registry.code_hash"), "{refused}");
    let mut file = good.clone();
    file["registry"] = json!({ "address": registry });
    std::fs::write(desk.folder.join("d.json"), file.to_string()).unwrap();
    let refused = desk.refusal(&verify, 2);
    assert!(refused["message"].as_str().unwrap().contains("missing field `block`"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_proxy_the_refusal_says_how_to_get_it_and_that_works() {
    let world = World::on(Options { no_create2: true, ..Options::default() }).await;
    let payer = world.funded("payer", RNDR).await;
    let desk = Desk::of(&world, &payer);
    let arguments = arguments(&world);
    let refused = desk.refusal(&run(&arguments, &[]), 3);
    let message = refused["message"].as_str().unwrap();
    for part in [PROXY.to_string(), PROXY_MAKER.to_string(), PROXY_TRANSACTION.to_string()] {
        assert!(message.contains(&part), "{message}");
    }
    let tenth = U256::from(RNDR / 100);
    world.anvil.set_balance(PROXY_MAKER, tenth).await;
    let provider = &world.anvil.provider;
    let sent = provider.send_raw_transaction(&PROXY_TRANSACTION).await.unwrap();
    assert!(sent.get_receipt().await.unwrap().status());
    desk.data(&run(&arguments, &["--out", "d.json"]));
    desk.data(&["deploy", "verify", "--deployment", "d.json"]);
}
