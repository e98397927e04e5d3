//! A node's bond made by hand: consents and receipts signed by the node's key, calls by its owner.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::Eip712Domain;
use contracts::registry::{self, Registration, raw_receipt};
use contracts::{Amount, LegacyRndr, NodeRegistry, Receipt, order};

use super::{World, hash_of, wallet};

/// One node: who owns its bond, and the key of its receipts.
pub struct Bond {
    pub owner: PrivateKeySigner,
    pub signer: PrivateKeySigner,
    registry: Eip712Domain,
    escrow: Eip712Domain,
}

fn base(amount: u128) -> Amount {
    Amount::from_base(amount).unwrap()
}

impl Bond {
    /// Of a signer by its name; the owner holds `rndr`, and the registry may pull all of it.
    pub async fn new(world: &World, name: &str, rndr: u128) -> Self {
        let owner = world.funded(&format!("owner of {name}"), rndr).await;
        let (spender, value) = (world.registry, U256::from(rndr));
        world.send(&owner, world.token, LegacyRndr::approveCall { spender, value }).await;
        let chain_id = world.anvil.chain_id;
        Self {
            owner,
            signer: wallet(name),
            registry: registry::domain(chain_id, world.registry),
            escrow: order::domain(chain_id, world.escrow),
        }
    }

    pub fn id(&self) -> Address {
        self.signer.address()
    }

    /// Paid to its owner, with the signer's consent to exactly this.
    pub fn register_call(&self) -> NodeRegistry::registerCall {
        let (signer, owner, capabilities) = (self.id(), self.owner.address(), hash_of(1));
        let act = Registration { owner, signer, payout: owner, capabilitiesHash: capabilities };
        let signature = self.signed(act.digest(&self.registry));
        let payout = owner;
        NodeRegistry::registerCall { signer, payout, capabilitiesHash: capabilities, signature }
    }

    pub fn update_call(&self, payout: Address) -> NodeRegistry::updateCall {
        let (signer, capabilities) = (self.id(), hash_of(2));
        NodeRegistry::updateCall { signer, payout, capabilitiesHash: capabilities }
    }

    pub fn bond_call(&self, amount: u128) -> NodeRegistry::bondCall {
        NodeRegistry::bondCall { signer: self.id(), amount: base(amount).into() }
    }

    pub fn unbond_call(&self, amount: u128) -> NodeRegistry::requestUnbondCall {
        NodeRegistry::requestUnbondCall { signer: self.id(), amount: base(amount).into() }
    }

    pub fn withdraw_call(&self) -> NodeRegistry::withdrawBondCall {
        NodeRegistry::withdrawBondCall { signer: self.id(), to: self.owner.address() }
    }

    /// A receipt of this signer about one work, and its word under it.
    pub fn receipt(&self, output: u64) -> (Receipt, Bytes) {
        let receipt = Receipt {
            job_id: hash_of(7),
            unit: 3,
            attempt: 1,
            output_hash: hash_of(output),
            preview_hash: hash_of(output + 1),
            key_commit: B256::ZERO,
            started_at: 1_700_000_000,
            finished_at: 1_700_000_060,
        };
        let word = self.signed(receipt.digest(&self.escrow));
        (receipt, word)
    }

    /// By two receipts of this signer that contradict each other.
    pub fn slash_call(&self) -> NodeRegistry::slashCall {
        let ((first, first_word), (second, second_word)) = (self.receipt(1), self.receipt(2));
        NodeRegistry::slashCall {
            first: raw_receipt(&first),
            firstSignature: first_word,
            second: raw_receipt(&second),
            secondSignature: second_word,
        }
    }

    fn signed(&self, digest: B256) -> Bytes {
        self.signer.sign_hash_sync(&digest).unwrap().as_bytes().to_vec().into()
    }
}
