//! A creator's whole way by the command line, against real services and the real renderer.

use std::path::Path;

use alloy::providers::ext::AnvilApi;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::world::desk::{Desk, Process};
use crate::world::{RNDR, World, eventually, free_port, wallet};

const SCENE: &str = include_str!("../../api/cli/demo.pov");
/// Writes beside its own folder: only the sandbox stands between it and the machine.
const ESCAPE: &str = "#version 3.7;\nglobal_settings { assumed_gamma 1 }\n\
    #fopen Out \"/etc/rndr-escaped\" write\nsphere { 0, 1 }\n";

/// Indexer, settler and API in one process, a node in another, and blocks that keep coming.
struct Company {
    world: World,
    desk: Desk,
    _running: Vec<Process>,
    miner: JoinHandle<()>,
}

impl Drop for Company {
    fn drop(&mut self) {
        self.miner.abort();
    }
}

impl Company {
    async fn open() -> Company {
        let world = World::new().await;
        let payer = world.funded("payer", 10 * RNDR).await;
        let gas = world.funded("gas", 0).await;
        let mut desk = Desk::of(&world, &payer);
        let provider = world.anvil.provider.clone();
        let miner = tokio::spawn(async move {
            loop {
                // A chain that ends with its story is no matter.
                let _ = provider.anvil_mine(Some(1), None).await;
                tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            }
        });
        let (door, api) = (free_port(), free_port());
        let settler = desk.keystore("settler.json", &wallet("settler"));
        let gas = desk.keystore("gas.json", &gas);
        let node = desk.keystore("node.json", &wallet("node"));
        let password_file = desk.password_file();
        for (key, value) in [
            ("SETTLER__KEYSTORE", settler.as_path()),
            ("SETTLER__GAS_KEYSTORE", &gas),
            ("SETTLER__PASSWORD_FILE", &password_file),
            ("NODE__PASSWORD_FILE", &password_file),
            ("NODE__WORK_DIR", Path::new("node")),
        ] {
            desk.set(key, value.display());
        }
        desk.set("SETTLER__LISTEN", format!("127.0.0.1:{door}"));
        desk.set("SETTLER__CONFIRMATIONS", 1);
        desk.set("API__LISTEN", format!("127.0.0.1:{api}"));
        desk.set("NODE__DOOR", format!("http://127.0.0.1:{door}"));
        desk.set("CLIENT__API", format!("http://127.0.0.1:{api}"));
        let services = desk.start("services", &["all"], &[]);
        let node = desk.start("node", &["node"], &[("NODE__KEYSTORE", &node)]);
        Company { world, desk, _running: vec![services, node], miner }
    }

    /// Once a node can be booked; before that there is nobody to render.
    async fn submit(&self, scene: &str, more: &[&str]) -> String {
        let line = ["submit", scene, "--size", "64x36", "--review-seconds", "600"];
        let line = [&line, more].concat();
        let job = eventually("the submitted job", || async { self.desk.data_when_up(&line) }).await;
        job["job_id"].as_str().unwrap().to_owned()
    }

    async fn watched(&self, job_id: &str, state: &str) -> Value {
        let look = || async {
            let job = self.desk.data(&["watch", job_id]);
            (job["state"] == state).then_some(job)
        };
        eventually("the watched state", look).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creator_pays_by_command_line_and_gets_what_the_node_signed() {
    let company = Company::open().await;
    let desk = &company.desk;
    desk.data(&["deposit", "5"]);
    std::fs::write(desk.folder.join("demo.pov"), SCENE).unwrap();
    let job_id = company.submit("demo.pov", &["--frames", "1-4", "--name", "film"]).await;
    let job = company.watched(&job_id, "in_review").await;
    assert_eq!((&job["name"], &job["units"]["rendered"]), (&"film".into(), &4.into()));

    let previews = ["download", &job_id, "--frames", "1-4", "--previews", "--out", "previews"];
    assert_eq!(desk.data(&previews).as_array().unwrap().len(), 4);
    let finals = ["download", &job_id, "--frames", "1-4", "--out", "finals"];
    assert!(desk.refusal(&finals, 3)["message"].as_str().unwrap().contains("not paid"));
    // All four came in one lot: a part of it is approved only when its rest may be rejected.
    let part = desk.refusal(&["approve", &job_id, "--frames", "1-3"], 2);
    assert!(part["hint"].as_str().unwrap().contains("--reject-rest"));
    desk.refusal(&["approve", &job_id, "--frames", "1-5"], 5);
    desk.data(&["reject", &job_id, "--frames", "4", "--reason", "too dark"]);
    desk.data(&["approve", &job_id, "--frames", "1-3"]);
    desk.data(&["approve", &job_id, "--frames", "1-3"]); // the same again changes nothing
    let again = || async {
        let job = desk.data(&["watch", &job_id]);
        (job["units"]["released"] == 3 && job["units"]["rendered"] == 1).then_some(())
    };
    eventually("three frames paid and the fourth rendered again", again).await;
    desk.data(&["approve", &job_id, "--frames", "4"]);
    let closed = || async { (desk.data(&["watch", &job_id])["closed"] == true).then_some(()) };
    eventually("the job closed", closed).await;
    let saved = desk.data(&finals);
    assert_eq!(saved.as_array().unwrap().len(), 4);
    prove(desk, &job_id, &saved[3]);

    let job = company.watched(&job_id, "completed").await;
    let paid: u128 = job["money"]["released"]["amount"].as_str().unwrap().parse().unwrap();
    let account = desk.data(&["account"]);
    assert_eq!(account["free"], (5 * RNDR - paid).to_string());
    desk.data(&["withdraw", "all"]);
    company.world.caught_up(&company.world.store().await).await;
    let report = desk.data(&["audit", "replay"]);
    assert_eq!((&report["jobs"], &report["liabilities"]), (&1.into(), &paid.to_string().into()));
}

/// A file that proves one frame's payment to a block, without any server.
fn prove(desk: &Desk, job_id: &str, saved: &Value) {
    let unit = saved["unit"].to_string();
    let written = desk.data(&["receipt", job_id, &unit, "--out", "receipt.json"]);
    let hash = written["block_hash"].as_str().unwrap();
    let frame = saved["path"].as_str().unwrap();
    let line = ["verify", "receipt.json", "--block-hash", hash, "--frame", frame];
    let checked = desk.data(&line);
    assert_eq!((&checked["unit"], &checked["job_id"]), (&saved["unit"], &job_id.into()));
    assert_eq!(checked["node"], wallet("node").address().to_string().to_lowercase());
    assert_eq!(checked["opened_hash"], saved["hash"]);
    let other = ["verify", "receipt.json", "--block-hash", hash, "--frame", "demo.pov"];
    let refused = desk.refusal(&other, 7);
    assert!(refused["message"].as_str().unwrap().contains("at its frame"), "{refused}");
    let text = std::fs::read_to_string(desk.folder.join("receipt.json")).unwrap();
    let changed = text.replacen("\"attempt\": ", "\"attempt\": 1", 1);
    assert_ne!(changed, text);
    std::fs::write(desk.folder.join("receipt.json"), changed).unwrap();
    let refused = desk.refusal(&line, 7);
    assert!(refused["message"].as_str().unwrap().contains("at its signature"), "{refused}");
    desk.refusal(&["receipt", job_id, "99", "--out", "none.json"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scene_that_writes_outside_fails_by_name_and_costs_nothing() {
    let company = Company::open().await;
    let desk = &company.desk;
    desk.data(&["deposit", "5"]);
    std::fs::write(desk.folder.join("escape.pov"), ESCAPE).unwrap();
    let job_id = company.submit("escape.pov", &["--frames", "1"]).await;
    let ended = desk.run(&["watch", &job_id], 5);
    let message = String::from_utf8(ended.stderr).unwrap();
    assert!(message.contains("escape.pov") && message.contains("/etc/rndr-escaped"), "{message}");
    assert!(!Path::new("/etc/rndr-escaped").exists());
    assert_eq!(desk.data(&["close", &job_id])["state"], "requested");
    company.world.anvil.pass(86_400 + 3_600).await;
    let back =
        || async { (desk.data(&["account"])["free"] == (5 * RNDR).to_string()).then_some(()) };
    eventually("the money back", back).await;
}
