//! Tests of event.rs: every variant survives the chain's encoding; nothing foreign passes.

use super::*;
use crate::samples::{address, amount, hash, lot, order, time, word};
use alloy::primitives::Bytes;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

fn account_events() -> impl Strategy<Value = Event> {
    let parts = (address(), address(), amount(), amount(), any::<u64>(), hash(), 0..6u8);
    parts.prop_map(|(account, other, amount, free, seq, job_id, pick)| match pick {
        0 => Event::Deposited(Deposited { account, from: other, amount, free, seq }),
        1 => Event::Withdrawn(Withdrawn { account, to: other, amount, free, seq }),
        2 => Event::FeeCredited(FeeCredited { job_id, account, amount, free, seq }),
        3 => Event::BurnCredited(BurnCredited { job_id, amount, free, seq }),
        4 => Event::CreditIssued(CreditIssued { account, amount, credit: free, seq }),
        _ => Event::Burned(Burned { amount, free, seq }),
    })
}

fn consent_events() -> impl Strategy<Value = Event> {
    let parts = (address(), address(), address(), amount(), amount(), time());
    let counts = (any::<u64>(), hash(), any::<u32>(), 0..5u8);
    (parts, counts).prop_map(|(parts, (seq, job_id, job_seq, pick))| {
        let (payer, agent, settler, allowance, amount, expiry) = parts;
        let of_offices = seq >> 8;
        match pick {
            0 => Event::DelegateSet(DelegateSet {
                payer,
                agent,
                settler,
                allowance,
                max_per_job: amount,
                expiry,
                seq,
            }),
            1 => Event::DelegateRevoked(DelegateRevoked { payer, agent, seq }),
            2 => Event::DelegateSpent(DelegateSpent {
                job_id,
                payer,
                agent,
                amount,
                allowance,
                job_seq,
            }),
            3 => Event::CreditSettlerNamed(CreditSettlerNamed { settler, seq: of_offices }),
            _ => Event::Paused(Paused { until: expiry, seq: of_offices }),
        }
    })
}

fn opening_events() -> impl Strategy<Value = Event> {
    let parts = (hash(), address(), address(), order(), amount(), amount(), any::<u64>());
    let jobs = (any::<u32>(), amount(), amount(), amount(), 0..4u8);
    (parts, jobs).prop_map(|(p, (job_seq, funded, credit_spent, credit, pick))| {
        let (job_id, payer, funder, order, pulled, free, seq) = p;
        match pick {
            0 => Event::Opened(Box::new(Opened {
                job_id,
                payer,
                funder,
                order,
                credit_spent,
                pulled,
                free,
                credit,
                seq,
            })),
            1 => {
                let (from, amount) = (funder, pulled);
                Event::ToppedUp(ToppedUp { job_id, from, amount, funded, job_seq, free, seq })
            }
            2 => Event::CreditReturned(CreditReturned {
                job_id,
                account: funder,
                amount: pulled,
                funded,
                job_seq,
                credit,
                seq,
            }),
            _ => {
                let (account, amount) = (funder, pulled);
                Event::Returned(Returned { job_id, account, amount, funded, job_seq, free, seq })
            }
        }
    })
}

fn paying_events() -> impl Strategy<Value = Event> {
    let names = (hash(), address(), hash(), lot(), hash(), word());
    let money = (amount(), amount(), amount(), amount(), amount(), amount());
    let rest = (any::<u32>(), any::<u64>(), time(), any::<bool>(), 0..4u8);
    (names, money, rest).prop_map(|(n, m, r)| {
        let (job_id, node, lot_hash, lot, key, mask) = n;
        let (amount, fee, burn, released, pending, free) = m;
        let (job_seq, seq, window_end, approved, pick) = r;
        match pick {
            0 => Event::Released(Released {
                job_id,
                node,
                lot_hash,
                lot,
                amount,
                fee,
                burn,
                released,
                job_seq,
                free,
                seq,
            }),
            1 => Event::Committed(Committed {
                job_id,
                node,
                lot_hash,
                lot,
                amount,
                window_end,
                approved,
                pending,
                job_seq,
            }),
            2 => Event::Redeemed(Redeemed {
                job_id,
                node,
                amount,
                fee,
                burn,
                released,
                job_seq,
                free,
                seq,
            }),
            _ => Event::Settled(Settled {
                job_id,
                node,
                lot_hash,
                key,
                mask,
                amount,
                fee,
                burn,
                released,
                pending,
                job_seq,
                free,
                seq,
            }),
        }
    })
}

fn other_events() -> impl Strategy<Value = Event> {
    let parts = (hash(), hash(), word(), hash(), amount(), amount(), any::<u32>(), time());
    (parts, address(), 0..5u8).prop_map(|(p, by, pick)| {
        let (job_id, lot_hash, mask, reason_hash, amount, pending, job_seq, time) = p;
        match pick {
            0 => Event::Approved(Approved { job_id, by, lot_hash, job_seq }),
            1 => Event::Rejected(Rejected {
                job_id,
                by,
                lot_hash,
                mask,
                reason_hash,
                amount,
                pending,
                job_seq,
            }),
            2 => Event::Lapsed(Lapsed { job_id, lot_hash, mask, amount, pending, job_seq }),
            3 => Event::CloseRequested(CloseRequested { job_id, by, work_deadline: time, job_seq }),
            _ => Event::Closed(Closed { job_id, job_seq }),
        }
    })
}

pub fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        account_events(),
        consent_events(),
        opening_events(),
        paying_events(),
        other_events()
    ]
}

const ESCROW: Address = Address::repeat_byte(0xee);

fn log(data: LogData) -> Log {
    Log { address: ESCROW, data }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_event_reads_back_from_its_log_and_its_json(event in events()) {
        let encoded = log(event.encode());
        prop_assert_eq!(decode(ESCROW, &encoded), Ok(event.clone()));
        let json = serde_json::to_string(&event).unwrap();
        prop_assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }

    #[test]
    fn spare_or_missing_bytes_are_refused(event in events(), spare in 1usize..40) {
        let mut data = event.encode();
        let mut longer = data.data.to_vec();
        longer.extend(std::iter::repeat_n(0, spare));
        let shorter = data.data.slice(..data.data.len().saturating_sub(spare));
        for bad in [Bytes::from(longer), shorter] {
            if bad.len() == data.data.len() {
                continue;
            }
            data.data = bad;
            let refused = decode(ESCROW, &log(data.clone()));
            prop_assert!(matches!(refused, Err(DecodeError::Malformed { .. })), "{refused:?}");
        }
    }

    #[test]
    fn a_topic_too_few_or_too_many_is_refused(event in events()) {
        let data = event.encode();
        let mut fewer = data.topics().to_vec();
        fewer.pop();
        let mut more = data.topics().to_vec();
        more.push(B256::ZERO);
        for topics in [fewer, more] {
            prop_assert!(decode_parts(&topics, &data.data).is_err());
        }
    }

    #[test]
    fn any_bytes_are_answered_without_panic(
        topics in proptest::collection::vec(hash(), 0..5),
        data in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        prop_assert!(decode_parts(&topics, &data).is_err());
    }

    #[test]
    fn counters_and_accounts_agree_with_the_event(event in events()) {
        if let Some(after) = event.account_after() {
            let named = after.account.is_zero() || event.accounts().contains(&after.account);
            prop_assert!(named);
        }
        let own = matches!(
            event,
            Event::Deposited(_)
                | Event::Withdrawn(_)
                | Event::Burned(_)
                | Event::CreditIssued(_)
                | Event::DelegateSet(_)
                | Event::DelegateRevoked(_)
        );
        let of_offices = matches!(event, Event::CreditSettlerNamed(_) | Event::Paused(_));
        prop_assert_eq!(event.job_id().is_none(), own || of_offices);
        prop_assert!(event.job_seq().is_none() || event.job_id().is_some());
        let counted = event.job_seq().is_some() || event.account_after().is_some();
        prop_assert_eq!(counted, !of_offices);
    }
}

#[test]
fn an_unknown_log_of_the_escrow_is_an_error() {
    let topic = B256::repeat_byte(0x77);
    let unknown = LogData::new_unchecked(vec![topic], Bytes::new());
    assert_eq!(decode(ESCROW, &log(unknown)), Err(DecodeError::Unknown { topic }));
    // Declared through a standard, never written by the escrow.
    let topic = alloy::primitives::keccak256("EIP712DomainChanged()");
    let inherited = LogData::new_unchecked(vec![topic], Bytes::new());
    assert_eq!(decode(ESCROW, &log(inherited)), Err(DecodeError::Unknown { topic }));
    assert_eq!(decode_parts(&[], &[]), Err(DecodeError::NoTopic));
}

#[test]
fn a_log_of_another_contract_is_not_taken() {
    let event = Event::Burned(Burned { amount: Amount::ZERO, free: Amount::ZERO, seq: 1 });
    let found = Address::repeat_byte(1);
    let foreign = Log { address: found, data: event.encode() };
    let error = DecodeError::OtherContract { escrow: ESCROW, found };
    assert_eq!(decode(ESCROW, &foreign), Err(error));
}

#[test]
fn a_number_too_wide_for_its_field_is_refused() {
    let event = Event::Burned(Burned { amount: Amount::ZERO, free: Amount::ZERO, seq: 1 });
    let mut data = event.encode();
    let mut bytes = data.data.to_vec();
    bytes[0] = 1; // far above 96 bits
    data.data = bytes.into();
    let refused = decode(ESCROW, &log(data));
    assert!(matches!(refused, Err(DecodeError::Malformed { .. })), "{refused:?}");
}

#[test]
fn names_are_those_of_the_contract() {
    let abi = RenderEscrow::abi::events();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..2_000 {
        let event = events().new_tree(&mut runner).unwrap().current();
        let topic = event.encode().topics()[0];
        assert_eq!(abi[event.name()][0].selector(), topic);
        seen.insert(event.name());
    }
    // Every event of the contract has a variant here but the inherited one.
    let declared = abi.keys().map(String::as_str).filter(|name| *name != "EIP712DomainChanged");
    assert_eq!(seen, declared.collect());
}
