//! pure: JSON of a chain node -> headers, receipts, transactions and logs; nothing is believed yet.

use alloy::consensus::{Eip658Value, Receipt, ReceiptWithBloom};
use alloy::eips::Encodable2718;
use alloy::network::AnyReceiptEnvelope;
use alloy::primitives::{Address, B256, Bloom, Bytes, Log, LogData, U8, U64};
use alloy::rpc::types::Transaction;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ChainLog, Header};
use crate::verify::{self, Disproof};

/// Why an answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Bad {
    #[error("it is none of the kind that was asked for: {0}")]
    Form(String),
    #[error(transparent)]
    Disproved(Disproof),
}

impl From<serde_json::Error> for Bad {
    fn from(error: serde_json::Error) -> Self {
        Self::Form(error.to_string())
    }
}

impl From<Disproof> for Bad {
    fn from(disproof: Disproof) -> Self {
        Self::Disproved(disproof)
    }
}

/// Only what is needed of a block, so that no chain's extra fields can fail the parse.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeaderJson {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
}

/// A block of `eth_getBlockBy...` as its header; with `proven` its hash is computed anew.
pub fn header(json: &RawValue, proven: bool) -> Result<Header, Bad> {
    if proven {
        return Ok(verify::header(serde_json::from_str(json.get())?)?);
    }
    let HeaderJson { number, hash, parent_hash, timestamp } = serde_json::from_str(json.get())?;
    let seconds: u64 = timestamp.to();
    Ok(Header {
        number: number.to(),
        hash,
        parent_hash,
        mined_at: i64::try_from(seconds).unwrap_or(i64::MAX),
        logs_bloom: Bloom::ZERO,
        receipts_root: B256::ZERO,
        transactions_root: B256::ZERO,
    })
}

/// The parts of a receipt that its block's root is made of. Places and hashes in the answer are
/// left unread: they follow from the order, and nothing would prove them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptJson {
    #[serde(rename = "type", default)]
    kind: U8,
    status: Option<U64>,
    /// Instead of a status before EIP-658.
    root: Option<B256>,
    cumulative_gas_used: U64,
    logs_bloom: Bloom,
    logs: Vec<LogJson>,
}

#[derive(Deserialize)]
struct LogJson {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
}

impl From<ReceiptJson> for AnyReceiptEnvelope {
    fn from(json: ReceiptJson) -> Self {
        let logs = json.logs.into_iter().map(|LogJson { address, topics, data }| Log {
            address,
            data: LogData::new_unchecked(topics, data),
        });
        let status = match (json.status, json.root) {
            (Some(status), _) => Eip658Value::Eip658(!status.is_zero()),
            (None, Some(root)) => Eip658Value::PostState(root),
            (None, None) => Eip658Value::Eip658(false),
        };
        let cumulative_gas_used = json.cumulative_gas_used.to();
        let receipt = Receipt { status, cumulative_gas_used, logs: logs.collect() };
        let inner = ReceiptWithBloom { receipt, logs_bloom: json.logs_bloom };
        Self { inner, r#type: json.kind.to() }
    }
}

/// All receipts of `eth_getBlockReceipts`.
pub fn receipts(json: &RawValue) -> Result<Vec<AnyReceiptEnvelope>, Bad> {
    let receipts: Vec<ReceiptJson> = serde_json::from_str(json.get())?;
    Ok(receipts.into_iter().map(AnyReceiptEnvelope::from).collect())
}

#[derive(Deserialize)]
struct BlockJson {
    transactions: Vec<Transaction>,
}

/// All transactions of a whole block, each as its EIP-2718 bytes.
pub fn transactions(json: &RawValue) -> Result<Vec<Vec<u8>>, Bad> {
    let block: BlockJson = serde_json::from_str(json.get())?;
    Ok(block.transactions.iter().map(|signed| signed.inner.encoded_2718()).collect())
}

pub(super) fn logs(json: &RawValue) -> Result<Vec<ChainLog>, Bad> {
    let logs: Vec<alloy::rpc::types::Log> = serde_json::from_str(json.get())?;
    logs.into_iter().map(log).collect()
}

fn log(log: alloy::rpc::types::Log) -> Result<ChainLog, Bad> {
    let place = (log.block_number, log.block_hash, log.transaction_hash, log.log_index);
    let (Some(block), Some(block_hash), Some(tx_hash), Some(log_index)) = place else {
        return Err(Bad::Form("a log without block, transaction or index".into()));
    };
    Ok(ChainLog { block, block_hash, tx_hash, log_index, log: log.inner })
}
