//! What can go wrong in the store, each with its cause and the next step.

use alloy::primitives::B256;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "`{0}` names no database; write sqlite:/path/to/file.db or postgres://user@host/database"
    )]
    Url(String),
    #[error(
        "cannot open the database {url}: {source}; check that it runs, its rights and its disk"
    )]
    Open { url: String, source: Box<sqlx::Error> },
    #[error("database refused `{statement}`: {source}")]
    Database { statement: String, source: Box<sqlx::Error> },
    #[error(
        "{url} is no database of SQLite, nothing was written to it; check the path of the file"
    )]
    NotADatabase { url: String },
    #[error(
        "the database is damaged ({source}), nothing was written; stop what uses it, restore a \
         backup or index again into a fresh database"
    )]
    Damaged { source: Box<sqlx::Error> },
    #[error(
        "the disk of the database is full ({source}), so nothing of this step was kept; free some \
         space, then it goes on by itself"
    )]
    DiskFull { source: Box<sqlx::Error> },
    #[error(
        "the disk of the database fails ({source}), so nothing of this step was kept; look into \
         the system's log, move the database to a sound disk, then start again"
    )]
    DiskFails { source: Box<sqlx::Error> },
    #[error(
        "the database does not let this process write ({source}); give its user the right (for \
         SQLite to the file and its folder), or name a database that is only read as \
         store.read_url"
    )]
    NotAllowed { source: Box<sqlx::Error> },
    #[error(
        "this process has its database for reading alone, nothing was written; set store.url \
         beside store.read_url, or ask a process that writes"
    )]
    ReadOnly,
    #[error("cannot create folder {path}: {source}; check its parent's rights")]
    Folder { path: String, source: std::io::Error },
    #[error("cannot lock {path}: {source}; check its rights and that its disk can lock files")]
    LockFile { path: String, source: std::io::Error },
    #[error(
        "another {role} runs on this database; stop it first, or give this one a database of its \
         own"
    )]
    Taken { role: &'static str },
    #[error(
        "another {role} has taken this database over, nothing was written; see that only one of \
         them is started"
    )]
    Superseded { role: &'static str },
    #[error("number {0} does not fit the database's 63 bits; the value handed in is wrong")]
    TooLarge(u64),
    #[error(
        "column `{column}` holds what the store never writes: {problem}; the row was altered, \
         restore a backup or index again into a fresh database"
    )]
    Altered { column: String, problem: String },
    #[error(
        "migration {version} of this database is not the one this program knows; \
         run the release that made the database, or start on a fresh one"
    )]
    Migration { version: i64 },
    #[error(
        "the database was made by a newer release: it has migration {version}, this program knows \
         {known} of them; run that release or a later one"
    )]
    NewerSchema { version: i64, known: i64 },
    #[error(
        "the database is of an older release: it has {version} migrations, this program needs \
         {known}; start the indexer of this release on it, which brings it up to date"
    )]
    OlderSchema { version: i64, known: i64 },
    #[error("the database has no tables yet; start the indexer on it first, or check the URL")]
    NoSchema,
    #[error("{what} is stored already with other content; nothing was changed")]
    Conflict { what: String },
    #[error(
        "this database follows another escrow: its {field} is {stored}, the chain says {given}; \
         use a database of its own for each escrow and chain"
    )]
    OtherEscrow { field: &'static str, stored: String, given: String },
    #[error("step does not continue the stored chain: {0}; nothing was written")]
    BrokenStep(String),
    #[error(
        "refused to rewind to block {fork}: block {finalized} is final; the chain node contradicts \
         itself, compare it with another one before going on"
    )]
    BelowFinalized { fork: u64, finalized: u64 },
    #[error("lease {lease_id} is {state}, not active; take a new lease for its units")]
    LeaseNotActive { lease_id: String, state: String },
    #[error("delivery does not fit its lease: {0}; nothing was written")]
    WrongDelivery(String),
    #[error("intent {intent_id} is {state}; only a waiting or unknown one takes a transaction")]
    IntentClosed { intent_id: i64, state: String },
    #[error("the chain was reorganised while this was read; ask again")]
    Rewound,
    #[error("no {what} with key {key} in the store")]
    Missing { what: &'static str, key: String },
    #[error("entries of event {block}/{log_index} do not add up: {source}; the row was altered")]
    Unbalanced { block: u64, log_index: u64, source: contracts::amount::AmountError },
    #[error("object store: {0}; check free space and rights of the objects folder")]
    Objects(#[from] object_store::Error),
    #[error("object {0} no longer matches its hash; restore its file from a backup")]
    DamagedObject(B256),
}

impl Error {
    /// True when the same call may succeed later without anyone's help: a lock, a lost
    /// connection, a database that is starting or stopping.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Open { source, .. } | Self::Database { source, .. } => transient(source),
            // The same step may go through once somebody has made room.
            Self::DiskFull { .. } => true,
            Self::Rewound => true,
            Self::Url(_)
            | Self::NotADatabase { .. }
            | Self::Damaged { .. }
            | Self::DiskFails { .. }
            | Self::NotAllowed { .. }
            | Self::ReadOnly
            | Self::Folder { .. }
            | Self::LockFile { .. }
            | Self::Taken { .. }
            | Self::Superseded { .. }
            | Self::TooLarge(_)
            | Self::Altered { .. }
            | Self::Migration { .. }
            | Self::NewerSchema { .. }
            | Self::OlderSchema { .. }
            | Self::NoSchema
            | Self::Conflict { .. }
            | Self::OtherEscrow { .. }
            | Self::BrokenStep(_)
            | Self::BelowFinalized { .. }
            | Self::LeaseNotActive { .. }
            | Self::WrongDelivery(_)
            | Self::IntentClosed { .. }
            | Self::Missing { .. }
            | Self::Unbalanced { .. }
            | Self::Objects(_)
            | Self::DamagedObject(_) => false,
        }
    }

    /// True when a table is asked for that the database does not have.
    pub(crate) fn is_missing_table(&self) -> bool {
        let Self::Database { source, .. } = self else { return false };
        source.as_database_error().is_some_and(|error| {
            error.code().is_some_and(|code| code == "42P01")
                || error.message().starts_with("no such table")
        })
    }

    pub(crate) fn opening(url: String, source: sqlx::Error) -> Self {
        match Self::of_code(source, &url) {
            Ok(error) => error,
            Err(source) => Self::Open { url, source: Box::new(source) },
        }
    }

    fn of_code(source: sqlx::Error, place: &str) -> Result<Self, sqlx::Error> {
        let code = source.as_database_error().and_then(|error| error.code());
        let Some(trouble) = code.and_then(|code| trouble(&code)) else { return Err(source) };
        let source = Box::new(source);
        Ok(match trouble {
            Trouble::NoDatabase => Self::NotADatabase { url: place.to_owned() },
            Trouble::Damaged => Self::Damaged { source },
            Trouble::DiskFull => Self::DiskFull { source },
            Trouble::DiskFails => Self::DiskFails { source },
            Trouble::NotAllowed => Self::NotAllowed { source },
        })
    }

    pub(crate) fn database(statement: &str, source: sqlx::Error) -> Self {
        let source = match Self::of_code(source, "the file") {
            Ok(error) => return error,
            Err(source) => source,
        };
        // Enough to find the query in the source; values are never part of the text.
        let statement: String = statement.chars().take(80).collect();
        let unique = source.as_database_error().is_some_and(|e| e.is_unique_violation());
        if unique {
            return Self::Conflict { what: format!("a row of `{statement}`") };
        }
        Self::Database { statement, source: Box::new(source) }
    }
}

/// What a code says of the database itself, whatever was asked of it.
enum Trouble {
    NoDatabase,
    Damaged,
    DiskFull,
    DiskFails,
    NotAllowed,
}

/// SQLite: 26 no database, 11 damaged, 13 full, 10 disk, 8 read-only, by the low byte. Postgres:
/// XX001 and XX002 damaged, 53100 full, 58030 disk, 25006 read-only, 42501 no right to it.
fn trouble(code: &str) -> Option<Trouble> {
    match code {
        "XX001" | "XX002" => return Some(Trouble::Damaged),
        "53100" => return Some(Trouble::DiskFull),
        "58030" => return Some(Trouble::DiskFails),
        "25006" | "42501" => return Some(Trouble::NotAllowed),
        _ if code.len() == 5 => return None,
        _ => {}
    }
    let Ok(code) = code.parse::<u32>() else { return None };
    match code & 0xff {
        26 => Some(Trouble::NoDatabase),
        11 => Some(Trouble::Damaged),
        13 => Some(Trouble::DiskFull),
        10 => Some(Trouble::DiskFails),
        8 => Some(Trouble::NotAllowed),
        _ => None,
    }
}

fn transient(error: &sqlx::Error) -> bool {
    if let sqlx::Error::Database(error) = error {
        return error.code().is_some_and(|code| transient_code(&code));
    }
    // sqlx's enum is open: whatever it adds stops the process until someone has looked.
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed)
}

/// SQLite's codes are numbers whose low byte says busy (5) or locked (6). Those of Postgres have
/// five characters: 08 connection, 40 rolled back, 53 resources, 57P0x stopping or starting,
/// 55P03 lock not had in time, 57014 statement over its time.
fn transient_code(code: &str) -> bool {
    if code.len() == 5 {
        let class = matches!(&code[..2], "08" | "40" | "53");
        return class || code.starts_with("57P0") || code == "55P03" || code == "57014";
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_and_lost_connections_are_transient_and_nothing_else() {
        for code in ["5", "517", "6", "261", "08006", "40001", "40P01", "53300", "57P01", "55P03"] {
            assert!(transient_code(code), "{code}");
        }
        for code in ["1", "19", "787", "2067", "23505", "23503", "42P01", "22003"] {
            assert!(!transient_code(code), "{code}");
        }
        for (code, is) in [
            ("26", "no database"),
            ("11", "damaged"),
            ("267", "damaged"),
            ("XX001", "damaged"),
            ("13", "full"),
            ("53100", "full"),
            ("1034", "fails"),
            ("58030", "fails"),
            ("8", "not allowed"),
            ("1032", "not allowed"),
            ("42501", "not allowed"),
            ("25006", "not allowed"),
            ("5", "-"),
            ("14", "-"),
            ("42P01", "-"),
        ] {
            let found = match trouble(code) {
                Some(Trouble::NoDatabase) => "no database",
                Some(Trouble::Damaged) => "damaged",
                Some(Trouble::DiskFull) => "full",
                Some(Trouble::DiskFails) => "fails",
                Some(Trouble::NotAllowed) => "not allowed",
                None => "-",
            };
            assert_eq!(found, is, "{code}");
        }
        assert!(!Error::Conflict { what: "x".into() }.is_transient());
    }
}
