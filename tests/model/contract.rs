//! The real escrow and the legacy token's double on a chain in this process.

use alloy::primitives::{Address, Bytes, U256, address, bytes};
use alloy::sol_types::{SolCall, SolValue};
use contracts::{LegacyRndr, RenderEscrow};

use super::acts::Call;
use super::chain::{Answer, Chain};

pub const CHAIN_ID: u64 = 31_337;
const DEPLOYER: Address = address!("00000000000000000000000000000000000de107");
/// Creation code of a wallet that answers every question of ERC-1271 with yes.
const YES_WALLET: Bytes = bytes!("6d631626ba7e60e01b5f5260205ff35f52600e6012f3");

pub struct Contract {
    chain: Chain,
    pub token: Address,
    pub escrow: Address,
}

impl Contract {
    pub fn deploy(issuer: Address, guardian: Address) -> Self {
        let mut chain = Chain::new(CHAIN_ID);
        let token = chain.create(DEPLOYER, LegacyRndr::BYTECODE.clone()).unwrap();
        let arguments = (token, issuer, guardian).abi_encode_params();
        let code = [RenderEscrow::BYTECODE.as_ref(), &arguments].concat();
        let escrow = chain.create(DEPLOYER, code.into()).unwrap();
        let point = LegacyRndr::setEscrowContractAddressCall { escrow }.abi_encode();
        assert!(chain.call(DEPLOYER, token, point.into()).success);
        Self { chain, token, escrow }
    }

    pub fn create_wallet(&mut self) -> Address {
        self.chain.create(DEPLOYER, YES_WALLET).unwrap()
    }

    pub fn mint(&mut self, to: Address, amount: u128) {
        let call = LegacyRndr::mintCall { to, amount: U256::from(amount) }.abi_encode();
        assert!(self.chain.call(DEPLOYER, self.token, call.into()).success);
    }

    /// The name of the operation, and what it gave.
    pub fn play(&mut self, call: &Call) -> (&'static str, Answer) {
        self.chain.set_time(call.at);
        let to = if call.act.is_the_tokens() { self.token } else { self.escrow };
        let (name, data) = call.act.encode(self.escrow);
        (name, self.chain.call(call.from, to, data))
    }

    /// The words that a view of the escrow answers with.
    pub fn view(&mut self, call: impl SolCall) -> Vec<U256> {
        self.words(self.escrow, call)
    }

    pub fn tokens_of(&mut self, holder: Address) -> Vec<U256> {
        self.words(self.token, LegacyRndr::balanceOfCall { holder })
    }

    fn words(&mut self, to: Address, call: impl SolCall) -> Vec<U256> {
        let answer = self.chain.view(to, call.abi_encode().into());
        assert!(answer.success, "a view was refused: {}", answer.data);
        answer.data.chunks(32).map(U256::from_be_slice).collect()
    }
}
