//! The view functions of the test escrow, as the contract and its token answer them.

use alloy::primitives::aliases::{U40, U56, U96};
use alloy::primitives::{Bytes, FixedBytes};
use alloy::sol_types::{SolCall, SolInterface};
use contracts::RenderEscrow::RenderEscrowCalls as Calls;

use super::*;
use crate::identity::Token;

pub const TOKEN: Address = Address::repeat_byte(0x70);

impl Escrow {
    /// The answer to a call of escrow or token; panics on what nobody should ask.
    pub fn view(&self, of: Address, data: &[u8], surplus: u64) -> Bytes {
        if of == TOKEN {
            return self.token_view(data, surplus);
        }
        match Calls::abi_decode(data).unwrap() {
            Calls::token(_) => RenderEscrow::tokenCall::abi_encode_returns(&TOKEN),
            Calls::account(call) => {
                let Wallet { free, credit, seq } =
                    self.wallets.get(&call.owner).cloned().unwrap_or_default();
                let (free, credit) = (U96::from(free), U96::from(credit));
                let answer = RenderEscrow::accountReturn { free, credit, seq };
                RenderEscrow::accountCall::abi_encode_returns(&answer)
            }
            Calls::job(call) => {
                let job = self.jobs.iter().find(|job| job.id == call.jobId).unwrap();
                RenderEscrow::jobCall::abi_encode_returns(&RenderEscrow::jobReturn {
                    funded: U96::from(job.funded),
                    released: U96::from(job.released),
                    pending: U96::from(job.pending),
                    unitsPaid: job.units_paid,
                    seq: job.seq,
                    status: if job.closed { 2 } else { 1 },
                    closeRequestedAt: U40::from(job.asked_at),
                    creditShare: U96::from(job.credit_share),
                })
            }
            Calls::delegate(call) => {
                let key = (call.payer, call.agent);
                let bounds = self.delegates.get(&key).cloned().unwrap_or_default();
                RenderEscrow::delegateCall::abi_encode_returns(&RenderEscrow::delegateReturn {
                    settler: bounds.settler,
                    allowance: U96::from(bounds.allowance),
                    maxPerJob: U96::from(bounds.max_per_job),
                    expiry: U40::from(bounds.expiry),
                })
            }
            Calls::offices(_) => {
                let Offices { credit_settler, paused_until, seq } = self.offices;
                RenderEscrow::officesCall::abi_encode_returns(&RenderEscrow::officesReturn {
                    issuer: Address::ZERO,
                    guardian: Address::ZERO,
                    creditSettler: credit_settler,
                    pausedUntil: U40::from(paused_until),
                    seq: U56::from(seq),
                })
            }
            Calls::lot(call) => {
                let lot = self.lots.iter().find(|lot| lot.hash == call.lotHash);
                let (status, window_end, rejected) =
                    lot.map_or((0, 0, U256::ZERO), |l| (l.status, l.window_end, l.rejected));
                let end = U40::from(window_end);
                let answer = RenderEscrow::lotReturn { status, windowEnd: end, rejected };
                RenderEscrow::lotCall::abi_encode_returns(&answer)
            }
            Calls::takenUnits(call) => {
                let job = self.jobs.iter().find(|job| job.id == call.jobId).unwrap();
                let mask = job.taken.get(&call.word).copied().unwrap_or_default();
                RenderEscrow::takenUnitsCall::abi_encode_returns(&mask)
            }
            Calls::eip712Domain(_) => domain_answer(),
            _ => panic!("nobody should ask this"),
        }
        .into()
    }

    fn token_view(&self, data: &[u8], surplus: u64) -> Bytes {
        let selector = FixedBytes::<4>::from_slice(&data[..4]).0;
        match selector {
            Token::symbolCall::SELECTOR => Token::symbolCall::abi_encode_returns(&"RNDR".into()),
            Token::decimalsCall::SELECTOR => Token::decimalsCall::abi_encode_returns(&18),
            _ => Token::balanceOfCall::abi_encode_returns(&U256::from(self.held(surplus))),
        }
        .into()
    }

    /// Tokens that the escrow holds: what it owes, and what was sent to it by mistake.
    fn held(&self, surplus: u64) -> u128 {
        let wallets: u128 = self.wallets.values().map(|w| w.free + w.credit).sum();
        let jobs: u128 = self.jobs.iter().map(|job| job.funded - job.released).sum();
        wallets + jobs + u128::from(surplus)
    }
}

fn domain_answer() -> Vec<u8> {
    RenderEscrow::eip712DomainCall::abi_encode_returns(&RenderEscrow::eip712DomainReturn {
        fields: FixedBytes([0x0f]),
        name: "RenderEscrow".into(),
        version: "1".into(),
        chainId: U256::from(CHAIN_ID),
        verifyingContract: ESCROW,
        salt: B256::ZERO,
        extensions: vec![],
    })
}
