//! pure: random blocks as a chain node answers them, with every kind of transaction and log.

use alloy::consensus::proofs::{calculate_receipt_root, ordered_trie_root_encoded};
use alloy::consensus::{
    Eip658Value, Header, Receipt, ReceiptWithBloom, SignableTransaction, TxEip1559, TxEip2930,
    TxEip4844, TxEip7702, TxEnvelope, TxLegacy,
};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::AnyReceiptEnvelope;
use alloy::primitives::{Address, B256, Bloom, Bytes, Log, LogData, Signature, TxKind, U256};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::lies::Asked;

pub const OURS: Address = Address::repeat_byte(0xe5);

/// What a node answers about one block, and what is true of it.
#[derive(Clone)]
pub struct Answers {
    pub number: u64,
    pub header: Value,
    pub block: Value,
    pub receipts: Value,
    /// Logs of the contract that is followed: index in the block, transaction, log.
    pub ours: Vec<(u64, B256, Log)>,
}

impl Answers {
    pub fn of(&self, asked: Asked) -> &Value {
        match asked {
            Asked::Header => &self.header,
            Asked::Block => &self.block,
            Asked::Receipts | Asked::Logs => &self.receipts,
        }
    }

    pub fn with(&self, asked: Asked, answer: Value) -> Self {
        let mut changed = self.clone();
        match asked {
            Asked::Header => changed.header = answer,
            Asked::Block => changed.block = answer,
            Asked::Receipts | Asked::Logs => changed.receipts = answer,
        }
        changed
    }
}

/// A random block; `eventful` ones hold at least one log of the contract that is followed.
pub fn random(rng: &mut StdRng, eventful: bool) -> Answers {
    let transactions: Vec<TxEnvelope> =
        (0..rng.random_range(u32::from(eventful)..6)).map(|_| transaction(rng)).collect();
    let mut gas = 0;
    let mut receipts: Vec<AnyReceiptEnvelope> = Vec::new();
    for signed in &transactions {
        gas += rng.random_range(21_000..900_000);
        let mut logs: Vec<Log> = (0..rng.random_range(0..4)).map(|_| log(rng)).collect();
        if eventful && receipts.is_empty() {
            logs.push(Log { address: OURS, ..log(rng) });
        }
        let status = Eip658Value::Eip658(!logs.is_empty() || rng.random());
        let receipt = Receipt { status, cumulative_gas_used: gas, logs };
        let kind = u8::from(signed.tx_type());
        receipts.push(AnyReceiptEnvelope { inner: receipt.into(), r#type: kind });
    }
    let header = header(rng, &transactions, &receipts, gas);
    answered(header, &transactions, &receipts)
}

fn bytes(rng: &mut StdRng, most: usize) -> Bytes {
    (0..rng.random_range(0..=most)).map(|_| rng.random::<u8>()).collect()
}

fn address(rng: &mut StdRng) -> Address {
    rng.random::<[u8; 20]>().into()
}

fn log(rng: &mut StdRng) -> Log {
    let address = if rng.random_range(0..3) == 0 { OURS } else { address(rng) };
    let topics = (0..rng.random_range(0..5)).map(|_| rng.random::<[u8; 32]>().into()).collect();
    Log { address, data: LogData::new_unchecked(topics, bytes(rng, 130)) }
}

fn transaction(rng: &mut StdRng) -> TxEnvelope {
    let word = |rng: &mut StdRng| U256::from_be_bytes(rng.random::<[u8; 32]>()) >> 1;
    let signature = Signature::new(word(rng), word(rng), rng.random());
    let callee = TxKind::Call(address(rng));
    let base = TxEip1559 {
        chain_id: 1,
        nonce: rng.random(),
        gas_limit: rng.random(),
        max_fee_per_gas: rng.random::<u64>().into(),
        max_priority_fee_per_gas: rng.random::<u32>().into(),
        to: if rng.random_range(0..5) == 0 { TxKind::Create } else { callee },
        value: U256::from(rng.random::<u64>()),
        access_list: Default::default(),
        input: bytes(rng, 90),
    };
    match rng.random_range(0..4) {
        0 => {
            let TxEip1559 { nonce, gas_limit, to, value, input, .. } = base;
            let (chain_id, gas_price) = (rng.random::<bool>().then_some(1), base.max_fee_per_gas);
            let tx = TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input };
            tx.into_signed(signature).into()
        }
        1 => {
            let TxEip1559 { nonce, gas_limit, to, value, access_list, input, .. } = base;
            let (chain_id, gas_price) = (base.chain_id, base.max_fee_per_gas);
            let tx =
                TxEip2930 { chain_id, nonce, gas_price, gas_limit, to, value, access_list, input };
            tx.into_signed(signature).into()
        }
        2 => base.into_signed(signature).into(),
        _ => newer(rng, base, signature),
    }
}

/// With blobs, or with code for accounts.
fn newer(rng: &mut StdRng, base: TxEip1559, signature: Signature) -> TxEnvelope {
    let to = base.to.to().copied().unwrap_or_default();
    let TxEip1559 { chain_id, nonce, gas_limit, value, access_list, input, .. } = base;
    let TxEip1559 { max_fee_per_gas, max_priority_fee_per_gas, .. } = base;
    if rng.random() {
        let tx = TxEip4844 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            blob_versioned_hashes: vec![rng.random::<[u8; 32]>().into()],
            max_fee_per_blob_gas: rng.random::<u32>().into(),
            input,
        };
        return tx.into_signed(signature).into();
    }
    let tx = TxEip7702 {
        chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas,
        max_priority_fee_per_gas,
        to,
        value,
        access_list,
        authorization_list: Vec::new(),
        input,
    };
    tx.into_signed(signature).into()
}

/// Of one of the forks since London, each of which has added fields.
fn header(
    rng: &mut StdRng,
    transactions: &[TxEnvelope],
    receipts: &[AnyReceiptEnvelope],
    gas_used: u64,
) -> Header {
    let encoded: Vec<Vec<u8>> = transactions.iter().map(Encodable2718::encoded_2718).collect();
    let fork = rng.random_range(0..4);
    let mut word = || B256::from(rng.random::<[u8; 32]>());
    Header {
        parent_hash: word(),
        state_root: word(),
        mix_hash: word(),
        withdrawals_root: (fork > 0).then(&mut word),
        parent_beacon_block_root: (fork > 1).then(&mut word),
        requests_hash: (fork > 2).then(&mut word),
        blob_gas_used: (fork > 1).then_some(131_072),
        excess_blob_gas: (fork > 1).then_some(0),
        base_fee_per_gas: Some(rng.random_range(1..u64::from(u32::MAX))),
        beneficiary: address(rng),
        transactions_root: ordered_trie_root_encoded(&encoded),
        receipts_root: calculate_receipt_root(receipts),
        logs_bloom: receipts.iter().fold(Bloom::ZERO, |all, one| all | one.inner.logs_bloom),
        number: rng.random_range(1..30_000_000),
        gas_limit: 60_000_000,
        gas_used,
        timestamp: rng.random_range(1_600_000_000..2_000_000_000),
        extra_data: bytes(rng, 32),
        ..Header::default()
    }
}

fn answered(
    header: Header,
    transactions: &[TxEnvelope],
    receipts: &[AnyReceiptEnvelope],
) -> Answers {
    let number = header.number;
    let header = alloy::rpc::types::Header::new(header);
    let (hash, at) = (header.hash, json!(format!("{number:#x}")));
    let header = json!(header);
    let (mut ours, mut listed, mut log_index) = (Vec::new(), Vec::new(), 0);
    for (signed, receipt) in transactions.iter().zip(receipts) {
        let tx_hash = *signed.hash();
        let ReceiptWithBloom { receipt: inner, logs_bloom } = &receipt.inner;
        let mut logs = Vec::new();
        for log in &inner.logs {
            logs.push(json!({
                "address": log.address, "topics": log.topics(), "data": log.data.data,
                "logIndex": format!("{log_index:#x}"), "transactionHash": tx_hash,
                "blockHash": hash, "blockNumber": at, "removed": false,
            }));
            if log.address == OURS {
                ours.push((log_index, tx_hash, log.clone()));
            }
            log_index += 1;
        }
        let gas = inner.cumulative_gas_used;
        listed.push(json!({
            "type": format!("{:#x}", receipt.r#type), "logsBloom": logs_bloom, "logs": logs,
            "status": if inner.status.coerce_status() { "0x1" } else { "0x0" },
            "cumulativeGasUsed": format!("{gas:#x}"), "transactionHash": tx_hash,
            "blockHash": hash, "blockNumber": at,
        }));
    }
    let mut block = header.clone();
    let from = json!(Address::repeat_byte(0xf0));
    let with_sender = |signed: &TxEnvelope| {
        let mut signed = json!(signed);
        signed["from"] = from.clone();
        signed
    };
    block["transactions"] = transactions.iter().map(with_sender).collect();
    Answers { number, header, block, receipts: listed.into(), ours }
}
