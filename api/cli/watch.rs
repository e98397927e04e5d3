//! Watching a job: live progress until it needs its payer, or is over.
use std::time::Duration;

use clap::Args;
use contracts::JobId;
use serde::Deserialize;
use serde_json::Value;

use crate::config::Settings;
use crate::exit::{Exit, Failure, Outcome};
use crate::remote::Remote;
use crate::talk::{Talk, table};

/// Pause between two looks at a job.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks in a row that may fail before watching ends: half a minute of an API that restarts.
const FAILED_LOOKS: u32 = 30;
/// Looks in a row without enough money before watching ends: rejected frames free theirs a few
/// blocks later.
const PAUSED_LOOKS: u32 = 60;
/// Units of one page; progress inside units is shown for jobs that fit it.
const PAGE_UNITS: u32 = 500;

#[derive(Args, Debug)]
pub struct Watch {
    /// The job's id
    pub job_id: JobId,
}

/// A job as the API shows it: what watching needs.
#[derive(Clone, Debug, Deserialize)]
pub struct JobView {
    pub state: String,
    pub units: UnitTotals,
    #[serde(default)]
    pub closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct UnitTotals {
    pub total: u32,
    pub leased: u32,
    pub running: u32,
    pub rendered: u32,
    pub committed: u32,
    pub approved: u32,
    pub released: u32,
    pub dead: u32,
}

impl UnitTotals {
    /// Units whose picture is there.
    pub fn done(&self) -> u32 {
        self.rendered + self.committed + self.approved + self.released
    }

    fn in_work(&self) -> u32 {
        self.leased + self.running
    }
}

impl std::fmt::Display for UnitTotals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { total, released, dead, .. } = self;
        let (done, work) = (self.done(), self.in_work());
        write!(f, "{done} of {total} rendered, {work} in work, {released} paid")?;
        if *dead > 0 { write!(f, ", {dead} given up") } else { Ok(()) }
    }
}

/// One look at a job.
pub struct Look {
    pub whole: Value,
    pub job: JobView,
    /// Rendered so far, in thousandths of a unit.
    pub thousandths: u64,
}

impl Look {
    pub async fn at(remote: &Remote, job_id: JobId) -> Outcome<Look> {
        let whole: Value = remote.get(&format!("/v1/jobs/{job_id}")).await?;
        let job = serde_json::from_value::<JobView>(whole.clone()).map_err(|error| {
            let hint = "client and server must be of the same release";
            Failure::new(Exit::Failed, format!("the job makes no sense: {error}"), hint)
        })?;
        let thousandths = if job.units.in_work() > 0 && job.units.total <= PAGE_UNITS {
            let path = format!("/v1/jobs/{job_id}/units?limit={PAGE_UNITS}");
            let page: Parts = remote.get(&path).await?;
            page.units.iter().map(|part| u64::from(part.progress)).sum()
        } else {
            u64::from(job.units.done()) * 1_000
        };
        Ok(Look { whole, job, thousandths })
    }

    /// All of the job, in thousandths of a unit.
    pub fn length(&self) -> u64 {
        u64::from(self.job.units.total) * 1_000
    }

    pub fn line(&self) -> String {
        let percent = self.thousandths * 100 / self.length().max(1);
        format!("{}: {percent} %, {}", self.job.state, self.job.units)
    }
}

#[derive(Debug, Deserialize)]
struct Parts {
    units: Vec<Part>,
}

#[derive(Debug, Deserialize)]
struct Part {
    progress: u16,
    frame: Option<i64>,
    problem: Option<String>,
}

/// What a node said about the first frame that was given up.
async fn last_problem(remote: &Remote, job_id: JobId) -> Option<String> {
    let path = format!("/v1/jobs/{job_id}/units?state=dead&limit=1");
    let page: Parts = remote.get(&path).await.ok()?;
    let part = page.units.into_iter().next()?;
    Some(format!("frame {}: {}", part.frame.unwrap_or_default(), part.problem?))
}

/// A line that lives on a terminal; elsewhere each change is a line of its own.
pub struct Ticker<'a> {
    bar: indicatif::ProgressBar,
    talk: &'a Talk,
    said: String,
}

impl Ticker<'_> {
    pub fn new(talk: &Talk) -> Ticker<'_> {
        Ticker { bar: talk.bar(0, "{spinner} [{bar:32}] {msg}"), talk, said: String::new() }
    }

    pub fn show(&mut self, look: &Look, say: impl Fn(&str)) {
        let line = look.line();
        self.bar.set_length(look.length());
        self.bar.set_position(look.thousandths);
        self.bar.set_message(line.clone());
        if !self.talk.terminal && line != self.said {
            say(&line);
        }
        self.said = line;
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Waits until the job needs its payer, or is over; tells what changes meanwhile.
pub async fn watch(command: Watch, settings: &Settings, talk: &Talk) -> Outcome {
    let remote = Remote::new(&settings.client.api)?;
    // A wrong id ends at once; later an API may be away for a while.
    let first = Look::at(&remote, command.job_id).await?;
    let look = tokio::select! {
        look = until_rest(&remote, command.job_id, first, talk) => look?,
        _ = tokio::signal::ctrl_c() => return Err(Failure::interrupted()),
    };
    talk.data(&look.whole, || {
        let text = |name: &str| look.whole[name].as_str().unwrap_or_default().to_owned();
        table(&[("job", text("job_id")), ("state", text("state")), ("next", text("next_step"))])
    });
    match look.job.state.as_str() {
        "failed" | "expired" => {
            let mut message = format!("the job ended as {}", look.job.state);
            if let Some(problem) = last_problem(&remote, command.job_id).await {
                message.push_str(&format!("; {problem}"));
            }
            let hint =
                "correct the cause and submit again; unused money comes back with `rndr close`";
            Err(Failure::new(Exit::Rejected, message, hint))
        }
        _ => Ok(()),
    }
}

async fn until_rest(remote: &Remote, job_id: JobId, mut look: Look, talk: &Talk) -> Outcome<Look> {
    let mut ticker = Ticker::new(talk);
    let (mut failed, mut paused) = (0, 0);
    // Without end of its own: a job may take days. Ctrl-C ends it, the job goes on.
    loop {
        ticker.show(&look, |line| talk.say(line));
        paused = if look.job.state == "paused_funds" { paused + 1 } else { 0 };
        if is_rest(&look.job.state) || paused >= PAUSED_LOOKS {
            ticker.finish();
            return Ok(look);
        }
        tokio::time::sleep(LOOK_EVERY).await;
        match Look::at(remote, job_id).await {
            Ok(next) => (look, failed) = (next, 0),
            Err(failure) if failure.exit == Exit::Unavailable && failed < FAILED_LOOKS => {
                failed += 1;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Nothing more happens until the payer, or time, does something.
fn is_rest(state: &str) -> bool {
    ["in_review", "completed", "cancelled", "expired", "failed", "draft"].contains(&state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(thousandths: u64) -> Look {
        let units = UnitTotals {
            total: 12,
            leased: 1,
            running: 3,
            rendered: 4,
            committed: 0,
            approved: 0,
            released: 1,
            dead: 0,
        };
        let job = JobView { state: "running".into(), units, closed: false };
        Look { whole: Value::Null, job, thousandths }
    }

    #[test]
    fn a_line_tells_state_share_and_counts() {
        let line = look(6_600).line();
        assert_eq!(line, "running: 55 %, 5 of 12 rendered, 4 in work, 1 paid");
        let mut dead = look(12_000);
        dead.job.units.dead = 2;
        assert!(dead.line().ends_with("1 paid, 2 given up"));
    }
}
