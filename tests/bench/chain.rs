//! The chain that is indexed: a native anvil, the generator contract, and its steps in blocks.

use std::time::{Duration, Instant};

use alloy::primitives::{Address, U256, hex};
use alloy::sol_types::{SolCall, SolConstructor};
use anyhow::{Context, Result, bail, ensure};
use contracts::LegacyRndr;
use serde_json::{Value, json};

use crate::anvil::{Anvil, Options};
use crate::expected::{JOBS_A_STEP, Plan, STEPS_A_BLOCK};

mod generated {
    #![allow(clippy::too_many_arguments, reason = "generated from the contract's interface")]
    alloy::sol!(Generator, "../../contracts/artifacts/Generator.json");
}
use generated::Generator;

/// Time of the first block, and seconds from one to the next.
const START: u64 = 1_735_689_600;
const BLOCK_SECONDS: u64 = 12;
/// Far above what a step burns, below the most that any one transaction may.
const STEP_GAS: u64 = 16_000_000;
/// Longest answer waited for: a whole chain's logs on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

pub struct Chain {
    pub anvil: Anvil,
    pub plan: Plan,
    pub escrow: Address,
    pub deploy_block: u64,
    /// How long its making took.
    pub made_in: Duration,
    rpc: Rpc,
    sender: Value,
    /// The next step, and the first job that has not been played to its end.
    next_step: u64,
    first_job: u64,
}

impl Chain {
    /// Every job of the plan from its opening to its end.
    pub async fn make(plan: Plan) -> Result<Self> {
        let started = Instant::now();
        let anvil =
            Anvil::start(&Options { measured: true, timestamp: Some(START), ..Options::default() });
        let rpc = Rpc::new(anvil.rpc_url())?;
        let interval = json!([BLOCK_SECONDS]);
        rpc.ask("anvil_setBlockTimestampInterval", interval).await?;
        let sender = rpc.ask("eth_accounts", json!([])).await?[0].clone();
        let token = deployed(&rpc, &sender, LegacyRndr::BYTECODE.to_vec()).await?.0;
        let terms = Generator::constructorCall { token_: token, payers: U256::from(plan.payers) };
        let code = [Generator::BYTECODE.to_vec(), terms.abi_encode()].concat();
        let (escrow, deploy_block) = deployed(&rpc, &sender, code).await?;
        let made_in = started.elapsed();
        let mut chain = Self {
            anvil,
            plan,
            escrow,
            deploy_block,
            made_in,
            rpc,
            sender,
            next_step: 0,
            first_job: 0,
        };
        while chain.next_step < plan.steps() {
            let steps = STEPS_A_BLOCK.min(plan.steps() - chain.next_step);
            chain.mine(steps, plan.jobs).await?;
        }
        // What comes from here on has no part in jobs that have ended.
        chain.first_job = chain.next_step * JOBS_A_STEP;
        chain.made_in = started.elapsed();
        Ok(chain)
    }

    /// One block more with one step more, of jobs beyond the plan.
    pub async fn one_more(&mut self) -> Result<()> {
        self.mine(1, u64::MAX).await
    }

    /// The first of the jobs that the next step opens.
    pub fn next_job(&self) -> u64 {
        self.next_step * JOBS_A_STEP
    }

    async fn mine(&mut self, steps: u64, end: u64) -> Result<()> {
        let (first, end) = (U256::from(self.first_job), U256::from(end));
        let mut questions = Vec::new();
        for turn in self.next_step..self.next_step + steps {
            let call = Generator::stepCall { turn: U256::from(turn), first, end };
            let transaction = json!({
                "from": self.sender, "to": self.escrow, "gas": hex_number(STEP_GAS),
                "gasPrice": "0x0", "data": hex::encode_prefixed(call.abi_encode()),
            });
            questions.push(("eth_sendTransaction", json!([transaction])));
        }
        questions.push(("evm_mine", json!([])));
        self.rpc.batch(&questions).await?;
        self.next_step += steps;
        Ok(())
    }

    pub async fn head(&self) -> Result<u64> {
        number(&self.rpc.ask("eth_blockNumber", json!([])).await?)
    }

    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// No step reverted: the head's transactions succeeded, and so did all before them, as each
    /// builds on the balances of the ones before.
    pub async fn check(&self) -> Result<()> {
        let receipts = self.rpc.ask("eth_getBlockReceipts", json!(["latest"])).await?;
        let receipts = receipts.as_array().context("the node shows no receipts")?;
        ensure!(!receipts.is_empty(), "the newest block is empty: no step was mined in it");
        for receipt in receipts {
            ensure!(receipt["status"] == "0x1", "a step of the generator reverted: {receipt}");
        }
        Ok(())
    }
}

/// The contract of a creation code, and its block.
async fn deployed(rpc: &Rpc, sender: &Value, code: Vec<u8>) -> Result<(Address, u64)> {
    let transaction = json!({
        "from": sender, "gas": hex_number(STEP_GAS), "gasPrice": "0x0",
        "data": hex::encode_prefixed(code),
    });
    let hash = rpc.ask("eth_sendTransaction", json!([transaction])).await?;
    rpc.ask("evm_mine", json!([])).await?;
    let receipt = rpc.ask("eth_getTransactionReceipt", json!([hash])).await?;
    ensure!(receipt["status"] == "0x1", "a contract was not deployed: {receipt}");
    let address = receipt["contractAddress"].as_str().context("a receipt without an address")?;
    Ok((address.parse()?, number(&receipt["blockNumber"])?))
}

fn hex_number(number: u64) -> String {
    format!("{number:#x}")
}

fn number(value: &Value) -> Result<u64> {
    let text = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let text = text.with_context(|| format!("{value} where a number belongs"))?;
    Ok(u64::from_str_radix(text, 16)?)
}

/// JSON-RPC with nothing around it: what the node itself can do is measured through it.
pub struct Rpc {
    http: reqwest::Client,
    url: String,
}

impl Rpc {
    fn new(url: String) -> Result<Self> {
        Ok(Self { http: reqwest::Client::builder().timeout(ANSWER_LIMIT).build()?, url })
    }

    pub async fn ask(&self, method: &str, parameters: Value) -> Result<Value> {
        let mut answers = self.batch(&[(method, parameters)]).await?;
        answers.pop().with_context(|| format!("no answer to {method}"))
    }

    /// The bytes of the answers, not looked at.
    pub async fn raw(&self, questions: &[(&str, Value)]) -> Result<Vec<u8>> {
        let batch: Vec<Value> = (0..).zip(questions).map(|(id, (method, parameters))| {
            json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters })
        }).collect();
        let sent = self.http.post(&self.url).json(&batch).send().await?.error_for_status()?;
        Ok(sent.bytes().await?.to_vec())
    }

    async fn batch(&self, questions: &[(&str, Value)]) -> Result<Vec<Value>> {
        let answers: Vec<Value> = serde_json::from_slice(&self.raw(questions).await?)?;
        ensure!(answers.len() == questions.len(), "answers are missing");
        answers
            .into_iter()
            .map(|mut answer| match answer.get("error") {
                Some(error) => bail!("the chain node refuses: {error}"),
                None => Ok(answer["result"].take()),
            })
            .collect()
    }
}
