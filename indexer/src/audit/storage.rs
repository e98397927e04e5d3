//! Compares the replayed state with the contract's own storage and the token's balance.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolCall;
use contracts::{Amount, JobId, NodeRegistry, RenderEscrow};
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;
use store::{
    AccountState, BondState, DelegateState, Escrow, JobOrder, JobState, LotRow, LotState,
    OfficeState, Owed, Reader,
};

use super::{AuditError, Findings, Place, stored};
use crate::chain::{Chain, ChainError};
use crate::identity::{self, Token};

/// View calls at the same time: hides the way to the node, spares its queue.
const CALLS_AT_ONCE: usize = 8;

/// What the escrow holds and owes.
pub(super) struct Held {
    pub accounts: u64,
    pub jobs: u64,
    pub lots: u64,
    pub token_balance: Amount,
    pub owed: Owed,
    pub liabilities: Amount,
    pub wallets: BTreeMap<Address, Amount>,
    pub credits: BTreeMap<Address, Amount>,
    pub in_jobs: BTreeMap<JobId, Amount>,
    pub registry: Option<RegistryHeld>,
    pub bonds: BTreeMap<Address, Amount>,
}

/// What the node registry holds and owes, in base units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegistryHeld {
    pub address: Address,
    /// Signers that ever registered.
    pub nodes: u64,
    /// The registry's balance of the token.
    pub token_balance: Amount,
    /// All bonds, with what is unbonding.
    pub bonds: Amount,
    /// Tokens sent to the registry without a bond: nobody's.
    pub surplus: Amount,
}

/// A contract at one block.
struct At<'a, C> {
    chain: &'a C,
    escrow: Address,
    block: B256,
}

impl<C: Chain> At<'_, C> {
    async fn ask<V: SolCall>(&self, of: Address, question: V) -> Result<V::Return, AuditError> {
        let answer = self.chain.call(of, question.abi_encode().into(), Some(self.block)).await?;
        let decoded = identity::decode::<V>(&answer);
        let server = format!("(on contract {of})");
        let broken = |reason| ChainError::Transport { server, call: "a view function", reason };
        Ok(decoded.map_err(broken)?)
    }

    async fn view<V: SolCall>(&self, question: V) -> Result<V::Return, AuditError> {
        self.ask(self.escrow, question).await
    }
}

/// Compares every account, job, lot, word of units, delegate, and the offices; the contract is
/// asked, at one block.
pub(super) async fn compare<C: Chain>(
    chain: &C,
    replayed: &Reader,
    (escrow, block): (&Escrow, B256),
    found: &mut Findings,
) -> Result<Held, AuditError> {
    let at = At { chain, escrow: escrow.address, block };
    let accounts = replayed.accounts().await?;
    let jobs = replayed.all_jobs().await?;
    let lots = replayed.all_lots().await?;
    compare_accounts(&at, &accounts, found).await?;
    compare_jobs(&at, &jobs, found).await?;
    compare_lots(&at, &lots, found).await?;
    compare_units(&at, &lots, found).await?;
    compare_delegates(&at, &replayed.delegates().await?, found).await?;
    compare_offices(&at, replayed.offices().await?, found).await?;

    let mut owed = Owed::default();
    let mut in_jobs = BTreeMap::new();
    for (_, job) in &jobs {
        let left = job.funded.checked_sub(job.released)?;
        owed.locked = owed.locked.checked_add(left)?;
        owed.pending = owed.pending.checked_add(job.pending)?;
        in_jobs.insert(job.job_id, left);
    }
    for account in &accounts {
        owed.free = owed.free.checked_add(account.free)?;
        owed.credit = owed.credit.checked_add(account.credit)?;
    }
    let liabilities = owed.total()?;
    let token_balance = balance(chain, escrow.token, escrow.address, block).await?;
    if token_balance < liabilities {
        let place = Place::new("contract storage", format!("token balance of {}", escrow.address));
        let expected = format!("at least {liabilities}, all that the escrow owes");
        found.add(&place, "balanceOf", expected, token_balance.to_string());
    }
    let wallets = accounts.iter().map(|a| (a.account, a.free)).collect();
    let credits = accounts.iter().map(|a| (a.account, a.credit)).collect();
    let registry = compare_registry(&at, replayed, escrow, found).await?;
    if let Some((registry, _)) = &registry {
        owed.bonds = registry.bonds;
    }
    let (registry, bonds) = registry.map_or((None, BTreeMap::new()), |(r, b)| (Some(r), b));
    let (accounts, jobs, lots) = (count(accounts.len()), count(jobs.len()), count(lots.len()));
    Ok(Held {
        accounts,
        jobs,
        lots,
        token_balance,
        owed,
        liabilities,
        wallets,
        credits,
        in_jobs,
        registry,
        bonds,
    })
}

/// What the token says that `owner` has at a block.
pub(super) async fn balance<C: Chain>(
    chain: &C,
    token: Address,
    owner: Address,
    block: B256,
) -> Result<Amount, AuditError> {
    let at = At { chain, escrow: token, block };
    Ok(Amount::try_from(at.view(Token::balanceOfCall { owner }).await?)?)
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// Every bond by the registry's own word, and whether it holds the tokens for all of them.
async fn compare_registry<C: Chain>(
    at: &At<'_, C>,
    replayed: &Reader,
    escrow: &Escrow,
    found: &mut Findings,
) -> Result<Option<(RegistryHeld, BTreeMap<Address, Amount>)>, AuditError> {
    let Some(address) = escrow.registry else { return Ok(None) };
    let states = replayed.bonds().await?;
    compare_bonds(at, address, &states, found).await?;
    let mut bonds = BTreeMap::new();
    let mut sum = Amount::ZERO;
    for state in &states {
        let bond = state.bonded.checked_add(state.unbonding)?;
        sum = sum.checked_add(bond)?;
        bonds.insert(state.signer, bond);
    }
    let token_balance = balance(at.chain, escrow.token, address, at.block).await?;
    if token_balance < sum {
        let place = Place::new("contract storage", format!("token balance of {address}"));
        let expected = format!("at least {sum}, all bonds together");
        found.add(&place, "balanceOf", expected, token_balance.to_string());
    }
    let surplus = token_balance.checked_sub(sum).unwrap_or_default();
    let nodes = count(states.len());
    let held = RegistryHeld { address, nodes, token_balance, bonds: sum, surplus };
    Ok(Some((held, bonds)))
}

async fn compare_bonds<C: Chain>(
    at: &At<'_, C>,
    registry: Address,
    bonds: &[BondState],
    found: &mut Findings,
) -> Result<(), AuditError> {
    let answers: Vec<_> = futures::stream::iter(bonds)
        .map(|state| at.ask(registry, NodeRegistry::nodeCall { signer: state.signer }))
        .buffered(CALLS_AT_ONCE)
        .try_collect()
        .await?;
    for (state, answer) in bonds.iter().zip(answers) {
        let place = place(format!("node {}", state.signer), state.block, state.log_index);
        found.same(&place, "owner", answer.owner, state.owner);
        found.same(&place, "payout", answer.payout, state.payout);
        let told = answer.capabilitiesHash;
        found.same(&place, "capabilitiesHash", told, state.capabilities_hash);
        found.same(&place, "bonded", Amount::from(answer.bonded), state.bonded);
        found.same(&place, "unbonding", Amount::from(answer.unbonding), state.unbonding);
        let chain: i64 = answer.unbondAt.saturating_to();
        found.same(&place, "unbondAt", chain, state.unbond_at);
        found.same(&place, "slashed", answer.slashed, state.slashed);
        found.same(&place, "seq", answer.seq, state.seq);
    }
    Ok(())
}

fn place(row: String, block: u64, log_index: u64) -> Place {
    Place { log: Some((block, log_index)), ..Place::new("contract storage", row) }
}

async fn compare_accounts<C: Chain>(
    at: &At<'_, C>,
    accounts: &[AccountState],
    found: &mut Findings,
) -> Result<(), AuditError> {
    let answers: Vec<_> = futures::stream::iter(accounts)
        .map(|state| at.view(RenderEscrow::accountCall { owner: state.account }))
        .buffered(CALLS_AT_ONCE)
        .try_collect()
        .await?;
    for (state, answer) in accounts.iter().zip(answers) {
        let place = place(format!("account {}", state.account), state.block, state.log_index);
        found.same(&place, "free", Amount::from(answer.free), state.free);
        found.same(&place, "credit", Amount::from(answer.credit), state.credit);
        found.same(&place, "seq", answer.seq, state.seq);
    }
    Ok(())
}

async fn compare_jobs<C: Chain>(
    at: &At<'_, C>,
    jobs: &[(JobOrder, JobState)],
    found: &mut Findings,
) -> Result<(), AuditError> {
    let answers: Vec<_> = futures::stream::iter(jobs)
        .map(|(_, state)| at.view(RenderEscrow::jobCall { jobId: state.job_id }))
        .buffered(CALLS_AT_ONCE)
        .try_collect()
        .await?;
    for ((_, state), answer) in jobs.iter().zip(answers) {
        let place = place(format!("job {}", state.job_id), state.block, state.log_index);
        found.same(&place, "funded", Amount::from(answer.funded), state.funded);
        found.same(&place, "released", Amount::from(answer.released), state.released);
        found.same(&place, "pending", Amount::from(answer.pending), state.pending);
        found.same(&place, "unitsPaid", answer.unitsPaid, state.units_paid);
        found.same(&place, "seq", answer.seq, state.job_seq);
        found.same(&place, "status", answer.status, if state.closed { 2 } else { 1 });
        let chain: u64 = answer.closeRequestedAt.saturating_to();
        found.same(&place, "closeRequestedAt", chain, stored::close_requested_at(state));
        found.same(&place, "creditShare", Amount::from(answer.creditShare), state.credit_share);
    }
    Ok(())
}

async fn compare_lots<C: Chain>(
    at: &At<'_, C>,
    lots: &[(LotRow, LotState)],
    found: &mut Findings,
) -> Result<(), AuditError> {
    let answers: Vec<_> = futures::stream::iter(lots)
        .map(|(_, state)| at.view(RenderEscrow::lotCall { lotHash: state.lot_hash }))
        .buffered(CALLS_AT_ONCE)
        .try_collect()
        .await?;
    for ((_, state), answer) in lots.iter().zip(answers) {
        let place = place(format!("lot {}", state.lot_hash), state.block, state.log_index);
        found.same(&place, "status", answer.status, stored::lot_status(state.status));
        let chain: i64 = answer.windowEnd.saturating_to();
        found.same(&place, "windowEnd", chain, state.window_end);
        found.same(&place, "rejected", answer.rejected, state.rejected);
    }
    Ok(())
}

/// Units taken, by word: what lots hold or were paid for. None may be in two of them.
async fn compare_units<C: Chain>(
    at: &At<'_, C>,
    lots: &[(LotRow, LotState)],
    found: &mut Findings,
) -> Result<(), AuditError> {
    let mut taken: BTreeMap<(JobId, u32), U256> = BTreeMap::new();
    for (row, state) in lots {
        let units = stored::taken_by(row, state);
        let word = taken.entry((row.job_id, row.lot.word)).or_default();
        let place = place(format!("lot {}", state.lot_hash), state.block, state.log_index);
        found.same(&place, "units that another lot has too", U256::ZERO, *word & units);
        *word |= units;
    }
    let answers: Vec<_> = futures::stream::iter(taken.keys())
        .map(|(job_id, word)| at.view(RenderEscrow::takenUnitsCall { jobId: *job_id, word: *word }))
        .buffered(CALLS_AT_ONCE)
        .try_collect()
        .await?;
    for (((job_id, word), units), answer) in taken.iter().zip(answers) {
        let place = Place::new("contract storage", format!("job {job_id} word {word}"));
        found.same(&place, "takenUnits", answer, *units);
    }
    Ok(())
}

/// A revoked delegate must be gone, as the fold has it: all zero.
async fn compare_delegates<C: Chain>(
    at: &At<'_, C>,
    delegates: &[DelegateState],
    found: &mut Findings,
) -> Result<(), AuditError> {
    let answers: Vec<_> = futures::stream::iter(delegates)
        .map(|d| at.view(RenderEscrow::delegateCall { payer: d.payer, agent: d.agent }))
        .buffered(CALLS_AT_ONCE)
        .try_collect()
        .await?;
    for (state, answer) in delegates.iter().zip(answers) {
        let row = format!("delegate {} of {}", state.agent, state.payer);
        let place = place(row, state.block, state.log_index);
        found.same(&place, "settler", answer.settler, state.settler);
        found.same(&place, "allowance", Amount::from(answer.allowance), state.allowance);
        found.same(&place, "maxPerJob", Amount::from(answer.maxPerJob), state.max_per_job);
        let chain: i64 = answer.expiry.saturating_to();
        found.same(&place, "expiry", chain, state.expiry);
    }
    Ok(())
}

async fn compare_offices<C: Chain>(
    at: &At<'_, C>,
    offices: Option<OfficeState>,
    found: &mut Findings,
) -> Result<(), AuditError> {
    let answer = at.view(RenderEscrow::officesCall {}).await?;
    let log = offices.as_ref().map(|state| (state.block, state.log_index));
    let place = Place { log, ..Place::new("contract storage", "offices".to_owned()) };
    // Before their first event all is zero.
    let (settler, until, seq) =
        offices.map_or((Address::ZERO, 0, 0), |o| (o.credit_settler, o.paused_until, o.seq));
    found.same(&place, "creditSettler", answer.creditSettler, settler);
    let chain: i64 = answer.pausedUntil.saturating_to();
    found.same(&place, "pausedUntil", chain, until);
    let chain: u64 = answer.seq.saturating_to();
    found.same(&place, "seq", chain, seq);
    Ok(())
}
