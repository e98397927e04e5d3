//! Bundles of a made-up state: honest ones pass, and one flipped bit anywhere in one is refused.

use std::collections::BTreeMap;

use alloy::consensus::Header;
use alloy::primitives::keccak256;
use alloy::rlp::encode_fixed_size;
use alloy_trie::proof::ProofRetainer;
use alloy_trie::{HashBuilder, Nibbles, root};
use proptest::prelude::*;

use super::*;

const BASE: B256 = B256::with_last_byte(3);

/// A trie of hashed keys.
struct Trie(BTreeMap<B256, Vec<u8>>);

impl Trie {
    fn proof(&self, key: B256) -> Vec<Bytes> {
        let retainer = ProofRetainer::new(vec![Nibbles::unpack(key)]);
        let mut trie = HashBuilder::default().with_proof_retainer(retainer);
        for (key, value) in &self.0 {
            trie.add_leaf(Nibbles::unpack(key), value);
        }
        trie.root();
        trie.take_proof_nodes().into_nodes_sorted().into_iter().map(|(_, node)| node).collect()
    }
}

fn words_of(items: &[(Item, Vec<U256>)]) -> Vec<(B256, U256)> {
    let each = items.iter().flat_map(|(item, words)| item.slots().into_iter().zip(words.clone()));
    each.filter(|(_, word)| !word.is_zero()).collect()
}

/// A contract with its whole storage, before its account is proven.
fn unproven(address: Address, items: &[(Item, Vec<U256>)], whole: bool) -> Contract {
    let slots = words_of(items);
    let storage_root = root::storage_root_unhashed(slots.clone());
    let value = |word: U256| encode_fixed_size(&word).to_vec();
    let trie = Trie(slots.into_iter().map(|(slot, word)| (keccak256(slot), value(word))).collect());
    let items = items.iter().map(|(item, words)| {
        let prove = |slot: B256| trie.proof(keccak256(slot));
        let proofs = if whole { vec![] } else { item.slots().into_iter().map(prove).collect() };
        Stored { item: *item, words: words.clone(), proofs }
    });
    let (nonce, balance, proof) = (1, U256::ZERO, vec![]);
    let code_hash = keccak256(address);
    Contract {
        address,
        nonce,
        balance,
        storage_root,
        code_hash,
        proof,
        whole,
        items: items.collect(),
    }
}

/// Puts contracts under one state root, and that into a header.
fn bundled(mut contracts: [Contract; 3], more: u64) -> (Bundle, B256) {
    let account = |of: &Contract| {
        let Contract { nonce, balance, storage_root, code_hash, .. } = *of;
        TrieAccount { nonce, balance, storage_root, code_hash }
    };
    let mut state: Vec<_> = contracts.iter().map(|of| (of.address, account(of))).collect();
    let others = (0..more).map(|n| (Address::left_padding_from(&n.to_be_bytes()), n));
    state.extend(others.map(|(a, n)| (a, TrieAccount { nonce: n, ..TrieAccount::default() })));
    let encoded = state.iter().map(|(a, account)| (keccak256(a), alloy::rlp::encode(account)));
    let trie = Trie(encoded.collect());
    for of in &mut contracts {
        of.proof = trie.proof(keccak256(of.address));
    }
    let state_root = root::state_root_unhashed(state);
    let header = Header { number: 77, timestamp: 1_700_000_000, state_root, ..Header::default() };
    let header: Bytes = alloy::rlp::encode(&header).into();
    let trusted = keccak256(&header);
    let [escrow, token, registry] = contracts;
    let registry = Some(registry);
    (Bundle { format: FORMAT.into(), header, escrow, token, registry }, trusted)
}

fn money(base: u64) -> Amount {
    Amount::from(base)
}

fn account(n: u8, free: u64, credit: u64) -> (Item, Vec<U256>) {
    let account = Address::repeat_byte(n);
    let word = AccountWord { free: money(free), credit: money(credit), seq: 3 }.word();
    (Item::Account { account }, vec![word])
}

fn job(n: u8, funded: u64, released: u64, pending: u64) -> (Item, Vec<U256>) {
    let words = JobWords {
        funded: money(funded),
        released: money(released),
        units_paid: 1,
        seq: 2,
        status: 1,
        pending: money(pending),
        credit_share: Amount::ZERO,
        close_requested_at: 0,
    };
    (Item::Job { job_id: B256::repeat_byte(n) }, words.words().to_vec())
}

fn node(n: u8, bonded: u64, unbonding: u64) -> (Item, Vec<U256>) {
    let words = NodeWords {
        owner: Address::repeat_byte(n),
        bonded: money(bonded),
        unbonding: money(unbonding),
        unbond_at: 9,
        slashed: false,
        seq: 1,
        payout: Address::repeat_byte(n),
        capabilities_hash: B256::ZERO,
    };
    (Item::Node { signer: Address::repeat_byte(n) }, words.words().to_vec())
}

const ESCROW: Address = Address::repeat_byte(0xe1);
const REGISTRY: Address = Address::repeat_byte(0xe2);
const TOKEN: Address = Address::repeat_byte(0xe3);

fn made(held: u64, whole: bool) -> (Bundle, B256) {
    made_of(held, whole, vec![account(1, 100, 5), account(2, 7, 0), job(3, 50, 20, 10)])
}

fn made_of(held: u64, whole: bool, owed: Vec<(Item, Vec<U256>)>) -> (Bundle, B256) {
    let balance =
        |holder, amount: u64| (Item::Balance { holder, base: BASE }, vec![U256::from(amount)]);
    let mut balances = vec![balance(ESCROW, held), balance(REGISTRY, 40)];
    balances.sort();
    let contracts = [
        unproven(ESCROW, &owed, whole),
        unproven(TOKEN, &balances, false),
        unproven(REGISTRY, &[node(9, 30, 5)], whole),
    ];
    bundled(contracts, 5)
}

#[test]
fn an_honest_bundle_says_what_escrow_and_registry_hold_and_owe() {
    for whole in [true, false] {
        let (bundle, trusted) = made(150, whole);
        let checked = check(bundle.text().as_bytes(), trusted).unwrap();
        assert_eq!((checked.block, checked.block_hash), (77, trusted));
        assert_eq!(checked.balance_base, BASE);
        let Holdings { liabilities, token_balance, .. } = &checked.escrow;
        assert_eq!(*token_balance, money(150));
        assert_eq!((liabilities.free, liabilities.credit), (money(107), money(5)));
        assert_eq!((liabilities.locked, liabilities.pending), (money(30), money(10)));
        assert_eq!(liabilities.total(), Ok(money(142)));
        assert_eq!(checked.escrow.claims.len(), 3);
        let registry = checked.registry.unwrap();
        assert_eq!(registry.liabilities.bonds, money(35));
        // A part of the storage says nothing of a surplus.
        let surplus = |amount| whole.then(|| money(amount));
        assert_eq!(checked.escrow.surplus(), surplus(8));
        assert_eq!(registry.surplus(), surplus(5));
        assert_eq!((checked.escrow.deficit(), registry.deficit()), (None, None));
    }
    let (bundle, trusted) = made(141, true);
    let checked = check(bundle.text().as_bytes(), trusted).unwrap();
    assert_eq!((checked.escrow.deficit(), checked.escrow.surplus()), (Some(money(1)), None));
}

#[test]
fn a_flipped_bit_in_any_byte_is_refused() {
    for whole in [true, false] {
        let (bundle, trusted) = made_of(150, whole, vec![account(1, 100, 5), job(3, 50, 20, 10)]);
        let text = bundle.text().into_bytes();
        assert!(check(&text, trusted).is_ok());
        let mut flipped = text.clone();
        for (at, byte) in text.iter().enumerate() {
            flipped[at] = byte ^ (1 << (at % 8));
            assert!(check(&flipped, trusted).is_err(), "byte {at} of {}", bundle.text());
            flipped[at] = *byte;
        }
    }
}

proptest! {
    #[test]
    fn a_changed_field_is_refused_even_in_a_text_as_rndr_writes_it(
        whole: bool,
        pick in 0usize..12,
        byte in 0usize..4_096,
        flip in 1u8..=255,
    ) {
        let (mut bundle, trusted) = made(150, whole);
        let before = bundle.clone();
        let bytes = |bytes: &mut Bytes| {
            let mut changed = bytes.to_vec();
            let at = byte % changed.len();
            changed[at] ^= flip;
            *bytes = changed.into();
        };
        let change = U256::from(flip) << (byte % 31 * 8);
        let items = bundle.escrow.items.len();
        match pick {
            0 => bytes(&mut bundle.header),
            1 => bundle.escrow.nonce ^= u64::from(flip),
            2 => bundle.token.balance ^= change,
            3 => bundle.escrow.storage_root.0[byte % 32] ^= flip,
            4 => bundle.token.code_hash.0[byte % 32] ^= flip,
            5 => bundle.escrow.address.0[byte % 20] ^= flip,
            6 => bundle.token.address.0[byte % 20] ^= flip,
            7 => bytes(&mut bundle.token.proof[byte % before.token.proof.len()]),
            8 => bundle.escrow.items[byte % items].words[0] ^= change,
            9 => bundle.token.items[byte % 2].words[0] ^= change,
            10 => {
                let Item::Account { account } = &mut bundle.escrow.items[0].item else {
                    unreachable!()
                };
                account.0[byte % 20] ^= flip;
            }
            _ => {
                for stored in &mut bundle.token.items {
                    if let Item::Balance { base, .. } = &mut stored.item {
                        base.0[byte % 32] ^= flip;
                    }
                }
            }
        }
        prop_assert_ne!(&bundle, &before);
        prop_assert!(check(bundle.text().as_bytes(), trusted).is_err());
    }
}

/// The reason why a changed bundle is refused.
fn refused(change: impl FnOnce(&mut Bundle), whole: bool) -> String {
    let (mut bundle, trusted) = made(150, whole);
    change(&mut bundle);
    check(bundle.text().as_bytes(), trusted).unwrap_err().to_string()
}

#[test]
fn what_hides_doubles_or_adds_is_refused_by_name() {
    let text = refused(|b| drop(b.escrow.items.remove(0)), true);
    assert!(text.contains("escrow: its words give the storage root"), "{text}");
    let text = refused(|b| b.escrow.items.push(b.escrow.items[2].clone()), false);
    assert!(text.contains("do not ascend"), "{text}");
    let text = refused(|b| drop(b.token.items.pop()), false);
    assert!(text.contains("a balance is missing"), "{text}");
    let text = refused(|b| b.escrow.whole = true, false);
    assert!(text.contains("neither proofs"), "{text}");
    let text = refused(|b| b.escrow.whole = false, true);
    assert!(text.contains("number of proofs"), "{text}");
    let text = refused(|b| b.registry = None, true);
    assert!(text.contains("more than two balances"), "{text}");
    let text = refused(|b| b.format = "rndr-bundle-0".into(), true);
    assert!(text.contains("rndr-bundle-0"), "{text}");
    let (bundle, _) = made(150, true);
    let error = check(bundle.text().as_bytes(), B256::ZERO).unwrap_err();
    assert!(matches!(error, BundleError::OtherBlock { .. }), "{error}");
    let (bundle, trusted) = made(150, true);
    let spaced = bundle.text() + " ";
    assert_eq!(check(spaced.as_bytes(), trusted), Err(BundleError::Text));
}

#[test]
fn what_the_chain_does_not_know_has_no_place_in_a_bundle() {
    let empty = (Item::Account { account: Address::repeat_byte(8) }, vec![U256::ZERO]);
    let owed = vec![account(1, 100, 5), account(2, 7, 0), empty];
    let (bundle, trusted) = made_of(150, false, owed);
    let text = check(bundle.text().as_bytes(), trusted).unwrap_err().to_string();
    assert!(text.contains("the chain knows nothing of it"), "{text}");
    let (bundle, trusted) = made(0, false);
    let text = check(bundle.text().as_bytes(), trusted).unwrap_err().to_string();
    assert!(text.contains("holds nothing"), "{text}");
}
