//! What a story plays in: chain, contracts, wallets, database, services; drop cleans up.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use alloy::network::{Ethereum, EthereumWallet, NetworkTransactionBuilder, TransactionBuilder};
use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::providers::{Provider, ProviderBuilder};
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{Eip712Domain, SolCall, SolError, SolStruct};
use contracts::revert::explain_revert;
use contracts::{Amount, LegacyRndr, RenderEscrow, deploy, signing};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use store::Store;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub mod anvil;
pub mod beside;
pub mod blocks;
pub mod bonds;
pub mod cluster;
pub mod counter;
pub mod database;
pub mod deals;
pub mod desk;
pub mod disk;
pub mod lies;
pub mod pool;
pub mod process;
pub mod proxy;
pub mod seeds;
pub mod studio;
pub mod troupe;
pub mod truth;
pub mod watched;
pub mod ways;

use anvil::{Anvil, Options};
use database::Database;

/// Longest wait for anything a story expects: far above what it takes, so that only a real
/// failure meets it, also on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// 1 RNDR in base units.
pub const RNDR: u128 = 1_000_000_000_000_000_000;

/// A chain with token and escrow, and an empty database.
pub struct World {
    pub anvil: Anvil,
    pub token: Address,
    /// One whole token in base units.
    pub coin: u128,
    pub escrow: Address,
    pub registry: Address,
    pub deploy_block: u64,
    pub database: Database,
    pub folder: TempDir,
}

/// The escrow's offices in every story; the wallets get their gas money when they act.
fn offices() -> deploy::Offices {
    let (issuer, guardian) = (wallet("issuer").address(), wallet("guardian").address());
    deploy::Offices { issuer, guardian }
}

impl World {
    pub async fn new() -> Self {
        Self::on(Options::default()).await
    }

    pub async fn on(options: Options) -> Self {
        let anvil = Anvil::start(&options);
        let provider = deployer_of(&anvil).await;
        let holder = wallet("deployer").address();
        let token = deploy::deploy_legacy_rndr(&provider, holder, Amount::ZERO).await.unwrap();
        Self::with_token(anvil, token.address, RNDR).await
    }

    /// An escrow of this token, which has the legacy double's `mint`.
    pub async fn with_token(anvil: Anvil, token: Address, coin: u128) -> Self {
        let provider = deployer_of(&anvil).await;
        let escrow = deploy::deploy_escrow(&provider, token, offices()).await.unwrap();
        let registry = deploy::deploy_registry(&provider, escrow.address).await.unwrap();
        let folder = TempDir::new().unwrap();
        let database = Database::fresh(folder.path()).await;
        let (escrow, deploy_block) = (escrow.address, escrow.block);
        let registry = registry.address;
        Self { anvil, token, coin, escrow, registry, deploy_block, database, folder }
    }

    /// Another handle of the world's store.
    pub async fn store(&self) -> Store {
        self.store_at(&self.database.url).await
    }

    /// A store elsewhere, with the same objects.
    pub async fn store_at(&self, url: &str) -> Store {
        Store::open(url, &self.folder.path().join("objects")).await.unwrap()
    }

    /// A wallet by its name, always the same, with gas money and RNDR.
    pub async fn funded(&self, name: &str, rndr: u128) -> PrivateKeySigner {
        let signer = wallet(name);
        self.anvil.set_balance(signer.address(), U256::from(100 * RNDR)).await;
        let amount = U256::from(rndr);
        self.send(&signer, self.token, LegacyRndr::mintCall { to: signer.address(), amount }).await;
        signer
    }

    /// Signs a call as the sender's next transaction.
    pub async fn sign(&self, from: &PrivateKeySigner, to: Address, call: impl SolCall) -> Bytes {
        let nonce = self.anvil.provider.get_transaction_count(from.address()).await.unwrap();
        let request = TransactionRequest::default()
            .with_chain_id(self.anvil.chain_id)
            .with_from(from.address())
            .with_to(to)
            .with_nonce(nonce)
            .with_input(call.abi_encode())
            .with_gas_limit(2_000_000)
            .with_max_fee_per_gas(100_000_000_000)
            .with_max_priority_fee_per_gas(1_000_000_000);
        let wallet = EthereumWallet::new(from.clone());
        let signed = NetworkTransactionBuilder::<Ethereum>::build(request, &wallet).await.unwrap();
        alloy::eips::Encodable2718::encoded_2718(&signed).into()
    }

    /// Sends signed bytes and waits for the receipt, whatever it says.
    pub async fn send_raw(&self, raw: &Bytes) -> TransactionReceipt {
        let provider = &self.anvil.provider;
        let hash = *provider.send_raw_transaction(raw).await.unwrap().tx_hash();
        // Automine is asynchronous: the receipt may come later than the hash.
        let receipt = || async move { provider.get_transaction_receipt(hash).await.unwrap() };
        eventually("a receipt", receipt).await
    }

    /// Sends a call that must succeed.
    pub async fn send<C: SolCall>(
        &self,
        from: &PrivateKeySigner,
        to: Address,
        call: C,
    ) -> TransactionReceipt {
        let raw = self.sign(from, to, call).await;
        let receipt = self.send_raw(&raw).await;
        assert!(receipt.status(), "{} by {} reverted", C::SIGNATURE, from.address());
        receipt
    }

    /// What a call that must revert reverts with; nothing is sent.
    pub async fn refused<C: SolCall>(
        &self,
        from: &PrivateKeySigner,
        to: Address,
        call: C,
    ) -> Bytes {
        let request = TransactionRequest::default()
            .with_from(from.address())
            .with_to(to)
            .with_input(call.abi_encode());
        let answer = self.anvil.provider.call(request).await;
        let error = answer.expect_err(C::SIGNATURE);
        let data = error.as_error_resp().and_then(|error| error.as_revert_data());
        data.unwrap_or_else(|| panic!("{} says no revert data: {error}", C::SIGNATURE))
    }

    /// Sends a call to the escrow that must revert with exactly the error made of its block's time.
    pub async fn refuses<C: SolCall, E: SolError>(
        &self,
        from: &PrivateKeySigner,
        call: C,
        error: impl FnOnce(u64) -> E,
    ) {
        self.refuses_at(self.escrow, from, call, error).await;
    }

    /// The same of another contract.
    pub async fn refuses_at<C: SolCall, E: SolError>(
        &self,
        to: Address,
        from: &PrivateKeySigner,
        call: C,
        error: impl FnOnce(u64) -> E,
    ) {
        let raw = self.sign(from, to, call).await;
        let receipt = self.send_raw(&raw).await;
        assert!(!receipt.status(), "{} by {} went through", C::SIGNATURE, from.address());
        let wanted: Bytes = error(self.time_of(&receipt).await).abi_encode().into();
        let said = self.output_of(&receipt).await;
        assert_eq!(explain_revert(&said), explain_revert(&wanted), "of {}", C::SIGNATURE);
        assert_eq!(said, wanted, "of {}", C::SIGNATURE);
    }

    /// Time of the transaction's block.
    pub async fn time_of(&self, receipt: &TransactionReceipt) -> u64 {
        let hash = receipt.block_hash.expect("it is mined");
        let block = self.anvil.provider.get_block_by_hash(hash).await.unwrap().unwrap();
        block.header.timestamp
    }

    /// What a mined transaction returned, or reverted with.
    pub async fn output_of(&self, receipt: &TransactionReceipt) -> Bytes {
        let asked = (receipt.transaction_hash, json!({ "tracer": "callTracer" }));
        let provider = &self.anvil.provider;
        let trace: serde_json::Value =
            provider.raw_request("debug_traceTransaction".into(), asked).await.unwrap();
        // Without a word there is no output at all.
        trace["output"].as_str().map_or_else(Bytes::new, |output| output.parse().unwrap())
    }

    /// Puts RNDR of the wallet into its account of the escrow.
    pub async fn deposit(&self, from: &PrivateKeySigner, rndr: u128) -> TransactionReceipt {
        let (spender, value) = (self.escrow, U256::from(rndr));
        self.send(from, self.token, LegacyRndr::approveCall { spender, value }).await;
        let amount = Amount::from_base(rndr).unwrap().into();
        self.send(from, self.escrow, RenderEscrow::depositCall { amount }).await
    }

    /// Puts tokens of the wallet into somebody else's account of the escrow.
    pub async fn deposit_for(&self, from: &PrivateKeySigner, owner: Address, amount: u128) {
        let (spender, value) = (self.escrow, U256::from(amount));
        self.send(from, self.token, LegacyRndr::approveCall { spender, value }).await;
        let amount = Amount::from_base(amount).unwrap().into();
        self.send(from, self.escrow, RenderEscrow::depositForCall { owner, amount }).await;
    }

    /// The issuer's call that makes RNDR of its own credit of `to`; it has them and allows it.
    pub async fn issue_call(&self, to: Address, rndr: u128) -> RenderEscrow::issueCreditCall {
        let issuer = self.funded("issuer", rndr).await;
        let (spender, value) = (self.escrow, U256::from(rndr));
        self.send(&issuer, self.token, LegacyRndr::approveCall { spender, value }).await;
        RenderEscrow::issueCreditCall { to, amount: Amount::from_base(rndr).unwrap().into() }
    }

    pub fn indexer_config(&self) -> indexer::Config {
        indexer::Config {
            rpc_urls: vec![self.anvil.rpc_url()],
            prove: true,
            ws_url: Some(self.anvil.ws_url()),
            escrow: self.escrow,
            registry: Some(self.registry),
            deploy_block: Some(self.deploy_block),
            poll: Duration::from_millis(100),
        }
    }

    /// An indexer in this process.
    pub fn indexer(&self, store: &Store) -> Running<indexer::Error> {
        self.indexer_as(self.indexer_config(), store)
    }

    pub fn indexer_as(&self, config: indexer::Config, store: &Store) -> Running<indexer::Error> {
        let store = store.clone();
        Running::start(|stop| indexer::run(config, store, stop))
    }

    /// Waits until the store's tip is the chain's head.
    pub async fn caught_up(&self, store: &Store) {
        let reader = store.reader();
        let same = || async {
            let tip = reader.tip().await.unwrap()?;
            ((tip.number, tip.hash) == self.anvil.head().await).then_some(())
        };
        eventually("the index at the chain's head", same).await;
    }

    /// Replays the chain into a fresh store and compares the world's store with it.
    pub async fn audit(&self, store: &Store) -> indexer::audit::Report {
        let folder = TempDir::new_in(self.folder.path()).unwrap();
        let fresh = Database::file(&folder.path().join("replay.db"));
        let fresh = Store::open(&fresh.url, &folder.path().join("objects")).await.unwrap();
        let config = indexer::Config { deploy_block: None, ..self.indexer_config() };
        indexer::audit::replay(&config, fresh, Some(store.clone()), indexer::audit::Until::Tip)
            .await
            .unwrap()
    }

    /// The index reaches the chain's head and equals a fresh one of the same chain; books,
    /// contract storage and token balance agree, to the base unit.
    pub async fn audited(&self, store: &Store) -> indexer::audit::Report {
        self.caught_up(store).await;
        let report = self.audit(store).await;
        assert!(report.is_clean(), "{}", report.first().unwrap());
        assert_eq!(report.stored_digest, Some(report.digest));
        assert_eq!(report.surplus, Amount::ZERO);
        assert_eq!(store.reader().owed_at(report.block).await.unwrap(), report.owed);
        report
    }

    /// What a wallet holds of the token itself.
    pub async fn held(&self, of: Address) -> u128 {
        let token = LegacyRndr::new(self.token, &self.anvil.provider);
        token.balanceOf(of).call().await.unwrap().to()
    }
}

/// A provider for deployments, with gas money.
pub async fn deployer_of(anvil: &Anvil) -> impl Provider + Clone + use<> {
    let deployer = wallet("deployer");
    anvil.set_balance(deployer.address(), U256::from(100 * RNDR)).await;
    provider_of(anvil, &deployer)
}

/// A key that is always the same for a name.
pub fn wallet(name: &str) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&keccak256(name)).unwrap()
}

/// A provider that signs as one wallet; it asks the chain for each nonce, as reorgs move them.
pub fn provider_of(anvil: &Anvil, signer: &PrivateKeySigner) -> impl Provider + Clone + use<> {
    let url = anvil.rpc_url().parse().unwrap();
    ProviderBuilder::new()
        .with_simple_nonce_management()
        .wallet(EthereumWallet::new(signer.clone()))
        .connect_http(url)
}

/// 65 bytes over an act in its domain.
pub fn signed<S: SolStruct>(by: &PrivateKeySigner, act: &S, domain: &Eip712Domain) -> Bytes {
    let digest = signing::signing_hash(act, domain);
    by.sign_hash_sync(&digest).unwrap().as_bytes().to_vec().into()
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    listener.local_addr().unwrap().port()
}

/// Looks again and again until there is something; fails after the deadline.
pub async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, looking).await;
    waited.unwrap_or_else(|_| panic!("waited {DEADLINE:?} in vain for {what}"))
}

/// How often something is tried: in the checks, and in full.
pub fn counted(in_checks: usize, in_full: usize) -> usize {
    if seeds::is_full() { in_full } else { in_checks }
}

/// Random moments of a story that is played once.
pub fn drawn() -> StdRng {
    StdRng::seed_from_u64(seeds::seeds(1, 1).next().unwrap_or_default())
}

/// A hash from a number, for salts and the like.
pub fn hash_of(number: u64) -> B256 {
    keccak256(number.to_be_bytes())
}

/// A service in this process; stopped on drop.
pub struct Running<E> {
    task: Option<JoinHandle<Result<(), E>>>,
    stop: CancellationToken,
}

impl<E: Display + Send + 'static> Running<E> {
    pub fn start<F>(run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = Some(tokio::spawn(run(stop.clone())));
        Self { task, stop }
    }

    /// Asks it to stop; it must do so in time and without an error.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Err(error) = self.ended().await {
            panic!("stopped with: {error}");
        }
    }

    /// Ended at whatever it is doing, as by a crash.
    pub async fn kill(mut self) {
        let task = self.task.take().expect("it runs");
        task.abort();
        let _ = task.await;
    }

    /// Waits for something that only comes while it runs.
    pub async fn until<T>(&mut self, done: impl Future<Output = T>) -> T {
        let task = self.task.as_mut().expect("it runs");
        tokio::select! {
            done = done => done,
            ended = task => match ended.expect("it does not panic") {
                Ok(()) => panic!("it ended meanwhile"),
                Err(error) => panic!("it stopped meanwhile: {error}"),
            }
        }
    }

    /// Waits until it stops by itself, and why.
    pub async fn fails(mut self) -> E {
        self.ended().await.expect_err("it should not end well")
    }

    async fn ended(&mut self) -> Result<(), E> {
        let task = self.task.take().expect("it runs");
        let ended = tokio::time::timeout(DEADLINE, task).await.expect("it stops in time");
        ended.expect("it does not panic")
    }
}

impl<E> Drop for Running<E> {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
