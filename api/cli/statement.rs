//! `rndr statement`: an account's books over a period, from the API; the sums are made again here.
use clap::Args;
use contracts::Amount;
use serde::Deserialize;
use serde_json::Value;

use crate::config::Settings;
use crate::exit::{Failure, Outcome};
use crate::remote::Remote;
use crate::talk::{Talk, table};
use crate::wallet::{self, address};

/// Show an account's or a node's books over a period: opening, movements, closing
///
/// The figures are the API's, and every sum is made again here. Who has a database reads them
/// from the event rows instead: `rndr audit export --of payer ADDRESS`.
#[derive(Args, Debug)]
pub struct StatementOf {
    /// Whose; the keystore's when left out
    #[arg(value_name = "ADDRESS")]
    account: Option<String>,
    /// 2026-11, 2026-Q4, 2026, or FROM..TO: dates or RFC 3339 times, UTC; TO is not in it
    #[arg(long)]
    period: String,
    /// What it earned as a node, in place of what it has as a wallet
    #[arg(long)]
    node: bool,
}

#[derive(Debug, Deserialize)]
struct Statement {
    account: String,
    period: Period,
    books: Vec<Book>,
    movements: Vec<Movement>,
}

#[derive(Debug, Deserialize)]
struct Period {
    from: Time,
    to: Time,
    #[serde(rename = "final")]
    is_final: bool,
}

#[derive(Debug, Deserialize)]
struct Time {
    utc: String,
}

#[derive(Debug, Deserialize)]
struct Money {
    amount: Amount,
    formatted: String,
}

#[derive(Debug, Deserialize)]
struct Book {
    book: String,
    opening: Money,
    credits: Money,
    debits: Money,
    closing: Money,
}

#[derive(Debug, Deserialize)]
struct Movement {
    event: String,
    tx_hash: String,
    at: Time,
    book: String,
    side: String,
    amount: Money,
    balance: Money,
}

pub async fn statement(command: StatementOf, settings: &Settings, talk: &Talk) -> Outcome {
    // The server reads it too; a wrong one needs no server to be told.
    if let Err(problem) = command.period.parse::<store::Period>() {
        return Err(Failure::usage(problem.to_string(), "correct --period"));
    }
    let account = match &command.account {
        Some(text) => address(text)?,
        None => wallet::open(settings).await?.address(),
    };
    let path = if command.node { "nodes" } else { "accounts" };
    let verb = if command.node { "earnings" } else { "statement" };
    // Plus signs of time zones would be read as spaces.
    let period = command.period.replace('+', "%2B");
    let path = format!("/v1/{path}/{account}/{verb}?format=json&period={period}");
    let told: Value = Remote::new(&settings.client.api)?.get(&path).await?;
    let statement: Statement = serde_json::from_value(told.clone()).map_err(|error| {
        Failure::mismatch(format!("the API's answer to {path} makes no sense: {error}"))
    })?;
    if statement.account != account.to_checksum(None) {
        let other = &statement.account;
        return Err(Failure::mismatch(format!("asked about {account}, told about {other}")));
    }
    check(&statement)?;
    talk.data(&told, || text(&statement));
    Ok(())
}

/// `opening + credits - debits = closing` in every book, movement by movement.
fn check(statement: &Statement) -> Outcome {
    for Book { book, opening, credits, debits, closing } in &statement.books {
        let wrong = |what: String| {
            Failure::mismatch(format!("the API's statement does not add up: {book}: {what}"))
        };
        let (mut balance, mut into, mut out) = (opening.amount.base(), 0, 0);
        for moved in statement.movements.iter().filter(|moved| moved.book == *book) {
            let amount = moved.amount.amount.base();
            let next = match moved.side.as_str() {
                "credit" => balance.checked_add(amount),
                "debit" => balance.checked_sub(amount),
                side => return Err(wrong(format!("no side is called {side}"))),
            };
            *(if moved.side == "credit" { &mut into } else { &mut out }) += amount;
            balance =
                next.filter(|next| *next == moved.balance.amount.base()).ok_or_else(|| {
                    let told = moved.balance.amount;
                    wrong(format!("{balance} and {} of {amount} is not {told}", moved.side))
                })?;
        }
        if (into, out) != (credits.amount.base(), debits.amount.base()) {
            let what = format!("its movements come to {into} in and {out} out");
            return Err(wrong(what));
        }
        if balance != closing.amount.base() {
            return Err(wrong(format!("it ends with {balance}, not {}", closing.amount)));
        }
    }
    match statement.movements.iter().find(|m| statement.books.iter().all(|b| b.book != m.book)) {
        None => Ok(()),
        Some(moved) => {
            let what = format!("a movement of the book {}, which is not in it", moved.book);
            Err(Failure::mismatch(format!("the API's statement does not add up: {what}")))
        }
    }
}

fn text(statement: &Statement) -> String {
    let Period { from, to, is_final } = &statement.period;
    let settled = if *is_final { "final" } else { "not final yet" };
    let mut text = table(&[
        ("account", statement.account.clone()),
        ("period", format!("{} to {}, {settled}", from.utc, to.utc)),
    ]);
    for Book { book, opening, credits, debits, closing } in &statement.books {
        let [opening, credits, debits, closing] =
            [opening, credits, debits, closing].map(|money| &money.formatted);
        text.push_str(&format!("\n\n{book}\n  {} opening {opening}", from.utc));
        for moved in statement.movements.iter().filter(|moved| moved.book == *book) {
            let Movement { event, tx_hash, at, side, amount, balance, .. } = moved;
            let sign = if side == "debit" { "-" } else { "+" };
            let (amount, balance) = (&amount.formatted, &balance.formatted);
            let line = format!("\n  {} {sign}{amount} -> {balance}  {event} {tx_hash}", at.utc);
            text.push_str(&line);
        }
        text.push_str(&format!("\n  {} closing {closing} (+{credits} -{debits})", to.utc));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told() -> Value {
        let money = |base: &str| json!({ "amount": base, "formatted": base });
        let moved = |side: &str, amount: &str, balance: &str| {
            json!({ "event": "E", "tx_hash": "0x1", "at": { "utc": "t" }, "book": "free",
                    "side": side, "amount": money(amount), "balance": money(balance) })
        };
        json!({
            "account": "0xA",
            "period": { "from": { "utc": "a" }, "to": { "utc": "b" }, "final": true },
            "books": [{ "book": "free", "opening": money("5"), "credits": money("10"),
                        "debits": money("3"), "closing": money("12") }],
            "movements": [moved("credit", "10", "15"), moved("debit", "3", "12")],
        })
    }

    #[test]
    fn a_figure_that_is_one_base_unit_off_is_refused_wherever_it_stands() {
        let read = |value: &Value| serde_json::from_value::<Statement>(value.clone()).unwrap();
        check(&read(&told())).unwrap();
        for path in [
            "/books/0/opening/amount",
            "/books/0/credits/amount",
            "/books/0/debits/amount",
            "/books/0/closing/amount",
            "/movements/0/amount/amount",
            "/movements/0/balance/amount",
            "/movements/1/amount/amount",
            "/movements/1/balance/amount",
        ] {
            let mut altered = told();
            let figure = altered.pointer_mut(path).unwrap();
            let base: u64 = figure.as_str().unwrap().parse().unwrap();
            *figure = (base + 1).to_string().into();
            let failure = check(&read(&altered)).unwrap_err();
            assert_eq!(failure.exit, crate::exit::Exit::Mismatch, "{path}");
        }
        let mut other = told();
        other["movements"][0]["book"] = "bond".into();
        check(&read(&other)).unwrap_err();
    }
}
