//! pure: the node registry: its logs as events and back, a signer's consent, what refusals mean.

mod nodes;

use alloy::primitives::aliases::U40;
use alloy::primitives::{Address, B256, Bytes, Log, LogData, U256};
use alloy::sol_types::{Eip712Domain, SolEvent, SolEventInterface, SolStruct};
use serde::Serialize;
use serde_json::{Value, json};

use crate::amount::Amount;
use crate::receipt::Receipt;
use crate::signing::{self, SignatureProblem};
use crate::text::checksummed;
use crate::{JobId, NodeRegistry};

pub use nodes::{FoldError, NodeState, Nodes};

use NodeRegistry::NodeRegistryEvents as Raw;

/// Seconds from a request to the withdrawal, as `INodeRegistry.unbondDelay` explains.
pub const UNBOND_DELAY_SECONDS: u64 = 45 * 86_400;

alloy::sol! {
    /// A signer's consent to be the node of this owner, for ever.
    #[derive(Debug, PartialEq, Eq)]
    struct Registration {
        address owner;
        address signer;
        address payout;
        bytes32 capabilitiesHash;
    }
}

/// Everything the registry says. Each variant's fields are those of the contract's event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RegistryEvent {
    Registered {
        #[serde(with = "checksummed")]
        signer: Address,
        #[serde(with = "checksummed")]
        owner: Address,
        #[serde(with = "checksummed")]
        payout: Address,
        capabilities_hash: B256,
        seq: u64,
    },
    Updated {
        #[serde(with = "checksummed")]
        signer: Address,
        #[serde(with = "checksummed")]
        payout: Address,
        capabilities_hash: B256,
        seq: u64,
    },
    Bonded {
        #[serde(with = "checksummed")]
        signer: Address,
        #[serde(with = "checksummed")]
        from: Address,
        amount: Amount,
        bonded: Amount,
        seq: u64,
    },
    UnbondRequested {
        #[serde(with = "checksummed")]
        signer: Address,
        amount: Amount,
        bonded: Amount,
        unbonding: Amount,
        unbond_at: u64,
        seq: u64,
    },
    BondWithdrawn {
        #[serde(with = "checksummed")]
        signer: Address,
        #[serde(with = "checksummed")]
        to: Address,
        amount: Amount,
        seq: u64,
    },
    Slashed(Box<Slashed>),
}

/// A slash with its proof: two receipts of one signer that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Slashed {
    #[serde(with = "checksummed")]
    pub signer: Address,
    #[serde(with = "checksummed")]
    pub reporter: Address,
    pub job_id: JobId,
    pub first: Receipt,
    pub first_signature: Bytes,
    pub second: Receipt,
    pub second_signature: Bytes,
    pub burned: Amount,
    pub rewarded: Amount,
    pub seq: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    #[error("log is of {found}, not of the node registry {registry}")]
    OtherContract { registry: Address, found: Address },
    #[error(
        "log is none of the node registry's known events; this program is older than the \
         contract, or the address is not the registry"
    )]
    Unknown,
    #[error("log does not fit its event of the node registry: {0}")]
    Malformed(String),
}

/// Why two receipts prove no fraud; the contract refuses them for the same reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofProblem {
    #[error("the receipts are about two works; both may be true")]
    WorksDiffer,
    #[error("both receipts name the output {0}")]
    OutputsEqual(B256),
    #[error("a receipt's signature is no good: {0}")]
    Signature(#[from] SignatureProblem),
    #[error("{found} signed a receipt that should be {signer}'s")]
    OtherSigner { signer: Address, found: Address },
}

/// A log of the registry, by its address, as an event.
pub fn decode(registry: Address, log: &Log) -> Result<RegistryEvent, LogError> {
    if log.address != registry {
        return Err(LogError::OtherContract { registry, found: log.address });
    }
    let topic = log.topics().first().ok_or(LogError::Unknown)?;
    if !Raw::SELECTORS.contains(&topic.0) {
        return Err(LogError::Unknown);
    }
    let raw = Raw::decode_raw_log(log.topics(), &log.data.data);
    let raw = raw.map_err(|e| LogError::Malformed(e.to_string()))?;
    let event = RegistryEvent::of(raw).ok_or(LogError::Unknown)?;
    // The contract's encoding is canonical: what comes back otherwise is not from the contract.
    if event.encode() != log.data {
        return Err(LogError::Malformed("encoded again it gives other bytes".into()));
    }
    Ok(event)
}

impl RegistryEvent {
    pub fn signer(&self) -> Address {
        match self {
            Self::Registered { signer, .. }
            | Self::Updated { signer, .. }
            | Self::Bonded { signer, .. }
            | Self::UnbondRequested { signer, .. }
            | Self::BondWithdrawn { signer, .. } => *signer,
            Self::Slashed(e) => e.signer,
        }
    }

    /// The event's name in the contract.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "Registered",
            Self::Updated { .. } => "Updated",
            Self::Bonded { .. } => "Bonded",
            Self::UnbondRequested { .. } => "UnbondRequested",
            Self::BondWithdrawn { .. } => "BondWithdrawn",
            Self::Slashed(_) => "Slashed",
        }
    }

    /// None for the one event that the registry inherits and never writes.
    fn of(raw: Raw) -> Option<Self> {
        Some(match raw {
            Raw::Registered(e) => Self::Registered {
                signer: e.signer,
                owner: e.owner,
                payout: e.payout,
                capabilities_hash: e.capabilitiesHash,
                seq: e.seq,
            },
            Raw::Updated(e) => Self::Updated {
                signer: e.signer,
                payout: e.payout,
                capabilities_hash: e.capabilitiesHash,
                seq: e.seq,
            },
            Raw::Bonded(e) => Self::Bonded {
                signer: e.signer,
                from: e.from,
                amount: e.amount.into(),
                bonded: e.bonded.into(),
                seq: e.seq,
            },
            Raw::UnbondRequested(e) => Self::UnbondRequested {
                signer: e.signer,
                amount: e.amount.into(),
                bonded: e.bonded.into(),
                unbonding: e.unbonding.into(),
                unbond_at: e.unbondAt.to::<u64>(),
                seq: e.seq,
            },
            Raw::BondWithdrawn(e) => Self::BondWithdrawn {
                signer: e.signer,
                to: e.to,
                amount: e.amount.into(),
                seq: e.seq,
            },
            Raw::Slashed(e) => Self::Slashed(Box::new(Slashed {
                signer: e.signer,
                reporter: e.reporter,
                job_id: e.jobId,
                first: plain(&e.first),
                first_signature: e.firstSignature,
                second: plain(&e.second),
                second_signature: e.secondSignature,
                burned: e.burned.into(),
                rewarded: e.rewarded.into(),
                seq: e.seq,
            })),
            Raw::EIP712DomainChanged(_) => return None,
        })
    }

    /// Topics and data, as the contract writes them.
    pub fn encode(&self) -> LogData {
        match self.clone() {
            Self::Registered { signer, owner, payout, capabilities_hash, seq } => {
                NodeRegistry::Registered {
                    signer,
                    owner,
                    payout,
                    capabilitiesHash: capabilities_hash,
                    seq,
                }
                .encode_log_data()
            }
            Self::Updated { signer, payout, capabilities_hash, seq } => {
                NodeRegistry::Updated { signer, payout, capabilitiesHash: capabilities_hash, seq }
                    .encode_log_data()
            }
            Self::Bonded { signer, from, amount, bonded, seq } => {
                let (amount, bonded) = (amount.into(), bonded.into());
                NodeRegistry::Bonded { signer, from, amount, bonded, seq }.encode_log_data()
            }
            Self::UnbondRequested { signer, amount, bonded, unbonding, unbond_at, seq } => {
                NodeRegistry::UnbondRequested {
                    signer,
                    amount: amount.into(),
                    bonded: bonded.into(),
                    unbonding: unbonding.into(),
                    unbondAt: U40::saturating_from(unbond_at),
                    seq,
                }
                .encode_log_data()
            }
            Self::BondWithdrawn { signer, to, amount, seq } => {
                let amount = amount.into();
                NodeRegistry::BondWithdrawn { signer, to, amount, seq }.encode_log_data()
            }
            Self::Slashed(e) => NodeRegistry::Slashed {
                signer: e.signer,
                reporter: e.reporter,
                jobId: e.job_id,
                first: raw_receipt(&e.first),
                firstSignature: e.first_signature,
                second: raw_receipt(&e.second),
                secondSignature: e.second_signature,
                burned: e.burned.into(),
                rewarded: e.rewarded.into(),
                seq: e.seq,
            }
            .encode_log_data(),
        }
    }
}

/// Whether these two receipts slash `signer`; `escrow` is the escrow's domain.
pub fn check_proof(
    signer: Address,
    (first, first_signature): (&Receipt, &[u8]),
    (second, second_signature): (&Receipt, &[u8]),
    escrow: &Eip712Domain,
) -> Result<(), ProofProblem> {
    let work = |receipt: &Receipt| (receipt.job_id, receipt.unit, receipt.attempt);
    if work(first) != work(second) {
        return Err(ProofProblem::WorksDiffer);
    }
    if first.output_hash == second.output_hash {
        return Err(ProofProblem::OutputsEqual(first.output_hash));
    }
    for (receipt, signature) in [(first, first_signature), (second, second_signature)] {
        let found = signing::recover(receipt.digest(escrow), signature)?;
        if found != signer {
            return Err(ProofProblem::OtherSigner { signer, found });
        }
    }
    Ok(())
}

/// The domain in which a signer consents to its registration.
pub fn domain(chain_id: u64, registry: Address) -> Eip712Domain {
    Eip712Domain::new(
        Some("NodeRegistry".into()),
        Some("1".into()),
        Some(U256::from(chain_id)),
        Some(registry),
        None,
    )
}

impl Registration {
    /// What the signer signs.
    pub fn digest(&self, domain: &Eip712Domain) -> B256 {
        self.eip712_signing_hash(domain)
    }

    /// `eth_signTypedData_v4` JSON of the consent.
    pub fn typed_data(&self, domain: &Eip712Domain) -> Value {
        let message = json!({
            "owner": self.owner.to_checksum(None),
            "signer": self.signer.to_checksum(None),
            "payout": self.payout.to_checksum(None),
            "capabilitiesHash": self.capabilitiesHash,
        });
        signing::typed_data::<Self>(message, domain)
    }
}

fn plain(raw: &NodeRegistry::Receipt) -> Receipt {
    Receipt {
        job_id: raw.jobId,
        unit: raw.unit,
        attempt: raw.attempt,
        output_hash: raw.outputHash,
        preview_hash: raw.previewHash,
        key_commit: raw.keyCommit,
        started_at: raw.startedAt.to::<u64>(),
        finished_at: raw.finishedAt.to::<u64>(),
    }
}

/// The receipt as `slash` takes it.
pub fn raw_receipt(receipt: &Receipt) -> NodeRegistry::Receipt {
    NodeRegistry::Receipt {
        jobId: receipt.job_id,
        unit: receipt.unit,
        attempt: receipt.attempt,
        outputHash: receipt.output_hash,
        previewHash: receipt.preview_hash,
        keyCommit: receipt.key_commit,
        startedAt: U40::saturating_from(receipt.started_at),
        finishedAt: U40::saturating_from(receipt.finished_at),
    }
}

/// What to do about each refusal of the registry, by its code.
pub(crate) const HINTS: [(&str, &str); 19] = [
    ("escrow_refused", "name the address of the escrow whose receipts count, on this chain"),
    ("account_refused", "name an account that is neither zero, the registry nor the escrow"),
    ("amount_zero", "ask for an amount above zero"),
    ("caller_refused", "call from the owner of the signer's bond"),
    ("registration_refused", "sign the Registration of exactly these terms with the signer's key"),
    ("signer_known", "a signer has one bond for ever: register a new key"),
    ("signer_unknown", "register the signer first, or check its address"),
    ("signer_barred", "nothing to do: a slashed signer stays out; register a new key"),
    ("bond_too_low", "ask for no more than is bonded"),
    ("nothing_unbonding", "request to unbond first"),
    ("too_early", "wait for the named time and send it again"),
    ("pull_failed", "approve the registry for the amount, and hold as many tokens, then retry"),
    ("send_failed", "the token refused to pay this address: name or use another one"),
    ("bond_inexact", "this token moves other amounts than asked: it cannot be used"),
    ("balance_too_large", "bond less: the registry is full"),
    ("receipt_refused", "send the node's own 65 bytes of signature over the receipt"),
    ("signers_differ", "send two receipts that one key signed, for this escrow and chain"),
    ("works_differ", "send two receipts of the same job, unit and attempt"),
    ("outputs_equal", "these receipts agree: there is nothing to slash"),
];

#[cfg(test)]
mod tests;
