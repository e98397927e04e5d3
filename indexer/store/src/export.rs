//! pure: events as rows of tables, in CSV and JSON Lines; each amount exact, decimal and float.

use alloy::primitives::{Address, B256, Bytes, U256};
use chrono::{DateTime, SecondsFormat};
use contracts::Amount;
use serde_json::{Map, Value};

use crate::blocks::{Block, Escrow};
use crate::entries::Entry;
use crate::error::Result;
use crate::history::HistoryEvent;

mod fields;
#[cfg(feature = "parquet")]
pub mod parquet;
mod scope;
pub use scope::{Scope, Watch};

/// Table of double entries: every leg of every event.
pub const ENTRIES: &str = "entries";

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Number(u64),
    Flag(bool),
    Text(String),
    /// Stands in three columns: base units, decimal number, float.
    Amount(Amount),
}

/// A column's name and its value in one row; the names are the same in each row of a table.
pub type Field = (&'static str, Cell);

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for Cell {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Cell {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Amount> for Cell {
    fn from(amount: Amount) -> Self {
        Self::Amount(amount)
    }
}

impl From<Address> for Cell {
    fn from(address: Address) -> Self {
        Self::Text(address.to_checksum(None))
    }
}

impl From<B256> for Cell {
    fn from(hash: B256) -> Self {
        Self::Text(hash.to_string())
    }
}

impl From<U256> for Cell {
    fn from(mask: U256) -> Self {
        Self::Text(format!("{mask:#x}"))
    }
}

impl From<&Bytes> for Cell {
    fn from(bytes: &Bytes) -> Self {
        Self::Text(bytes.to_string())
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Where an event stands: the first columns of every table.
fn place(escrow: &Escrow, told: &HistoryEvent, block: &Block) -> Vec<Field> {
    let (_, log_index) = told.place();
    let contract = match told {
        HistoryEvent::Escrow(_) => escrow.address,
        HistoryEvent::Registry(_) => escrow.registry.unwrap_or_default(),
    };
    vec![
        ("chain_id", escrow.chain_id.into()),
        ("contract", contract.into()),
        ("block", block.number.into()),
        ("block_hash", block.hash.into()),
        ("block_time", utc(block.mined_at).as_str().into()),
        // No block is older than 1970.
        ("block_unix", u64::try_from(block.mined_at).unwrap_or_default().into()),
        ("tx_hash", told.tx_hash().into()),
        ("log_index", log_index.into()),
    ]
}

fn utc(unix: i64) -> String {
    let time = DateTime::from_timestamp(unix, 0);
    time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
}

/// An event as a row of the table of its kind.
pub fn event_row(escrow: &Escrow, told: &HistoryEvent, block: &Block) -> Vec<Field> {
    let mut row = place(escrow, told, block);
    row.extend(fields::of(told));
    row
}

/// The legs of an event as rows of the table `entries`.
pub fn entry_rows(escrow: &Escrow, told: &HistoryEvent, block: &Block) -> Result<Vec<Vec<Field>>> {
    let entries = told.entries()?;
    let row = |entry: &Entry| {
        let mut row = place(escrow, told, block);
        row.push(("leg", Cell::Number(entry.leg.into())));
        row.push(("event", told.kind().into()));
        row.push(("book", entry.book.as_str().into()));
        row.push(("side", if entry.debit { "debit" } else { "credit" }.into()));
        row.push(("amount", entry.amount.into()));
        row
    };
    Ok(entries.iter().map(row).collect())
}

/// The line that names a table's columns, with its line end.
pub fn csv_header(row: &[Field]) -> String {
    let mut names = Vec::new();
    for (name, cell) in row {
        names.push((*name).to_owned());
        if let Cell::Amount(_) = cell {
            names.push(format!("{name}_decimal"));
            names.push(format!("{name}_float"));
        }
    }
    format!("{}\n", names.join(","))
}

/// A row as a line of CSV, with its line end. No value of ours holds a comma, quote or line end.
pub fn csv_line(row: &[Field], decimals: u8) -> String {
    let mut cells = Vec::new();
    for (_, cell) in row {
        match cell {
            Cell::Number(number) => cells.push(number.to_string()),
            Cell::Flag(flag) => cells.push(flag.to_string()),
            Cell::Text(text) => cells.push(text.clone()),
            Cell::Amount(amount) => {
                cells.push(amount.to_string());
                cells.push(fixed(amount.base(), decimals));
                cells.push(float(*amount, decimals).to_string());
            }
        }
    }
    format!("{}\n", cells.join(","))
}

/// A row as a JSON object on a line of its own. Base units and decimals are strings: a reader
/// that takes JSON numbers for floats would round them.
pub fn json_line(row: &[Field], decimals: u8) -> String {
    let mut object = Map::new();
    for (name, cell) in row {
        let value = match cell {
            Cell::Number(number) => Value::from(*number),
            Cell::Flag(flag) => Value::from(*flag),
            Cell::Text(text) => Value::from(text.clone()),
            Cell::Amount(amount) => {
                object.insert(format!("{name}_decimal"), fixed(amount.base(), decimals).into());
                object.insert(format!("{name}_float"), float(*amount, decimals).into());
                Value::from(amount.to_string())
            }
        };
        object.insert((*name).to_owned(), value);
    }
    format!("{}\n", Value::Object(object))
}

/// The decimal number with all the token's decimals: "1.500000" of a token with six.
pub fn fixed(base: u128, decimals: u8) -> String {
    let decimals = usize::from(decimals);
    let digits = format!("{base:0width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    if decimals == 0 { digits } else { format!("{whole}.{fraction}") }
}

/// The nearest float, for a look: sums of it are not exact.
pub fn float(amount: Amount, decimals: u8) -> f64 {
    // Digits with a point always are a number.
    fixed(amount.base(), decimals).parse().unwrap_or_default()
}

#[cfg(test)]
pub(crate) use tests::escrow as escrow_for_tests;

#[cfg(test)]
mod tests;
