//! The test chain: a native anvil on a free port, killed on drop; mines, reorgs, jumps in time.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::ext::AnvilApi;
use alloy::providers::{Provider, ProviderBuilder, RootProvider};
use alloy::rpc::types::anvil::{ReorgOptions, TransactionData};

/// The native program: the npm launcher beside it loses exit codes and leaves anvil running.
const BINARY: &str = "contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";
/// Loading a 60 MB program on a busy machine takes seconds.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How a chain is started; the port is free unless one is given.
#[derive(Clone)]
pub struct Options {
    pub port: u16,
    pub chain_id: u64,
    /// Finalized is two such epochs below the head: 1 makes it head - 2.
    pub slots_in_an_epoch: u64,
    /// Time of the first block, and so of its hash: now, unless it is given.
    pub timestamp: Option<u64>,
    /// Without the deterministic deployment proxy, which anvil has from the start.
    pub no_create2: bool,
    /// Mines when it is told to, blocks of any size, free of charge.
    pub measured: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            chain_id: 31_337,
            slots_in_an_epoch: 32,
            timestamp: None,
            no_create2: false,
            measured: false,
        }
    }
}

pub struct Anvil {
    child: Child,
    pub port: u16,
    pub chain_id: u64,
    pub provider: RootProvider,
}

impl Anvil {
    pub fn start(options: &Options) -> Self {
        let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        // The benchmark is a package of its own, further down.
        let root = package.ancestors().find(|folder| folder.join("contracts/src").is_dir());
        let binary = root.expect("a package lies in the project").join(BINARY);
        assert!(binary.exists(), "{} is missing; run `npm ci` in contracts/", binary.display());
        let mut command = Command::new(binary);
        command.args(["--order", "fifo", "--host", "127.0.0.1"]);
        command.args(["--port", &options.port.to_string()]);
        command.args(["--chain-id", &options.chain_id.to_string()]);
        command.args(["--slots-in-an-epoch", &options.slots_in_an_epoch.to_string()]);
        if let Some(timestamp) = options.timestamp {
            command.args(["--timestamp", &timestamp.to_string()]);
        }
        if options.no_create2 {
            command.arg("--disable-default-create2-deployer");
        }
        if options.measured {
            command.args(["--no-mining", "--gas-limit", "3000000000"]);
            command.args(["--block-base-fee-per-gas", "0", "--gas-price", "0"]);
        }
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = spawned.expect("anvil starts");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (told, port) = mpsc::channel();
        // Reads on for ever: a full pipe would stop anvil.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("Listening on ") {
                    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
                    let _ = told.send(port);
                }
            }
        });
        let port: Option<u16> = port.recv_timeout(START_LIMIT).expect("anvil listens in time");
        let port = port.expect("anvil names its port");
        let url = format!("http://127.0.0.1:{port}").parse().unwrap();
        let provider = ProviderBuilder::default().connect_http(url);
        Self { child, port, chain_id: options.chain_id, provider }
    }

    pub fn rpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process, whose use of the machine is measured.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// SIGSTOP and SIGCONT: a node that hangs without closing its connections.
    pub fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.process().to_string()]).status();
        assert!(done.unwrap().success());
    }

    pub async fn mine(&self, blocks: u64) {
        self.provider.anvil_mine(Some(blocks), None).await.unwrap();
    }

    /// Replaces the top `depth` blocks; raw transactions go into the new blocks at the index
    /// given with each. All others that were in them are gone.
    pub async fn reorg(&self, depth: u64, transactions: &[(Bytes, u64)]) {
        let raw = |(raw, block): &(Bytes, u64)| (TransactionData::Raw(raw.clone()), *block);
        let tx_block_pairs = transactions.iter().map(raw).collect();
        self.provider.anvil_reorg(ReorgOptions { depth, tx_block_pairs }).await.unwrap();
    }

    /// Moves the clock on and mines a block at the new time.
    pub async fn pass(&self, seconds: u64) {
        self.provider.anvil_increase_time(seconds).await.unwrap();
        self.mine(1).await;
    }

    /// The next block is mined at exactly this time, which lies ahead.
    pub async fn next_at(&self, time: u64) {
        self.provider.anvil_set_next_block_timestamp(time).await.unwrap();
    }

    /// Gas money.
    pub async fn set_balance(&self, of: Address, wei: U256) {
        self.provider.anvil_set_balance(of, wei).await.unwrap();
    }

    pub async fn head(&self) -> (u64, B256) {
        let block = self.provider.get_block(Default::default()).await.unwrap().unwrap();
        (block.header.number, block.header.hash)
    }

    /// Time of the newest block.
    pub async fn now(&self) -> u64 {
        let block = self.provider.get_block(Default::default()).await.unwrap().unwrap();
        block.header.timestamp
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
