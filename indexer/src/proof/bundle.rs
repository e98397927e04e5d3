//! pure: a bundle of proofs, checked against a trusted block hash alone: holdings, accounts, jobs.

use alloy::primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use alloy_trie::TrieAccount;
use contracts::layout::{AccountWord, Item, JobWords, NodeWords};
use contracts::{Amount, AmountError};
use serde::{Deserialize, Serialize};
use store::Owed;

use crate::proof::{self, Block, ProofError};

/// What the first field of a bundle says.
pub const FORMAT: &str = "rndr-bundle-1";

/// State of escrow, token and registry at one block, with its proofs. Nothing in it is believed:
/// every field is bound to the block's hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    pub format: String,
    /// The header's RLP bytes: their keccak256 is the block's hash.
    pub header: Bytes,
    pub escrow: Contract,
    /// Holds the balances of escrow and registry, each with its proof.
    pub token: Contract,
    pub registry: Option<Contract>,
}

/// A contract as the state root has it, and words of its storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    pub address: Address,
    pub nonce: u64,
    pub balance: U256,
    pub storage_root: B256,
    pub code_hash: B256,
    /// From the state root to the account.
    pub proof: Vec<Bytes>,
    /// The words are all that the contract stores: they give its storage root, no proofs needed.
    pub whole: bool,
    /// In ascending order, each once.
    pub items: Vec<Stored>,
}

/// One item's words and, unless the contract is whole, the proof of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    pub item: Item,
    pub words: Vec<U256>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<Vec<Bytes>>,
}

/// What a good bundle says, in base units of the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    pub block: u64,
    pub block_hash: B256,
    pub mined_at: u64,
    pub token: Address,
    pub token_code_hash: B256,
    /// The slot that the token's balances hang from: the token's own affair, so compare it once
    /// with what `balanceOf` answers.
    pub balance_base: B256,
    pub escrow: Holdings,
    pub registry: Option<Holdings>,
}

/// What one contract holds and owes, as far as the bundle tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holdings {
    pub address: Address,
    pub code_hash: B256,
    /// Nothing is left out: the words are the contract's whole storage.
    pub whole: bool,
    pub token_balance: Amount,
    pub liabilities: Owed,
    /// Each account, job and bond that the bundle proves, and what it has.
    pub claims: Vec<Claim>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claim {
    #[serde(flatten)]
    pub item: Item,
    #[serde(flatten)]
    pub owed: Owed,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error("it is no bundle: {0}")]
    Syntax(String),
    #[error("it says it is `{0}`, not `{FORMAT}`; use the release of rndr that wrote it")]
    Format(String),
    #[error("its text is not as rndr writes it: something was changed, be it only the spacing")]
    Text,
    #[error("header: {0}")]
    Header(ProofError),
    #[error("header: its hash is {found}, the trusted block's is {trusted}")]
    OtherBlock { found: B256, trusted: B256 },
    #[error("{contract}: {source}")]
    Account { contract: &'static str, source: ProofError },
    #[error("{contract}: there is no contract at that address")]
    NoCode { contract: &'static str },
    #[error("{contract}: item {at}: {source}")]
    Slot { contract: &'static str, at: usize, source: ProofError },
    #[error("{contract}: item {at}: {problem}")]
    Item { contract: &'static str, at: usize, problem: &'static str },
    #[error("{contract}: its words give the storage root {found}, the chain's is {proven}")]
    Storage { contract: &'static str, found: B256, proven: B256 },
    #[error("token: {0}")]
    Balances(&'static str),
    #[error("{contract}: amounts: {source}")]
    Amounts { contract: &'static str, source: AmountError },
}

impl Bundle {
    /// The one text of a bundle; any other is refused.
    pub fn text(&self) -> String {
        // Plain structs always have a JSON form.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// What one item says that its contract owes.
fn owed_by(item: &Item, words: &[U256]) -> Result<Owed, AmountError> {
    let none = Owed::default();
    Ok(match (item, words) {
        (Item::Account { .. }, [word]) => {
            let AccountWord { free, credit, .. } = AccountWord::read(*word);
            Owed { free, credit, ..none }
        }
        (Item::Job { .. }, [money, rest]) => {
            let job = JobWords::read([*money, *rest]);
            let locked = job.funded.checked_sub(job.released)?;
            Owed { locked, pending: job.pending, ..none }
        }
        (Item::Node { .. }, [first, second, third, fourth]) => {
            let node = NodeWords::read([*first, *second, *third, *fourth]);
            Owed { bonds: node.bonded.checked_add(node.unbonding)?, ..none }
        }
        _ => none,
    })
}

impl Holdings {
    /// What is there beyond all that is owed; None when it is less, or when not all is told.
    pub fn surplus(&self) -> Option<Amount> {
        // Checked amounts add up, so an error says that less is there than is owed.
        let left = self.liabilities.total().and_then(|owed| self.token_balance.checked_sub(owed));
        left.ok().filter(|_| self.whole)
    }

    /// What is missing to pay all that the bundle names.
    pub fn deficit(&self) -> Option<Amount> {
        let lack = self.liabilities.total().and_then(|owed| owed.checked_sub(self.token_balance));
        lack.ok().filter(|lack| !lack.is_zero())
    }
}

/// Checks a bundle's text with nothing but the hash of a block that is trusted.
pub fn check(text: &[u8], trusted: B256) -> Result<Checked, BundleError> {
    let bundle: Bundle =
        serde_json::from_slice(text).map_err(|error| BundleError::Syntax(error.to_string()))?;
    if bundle.format != FORMAT {
        return Err(BundleError::Format(bundle.format));
    }
    if bundle.text().as_bytes() != text {
        return Err(BundleError::Text);
    }
    let block = proof::block(&bundle.header).map_err(BundleError::Header)?;
    if block.hash != trusted {
        return Err(BundleError::OtherBlock { found: block.hash, trusted });
    }
    contract("escrow", &bundle.escrow, &block)?;
    contract("token", &bundle.token, &block)?;
    if let Some(registry) = &bundle.registry {
        contract("registry", registry, &block)?;
    }
    let (base, mut balances) = balances(&bundle)?;
    let balance = |balances: &mut std::vec::IntoIter<Amount>| {
        // `balances` gives one for each contract.
        balances.next().unwrap_or_default()
    };
    let held = balance(&mut balances);
    let escrow = holdings("escrow", &bundle.escrow, held, |item| {
        !matches!(item, Item::Node { .. } | Item::Balance { .. })
    })?;
    let registry = match &bundle.registry {
        Some(registry) => {
            let held = balance(&mut balances);
            let owed = |item: &Item| matches!(item, Item::Node { .. });
            Some(holdings("registry", registry, held, owed)?)
        }
        None => None,
    };
    Ok(Checked {
        block: block.number,
        block_hash: block.hash,
        mined_at: block.mined_at,
        token: bundle.token.address,
        token_code_hash: bundle.token.code_hash,
        balance_base: base,
        escrow,
        registry,
    })
}

/// The account under the state root, then its words under its storage root.
fn contract(name: &'static str, of: &Contract, block: &Block) -> Result<(), BundleError> {
    let Contract { address, nonce, balance, storage_root, code_hash, .. } = *of;
    let account = TrieAccount { nonce, balance, storage_root, code_hash };
    proof::account(block.state_root, address, &account, &of.proof)
        .map_err(|source| BundleError::Account { contract: name, source })?;
    if code_hash == KECCAK256_EMPTY {
        return Err(BundleError::NoCode { contract: name });
    }
    let mut before = None;
    for (at, stored) in of.items.iter().enumerate() {
        let wrong = |problem| BundleError::Item { contract: name, at, problem };
        if before.is_some_and(|before| before >= stored.item) {
            return Err(wrong("items do not ascend"));
        }
        before = Some(stored.item);
        let slots = stored.item.slots();
        if stored.words.len() != slots.len() {
            return Err(wrong("it has another number of words"));
        }
        if of.whole {
            // Nothing of an item of zeros would be bound to the root.
            if !stored.proofs.is_empty() || stored.words.iter().all(U256::is_zero) {
                return Err(wrong("a whole contract has neither proofs nor empty items"));
            }
            continue;
        }
        if stored.proofs.len() != slots.len() {
            return Err(wrong("it has another number of proofs"));
        }
        for ((slot, word), nodes) in slots.into_iter().zip(&stored.words).zip(&stored.proofs) {
            proof::slot(storage_root, slot, *word, nodes).map_err(|source| BundleError::Slot {
                contract: name,
                at,
                source,
            })?;
        }
    }
    if of.whole {
        let slots = of
            .items
            .iter()
            .flat_map(|stored| stored.item.slots().into_iter().zip(stored.words.iter().copied()));
        let found = proof::storage_root(slots);
        if found != storage_root {
            return Err(BundleError::Storage { contract: name, found, proven: storage_root });
        }
    }
    Ok(())
}

/// What the token says that escrow and registry hold, in this order, and where it says so.
fn balances(bundle: &Bundle) -> Result<(B256, std::vec::IntoIter<Amount>), BundleError> {
    let of = |address: Address| {
        let named = bundle.token.items.iter().find_map(|stored| {
            let Item::Balance { holder, base } = stored.item else { return None };
            (holder == address).then_some((base, stored))
        });
        let (base, stored) = named.ok_or(BundleError::Balances("a balance is missing"))?;
        // As many words as slots, which was checked.
        let word = stored.words.first().copied().unwrap_or_default();
        let amount = Amount::try_from(word)
            .map_err(|source| BundleError::Amounts { contract: "token", source })?;
        Ok((base, amount))
    };
    let (base, held) = of(bundle.escrow.address)?;
    // The absence of a slot would be as true of another base.
    if held.is_zero() {
        return Err(BundleError::Balances("the escrow holds nothing"));
    }
    let mut found = vec![held];
    if let Some(registry) = &bundle.registry {
        let (other, held) = of(registry.address)?;
        if other != base {
            return Err(BundleError::Balances("its balances hang from two slots"));
        }
        found.push(held);
    }
    if bundle.token.whole || bundle.token.items.len() != found.len() {
        return Err(BundleError::Balances("it tells more than two balances"));
    }
    Ok((base, found.into_iter()))
}

fn holdings(
    name: &'static str,
    of: &Contract,
    token_balance: Amount,
    may_hold: impl Fn(&Item) -> bool,
) -> Result<Holdings, BundleError> {
    let amounts = |source| BundleError::Amounts { contract: name, source };
    let mut liabilities = Owed::default();
    let mut claims = Vec::new();
    for (at, Stored { item, words, .. }) in of.items.iter().enumerate() {
        let wrong = |problem| BundleError::Item { contract: name, at, problem };
        if !may_hold(item) {
            return Err(wrong("this contract stores nothing of that kind"));
        }
        // An account, job or node that exists has a first word; what does not exist has no place
        // here, since its absence could be claimed of another one as well.
        let claimed = matches!(item, Item::Account { .. } | Item::Job { .. } | Item::Node { .. });
        if words.first().is_none_or(U256::is_zero) && (claimed || !of.whole) {
            return Err(wrong("the chain knows nothing of it"));
        }
        let owed = owed_by(item, words).map_err(amounts)?;
        liabilities = liabilities.plus(owed).map_err(amounts)?;
        if claimed {
            claims.push(Claim { item: *item, owed });
        }
    }
    liabilities.total().map_err(amounts)?;
    let (address, code_hash, whole) = (of.address, of.code_hash, of.whole);
    Ok(Holdings { address, code_hash, whole, token_balance, liabilities, claims })
}

#[cfg(test)]
mod tests;
