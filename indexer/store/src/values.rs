//! Values on their way into columns and back: numbers, text, bytes and nothing else.

use std::borrow::Cow;

use alloy::primitives::{Address, B256, Bytes, U256};
use contracts::amount::Amount;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::dialect::{postgres_cell, sqlite_cell};
use crate::error::{Error, Result};

/// A value to bind; a null keeps its type, which Postgres wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    // What most columns hold, without a heap allocation for each.
    Word(&'static str),
    Amount(Amount),
    Hash(B256),
    Address(Address),
    /// Does not fit a column; running a statement with it is an error.
    TooLarge(u64),
}

/// A value as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    /// A type that no column of ours has; its name.
    Other(String),
}

pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::values::Value::from($value)),*] };
}
pub(crate) use values;

impl Row {
    fn cell(&self, column: &str) -> Result<Cell> {
        let cell = match self {
            Self::Sqlite(row) => sqlite_cell(row, column),
            Self::Postgres(row) => postgres_cell(row, column),
        };
        cell.map_err(|e| Error::database(column, e))
    }

    pub fn get<T: TryFrom<Cell, Error = String>>(&self, column: &str) -> Result<T> {
        read(column, self.cell(column)?)
    }

    pub fn opt<T: TryFrom<Cell, Error = String>>(&self, column: &str) -> Result<Option<T>> {
        match self.cell(column)? {
            Cell::Null => Ok(None),
            cell => read(column, cell).map(Some),
        }
    }

    /// A column whose text names a variant of one of our enums.
    pub fn word<T: std::str::FromStr<Err = String>>(&self, column: &str) -> Result<T> {
        let text: String = self.get(column)?;
        text.parse().map_err(|problem| Error::Altered { column: column.to_owned(), problem })
    }
}

fn read<T: TryFrom<Cell, Error = String>>(column: &str, cell: Cell) -> Result<T> {
    T::try_from(cell).map_err(|problem| Error::Altered { column: column.to_owned(), problem })
}

/// An enum stored as words: `as_str`, `FromStr` and `Value::from`.
macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $name {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    other => Err(format!("`{other}` is none of {}", [$($word),+].join(", "))),
                }
            }
        }
        impl From<$name> for $crate::values::Value {
            fn from(word: $name) -> Self {
                Self::Word(word.as_str())
            }
        }
    };
}
pub(crate) use words;

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or(Self::TooLarge(number), Self::from)
    }
}

impl From<Option<u64>> for Value {
    fn from(number: Option<u64>) -> Self {
        number.map_or(Self::Int(None), Self::from)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        u64::try_from(number).map_or(Self::TooLarge(u64::MAX), Self::from)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<Amount> for Value {
    fn from(amount: Amount) -> Self {
        Self::Amount(amount)
    }
}

impl From<Option<Amount>> for Value {
    fn from(amount: Option<Amount>) -> Self {
        amount.map_or(Self::Text(None), Self::Amount)
    }
}

/// Whole numbers below 64 bits, and back with a check of the width.
macro_rules! small_number {
    ($($number:ty),+) => { $(
        impl From<$number> for Value {
            fn from(number: $number) -> Self {
                Self::Int(Some(i64::from(number)))
            }
        }
        impl From<Option<$number>> for Value {
            fn from(number: Option<$number>) -> Self {
                Self::Int(number.map(i64::from))
            }
        }
    )+ };
}
small_number!(bool, u8, u16, u32);

macro_rules! number_from_cell {
    ($($number:ty),+) => { $(
        impl TryFrom<Cell> for $number {
            type Error = String;
            fn try_from(cell: Cell) -> Result<Self, String> {
                let number = i64::try_from(cell)?;
                number.try_into().map_err(|_| {
                    format!("{number} is no {}", stringify!($number))
                })
            }
        }
    )+ };
}
number_from_cell!(u8, u16, u32, u64);

macro_rules! fixed_bytes {
    ($($bytes:ident => $variant:ident),+ $(,)?) => { $(
        impl From<$bytes> for Value {
            fn from(bytes: $bytes) -> Self {
                Self::$variant(bytes)
            }
        }
        impl From<&$bytes> for Value {
            fn from(bytes: &$bytes) -> Self {
                Self::$variant(*bytes)
            }
        }
        impl From<Option<$bytes>> for Value {
            fn from(bytes: Option<$bytes>) -> Self {
                bytes.map_or(Self::Bytes(None), Self::$variant)
            }
        }
    )+ };
}
fixed_bytes!(B256 => Hash, Address => Address);

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(Some(bytes.to_vec()))
    }
}

impl From<&Bytes> for Value {
    fn from(bytes: &Bytes) -> Self {
        Self::Bytes(Some(bytes.to_vec()))
    }
}

impl From<Option<Bytes>> for Value {
    fn from(bytes: Option<Bytes>) -> Self {
        Self::Bytes(bytes.map(|bytes| bytes.to_vec()))
    }
}

impl From<U256> for Value {
    fn from(mask: U256) -> Self {
        Self::Hash(mask.into())
    }
}

impl From<Option<U256>> for Value {
    fn from(mask: Option<U256>) -> Self {
        mask.map_or(Self::Bytes(None), Self::from)
    }
}

impl From<Cow<'static, str>> for Value {
    fn from(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(word) => Self::Word(word),
            Cow::Owned(text) => Self::Text(Some(text)),
        }
    }
}

impl TryFrom<Cell> for i64 {
    type Error = String;
    fn try_from(cell: Cell) -> Result<Self, String> {
        match cell {
            Cell::Int(number) => Ok(number),
            other => Err(format!("{other:?} where a number belongs")),
        }
    }
}

impl TryFrom<Cell> for bool {
    type Error = String;
    fn try_from(cell: Cell) -> Result<Self, String> {
        match i64::try_from(cell)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("{other} where 0 or 1 belongs")),
        }
    }
}

impl TryFrom<Cell> for String {
    type Error = String;
    fn try_from(cell: Cell) -> Result<Self, String> {
        match cell {
            Cell::Text(text) => Ok(text),
            other => Err(format!("{other:?} where text belongs")),
        }
    }
}

impl TryFrom<Cell> for Amount {
    type Error = String;
    fn try_from(cell: Cell) -> Result<Self, String> {
        Amount::from_sql(&String::try_from(cell)?).map_err(|e| e.to_string())
    }
}

impl TryFrom<Cell> for Bytes {
    type Error = String;
    fn try_from(cell: Cell) -> Result<Self, String> {
        match cell {
            Cell::Bytes(bytes) => Ok(bytes.into()),
            other => Err(format!("{other:?} where bytes belong")),
        }
    }
}

impl TryFrom<Cell> for B256 {
    type Error = String;
    fn try_from(cell: Cell) -> Result<Self, String> {
        let bytes = Bytes::try_from(cell)?;
        B256::try_from(bytes.as_ref()).map_err(|_| format!("{} bytes, not 32", bytes.len()))
    }
}

impl TryFrom<Cell> for Address {
    type Error = String;
    fn try_from(cell: Cell) -> Result<Self, String> {
        let bytes = Bytes::try_from(cell)?;
        Address::try_from(bytes.as_ref()).map_err(|_| format!("{} bytes, not 20", bytes.len()))
    }
}

impl TryFrom<Cell> for U256 {
    type Error = String;
    fn try_from(cell: Cell) -> Result<Self, String> {
        B256::try_from(cell).map(Into::into)
    }
}
