//! Pages of the history of escrow and registry: by filter, in either order, at a bounded cost.

use alloy::primitives::{Address, B256};
use contracts::JobId;

use crate::Reader;
use crate::error::Result;
use crate::events::{EventRow, event_columns, event_from, event_joins};
use crate::reads::EVER;
use crate::registry::{self, KINDS, RegistryRow, receipt_columns, registry_columns};
use crate::terms::{lot_columns, order_columns};
use crate::values::{Row, Value};

/// Events that one page looks at when a second filter leaves most of them out. A page may then
/// be short though more follow.
const LOOKED_AT: u64 = if cfg!(test) { 5 } else { 2_000 };

/// Whose events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    Escrow,
    Registry,
}

/// Which events, and where their page begins.
#[derive(Clone, Debug, Default)]
pub struct HistoryFilter {
    pub contract: Option<Contract>,
    /// As in the tables: `deposited`, `unbond_requested`.
    pub kind: Option<String>,
    /// Events that name this job.
    pub job: Option<JobId>,
    /// Events that this account counts; of the registry those that name it beside the node.
    pub account: Option<Address>,
    /// Events that pay this node or commit its lots, and all of its bond.
    pub node: Option<Address>,
    /// Blocks above this one.
    pub after: Option<u64>,
    /// Blocks below this one.
    pub before: Option<u64>,
    /// Block and log index of the last event had.
    pub place: Option<(u64, u64)>,
    pub newest_first: bool,
    pub limit: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "most events of a page are the large ones")]
pub enum HistoryEvent {
    Escrow(EventRow),
    Registry(RegistryRow),
}

/// An event with its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    pub place: Place,
    pub mined_at: i64,
    pub event: HistoryEvent,
}

/// A place between events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub block: u64,
    pub log_index: u64,
    pub block_hash: B256,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    pub rows: Vec<HistoryRow>,
    /// Where to go on; None: nothing follows.
    pub next: Option<Place>,
}

impl Reader {
    /// One page of the history.
    pub async fn history(&self, filter: &HistoryFilter) -> Result<History> {
        let key = |place: Place| {
            let key = (i128::from(place.block), i128::from(place.log_index));
            if filter.newest_first { (-key.0, -key.1) } else { key }
        };
        let mut rows = Vec::new();
        let mut ends: Vec<Place> = Vec::new();
        for source in sources(filter) {
            let (found, end) = self.rows_of(&source, filter).await?;
            rows.extend(found);
            ends.extend(end);
        }
        // What one source has not looked at yet, no other may overtake.
        let end = ends.into_iter().min_by_key(|end| key(*end));
        rows.retain(|row| end.is_none_or(|end| key(row.place) <= key(end)));
        rows.sort_by_key(|row| key(row.place));
        let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
        if rows.len() > limit {
            rows.truncate(limit);
            let next = rows.last().map(|row| row.place);
            return Ok(History { rows, next });
        }
        Ok(History { rows, next: end })
    }

    /// The rows of one source, and where it stopped looking before its end.
    async fn rows_of(
        &self,
        source: &Source,
        filter: &HistoryFilter,
    ) -> Result<(Vec<HistoryRow>, Option<Place>)> {
        let question = source.question(filter, self.until);
        let (text, values) = question.rows();
        let read = self.pool.all_made(&text, values).await?;
        let mut places = Vec::new();
        for row in &read {
            let (block, log_index) = (row.get("block")?, row.get("log_index")?);
            let place = Place { block, log_index, block_hash: row.get("block_hash")? };
            places.push((place, row.get::<i64>("mined_at")?));
        }
        let events: Vec<HistoryEvent> = match source.contract {
            Contract::Escrow => {
                let rows = read.iter().map(|row| event_from(row).map(HistoryEvent::Escrow));
                rows.collect::<Result<_>>()?
            }
            Contract::Registry => {
                let mut words = registry::Words::new();
                if read.iter().any(|row| row.get("kind").is_ok_and(|kind: String| kind == SLASHED))
                {
                    let (text, values) = question.receipts();
                    words = registry::words_from(&self.pool.all_made(&text, values).await?)?;
                }
                let rows = registry::read(&read, words)?;
                rows.into_iter().map(HistoryEvent::Registry).collect()
            }
        };
        let rows = places.into_iter().zip(events);
        let rows: Vec<HistoryRow> =
            rows.map(|((place, mined_at), event)| HistoryRow { place, mined_at, event }).collect();
        let more = rows.len() > usize::try_from(filter.limit).unwrap_or(usize::MAX);
        let end = match rows.last() {
            Some(last) if more => Some(last.place),
            Some(_) | None => match question.end() {
                Some((text, values)) => self.place(&text, values).await?,
                None => None,
            },
        };
        Ok((rows, end))
    }

    async fn place(&self, text: &str, values: Vec<Value>) -> Result<Option<Place>> {
        let rows = self.pool.all_made(text, values).await?;
        let place = |row: &Row| {
            let (block, log_index) = (row.get("block")?, row.get("log_index")?);
            Ok(Place { block, log_index, block_hash: row.get("block_hash")? })
        };
        rows.first().map(place).transpose()
    }
}

const SLASHED: &str = "slashed";
/// An escrow's event is a node's when it pays the node or commits its lot.
const PAID: &str = "account = {} AND kind IN ('released', 'settled', 'redeemed')";
const COMMITTED: &str = "counterparty = {} AND kind = 'committed'";
const PAID_OR_COMMITTED: &str = "(account = {} AND kind IN ('released', 'settled', 'redeemed') \
     OR counterparty = {} AND kind = 'committed')";

/// A condition with `{}` for its value.
type Condition = (&'static str, Value);

/// Events that one index leads to, in their order.
#[derive(Debug)]
struct Source {
    contract: Contract,
    /// What the index fixes.
    lead: Vec<Condition>,
    /// What is looked at row by row.
    rest: Vec<Condition>,
}

/// Where the filtered events are. Each index leads by one filter; the narrowest is taken.
fn sources(filter: &HistoryFilter) -> Vec<Source> {
    let of_kind = filter.kind.as_deref().map(|kind| match KINDS.contains(&kind) {
        true => Contract::Registry,
        false => Contract::Escrow,
    });
    let asked = |contract| {
        let fits = |only: Option<Contract>| only.is_none_or(|only| only == contract);
        fits(of_kind) && fits(filter.contract)
    };
    let equal = |text: &'static str, value: Option<Value>| value.map(|value| (text, value));
    let kind = || equal("kind = {}", filter.kind.as_deref().map(Value::from));
    let job = || equal("job_id = {}", filter.job.map(Value::from));
    let account = || equal("account = {}", filter.account.map(Value::from));
    let mut sources = Vec::new();
    let mut add = |contract, conditions: Vec<Option<Condition>>| {
        let mut conditions = conditions.into_iter().flatten();
        let lead = conditions.by_ref().take(1).collect();
        sources.push(Source { contract, lead, rest: conditions.collect() });
    };
    if asked(Contract::Escrow) {
        let by_node = |text| equal(text, filter.node.map(Value::from));
        if filter.node.is_some() && filter.job.is_none() && filter.account.is_none() {
            add(Contract::Escrow, vec![by_node(PAID), kind()]);
            add(Contract::Escrow, vec![by_node(COMMITTED), kind()]);
        } else {
            add(Contract::Escrow, vec![job(), account(), by_node(PAID_OR_COMMITTED), kind()]);
        }
    }
    if asked(Contract::Registry) {
        let signer = equal("signer = {}", filter.node.map(Value::from));
        add(Contract::Registry, vec![signer, job(), account(), kind()]);
    }
    sources
}

impl Source {
    fn question(&self, filter: &HistoryFilter, until: u64) -> Question {
        let (beyond, within, way) =
            if filter.newest_first { ("<", ">=", "DESC") } else { (">", "<=", "ASC") };
        let mut values = Vec::new();
        let mut bind = |value: &Value| {
            values.push(value.clone());
            format!("${}", values.len())
        };
        let mut lead: Vec<String> =
            self.lead.iter().map(|(text, value)| text.replace("{}", &bind(value))).collect();
        let [block, log_index, end] = bounds(filter, until).map(|value| bind(&value));
        lead.push(format!("(block, log_index) {beyond} ({block}, {log_index})"));
        lead.push(format!("block {within} {end}"));
        let rest: Vec<String> =
            self.rest.iter().map(|(text, value)| text.replace("{}", &bind(value))).collect();
        let limit = bind(&(u64::from(filter.limit) + 1).into());
        let order = format!("ORDER BY block {way}, log_index {way}");
        let leading = self.lead.len() + BOUNDS;
        Question {
            contract: self.contract,
            lead: lead.join(" AND "),
            leading,
            rest,
            order,
            limit,
            values,
        }
    }
}

const BOUNDS: usize = 3;

/// Block and log index that lie before the page, and the last block of it.
fn bounds(filter: &HistoryFilter, until: u64) -> [Value; BOUNDS] {
    // No log index comes near it.
    let last_log = EVER;
    let highest = match filter.before {
        Some(0) => None,
        Some(before) => Some(until.min(before - 1)),
        None => Some(until),
    };
    let (low, high) = (Value::from(-1_i64), highest.map_or(Value::from(-1_i64), Value::from));
    if filter.newest_first {
        let top = highest.map(|high| (high, last_log));
        let start = filter.place.map_or(top, |place| top.map(|top| top.min(place)));
        let (block, log_index) = start.map_or((low.clone(), low), pair);
        let end = filter.after.map_or(0, |after| after.saturating_add(1).min(EVER));
        return [block, log_index, end.into()];
    }
    let start = filter.place.max(filter.after.map(|after| (after.min(EVER), last_log)));
    let (block, log_index) = start.map_or((low.clone(), low), pair);
    [block, log_index, high]
}

fn pair((block, log_index): (u64, u64)) -> (Value, Value) {
    (block.into(), log_index.into())
}

/// The texts that ask one source for a page.
#[derive(Debug)]
struct Question {
    contract: Contract,
    lead: String,
    /// How many of the values `lead` names; they are the first ones.
    leading: usize,
    rest: Vec<String>,
    order: String,
    limit: String,
    values: Vec<Value>,
}

impl Question {
    fn table(&self) -> &'static str {
        match self.contract {
            Contract::Escrow => "events",
            Contract::Registry => "registry_events",
        }
    }

    /// Places of the page's rows, read from the index alone where there is no second filter.
    fn places(&self) -> String {
        let Self { lead, rest, order, limit, .. } = self;
        let table = self.table();
        if rest.is_empty() {
            return format!(
                "SELECT block, log_index FROM {table} WHERE {lead} {order} LIMIT {limit}"
            );
        }
        let rest = rest.join(" AND ");
        format!(
            "SELECT block, log_index FROM (SELECT * FROM {table} WHERE {lead} {order} \
             LIMIT {LOOKED_AT}) s WHERE {rest} {order} LIMIT {limit}"
        )
    }

    /// The places come first whatever the planner thinks: SQLite keeps the order of CROSS JOIN.
    fn rows(&self) -> (String, Vec<Value>) {
        let (table, places) = (self.table(), self.places());
        let (columns, joins) = match self.contract {
            Contract::Escrow => (event_columns!(), event_joins!()),
            Contract::Registry => (registry_columns!(), ""),
        };
        let text = format!(
            "SELECT {columns}, b.hash AS block_hash, b.mined_at FROM ({places}) p \
             CROSS JOIN {table} e CROSS JOIN blocks b {joins}\
             WHERE e.block = p.block AND e.log_index = p.log_index AND b.block = p.block"
        );
        (text, self.values.clone())
    }

    /// The receipts of the page's slashes.
    fn receipts(&self) -> (String, Vec<Value>) {
        let (columns, places) = (receipt_columns!(), self.places());
        let text = format!(
            "SELECT {columns} FROM ({places}) p CROSS JOIN registry_receipts r \
             WHERE r.block = p.block AND r.log_index = p.log_index"
        );
        (text, self.values.clone())
    }

    /// The last place that a page with a second filter looks at; none without one.
    fn end(&self) -> Option<(String, Vec<Value>)> {
        if self.rest.is_empty() {
            return None;
        }
        let Self { lead, order, .. } = self;
        let (table, offset) = (self.table(), LOOKED_AT - 1);
        let text = format!(
            "SELECT p.block, p.log_index, b.hash AS block_hash FROM (SELECT block, log_index \
             FROM {table} WHERE {lead} {order} LIMIT 1 OFFSET {offset}) p \
             JOIN blocks b ON b.block = p.block"
        );
        Some((text, self.values.iter().take(self.leading).cloned().collect()))
    }
}

#[cfg(test)]
mod tests;
