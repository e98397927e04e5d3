//! Checks rows that no event tells of by the hash they are named by: quotes, orders, drafts, sends.

use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{B256, keccak256};
use contracts::{Amount, order};
use serde::Deserialize;
use store::{Escrow, IntakeOrder, LotDraft, Quote, Reader, SentTx};

use super::{AuditError, Findings, Place, columns};

/// Rows read at a time.
const PAGE: u32 = 500;

/// The amounts in a quote's document; its other fields are the API's business.
#[derive(Deserialize)]
struct Priced {
    unit_price: Amount,
    cap: Amount,
}

/// Checks what payers handed in and what the settler made of it. Where the replay has the same
/// terms from the chain, a difference names the column, else the hash.
pub(super) async fn compare(
    replayed: &Reader,
    stored: &Reader,
    escrow: &Escrow,
    found: &mut Findings,
) -> Result<(), AuditError> {
    // Each loop ends with the table: a page starts after the last row of the one before.
    let mut after = B256::ZERO;
    while let Some(last) = specs(stored, after, found).await? {
        after = last;
    }
    after = B256::ZERO;
    while let Some(last) = quotes(stored, after, found).await? {
        after = last;
    }
    after = B256::ZERO;
    while let Some(last) = orders((replayed, stored), escrow, after, found).await? {
        after = last;
    }
    after = B256::ZERO;
    while let Some(last) = drafts(replayed, stored, after, found).await? {
        after = last;
    }
    after = B256::ZERO;
    while let Some(last) = transactions(stored, after, found).await? {
        after = last;
    }
    Ok(())
}

fn named(table: &'static str, row: String) -> Place {
    Place { authority: "its own hash", ..Place::new(table, row) }
}

async fn specs(
    stored: &Reader,
    after: B256,
    found: &mut Findings,
) -> Result<Option<B256>, AuditError> {
    let page = stored.specs_after(after, PAGE).await?;
    for spec in &page {
        let place = named("specs", format!("spec {}", spec.spec_hash));
        found.same(&place, "spec_hash", keccak256(&spec.canonical), spec.spec_hash);
    }
    Ok(page.last().map(|spec| spec.spec_hash))
}

async fn quotes(
    stored: &Reader,
    after: B256,
    found: &mut Findings,
) -> Result<Option<B256>, AuditError> {
    let page = stored.quotes_after(after, PAGE).await?;
    for Quote { quote_hash, canonical, unit_price, cap, .. } in &page {
        let place = named("quotes", format!("quote {quote_hash}"));
        found.same(&place, "quote_hash", keccak256(canonical), *quote_hash);
        match serde_json::from_str::<Priced>(canonical) {
            Ok(priced) => {
                found.same(&place, "unit_price", priced.unit_price, *unit_price);
                found.same(&place, "cap", priced.cap, *cap);
            }
            Err(error) => {
                found.add(&place, "canonical", "a priced quote".into(), error.to_string())
            }
        }
    }
    Ok(page.last().map(|quote| quote.quote_hash))
}

async fn orders(
    (replayed, stored): (&Reader, &Reader),
    escrow: &Escrow,
    after: B256,
    found: &mut Findings,
) -> Result<Option<B256>, AuditError> {
    let domain = order::domain(escrow.chain_id, escrow.address);
    let page = stored.orders_after(after, PAGE).await?;
    for IntakeOrder { job_id, order: terms, .. } in &page {
        let place = named("orders", format!("job {job_id}"));
        let named = order::job_id(terms, &domain);
        if named == *job_id {
            continue;
        }
        match replayed.job(*job_id).await? {
            Some((opened, _)) => found.columns(&place, &columns(&opened.order), &columns(terms)),
            None => found.same(&place, "job_id", named, *job_id),
        }
    }
    Ok(page.last().map(|row| row.job_id))
}

async fn drafts(
    replayed: &Reader,
    stored: &Reader,
    after: B256,
    found: &mut Findings,
) -> Result<Option<B256>, AuditError> {
    let page = stored.lot_drafts_after(after, PAGE).await?;
    for LotDraft { lot_hash, job_id, lot, .. } in &page {
        let place = named("lot_drafts", format!("lot {lot_hash}"));
        let named = order::lot_hash(*job_id, lot);
        if named == *lot_hash {
            continue;
        }
        match replayed.lot(*lot_hash).await? {
            Some((row, _)) => {
                found.same(&place, "job_id", row.job_id, *job_id);
                found.columns(&place, &columns(&row.lot), &columns(lot));
            }
            None => found.same(&place, "lot_hash", named, *lot_hash),
        }
    }
    Ok(page.last().map(|draft| draft.lot_hash))
}

async fn transactions(
    stored: &Reader,
    after: B256,
    found: &mut Findings,
) -> Result<Option<B256>, AuditError> {
    let page = stored.transactions_after(after, PAGE).await?;
    for SentTx { tx_hash, nonce, raw, max_fee, .. } in &page {
        let place = named("outbox_transactions", format!("transaction {tx_hash}"));
        found.same(&place, "tx_hash", keccak256(raw), *tx_hash);
        match TxEnvelope::decode_2718_exact(raw) {
            Ok(signed) => {
                found.same(&place, "nonce", signed.nonce(), *nonce);
                found.same(&place, "max_fee", signed.max_fee_per_gas(), *max_fee);
            }
            Err(error) => found.add(&place, "raw", "a transaction".into(), error.to_string()),
        }
    }
    Ok(page.last().map(|sent| sent.tx_hash))
}
