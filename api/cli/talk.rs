//! stdout is data, stderr is talk: text for people, JSON for programs, progress on terminals.
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::exit::Failure;

/// How this run speaks.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    /// Data as JSON in place of text.
    pub json: bool,
    /// stderr is a terminal: progress bars and colours are welcome there.
    pub terminal: bool,
    /// NO_COLOR is unset and stderr is a terminal.
    pub colour: bool,
}

impl Talk {
    pub fn new(json: bool) -> Talk {
        let terminal = std::io::stderr().is_terminal();
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Talk { json, terminal, colour }
    }

    /// The command's result: JSON, or lines for people.
    pub fn data(&self, value: &impl Serialize, text: impl FnOnce() -> String) {
        if !self.json {
            return out(&text());
        }
        match serde_json::to_string_pretty(value) {
            Ok(json) => out(&json),
            Err(error) => self.say(&format!("the result has no JSON form: {error}")),
        }
    }

    /// One line of talk; never part of the result.
    pub fn say(&self, line: &str) {
        // A closed stderr leaves nobody to tell.
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }

    pub fn failure(&self, failure: &Failure) {
        if self.json {
            if let Ok(json) = serde_json::to_string(&serde_json::json!({ "error": failure })) {
                self.say(&json);
            }
            return;
        }
        let head = if self.colour { "\x1b[1;31merror\x1b[0m" } else { "error" };
        self.say(&format!("{head}: {}", failure.message));
        if !failure.hint.is_empty() {
            self.say(&format!("  next: {}", failure.hint));
        }
    }

    /// A bar on a terminal; elsewhere it draws nothing, and lines are said instead.
    pub fn bar(&self, length: u64, template: &str) -> ProgressBar {
        let target = if self.terminal && !self.json {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

/// A reader that went away (`| head`) is no error.
fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// Two columns, the first padded.
pub fn table(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let line = |(name, value): &(&str, String)| format!("{name:width$}  {value}");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
