//! pure: where escrow, registry and token keep their state: storage slots, and what the words say.

use alloy::primitives::{Address, B256, U256, keccak256, uint};
use serde::{Deserialize, Serialize};

use crate::JobId;
use crate::amount::Amount;

/// Slots of the escrow's variables, as the compiler lays them out.
const OFFICES: U256 = uint!(0_U256);
const ACCOUNTS: U256 = uint!(1_U256);
const DELEGATES: U256 = uint!(4_U256);
const JOBS: U256 = uint!(5_U256);
const WORDS: U256 = uint!(6_U256);
const LOTS: U256 = uint!(7_U256);
const REJECTED: U256 = uint!(8_U256);
/// Of the node registry's.
const NODES: U256 = uint!(2_U256);

/// One thing that a contract stores: it names its slots, each by the hash of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
pub enum Item {
    /// What issuer and guardian of the escrow said last.
    Offices {},
    Account {
        account: Address,
    },
    Job {
        job_id: JobId,
    },
    /// Units of a job that are reserved or paid, 256 to a word.
    Units {
        job_id: JobId,
        word: u32,
    },
    Lot {
        lot_hash: B256,
    },
    /// Units of a lot that were rejected.
    Rejected {
        lot_hash: B256,
    },
    Delegate {
        payer: Address,
        agent: Address,
    },
    /// A node of the registry.
    Node {
        signer: Address,
    },
    /// What the token says `holder` has. Which slot its balances hang from is the token's affair.
    Balance {
        holder: Address,
        base: B256,
    },
}

impl Item {
    /// Its slots, in the order of its words.
    pub fn slots(&self) -> Vec<B256> {
        let (first, count) = match self {
            Self::Offices {} => (B256::from(OFFICES), 1),
            Self::Account { account } => (under(ACCOUNTS, account.into_word()), 1),
            Self::Job { job_id } => (under(JOBS, *job_id), 2),
            Self::Units { job_id, word } => {
                let of_job = under(WORDS, *job_id);
                (under(of_job.into(), U256::from(*word).into()), 1)
            }
            Self::Lot { lot_hash } => (under(LOTS, *lot_hash), 1),
            Self::Rejected { lot_hash } => (under(REJECTED, *lot_hash), 1),
            Self::Delegate { payer, agent } => {
                let of_payer = under(DELEGATES, payer.into_word());
                (under(of_payer.into(), agent.into_word()), 2)
            }
            Self::Node { signer } => (under(NODES, signer.into_word()), 4),
            Self::Balance { holder, base } => (under((*base).into(), holder.into_word()), 1),
        };
        let first = U256::from_be_bytes(first.0);
        (0..count).map(|n| B256::from(first.wrapping_add(U256::from(n)))).collect()
    }
}

/// Solidity's slot of a mapping's value: keccak256(key . slot).
fn under(slot: U256, key: B256) -> B256 {
    keccak256([key.0, slot.to_be_bytes::<32>()].concat())
}

/// `bits` bits of a word, from bit `at` on.
fn field(word: U256, at: usize, bits: usize) -> U256 {
    (word >> at) & (U256::MAX >> (256 - bits))
}

fn amount(word: U256, at: usize) -> Amount {
    // Cut to 96 bits, which is what an amount has.
    Amount::try_from(field(word, at, 96)).unwrap_or(Amount::MAX)
}

fn put(amount: Amount, at: usize) -> U256 {
    amount.to_u256() << at
}

/// An account's one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountWord {
    pub free: Amount,
    pub credit: Amount,
    pub seq: u64,
}

impl AccountWord {
    pub fn read(word: U256) -> Self {
        let seq = field(word, 192, 64).saturating_to();
        Self { free: amount(word, 0), credit: amount(word, 96), seq }
    }

    pub fn word(&self) -> U256 {
        put(self.free, 0) | put(self.credit, 96) | (U256::from(self.seq) << 192)
    }
}

/// A job's two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobWords {
    pub funded: Amount,
    pub released: Amount,
    pub units_paid: u32,
    pub seq: u32,
    /// 1 open, 2 closed.
    pub status: u8,
    pub pending: Amount,
    pub credit_share: Amount,
    pub close_requested_at: u64,
}

impl JobWords {
    pub fn read([money, rest]: [U256; 2]) -> Self {
        Self {
            funded: amount(money, 0),
            released: amount(money, 96),
            units_paid: field(money, 192, 24).saturating_to(),
            seq: field(money, 216, 32).saturating_to(),
            status: field(money, 248, 8).saturating_to(),
            pending: amount(rest, 0),
            credit_share: amount(rest, 96),
            close_requested_at: field(rest, 192, 40).saturating_to(),
        }
    }

    pub fn words(&self) -> [U256; 2] {
        let money = put(self.funded, 0)
            | put(self.released, 96)
            | (U256::from(self.units_paid) << 192)
            | (U256::from(self.seq) << 216)
            | (U256::from(self.status) << 248);
        let rest = put(self.pending, 0)
            | put(self.credit_share, 96)
            | (U256::from(self.close_requested_at) << 192);
        [money, rest]
    }
}

/// The offices' word: an address, then 40 bits of time, then their own number.
pub fn offices_word(credit_settler: Address, paused_until: u64, seq: u64) -> U256 {
    address(credit_settler) | (U256::from(paused_until) << 160) | (U256::from(seq) << 200)
}

/// A lot's word: end of its window, then its status.
pub fn lot_word(window_end: u64, status: u8) -> U256 {
    U256::from(window_end) | (U256::from(status) << 40)
}

/// A delegate's two words.
pub fn delegate_words(
    settler: Address,
    allowance: Amount,
    max_per_job: Amount,
    expiry: u64,
) -> [U256; 2] {
    [address(settler) | put(allowance, 160), put(max_per_job, 0) | (U256::from(expiry) << 96)]
}

fn address(of: Address) -> U256 {
    U256::from_be_bytes(of.into_word().0)
}

/// A registered node's four words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeWords {
    pub owner: Address,
    pub bonded: Amount,
    pub unbonding: Amount,
    pub unbond_at: u64,
    pub slashed: bool,
    pub seq: u64,
    pub payout: Address,
    pub capabilities_hash: B256,
}

impl NodeWords {
    pub fn read([first, second, third, fourth]: [U256; 4]) -> Self {
        let who = |word: U256| Address::from_word(B256::from(field(word, 0, 160)));
        Self {
            owner: who(first),
            bonded: amount(first, 160),
            unbonding: amount(second, 0),
            unbond_at: field(second, 96, 40).saturating_to(),
            slashed: !field(second, 136, 8).is_zero(),
            seq: field(second, 144, 64).saturating_to(),
            payout: who(third),
            capabilities_hash: fourth.into(),
        }
    }

    pub fn words(&self) -> [U256; 4] {
        let second = put(self.unbonding, 0)
            | (U256::from(self.unbond_at) << 96)
            | (U256::from(self.slashed) << 136)
            | (U256::from(self.seq) << 144);
        let first = address(self.owner) | put(self.bonded, 160);
        [first, second, address(self.payout), self.capabilities_hash.into()]
    }
}

/// Slots that tokens hang their balances from, most likely first: the low ones, in which nearly
/// every token has them, then the namespace of OpenZeppelin's upgradeable tokens (ERC-7201).
pub fn balance_bases() -> impl Iterator<Item = B256> {
    const LOW: u16 = 256;
    const OPENZEPPELIN: U256 =
        uint!(0x52c63247e1f47db19d5ce0460030c497f067ca4cebf71ba98eeadabe20bace00_U256);
    (0..LOW).map(U256::from).chain([OPENZEPPELIN]).map(B256::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_say_what_was_put_into_them(
            [a, b, c, d] in [(); 4].map(|()| samples::amount()),
            owner in samples::address(),
            payout in samples::address(),
            capabilities_hash in samples::hash(),
            seq: u64,
            job_seq: u32,
            units_paid in 0u32..1 << 24,
            status: u8,
            at in 0u64..1 << 40,
            slashed: bool,
        ) {
            let account = AccountWord { free: a, credit: b, seq };
            prop_assert_eq!(AccountWord::read(account.word()), account);
            let job = JobWords {
                funded: a,
                released: b,
                units_paid,
                seq: job_seq,
                status,
                pending: c,
                credit_share: d,
                close_requested_at: at,
            };
            prop_assert_eq!(JobWords::read(job.words()), job);
            let node = NodeWords {
                owner,
                bonded: a,
                unbonding: b,
                unbond_at: at,
                slashed,
                seq,
                payout,
                capabilities_hash,
            };
            prop_assert_eq!(NodeWords::read(node.words()), node);
        }
    }

    #[test]
    fn a_mappings_slot_is_soliditys() {
        // mapping(address => uint256) at slot 0, key 1: a figure that any chain tool gives.
        let one = Address::with_last_byte(1);
        let slot = Item::Balance { holder: one, base: B256::ZERO }.slots();
        let known = alloy::primitives::b256!(
            "ada5013122d395ba3c54772283fb069b10426056ef8ca54750cb9bb552a59e7d"
        );
        assert_eq!(slot, [known]);
    }
}
