//! Tests of the proofs: honest blocks pass, and nothing that was changed in an answer does.

use alloy::consensus::proofs::calculate_receipt_root;
use alloy::consensus::{Eip658Value, Header as Consensus, Receipt, ReceiptWithBloom};
use alloy::primitives::{Bytes, LogData, U256};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const OURS: Address = Address::repeat_byte(0xE5);

/// An honest block: its header as a node answers it, its receipts, its transactions.
#[derive(Debug, Clone)]
struct Honest {
    header: alloy::rpc::types::Header,
    receipts: Vec<AnyReceiptEnvelope>,
    transactions: Vec<Vec<u8>>,
}

prop_compose! {
    fn log()(ours: bool, other: [u8; 20], topics in prop::collection::vec(any::<[u8; 32]>(), 0..4),
        data in prop::collection::vec(any::<u8>(), 0..200)) -> Log {
        let address = if ours { OURS } else { other.into() };
        let topics = topics.into_iter().map(B256::from).collect();
        Log { address, data: LogData::new_unchecked(topics, Bytes::from(data)) }
    }
}

prop_compose! {
    fn receipt()(kind in 0..5u8, status: bool, gas: u32, logs in prop::collection::vec(log(), 0..5))
        -> AnyReceiptEnvelope {
        let status = Eip658Value::Eip658(status);
        let cumulative_gas_used = u64::from(gas);
        let inner = ReceiptWithBloom::from(Receipt { status, cumulative_gas_used, logs });
        AnyReceiptEnvelope { inner, r#type: kind }
    }
}

prop_compose! {
    fn honest()(receipts in prop::collection::vec(receipt(), 0..8), parent: [u8; 32], number: u32,
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 40..90), 8))
        -> Honest {
        // Distinct, as no two transactions are equal.
        let transactions: Vec<Vec<u8>> = bodies.into_iter().zip(0u8..).take(receipts.len())
            .map(|(mut body, at)| { body.push(at); body }).collect();
        let inner = Consensus {
            parent_hash: parent.into(),
            number: number.into(),
            timestamp: 1_700_000_000,
            logs_bloom: receipts.iter().fold(Bloom::ZERO, |all, r| all | r.inner.logs_bloom),
            receipts_root: calculate_receipt_root(&receipts),
            transactions_root: ordered_trie_root_encoded(&transactions),
            ..Consensus::default()
        };
        Honest { header: alloy::rpc::types::Header::new(inner), receipts, transactions }
    }
}

fn proven(block: Honest) -> Result<Vec<ChainLog>, Disproof> {
    let header = header(block.header)?;
    if !may_hold(&header.logs_bloom, &[OURS]) {
        return Ok(Vec::new());
    }
    let placed = logs(&header, &[OURS], block.receipts)?;
    signed_by(&header, placed, &block.transactions)
}

/// What a lying or broken node does to an answer.
#[derive(Debug, Clone)]
enum Lie {
    DropReceipt(Index),
    DoubleReceipt(Index),
    SwapReceipts(Index, Index),
    DropLog(Index, Index),
    AddLog(Index, Log),
    Data(Index, Index, Index),
    Topic(Index, Index, [u8; 32]),
    Sender(Index, Index, [u8; 20]),
    Status(Index),
    DropTransaction(Index),
    SwapTransactions(Index, Index),
    Transaction(Index, Index),
    Parent([u8; 32]),
    Time(u64),
    Bloom(Index),
}

fn lie() -> impl Strategy<Value = Lie> {
    let at = any::<Index>;
    prop_oneof![
        at().prop_map(Lie::DropReceipt),
        at().prop_map(Lie::DoubleReceipt),
        (at(), at()).prop_map(|(a, b)| Lie::SwapReceipts(a, b)),
        (at(), at()).prop_map(|(a, b)| Lie::DropLog(a, b)),
        (at(), log()).prop_map(|(a, log)| Lie::AddLog(a, log)),
        (at(), at(), at()).prop_map(|(a, b, c)| Lie::Data(a, b, c)),
        (at(), at(), any::<[u8; 32]>()).prop_map(|(a, b, topic)| Lie::Topic(a, b, topic)),
        (at(), at(), any::<[u8; 20]>()).prop_map(|(a, b, of)| Lie::Sender(a, b, of)),
        at().prop_map(Lie::Status),
        at().prop_map(Lie::DropTransaction),
        (at(), at()).prop_map(|(a, b)| Lie::SwapTransactions(a, b)),
        (at(), at()).prop_map(|(a, b)| Lie::Transaction(a, b)),
        any::<[u8; 32]>().prop_map(Lie::Parent),
        any::<u64>().prop_map(Lie::Time),
        at().prop_map(Lie::Bloom),
    ]
}

fn pick<'a, T>(list: &'a mut [T], at: &Index) -> Option<&'a mut T> {
    let at = (!list.is_empty()).then(|| at.index(list.len()))?;
    list.get_mut(at)
}

/// None: the block has nothing that this lie could change.
fn told(lie: &Lie, block: &mut Honest) -> Option<()> {
    let Honest { header, receipts, transactions } = block;
    let logs = |receipt: &AnyReceiptEnvelope| !receipt.inner.receipt.logs.is_empty();
    let mut with_logs: Vec<_> = receipts.iter_mut().filter(|receipt| logs(receipt)).collect();
    match lie {
        Lie::DropReceipt(at) => {
            pick(receipts, at)?;
            receipts.remove(at.index(receipts.len()));
        }
        Lie::DoubleReceipt(at) => {
            let again = pick(receipts, at)?.clone();
            receipts.push(again);
        }
        Lie::SwapReceipts(a, b) => {
            pick(receipts, a)?;
            let count = receipts.len();
            receipts.swap(a.index(count), b.index(count));
        }
        Lie::DropLog(at, log) => {
            let logs = &mut pick(&mut with_logs, at)?.inner.receipt.logs;
            logs.remove(log.index(logs.len()));
        }
        Lie::AddLog(at, log) => pick(receipts, at)?.inner.receipt.logs.push(log.clone()),
        Lie::Data(at, log, byte) => {
            let log = pick(&mut pick(&mut with_logs, at)?.inner.receipt.logs, log)?;
            let mut data = log.data.data.to_vec();
            *pick(&mut data, byte)? ^= 1;
            log.data.data = data.into();
        }
        Lie::Topic(at, log, topic) => {
            let log = pick(&mut pick(&mut with_logs, at)?.inner.receipt.logs, log)?;
            *log.data.topics_mut_unchecked().first_mut()? = (*topic).into();
        }
        Lie::Sender(at, log, of) => {
            pick(&mut pick(&mut with_logs, at)?.inner.receipt.logs, log)?.address = (*of).into();
        }
        Lie::Status(at) => {
            let status = &mut pick(receipts, at)?.inner.receipt.status;
            *status = Eip658Value::Eip658(!status.coerce_status());
        }
        Lie::DropTransaction(at) => {
            pick(transactions, at)?;
            transactions.remove(at.index(transactions.len()));
        }
        Lie::SwapTransactions(a, b) => {
            pick(transactions, a)?;
            let count = transactions.len();
            transactions.swap(a.index(count), b.index(count));
        }
        Lie::Transaction(at, byte) => *pick(pick(transactions, at)?, byte)? ^= 1,
        Lie::Parent(hash) => header.inner.parent_hash = (*hash).into(),
        Lie::Time(seconds) => header.inner.timestamp = *seconds,
        Lie::Bloom(byte) => *pick(&mut header.inner.logs_bloom.0.0, byte)? ^= 0x10,
    }
    Some(())
}

proptest! {
    #[test]
    fn an_honest_block_gives_all_our_logs_in_their_places(block in honest()) {
        let mut expected = Vec::new();
        let all = block.receipts.iter().zip(&block.transactions)
            .flat_map(|(receipt, tx)| receipt.inner.receipt.logs.iter().map(move |l| (l, tx)));
        for (log_index, (log, tx)) in (0u64..).zip(all) {
            if log.address == OURS {
                let (block_hash, tx_hash) = (block.header.hash, keccak256(tx));
                let block = block.header.inner.number;
                expected.push(ChainLog { block, block_hash, tx_hash, log_index, log: log.clone() });
            }
        }
        prop_assert_eq!(proven(block).unwrap(), expected);
    }

    #[test]
    fn whatever_a_node_changes_gives_the_same_logs_or_is_refused(block in honest(), lie in lie()) {
        let truth = proven(block.clone()).unwrap();
        let mut altered = block.clone();
        prop_assume!(told(&lie, &mut altered).is_some());
        let changed = (&altered.header, &altered.receipts, &altered.transactions)
            != (&block.header, &block.receipts, &block.transactions);
        match proven(altered) {
            // Nothing was changed, or only what a block without logs of ours is not asked for.
            Ok(logs) => {
                prop_assert!(!changed || truth.is_empty(), "{:?} passed", lie);
                prop_assert_eq!(logs, truth);
            }
            Err(_) => prop_assert!(changed),
        }
    }

    #[test]
    fn a_bloom_never_hides_a_log(block in honest()) {
        let ours = block.receipts.iter().flat_map(|r| &r.inner.receipt.logs);
        if ours.clone().any(|log| log.address == OURS) {
            prop_assert!(may_hold(&block.header.inner.logs_bloom, &[Address::ZERO, OURS]));
        }
    }
}

#[test]
fn blocks_must_be_the_ones_asked_for_and_hang_together() {
    let block = |number: u64, parent_hash: B256| {
        let inner = Consensus { number, parent_hash, ..Consensus::default() };
        header(alloy::rpc::types::Header::new(inner)).unwrap()
    };
    let one = block(1, B256::ZERO);
    let two = block(2, one.hash);
    let other = block(2, B256::repeat_byte(1));
    assert_eq!(linked(1, &[one.clone(), two.clone()]), Ok(()));
    assert_eq!(linked(1, &[one.clone(), other]), Err(Disproof::NotLinked { number: 2 }));
    assert_eq!(linked(1, &[two]), Err(Disproof::OtherBlock { asked: 1, found: 2 }));
    let gap = block(3, one.hash);
    assert_eq!(linked(1, &[one, gap]), Err(Disproof::OtherBlock { asked: 2, found: 3 }));
}

#[test]
fn a_word_of_zeros_is_no_root_of_anything() {
    let inner = Consensus { number: 7, ..Consensus::default() };
    let mut seven = header(alloy::rpc::types::Header::new(inner)).unwrap();
    seven.receipts_root = U256::ZERO.into();
    assert!(matches!(logs(&seven, &[OURS], vec![]), Err(Disproof::Receipts { number: 7, .. })));
}
