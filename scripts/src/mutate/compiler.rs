//! A compiler that stays in memory: a new process for each mutant would take twice as long.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::slither;

/// Names of contracts by file.
pub type Targets = BTreeMap<String, Vec<String>>;

const COMPILE_LIMIT: Duration = Duration::from_secs(120); // three seconds on two calm cores

/// contracts/tools/compile.mjs, kept running.
pub struct Compiler {
    child: Child,
    input: ChildStdin,
    answers: Receiver<String>,
}

impl Compiler {
    pub fn start(root: &Path, folder: &Path) -> Result<Self> {
        let infos = fs::read_dir(folder.join(slither::OUT).join("build-info"))?;
        let info = infos.last().context("forge wrote no build-info")??.path();
        let mut node = Command::new("node");
        node.arg(root.join("contracts/tools/compile.mjs")).arg(info);
        let child = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.context("cannot start node")?;
        let input = child.stdin.take().context("node has no stdin")?;
        let output = BufReader::new(child.stdout.take().context("node has no stdout")?);
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, input, answers })
    }

    /// The contracts' bytecode; nothing when the compiler refuses the source.
    pub fn compile(
        &mut self,
        targets: &Targets,
        file: &str,
        source: &str,
    ) -> Result<Option<Value>> {
        let question = json!({ "targets": targets, "file": file, "source": source });
        writeln!(self.input, "{question}").context("the compiler has ended")?;
        let answer = self.answers.recv_timeout(COMPILE_LIMIT).context("the compiler is silent")?;
        let mut answer: Value = serde_json::from_str(&answer)?;
        Ok(answer.get_mut("contracts").map(Value::take))
    }
}

impl Drop for Compiler {
    fn drop(&mut self) {
        // It would end by itself when its stdin does; this only makes sure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
