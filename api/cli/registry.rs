//! `rndr registry`: bonds of nodes straight on the chain: register, bond, unbond, withdraw, report.
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256, Bytes};
use alloy::providers::{DynProvider, Provider};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolEvent;
use clap::{Args, Subcommand};
use contracts::registry::{self, Registration, check_proof, raw_receipt};
use contracts::text::checksummed;
use contracts::{Amount, NodeRegistry, Receipt, order, signing};
use serde::{Deserialize, Serialize};

use crate::chain::{Chain, Mined};
use crate::config::{Settings, needed};
use crate::exit::{Exit, Failure, Outcome, chain, contract, local};
use crate::keys;
use crate::talk::{Talk, table};
use crate::wallet::{address, open};

#[derive(Subcommand, Debug)]
pub enum RegistryCommand {
    /// Make the wallet the owner of a node's bond, for ever; the node's keystore consents
    Register(Register),
    /// Put tokens of the wallet into a node's bond
    Bond {
        /// The node: the address that its receipts are signed with
        signer: String,
        /// How much, like 1.5
        amount: String,
    },
    /// Ask for a part of the bond back; it can be withdrawn 45 days later
    Unbond {
        signer: String,
        /// How much, like 1.5, or `all`
        amount: String,
    },
    /// Take what was asked back, once its time has come
    Withdraw {
        signer: String,
        /// Who gets it; the wallet itself when left out
        #[arg(long, value_name = "ADDRESS")]
        to: Option<String>,
    },
    /// Show a node's bond, straight from the chain
    Show { signer: String },
    /// Slash a node by two of its receipts that contradict each other; half of its bond is yours
    Report {
        /// File with `receipt` and `signature` as JSON, as the API lists them
        first: PathBuf,
        /// Another one about the same job, unit and attempt
        second: PathBuf,
    },
}

#[derive(Args, Debug)]
pub struct Register {
    /// Where the node wants to be paid; its own address when left out
    #[arg(long, value_name = "ADDRESS")]
    payout: Option<String>,
    /// Hash of what the node says it can do; zero says nothing
    #[arg(long, value_name = "HASH", default_value_t = B256::ZERO)]
    capabilities: B256,
}

/// The node registry, as the wallet sees it.
struct Registry {
    chain: Chain,
    at: NodeRegistry::NodeRegistryInstance<DynProvider>,
}

/// A node's bond, and what was sent for it.
#[derive(Serialize)]
struct Bond {
    #[serde(with = "checksummed")]
    signer: Address,
    #[serde(with = "checksummed")]
    owner: Address,
    #[serde(with = "checksummed")]
    payout: Address,
    capabilities_hash: B256,
    bonded: Amount,
    unbonding: Amount,
    /// From when `unbonding` can be withdrawn, of the last request; 0 before the first.
    unbond_at: u64,
    slashed: bool,
    #[serde(with = "checksummed")]
    registry: Address,
    transactions: Vec<Mined>,
}

pub async fn run(command: RegistryCommand, settings: &Settings, talk: &Talk) -> Outcome {
    match command {
        RegistryCommand::Register(command) => register(&command, settings, talk).await,
        RegistryCommand::Bond { signer, amount } => {
            let (registry, signer) = (connect(settings, true).await?, address(&signer)?);
            let sent = registry.bond(signer, &amount).await?;
            registry.show(signer, sent, talk).await
        }
        RegistryCommand::Unbond { signer, amount } => {
            let (registry, signer) = (connect(settings, true).await?, address(&signer)?);
            let amount = match amount.as_str() {
                "all" => registry.read(signer).await?.bonded,
                text => registry.chain.read_amount(text)?,
            };
            let call = registry.at.requestUnbond(signer, amount.to_u96());
            let sent = registry.chain.send("ask for the bond back", call).await?;
            registry.show(signer, vec![sent], talk).await
        }
        RegistryCommand::Withdraw { signer, to } => {
            let (registry, signer) = (connect(settings, true).await?, address(&signer)?);
            let to = to.as_deref().map_or(Ok(registry.chain.sender), address)?;
            let call = registry.at.withdrawBond(signer, to);
            let sent = registry.chain.send("withdraw the bond", call).await?;
            registry.show(signer, vec![sent], talk).await
        }
        RegistryCommand::Show { signer } => {
            connect(settings, false).await?.show(address(&signer)?, vec![], talk).await
        }
        RegistryCommand::Report { first, second } => {
            let pair = [read_word(&first)?, read_word(&second)?];
            report(pair, &connect(settings, true).await?, talk).await
        }
    }
}

/// The registry that the settings name; it must be this escrow's.
async fn connect(settings: &Settings, with_wallet: bool) -> Outcome<Registry> {
    let named = settings.chain.registry.ok_or_else(|| {
        let hint = "set RNDR__CHAIN__REGISTRY, from a source you trust";
        Failure::usage("no node registry is named", hint)
    })?;
    let key = if with_wallet { Some(open(settings).await?) } else { None };
    let escrow = settings.escrow()?;
    let chain = Chain::of(settings, key).await?;
    let at = NodeRegistry::new(named, chain.provider.clone());
    let of = at.escrow().call().await.map_err(|error| contract("name its escrow", &error))?;
    if of != escrow {
        let message = format!("the registry {named} is of the escrow {of}, not of {escrow}");
        return Err(Failure::usage(message, "correct RNDR__CHAIN__REGISTRY or --escrow"));
    }
    Ok(Registry { chain, at })
}

async fn register(command: &Register, settings: &Settings, talk: &Talk) -> Outcome {
    let registry = connect(settings, true).await?;
    let keystore = needed(&settings.node.keystore, "node.keystore")?;
    let password = settings.node.password_file.as_deref();
    let password = password.or(settings.wallet.password_file.as_deref());
    let node: PrivateKeySigner = keys::open(keystore, password).await?;
    let signer = node.address();
    let payout = command.payout.as_deref().map_or(Ok(signer), address)?;
    let (owner, capabilities) = (registry.chain.sender, command.capabilities);
    let act = Registration { owner, signer, payout, capabilitiesHash: capabilities };
    let domain = registry::domain(registry.chain.chain_id, *registry.at.address());
    let word = node.sign_hash_sync(&act.digest(&domain)).map_err(|error| {
        Failure::new(Exit::Failed, format!("the node's key did not sign: {error}"), "try again")
    })?;
    let word = Bytes::from(word.as_bytes());
    let call = registry.at.register(signer, payout, capabilities, word);
    let sent = registry.chain.send("register the node", call).await?;
    registry.show(signer, vec![sent], talk).await
}

impl Registry {
    /// Approves exactly the lack of allowance, then bonds.
    async fn bond(&self, signer: Address, amount: &str) -> Outcome<Vec<Mined>> {
        let (chain, spender) = (&self.chain, *self.at.address());
        let amount = chain.read_amount(amount)?;
        // A signer that takes no bond is told before anything is approved.
        self.read(signer).await?;
        chain.check_pull(amount).await?;
        let allowed = chain.token.allowance(chain.sender, spender).call().await;
        let allowed = allowed.map_err(|error| contract("read the allowance", &error))?;
        let mut sent = Vec::new();
        if allowed < amount.to_u256() {
            let approve = chain.token.approve(spender, amount.to_u256());
            sent.push(chain.send("approve the registry", approve).await?);
        }
        sent.push(chain.send("bond", self.at.bond(signer, amount.to_u96())).await?);
        Ok(sent)
    }

    async fn read(&self, signer: Address) -> Outcome<Bond> {
        let node = self.at.node(signer).call().await;
        let node = node.map_err(|error| contract("read the node", &error))?;
        if node.owner.is_zero() {
            let message = format!("no node {signer} is registered");
            let hint = "check the address; its owner registers it by `rndr registry register`";
            return Err(Failure::new(Exit::NotFound, message, hint));
        }
        Ok(Bond {
            signer,
            owner: node.owner,
            payout: node.payout,
            capabilities_hash: node.capabilitiesHash,
            bonded: node.bonded.into(),
            unbonding: node.unbonding.into(),
            unbond_at: node.unbondAt.to::<u64>(),
            slashed: node.slashed,
            registry: *self.at.address(),
            transactions: vec![],
        })
    }

    async fn show(&self, signer: Address, transactions: Vec<Mined>, talk: &Talk) -> Outcome {
        let bond = Bond { transactions, ..self.read(signer).await? };
        talk.data(&bond, || {
            let from = match bond.unbond_at {
                0 => "nothing was asked back yet".to_owned(),
                from => format!("{from} (unix seconds)"),
            };
            let mut rows = vec![
                ("node", bond.signer.to_string()),
                ("owner", bond.owner.to_string()),
                ("payout", bond.payout.to_string()),
                ("bonded", self.chain.show(bond.bonded)),
                ("unbonding", self.chain.show(bond.unbonding)),
                ("withdrawable from", from),
                ("slashed", if bond.slashed { "yes" } else { "no" }.to_owned()),
                ("registry", bond.registry.to_string()),
            ];
            let hashes = bond.transactions.iter().map(|mined| mined.tx_hash.to_string());
            rows.extend(hashes.map(|hash| ("transaction", hash)));
            table(&rows)
        });
        Ok(())
    }
}

/// A receipt and the node's word under it; whatever else the file says is left alone.
#[derive(Deserialize)]
struct Word {
    receipt: Receipt,
    signature: Bytes,
}

fn read_word(path: &Path) -> Outcome<Word> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(local(format!("reading {shown}")))?;
    serde_json::from_str(&text).map_err(|error| {
        let message = format!("{shown} is no signed receipt: {error}");
        let hint = "it is JSON with `receipt` and `signature`, as GET /v1/jobs/{id}/receipts lists";
        Failure::usage(message, hint)
    })
}

#[derive(Serialize)]
struct Reported {
    #[serde(with = "checksummed")]
    signer: Address,
    burned: Amount,
    rewarded: Amount,
    transaction: Mined,
}

/// Checked here first, so that what proves nothing is told with its reason.
async fn report([first, second]: [Word; 2], registry: &Registry, talk: &Talk) -> Outcome {
    let chain = &registry.chain;
    let domain = order::domain(chain.chain_id, *chain.escrow.address());
    let proves_nothing = |problem: String| {
        let hint = "send two receipts of one node for the same job, unit and attempt, of this \
                    escrow and chain, that name different outputs";
        Failure::new(Exit::Rejected, format!("these receipts prove nothing: {problem}"), hint)
    };
    let signer = signing::recover(first.receipt.digest(&domain), &first.signature);
    let signer = signer.map_err(|error| proves_nothing(error.to_string()))?;
    let pair = [&first, &second].map(|word| (&word.receipt, &word.signature[..]));
    let proof = check_proof(signer, pair[0], pair[1], &domain);
    proof.map_err(|error| proves_nothing(error.to_string()))?;
    let call = registry.at.slash(
        raw_receipt(&first.receipt),
        first.signature.clone(),
        raw_receipt(&second.receipt),
        second.signature.clone(),
    );
    let transaction = chain.send("report the node", call).await?;
    let slashed = slashed(chain, &transaction, *registry.at.address()).await?;
    let (burned, rewarded) = (slashed.burned.into(), slashed.rewarded.into());
    let reported = Reported { signer, burned, rewarded, transaction };
    talk.data(&reported, || {
        table(&[
            ("node", signer.to_string()),
            ("yours", chain.show(reported.rewarded)),
            ("burned", chain.show(reported.burned)),
            ("transaction", reported.transaction.tx_hash.to_string()),
        ])
    });
    Ok(())
}

/// What the registry wrote about it.
async fn slashed(of: &Chain, sent: &Mined, registry: Address) -> Outcome<NodeRegistry::Slashed> {
    let receipt = of.provider.get_transaction_receipt(sent.tx_hash).await;
    let receipt = receipt.map_err(|error| chain("show the report's receipt", &error))?;
    let logs = receipt.iter().flat_map(|receipt| receipt.logs());
    let of_registry = logs.filter(|log| log.address() == registry);
    let mut found =
        of_registry.filter_map(|log| NodeRegistry::Slashed::decode_log(&log.inner).ok());
    let told = found.next().map(|log| log.data);
    told.ok_or_else(|| {
        let message = format!("transaction {} is mined, and its log is not there", sent.tx_hash);
        Failure::new(Exit::Unavailable, message, "see `rndr registry show`; do not report again")
    })
}
