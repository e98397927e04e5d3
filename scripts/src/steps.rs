//! Runs steps one after the other, prints the time of each, and tells whether all were green.

use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// One thing CI does. A red step never stops the later ones: one run names every fault.
pub struct Step<'a> {
    pub name: &'static str,
    pub work: Work<'a>,
}

pub enum Work<'a> {
    /// A program, and how long it may take.
    Program(Command, Duration),
    Inside(Box<dyn FnOnce() -> Result<()> + 'a>),
}

pub struct Outcome {
    pub name: &'static str,
    pub took: Duration,
    pub failure: Option<String>,
}

/// Runs every step. Each prints its name before, and its colour and time after it.
pub fn run_all(steps: Vec<Step<'_>>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for Step { name, work } in steps {
        println!("==> {name}");
        let start = Instant::now();
        let result = match work {
            Work::Program(mut command, limit) => run(&mut command, limit),
            Work::Inside(work) => work(),
        };
        let failure = result.err().map(|error| format!("{error:#}"));
        let outcome = Outcome { name, took: start.elapsed(), failure };
        println!("{}", line(&outcome));
        outcomes.push(outcome);
    }
    outcomes
}

/// Prints every step's time again, red ones last, and returns what the process must exit with.
pub fn conclude(outcomes: &[Outcome]) -> ExitCode {
    let (green, red): (Vec<_>, Vec<_>) = outcomes.iter().partition(|one| one.failure.is_none());
    println!("==> summary");
    for outcome in green.iter().chain(&red) {
        println!("{}", line(outcome));
    }
    let total: Duration = outcomes.iter().map(|outcome| outcome.took).sum();
    println!("{} green, {} red, {:.1} s", green.len(), red.len(), total.as_secs_f64());
    if is_green(outcomes) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A run without any step has shown nothing, so it is not green.
pub fn is_green(outcomes: &[Outcome]) -> bool {
    !outcomes.is_empty() && outcomes.iter().all(|outcome| outcome.failure.is_none())
}

fn line(outcome: &Outcome) -> String {
    let Outcome { name, took, failure } = outcome;
    let seconds = took.as_secs_f64();
    match failure {
        None => format!("green {seconds:8.1} s  {name}"),
        Some(why) => format!("RED   {seconds:8.1} s  {name}: {why}"),
    }
}

/// Runs a program to its end; fails when it exits with anything but 0 or outlives its limit.
pub fn run(command: &mut Command, limit: Duration) -> Result<()> {
    let shown = show(command);
    let child = command
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start `{shown}`; run `cargo xtask setup --test`"))?;
    wait(child, limit, &shown)
}

fn wait(mut child: Child, limit: Duration, shown: &str) -> Result<()> {
    const PAUSE: Duration = Duration::from_millis(20); // far below the time of any step
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return match status.code() {
                Some(0) => Ok(()),
                Some(code) => bail!("`{shown}` exited with {code}"),
                None => bail!("`{shown}` was killed by a signal"),
            };
        }
        if start.elapsed() > limit {
            child.kill().context("cannot stop a program that outlived its limit")?;
            child.wait()?;
            bail!("`{shown}` took longer than its limit of {} s", limit.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}

pub fn show(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program()).to_string_lossy();
    let words = command.get_args().map(|word| word.to_string_lossy());
    std::iter::once(name).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Step<'static> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Step { name: "shell", work: Work::Program(command, limit) }
    }

    #[test]
    fn a_red_step_turns_the_run_red_and_the_later_steps_still_run() {
        let limit = Duration::from_secs(10);
        let outcomes = run_all(vec![shell("exit 3", limit), shell("exit 0", limit)]);
        assert!(!is_green(&outcomes));
        assert!(outcomes[0].failure.as_ref().is_some_and(|why| why.contains("exited with 3")));
        assert!(outcomes[1].failure.is_none());
    }

    #[test]
    fn a_step_that_hangs_is_stopped_at_its_limit() {
        let outcomes = run_all(vec![shell("sleep 30", Duration::from_millis(100))]);
        assert!(outcomes[0].failure.as_ref().is_some_and(|why| why.contains("limit")));
        assert!(outcomes[0].took < Duration::from_secs(10));
    }

    #[test]
    fn a_missing_program_and_an_empty_run_are_red() {
        let missing = Command::new("no-such-program");
        let work = Work::Program(missing, Duration::from_secs(1));
        assert!(!is_green(&run_all(vec![Step { name: "missing", work }])));
        assert!(!is_green(&[]));
    }

    #[test]
    fn an_error_inside_is_red_and_named() {
        let work = Work::Inside(Box::new(|| bail!("because")));
        let outcomes = run_all(vec![Step { name: "inside", work }]);
        assert_eq!(outcomes[0].failure.as_deref(), Some("because"));
    }
}
