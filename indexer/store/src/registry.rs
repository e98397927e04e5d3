//! Rows of the registry's events, and of the receipts of slashes, read back as the event itself.

use std::borrow::Cow;
use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Bytes};
use contracts::registry::{RegistryEvent, Slashed};
use contracts::{Amount, JobId, Receipt};

use crate::Reader;
use crate::bulk::{Table, table};
use crate::entries::{Entry, entries_of_registry};
use crate::error::{Error, Result};
use crate::events::start;
use crate::values::{Row, Value, values};

/// One event of the node registry at its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryRow {
    pub block: u64,
    pub log_index: u64,
    pub tx_hash: B256,
    pub event: RegistryEvent,
}

impl RegistryRow {
    /// The event's name as it stands in the table: `unbond_requested`.
    pub fn kind(&self) -> &'static str {
        kind_of(&self.event)
    }
}

/// A receipt and the signer's word under it.
type Word = (Receipt, Bytes);

/// The columns of an event `e` of the registry.
macro_rules! registry_columns {
    () => {
        "e.block, e.log_index, e.tx_hash, e.kind, e.signer, e.account, e.payout, \
         e.capabilities_hash, e.job_id, e.amount, e.bonded, e.unbonding, e.burned, e.rewarded, \
         e.at, e.seq"
    };
}
pub(crate) use registry_columns;

/// The columns of a slash's receipt `r`.
macro_rules! receipt_columns {
    () => {
        "r.block, r.log_index, r.place, r.job_id, r.unit, r.attempt, r.output_hash, \
         r.preview_hash, r.key_commit, r.started_at, r.finished_at, r.signature"
    };
}
pub(crate) use receipt_columns;

macro_rules! select_registry_events {
    ($rest:literal) => {
        concat!("SELECT ", registry_columns!(), " FROM registry_events e ", $rest)
    };
}

macro_rules! select_registry_receipts {
    ($rest:literal) => {
        concat!("SELECT ", receipt_columns!(), " FROM registry_receipts r ", $rest)
    };
}

/// The kinds of the registry's events; all others are the escrow's.
pub(crate) const KINDS: [&str; 6] =
    ["registered", "updated", "bonded", "unbond_requested", "bond_withdrawn", "slashed"];

impl Reader {
    /// The registry's events of blocks `from` to `to`, both included, oldest first.
    pub async fn registry_events_between(&self, from: u64, to: u64) -> Result<Vec<RegistryRow>> {
        let range = || values![from, to.min(self.until)];
        let sql = select_registry_receipts!("WHERE r.block BETWEEN $1 AND $2");
        let words = words_from(&self.pool.all(sql, range()).await?)?;
        let sql =
            select_registry_events!("WHERE block BETWEEN $1 AND $2 ORDER BY block, log_index");
        read(&self.pool.all(sql, range()).await?, words)
    }

    /// The registry's events after the place (block, log index) `after`, oldest first, at most
    /// `limit`.
    pub async fn registry_events_after(
        &self,
        after: Option<(u64, u64)>,
        limit: u32,
    ) -> Result<Vec<RegistryRow>> {
        let sql = select_registry_events!(
            "WHERE (block, log_index) > ($1, $2) ORDER BY block, log_index LIMIT $3"
        );
        let (block, log_index) = start(after);
        let rows = self.pool.all(sql, vec![block, log_index, limit.into()]).await?;
        let place = |row: &Row| Ok::<_, Error>((row.get("block")?, row.get("log_index")?));
        let Some((to, last)): Option<(u64, u64)> = rows.last().map(place).transpose()? else {
            return Ok(vec![]);
        };
        let sql = select_registry_receipts!(
            "WHERE (r.block, r.log_index) > ($1, $2) AND (r.block, r.log_index) <= ($3, $4)"
        );
        let (block, log_index) = start(after);
        let range = vec![block, log_index, to.into(), last.into()];
        read(&rows, words_from(&self.pool.all(sql, range).await?)?)
    }

    /// Every event of a node, oldest first.
    pub async fn registry_events_of(&self, signer: Address) -> Result<Vec<RegistryRow>> {
        let sql = select_registry_receipts!(
            "JOIN registry_events e ON e.block = r.block AND e.log_index = r.log_index \
             WHERE e.signer = $1 AND e.block <= $2"
        );
        let of_signer = || values![signer, self.until];
        let words = words_from(&self.pool.all(sql, of_signer()).await?)?;
        let sql =
            select_registry_events!("WHERE signer = $1 AND block <= $2 ORDER BY block, log_index");
        read(&self.pool.all(sql, of_signer()).await?, words)
    }

    /// Every entry of a node's events, oldest first.
    pub async fn entries_of_bond(&self, signer: Address) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for row in self.registry_events_of(signer).await? {
            entries.extend(entries_of_registry(&row)?);
        }
        Ok(entries)
    }
}

/// By block, log index and place.
pub(crate) type Words = BTreeMap<(u64, u64, u8), Word>;

pub(crate) fn words_from(rows: &[Row]) -> Result<Words> {
    rows.iter()
        .map(|row| {
            let key = (row.get("block")?, row.get("log_index")?, row.get("place")?);
            let receipt = Receipt {
                job_id: row.get("job_id")?,
                unit: row.get("unit")?,
                attempt: row.get("attempt")?,
                output_hash: row.get("output_hash")?,
                preview_hash: row.get("preview_hash")?,
                key_commit: row.get("key_commit")?,
                started_at: row.get("started_at")?,
                finished_at: row.get("finished_at")?,
            };
            Ok((key, (receipt, row.get("signature")?)))
        })
        .collect()
}

pub(crate) fn read(rows: &[Row], mut words: Words) -> Result<Vec<RegistryRow>> {
    let mut events = Vec::new();
    for row in rows {
        let (block, log_index): (u64, u64) = (row.get("block")?, row.get("log_index")?);
        let pair = (words.remove(&(block, log_index, 1)), words.remove(&(block, log_index, 2)));
        let event = event_of(&columns_from(row)?, pair).map_err(|problem| Error::Altered {
            column: format!("registry_events at {block}/{log_index}"),
            problem,
        })?;
        events.push(RegistryRow { block, log_index, tx_hash: row.get("tx_hash")?, event });
    }
    match words.keys().next() {
        Some((block, log_index, _)) => Err(Error::Altered {
            column: format!("registry_receipts at {block}/{log_index}"),
            problem: "a receipt beside no slash".into(),
        }),
        None => Ok(events),
    }
}

/// The columns of `registry_events` that depend on the kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Columns {
    kind: Cow<'static, str>,
    signer: Address,
    account: Option<Address>,
    payout: Option<Address>,
    capabilities_hash: Option<B256>,
    job_id: Option<JobId>,
    amount: Option<Amount>,
    bonded: Option<Amount>,
    unbonding: Option<Amount>,
    burned: Option<Amount>,
    rewarded: Option<Amount>,
    at: Option<u64>,
    seq: u64,
}

fn kind_of(event: &RegistryEvent) -> &'static str {
    match event {
        RegistryEvent::Registered { .. } => "registered",
        RegistryEvent::Updated { .. } => "updated",
        RegistryEvent::Bonded { .. } => "bonded",
        RegistryEvent::UnbondRequested { .. } => "unbond_requested",
        RegistryEvent::BondWithdrawn { .. } => "bond_withdrawn",
        RegistryEvent::Slashed(_) => "slashed",
    }
}

fn columns_of(event: &RegistryEvent) -> Columns {
    let all = |seq| {
        let (kind, signer) = (kind_of(event).into(), event.signer());
        Columns { kind, signer, seq, ..Columns::default() }
    };
    match event {
        RegistryEvent::Registered { owner, payout, capabilities_hash, seq, .. } => Columns {
            account: Some(*owner),
            payout: Some(*payout),
            capabilities_hash: Some(*capabilities_hash),
            ..all(*seq)
        },
        RegistryEvent::Updated { payout, capabilities_hash, seq, .. } => Columns {
            payout: Some(*payout),
            capabilities_hash: Some(*capabilities_hash),
            ..all(*seq)
        },
        RegistryEvent::Bonded { from, amount, bonded, seq, .. } => Columns {
            account: Some(*from),
            amount: Some(*amount),
            bonded: Some(*bonded),
            ..all(*seq)
        },
        RegistryEvent::UnbondRequested { amount, bonded, unbonding, unbond_at, seq, .. } => {
            Columns {
                amount: Some(*amount),
                bonded: Some(*bonded),
                unbonding: Some(*unbonding),
                at: Some(*unbond_at),
                ..all(*seq)
            }
        }
        RegistryEvent::BondWithdrawn { to, amount, seq, .. } => {
            Columns { account: Some(*to), amount: Some(*amount), ..all(*seq) }
        }
        RegistryEvent::Slashed(e) => Columns {
            account: Some(e.reporter),
            job_id: Some(e.job_id),
            burned: Some(e.burned),
            rewarded: Some(e.rewarded),
            ..all(e.seq)
        },
    }
}

fn event_of(
    c: &Columns,
    (first, second): (Option<Word>, Option<Word>),
) -> Result<RegistryEvent, String> {
    let (signer, seq) = (c.signer, c.seq);
    if c.kind != "slashed" && (first.is_some() || second.is_some()) {
        return Err(format!("a {} event with receipts", c.kind));
    }
    let event = match c.kind.as_ref() {
        "registered" => RegistryEvent::Registered {
            signer,
            owner: need(c.account, "account")?,
            payout: need(c.payout, "payout")?,
            capabilities_hash: need(c.capabilities_hash, "capabilities_hash")?,
            seq,
        },
        "updated" => RegistryEvent::Updated {
            signer,
            payout: need(c.payout, "payout")?,
            capabilities_hash: need(c.capabilities_hash, "capabilities_hash")?,
            seq,
        },
        "bonded" => RegistryEvent::Bonded {
            signer,
            from: need(c.account, "account")?,
            amount: need(c.amount, "amount")?,
            bonded: need(c.bonded, "bonded")?,
            seq,
        },
        "unbond_requested" => RegistryEvent::UnbondRequested {
            signer,
            amount: need(c.amount, "amount")?,
            bonded: need(c.bonded, "bonded")?,
            unbonding: need(c.unbonding, "unbonding")?,
            unbond_at: need(c.at, "at")?,
            seq,
        },
        "bond_withdrawn" => RegistryEvent::BondWithdrawn {
            signer,
            to: need(c.account, "account")?,
            amount: need(c.amount, "amount")?,
            seq,
        },
        "slashed" => RegistryEvent::Slashed(Box::new(slashed(
            c,
            need(first, "first receipt in registry_receipts")?,
            need(second, "second receipt in registry_receipts")?,
        )?)),
        other => return Err(format!("`{other}` is no kind of event of the registry")),
    };
    if columns_of(&event) != *c {
        return Err(format!("a {} event in other columns than its own", c.kind));
    }
    Ok(event)
}

fn slashed(c: &Columns, first: Word, second: Word) -> Result<Slashed, String> {
    let ((first, first_signature), (second, second_signature)) = (first, second);
    Ok(Slashed {
        signer: c.signer,
        reporter: need(c.account, "account")?,
        job_id: need(c.job_id, "job_id")?,
        first,
        first_signature,
        second,
        second_signature,
        burned: need(c.burned, "burned")?,
        rewarded: need(c.rewarded, "rewarded")?,
        seq: c.seq,
    })
}

fn need<T>(value: Option<T>, column: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("no {column}"))
}

pub(crate) const REGISTRY_EVENTS: Table = table!(
    "registry_events",
    "block, log_index, tx_hash, kind, signer, account, payout, capabilities_hash, job_id, \
     amount, bonded, unbonding, burned, rewarded, at, seq"
);

pub(crate) fn registry_values(row: &RegistryRow) -> Vec<Value> {
    let c = columns_of(&row.event);
    values![
        row.block,
        row.log_index,
        row.tx_hash,
        c.kind,
        c.signer,
        c.account,
        c.payout,
        c.capabilities_hash,
        c.job_id,
        c.amount,
        c.bonded,
        c.unbonding,
        c.burned,
        c.rewarded,
        c.at,
        c.seq,
    ]
}

pub(crate) const REGISTRY_RECEIPTS: Table = table!(
    "registry_receipts",
    "block, log_index, place, job_id, unit, attempt, output_hash, preview_hash, key_commit, \
     started_at, finished_at, signature"
);

/// The rows of a slash's receipts; none for any other event.
pub(crate) fn receipt_values(row: &RegistryRow) -> Vec<Vec<Value>> {
    let RegistryEvent::Slashed(e) = &row.event else { return vec![] };
    let words = [(1_u8, &e.first, &e.first_signature), (2, &e.second, &e.second_signature)];
    let one = |(place, receipt, signature): (u8, &Receipt, &Bytes)| {
        values![
            row.block,
            row.log_index,
            place,
            receipt.job_id,
            receipt.unit,
            receipt.attempt,
            receipt.output_hash,
            receipt.preview_hash,
            receipt.key_commit,
            receipt.started_at,
            receipt.finished_at,
            signature,
        ]
    };
    words.map(one).into()
}

fn columns_from(row: &Row) -> Result<Columns> {
    Ok(Columns {
        kind: row.get::<String>("kind")?.into(),
        signer: row.get("signer")?,
        account: row.opt("account")?,
        payout: row.opt("payout")?,
        capabilities_hash: row.opt("capabilities_hash")?,
        job_id: row.opt("job_id")?,
        amount: row.opt("amount")?,
        bonded: row.opt("bonded")?,
        unbonding: row.opt("unbonding")?,
        burned: row.opt("burned")?,
        rewarded: row.opt("rewarded")?,
        at: row.opt("at")?,
        seq: row.get("seq")?,
    })
}

#[cfg(test)]
mod tests;
