//! pure: what anyone can do to the escrow and its token, and the calldata that does it.

use alloy::primitives::aliases::{U40, U96};
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall;
use contracts::{LegacyRndr as Token, Lot, Order, Payout, RenderEscrow as E};

/// A signature, and what the model has to know of it: who signed which digest. The zero address
/// stands for a signature that is nobody's; no bytes at all mean the caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    pub bytes: Bytes,
    pub by: Address,
    pub over: B256,
}

/// Arguments as the contract has them, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// The token's allowance for the escrow.
    Allow(u128),
    Deposit(u128),
    DepositFor(Address, u128),
    /// The token's way in, which calls `fundJob`.
    HoldInEscrow(String, u128),
    FundJob(String, u128),
    Withdraw(u128, Address),
    Burn,
    /// Agent, settler, allowance, most per job, expiry.
    SetDelegate(Address, Address, u128, u128, u64),
    RevokeDelegate(Address),
    IssueCredit(Address, u128),
    NameSettler(Address),
    Pause(u64),
    Unpause,
    Open(Order),
    OpenFor(Order, Address, Word),
    TopUp(B256, u128),
    /// With acceptance and approval, as a commit.
    Release(Order, Vec<Lot>, Word, Word),
    Commit(Order, Vec<Lot>, Word, Word),
    Approve(Order, Vec<Lot>, Word),
    /// Mask and reason.
    Reject(Order, Lot, U256, B256, Word),
    Settle(Order, Vec<Lot>, Vec<B256>),
    Lapse(Order, Lot),
    /// The voucher's total and signature, the payouts and the settler's consent.
    Redeem(Order, u128, Word, Vec<Payout>, Word),
    RequestClose(Order, Word),
    /// The payer's side's word and the settler's.
    Close(Order, Word, Word),
}

/// One transaction: who calls, when, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub from: Address,
    pub at: u64,
    pub act: Act,
}

impl Act {
    /// Whether the call goes to the token, not to the escrow.
    pub fn is_the_tokens(&self) -> bool {
        matches!(self, Self::Allow(_) | Self::HoldInEscrow(..))
    }

    /// The order that the act is about.
    pub fn order(&self) -> Option<&Order> {
        match self {
            Self::Open(order) | Self::OpenFor(order, ..) | Self::RequestClose(order, _) => {
                Some(order)
            }
            Self::Release(order, ..) | Self::Commit(order, ..) => Some(order),
            Self::Approve(order, ..) | Self::Reject(order, ..) => Some(order),
            Self::Settle(order, ..) | Self::Lapse(order, _) => Some(order),
            Self::Redeem(order, ..) | Self::Close(order, ..) => Some(order),
            _ => None,
        }
    }

    /// The lots that the act is about.
    pub fn lots(&self) -> &[Lot] {
        match self {
            Self::Release(_, lots, ..) | Self::Commit(_, lots, ..) => lots,
            Self::Approve(_, lots, _) | Self::Settle(_, lots, _) => lots,
            Self::Reject(_, lot, ..) | Self::Lapse(_, lot) => std::slice::from_ref(lot),
            _ => &[],
        }
    }

    /// The operation's name in its contract, and the calldata.
    pub fn encode(&self, escrow: Address) -> (&'static str, Bytes) {
        let lots = |lots: &[Lot]| lots.iter().map(Lot::to_sol).collect::<Vec<_>>();
        match self {
            Self::Open(order) => calldata::<E::openCall, _>((order.to_sol(),)),
            Self::OpenFor(order, signer, word) => {
                calldata::<E::openForCall, _>((order.to_sol(), *signer, word.bytes.clone()))
            }
            Self::TopUp(job, amount) => calldata::<E::topUpCall, _>((*job, base(amount))),
            Self::Release(order, of, acceptance, approval) => {
                let words = (acceptance.bytes.clone(), approval.bytes.clone());
                calldata::<E::releaseCall, _>((order.to_sol(), lots(of), words.0, words.1))
            }
            Self::Commit(order, of, acceptance, approval) => {
                let words = (acceptance.bytes.clone(), approval.bytes.clone());
                calldata::<E::commitCall, _>((order.to_sol(), lots(of), words.0, words.1))
            }
            Self::Approve(order, of, word) => {
                calldata::<E::approveCall, _>((order.to_sol(), lots(of), word.bytes.clone()))
            }
            Self::Reject(order, lot, mask, reason, word) => {
                let (order, lot, word) = (order.to_sol(), lot.to_sol(), word.bytes.clone());
                calldata::<E::rejectCall, _>((order, lot, *mask, *reason, word))
            }
            Self::Settle(order, of, keys) => {
                calldata::<E::settleCall, _>((order.to_sol(), lots(of), keys.clone()))
            }
            Self::Lapse(order, lot) => calldata::<E::lapseCall, _>((order.to_sol(), lot.to_sol())),
            Self::Redeem(order, total, voucher, payouts, consent) => {
                let payouts: Vec<_> = payouts.iter().map(Payout::to_sol).collect();
                let words = (voucher.bytes.clone(), consent.bytes.clone());
                let order = order.to_sol();
                calldata::<E::redeemCall, _>((order, base(total), words.0, payouts, words.1))
            }
            Self::RequestClose(order, word) => {
                calldata::<E::requestCloseCall, _>((order.to_sol(), word.bytes.clone()))
            }
            Self::Close(order, payer, settler) => {
                let words = (payer.bytes.clone(), settler.bytes.clone());
                calldata::<E::closeCall, _>((order.to_sol(), words.0, words.1))
            }
            other => other.encode_of_accounts(escrow),
        }
    }

    /// As `encode`, for what is about accounts and offices.
    fn encode_of_accounts(&self, escrow: Address) -> (&'static str, Bytes) {
        match self {
            Self::Allow(amount) => {
                let (_, data) = calldata::<Token::approveCall, _>((escrow, U256::from(*amount)));
                ("approve (token)", data)
            }
            Self::HoldInEscrow(text, amount) => {
                calldata::<Token::holdInEscrowCall, _>((text.clone(), U256::from(*amount)))
            }
            Self::Deposit(amount) => calldata::<E::depositCall, _>((base(amount),)),
            Self::DepositFor(owner, amount) => {
                calldata::<E::depositForCall, _>((*owner, base(amount)))
            }
            Self::FundJob(text, amount) => {
                calldata::<E::fundJobCall, _>((text.clone(), U256::from(*amount)))
            }
            Self::Withdraw(amount, to) => calldata::<E::withdrawCall, _>((base(amount), *to)),
            Self::Burn => calldata::<E::burnCall, _>(()),
            Self::SetDelegate(agent, settler, allowance, most, expiry) => {
                let bounds = (base(allowance), base(most), U40::from(*expiry));
                let set = (*agent, *settler, bounds.0, bounds.1, bounds.2);
                calldata::<E::setDelegateCall, _>(set)
            }
            Self::RevokeDelegate(agent) => calldata::<E::revokeDelegateCall, _>((*agent,)),
            Self::IssueCredit(to, amount) => calldata::<E::issueCreditCall, _>((*to, base(amount))),
            Self::NameSettler(settler) => calldata::<E::nameSettlerCall, _>((*settler,)),
            Self::Pause(until) => calldata::<E::pauseCall, _>((U40::from(*until),)),
            Self::Unpause => calldata::<E::unpauseCall, _>(()),
            other => panic!("{other:?} is about a job"),
        }
    }
}

fn base(amount: &u128) -> U96 {
    U96::from(*amount)
}

fn calldata<C: SolCall + From<T>, T>(arguments: T) -> (&'static str, Bytes) {
    let name = C::SIGNATURE.split('(').next().unwrap();
    (name, C::from(arguments).abi_encode().into())
}
