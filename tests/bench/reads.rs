//! How many reads of the API a processor second buys, by `wrk`, idle and while it indexes.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use contracts::order;

use crate::chain::Chain;
use crate::expected::{Part, who};
use crate::process;
use crate::services::{Site, account_path};

const CONNECTIONS: u32 = 16;
/// Picks one of the paths for each request; wrk seeds each thread alike, and there is one.
const SCRIPT: &str = "\
local paths = {}
for line in io.lines(os.getenv('BENCH_PATHS')) do paths[#paths + 1] = line end
math.randomseed(tonumber(os.getenv('BENCH_SEED')))
request = function() return wrk.format('GET', paths[math.random(#paths)]) end
done = function(summary, latency)
  io.write(string.format('figures %d %d %d %d %d %d\\n', summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), summary.bytes))
end
";

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The newest 20 events of a random account; each tells what the account has afterwards.
    Ledger,
    /// A random account's balances.
    Account,
    /// A random job.
    Job,
}

impl What {
    pub const ALL: [Self; 3] = [Self::Ledger, Self::Account, Self::Job];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ledger => "account's 20 events",
            Self::Account => "account",
            Self::Job => "job",
        }
    }

    pub fn paths(self, chain: &Chain) -> Vec<String> {
        let payers = (0..chain.plan.payers).map(|number| who(Part::Payer, number));
        let nodes = (0..chain.plan.nodes()).map(|number| who(Part::Node, number));
        let domain = order::domain(chain.anvil.chain_id, chain.escrow);
        let jobs = (0..chain.plan.jobs).step_by(5);
        let job_id = |number| order::job_id(&chain.plan.order(number), &domain);
        match self {
            Self::Ledger => payers
                .chain(nodes)
                .map(|account| format!("{}/ledger?sort=newest&limit=20", account_path(account)))
                .collect(),
            Self::Account => payers.chain(nodes).map(account_path).collect(),
            Self::Job => jobs.map(|number| format!("/v1/jobs/{}", job_id(number))).collect(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Reads {
    pub requests: u64,
    pub wall: Duration,
    pub api: Duration,
    pub server: Duration,
    pub p50: Duration,
    pub p99: Duration,
    pub bytes: u64,
}

impl Reads {
    /// Requests a processor second of API and database together.
    pub fn rate(&self) -> f64 {
        let requests = f64::from(u32::try_from(self.requests).unwrap_or(u32::MAX));
        requests / (self.api + self.server).as_secs_f64()
    }
}

pub fn wrk_is_installed() -> bool {
    Command::new("wrk").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Reads for some seconds. Every answer must be good.
pub async fn read(site: &Site, paths: &[String], seconds: u32, seed: u64) -> Result<Reads> {
    let api = site.api.as_ref().context("no api runs")?;
    let (script, list) = (site.folder().join("wrk.lua"), site.folder().join("paths"));
    fs::write(&script, SCRIPT)?;
    fs::write(&list, paths.join("\n"))?;
    let (before, server) = (process::cpu(api.service.id()), site.server_cpu());
    let mut wrk = tokio::process::Command::new("wrk");
    wrk.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "-s"]).arg(&script);
    wrk.arg(&api.url).env("BENCH_PATHS", &list).env("BENCH_SEED", seed.to_string());
    let output = wrk.stdin(Stdio::null()).output().await.context("cannot start wrk")?;
    let (api, server) = (process::cpu(api.service.id()) - before, site.server_cpu() - server);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("figures "));
    let line = line.with_context(|| format!("wrk told no figures: {text}"))?;
    let figures: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [requests, wall, errors, p50, p99, bytes] = figures[..] else { bail!("`{line}`") };
    ensure!(errors == 0, "{errors} of {requests} reads failed: {text}");
    let [wall, p50, p99] = [wall, p50, p99].map(Duration::from_micros);
    Ok(Reads { requests, wall, api, server, p50, p99, bytes })
}
