//! Wallet commands: keystores, and deposit, withdraw, account, close straight to the chain.
use std::io::Read;
use std::path::PathBuf;

use alloy::primitives::{Address, B256, Bytes};
use alloy::signers::local::PrivateKeySigner;
use clap::{Args, Subcommand};
use contracts::text::{checksummed, parse_address};
use contracts::{Amount, JobId};
use serde::Serialize;

use crate::chain::{Chain, Mined};
use crate::config::{Settings, needed};
use crate::exit::{Exit, Failure, Outcome, contract, local};
use crate::keys;
use crate::talk::{Talk, table};
use crate::{permit, vault};

#[derive(Subcommand, Debug)]
pub enum WalletCommand {
    /// Make a new key in a new keystore
    New(KeystoreTarget),
    /// Put an existing private key, read from a file or stdin, into a new keystore
    Import {
        /// File with the key as 0x and 64 hex digits; stdin when left out
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        #[command(flatten)]
        target: KeystoreTarget,
    },
    /// Show the keystore's address
    Address,
}

#[derive(Args, Debug)]
pub struct KeystoreTarget {
    /// Where the keystore goes
    #[arg(long, value_name = "FILE", default_value = "rndr-wallet.json")]
    out: PathBuf,
}

#[derive(Args, Debug)]
pub struct Deposit {
    /// How much, like 1.5
    amount: String,
    /// Whose account is credited; the wallet's own when left out
    #[arg(long, value_name = "ADDRESS")]
    account: Option<String>,
    /// Sign a permit in place of an approving call; for tokens that take one (EIP-2612)
    #[arg(long)]
    permit: bool,
}

#[derive(Args, Debug)]
pub struct Withdraw {
    /// How much, like 1.5, or `all`
    amount: String,
    /// Who gets it; the wallet itself when left out
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
}

#[derive(Args, Debug)]
pub struct AccountOf {
    /// Whose; the keystore's when left out
    #[arg(value_name = "ADDRESS")]
    account: Option<String>,
}

#[derive(Args, Debug)]
pub struct Close {
    /// The job's id
    job_id: JobId,
}

#[derive(Serialize)]
struct Keystore {
    #[serde(with = "checksummed")]
    address: Address,
    keystore: PathBuf,
}

pub async fn keystore(command: WalletCommand, settings: &Settings, talk: &Talk) -> Outcome {
    let password_file = settings.wallet.password_file.as_deref();
    let (key, target) = match command {
        WalletCommand::New(target) => (PrivateKeySigner::random().to_bytes(), target),
        WalletCommand::Import { key_file, target } => (read_key(key_file)?, target),
        WalletCommand::Address => {
            let address = open(settings).await?.address();
            talk.data(&serde_json::json!({ "address": address.to_checksum(None) }), || {
                address.to_string()
            });
            return Ok(());
        }
    };
    let password = keys::new_password(password_file)?;
    let address = keys::save(key, &target.out, password).await?;
    let keystore = Keystore { address, keystore: target.out };
    talk.data(&keystore, || {
        let place = keystore.keystore.display().to_string();
        table(&[("address", address.to_string()), ("keystore", place)])
    });
    Ok(())
}

fn read_key(key_file: Option<PathBuf>) -> Outcome<B256> {
    let mut text = String::new();
    match key_file {
        Some(path) => {
            text = std::fs::read_to_string(&path)
                .map_err(local(format!("reading {}", path.display())))?;
        }
        None => {
            // 66 characters and a line end; more is no key.
            let mut stdin = std::io::stdin().lock().take(100);
            stdin.read_to_string(&mut text).map_err(local("reading the key from stdin"))?;
        }
    }
    let key: B256 = text.trim().parse().map_err(|_| {
        Failure::usage("the input is no private key", "write it as 0x and 64 hex digits")
    })?;
    PrivateKeySigner::from_bytes(&key).map_err(|error| {
        Failure::usage(format!("the number is no key: {error}"), "check its digits")
    })?;
    Ok(key)
}

/// The wallet's key.
pub async fn open(settings: &Settings) -> Outcome<PrivateKeySigner> {
    let path = needed(&settings.wallet.keystore, "wallet.keystore")?;
    keys::open(path, settings.wallet.password_file.as_deref()).await
}

/// The escrow, seen by the wallet.
pub async fn chain(settings: &Settings) -> Outcome<Chain> {
    let key = open(settings).await?;
    Chain::of(settings, Some(key)).await
}

#[derive(Serialize)]
struct Moved {
    #[serde(with = "checksummed")]
    account: Address,
    amount: Amount,
    free: Amount,
    transactions: Vec<Mined>,
}

impl Moved {
    fn tell(&self, what: &str, chain: &Chain, talk: &Talk) {
        talk.data(self, || {
            let mut rows = vec![
                (what, chain.show(self.amount)),
                ("account", self.account.to_string()),
                ("free now", chain.show(self.free)),
            ];
            let hashes = self.transactions.iter().map(|mined| mined.tx_hash.to_string());
            rows.extend(hashes.map(|hash| ("transaction", hash)));
            table(&rows)
        });
    }
}

pub async fn deposit(command: Deposit, settings: &Settings, talk: &Talk) -> Outcome {
    let chain = chain(settings).await?;
    let amount = chain.read_amount(&command.amount)?;
    let account = match &command.account {
        Some(text) => address(text)?,
        None => chain.sender,
    };
    let transactions = if command.permit {
        let (funding, key) = (vault::funding(&chain, settings).await?, open(settings).await?);
        vec![permit::deposit(&chain, &funding, &key, account, amount).await?]
    } else {
        deposit_into(&chain, account, amount).await?
    };
    let free = chain.free(account).await?;
    Moved { account, amount, free, transactions }.tell("deposited", &chain, talk);
    Ok(())
}

/// Approves exactly the lack of allowance, then deposits.
pub async fn deposit_into(chain: &Chain, account: Address, amount: Amount) -> Outcome<Vec<Mined>> {
    if amount.is_zero() {
        return Err(Failure::usage("nothing to deposit", "name an amount above zero"));
    }
    chain.check_pull(amount).await?;
    let mut transactions = approve(chain, amount).await?;
    let mined = if account == chain.sender {
        chain.send("deposit", chain.escrow.deposit(amount.to_u96())).await?
    } else {
        chain.send("deposit", chain.escrow.depositFor(account, amount.to_u96())).await?
    };
    transactions.push(mined);
    Ok(transactions)
}

/// Exactly the amount, where the allowance is less.
pub async fn approve(chain: &Chain, amount: Amount) -> Outcome<Vec<Mined>> {
    if chain.allowance(chain.sender).await? >= amount {
        return Ok(Vec::new());
    }
    let approve = chain.token.approve(*chain.escrow.address(), amount.to_u256());
    Ok(vec![chain.send("approve the escrow", approve).await?])
}

pub async fn withdraw(command: Withdraw, settings: &Settings, talk: &Talk) -> Outcome {
    let chain = chain(settings).await?;
    let free = chain.free(chain.sender).await?;
    let amount = match command.amount.as_str() {
        "all" => free,
        text => chain.read_amount(text)?,
    };
    let to = match &command.to {
        Some(text) => address(text)?,
        None => chain.sender,
    };
    let mined = withdraw_to(&chain, amount, to).await?;
    let (account, free) = (chain.sender, chain.free(chain.sender).await?);
    Moved { account, amount, free, transactions: vec![mined] }.tell("withdrawn", &chain, talk);
    Ok(())
}

pub async fn withdraw_to(chain: &Chain, amount: Amount, to: Address) -> Outcome<Mined> {
    let free = chain.free(chain.sender).await?;
    if amount.is_zero() || free < amount {
        let (have, want) = (chain.show(free), chain.show(amount));
        let message = format!("{} has {have} free in the escrow; {want} were asked", chain.sender);
        let hint = "money in open jobs comes back when they close; `rndr account` shows all";
        return Err(Failure::new(Exit::InsufficientFunds, message, hint));
    }
    chain.send("withdraw", chain.escrow.withdraw(amount.to_u96(), to)).await
}

#[derive(Serialize)]
struct AccountView {
    #[serde(with = "checksummed")]
    account: Address,
    #[serde(with = "checksummed")]
    escrow: Address,
    chain_id: u64,
    #[serde(with = "checksummed")]
    token: Address,
    symbol: String,
    decimals: u8,
    /// In the escrow, withdrawable now.
    free: Amount,
    /// In the escrow, to be spent in jobs, never withdrawn.
    credit: Amount,
    /// In the wallet itself.
    balance: Amount,
    /// What the escrow may pull from the wallet.
    allowance: Amount,
}

pub async fn account(command: AccountOf, settings: &Settings, talk: &Talk) -> Outcome {
    let chain = Chain::of(settings, None).await?;
    let account = match &command.account {
        Some(text) => address(text)?,
        None => open(settings).await?.address(),
    };
    let (free, credit) = chain.balances(account).await?;
    let view = AccountView {
        account,
        escrow: *chain.escrow.address(),
        chain_id: chain.chain_id,
        token: *chain.token.address(),
        symbol: chain.symbol.clone(),
        decimals: chain.decimals,
        free,
        credit,
        balance: chain.token_balance(account).await?,
        allowance: chain.allowance(account).await?,
    };
    talk.data(&view, || {
        table(&[
            ("account", account.to_string()),
            ("free in escrow", chain.show(view.free)),
            ("credit in escrow", chain.show(view.credit)),
            ("in the wallet", chain.show(view.balance)),
            ("allowance", chain.show(view.allowance)),
            ("escrow", format!("{} on chain {}", view.escrow, view.chain_id)),
        ])
    });
    Ok(())
}

#[derive(Serialize)]
struct CloseView {
    job_id: JobId,
    /// closed, or requested.
    state: &'static str,
    /// From then on anyone may close it.
    closable_at: u64,
    transaction: Mined,
}

/// Closes when the contract lets anyone do so, else asks for the end. Needs no server of ours.
pub async fn close(command: Close, settings: &Settings, talk: &Talk) -> Outcome {
    let chain = chain(settings).await?;
    let job_id = command.job_id;
    let order = chain.order_of(job_id).await?;
    let job = chain.escrow.job(job_id).call().await;
    let job = job.map_err(|error| contract("read the job", &error))?;
    if job.status != 1 {
        let message = format!("job {job_id} is closed already");
        let hint = "nothing to do: what was left is free again; see `rndr account`";
        return Err(Failure::new(Exit::Rejected, message, hint));
    }
    let requested_at = job.closeRequestedAt.to::<u64>();
    let ends_at = order.ends_at(requested_at);
    let all_paid = order.units > 0 && job.unitsPaid >= order.units;
    let (state, closable_at, transaction) = if all_paid || chain.now().await? >= ends_at {
        let call = chain.escrow.close(order.to_sol(), Bytes::new(), Bytes::new());
        let mined = chain.send("close the job", call).await?;
        ("closed", ends_at, mined)
    } else if requested_at != 0 {
        let message = format!("the close of job {job_id} is requested; it ends at {ends_at}");
        let hint = "run the command again then; work in hand is still paid until that time";
        return Err(Failure::new(Exit::Rejected, message, hint));
    } else {
        let call = chain.escrow.requestClose(order.to_sol(), Bytes::new());
        let mined = chain.send("request the close", call).await?;
        let at = chain.now().await?;
        ("requested", order.ends_at(at), mined)
    };
    let view = CloseView { job_id, state, closable_at, transaction };
    talk.data(&view, || {
        table(&[
            ("job", job_id.to_string()),
            ("state", state.to_owned()),
            ("closable from", format!("{closable_at} (unix seconds)")),
            ("transaction", view.transaction.tx_hash.to_string()),
        ])
    });
    Ok(())
}

pub fn address(text: &str) -> Outcome<Address> {
    parse_address(text).map_err(|error| Failure::usage(error.to_string(), "correct the address"))
}
