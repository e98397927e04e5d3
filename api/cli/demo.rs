//! `rndr demo`: chain, contracts, services, a shipped scene, a paid job, checked to the last wei.
mod doors;
mod report;
mod sheet;
mod stage;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use contracts::JobId;
use contracts::spec::Resolution;
use serde_json::Value;
use settler::node::Backend;
use settler::node::povray::Povray;
use store::Store;

use crate::asked::{Asked, FormatName, PresetName, TierName};
use crate::chain::{Chain, Mined};
use crate::config::{self, Flags, Settings};
use crate::exit::{Exit, Failure, Outcome, local, stopped};
use crate::job::{Submit, ask_quote, quote_text, submit_quote};
use crate::remote::Remote;
use crate::serve::stop_signal;
use crate::talk::Talk;
use crate::watch::{JobView, Look, Ticker};
use crate::{audit, download, review, wallet};
use doors::{PaidByDelegate, PaidByTransfer};
use report::{Report, Sent};
use stage::{Cast, Stage};

const SCENE: &str = include_str!("demo.pov");
const FRAMES: &str = "1-8,9-12";
/// Two frames of one lot, so that the chain sees a lot that is paid in part.
const REJECTED: &str = "6,7";
const APPROVED: &str = "1-5,8-12";
/// More than the job costs: the rest is withdrawn at the end.
const DEPOSIT: &str = "1";
/// The shortest window: silence pays after it, but this creator does not keep silent.
const REVIEW_SECONDS: u64 = 600;
/// Each part of the play ends within this even on a loaded machine, or something is wrong.
const PART_WAIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(Args, Debug)]
pub struct Demo {
    /// Leave everything running at the end, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

pub async fn demo(command: Demo, talk: &Talk) -> Outcome {
    tokio::select! {
        // Dropped at a signal, and all children with it.
        played = play(&command, talk) => played,
        _ = stop_signal() => Err(Failure::interrupted()),
    }
}

/// What every part of the play needs.
struct Play<'a> {
    stage: Stage,
    cast: Cast,
    chain: Chain,
    remote: Remote,
    settings: Settings,
    talk: &'a Talk,
    began: Instant,
    sent: Vec<Sent>,
}

async fn play(command: &Demo, talk: &Talk) -> Outcome {
    let began = Instant::now();
    Povray::new(1, 4 << 30).probe().await.map_err(|error| {
        let hint = "run `scripts/demo`, which installs what is missing";
        Failure::new(Exit::NotFound, error.to_string(), hint)
    })?;
    let anvil = stage::find_anvil()?;
    let folder = tempfile::Builder::new().prefix("rndr-demo-").tempdir();
    let folder = folder.map_err(local("making the demo's folder"))?.keep();
    let mut play = open(&folder, &anvil, talk, began).await?;
    let job_id = play.buy().await?;
    play.until(job_id, "rendered", |job| job.units.done() == job.units.total).await?;
    let previews = play.folder("previews")?;
    play.previews(job_id, FRAMES, &previews).await?;
    play.review(job_id).await?;
    let rerendered = |job: &JobView| job.units.done() == job.units.total;
    play.until(job_id, "rendered anew", rerendered).await?;
    play.previews(job_id, REJECTED, &play.folder("previews-of-second-attempt")?).await?;
    let wish = review::Wish::Approve { rest: false };
    play.say(&format!("approving the new frames {REJECTED}"));
    review::word(&play.remote, &play.chain, &play.cast.creator.key, job_id, REJECTED, wish).await?;
    play.until(job_id, "paid and closed", |job| job.closed).await?;
    let finals = play.folder("finals")?;
    play.say("downloading the finals, each checked against its signed receipt");
    let saved = download::finals(&play.remote, &play.chain, job_id, FRAMES, &finals).await?;
    let pictures: Vec<PathBuf> = saved.into_iter().map(|file| file.path).collect();
    let contact_sheet = folder.join("contact-sheet.png");
    sheet::write(&pictures, &contact_sheet)?;
    let doors = play.other_doors().await?;
    play.withdraw_rest().await?;
    let report = play.report(job_id, doors, pictures, contact_sheet).await?;
    talk.data(&report, || report.text());
    if command.keep {
        keep(&mut play).await?;
    }
    Ok(())
}

async fn open<'a>(
    folder: &Path,
    anvil: &Path,
    talk: &'a Talk,
    began: Instant,
) -> Outcome<Play<'a>> {
    let line = |text: &str| talk.say(&format!("{:5.1} s  {text}", began.elapsed().as_secs_f32()));
    line(&format!("everything of this demo is in {}", folder.display()));
    let cast = stage::cast(folder).await?;
    let mut stage = Stage::open(folder, anvil).await?;
    line(&format!("a local chain runs at {}", stage.rpc_url));
    let contracts = stage.deploy(&cast).await?;
    let (token, escrow) = (contracts.token.address, contracts.deployed.escrow.address);
    line(&format!("legacy RNDR double at {token}, escrow at {escrow}"));
    stage.start_services(&cast).await?;
    line(&format!("indexer, settler, API and two nodes run; the API is {}", stage.api_url));
    let flags = Flags {
        rpc_url: Some(stage.rpc_url.clone()),
        deployment: Some(stage.deployment()),
        escrow: Some(escrow.to_string()),
        api: Some(stage.api_url.clone()),
        store: Some(stage.store_url()),
        ..Flags::default()
    };
    let mut settings = Settings::load(&flags)?;
    settings.store.objects = stage.objects();
    // What a person has set for other contracts is not the demo's.
    settings.chain = config::Chain {
        deploy_block: Some(contracts.deployed.escrow.block),
        funding: Some(contracts.deployed.funding.address),
        registry: Some(contracts.deployed.registry.address),
        ..settings.chain
    };
    let chain = Chain::of(&settings, Some(cast.creator.key.clone())).await?;
    let remote = Remote::new(&stage.api_url)?;
    let mut sent = vec![Sent::new("operator", "deploy the token", contracts.token.tx)];
    for (name, placed) in contracts.deployed.placed() {
        let doing = format!("deploy the {name}");
        sent.extend(placed.tx.map(|tx| Sent::new("operator", &doing, tx)));
    }
    Ok(Play { stage, cast, chain, remote, settings, talk, began, sent })
}

impl Play<'_> {
    fn say(&self, text: &str) {
        self.talk.say(&format!("{:5.1} s  {text}", self.began.elapsed().as_secs_f32()));
    }

    fn folder(&self, name: &str) -> Outcome<PathBuf> {
        let folder = self.stage.folder.join(name);
        std::fs::create_dir_all(&folder).map_err(local(format!("making {}", folder.display())))?;
        Ok(folder)
    }

    /// Each transaction with what it did; the last ones, when there are fewer.
    fn keep_sent(&mut self, doing: &[&str], mined: &[Mined]) {
        let doing = doing.iter().skip(doing.len().saturating_sub(mined.len()));
        let sent = doing.zip(mined).map(|(doing, one)| Sent::new("creator", doing, one.tx_hash));
        self.sent.extend(sent);
    }

    /// Deposit, quote, order: as `rndr deposit` and `rndr submit` do it.
    async fn buy(&mut self) -> Outcome<JobId> {
        let amount = self.chain.read_amount(DEPOSIT)?;
        let creator = self.cast.creator.address();
        let mined = wallet::deposit_into(&self.chain, creator, amount).await?;
        self.keep_sent(&["approve the escrow", "deposit"], &mined);
        self.say(&format!("creator {creator} deposited {}", self.chain.show(amount)));
        let scene = self.stage.folder.join("demo.pov");
        std::fs::write(&scene, SCENE).map_err(local("writing the scene"))?;
        let command = submit(&scene);
        let decimals = self.chain.decimals;
        let quote = ask_quote(&self.remote, &command.asked, decimals, Some(creator)).await?;
        self.talk.say(&quote_text(&quote.known));
        let key = &self.cast.creator.key;
        let job = submit_quote(&self.remote, &self.chain, key, &quote, &command).await?;
        let job_id = id_in(&job)?;
        self.say(&format!("signed the order of job {job_id}; the settler relays it"));
        Ok(job_id)
    }

    /// Waits for a state of the job, with live progress.
    async fn until(
        &mut self,
        job_id: JobId,
        what: &str,
        reached: impl Fn(&JobView) -> bool,
    ) -> Outcome {
        let mut ticker = Ticker::new(self.talk);
        let end = Instant::now() + PART_WAIT;
        while Instant::now() < end {
            self.stage.check_children()?;
            let look = Look::at(&self.remote, job_id).await?;
            ticker.show(&look, |line| self.say(line));
            if reached(&look.job) {
                ticker.finish();
                self.say(&format!("{what}: {}", look.job.units));
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let message = format!("the job was not {what} within {} s", PART_WAIT.as_secs());
        let hint = format!("see the logs in {}", self.stage.folder.display());
        Err(Failure::new(Exit::Failed, message, hint))
    }

    async fn previews(&self, job_id: JobId, frames: &str, folder: &Path) -> Outcome {
        let saved = download::previews(&self.remote, job_id, frames, folder).await?;
        let count = saved.len();
        self.say(&format!("{count} watermarked previews are in {}", folder.display()));
        Ok(())
    }

    async fn review(&self, job_id: JobId) -> Outcome {
        let key = &self.cast.creator.key;
        self.say(&format!("rejecting frames {REJECTED}"));
        let wish = review::Wish::Reject { reason: "too dark; render them again" };
        review::word(&self.remote, &self.chain, key, job_id, REJECTED, wish).await?;
        self.say(&format!("approving frames {APPROVED}"));
        let wish = review::Wish::Approve { rest: false };
        review::word(&self.remote, &self.chain, key, job_id, APPROVED, wish).await?;
        Ok(())
    }

    async fn withdraw_rest(&mut self) -> Outcome {
        let creator = self.cast.creator.address();
        let free = self.chain.free(creator).await?;
        let mined = wallet::withdraw_to(&self.chain, free, creator).await?;
        self.keep_sent(&["withdraw the rest"], &[mined]);
        self.say(&format!("creator withdrew {}", self.chain.show(free)));
        Ok(())
    }

    /// Replays the logs into a fresh database and compares it with the services' own.
    async fn report(
        &mut self,
        job_id: JobId,
        doors: (PaidByTransfer, PaidByDelegate),
        finals: Vec<PathBuf>,
        contact_sheet: PathBuf,
    ) -> Outcome<Report> {
        self.caught_up().await?;
        for job_id in [job_id, doors.0.job_id, doors.1.job_id] {
            let job: Value = self.remote.get(&format!("/v1/jobs/{job_id}")).await?;
            self.sent.extend(report::relayed(&job));
        }
        report::fill_gas(&self.chain.provider, &mut self.sent).await?;
        let against = self.store().await?;
        let audited = audit::run(&self.settings, Some(against)).await?;
        if let Some(first) = audited.first() {
            let message = format!("the audit found a difference: {first}");
            return Err(Failure::new(Exit::Mismatch, message, "the chain is right"));
        }
        if audited.token_balance != audited.liabilities {
            let (held, owed) = (audited.token_balance, audited.liabilities);
            let message = format!("the escrow holds {held} base units and owes {owed}");
            return Err(Failure::new(Exit::Mismatch, message, "every wei must be accounted for"));
        }
        self.say("the audit replayed every log: no difference, and the sheet sums to zero");
        Ok(Report::new(self, job_id, doors, audited, finals, contact_sheet))
    }

    async fn store(&self) -> Outcome<Store> {
        let opened = Store::open(&self.settings.store.url, &self.settings.store.objects).await;
        opened.map_err(stopped)
    }

    /// Until the index has the creator's last transaction: the audit goes up to its tip.
    async fn caught_up(&self) -> Outcome {
        let last = self.sent.last().map(|sent| sent.tx_hash);
        let mined = report::block_of(&self.chain.provider, last).await?;
        let _: Value = self.remote.get(&self.account_at(mined)).await?;
        Ok(())
    }

    /// The creator's account, answered once the index has this block.
    fn account_at(&self, block: u64) -> String {
        format!("/v1/accounts/{}?min_block={block}", self.cast.creator.address())
    }
}

fn id_in(job: &Value) -> Outcome<JobId> {
    let job_id = job["job_id"].as_str().and_then(|text| text.parse().ok());
    job_id.ok_or_else(|| Failure::new(Exit::Failed, "the job has no id", "see the log of the API"))
}

fn submit(scene: &Path) -> Submit {
    let asked = Asked {
        scene: scene.display().to_string(),
        entry: None,
        frames: FRAMES.into(),
        size: Resolution { width: 320, height: 180 },
        quality: PresetName::Standard,
        format: FormatName::Png8,
        tier: TierName::Economy,
        animation: Some((1, 12)),
        fps: 12,
        engine_version: None,
        chunk: 4,
        timeout: 60,
        max_spend: None,
    };
    Submit {
        asked,
        name: "demo".into(),
        review_seconds: Some(REVIEW_SECONDS),
        approver: None,
        refund_to: None,
        payer: None,
        vault: None,
    }
}

/// Everything stays up until a signal ends the whole demo.
async fn keep(play: &mut Play<'_>) -> Outcome {
    let stage = &play.stage;
    play.talk.say(&format!(
        "still running, until Ctrl-C:\n  API    {api}/docs\n  nodes' door {door}\n  chain  {rpc}\n\
         try: rndr account --rpc-url {rpc} --deployment {deployment} {creator}",
        api = stage.api_url,
        door = stage.door_url,
        rpc = stage.rpc_url,
        deployment = stage.deployment().display(),
        creator = play.cast.creator.address(),
    ));
    // Until Ctrl-C, or until a child ends.
    loop {
        play.stage.check_children()?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
