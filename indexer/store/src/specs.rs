//! Job specs by hash, and the quotes that price them.

use alloy::primitives::B256;
use contracts::Amount;
use serde::Serialize;

use crate::dialect::Writer;
use crate::error::{Error, Result};
use crate::values::{Row, values};
use crate::{IntakeWriter, Reader};

/// An expanded job spec in canonical JSON; `spec_hash` is its keccak256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spec {
    pub spec_hash: B256,
    pub canonical: String,
    pub created_at: i64,
}

/// A quote in canonical JSON; `quote_hash` is its keccak256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quote {
    pub quote_hash: B256,
    pub spec_hash: B256,
    pub canonical: String,
    pub unit_price: Amount,
    pub cap: Amount,
    pub expires_at: i64,
    pub created_at: i64,
}

const SELECT_SPEC: &str = "SELECT spec_hash, canonical, created_at FROM specs WHERE spec_hash = $1";

const SELECT_QUOTE: &str = "SELECT quote_hash, spec_hash, canonical, unit_price, cap, expires_at, \
     created_at FROM quotes WHERE quote_hash = $1";

impl IntakeWriter {
    /// False when it is there already; a conflict when its hash is there with another text.
    pub async fn put_spec(&self, spec: &Spec) -> Result<bool> {
        let mut tx = self.pool.write(Writer::Intake).await?;
        if let Some(row) = tx.one(SELECT_SPEC, values![spec.spec_hash]).await? {
            let known = Spec { created_at: spec.created_at, ..spec_from(&row)? } == *spec;
            return known_or_conflict(known, || format!("spec {}", spec.spec_hash));
        }
        let sql = "INSERT INTO specs (spec_hash, canonical, created_at) VALUES ($1, $2, $3)";
        let row = values![spec.spec_hash, spec.canonical.as_str(), spec.created_at];
        tx.execute(sql, row).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// False when it is there already. Its spec must be stored before.
    pub async fn put_quote(&self, quote: &Quote) -> Result<bool> {
        let mut tx = self.pool.write(Writer::Intake).await?;
        if let Some(row) = tx.one(SELECT_QUOTE, values![quote.quote_hash]).await? {
            let known = Quote { created_at: quote.created_at, ..quote_from(&row)? } == *quote;
            return known_or_conflict(known, || format!("quote {}", quote.quote_hash));
        }
        if tx.one(SELECT_SPEC, values![quote.spec_hash]).await?.is_none() {
            let key = quote.spec_hash.to_string();
            return Err(Error::Missing { what: "spec", key });
        }
        let sql = "INSERT INTO quotes (quote_hash, spec_hash, canonical, unit_price, cap, \
                   expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let row = values![
            quote.quote_hash,
            quote.spec_hash,
            quote.canonical.as_str(),
            quote.unit_price,
            quote.cap,
            quote.expires_at,
            quote.created_at,
        ];
        tx.execute(sql, row).await?;
        tx.commit().await?;
        Ok(true)
    }
}

impl Reader {
    pub async fn spec(&self, spec_hash: B256) -> Result<Option<Spec>> {
        let row = self.pool.one(SELECT_SPEC, values![spec_hash]).await?;
        row.as_ref().map(spec_from).transpose()
    }

    pub async fn quote(&self, quote_hash: B256) -> Result<Option<Quote>> {
        let row = self.pool.one(SELECT_QUOTE, values![quote_hash]).await?;
        row.as_ref().map(quote_from).transpose()
    }

    /// A page of all specs, by hash; the first one comes after the zero hash.
    pub async fn specs_after(&self, after: B256, limit: u32) -> Result<Vec<Spec>> {
        let sql = "SELECT spec_hash, canonical, created_at FROM specs WHERE spec_hash > $1 \
                   ORDER BY spec_hash LIMIT $2";
        self.pool.all(sql, values![after, limit]).await?.iter().map(spec_from).collect()
    }

    /// A page of all quotes, by hash; the first one comes after the zero hash.
    pub async fn quotes_after(&self, after: B256, limit: u32) -> Result<Vec<Quote>> {
        let sql = "SELECT quote_hash, spec_hash, canonical, unit_price, cap, expires_at, \
                   created_at FROM quotes WHERE quote_hash > $1 ORDER BY quote_hash LIMIT $2";
        self.pool.all(sql, values![after, limit]).await?.iter().map(quote_from).collect()
    }
}

/// What a put answers when its key is there: false for the same content, else a conflict.
pub(crate) fn known_or_conflict(known: bool, what: impl Fn() -> String) -> Result<bool> {
    if known { Ok(false) } else { Err(Error::Conflict { what: what() }) }
}

fn spec_from(row: &Row) -> Result<Spec> {
    Ok(Spec {
        spec_hash: row.get("spec_hash")?,
        canonical: row.get("canonical")?,
        created_at: row.get("created_at")?,
    })
}

fn quote_from(row: &Row) -> Result<Quote> {
    Ok(Quote {
        quote_hash: row.get("quote_hash")?,
        spec_hash: row.get("spec_hash")?,
        canonical: row.get("canonical")?,
        unit_price: row.get("unit_price")?,
        cap: row.get("cap")?,
        expires_at: row.get("expires_at")?,
        created_at: row.get("created_at")?,
    })
}

#[cfg(test)]
mod tests;
