//! Tests of runs.rs: what was recorded is read back, and sums by kind are those of the entries.

use super::*;
use crate::entries::{all_entries, entries_of_registry};
use crate::testing::{Draw, KINDS, add_registry, amount, child, hash, on_both, step};

fn run(block: u64) -> AuditRun {
    AuditRun {
        kind: AuditKind::Solvency,
        at: 1_000,
        block,
        hash: hash(block),
        digest: hash(7),
        stored_digest: None,
        token_balance: amount(12),
        liabilities: amount(10),
        surplus: amount(2),
        registry_balance: Some(amount(5)),
        bonds: None,
        differences: 1,
        first: Some("table events".into()),
    }
}

#[tokio::test]
async fn runs_are_kept_the_newest_first() {
    on_both(|world| async move {
        let (audit, reader) = (world.store.audit(), world.store.reader());
        assert_eq!(reader.audit_runs(5).await.unwrap(), []);
        let replay = AuditRun { kind: AuditKind::Replay, stored_digest: Some(hash(7)), ..run(3) };
        for each in [&run(3), &run(4), &replay] {
            audit.put_run(each).await.unwrap();
        }
        assert_eq!(reader.audit_runs(2).await.unwrap(), [replay.clone(), run(4)]);
        assert_eq!(reader.audit_run_of(3).await.unwrap(), Some(replay));
        assert_eq!(reader.audit_run_of(4).await.unwrap(), Some(run(4)));
        assert_eq!(reader.audit_run_of(5).await.unwrap(), None);
    })
    .await;
}

/// What the books of this name hold in all.
fn held(entries: &[crate::Entry], book: &str) -> i128 {
    let of_book = entries.iter().filter(|entry| entry.book.starts_with(book));
    let signed = |entry: &crate::Entry| {
        let base = i128::try_from(entry.amount.base()).unwrap();
        if entry.debit { -base } else { base }
    };
    of_book.map(signed).sum()
}

#[tokio::test]
async fn sums_by_kind_are_those_of_the_entries() {
    on_both(|world| async move {
        let mut draw = Draw::new(11);
        let (first, mut all, mut bonds) = (child(None, 0), vec![], vec![]);
        let mut block = first.clone();
        for _ in 0..3 {
            let events = (0..KINDS).map(|kind| draw.event(kind)).collect();
            let mut rows = step(&block, events);
            add_registry(&mut rows, block.number, &mut draw);
            world.store.chain_writer().extend(&rows).await.unwrap();
            all.extend(all_entries(&rows.events).unwrap());
            for row in &rows.registry {
                bonds.extend(entries_of_registry(row).unwrap());
            }
            block = child(Some(&block), 0);
        }
        let events = world.store.reader().pool.all(SUM_EVENTS, values![9_u64]).await.unwrap();
        let sum = |kind: &str, column: &str| {
            let of_kind = |row: &&Row| row.get::<String>("kind").unwrap() == kind;
            sum_from(events.iter().find(of_kind).unwrap(), column).unwrap()
        };
        let issued = sum("credit_issued", "amount") + sum("credit_returned", "amount");
        assert_eq!(held(&all, "credit:"), issued - sum("opened", "spent"));
        let paid = ["released", "settled", "redeemed"].map(|kind| sum(kind, "amount"));
        let back = sum("returned", "amount") + sum("credit_returned", "amount");
        let locked = sum("opened", "cap") + sum("topped_up", "amount");
        assert_eq!(held(&all, "job:"), locked - paid.iter().sum::<i128>() - back);
        assert!(!bonds.is_empty());
    })
    .await;
}
