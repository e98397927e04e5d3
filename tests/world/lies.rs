//! pure: lies that a chain node can tell of blocks and logs, as changes to its honest answers.

use alloy::primitives::{Bloom, BloomInput, hex};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lie {
    /// No logs where there are some.
    NoLogs,
    /// The header says that there is nothing to look for.
    BloomCut,
    LogMissing,
    LogAdded,
    /// A byte of its topics or data.
    LogAltered,
    /// Written by another contract.
    LogElsewhere,
    LogsShuffled,
    LogDoubled,
    WrongIndex,
    /// What belongs to another block, under this one's hash.
    OtherFork,
    HeaderAltered,
    /// Outcome, gas, kind or bloom of a receipt.
    ReceiptAltered,
    /// The logs of one transaction under the hash of another.
    OtherTransaction,
    NoBlock,
    NoReceipts,
}

impl Lie {
    pub const ALL: [Self; 15] = [
        Self::NoLogs,
        Self::BloomCut,
        Self::LogMissing,
        Self::LogAdded,
        Self::LogAltered,
        Self::LogElsewhere,
        Self::LogsShuffled,
        Self::LogDoubled,
        Self::WrongIndex,
        Self::OtherFork,
        Self::HeaderAltered,
        Self::ReceiptAltered,
        Self::OtherTransaction,
        Self::NoBlock,
        Self::NoReceipts,
    ];
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Header,
    /// A block with its transactions.
    Block,
    Receipts,
    Logs,
}

impl Asked {
    pub const ALL: [Self; 4] = [Self::Header, Self::Block, Self::Receipts, Self::Logs];

    pub fn by(call: &Value) -> Option<Self> {
        match call["method"].as_str()? {
            "eth_getBlockByNumber" | "eth_getBlockByHash" => {
                Some(if call["params"][1] == true { Self::Block } else { Self::Header })
            }
            "eth_getBlockReceipts" => Some(Self::Receipts),
            "eth_getLogs" => Some(Self::Logs),
            _ => None,
        }
    }
}

/// The lie in place of the honest answer; `other` is the honest answer about another block.
/// None: there is nothing in this answer that could be lied about so.
pub fn tell(
    lie: Lie,
    asked: Asked,
    honest: &Value,
    other: Option<&Value>,
    rng: &mut StdRng,
) -> Option<Value> {
    let mut answer = honest.clone();
    let told = match (lie, asked) {
        (Lie::NoBlock, Asked::Header | Asked::Block)
        | (Lie::NoReceipts, Asked::Receipts | Asked::Logs) => {
            answer = Value::Null;
            Some(())
        }
        (Lie::BloomCut, Asked::Header) => cut_bloom(&mut answer, rng),
        (Lie::HeaderAltered, Asked::Header) => alter_header(&mut answer, rng),
        (Lie::OtherFork, Asked::Receipts | Asked::Logs) => {
            answer = as_of(honest, other?)?;
            Some(())
        }
        (Lie::ReceiptAltered, Asked::Receipts) => alter_receipt(&mut answer, rng),
        (Lie::OtherTransaction, Asked::Receipts) => swap_hashes(&mut answer, rng),
        (Lie::OtherTransaction, Asked::Block) => alter_transactions(&mut answer, rng),
        (Lie::NoLogs, Asked::Receipts | Asked::Logs) => drop_all(&mut answer, asked, rng),
        (_, Asked::Receipts | Asked::Logs) => bend_logs(lie, &mut answer, asked, rng),
        (_, Asked::Header | Asked::Block) => None,
    };
    told.filter(|()| answer != *honest).map(|()| answer)
}

/// A bloom of nothing, or half of the honest one.
fn cut_bloom(header: &mut Value, rng: &mut StdRng) -> Option<()> {
    let bloom = header["logsBloom"].as_str()?.to_owned();
    header["logsBloom"] = match rng.random_range(0..3) {
        0 => json!(format!("0x{}", "0".repeat(512))),
        1 => json!(format!("{}{}", &bloom[..258], "0".repeat(256))),
        _ => json!(&bloom[..258]),
    };
    Some(())
}

fn alter_header(header: &mut Value, rng: &mut StdRng) -> Option<()> {
    // `size` and the like are in no hash, and nothing reads them.
    const FIELDS: [&str; 15] = [
        "hash",
        "parentHash",
        "sha3Uncles",
        "miner",
        "stateRoot",
        "transactionsRoot",
        "receiptsRoot",
        "logsBloom",
        "number",
        "gasLimit",
        "gasUsed",
        "timestamp",
        "mixHash",
        "nonce",
        "baseFeePerGas",
    ];
    let field = FIELDS[rng.random_range(0..FIELDS.len())];
    flip_digit(header.get_mut(field)?, rng)
}

fn alter_receipt(receipts: &mut Value, rng: &mut StdRng) -> Option<()> {
    let receipts = receipts.as_array_mut().filter(|all| !all.is_empty())?;
    let at = rng.random_range(0..receipts.len());
    let receipt = &mut receipts[at];
    match rng.random_range(0..4) {
        0 => flip_digit(receipt.get_mut("cumulativeGasUsed")?, rng),
        1 => flip_digit(receipt.get_mut("logsBloom")?, rng),
        2 => {
            receipt["status"] =
                if receipt["status"] == "0x1" { json!("0x0") } else { json!("0x1") };
            Some(())
        }
        _ => {
            receipt["type"] = if receipt["type"] == "0x2" { json!("0x1") } else { json!("0x2") };
            Some(())
        }
    }
}

/// Two receipts exchange the hashes of their transactions, or one has a made-up one.
fn swap_hashes(receipts: &mut Value, rng: &mut StdRng) -> Option<()> {
    let receipts = receipts.as_array_mut()?;
    let of_logs = |receipt: &Value| receipt["logs"].as_array().is_some_and(|l| !l.is_empty());
    let at = receipts.iter().position(of_logs)?;
    let made_up = format!("0x{}", hex::encode(rng.random::<[u8; 32]>()));
    let with = rng.random_range(0..receipts.len());
    let theirs = receipts[with]["transactionHash"].clone();
    let hash = if with == at { json!(made_up) } else { theirs };
    let ours = std::mem::replace(&mut receipts[at]["transactionHash"], hash.clone());
    if with != at {
        receipts[with]["transactionHash"] = ours.clone();
    }
    for (receipt, hash) in [(at, hash), (with, ours)].into_iter().take(1 + usize::from(with != at))
    {
        for log in receipts[receipt]["logs"].as_array_mut()? {
            log["transactionHash"] = hash.clone();
        }
    }
    Some(())
}

/// Transactions in another order, one less or one more, or one that says something else.
fn alter_transactions(block: &mut Value, rng: &mut StdRng) -> Option<()> {
    let transactions = block["transactions"].as_array_mut().filter(|all| !all.is_empty())?;
    let at = rng.random_range(0..transactions.len());
    match rng.random_range(0..4) {
        0 if transactions.len() > 1 => transactions.rotate_left(1),
        1 => {
            transactions.remove(at);
        }
        2 => {
            let twice = transactions[at].clone();
            transactions.push(twice);
        }
        _ => {
            let fields = ["nonce", "gas", "to", "input", "r", "s"];
            let field = fields[rng.random_range(0..fields.len())];
            flip_digit(transactions[at].get_mut(field)?, rng)?;
        }
    }
    Some(())
}

/// Another block's answer, as if it were about the same block.
fn as_of(honest: &Value, other: &Value) -> Option<Value> {
    let this = honest.as_array()?.first()?;
    let (hash, number) = (this["blockHash"].clone(), this["blockNumber"].clone());
    let mut answer = other.clone();
    let renamed = |entry: &mut Value| {
        entry["blockHash"] = hash.clone();
        entry["blockNumber"] = number.clone();
    };
    for entry in answer.as_array_mut()? {
        renamed(entry);
        entry.get_mut("logs").and_then(Value::as_array_mut).into_iter().flatten().for_each(renamed);
    }
    Some(answer)
}

fn drop_all(answer: &mut Value, asked: Asked, rng: &mut StdRng) -> Option<()> {
    let all = answer.as_array_mut()?;
    if asked == Asked::Logs || rng.random_range(0..3) == 0 {
        all.clear();
        return Some(());
    }
    let with_bloom = rng.random::<bool>();
    for receipt in all {
        receipt["logs"] = json!([]);
        if with_bloom {
            rebloom(receipt)?;
        }
    }
    Some(())
}

/// One list of logs of the answer, picked among those that have some, is changed.
fn bend_logs(lie: Lie, answer: &mut Value, asked: Asked, rng: &mut StdRng) -> Option<()> {
    let entries = answer.as_array_mut()?;
    if asked == Asked::Logs {
        return bend(lie, entries, rng);
    }
    let of_logs = |receipt: &&mut Value| receipt["logs"].as_array().is_some_and(|l| !l.is_empty());
    let mut with_logs: Vec<&mut Value> = entries.iter_mut().filter(of_logs).collect();
    if with_logs.is_empty() {
        return None;
    }
    let picked = rng.random_range(0..with_logs.len());
    let receipt = with_logs.swap_remove(picked);
    bend(lie, receipt["logs"].as_array_mut()?, rng)?;
    if rng.random::<bool>() {
        rebloom(receipt)?;
    }
    Some(())
}

fn bend(lie: Lie, logs: &mut Vec<Value>, rng: &mut StdRng) -> Option<()> {
    if logs.is_empty() {
        return None;
    }
    let at = rng.random_range(0..logs.len());
    match lie {
        Lie::LogMissing => {
            logs.remove(at);
        }
        Lie::LogAdded => {
            let mut made_up = logs[at].clone();
            let next = u64::try_from(logs.len()).unwrap() + rng.random_range(0..3);
            made_up["logIndex"] = json!(format!("{next:#x}"));
            let _ = alter_log(&mut made_up, rng);
            logs.insert(rng.random_range(0..=at), made_up);
        }
        Lie::LogAltered => alter_log(&mut logs[at], rng)?,
        Lie::LogElsewhere => {
            let address = rng.random::<[u8; 20]>();
            logs[at]["address"] = json!(format!("0x{}", hex::encode(address)));
        }
        Lie::LogsShuffled if logs.len() > 1 => {
            let by = rng.random_range(1..logs.len());
            logs.rotate_left(by);
        }
        Lie::LogDoubled => {
            let twice = logs[at].clone();
            logs.insert(at, twice);
        }
        Lie::WrongIndex => {
            let by = rng.random_range(1..9u64);
            for log in &mut logs[at..] {
                let index = log["logIndex"].as_str()?.trim_start_matches("0x");
                let index = u64::from_str_radix(index, 16).ok()?;
                log["logIndex"] = json!(format!("{:#x}", index + by));
            }
        }
        _ => return None,
    }
    Some(())
}

fn alter_log(log: &mut Value, rng: &mut StdRng) -> Option<()> {
    let topics = log["topics"].as_array().map_or(0, Vec::len);
    let has_data = log["data"].as_str().is_some_and(|data| data.len() > 2);
    if topics == 0 || (has_data && rng.random::<bool>()) {
        return flip_digit(log.get_mut("data")?, rng);
    }
    flip_digit(&mut log["topics"][rng.random_range(0..topics)], rng)
}

/// Another digit at a random place of a hex text.
fn flip_digit(text: &mut Value, rng: &mut StdRng) -> Option<()> {
    let mut digits: Vec<char> = text.as_str()?.chars().collect();
    if digits.len() < 3 {
        return None;
    }
    let at = rng.random_range(2..digits.len());
    // No leading zero, which a number must not have.
    // In either case a letter is the same digit.
    let old = digits[at].to_ascii_lowercase();
    let others = "123456789abcdef".chars().filter(|digit| *digit != old);
    let others: Vec<char> = others.collect();
    digits[at] = others[rng.random_range(0..others.len())];
    *text = json!(digits.into_iter().collect::<String>());
    Some(())
}

/// Makes a receipt's bloom fit its logs, as a careful liar would.
fn rebloom(receipt: &mut Value) -> Option<()> {
    let mut bloom = Bloom::ZERO;
    for log in receipt["logs"].as_array()? {
        let topics = log["topics"].as_array()?.iter();
        for part in std::iter::once(&log["address"]).chain(topics) {
            let bytes = hex::decode(part.as_str()?).ok()?;
            bloom.accrue(BloomInput::Raw(&bytes));
        }
    }
    receipt["logsBloom"] = json!(bloom);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn log(index: u64) -> Value {
        let topics = [format!("0x{}", "1a".repeat(32)), format!("0x{}", "2b".repeat(32))];
        let [address, hash] = [20, 32].map(|n| format!("0x{}", "3c".repeat(n)));
        json!({
            "address": address, "topics": topics, "data": format!("0x{}", "4d".repeat(64)),
            "logIndex": format!("{index:#x}"), "blockHash": hash, "blockNumber": "0x7",
            "transactionHash": hash,
        })
    }

    fn honest(asked: Asked) -> Value {
        let receipt = |logs: Vec<Value>| {
            let mut receipt = json!({
                "status": "0x1", "type": "0x2", "cumulativeGasUsed": "0x5208",
                "transactionHash": log(0)["transactionHash"], "blockNumber": "0x7",
                "blockHash": log(0)["blockHash"], "logs": logs,
            });
            rebloom(&mut receipt).unwrap();
            receipt
        };
        match asked {
            Asked::Header => {
                let fields = ["hash", "parentHash", "sha3Uncles", "miner", "stateRoot", "nonce"];
                let more = ["transactionsRoot", "receiptsRoot", "mixHash", "baseFeePerGas"];
                let rest = ["number", "gasLimit", "gasUsed", "timestamp"];
                let all = fields.into_iter().chain(more).chain(rest);
                let mut header: serde_json::Map<_, _> =
                    all.map(|field| (field.to_owned(), json!("0x1234"))).collect();
                header.insert("logsBloom".into(), json!(format!("0x{}", "f0".repeat(256))));
                header.into()
            }
            Asked::Block => {
                let fields = ["nonce", "gas", "to", "input", "r", "s"];
                let one: serde_json::Map<_, _> =
                    fields.map(|field| (field.to_owned(), json!("0x1234"))).into_iter().collect();
                json!({ "hash": "0x12", "transactions": [one, { "to": "0x56" }] })
            }
            Asked::Receipts => json!([receipt(vec![]), receipt(vec![log(0), log(1), log(2)])]),
            Asked::Logs => json!([log(0), log(1), log(2)]),
        }
    }

    /// A lie that changes nothing would be counted as refused by nobody.
    #[test]
    fn every_lie_about_an_answer_differs_from_it_and_is_the_same_again_by_its_seed() {
        let other = json!([log(9)]);
        let mut told = std::collections::HashSet::new();
        for (lie, asked) in Lie::ALL.iter().flat_map(|lie| Asked::ALL.map(|asked| (*lie, asked))) {
            let honest = honest(asked);
            for seed in 0..200 {
                let by = |mut rng| tell(lie, asked, &honest, Some(&other), &mut rng);
                let lied = by(StdRng::seed_from_u64(seed));
                assert_eq!(lied, by(StdRng::seed_from_u64(seed)));
                assert_ne!(lied.as_ref(), Some(&honest), "{lie:?} of {asked:?}");
                told.extend(lied.map(|_| lie));
            }
        }
        assert_eq!(told.len(), Lie::ALL.len(), "{told:?}");
    }
}
