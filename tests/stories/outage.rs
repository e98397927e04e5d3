//! No server of ours runs: the README's own lines reject, lapse, close, withdraw by cast alone.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use alloy::primitives::U256;
use alloy::signers::local::PrivateKeySigner;
use contracts::event::Event;
use contracts::{Amount, JobId, LegacyRndr, RenderEscrow};
use store::LotStatus;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::world::deals::Deal;
use crate::world::studio::{PRICE, Painter, Studio};
use crate::world::{DEADLINE, RNDR, World, eventually};

const README: &str = include_str!("../../README.md");
const CHAPTER: &str = "\n## When every server is down\n";
/// The native program, as for anvil.
const CAST_FOLDER: &str = "contracts/node_modules/@foundry-rs/cast-linux-amd64/bin";
/// Said by the shell between the blocks; cast never says it.
const PAUSE: &str = "-- the lines of the first block are done --";

/// The shell lines of the chapter: to say at once, for a lot without a key, at the end.
fn chapter() -> [&'static str; 3] {
    let (_, text) = README.split_once(CHAPTER).expect("the README has the chapter");
    let text = text.split("\n## ").next().unwrap();
    let blocks = text.split("```sh\n").skip(1);
    let blocks: Vec<_> = blocks.map(|block| block.split("```").next().unwrap()).collect();
    blocks.try_into().expect("three blocks")
}

/// One `sh -eu` that runs the blocks one after the other and waits between them.
struct Shell {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
    errors: PathBuf,
}

impl Shell {
    /// With what the README says its lines need.
    fn start(world: &World, job_id: JobId, key: &PrivateKeySigner, blocks: &[&str]) -> Shell {
        let cast = Path::new(env!("CARGO_MANIFEST_DIR")).join(CAST_FOLDER);
        assert!(cast.join("cast").exists(), "run `npm ci` in contracts/");
        let pause = format!("echo '{PAUSE}'\nread -r _\n");
        let errors = world.folder.path().join("cast.log");
        let mut command = Command::new("sh");
        command.args(["-eu", "-c", &blocks.join(&pause)]).current_dir(world.folder.path());
        command.env_clear().env("PATH", format!("{}:/usr/bin:/bin", cast.display()));
        command.env("HOME", world.folder.path()).env("ETH_RPC_URL", world.anvil.rpc_url());
        command.env("ESCROW", world.escrow.to_string());
        command.env("FROM_BLOCK", world.deploy_block.to_string());
        command.env("JOB", job_id.to_string()).env("KEY", key.to_bytes().to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(std::fs::File::create(&errors).unwrap()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Shell { child, stdin, lines, said: Vec::new(), errors }
    }

    /// Runs to the pause, or to the end; whether it paused.
    async fn paused(&mut self) -> bool {
        let reading = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if line == PAUSE {
                    return true;
                }
                self.said.push(line);
            }
            false
        };
        let paused = timeout(DEADLINE, reading).await;
        paused.expect("cast answers in time")
    }

    async fn go_on(&mut self) {
        self.stdin.write_all(b"\n").await.unwrap();
    }

    /// All that was said so far, for a story that fails.
    fn talk(&self) -> String {
        let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
        format!("{}\n{errors}", self.said.join("\n"))
    }

    async fn ends_well(mut self) {
        let paused = self.paused().await;
        let status = timeout(DEADLINE, self.child.wait()).await.expect("it ends").unwrap();
        assert!(status.success() && !paused, "{status}: {}", self.talk());
    }
}

/// As the chain itself says: (pending, status, close requested).
async fn job_on_chain(world: &World, job_id: JobId) -> (u128, u8, bool) {
    let escrow = RenderEscrow::new(world.escrow, &world.anvil.provider);
    let job = escrow.job(job_id).call().await.unwrap();
    (Amount::from(job.pending).base(), job.status, !job.closeRequestedAt.is_zero())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_server_down_the_lines_of_the_readme_bring_all_money_back() {
    let studio = Studio::without_services().await;
    let (world, reader) = (&studio.world, studio.store.reader());
    let indexer = world.indexer(&studio.store);
    let settler = studio.settler();
    let node = studio.node("node", Painter::default());
    let job_id = studio.submit(&studio.payer, 3, 3, 1).await;
    let committed = || async {
        let lots = reader.job_lots(job_id).await.unwrap();
        (lots.len() == 1 && lots[0].1.status == LotStatus::Committed).then(|| lots[0].0.lot_hash)
    };
    let lot_hash = eventually("the lot of all frames on chain", committed).await;
    studio.outbox_done().await;
    node.stop().await;
    settler.stop().await;
    indexer.stop().await;
    assert_eq!(job_on_chain(world, job_id).await, (3 * PRICE, 1, false));

    let [at_once, lapse, end] = chapter();
    let later = [lapse, end].concat();
    let mut shell = Shell::start(world, job_id, &studio.payer, &[at_once, &later]);
    assert!(shell.paused().await, "{}", shell.talk());
    assert_eq!(job_on_chain(world, job_id).await, (PRICE, 1, true), "{}", shell.talk());
    // Past the review window and the claim grace of the order.
    world.anvil.pass(600 + 3_600).await;
    shell.go_on().await;
    shell.ends_well().await;

    assert_eq!(job_on_chain(world, job_id).await, (0, 2, true));
    let payer = studio.payer.address();
    let escrow = RenderEscrow::new(world.escrow, &world.anvil.provider);
    assert!(escrow.account(payer).call().await.unwrap().free.is_zero());
    let token = LegacyRndr::new(world.token, &world.anvil.provider);
    let balance = token.balanceOf(payer).call().await.unwrap();
    assert_eq!(balance.to::<u128>(), 1_000 * RNDR, "every base unit is in the wallet again");
    assert!(token.balanceOf(world.escrow).call().await.unwrap().is_zero());

    // When the servers are back, they see what happened without them.
    let _indexer = world.indexer(&studio.store);
    let seen = || async {
        let events = reader.events_of_job(job_id).await.unwrap();
        let events = events.into_iter().map(|row| row.event);
        let told: Vec<_> = events.filter_map(|event| acted(&event)).collect();
        (told.len() == 4).then_some(told)
    };
    let told = eventually("the index of what cast did", seen).await;
    // The withdrawal came after the last event of the job.
    world.caught_up(&studio.store).await;
    assert_eq!(told, ["rejected 5", "close requested", "lapsed 2", "closed"]);
    let (_, lot) = reader.lot(lot_hash).await.unwrap().unwrap();
    assert_eq!((lot.status, lot.lot_key), (LotStatus::Lapsed, None));
    assert_eq!(reader.account(payer).await.unwrap().unwrap().free, Amount::ZERO);
}

/// What the creator did, in words; None for what went before.
fn acted(event: &Event) -> Option<String> {
    match event {
        Event::Rejected(e) => Some(format!("rejected {}", e.mask)),
        Event::CloseRequested(_) => Some("close requested".into()),
        Event::Lapsed(e) => Some(format!("lapsed {}", e.mask)),
        Event::Closed(_) => Some("closed".into()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_meanwhile_stays_paid_and_the_rest_comes_home() {
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

    let [at_once, _, end] = chapter();
    let mut shell = Shell::start(&world, deal.job_id, &payer, &[at_once, end]);
    assert!(shell.paused().await, "{}", shell.talk());
    let escrow = RenderEscrow::new(world.escrow, &world.anvil.provider);
    let lot = escrow.lot(deal.lot_hash(&newest.lot)).call().await.unwrap();
    assert_eq!(lot.rejected, U256::from(5), "the first and the third frame");
    assert!(escrow.lot(deal.lot_hash(&older.lot)).call().await.unwrap().rejected.is_zero());

    let paid = 3 * newest.lot.unit_price.base();
    // The node settles what was not rejected; then the grace passes.
    world.anvil.pass(601).await;
    deal.settle(&world, &[older, newest]).await;
    world.anvil.pass(deal.order.claim_grace).await;
    shell.go_on().await;
    shell.ends_well().await;

    let account = escrow.account(payer.address()).call().await.unwrap();
    assert!(account.free.is_zero(), "everything is withdrawn");
    let token = LegacyRndr::new(world.token, &world.anvil.provider);
    let balance = token.balanceOf(payer.address()).call().await.unwrap();
    assert_eq!(balance, U256::from(100 * RNDR - paid), "all but three frames came back");
}
