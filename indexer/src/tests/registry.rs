//! Random histories that the registry could write, and its view functions: for tests only.

use std::collections::BTreeMap;

use alloy::primitives::aliases::{U40, U96};
use alloy::primitives::{Address, B256, Bytes, FixedBytes, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolInterface};
use contracts::NodeRegistry::NodeRegistryCalls as Calls;
use contracts::registry::{RegistryEvent, Slashed, UNBOND_DELAY_SECONDS};
use contracts::{Amount, NodeRegistry, Receipt};

use super::escrow::{CHAIN_ID, Call, ESCROW, TOKEN, domain};
use crate::identity::Token;

pub const REGISTRY: Address = Address::repeat_byte(0x4e);
const SIGNERS: u32 = 5;

#[derive(Clone, Default)]
struct Node {
    payout: Address,
    capabilities_hash: B256,
    bonded: u128,
    unbonding: u128,
    unbond_at: u64,
    slashed: bool,
    seq: u64,
}

/// The whole registry, in plain numbers.
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<Address, Node>);

fn amount(base: u128) -> Amount {
    Amount::from_base(base).unwrap()
}

fn key(pick: u32) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::from(U256::from(pick % SIGNERS + 1))).unwrap()
}

fn owner(signer: Address) -> Address {
    Address::repeat_byte(signer[0])
}

impl Registry {
    /// The event of one call, in a block of time `now`; none when it would revert.
    pub fn call(&mut self, (call, pick, base): Call, now: i64) -> Option<RegistryEvent> {
        let now = u64::try_from(now).unwrap();
        let key = key(pick);
        let (signer, some) = (key.address(), u128::from(base));
        if !self.0.contains_key(&signer) {
            return (call % 3 == 0).then(|| self.register(signer, base));
        }
        let node = self.0.get_mut(&signer)?;
        let next = node.seq + 1;
        let event = match call % 11 {
            0 => {
                node.payout = Address::repeat_byte(call);
                let (payout, capabilities_hash) = (node.payout, node.capabilities_hash);
                RegistryEvent::Updated { signer, payout, capabilities_hash, seq: next }
            }
            1..=3 if !node.slashed => {
                node.bonded += some;
                let (amount, bonded) = (amount(some), amount(node.bonded));
                let from = Address::repeat_byte(call);
                RegistryEvent::Bonded { signer, from, amount, bonded, seq: next }
            }
            4 | 5 if node.bonded >= some => {
                (node.bonded, node.unbonding) = (node.bonded - some, node.unbonding + some);
                node.unbond_at = now + UNBOND_DELAY_SECONDS;
                RegistryEvent::UnbondRequested {
                    signer,
                    amount: amount(some),
                    bonded: amount(node.bonded),
                    unbonding: amount(node.unbonding),
                    unbond_at: node.unbond_at,
                    seq: next,
                }
            }
            6 if node.unbonding > 0 && now >= node.unbond_at => {
                let amount = amount(std::mem::take(&mut node.unbonding));
                RegistryEvent::BondWithdrawn { signer, to: owner(signer), amount, seq: next }
            }
            7 if !node.slashed && pick.is_multiple_of(3) => {
                let lost = node.bonded + node.unbonding;
                (node.bonded, node.unbonding, node.slashed) = (0, 0, true);
                slashed(&key, lost, next)
            }
            _ => return None,
        };
        node.seq = next;
        Some(event)
    }

    fn register(&mut self, signer: Address, base: u64) -> RegistryEvent {
        let payout = Address::repeat_byte(9);
        let capabilities_hash = B256::from(U256::from(base));
        let node = Node { payout, capabilities_hash, seq: 1, ..Node::default() };
        self.0.insert(signer, node);
        let owner = owner(signer);
        RegistryEvent::Registered { signer, owner, payout, capabilities_hash, seq: 1 }
    }

    /// The registry's answer, or the token's about the registry; None: the question is another's.
    pub fn view(&self, of: Address, data: &[u8]) -> Option<Bytes> {
        if of == TOKEN {
            let selector = FixedBytes::<4>::from_slice(&data[..4]).0;
            let balance = selector == Token::balanceOfCall::SELECTOR;
            let owner = balance.then(|| Token::balanceOfCall::abi_decode(data).unwrap().owner);
            return (owner == Some(REGISTRY)).then(|| {
                let held: u128 = self.0.values().map(|n| n.bonded + n.unbonding).sum();
                Token::balanceOfCall::abi_encode_returns(&U256::from(held)).into()
            });
        }
        (of == REGISTRY).then(|| match Calls::abi_decode(data).unwrap() {
            Calls::escrow(_) => NodeRegistry::escrowCall::abi_encode_returns(&ESCROW).into(),
            Calls::node(call) => self.node_answer(call.signer),
            Calls::eip712Domain(_) => domain_answer(),
            _ => panic!("nobody should ask this"),
        })
    }

    fn node_answer(&self, signer: Address) -> Bytes {
        let node = self.0.get(&signer).unwrap();
        NodeRegistry::nodeCall::abi_encode_returns(&NodeRegistry::nodeReturn {
            owner: owner(signer),
            payout: node.payout,
            capabilitiesHash: node.capabilities_hash,
            bonded: U96::from(node.bonded),
            unbonding: U96::from(node.unbonding),
            unbondAt: U40::from(node.unbond_at),
            slashed: node.slashed,
            seq: node.seq,
        })
        .into()
    }
}

/// By two receipts that the signer did sign.
pub fn slashed(key: &PrivateKeySigner, lost: u128, seq: u64) -> RegistryEvent {
    let receipt = |output: u8| Receipt {
        job_id: B256::repeat_byte(1),
        unit: 2,
        attempt: 3,
        output_hash: B256::repeat_byte(output),
        preview_hash: B256::ZERO,
        key_commit: B256::ZERO,
        started_at: 4,
        finished_at: 5,
    };
    let word = |receipt: &Receipt| {
        let signed = key.sign_hash_sync(&receipt.digest(&domain())).unwrap();
        Bytes::from(signed.as_bytes())
    };
    let (first, second) = (receipt(6), receipt(7));
    RegistryEvent::Slashed(Box::new(Slashed {
        signer: key.address(),
        reporter: Address::repeat_byte(8),
        job_id: first.job_id,
        first_signature: word(&first),
        second_signature: word(&second),
        first,
        second,
        burned: amount(lost - lost / 2),
        rewarded: amount(lost / 2),
        seq,
    }))
}

fn domain_answer() -> Bytes {
    NodeRegistry::eip712DomainCall::abi_encode_returns(&NodeRegistry::eip712DomainReturn {
        fields: FixedBytes([0x0f]),
        name: "NodeRegistry".into(),
        version: "1".into(),
        chainId: U256::from(CHAIN_ID),
        verifyingContract: REGISTRY,
        salt: B256::ZERO,
        extensions: vec![],
    })
    .into()
}
