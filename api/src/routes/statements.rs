//! Statements of an account or a node over a period: opening, movements, closing; JSON or CSV.

use alloy::primitives::Address;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use store::{BookSum, Movement, Period, Side, Statement, Tag};
use utoipa::{IntoParams, ToSchema};

use super::accounts::EntrySide;
use crate::edge::body::{AddressPath, Params};
use crate::edge::reply::Answer;
use crate::edge::view::View;
use crate::error::{Code, Problem};
use crate::wire::{Account, Hash, Money, Time};

/// Movements of one statement: some megabytes of JSON, and below a second of reading.
const MAX_MOVEMENTS: usize = 10_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatementParams {
    /// 2026-11, 2026-Q4, 2026, or FROM..TO: dates or RFC 3339 times, UTC; TO is not in it.
    period: String,
    /// json or csv; left out, the Accept header decides.
    #[serde(default)]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    Json,
    Csv,
}

/// Every book over the period, computed from all events since the contracts' deployment. Amounts
/// of a node's `pending` are before fee and burn, those `earned` after them.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatementView {
    pub account: Account,
    pub escrow: Account,
    pub period: PeriodView,
    /// `opening + credits - debits = closing` for each; the closing is the next period's opening.
    pub books: Vec<BookView>,
    /// In the chain's order; one for each book that an event moves.
    pub movements: Vec<MovementView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PeriodView {
    /// As it was asked for.
    pub text: String,
    /// Blocks of this second are in it.
    pub from: Time,
    /// Blocks of this second are not.
    pub to: Time,
    /// The newest block that counts; null: the index has none of the period or before it.
    pub last_block: Option<u64>,
    /// Every block of the period is final: the statement will never change.
    #[serde(rename = "final")]
    pub is_final: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BookView {
    /// Of an account: free, credit, in_jobs (of this payer, neither paid nor returned), bond. Of a
    /// node: earned (ever), pending (reserved in committed lots), bond.
    pub book: String,
    pub opening: Money,
    pub credits: Money,
    pub debits: Money,
    pub closing: Money,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MovementView {
    /// Name of the contract's event.
    pub event: String,
    pub block: u64,
    pub block_hash: Hash,
    pub log_index: u64,
    pub tx_hash: Hash,
    pub at: Time,
    pub job_id: Option<Hash>,
    pub book: String,
    /// debit takes the amount out of the book, credit puts it in.
    pub side: EntrySide,
    pub amount: Money,
    /// The book's balance afterwards.
    pub balance: Money,
}

/// Show an account's statement
#[utoipa::path(
    get, path = "/v1/accounts/{address}/statement", tag = "accounts",
    params(("address" = Account, Path), StatementParams),
    responses((status = 200, content(
        (Answer<StatementView> = "application/json"),
        (String = "text/csv"),
    )))
)]
pub async fn of_account(
    AddressPath(address): AddressPath,
    view: View,
    Params(params): Params<StatementParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked::read(&view, params, &headers)?;
    let statement = asked.statement(address, Side::Wallet).await?;
    asked.answer(address, &statement).await
}

/// Show what a node earned
#[utoipa::path(
    get, path = "/v1/nodes/{address}/earnings", tag = "accounts",
    params(("address" = Account, Path), StatementParams),
    responses((status = 200, content(
        (Answer<StatementView> = "application/json"),
        (String = "text/csv"),
    )))
)]
pub async fn of_node(
    AddressPath(address): AddressPath,
    view: View,
    Params(params): Params<StatementParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked::read(&view, params, &headers)?;
    let statement = asked.statement(address, Side::Node).await?;
    let reader = &view.reader;
    let untouched = |sum: &BookSum| sum.opening.is_zero() && sum.credits.is_zero();
    if statement.books.iter().all(untouched)
        && reader.node(address).await?.is_none()
        && reader.bond(address).await?.is_none()
    {
        return Err(Code::NodeNotFound.because(format!("no node {address} is known here")));
    }
    asked.answer(address, &statement).await
}

/// A request for a statement.
struct Asked<'a> {
    view: &'a View,
    text: String,
    period: Period,
    format: Format,
}

impl<'a> Asked<'a> {
    fn read(view: &'a View, params: StatementParams, headers: &HeaderMap) -> Result<Self, Problem> {
        let StatementParams { period: text, format } = params;
        let period = text.parse::<Period>();
        let period =
            period.map_err(|problem| Code::BadQuery.because(problem.to_string()).at("period"))?;
        let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let csv = accepts.is_some_and(|accepts| accepts.contains("text/csv"));
        let format = format.unwrap_or(if csv { Format::Csv } else { Format::Json });
        Ok(Self { view, text, period, format })
    }

    async fn statement(&self, of: Address, side: Side) -> Result<Statement, Problem> {
        let (reader, tip) = (&self.view.reader, self.view.tip.number);
        let read = reader.statement(of, side, self.period, tip, MAX_MOVEMENTS).await?;
        read.ok_or_else(|| {
            let detail = format!("{} has more than {MAX_MOVEMENTS} movements", self.text);
            Code::PeriodTooLong.because(detail).at("period")
        })
    }

    async fn answer(&self, of: Address, told: &Statement) -> Result<Response, Problem> {
        let is_final = self.is_final().await?;
        let view = self.statement_view(of, told, is_final)?;
        if self.format == Format::Json {
            return Ok(self.view.fact(view));
        }
        let name = format!("statement-{of}-{}.csv", self.text.replace([':', '+'], "_"));
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
            (header::CONTENT_DISPOSITION, attachment(&name)),
        ];
        Ok(self.view.file((headers, csv(&view))))
    }

    fn statement_view(
        &self,
        of: Address,
        statement: &Statement,
        is_final: bool,
    ) -> Result<StatementView, Problem> {
        let asset = &self.view.asset;
        let book = |sum: &BookSum| BookView {
            book: sum.book.as_str().into(),
            opening: asset.money(sum.opening),
            credits: asset.money(sum.credits),
            debits: asset.money(sum.debits),
            closing: asset.money(sum.closing),
        };
        let movement = |moved: &Movement| {
            let block = statement.blocks.get(&moved.block).ok_or_else(|| {
                Code::Internal.because(format!("block {} of a movement is missing", moved.block))
            })?;
            Ok(MovementView {
                event: moved.event.into(),
                block: moved.block,
                block_hash: Hash(block.hash),
                log_index: moved.log_index,
                tx_hash: Hash(moved.tx_hash),
                at: Time::at(block.mined_at),
                job_id: moved.job_id.map(Hash),
                book: moved.book.as_str().into(),
                side: if moved.debit { EntrySide::Debit } else { EntrySide::Credit },
                amount: asset.money(moved.amount),
                balance: asset.money(moved.balance),
            })
        };
        Ok(StatementView {
            account: Account(of),
            escrow: Account(self.view.escrow.address),
            period: self.period_view(statement, is_final),
            books: statement.books.iter().map(book).collect(),
            movements: statement.movements.iter().map(movement).collect::<Result<_, Problem>>()?,
        })
    }

    fn period_view(&self, statement: &Statement, is_final: bool) -> PeriodView {
        PeriodView {
            text: self.text.clone(),
            from: Time::at(self.period.from),
            to: Time::at(self.period.to),
            last_block: statement.last.as_ref().map(|block| block.number),
            is_final,
        }
    }

    /// A final block is past the period, so every block of it is final.
    async fn is_final(&self) -> Result<bool, Problem> {
        let (view, marks) = (self.view, &self.view.marks);
        let finalized = marks.heads.iter().find(|head| head.tag == Tag::Finalized);
        let Some(finalized) = finalized else { return Ok(false) };
        let newest = finalized.block.min(view.tip.number);
        let past = view.reader.block_at_or_below(newest).await?;
        Ok(past.is_some_and(|past| {
            past.mined_at >= self.period.to && view.settled(past.number) == Tag::Finalized
        }))
    }
}

/// The name holds nothing that ends a quoted string: it is made of an address and a read period.
fn attachment(name: &str) -> HeaderValue {
    let text = format!("attachment; filename=\"{name}\"");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("attachment"))
}

/// The columns of a statement as CSV. No value holds a comma or a quote.
const COLUMNS: &str = "line,book,time,block,block_hash,log_index,tx_hash,event,job_id,change,\
     balance,change_decimal,balance_decimal,decimals,asset\n";

/// One line for each opening, movement and closing; a debit's change is below zero.
fn csv(view: &StatementView) -> String {
    let mut text = COLUMNS.to_owned();
    for book in &view.books {
        text.push_str(&total("opening", &book.book, &view.period.from, &book.opening));
    }
    for moved in &view.movements {
        let sign = if moved.side == EntrySide::Debit { "-" } else { "" };
        let job = moved.job_id.map(|job| job.0.to_string()).unwrap_or_default();
        let place = [
            &moved.at.utc,
            &moved.block.to_string(),
            &moved.block_hash.0.to_string(),
            &moved.log_index.to_string(),
            &moved.tx_hash.0.to_string(),
        ];
        let Money { amount, decimals, asset, .. } = &moved.amount;
        let line = format!(
            "movement,{},{},{},{job},{sign}{amount},{},{sign}{},{},{decimals},{asset}\n",
            moved.book,
            place.map(String::as_str).join(","),
            moved.event,
            moved.balance.amount,
            plain(&moved.amount),
            plain(&moved.balance),
        );
        text.push_str(&line);
    }
    for book in &view.books {
        text.push_str(&total("closing", &book.book, &view.period.to, &book.closing));
    }
    text
}

fn total(line: &str, book: &str, at: &Time, balance: &Money) -> String {
    let Money { amount, decimals, asset, .. } = balance;
    format!("{line},{book},{},,,,,,,,{amount},,{},{decimals},{asset}\n", at.utc, plain(balance))
}

/// The decimal number without the token's symbol, which anyone may have chosen.
fn plain(money: &Money) -> &str {
    money.formatted.split(' ').next().unwrap_or_default()
}
