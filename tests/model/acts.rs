//! pure: what anyone can do to the escrow and its token, and the calldata that does it.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall;
use contracts::{LegacyRndr, Lot, Order, Payout, RenderEscrow};

use super::escrow::amount;

/// A signature, and what the model has to know of it: who signed which digest. The zero address
/// stands for a signature that is nobody's; no bytes at all mean the caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    pub bytes: Bytes,
    pub by: Address,
    pub over: B256,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// The token's allowance for the escrow.
    Allow {
        amount: u128,
    },
    Deposit {
        amount: u128,
    },
    DepositFor {
        account: Address,
        amount: u128,
    },
    /// The token's way in, which calls `fundJob`.
    HoldInEscrow {
        text: String,
        amount: u128,
    },
    FundJob {
        text: String,
        amount: u128,
    },
    Withdraw {
        amount: u128,
        to: Address,
    },
    Burn,
    SetDelegate {
        agent: Address,
        settler: Address,
        allowance: u128,
        most: u128,
        expiry: u64,
    },
    RevokeDelegate {
        agent: Address,
    },
    IssueCredit {
        to: Address,
        amount: u128,
    },
    NameSettler {
        settler: Address,
    },
    Pause {
        until: u64,
    },
    Unpause,
    Open {
        order: Order,
    },
    OpenFor {
        order: Order,
        signer: Address,
        word: Word,
    },
    TopUp {
        job: B256,
        amount: u128,
    },
    Release {
        order: Order,
        lots: Vec<Lot>,
        acceptance: Word,
        approval: Word,
    },
    Commit {
        order: Order,
        lots: Vec<Lot>,
        acceptance: Word,
        approval: Word,
    },
    Approve {
        order: Order,
        lots: Vec<Lot>,
        approval: Word,
    },
    Reject {
        order: Order,
        lot: Lot,
        mask: U256,
        reason: B256,
        word: Word,
    },
    Settle {
        order: Order,
        lots: Vec<Lot>,
        keys: Vec<B256>,
    },
    Lapse {
        order: Order,
        lot: Lot,
    },
    Redeem {
        order: Order,
        total: u128,
        voucher: Word,
        payouts: Vec<Payout>,
        consent: Word,
    },
    RequestClose {
        order: Order,
        word: Word,
    },
    Close {
        order: Order,
        payer_side: Word,
        settler_side: Word,
    },
}

/// One transaction: who calls, when, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub from: Address,
    pub at: u64,
    pub act: Act,
}

impl Act {
    /// As the contract names it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Allow { .. } => "approve (token)",
            Self::Deposit { .. } => "deposit",
            Self::DepositFor { .. } => "depositFor",
            Self::HoldInEscrow { .. } => "holdInEscrow",
            Self::FundJob { .. } => "fundJob",
            Self::Withdraw { .. } => "withdraw",
            Self::Burn => "burn",
            Self::SetDelegate { .. } => "setDelegate",
            Self::RevokeDelegate { .. } => "revokeDelegate",
            Self::IssueCredit { .. } => "issueCredit",
            Self::NameSettler { .. } => "nameSettler",
            Self::Pause { .. } => "pause",
            Self::Unpause => "unpause",
            Self::Open { .. } => "open",
            Self::OpenFor { .. } => "openFor",
            Self::TopUp { .. } => "topUp",
            Self::Release { .. } => "release",
            Self::Commit { .. } => "commit",
            Self::Approve { .. } => "approve",
            Self::Reject { .. } => "reject",
            Self::Settle { .. } => "settle",
            Self::Lapse { .. } => "lapse",
            Self::Redeem { .. } => "redeem",
            Self::RequestClose { .. } => "requestClose",
            Self::Close { .. } => "close",
        }
    }

    /// Whether the call goes to the token, not to the escrow.
    pub fn is_the_tokens(&self) -> bool {
        matches!(self, Self::Allow { .. } | Self::HoldInEscrow { .. })
    }

    /// The order that the act is about.
    pub fn order(&self) -> Option<&Order> {
        match self {
            Self::Open { order } | Self::OpenFor { order, .. } => Some(order),
            Self::Release { order, .. } | Self::Commit { order, .. } => Some(order),
            Self::Approve { order, .. } | Self::Reject { order, .. } => Some(order),
            Self::Settle { order, .. } | Self::Lapse { order, .. } => Some(order),
            Self::Redeem { order, .. } | Self::RequestClose { order, .. } => Some(order),
            Self::Close { order, .. } => Some(order),
            Self::Allow { .. } | Self::Deposit { .. } | Self::DepositFor { .. } => None,
            Self::HoldInEscrow { .. } | Self::FundJob { .. } | Self::Withdraw { .. } => None,
            Self::Burn | Self::SetDelegate { .. } | Self::RevokeDelegate { .. } => None,
            Self::IssueCredit { .. } | Self::NameSettler { .. } | Self::Pause { .. } => None,
            Self::Unpause | Self::TopUp { .. } => None,
        }
    }

    /// The lots that the act is about.
    pub fn lots(&self) -> &[Lot] {
        match self {
            Self::Release { lots, .. } | Self::Commit { lots, .. } => lots,
            Self::Approve { lots, .. } | Self::Settle { lots, .. } => lots,
            Self::Reject { lot, .. } | Self::Lapse { lot, .. } => std::slice::from_ref(lot),
            _ => &[],
        }
    }

    pub fn calldata(&self, escrow: Address) -> Bytes {
        use RenderEscrow as E;
        match self.clone() {
            Self::Open { order } => encode(E::openCall { order: order.to_sol() }),
            Self::OpenFor { order, signer, word } => {
                encode(E::openForCall { order: order.to_sol(), signer, signature: word.bytes })
            }
            Self::TopUp { job, amount: a } => {
                encode(E::topUpCall { jobId: job, amount: amount(a).into() })
            }
            Self::Release { order, lots, acceptance, approval } => encode(E::releaseCall {
                order: order.to_sol(),
                lots: lots.iter().map(Lot::to_sol).collect(),
                acceptance: acceptance.bytes,
                approval: approval.bytes,
            }),
            Self::Commit { order, lots, acceptance, approval } => encode(E::commitCall {
                order: order.to_sol(),
                lots: lots.iter().map(Lot::to_sol).collect(),
                acceptance: acceptance.bytes,
                approval: approval.bytes,
            }),
            Self::Approve { order, lots, approval } => encode(E::approveCall {
                order: order.to_sol(),
                lots: lots.iter().map(Lot::to_sol).collect(),
                approval: approval.bytes,
            }),
            Self::Reject { order, lot, mask, reason, word } => encode(E::rejectCall {
                order: order.to_sol(),
                lot: lot.to_sol(),
                mask,
                reasonHash: reason,
                signature: word.bytes,
            }),
            Self::Settle { order, lots, keys } => encode(E::settleCall {
                order: order.to_sol(),
                lots: lots.iter().map(Lot::to_sol).collect(),
                keys,
            }),
            Self::Lapse { order, lot } => {
                encode(E::lapseCall { order: order.to_sol(), lot: lot.to_sol() })
            }
            Self::Redeem { order, total, voucher, payouts, consent } => encode(E::redeemCall {
                order: order.to_sol(),
                cumulative: amount(total).into(),
                signature: voucher.bytes,
                payouts: payouts.iter().map(Payout::to_sol).collect(),
                consent: consent.bytes,
            }),
            Self::RequestClose { order, word } => {
                encode(E::requestCloseCall { order: order.to_sol(), signature: word.bytes })
            }
            Self::Close { order, payer_side, settler_side } => encode(E::closeCall {
                order: order.to_sol(),
                payerSide: payer_side.bytes,
                settlerSide: settler_side.bytes,
            }),
            other => other.calldata_of_accounts(escrow),
        }
    }

    /// As `calldata`, for what is about accounts and offices.
    fn calldata_of_accounts(self, escrow: Address) -> Bytes {
        use RenderEscrow as E;
        let n = |a: u128| amount(a).into();
        match self {
            Self::Allow { amount } => {
                encode(LegacyRndr::approveCall { spender: escrow, value: U256::from(amount) })
            }
            Self::HoldInEscrow { text, amount } => {
                encode(LegacyRndr::holdInEscrowCall { jobId: text, amount: U256::from(amount) })
            }
            Self::Deposit { amount } => encode(E::depositCall { amount: n(amount) }),
            Self::DepositFor { account, amount } => {
                encode(E::depositForCall { owner: account, amount: n(amount) })
            }
            Self::FundJob { text, amount } => {
                encode(E::fundJobCall { jobId: text, amount: U256::from(amount) })
            }
            Self::Withdraw { amount, to } => encode(E::withdrawCall { amount: n(amount), to }),
            Self::Burn => encode(E::burnCall {}),
            Self::SetDelegate { agent, settler, allowance, most, expiry } => {
                encode(E::setDelegateCall {
                    agent,
                    settler,
                    allowance: n(allowance),
                    maxPerJob: n(most),
                    expiry: expiry.try_into().unwrap(),
                })
            }
            Self::RevokeDelegate { agent } => encode(E::revokeDelegateCall { agent }),
            Self::IssueCredit { to, amount } => {
                encode(E::issueCreditCall { to, amount: n(amount) })
            }
            Self::NameSettler { settler } => encode(E::nameSettlerCall { settler }),
            Self::Pause { until } => encode(E::pauseCall { until: until.try_into().unwrap() }),
            Self::Unpause => encode(E::unpauseCall {}),
            other => panic!("{} is encoded by `calldata`", other.name()),
        }
    }
}

fn encode<C: SolCall>(call: C) -> Bytes {
    call.abi_encode().into()
}
