//! Intents to change the chain, and every transaction signed for them, stored before sending.

use alloy::primitives::{Address, B256, Bytes};
use contracts::JobId;
use serde::Serialize;

use crate::dialect::Writer;
use crate::error::{Error, Result};
use crate::values::{Cell, Row, Value, values, words};
use crate::{Reader, WorkWriter};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Open,
    Release,
    Commit,
    Approve,
    Reject,
    Settle,
    Lapse,
    RequestClose,
    Close,
}
words!(Action {
    Open = "open",
    Release = "release",
    Commit = "commit",
    Approve = "approve",
    Reject = "reject",
    Settle = "settle",
    Lapse = "lapse",
    RequestClose = "request_close",
    Close = "close",
});

/// Waiting: not signed yet. Unknown: signed, maybe sent. Done: the index shows the effect.
/// Parked: needs a person, see its problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentState {
    Waiting,
    Unknown,
    Done,
    Parked,
}
words!(IntentState {
    Waiting = "waiting",
    Unknown = "unknown",
    Done = "done",
    Parked = "parked",
});

/// One wish to change the chain. `subject` is the lot hash, lots hash or job id acted on; action,
/// job and subject together are there once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Intent {
    pub intent_id: i64,
    pub action: Action,
    pub job_id: JobId,
    pub subject: B256,
    pub calldata: Bytes,
    pub state: IntentState,
    pub problem: Option<String>,
    pub created_at: i64,
}

/// A transaction signed for an intent; `max_fee` is wei per gas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SentTx {
    pub tx_hash: B256,
    pub intent_id: i64,
    pub sender: Address,
    pub nonce: u64,
    pub raw: Bytes,
    pub max_fee: u128,
    pub signed_at: i64,
}

/// A fee of 128 bits as text that sorts: 39 digits.
struct Fee(u128);

macro_rules! select_intents {
    ($rest:literal) => {
        concat!(
            "SELECT intent_id, action, job_id, subject, calldata, state, problem, created_at \
             FROM outbox ",
            $rest
        )
    };
}

macro_rules! select_transactions {
    ($rest:literal) => {
        concat!(
            "SELECT tx_hash, intent_id, sender, nonce, raw, max_fee, signed_at \
             FROM outbox_transactions ",
            $rest
        )
    };
}

impl WorkWriter {
    /// Stores a new intent as waiting. None when action, job and subject are there already,
    /// whatever became of that one: nothing is sent twice.
    pub async fn put_intent(
        &self,
        action: Action,
        job_id: JobId,
        subject: B256,
        calldata: Bytes,
        now: i64,
    ) -> Result<Option<Intent>> {
        let mut tx = self.pool.write(Writer::Work).await?;
        let sql = select_intents!("WHERE action = $1 AND job_id = $2 AND subject = $3");
        if tx.one(sql, values![action, job_id, subject]).await?.is_some() {
            return Ok(None);
        }
        let sql = "SELECT COALESCE(MAX(intent_id), 0) + 1 AS next FROM outbox";
        let next = tx.one(sql, vec![]).await?.map(|row| row.get("next")).transpose()?;
        let intent = Intent {
            intent_id: next.unwrap_or(1),
            action,
            job_id,
            subject,
            calldata,
            state: IntentState::Waiting,
            problem: None,
            created_at: now,
        };
        let sql = "INSERT INTO outbox (intent_id, action, job_id, subject, calldata, state, \
                   problem, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let row = values![
            intent.intent_id,
            intent.action,
            intent.job_id,
            intent.subject,
            &intent.calldata,
            intent.state,
            None::<&str>,
            intent.created_at,
        ];
        tx.execute(sql, row).await?;
        tx.commit().await?;
        Ok(Some(intent))
    }

    /// Stores a signed transaction and moves its intent to unknown, in one transaction: call it
    /// before the first byte is sent. The same transaction again changes nothing.
    pub async fn put_transaction(&self, sent: &SentTx) -> Result<()> {
        let mut tx = self.pool.write(Writer::Work).await?;
        let sql = select_transactions!("WHERE tx_hash = $1");
        if let Some(row) = tx.one(sql, values![sent.tx_hash]).await? {
            let stored = SentTx { signed_at: sent.signed_at, ..transaction_from(&row)? };
            let what = || format!("transaction {}", sent.tx_hash);
            let same = stored == *sent;
            return if same { Ok(()) } else { Err(Error::Conflict { what: what() }) };
        }
        let id = sent.intent_id;
        let row = tx.one(select_intents!("WHERE intent_id = $1"), values![id]).await?;
        let Some(row) = row else {
            return Err(Error::Missing { what: "intent", key: id.to_string() });
        };
        match row.word::<IntentState>("state")? {
            IntentState::Waiting | IntentState::Unknown => {}
            state @ (IntentState::Done | IntentState::Parked) => {
                return Err(Error::IntentClosed { intent_id: id, state: state.to_string() });
            }
        }
        let sql = "INSERT INTO outbox_transactions (tx_hash, intent_id, sender, nonce, raw, \
                   max_fee, signed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let row = values![
            sent.tx_hash,
            id,
            sent.sender,
            sent.nonce,
            &sent.raw,
            Fee(sent.max_fee),
            sent.signed_at,
        ];
        tx.execute(sql, row).await?;
        let sql = "UPDATE outbox SET state = 'unknown', problem = NULL WHERE intent_id = $1";
        tx.execute(sql, values![id]).await?;
        tx.commit().await
    }

    /// Writes what became of an intent. Also back from done, when a rewind took the effect away.
    pub async fn set_intent(
        &self,
        intent_id: i64,
        state: IntentState,
        problem: Option<&str>,
    ) -> Result<()> {
        let mut tx = self.pool.write(Writer::Work).await?;
        let sql = "UPDATE outbox SET state = $2, problem = $3 WHERE intent_id = $1";
        if tx.execute(sql, values![intent_id, state, problem]).await? != 1 {
            return Err(Error::Missing { what: "intent", key: intent_id.to_string() });
        }
        tx.commit().await
    }
}

impl Reader {
    /// A page of all signed transactions, by hash; the first one comes after the zero hash.
    pub async fn transactions_after(&self, after: B256, limit: u32) -> Result<Vec<SentTx>> {
        let sql = select_transactions!("WHERE tx_hash > $1 ORDER BY tx_hash LIMIT $2");
        self.pool.all(sql, values![after, limit]).await?.iter().map(transaction_from).collect()
    }

    /// Intents in any of these states, oldest first.
    pub async fn intents(&self, states: &[IntentState]) -> Result<Vec<Intent>> {
        if states.is_empty() {
            return Ok(Vec::new());
        }
        let sql = select_intents!("WHERE state IN {} ORDER BY intent_id");
        let states = states.iter().map(|state| Value::from(*state)).collect();
        self.pool.all_in(sql, states).await?.iter().map(intent_from).collect()
    }

    /// Every intent about a job, oldest first.
    pub async fn intents_of_job(&self, job_id: JobId) -> Result<Vec<Intent>> {
        let sql = select_intents!("WHERE job_id = $1 ORDER BY intent_id");
        self.pool.all(sql, values![job_id]).await?.iter().map(intent_from).collect()
    }

    pub async fn intent(
        &self,
        action: Action,
        job_id: JobId,
        subject: B256,
    ) -> Result<Option<Intent>> {
        let sql = select_intents!("WHERE action = $1 AND job_id = $2 AND subject = $3");
        let row = self.pool.one(sql, values![action, job_id, subject]).await?;
        row.as_ref().map(intent_from).transpose()
    }

    /// Every transaction signed for an intent, in the order of signing.
    pub async fn transactions_of(&self, intent_id: i64) -> Result<Vec<SentTx>> {
        let sql = select_transactions!("WHERE intent_id = $1 ORDER BY signed_at, max_fee, nonce");
        self.pool.all(sql, values![intent_id]).await?.iter().map(transaction_from).collect()
    }

    /// The highest nonce ever signed with by this key.
    pub async fn highest_nonce(&self, sender: Address) -> Result<Option<u64>> {
        let sql = "SELECT nonce FROM outbox_transactions WHERE sender = $1 \
                   ORDER BY nonce DESC LIMIT 1";
        self.pool.one(sql, values![sender]).await?.map(|row| row.get("nonce")).transpose()
    }
}

fn intent_from(row: &Row) -> Result<Intent> {
    Ok(Intent {
        intent_id: row.get("intent_id")?,
        action: row.word("action")?,
        job_id: row.get("job_id")?,
        subject: row.get("subject")?,
        calldata: row.get("calldata")?,
        state: row.word("state")?,
        problem: row.opt("problem")?,
        created_at: row.get("created_at")?,
    })
}

fn transaction_from(row: &Row) -> Result<SentTx> {
    let Fee(max_fee) = row.get("max_fee")?;
    Ok(SentTx {
        tx_hash: row.get("tx_hash")?,
        intent_id: row.get("intent_id")?,
        sender: row.get("sender")?,
        nonce: row.get("nonce")?,
        raw: row.get("raw")?,
        max_fee,
        signed_at: row.get("signed_at")?,
    })
}

impl From<Fee> for Value {
    fn from(fee: Fee) -> Self {
        Self::Text(Some(format!("{:039}", fee.0)))
    }
}

impl TryFrom<Cell> for Fee {
    type Error = String;
    fn try_from(cell: Cell) -> Result<Self, String> {
        let text = String::try_from(cell)?;
        text.parse().map(Fee).map_err(|e| format!("`{text}` is no fee: {e}"))
    }
}

#[cfg(test)]
mod tests;
