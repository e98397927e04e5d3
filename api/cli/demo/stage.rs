//! What the demo plays on: a local chain, wallets with money, and the services as child processes.
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use alloy::providers::ext::AnvilApi;
use alloy::signers::local::PrivateKeySigner;
use contracts::Amount;
use contracts::deploy::{
    Deployment, DeploymentFile, Offices, Plan, deploy_all, deploy_legacy_rndr,
};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::chain::{Chain, provider};
use crate::deploy::{failed, write};
use crate::exit::{Exit, Failure, Outcome, chain, local, stopped};
use crate::keys;

/// Not 31337: some contracts cache a wrong domain on that one.
pub const CHAIN_ID: u64 = 1_337;
/// The chain and each service answer within a second; a loaded machine gets this long.
const START_WAIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Nodes of the play.
const NODES: u64 = 2;
/// Gas money of each wallet: 10 ether.
const GAS_MONEY: u128 = 10_000_000_000_000_000_000;
/// The token's double has 18 decimals, as RNDR.
pub const DECIMALS: u8 = 18;
/// Tokens of the deploying wallet.
const SUPPLY: &str = "1000000";
/// Tokens that the creator is given, and its exchange.
const PURSE: &str = "50";

/// A wallet of the play: its key, and the keystore that services open.
pub struct Actor {
    pub key: PrivateKeySigner,
    pub keystore: PathBuf,
}

impl Actor {
    pub fn address(&self) -> Address {
        self.key.address()
    }
}

/// Everyone with a key.
pub struct Cast {
    pub operator: Actor,
    pub settler: Actor,
    pub gas: Actor,
    pub creator: Actor,
    pub nodes: [Actor; 2],
    /// Opens jobs for the creator, and has nothing: no tokens, no gas money.
    pub agent: PrivateKeySigner,
    /// Where the creator has tokens, too; all it does is send them.
    pub exchange: PrivateKeySigner,
    pub password_file: PathBuf,
}

/// The contracts, once deployed.
pub struct Contracts {
    pub token: Deployment,
    pub deployed: DeploymentFile,
}

/// Children end with this value, however the demo ends.
pub struct Stage {
    pub folder: PathBuf,
    pub rpc_url: String,
    pub ws_url: String,
    pub api_url: String,
    pub door_url: String,
    children: Vec<(String, Child)>,
}

impl Stage {
    /// Starts the chain.
    pub async fn open(folder: &Path, anvil: &Path) -> Outcome<Stage> {
        let (child, port) = start_anvil(folder, anvil).await?;
        let (api, door) = (free_port()?, free_port()?);
        Ok(Stage {
            folder: folder.to_path_buf(),
            rpc_url: format!("http://127.0.0.1:{port}"),
            ws_url: format!("ws://127.0.0.1:{port}"),
            api_url: format!("http://127.0.0.1:{api}"),
            door_url: format!("http://127.0.0.1:{door}"),
            children: vec![("anvil".into(), child)],
        })
    }

    /// Deploys token and contracts, writes their file, and hands out gas money and tokens.
    pub async fn deploy(&self, cast: &Cast) -> Outcome<Contracts> {
        let operator = provider(&self.rpc_url, Some(cast.operator.key.clone()))?;
        let spenders = [&cast.operator, &cast.gas, &cast.creator].map(Actor::address);
        for address in spenders.into_iter().chain([cast.exchange.address()]) {
            let funded = operator.anvil_set_balance(address, U256::from(GAS_MONEY)).await;
            funded.map_err(|error| chain("hand out gas money", &error))?;
        }
        let tokens = |text| Amount::from_decimal(text, DECIMALS).map_err(amount);
        let token = deploy_legacy_rndr(&operator, cast.operator.address(), tokens(SUPPLY)?).await;
        let token = token.map_err(failed)?;
        let offices = Offices::default();
        let plan = Plan { salt: B256::ZERO, token: token.address, offices, permit2: None };
        let (deployed, _) = deploy_all(&operator, &plan, None).await.map_err(failed)?;
        write(&self.deployment(), &deployed)?;
        let key = Some(cast.operator.key.clone());
        let chain = Chain::connect(&self.rpc_url, deployed.escrow.address, key).await?;
        let double = contracts::LegacyRndr::new(token.address, operator.clone());
        let purse = tokens(PURSE)?.to_u256();
        for holder in [cast.creator.address(), cast.exchange.address()] {
            chain.send("hand out tokens", double.transfer(holder, purse)).await?;
        }
        Ok(Contracts { token, deployed })
    }

    /// Indexer, settler, API and two nodes, each a process of its own.
    pub async fn start_services(&mut self, cast: &Cast) -> Outcome {
        for service in ["indexer", "settler", "api"] {
            self.start(service, service, &self.settings(cast))?;
        }
        for (number, node) in cast.nodes.iter().enumerate() {
            let name = format!("node-{}", number + 1);
            let mut settings = self.settings(cast);
            settings.push(("NODE__KEYSTORE", node.keystore.display().to_string()));
            settings.push(("NODE__WORK_DIR", self.folder.join(&name).display().to_string()));
            self.start(&name, "node", &settings)?;
        }
        self.wait_ready().await
    }

    fn settings(&self, cast: &Cast) -> Vec<(&'static str, String)> {
        let path = |path: &Path| path.display().to_string();
        let listen = |url: &str| url.trim_start_matches("http://").to_owned();
        let password_file = path(&cast.password_file);
        vec![
            ("CHAIN__RPC_URL", self.rpc_url.clone()),
            ("CHAIN__WS_URL", self.ws_url.clone()),
            ("CHAIN__DEPLOYMENT", path(&self.deployment())),
            ("CHAIN__POLL_MS", "500".into()),
            ("STORE__URL", self.store_url()),
            ("STORE__OBJECTS", path(&self.objects())),
            ("SETTLER__LISTEN", listen(&self.door_url)),
            ("SETTLER__KEYSTORE", path(&cast.settler.keystore)),
            ("SETTLER__GAS_KEYSTORE", path(&cast.gas.keystore)),
            ("SETTLER__PASSWORD_FILE", password_file.clone()),
            ("SETTLER__POLL_MS", "250".into()),
            ("SETTLER__CONFIRMATIONS", "1".into()),
            // The creator decides within the demo, so that its word saves a transaction.
            ("SETTLER__COMMIT_AFTER_SECONDS", "600".into()),
            ("API__LISTEN", listen(&self.api_url)),
            ("API__SETTLER", cast.settler.address().to_string()),
            ("API__FEE_RECEIVER", cast.operator.address().to_string()),
            ("NODE__DOOR", self.door_url.clone()),
            ("NODE__PASSWORD_FILE", password_file),
            ("NODE__THREADS", "1".into()),
        ]
    }

    pub fn deployment(&self) -> PathBuf {
        self.folder.join("deployment.json")
    }

    pub fn store_url(&self) -> String {
        format!("sqlite:{}", self.folder.join("rndr.db").display())
    }

    pub fn objects(&self) -> PathBuf {
        self.folder.join("objects")
    }

    fn start(&mut self, name: &str, service: &str, settings: &[(&str, String)]) -> Outcome {
        let program = std::env::current_exe().map_err(local("finding the own program"))?;
        let log = self.folder.join(format!("{name}.log"));
        let log = File::create(&log).map_err(local(format!("making {}", log.display())))?;
        let settings = settings.iter().map(|(key, value)| (format!("RNDR__{key}"), value));
        // Settings that a person has for other services are not the demo's.
        let foreign = |name: &str| name.starts_with("RNDR__") || name == "RNDR_CONFIG";
        let own = std::env::vars().filter(|(name, _)| !foreign(name));
        let child = Command::new(program)
            .arg(service)
            .env_clear()
            .envs(own)
            .envs(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(local(format!("starting {name}")))?;
        self.children.push((name.to_owned(), child));
        Ok(())
    }

    /// Until the API is ready and both nodes can be booked; a child that ended is told at once.
    async fn wait_ready(&mut self) -> Outcome {
        let http = reqwest::Client::builder().timeout(START_WAIT).build().map_err(stopped)?;
        let ready = async {
            // Within START_WAIT.
            loop {
                self.check_children()?;
                if nodes(&http, &self.api_url).await.unwrap_or(0) >= NODES {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        timeout(START_WAIT, ready).await.unwrap_or_else(|_| {
            let folder = self.folder.display();
            let message = format!("the services are not ready after {} s", START_WAIT.as_secs());
            Err(Failure::new(Exit::Unavailable, message, format!("see the logs in {folder}")))
        })
    }

    pub fn check_children(&mut self) -> Outcome {
        for (name, child) in &mut self.children {
            if let Some(status) = child.try_wait().map_err(local(format!("watching {name}")))? {
                let log = self.folder.join(format!("{name}.log"));
                let message = format!("{name} ended by itself: {status}");
                let hint = format!("see {}", log.display());
                return Err(Failure::new(Exit::Failed, message, hint));
            }
        }
        Ok(())
    }
}

pub fn amount(error: contracts::AmountError) -> Failure {
    Failure::usage(error.to_string(), "")
}

/// Fresh keys, each in a keystore under one random password.
pub async fn cast(folder: &Path) -> Outcome<Cast> {
    let password_file = folder.join("password");
    let password = PrivateKeySigner::random().to_bytes().to_string();
    std::fs::write(&password_file, &password).map_err(local("writing the password"))?;
    let make = async |name: &str| {
        let key = PrivateKeySigner::random();
        let keystore = folder.join(format!("{name}.keystore.json"));
        keys::save(key.to_bytes(), &keystore, password.clone()).await?;
        Ok::<Actor, Failure>(Actor { key, keystore })
    };
    Ok(Cast {
        operator: make("operator").await?,
        settler: make("settler").await?,
        gas: make("gas").await?,
        creator: make("creator").await?,
        nodes: [make("node-1").await?, make("node-2").await?],
        agent: PrivateKeySigner::random(),
        exchange: PrivateKeySigner::random(),
        password_file,
    })
}

/// anvil names its port on stdout once it listens.
async fn start_anvil(folder: &Path, program: &Path) -> Outcome<(Child, u16)> {
    let log = folder.join("anvil.log");
    let log = File::create(&log).map_err(local(format!("making {}", log.display())))?;
    let mut child = Command::new(program)
        .args(["--host", "127.0.0.1", "--port", "0", "--block-time", "1", "--accounts", "1"])
        .args(["--chain-id", &CHAIN_ID.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .map_err(local(format!("starting {}", program.display())))?;
    let silent = || Failure::new(Exit::Failed, "anvil did not start", "see anvil.log");
    let stdout = child.stdout.take().ok_or_else(silent)?;
    let mut lines = BufReader::new(stdout).lines();
    let port = async {
        // Within START_WAIT.
        while let Some(line) = lines.next_line().await.ok()? {
            if let Some((_, port)) = line.rsplit_once("Listening on 127.0.0.1:") {
                return port.trim().parse().ok();
            }
        }
        None
    };
    let port = timeout(START_WAIT, port).await.ok().flatten().ok_or_else(silent)?;
    // It writes a line for each block: read on, or it stops at a full pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((child, port))
}

/// Bookable nodes, once the API is ready.
async fn nodes(http: &reqwest::Client, api_url: &str) -> Option<u64> {
    let ready = http.get(format!("{api_url}/readyz")).send().await.ok()?;
    ready.error_for_status().ok()?;
    let tiers = http.get(format!("{api_url}/v1/tiers")).send().await.ok()?;
    let tiers: serde_json::Value = tiers.json().await.ok()?;
    tiers["tiers"][0]["bookable_nodes"].as_u64()
}

/// The native binary beside the contracts: the npm wrapper in front of it outlives its parent.
pub fn find_anvil() -> Outcome<PathBuf> {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let system = std::env::consts::OS;
    let inside = format!("contracts/node_modules/@foundry-rs/anvil-{system}-{machine}/bin/anvil");
    let project = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let program = std::env::current_exe().ok();
    let mut roots: Vec<PathBuf> = project.into_iter().collect();
    roots.extend(std::env::current_dir());
    roots.extend(program.iter().flat_map(|path| path.ancestors()).map(PathBuf::from));
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found = roots.iter().map(|root| root.join(&inside));
    let mut found = found.chain(std::env::split_paths(&search).map(|folder| folder.join("anvil")));
    found.find(|path| path.is_file()).ok_or_else(|| {
        let hint = "run `scripts/demo`, which installs it, or put anvil into the PATH";
        Failure::new(Exit::NotFound, "anvil, the local chain, is not installed", hint)
    })
}

/// Free a moment ago; services get their ports before they start, so that each knows the others'.
fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(local("finding a free port"))?;
    Ok(listener.local_addr().map_err(local("finding a free port"))?.port())
}
