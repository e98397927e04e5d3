//! A hostile chain node: stands before anvil; lies, delays and loses by a seeded plan till healed.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use alloy::primitives::{Bytes, keccak256};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::anvil::Anvil;
use super::lies::{self, Asked, Lie};
use super::pool::{Pool, Pooled, Sight};

mod branch;
mod http;
mod socket;

use http::Reply;
pub use socket::SocketFault;

/// Between two looks at the chain for the pool's sake.
const POOL_LOOKS: Duration = Duration::from_millis(50);
/// Longer than any client waits.
const HELD: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    Lie(Lie),
    /// The head, also the safe and the final one, of up to so many blocks ago.
    OldHead(u64),
    /// From this block on a branch that no other node has; its every answer can be proven.
    OtherBranch(u64),
    /// More blocks at once than this are refused, in the words of three vendors.
    RangeCap(u64),
    /// JSON that ends too early.
    Cut,
    /// A page of a gateway, with status 200.
    Html,
    /// 429.
    Busy,
    /// 500, 502 or 503.
    Broken,
    /// The connection is reset in the middle of the body.
    Reset,
    /// The answer comes after half a minute, also when the node is healed meanwhile.
    Hold,
}

impl Fault {
    /// What happens to a whole answer, whatever was asked.
    fn is_of_transport(self) -> bool {
        match self {
            Self::Cut | Self::Html | Self::Busy | Self::Broken | Self::Reset | Self::Hold => true,
            Self::Lie(_) | Self::OldHead(_) | Self::OtherBranch(_) | Self::RangeCap(_) => false,
        }
    }
}

/// What is done to answers, and to how many of a hundred. The same plan gives the same question,
/// asked the same number of times, the same answer, whatever else is asked in between.
#[derive(Debug, Default)]
struct Plan {
    seed: u64,
    faults: Vec<Fault>,
    percent: u32,
    times: HashMap<String, u64>,
}

impl Plan {
    /// The chance of this question, or None when it is answered honestly.
    fn roll(&mut self, question: &str) -> Option<StdRng> {
        let times = self.times.entry(question.to_owned()).or_default();
        *times += 1;
        let text = format!("{} {times} {question}", self.seed);
        let mut rng = StdRng::from_seed(keccak256(text).0);
        rng.random_ratio(self.percent, 100).then_some(rng)
    }
}

struct Node {
    port: u16,
    url: String,
    client: reqwest::Client,
    plan: Mutex<Plan>,
    told: AtomicU64,
    pool: Option<tokio::sync::Mutex<Pool>>,
    branch: tokio::sync::Mutex<branch::Branch>,
    sockets: socket::Sockets,
}

/// Stopped on drop, with all its connections.
pub struct Proxy {
    port: u16,
    node: Arc<Node>,
    tasks: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Proxy {
    /// Honest until it is told otherwise.
    pub async fn before(anvil: &Anvil, seed: u64) -> Self {
        Self::open(anvil, seed, None).await
    }

    /// With a pool by geth's rules in front of anvil's own.
    pub async fn with_pool(anvil: &Anvil, seed: u64) -> Self {
        Self::open(anvil, seed, Some(tokio::sync::Mutex::default())).await
    }

    async fn open(anvil: &Anvil, seed: u64, pool: Option<tokio::sync::Mutex<Pool>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = reqwest::Client::builder().timeout(HELD).build().unwrap();
        let node = Arc::new(Node {
            port: anvil.port,
            url: anvil.rpc_url(),
            client,
            plan: Mutex::new(Plan { seed, ..Plan::default() }),
            told: AtomicU64::new(0),
            pool,
            branch: tokio::sync::Mutex::default(),
            sockets: socket::Sockets::new(seed),
        });
        let stop = CancellationToken::new();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&node), stop.clone()));
        let looking = tokio::spawn(look_after_pool(Arc::clone(&node)));
        Self { port, node, tasks: vec![accepting, looking], stop }
    }

    pub fn rpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// From now on so many of a hundred answers that these faults can meet are bad.
    pub fn turn(&self, faults: &[Fault], percent: u32) {
        let mut plan = self.node.plan();
        (plan.faults, plan.percent) = (faults.to_vec(), percent);
    }

    /// Honest again; sockets too.
    pub fn heal(&self) {
        self.turn(&[], 0);
        self.node.sockets.turn(None);
    }

    /// Bad answers so far: a story in which none was given has shown nothing.
    pub fn told(&self) -> u64 {
        self.node.told.load(Ordering::SeqCst) + self.node.sockets.told()
    }

    /// What happens to sockets, those that are open and those to come.
    pub fn turn_sockets(&self, fault: SocketFault) {
        self.node.sockets.turn(Some(fault));
    }

    /// Sockets let through so far.
    pub fn sockets(&self) -> u64 {
        self.node.sockets.opened()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn accept(listener: TcpListener, node: Arc<Node>, stop: CancellationToken) {
    while let Ok((near, _)) = listener.accept().await {
        let (node, stop) = (Arc::clone(&node), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = serve(near, &node) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// One connection: questions over HTTP one after the other, or a socket.
async fn serve(mut near: TcpStream, node: &Node) {
    // Ends with the connection.
    while let Some(request) = http::read(&mut near).await {
        if request.is_upgrade() {
            return node.sockets.carry(near, node.port, &request.head).await;
        }
        let reply = node.reply(&request.body).await;
        if !reply.send(&mut near).await {
            return;
        }
    }
}

impl Node {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap()
    }

    async fn reply(&self, body: &[u8]) -> Reply {
        let Ok(asked) = serde_json::from_slice::<Value>(body) else {
            return Reply::status(400, "no JSON");
        };
        let rolled = self.plan().roll(&text_of(&asked));
        let fault = rolled.as_ref().and_then(|rng| self.pick(&mut rng.clone(), true));
        if let Some(fault) = fault {
            self.told.fetch_add(1, Ordering::SeqCst);
            return self.broken(fault, &asked, rolled.unwrap()).await;
        }
        Reply::json(&self.answer(&asked).await)
    }

    /// One of the plan's faults: of those of whole answers, or of the others.
    fn pick(&self, rng: &mut StdRng, of_transport: bool) -> Option<Fault> {
        let plan = self.plan();
        let kind = |fault: &&Fault| fault.is_of_transport() == of_transport;
        let apt: Vec<&Fault> = plan.faults.iter().filter(kind).collect();
        (!apt.is_empty()).then(|| *apt[rng.random_range(0..apt.len())])
    }

    async fn broken(&self, fault: Fault, asked: &Value, mut rng: StdRng) -> Reply {
        let honest = || async { self.answer(asked).await.to_string() };
        match fault {
            Fault::Cut => {
                let body = honest().await;
                let end = rng.random_range(1..body.len());
                Reply::ok(&body[..end])
            }
            Fault::Reset => {
                let body = honest().await;
                let end = rng.random_range(0..body.len());
                Reply::reset_at(&body, end)
            }
            Fault::Hold => {
                let reply = Reply::json(&self.answer(asked).await);
                tokio::time::sleep(HELD).await;
                reply
            }
            Fault::Html => Reply::html("<html><body><h1>Just a moment</h1></body></html>"),
            Fault::Busy => Reply::status(429, "rate limit exceeded"),
            Fault::Broken => {
                Reply::status([500, 502, 503][rng.random_range(0..3)], "upstream is away")
            }
            _ => unreachable!("not of whole answers"),
        }
    }

    async fn answer(&self, asked: &Value) -> Value {
        let Some(batch) = asked.as_array() else { return self.bent(asked).await };
        if let Some(refusal) = self.too_many(&text_of(asked), batch.len()) {
            return json!({ "jsonrpc": "2.0", "id": null, "error": refusal });
        }
        let mut answers = Vec::new();
        for call in batch {
            answers.push(self.bent(call).await);
        }
        answers.into()
    }

    /// The answer to one call, honest or not.
    async fn bent(&self, call: &Value) -> Value {
        let outcome = match self.taken(call).await {
            Some(outcome) => outcome,
            None => {
                let rolled = self.plan().roll(&text_of(call));
                match rolled {
                    Some(rng) => self.lied(call, rng).await,
                    None => self.honest(call).await,
                }
            }
        };
        let mut answer = json!({ "jsonrpc": "2.0", "id": call["id"] });
        let (key, value) = match outcome {
            Ok(value) => ("result", value),
            Err(error) => ("error", error),
        };
        answer[key] = value;
        answer
    }

    async fn lied(&self, call: &Value, mut rng: StdRng) -> Result<Value, Value> {
        let count = self.plan().faults.len();
        for _ in 0..count {
            let told = match self.pick(&mut rng, false) {
                None => None,
                Some(Fault::OldHead(most)) => self.old_head(call, most, &mut rng).await,
                Some(Fault::OtherBranch(from)) => self.on_branch(call, from).await.map(Ok),
                Some(Fault::RangeCap(most)) => cap(call, most, &mut rng).map(Err),
                Some(Fault::Lie(lie)) => self.lie(call, lie, &mut rng).await.map(Ok),
                Some(_) => unreachable!("only of whole answers"),
            };
            if let Some(told) = told {
                self.told.fetch_add(1, Ordering::SeqCst);
                return told;
            }
        }
        self.honest(call).await
    }

    async fn lie(&self, call: &Value, lie: Lie, rng: &mut StdRng) -> Option<Value> {
        let asked = Asked::by(call)?;
        let honest = self.honest(call).await.ok().filter(|answer| !answer.is_null())?;
        let other = match lie {
            Lie::OtherFork => self.neighbour(call, &honest).await,
            _ => None,
        };
        lies::tell(lie, asked, &honest, other.as_ref(), rng)
    }

    /// The same question about the nearest block below that answers something else.
    async fn neighbour(&self, call: &Value, honest: &Value) -> Option<Value> {
        let number = honest.as_array()?.first()?["blockNumber"].as_str()?;
        let number = u64::from_str_radix(number.trim_start_matches("0x"), 16).ok()?;
        for below in (number.saturating_sub(20)..number).rev() {
            let mut other = call.clone();
            other["params"] = match call["method"].as_str()? {
                "eth_getLogs" => {
                    let mut filter = call["params"][0].clone();
                    filter.as_object_mut()?.remove("blockHash");
                    (filter["fromBlock"], filter["toBlock"]) = (hex(below), hex(below));
                    json!([filter])
                }
                _ => json!([hex(below)]),
            };
            let answer = self.honest(&other).await.ok()?;
            if answer.as_array().is_some_and(|entries| !entries.is_empty()) {
                return Some(answer);
            }
        }
        None
    }

    async fn old_head(
        &self,
        call: &Value,
        most: u64,
        rng: &mut StdRng,
    ) -> Option<Result<Value, Value>> {
        if call["method"] != "eth_getBlockByNumber" {
            return None;
        }
        let tag = call["params"][0].as_str().filter(|tag| !tag.starts_with("0x"))?;
        let newest = self.honest(&ask("eth_getBlockByNumber", json!([tag, false]))).await.ok()?;
        let number = newest["number"].as_str()?.trim_start_matches("0x");
        let number = u64::from_str_radix(number, 16).ok()?;
        let old = number.saturating_sub(rng.random_range(1..=most));
        Some(self.honest(&ask("eth_getBlockByNumber", json!([hex(old), false]))).await)
    }

    /// A batch is a range too.
    fn too_many(&self, question: &str, calls: usize) -> Option<Value> {
        let caps = self.plan().faults.clone();
        let too_many = caps.iter().any(|fault| match fault {
            Fault::RangeCap(most) => u64::try_from(calls).unwrap() > *most,
            _ => false,
        });
        if !too_many {
            return None;
        }
        self.plan().roll(question)?;
        self.told.fetch_add(1, Ordering::SeqCst);
        Some(json!({ "code": -32600, "message": "batch too large" }))
    }

    /// What anvil says; where it makes an error of an unknown block, what other servers say.
    async fn honest(&self, call: &Value) -> Result<Value, Value> {
        let away = |error: reqwest::Error| {
            let message = error.without_url().to_string();
            json!({ "code": -32603, "message": message })
        };
        let sent = self.client.post(&self.url).json(call).send().await.map_err(away)?;
        let mut answer: Value = sent.json().await.map_err(away)?;
        match answer.get_mut("error").map(Value::take) {
            Some(_) if call["method"] == "eth_getLogs" => Ok(json!([])),
            Some(error) => Err(error),
            None => Ok(answer["result"].take()),
        }
    }

    /// What the pool answers in place of anvil.
    async fn taken(&self, call: &Value) -> Option<Result<Value, Value>> {
        let pool = self.pool.as_ref()?;
        let params = &call["params"];
        match call["method"].as_str()? {
            "eth_sendRawTransaction" => {
                let raw: Bytes = params[0].as_str()?.parse().ok()?;
                let tx = Pooled::read(&raw)?;
                let (hash, next) = (tx.hash, self.next_nonce(&tx).await?);
                let mut pool = pool.lock().await;
                if let Err(refusal) = pool.add(tx, next) {
                    return Some(Err(json!({ "code": -32000, "message": refusal.to_string() })));
                }
                self.hand_on(&mut pool).await;
                Some(Ok(json!(hash)))
            }
            "eth_getTransactionCount" if params[1] == "pending" => {
                let latest = ask("eth_getTransactionCount", json!([params[0], "latest"]));
                let next = number(&self.honest(&latest).await.ok()?)?;
                let sender = params[0].as_str()?.parse().ok()?;
                Some(Ok(hex(pool.lock().await.pending_nonce(sender, next))))
            }
            _ => None,
        }
    }

    async fn next_nonce(&self, tx: &Pooled) -> Option<u64> {
        let call = ask("eth_getTransactionCount", json!([tx.sender, "latest"]));
        number(&self.honest(&call).await.ok()?)
    }

    /// Looks at the chain and gives anvil what can be mined now; it has most of it already.
    async fn hand_on(&self, pool: &mut Pool) {
        let Some(sight) = self.sight(pool).await else { return };
        for raw in pool.see(&sight) {
            let _ = self.honest(&ask("eth_sendRawTransaction", json!([raw]))).await;
        }
    }

    async fn sight(&self, pool: &Pool) -> Option<Sight> {
        let fees = self.honest(&ask("eth_feeHistory", json!(["0x1", "latest", []]))).await.ok()?;
        let base_fee = number(fees["baseFeePerGas"].as_array()?.last()?)?;
        let mut sight = Sight { base_fee: base_fee.into(), ..Sight::default() };
        let mut next = BTreeMap::new();
        for tx in pool.all() {
            if let Entry::Vacant(unknown) = next.entry(tx.sender) {
                unknown.insert(self.next_nonce(tx).await?);
            }
            let receipt = ask("eth_getTransactionReceipt", json!([tx.hash]));
            if !self.honest(&receipt).await.ok()?.is_null() {
                sight.mined.insert(tx.hash);
            }
        }
        sight.next = next;
        Some(sight)
    }
}

/// Until the proxy is dropped.
async fn look_after_pool(node: Arc<Node>) {
    let Some(pool) = &node.pool else { return };
    loop {
        tokio::time::sleep(POOL_LOOKS).await;
        let mut pool = pool.lock().await;
        if pool.all().next().is_some() {
            node.hand_on(&mut pool).await;
        }
    }
}

/// What is asked, without the ids that differ from one time to the next.
fn text_of(asked: &Value) -> String {
    let one = |call: &Value| format!("{} {}", call["method"], call["params"]);
    match asked.as_array() {
        Some(batch) => batch.iter().map(one).collect::<Vec<_>>().join(","),
        None => one(asked),
    }
}

/// Three vendors, three codes, three texts.
fn cap(call: &Value, most: u64, rng: &mut StdRng) -> Option<Value> {
    if call["method"] != "eth_getLogs" {
        return None;
    }
    let filter = &call["params"][0];
    let (from, to) = (number(filter.get("fromBlock")?)?, number(filter.get("toBlock")?)?);
    let texts = [
        (-32005, "query returned more than 10000 results"),
        (-32602, "You can make eth_getLogs requests with up to a 2K block range"),
        (-32000, "query exceeds max block range 2000"),
    ];
    let (code, message) = texts[rng.random_range(0..texts.len())];
    (to - from >= most).then(|| json!({ "code": code, "message": message }))
}

fn ask(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn hex(number: u64) -> Value {
    json!(format!("{number:#x}"))
}
