//! Replays the logs into a fresh store; compares with a database, contract storage, token balance.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy::primitives::B256;
use contracts::Amount;
use serde::Serialize;
use store::{Block, Escrow, Owed, Reader, Store};

use crate::chain::{Chain, ChainError, Rpc};
use crate::{Config, Error, Follower, Looked, Snapshots, identity};

mod books;
mod bundled;
mod claims;
mod gaps;
pub mod legacy;
mod rows;
mod storage;
mod stored;
mod up_to;

pub use books::Book;
pub use bundled::{Wanted, bundle};
pub use storage::RegistryHeld;
pub use up_to::Until;
use up_to::{UpTo, last_block};

/// Blocks compared at a time: memory follows their events, never the length of the chain.
const BLOCKS_AT_ONCE: u64 = 2_000;
/// Looks in a row that found nothing to do before the replay gives up: the chain node does not
/// reach the audited block.
const IDLE_LOOKS: u32 = 20;
const IDLE_PAUSE: Duration = Duration::from_millis(250);
/// Differences kept for the report; the first one says where to look, more of them little.
const MOST_DIFFERENCES: usize = 50;

/// One value that is not what the chain says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub table: &'static str,
    /// The row, by its key.
    pub row: String,
    pub column: String,
    /// The event that wrote the row, as block and log index.
    pub log: Option<(u64, u64)>,
    pub expected: String,
    pub found: String,
    /// Who knows better: the chain, or the hash that the row is named by.
    pub authority: &'static str,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { table, row, column, log, expected, found, authority } = self;
        write!(f, "table {table}, row {row}, column {column}: {found}, ")?;
        write!(f, "but {authority} says {expected}")?;
        match log {
            Some((block, log_index)) => write!(f, " (block {block} log {log_index})"),
            None => Ok(()),
        }
    }
}

/// What the replay found. Amounts are base units of the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub escrow: Escrow,
    /// The block up to which everything was compared.
    pub block: u64,
    pub block_hash: B256,
    pub events: u64,
    pub accounts: u64,
    pub jobs: u64,
    pub lots: u64,
    /// The running digest of the replay.
    pub digest: B256,
    /// That of the audited database, when one was given.
    pub stored_digest: Option<B256>,
    /// The escrow's balance of the token at that block.
    pub token_balance: Amount,
    /// All that the escrow owes: free balances, credit and what jobs hold.
    pub liabilities: Amount,
    /// The same by kind, and the registry's bonds.
    pub owed: Owed,
    /// Tokens sent to the escrow without a deposit: nobody's.
    pub surplus: Amount,
    /// What the node registry holds and owes, where one is followed.
    pub registry: Option<RegistryHeld>,
    /// The balance sheet: every book that is not empty; together they sum to zero.
    pub books: Vec<Book>,
    /// Empty when all is as the chain says; at most 50, in the order of tables and blocks.
    pub differences: Vec<Difference>,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty()
    }

    /// What to tell first.
    pub fn first(&self) -> Option<&Difference> {
        self.differences.first()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Index(#[from] Error),
    #[error("the database holds no block yet; run `rndr indexer` on it first")]
    Empty,
    #[error("the fresh store for the replay is not empty; give the audit a new one")]
    NotFresh,
    #[error(
        "the chain node does not reach block {block}, up to which the database goes; wait until \
         it has caught up, or ask another one"
    )]
    NodeBehind { block: u64 },
    #[error("block {block} was replaced during the audit; run it again")]
    Moved { block: u64 },
    #[error(
        "block {block} is not in the database yet, which goes up to {tip}; name an older one, or \
         wait for the indexer"
    )]
    NotIndexed { block: u64, tip: u64 },
    #[error(
        "block {block} is before the escrow's deployment in block {deployed}; name a later one"
    )]
    BeforeDeployment { block: u64, deployed: u64 },
    #[error("there are no proofs to bundle: {0}")]
    NoProof(String),
    #[error("the replayed amounts do not add up: {0}")]
    Sum(#[from] contracts::AmountError),
}

impl From<store::Error> for AuditError {
    fn from(error: store::Error) -> Self {
        Self::Index(error.into())
    }
}

impl From<ChainError> for AuditError {
    fn from(error: ChainError) -> Self {
        Self::Index(error.into())
    }
}

/// Replays the escrow from its deployment into `fresh`, an empty store, and compares everything
/// with `against`, where it is given, and with the contract. Differences are in the report; an
/// error means that there was no comparison.
pub async fn replay(
    config: &Config,
    fresh: Store,
    against: Option<Store>,
    until: Until,
) -> Result<Report, AuditError> {
    let chain = Rpc::new(&config.rpc_urls, config.prove)?;
    replay_on(&chain, config, &fresh, against.as_ref(), until).await
}

pub(crate) async fn replay_on<C: Chain>(
    chain: &C,
    config: &Config,
    fresh: &Store,
    against: Option<&Store>,
    until: Until,
) -> Result<Report, AuditError> {
    if fresh.reader().tip().await?.is_some() {
        return Err(AuditError::NotFresh);
    }
    let mut config = config.clone();
    let audited = match against {
        Some(store) => {
            let reader = store.reader();
            let escrow = reader.escrow().await?.ok_or(AuditError::Empty)?;
            let tip = reader.tip().await?.ok_or(AuditError::Empty)?;
            identity::same_registry(escrow.registry, config.registry).map_err(Error::from)?;
            config.deploy_block = config.deploy_block.or(Some(escrow.deploy_block));
            Some((reader, escrow, tip))
        }
        None => None,
    };
    let stood = match &audited {
        Some((_, _, tip)) => stands(chain, tip).await?,
        None => false,
    };
    let last = last_block(chain, until, audited.as_ref().map(|(_, _, tip)| tip.number)).await?;
    let (escrow, tip) = fill(chain, &config, fresh, last).await?;
    let replayed = fresh.reader();
    let mut found = Findings::default();
    if let Some((reader, stored, stored_tip)) = &audited {
        compare_escrow(chain, &escrow, stored, &mut found).await?;
        let upto = (last, stored_tip.number);
        rows::compare(chain, &replayed, reader, &escrow, upto, &mut found).await?;
        claims::compare(&replayed, reader, &escrow, &mut found).await?;
        if stored_tip.number == last {
            let place = Place::new("blocks", format!("block {last}"));
            found.same(&place, "hash", tip.hash, stored_tip.hash);
        }
    }
    let at = (&escrow, tip.hash);
    let held = storage::compare(chain, &replayed, at, &mut found).await?;
    let (events, books) = books::sheet(&replayed, escrow.deploy_block, last).await?;
    books::check(&books, &held, &mut found)?;
    if !found.0.is_empty() && moved(chain, &tip, audited.as_ref(), stood).await? {
        return Err(AuditError::Moved { block: last });
    }
    Ok(Report {
        block: last,
        block_hash: tip.hash,
        events,
        accounts: held.accounts,
        jobs: held.jobs,
        lots: held.lots,
        digest: tip.digest,
        stored_digest: match &audited {
            // Only events move the digest, so a block that is not stored has that of the one below.
            Some((reader, _, _)) => reader.block_at_or_below(last).await?.map(|block| block.digest),
            None => None,
        },
        token_balance: held.token_balance,
        liabilities: held.liabilities,
        owed: held.owed,
        surplus: held.token_balance.checked_sub(held.liabilities).unwrap_or_default(),
        registry: held.registry,
        books,
        differences: found.0,
        escrow,
    })
}

/// Whether chain or index left the audited branch meanwhile: what differs then says nothing.
/// `stood`: the index was on the chain when the audit began.
async fn moved<C: Chain>(
    chain: &C,
    tip: &Block,
    audited: Option<&(Reader, Escrow, Block)>,
    stood: bool,
) -> Result<bool, AuditError> {
    if !stands(chain, tip).await? {
        return Ok(true);
    }
    match audited {
        Some((reader, _, stored)) => Ok(reader.block(stored.number).await?.as_ref()
            != Some(stored)
            || (stood && !stands(chain, stored).await?)),
        None => Ok(false),
    }
}

/// Whether the chain has this very block.
async fn stands<C: Chain>(chain: &C, block: &Block) -> Result<bool, AuditError> {
    let there = chain.header(block.number).await?;
    Ok(there.is_some_and(|there| there.hash == block.hash))
}

/// Follows the chain into the fresh store, up to block `last` and not further.
async fn fill<C: Chain>(
    chain: &C,
    config: &Config,
    fresh: &Store,
    last: u64,
) -> Result<(Escrow, Block), AuditError> {
    let capped = UpTo { chain, last };
    let follower = Follower::start(&capped, config, fresh).await?;
    let mut follower = follower.with_snapshots(Snapshots::Each);
    let deployed = follower.escrow().deploy_block;
    if last < deployed {
        return Err(AuditError::BeforeDeployment { block: last, deployed });
    }
    let reader = fresh.reader();
    let mut idle = 0;
    // Ends at `last`, or after IDLE_LOOKS looks without progress.
    loop {
        let looked = match follower.look().await {
            Ok(looked) => looked,
            Err(error) if error.is_transient() && idle < IDLE_LOOKS => Looked::Idle,
            Err(error) => return Err(error.into()),
        };
        let tip = reader.tip().await?;
        if let Some(tip) = tip.filter(|tip| tip.number >= last) {
            return Ok((follower.escrow().clone(), tip));
        }
        match looked {
            Looked::Moved => idle = 0,
            Looked::Idle | Looked::Unclear if idle >= IDLE_LOOKS => {
                return Err(AuditError::NodeBehind { block: last });
            }
            Looked::Idle | Looked::Unclear => {
                idle += 1;
                tokio::time::sleep(IDLE_PAUSE).await;
            }
        }
    }
}

async fn compare_escrow<C: Chain>(
    chain: &C,
    expected: &Escrow,
    stored: &Escrow,
    found: &mut Findings,
) -> Result<(), AuditError> {
    let place = Place::new("escrows", stored.address.to_string());
    found.columns(&place, &columns(expected), &columns(stored));
    // Started too late, the replay would miss the same logs as the index.
    if let Some(before) = expected.deploy_block.checked_sub(1) {
        match chain.code(expected.address, Some(before)).await {
            Ok(code) => {
                found.same(&place, "deploy_block has code before it", false, !code.is_empty())
            }
            Err(ChainError::Refused { reason, .. }) => {
                tracing::warn!(reason, "the deployment block is taken on trust: no old state");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A row, to be named in a difference.
struct Place {
    table: &'static str,
    row: String,
    log: Option<(u64, u64)>,
    authority: &'static str,
}

impl Place {
    fn new(table: &'static str, row: String) -> Self {
        Self { table, row, log: None, authority: "the chain" }
    }
}

/// Differences so far.
#[derive(Default)]
struct Findings(Vec<Difference>);

impl Findings {
    fn same<T: PartialEq + ToString>(&mut self, at: &Place, column: &str, expected: T, found: T) {
        if expected != found {
            self.add(at, column, expected.to_string(), found.to_string());
        }
    }

    fn columns(&mut self, at: &Place, expected: &Columns, found: &Columns) {
        for (column, expected) in expected {
            let none = "nothing".to_owned();
            let found = found.get(column).unwrap_or(&none);
            self.same(at, column, expected, found);
        }
    }

    fn add(&mut self, at: &Place, column: &str, expected: String, found: String) {
        if self.0.len() < MOST_DIFFERENCES {
            let Place { table, log, authority, .. } = *at;
            let (row, column) = (at.row.clone(), column.to_owned());
            self.0.push(Difference { table, row, column, log, expected, found, authority });
        }
    }
}

type Columns = BTreeMap<String, String>;

/// A row's columns as text, those of an order or lot inside it among them.
fn columns<T: Serialize>(row: &T) -> Columns {
    let mut columns = Columns::new();
    // Rows are plain structs: they always have a JSON form.
    flatten(serde_json::to_value(row).unwrap_or_default(), "", &mut columns);
    columns
}

fn flatten(value: serde_json::Value, name: &str, into: &mut Columns) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                flatten(value, &name, into);
            }
        }
        serde_json::Value::String(text) => {
            into.insert(name.to_owned(), text);
        }
        other => {
            into.insert(name.to_owned(), other.to_string());
        }
    }
}
