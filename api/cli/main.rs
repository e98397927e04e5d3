//! `rndr`: one match on the subcommand; data on stdout, talk on stderr, exit codes.
mod asked;
mod audit;
mod chain;
mod config;
mod consent;
mod delegate;
mod demo;
mod deploy;
mod download;
mod exit;
mod export;
mod job;
mod keys;
mod office;
mod order;
mod permit;
mod receipt;
mod registry;
mod remote;
mod review;
mod serve;
mod statement;
mod talk;
mod vault;
mod verify;
mod voucher;
mod wallet;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Flags, Settings};
use crate::exit::{Exit, Outcome};
use crate::serve::Role;
use crate::talk::Talk;

/// Escrow, index and settlement engine for Render (RNDR) jobs
///
/// Settings come from flags, then from variables RNDR__SECTION__KEY, then from the TOML file of
/// --config. Exit codes: 0 ok, 1 other failure, 2 usage, 3 not found, 4 insufficient funds,
/// 5 rejected or reverted, 6 unavailable, 7 verification mismatch, 130 interrupted.
#[derive(Parser, Debug)]
#[command(name = "rndr", version, propagate_version = true)]
struct Line {
    #[command(flatten)]
    flags: Flags,
    /// Data as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Follow the escrow's chain into the store
    Indexer,
    /// Dispatch work to nodes and bring their lots on chain
    Settler,
    /// Serve the HTTP API
    Api,
    /// Render for a settler
    Node,
    /// Run indexer, settler and API in one process, and a node when it has a keystore
    All,
    /// Make and import keystores
    #[command(subcommand)]
    Wallet(wallet::WalletCommand),
    /// Put tokens into the escrow account
    Deposit(wallet::Deposit),
    /// Take free money out of the escrow account
    Withdraw(wallet::Withdraw),
    /// Show an account, straight from the chain
    Account(wallet::AccountOf),
    Statement(statement::StatementOf),
    /// Price a job
    Quote(asked::Asked),
    /// Price, sign and open a job
    Submit(job::Submit),
    /// Wait until a job needs its payer, or is over
    Watch(watch::Watch),
    /// Approve frames, so that they are paid now
    Approve(review::Approve),
    /// Reject frames, so that they are rendered again
    Reject(review::Reject),
    /// Fetch frames: finals once paid, watermarked previews before
    Download(download::Download),
    /// Close a job, or ask for its end, straight on chain
    Close(wallet::Close),
    /// Bonds of nodes: register, bond, take back, and report a node that contradicts itself
    #[command(subcommand)]
    Registry(registry::RegistryCommand),
    /// Open a job from an order file, straight on chain, with the wallet's own money
    Open(order::Open),
    /// Pay for a job by a plain transfer to an address of its own
    #[command(subcommand)]
    Vault(vault::VaultCommand),
    /// Let other keys open jobs on the wallet's account
    #[command(subcommand)]
    Delegate(delegate::DelegateCommand),
    /// Pay the calls of a job without units
    #[command(subcommand)]
    Voucher(voucher::VoucherCommand),
    /// Spend-only money: what its issuer does, and what an account has of it
    #[command(subcommand)]
    Credit(office::CreditCommand),
    /// Stop deposits and openings for a while; the wallet is the guardian's
    Pause(office::Pause),
    /// End the pause now; the wallet is the guardian's
    Unpause,
    /// Rebuild everything from the chain's logs and compare; prove what is held; export the books
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Write a paid unit's receipt and its proof into a file
    Receipt(receipt::ReceiptOf),
    /// Check a bundle of proofs or a receipt's file offline
    Verify(verify::Verify),
    /// Put the contracts on a chain, or verify those that stand
    Deploy(deploy::Deploy),
    /// Print the API's OpenAPI document
    Openapi,
    /// Local chain, contracts, services, and a paid job, from deposit to download
    Demo(demo::Demo),
}

fn main() -> ExitCode {
    let line = Line::parse();
    let talk = Talk::new(line.json);
    match start(line, &talk) {
        Ok(()) => ExitCode::from(Exit::Ok.code()),
        Err(failure) => {
            talk.failure(&failure);
            ExitCode::from(failure.exit.code())
        }
    }
}

fn start(line: Line, talk: &Talk) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(exit::local("starting the runtime"))?;
    let outcome = runtime.block_on(run(line, talk));
    // A thread that reads from a terminal or hashes a password must not hold up the end.
    runtime.shutdown_background();
    outcome
}

async fn run(line: Line, talk: &Talk) -> Outcome {
    let settings = Settings::load(&line.flags)?;
    match line.command {
        Command::Indexer => serve::run(&[Role::Indexer], settings).await,
        Command::Settler => serve::run(&[Role::Settler], settings).await,
        Command::Api => serve::run(&[Role::Api], settings).await,
        Command::Node => serve::run(&[Role::Node], settings).await,
        Command::All => serve::run(&serve::all(&settings), settings).await,
        Command::Wallet(command) => wallet::keystore(command, &settings, talk).await,
        Command::Deposit(command) => wallet::deposit(command, &settings, talk).await,
        Command::Withdraw(command) => wallet::withdraw(command, &settings, talk).await,
        Command::Account(command) => wallet::account(command, &settings, talk).await,
        Command::Statement(command) => statement::statement(command, &settings, talk).await,
        Command::Quote(asked) => job::quote(asked, &settings, talk).await,
        Command::Submit(command) => job::submit(command, &settings, talk).await,
        Command::Watch(command) => watch::watch(command, &settings, talk).await,
        Command::Approve(command) => review::approve(command, &settings, talk).await,
        Command::Reject(command) => review::reject(command, &settings, talk).await,
        Command::Download(command) => download::download(command, &settings, talk).await,
        Command::Close(command) => wallet::close(command, &settings, talk).await,
        Command::Registry(command) => registry::run(command, &settings, talk).await,
        Command::Open(command) => order::open(command, &settings, talk).await,
        Command::Vault(command) => vault::vault(command, &settings, talk).await,
        Command::Delegate(command) => delegate::delegate(command, &settings, talk).await,
        Command::Voucher(command) => voucher::voucher(command, &settings, talk).await,
        Command::Credit(command) => office::credit(command, &settings, talk).await,
        Command::Pause(command) => office::pause(command, &settings, talk).await,
        Command::Unpause => office::unpause(&settings, talk).await,
        Command::Audit(command) => audit::audit(command, &settings, talk).await,
        Command::Receipt(command) => receipt::receipt(command, &settings, talk).await,
        Command::Verify(command) => verify::verify(command, &settings, talk),
        Command::Deploy(command) => deploy::deploy(command, &settings, talk).await,
        Command::Openapi => {
            print_document();
            Ok(())
        }
        Command::Demo(command) => demo::demo(command, talk).await,
    }
}

/// Already JSON, and already with its line end.
fn print_document() {
    print!("{}", api::openapi());
}
