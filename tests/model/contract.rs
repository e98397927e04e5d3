//! The real escrow and the legacy token's double on a chain in this process.

use alloy::primitives::{Address, B256, Bytes, U256, address, bytes};
use alloy::sol_types::{SolCall, SolValue};
use contracts::{LegacyRndr, RenderEscrow as E, RenderEscrow};

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

    pub fn play(&mut self, call: &Call) -> Answer {
        self.chain.set_time(call.at);
        let to = if call.act.is_the_tokens() { self.token } else { self.escrow };
        self.chain.call(call.from, to, call.act.calldata(self.escrow))
    }

    // ---- views: the words that each answers with ----

    pub fn tokens_of(&mut self, owner: Address) -> Vec<U256> {
        self.view(self.token, LegacyRndr::balanceOfCall { holder: owner }.abi_encode())
    }

    pub fn account(&mut self, owner: Address) -> Vec<U256> {
        self.view(self.escrow, E::accountCall { owner }.abi_encode())
    }

    pub fn delegate(&mut self, payer: Address, agent: Address) -> Vec<U256> {
        self.view(self.escrow, E::delegateCall { payer, agent }.abi_encode())
    }

    pub fn offices(&mut self) -> Vec<U256> {
        self.view(self.escrow, E::officesCall {}.abi_encode())
    }

    pub fn job(&mut self, job: B256) -> Vec<U256> {
        self.view(self.escrow, E::jobCall { jobId: job }.abi_encode())
    }

    pub fn lot(&mut self, lot: B256) -> Vec<U256> {
        self.view(self.escrow, E::lotCall { lotHash: lot }.abi_encode())
    }

    pub fn taken_units(&mut self, job: B256, word: u32) -> Vec<U256> {
        self.view(self.escrow, E::takenUnitsCall { jobId: job, word }.abi_encode())
    }

    fn view(&mut self, to: Address, call: Vec<u8>) -> Vec<U256> {
        let answer = self.chain.view(to, call.into());
        assert!(answer.success, "a view was refused: {}", answer.data);
        answer.data.chunks(32).map(U256::from_be_slice).collect()
    }
}
