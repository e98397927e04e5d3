//! pure: paying through `Funding`: vaults, nonces and witnesses to sign, payloads of `openWith`.

use alloy::primitives::{Address, B256, Bytes, U256, address, bytes, keccak256};
use alloy::sol_types::{Eip712Domain, SolStruct, SolValue};
use serde_json::{Value, json};

use crate::amount::Amount;
use crate::order::Order;
use crate::{Funding, JobId};

/// Where Permit2 is on most chains.
pub const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");
/// What a deposit binds in the place of a job.
pub const NO_JOB: JobId = B256::ZERO;

const BY_AUTHORIZATION: u8 = 1;
const BY_PERMIT2: u8 = 2;

alloy::sol! {
    /// Who is credited, and which order it opens, if any: what Permit2 signs beside the money.
    #[derive(Debug, PartialEq, Eq)]
    struct Witness {
        address account;
        bytes32 jobId;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    /// What a payer signs in Permit2's domain.
    #[derive(Debug, PartialEq, Eq)]
    struct PermitWitnessTransferFrom {
        TokenPermissions permitted;
        address spender;
        uint256 nonce;
        uint256 deadline;
        Witness witness;
    }

    /// What a payer signs in the token's own domain, by EIP-2612.
    #[derive(Debug, PartialEq, Eq)]
    struct Permit {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
    }

    /// What a payer signs in the token's own domain, by EIP-3009.
    #[derive(Debug, PartialEq, Eq)]
    struct ReceiveWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }
}

/// The code that this Funding's vaults are clones of: the first contract that it created.
pub fn vault_implementation(funding: Address) -> Address {
    funding.create(1)
}

/// Where to send the token to pay for exactly this job, on the job's own chain.
pub fn vault_address(funding: Address, job_id: JobId) -> Address {
    let before = bytes!("3d602d80600a3d3981f3363d3d373d3d3d363d73");
    let after = bytes!("5af43d82803e903d91602b57fd5bf3");
    let code = [&before[..], vault_implementation(funding).as_slice(), &after[..]].concat();
    funding.create2(job_id, keccak256(code))
}

/// The EIP-3009 nonce that binds account and job; `salt` is the signer's, a new one each time.
pub fn authorization_nonce(account: Address, job_id: JobId, salt: B256) -> B256 {
    keccak256((account, job_id, salt).abi_encode())
}

/// Which contract takes the money, who is credited with it, and for which job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose {
    pub funding: Address,
    /// Of a job its payer, who must then be the signer.
    pub account: Address,
    /// [`NO_JOB`] for a deposit.
    pub job_id: JobId,
    /// Of a job exactly its cap.
    pub amount: Amount,
}

impl Purpose {
    /// Consent to open this order, and nothing else.
    pub fn of_order(funding: Address, order: &Order, job_id: JobId) -> Self {
        Self { funding, account: order.payer, job_id, amount: order.cap }
    }

    /// For `from` to sign in the token's domain; good strictly between the two unix times.
    pub fn authorization(
        &self,
        from: Address,
        valid_after: u64,
        valid_before: u64,
        salt: B256,
    ) -> ReceiveWithAuthorization {
        ReceiveWithAuthorization {
            from,
            to: self.funding,
            value: self.amount.to_u256(),
            validAfter: U256::from(valid_after),
            validBefore: U256::from(valid_before),
            nonce: authorization_nonce(self.account, self.job_id, salt),
        }
    }

    /// To sign in Permit2's domain; good until and including the unix time `deadline`. Any `nonce`
    /// that the signer never used before will do.
    pub fn permit2(&self, token: Address, nonce: U256, deadline: u64) -> PermitWitnessTransferFrom {
        PermitWitnessTransferFrom {
            permitted: TokenPermissions { token, amount: self.amount.to_u256() },
            spender: self.funding,
            nonce,
            deadline: U256::from(deadline),
            witness: Witness { account: self.account, jobId: self.job_id },
        }
    }
}

/// For `owner` to sign in the token's domain, so that its own `depositWithPermit` may take the
/// `amount`; `nonce` is the token's `nonces(owner)`. Good until and including the unix time
/// `deadline`. It binds no account: only the owner's own call uses it.
pub fn permit(
    funding: Address,
    owner: Address,
    amount: Amount,
    nonce: U256,
    deadline: u64,
) -> Permit {
    let (value, deadline) = (amount.to_u256(), U256::from(deadline));
    Permit { owner, spender: funding, value, nonce, deadline }
}

/// Permit2's EIP-712 domain, which has no version.
pub fn permit2_domain(chain_id: u64, permit2: Address) -> Eip712Domain {
    let name = Some("Permit2".into());
    Eip712Domain::new(name, None, Some(U256::from(chain_id)), Some(permit2), None)
}

/// `eth_signTypedData_v4` JSON for Permit2.
pub fn permit2_typed_data(act: &PermitWitnessTransferFrom, domain: &Eip712Domain) -> Value {
    let message = json!({
        "permitted": {
            "token": text(act.permitted.token),
            "amount": act.permitted.amount.to_string(),
        },
        "spender": text(act.spender),
        "nonce": act.nonce.to_string(),
        "deadline": act.deadline.to_string(),
        "witness": { "account": text(act.witness.account), "jobId": act.witness.jobId },
    });
    typed_data::<PermitWitnessTransferFrom>(message, domain)
}

/// `eth_signTypedData_v4` JSON for EIP-2612; `domain` is the token's own.
pub fn permit_typed_data(act: &Permit, domain: &Eip712Domain) -> Value {
    let message = json!({
        "owner": text(act.owner),
        "spender": text(act.spender),
        "value": act.value.to_string(),
        "nonce": act.nonce.to_string(),
        "deadline": act.deadline.to_string(),
    });
    typed_data::<Permit>(message, domain)
}

/// `eth_signTypedData_v4` JSON for EIP-3009; `domain` is the token's own.
pub fn authorization_typed_data(act: &ReceiveWithAuthorization, domain: &Eip712Domain) -> Value {
    let message = json!({
        "from": text(act.from),
        "to": text(act.to),
        "value": act.value.to_string(),
        "validAfter": act.validAfter.to_string(),
        "validBefore": act.validBefore.to_string(),
        "nonce": act.nonce,
    });
    typed_data::<ReceiveWithAuthorization>(message, domain)
}

/// What `openWith` takes beside the order: how its payer pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    Authorization { valid_after: U256, valid_before: U256, salt: B256, signature: Bytes },
    Permit2 { nonce: U256, deadline: U256, signature: Bytes },
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PayloadProblem {
    #[error("the payload is empty; its first byte names the way: 1 EIP-3009, 2 Permit2")]
    Empty,
    #[error("the payload begins with {0}, which names no way; use 1 (EIP-3009) or 2 (Permit2)")]
    Kind(u8),
    #[error("the payload is not the ABI encoding that its first byte names: {0}")]
    Fields(alloy::sol_types::Error),
}

impl Payload {
    pub fn encode(&self) -> Bytes {
        let (kind, fields) = match self {
            Self::Authorization { valid_after, valid_before, salt, signature } => {
                let fields = (*valid_after, *valid_before, *salt, signature.clone());
                (BY_AUTHORIZATION, fields.abi_encode_params())
            }
            Self::Permit2 { nonce, deadline, signature } => {
                (BY_PERMIT2, (*nonce, *deadline, signature.clone()).abi_encode_params())
            }
        };
        [vec![kind], fields].concat().into()
    }

    /// The other way round, for whoever relays a payload and looks at it first.
    pub fn decode(payload: &[u8]) -> Result<Self, PayloadProblem> {
        let (&kind, fields) = payload.split_first().ok_or(PayloadProblem::Empty)?;
        if kind == BY_AUTHORIZATION {
            let (valid_after, valid_before, salt, signature) =
                <(U256, U256, B256, Bytes)>::abi_decode_params_validate(fields)
                    .map_err(PayloadProblem::Fields)?;
            return Ok(Self::Authorization { valid_after, valid_before, salt, signature });
        }
        if kind != BY_PERMIT2 {
            return Err(PayloadProblem::Kind(kind));
        }
        let (nonce, deadline, signature) =
            <(U256, U256, Bytes)>::abi_decode_params_validate(fields)
                .map_err(PayloadProblem::Fields)?;
        Ok(Self::Permit2 { nonce, deadline, signature })
    }
}

/// The struct that Funding's functions take, which is the escrow's under another name.
pub fn order_to_sol(order: &Order) -> Funding::Order {
    let order = order.to_sol();
    Funding::Order {
        payer: order.payer,
        refundTo: order.refundTo,
        approver: order.approver,
        settler: order.settler,
        feeReceiver: order.feeReceiver,
        cap: order.cap,
        maxUnitPrice: order.maxUnitPrice,
        units: order.units,
        openBy: order.openBy,
        workDeadline: order.workDeadline,
        reviewSeconds: order.reviewSeconds,
        claimGrace: order.claimGrace,
        feeBps: order.feeBps,
        burnBps: order.burnBps,
        specHash: order.specHash,
        quoteHash: order.quoteHash,
        salt: order.salt,
    }
}

/// What to do about each refusal of Funding, by its code.
pub(crate) const HINTS: [(&str, &str); 11] = [
    ("contract_refused", "deploy the escrow and Permit2 first, or check chain and addresses"),
    ("no_permit2", "pay by EIP-3009, by EIP-2612 or through a vault"),
    ("account_refused", "name another account than Funding's own"),
    ("pull_failed", "hold as many tokens, and sign for or allow as many, then retry"),
    ("pull_inexact", "this token moves other amounts than asked: it cannot be used"),
    ("payload_unknown", "begin the payload with 1 (EIP-3009) or 2 (Permit2)"),
    ("vault_too_low", "send the rest to the vault's address, then open the job"),
    ("too_early", "open the job with it; from the named time on it can be rescued"),
    ("nothing_to_rescue", "nothing to do: the vault holds nothing of this token"),
    ("rescue_failed", "the token refused to pay refund_to: retry once it does not"),
    ("caller_refused", "ask Funding: its vaults obey nobody else"),
];

fn text(address: Address) -> String {
    address.to_checksum(None)
}

/// As `signing` writes it, of structs within structs and domains without a version.
fn typed_data<S: SolStruct>(message: Value, domain: &Eip712Domain) -> Value {
    let mut types = serde_json::Map::new();
    let encoded = format!("{}{}", domain.encode_type(), S::eip712_encode_type());
    for each in encoded.split_inclusive(')') {
        if let Some((name, fields)) = each.split_once('(') {
            let fields = fields.trim_end_matches(')').split(',');
            let fields = fields.filter_map(|field| field.split_once(' '));
            let list = fields.map(|(kind, name)| json!({ "name": name, "type": kind })).collect();
            types.insert(name.into(), list);
        }
    }
    let mut of = serde_json::Map::new();
    of.insert("name".into(), json!(domain.name));
    if let Some(version) = &domain.version {
        of.insert("version".into(), json!(version));
    }
    of.insert("chainId".into(), json!(domain.chain_id.map(|id| id.saturating_to::<u64>())));
    of.insert("verifyingContract".into(), json!(domain.verifying_contract.map(text)));
    json!({ "types": types, "primaryType": S::NAME, "domain": of, "message": message })
}

#[cfg(test)]
mod tests;
