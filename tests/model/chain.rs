//! A chain of one process for tests: contracts created, called and viewed at any block time.

use alloy::primitives::{Address, Bytes, Log, TxKind, U256};
use revm::context::result::{ExecutionResult, Output};
use revm::context::{Context, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::handler::MainnetContext;
use revm::primitives::hardfork::SpecId;
use revm::{DatabaseCommit, ExecuteEvm, MainBuilder, MainContext, MainnetEvm};

/// Enough for the longest calls that the contracts bound.
const GAS: u64 = 200_000_000;

/// What a call gave; a chain that stops a call for want of gas or by a bad opcode gives no data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub success: bool,
    /// What it returned, or why it reverted.
    pub data: Bytes,
    pub logs: Vec<Log>,
}

/// Accounts need no money and no nonce here: gas is free.
pub struct Chain {
    evm: MainnetEvm<MainnetContext<CacheDB<EmptyDB>>>,
}

impl Chain {
    /// An empty chain with the rules that the contracts are compiled for.
    pub fn new(chain_id: u64) -> Self {
        let context = Context::mainnet()
            .modify_cfg_chained(|cfg| {
                cfg.set_spec_and_mainnet_gas_params(SpecId::CANCUN);
                cfg.chain_id = chain_id;
                cfg.disable_nonce_check = true;
            })
            .modify_block_chained(|block| block.gas_limit = GAS)
            .with_db(CacheDB::new(EmptyDB::default()));
        Self { evm: context.build_mainnet() }
    }

    /// The time of all calls from now on, in unix seconds.
    pub fn set_time(&mut self, now: u64) {
        self.evm.ctx.block.timestamp = U256::from(now);
    }

    /// Runs `code` as a contract's creation and says where it stands, or why it reverted.
    pub fn create(&mut self, from: Address, code: Bytes) -> Result<Address, Bytes> {
        let (result, state) = self.run(from, TxKind::Create, code);
        self.evm.ctx.journaled_state.database.commit(state);
        match result {
            ExecutionResult::Success { output: Output::Create(_, Some(address)), .. } => {
                Ok(address)
            }
            other => Err(answer(other).data),
        }
    }

    pub fn call(&mut self, from: Address, to: Address, data: Bytes) -> Answer {
        let (result, state) = self.run(from, TxKind::Call(to), data);
        self.evm.ctx.journaled_state.database.commit(state);
        answer(result)
    }

    /// A call that changes nothing.
    pub fn view(&mut self, to: Address, data: Bytes) -> Answer {
        answer(self.run(Address::ZERO, TxKind::Call(to), data).0)
    }

    fn run(
        &mut self,
        caller: Address,
        kind: TxKind,
        data: Bytes,
    ) -> (ExecutionResult, revm::state::EvmState) {
        let chain_id = Some(self.evm.ctx.cfg.chain_id);
        let tx = TxEnv { caller, kind, data, chain_id, gas_limit: GAS, ..TxEnv::default() };
        // Every account may send here, and no database can fail: what is left is a broken set-up.
        #[allow(clippy::expect_used, reason = "a test may stop on a failed assumption")]
        let done = self.evm.transact(tx).expect("the chain takes every transaction");
        (done.result, done.state)
    }
}

fn answer(result: ExecutionResult) -> Answer {
    match result {
        ExecutionResult::Success { logs, output, .. } => {
            Answer { success: true, data: output.into_data(), logs }
        }
        ExecutionResult::Revert { output, .. } => {
            Answer { success: false, data: output, logs: Vec::new() }
        }
        ExecutionResult::Halt { reason, .. } => {
            let data = format!("halted: {reason:?}").into_bytes().into();
            Answer { success: false, data, logs: Vec::new() }
        }
    }
}
