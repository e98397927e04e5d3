//! No server of ours runs: the README's own lines reject, close and withdraw with cast alone.

use std::path::Path;
use std::process::Command;

use alloy::primitives::U256;
use contracts::RenderEscrow;

use crate::world::deals::Deal;
use crate::world::{RNDR, World};

const README: &str = include_str!("../../README.md");
/// The native program, by its folder.
const CAST: &str = "contracts/node_modules/@foundry-rs/cast-linux-amd64/bin";

/// The shell lines under a heading of the README.
fn lines_under(heading: &str) -> Vec<String> {
    let section = README.split_once(heading).expect("the heading is there").1;
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// Runs shell lines as a person would, with what they say they need.
fn shell(lines: &str, world: &World, deal: &Deal) {
    let cast = Path::new(env!("CARGO_MANIFEST_DIR")).join(CAST);
    let path = format!("{}:/usr/bin:/bin", cast.display());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", lines])
        .env_clear()
        .env("PATH", path)
        .env("HOME", world.folder.path())
        .env("ETH_RPC_URL", world.anvil.rpc_url())
        .env("ESCROW", world.escrow.to_string())
        .env("FROM_BLOCK", world.deploy_block.to_string())
        .env("JOB", deal.job_id.to_string())
        .env("KEY", deal.payer.to_bytes().to_string())
        .output()
        .unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{talk}\n{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_the_readme_bring_the_money_home_without_any_server() {
    let [review, leave] = <[String; 2]>::try_from(lines_under("## When every server is down"))
        .expect("two blocks: review and request, then close and withdraw");
    let world = World::new().await;
    let payer = world.funded("payer", 100 * RNDR).await;
    world.deposit(&payer, 60 * RNDR).await;
    let deal = Deal::new(&world, &payer, 1).await;
    deal.open(&world).await;
    // An older lot, which is not touched, and the newest one: units 0 to 3.
    let older = deal.work(&[8], 1, true);
    deal.commit(&world, std::slice::from_ref(&older), false).await;
    let newest = deal.work(&[0, 1, 2, 3], 2, true);
    deal.commit(&world, std::slice::from_ref(&newest), false).await;

    shell(&review, &world, &deal);
    let escrow = RenderEscrow::new(world.escrow, &world.anvil.provider);
    let lot = escrow.lot(deal.lot_hash(&newest.lot)).call().await.unwrap();
    assert_eq!(lot.rejected, U256::from(5), "the first and the third frame");
    assert!(escrow.lot(deal.lot_hash(&older.lot)).call().await.unwrap().rejected.is_zero());

    let paid = 3 * newest.lot.unit_price.base();
    // The node settles what was not rejected; then the grace passes.
    world.anvil.pass(601).await;
    deal.settle(&world, &[older, newest]).await;
    world.anvil.pass(deal.order.claim_grace).await;
    // Another shell: what was defined is defined again, what was sent is not sent again.
    let defined: Vec<&str> = review.lines().filter(|line| !line.starts_with("send ")).collect();
    let lines = [&defined.join("\n"), leave.as_str()].join("\n");
    shell(&lines, &world, &deal);

    let account = escrow.account(payer.address()).call().await.unwrap();
    assert!(account.free.is_zero(), "everything is withdrawn");
    let token = contracts::LegacyRndr::new(world.token, &world.anvil.provider);
    let balance = token.balanceOf(payer.address()).call().await.unwrap();
    assert_eq!(balance, U256::from(100 * RNDR - paid), "all but three frames came back");
}
