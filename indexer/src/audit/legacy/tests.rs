//! Fixture logs of the legacy escrow: fundings, payments, and what the logs leave open.

use alloy::primitives::{Log, U256, hex, keccak256};
use proptest::prelude::*;

use super::*;

const OF: Contracts =
    Contracts { escrow: Address::repeat_byte(0xe1), token: Address::repeat_byte(0x70) };

/// Logs of one transaction.
fn transaction(block: u64, logs: Vec<Log>) -> Vec<ChainLog> {
    let of = |(log_index, log)| ChainLog {
        block,
        block_hash: keccak256(block.to_be_bytes()),
        tx_hash: keccak256([block.to_be_bytes(), [1; 8]].concat()),
        log_index,
        log,
    };
    (0u64..).zip(logs).map(of).collect()
}

fn job(id: &str, balance: u64) -> Log {
    let event = JobBalanceUpdate { _jobId: id.into(), _balance: U256::from(balance) };
    Log { address: OF.escrow, data: event.encode_log_data() }
}

fn user(id: &str, balance: u64) -> Log {
    let event = UserBalanceUpdate { _userId: id.into(), _balance: U256::from(balance) };
    Log { address: OF.escrow, data: event.encode_log_data() }
}

fn escrowed(id: &str, amount: u64) -> Log {
    let sender = Address::repeat_byte(1);
    let event = TokensEscrowed { sender, jobId: id.into(), amount: U256::from(amount) };
    Log { address: OF.token, data: event.encode_log_data() }
}

fn out(amount: u64) -> Log {
    let to = Address::repeat_byte(2);
    let event = Transfer { from: OF.escrow, to, value: U256::from(amount) };
    Log { address: OF.token, data: event.encode_log_data() }
}

fn balance_of(view: &View, book: &str) -> i128 {
    let of_book = view.entries.iter().filter(|entry| entry.book == book);
    let amount = |entry: &Entry| i128::try_from(entry.amount.to_u256().to::<u128>()).unwrap();
    of_book.map(|entry| if entry.debit { -amount(entry) } else { amount(entry) }).sum()
}

/// Entries sum to zero, and each book's to the balance that the logs say.
fn assert_balanced(view: &View) {
    let books: std::collections::BTreeSet<&str> =
        view.entries.iter().map(|entry| entry.book.as_str()).collect();
    assert_eq!(books.iter().map(|book| balance_of(view, book)).sum::<i128>(), 0);
    for (book, balance) in &view.balances {
        let told = i128::try_from(balance.to_u256().to::<u128>()).unwrap();
        assert_eq!(balance_of(view, book), told, "{book}");
    }
}

#[test]
fn the_events_are_those_of_the_published_contracts() {
    let topics = [
        (TokensEscrowed::SIGNATURE, "TokensEscrowed(address,string,uint256)"),
        (JobBalanceUpdate::SIGNATURE, "JobBalanceUpdate(string,uint256)"),
        (UserBalanceUpdate::SIGNATURE, "UserBalanceUpdate(string,uint256)"),
    ];
    for (ours, published) in topics {
        assert_eq!(ours, published);
    }
    // Data as solc 0.4.24 writes it: offset, balance, length, text.
    let data = hex!(
        "0000000000000000000000000000000000000000000000000000000000000040"
        "0000000000000000000000000000000000000000000000008ac7230489e80000"
        "000000000000000000000000000000000000000000000000000000000000000a"
        "53616d706c654a6f623100000000000000000000000000000000000000000000"
    );
    let topic = keccak256("JobBalanceUpdate(string,uint256)");
    let log = Log::new_unchecked(OF.escrow, vec![topic], data.into());
    let view = view(&transaction(1, vec![log]), OF).unwrap();
    let ten = Amount::from_decimal("10", 18).unwrap();
    assert_eq!(view.balances, BTreeMap::from([("job:SampleJob1".to_owned(), ten)]));
}

#[test]
fn fundings_and_payments_are_double_entries() {
    let logs = [
        transaction(1, vec![job("a", 100), escrowed("a", 100)]),
        // Twice in one transaction, as a contract can do it.
        transaction(2, vec![job("a", 110), escrowed("a", 10), user("a", 5), escrowed("a", 5)]),
        transaction(3, vec![out(30), out(20), job("a", 60)]),
        transaction(4, vec![out(5), user("a", 0)]),
    ];
    let view = view(&logs.concat(), OF).unwrap();
    assert_eq!(view.problems, []);
    let balance = |book: &str| view.balances[book];
    assert_eq!((balance("job:a"), balance("user:a")), (Amount::from(60u64), Amount::ZERO));
    assert_eq!((view.funded, view.paid), (Amount::from(115u64), Amount::from(55u64)));
    assert_eq!(balance_of(&view, "outside"), -60);
    assert_eq!(view.logs, 11);
    assert_balanced(&view);
}

#[test]
fn what_the_logs_leave_open_or_contradict_is_named_and_still_sums_to_zero() {
    let named = |logs: &[Vec<ChainLog>], text: &str, unknown: i128| {
        let view = view(&logs.concat(), OF).unwrap();
        assert!(view.problems.iter().any(|p| p.problem.contains(text)), "{:?}", view.problems);
        assert_eq!(balance_of(&view, "unknown"), -unknown);
        assert_balanced(&view);
    };
    let funded = transaction(1, vec![job("a", 100), escrowed("a", 100)]);
    named(&[transaction(1, vec![job("a", 70)])], "past that is missing", 70);
    named(&[transaction(1, vec![job("a", 70), escrowed("a", 50)])], "past that is missing", 20);
    named(&[funded.clone(), transaction(2, vec![job("a", 130)])], "contradicts the logs: 100", 30);
    let less = transaction(2, vec![job("a", 90), escrowed("a", 10)]);
    named(&[funded.clone(), less], "contradicts the logs: 110", -20);
    let short = transaction(2, vec![out(5), job("a", 90)]);
    named(&[funded.clone(), short], "fell by 10, but 5 were paid out", 0);
    named(&[transaction(1, vec![escrowed("a", 9)])], "9 escrowed, and no balance", 0);
}

#[test]
fn logs_that_do_not_fit_or_are_out_of_order_are_refused() {
    let mut broken = job("a", 5);
    broken.data = alloy::primitives::LogData::new_unchecked(
        broken.data.topics().to_vec(),
        broken.data.data.slice(..40),
    );
    let error = view(&transaction(1, vec![broken]), OF).unwrap_err();
    assert!(matches!(error, LegacyError::Malformed { block: 1, log_index: 0, .. }), "{error}");
    let event = JobBalanceUpdate { _jobId: "a".into(), _balance: U256::MAX };
    let large = Log { address: OF.escrow, data: event.encode_log_data() };
    let error = view(&transaction(1, vec![large]), OF).unwrap_err();
    assert!(matches!(error, LegacyError::Amount { .. }), "{error}");
    let swapped = [transaction(2, vec![job("a", 5)]), transaction(1, vec![job("a", 5)])];
    let error = view(&swapped.concat(), OF).unwrap_err();
    assert_eq!(error, LegacyError::Order { block: 1, log_index: 0 });
}

proptest! {
    /// Whatever an honest escrow does is explained without a rest.
    #[test]
    fn honest_histories_have_no_problems(
        acts in proptest::collection::vec((0usize..3, any::<bool>(), 1u64..1_000), 1..40),
    ) {
        let mut balances = [0u64; 3];
        let mut logs = Vec::new();
        for (block, (who, funds, amount)) in (1u64..).zip(acts) {
            let id = ["x", "y", "z"][who];
            if funds {
                balances[who] += amount;
                logs.extend(transaction(block, vec![job(id, balances[who]), escrowed(id, amount)]));
            } else {
                let paid = amount.min(balances[who]);
                if balances[who] == 0 {
                    continue;
                }
                balances[who] -= paid;
                logs.extend(transaction(block, vec![out(paid), job(id, balances[who])]));
            }
        }
        let view = view(&logs, OF).unwrap();
        prop_assert_eq!(&view.problems, &[]);
        assert_balanced(&view);
    }
}
