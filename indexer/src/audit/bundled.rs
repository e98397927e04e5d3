//! Puts a bundle together after a replay: what it rebuilt, and the chain node's proofs of it.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, Bytes};
use contracts::JobId;
use contracts::layout::{Item, balance_bases};
use store::{AccountState, Escrow, JobState, Store};

use super::{AuditError, stored};
use crate::chain::{Proof, Rpc};
use crate::proof::bundle::{Bundle, Contract, FORMAT, Stored};
use crate::{Config, proof};

/// What of the escrow goes into a bundle: with nothing named, all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    pub accounts: BTreeSet<Address>,
    pub jobs: BTreeSet<JobId>,
}

impl Wanted {
    fn all(&self) -> bool {
        self.accounts.is_empty() && self.jobs.is_empty()
    }
}

/// Everything at one block of one chain.
struct At {
    chain: Rpc,
    block: B256,
    state_root: B256,
}

/// The bundle of the block up to which `replayed` was filled.
pub async fn bundle(
    config: &Config,
    replayed: &Store,
    wanted: &Wanted,
) -> Result<Bundle, AuditError> {
    let reader = replayed.reader();
    let escrow = reader.escrow().await?.ok_or(AuditError::Empty)?;
    let block = reader.tip().await?.ok_or(AuditError::Empty)?;
    let chain = Rpc::new(&config.rpc_urls, config.prove)?;
    let header = chain.header_bytes(block.hash).await?;
    let state_root = proof::block(&header).map_err(unproven)?.state_root;
    let at = At { chain, block: block.hash, state_root };
    let (accounts, jobs) = (reader.accounts().await?, reader.all_jobs().await?);
    let jobs: Vec<JobState> = jobs.into_iter().map(|(_, state)| state).collect();
    let offices = reader.offices().await?;
    let escrows = if wanted.all() {
        stored::of_escrow(&stored::Rows {
            accounts: &accounts,
            jobs: jobs.iter().collect(),
            lots: &reader.all_lots().await?,
            delegates: &reader.delegates().await?,
            offices: offices.as_ref(),
        })
    } else {
        named(wanted, &accounts, &jobs).map_err(unproven)?
    };
    let bonds = stored::of_registry(&reader.bonds().await?);
    let escrow_part = at.contract(escrow.address, escrows, wanted.all()).await?;
    let registry = match escrow.registry {
        Some(registry) => Some(at.contract(registry, bonds, true).await?),
        None => None,
    };
    let token = at.token(&escrow).await?;
    Ok(Bundle { format: FORMAT.into(), header, escrow: escrow_part, token, registry })
}

fn unproven(problem: impl ToString) -> AuditError {
    AuditError::NoProof(problem.to_string())
}

/// The named accounts and jobs alone, or which of them the escrow does not know.
fn named(
    wanted: &Wanted,
    accounts: &[AccountState],
    jobs: &[JobState],
) -> Result<Vec<Stored>, String> {
    let mut all = Vec::new();
    for account in &wanted.accounts {
        let state = accounts.iter().find(|state| state.account == *account);
        let state = state.ok_or_else(|| format!("the escrow knows no account {account}"))?;
        all.push(stored::account(state));
    }
    for job_id in &wanted.jobs {
        let state = jobs.iter().find(|state| state.job_id == *job_id);
        let state = state.ok_or_else(|| format!("the escrow knows no job {job_id}"))?;
        all.push(stored::job(state));
    }
    Ok(all)
}

impl At {
    async fn proof(&self, of: Address, slots: &[B256]) -> Result<Proof, AuditError> {
        let told = self.chain.proof(of, slots, self.block).await?;
        proof::account(self.state_root, of, &told.account, &told.nodes)
            .map_err(|error| unproven(format!("the chain node's proof of {of} fails: {error}")))?;
        Ok(told)
    }

    /// A contract with these words, which must be what the chain stores. Where all of them are
    /// wanted and give its storage root, they need no proofs.
    async fn contract(
        &self,
        address: Address,
        mut items: Vec<Stored>,
        all: bool,
    ) -> Result<Contract, AuditError> {
        if all {
            let told = self.proof(address, &[]).await?;
            if stored::root_of(&items) == told.account.storage_root {
                return Ok(contract(address, told, true, items));
            }
            tracing::warn!(%address, "it stores more than the logs say; each word is proven alone");
        }
        let slots: Vec<B256> = items.iter().flat_map(|stored| stored.item.slots()).collect();
        let told = self.proof(address, &slots).await?;
        let mut proven = told.slots.clone().into_iter();
        for stored in &mut items {
            let own: Vec<_> = proven.by_ref().take(stored.words.len()).collect();
            if own.iter().map(|(word, _)| word).ne(&stored.words) {
                let what =
                    format!("what {address} stores of {:?} is not what its logs", stored.item);
                let next = "`rndr audit replay --chain-only` names the difference";
                return Err(unproven(format!("{what} say; {next}")));
            }
            stored.proofs = own.into_iter().map(|(_, nodes)| nodes).collect();
        }
        Ok(contract(address, told, false, items))
    }

    /// The token, with its balances of escrow and registry: which slot they are in is found by
    /// looking where the escrow's own balance stands.
    async fn token(&self, escrow: &Escrow) -> Result<Contract, AuditError> {
        let holder = escrow.address;
        let held = super::storage::balance(&self.chain, escrow.token, holder, self.block).await?;
        if held.is_zero() {
            return Err(unproven("the escrow holds no tokens at that block"));
        }
        let bases: Vec<B256> = balance_bases().collect();
        let slots: Vec<B256> =
            bases.iter().flat_map(|base| Item::Balance { holder, base: *base }.slots()).collect();
        let told = self.proof(escrow.token, &slots).await?;
        let place = told.slots.iter().position(|(word, _)| *word == held.to_u256());
        let base = place.and_then(|place| bases.get(place)).copied().ok_or_else(|| {
            unproven(format!(
                "none of {} slots of the token {} is its balance of the escrow; it keeps balances \
                 in another way than nearly every token",
                bases.len(),
                escrow.token
            ))
        })?;
        let mut items: Vec<Item> = std::iter::once(holder)
            .chain(escrow.registry)
            .map(|holder| Item::Balance { holder, base })
            .collect();
        items.sort_unstable();
        let slots: Vec<B256> = items.iter().flat_map(Item::slots).collect();
        let told = self.proof(escrow.token, &slots).await?;
        let words: Vec<(_, Vec<Bytes>)> = told.slots.clone();
        let items = items.into_iter().zip(words).map(|(item, (word, nodes))| Stored {
            item,
            words: vec![word],
            proofs: vec![nodes],
        });
        Ok(contract(escrow.token, told, false, items.collect()))
    }
}

fn contract(address: Address, told: Proof, whole: bool, items: Vec<Stored>) -> Contract {
    let Proof { account, nodes: proof, .. } = told;
    Contract {
        address,
        nonce: account.nonce,
        balance: account.balance,
        storage_root: account.storage_root,
        code_hash: account.code_hash,
        proof,
        whole,
        items,
    }
}
