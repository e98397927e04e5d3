//! Who plays, and the signatures that they give, good ones and bad.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256, uint};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore};

use super::acts::{Act, Call, Word};
use super::hashes::{self, digest, job_id};

/// The order of secp256k1.
const CURVE: U256 = uint!(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256);

/// Everybody with a part in a world. Contract wallets give words, and call nothing.
pub struct Actors {
    keys: BTreeMap<Address, PrivateKeySigner>,
    pub payers: Vec<Address>,
    pub approver: Address,
    pub settlers: [Address; 2],
    pub nodes: Vec<Address>,
    pub fee_receiver: Address,
    pub agents: [Address; 2],
    pub issuer: Address,
    pub guardian: Address,
    pub stranger: Address,
    /// Has more tokens than the escrow can hold.
    pub whale: Address,
    /// A payer and an approver.
    pub wallets: [Address; 2],
}

impl Actors {
    pub fn new() -> Self {
        let mut keys = BTreeMap::new();
        let mut actor = |name: &str| {
            let key = PrivateKeySigner::from_bytes(&keccak256(name)).unwrap();
            let address = key.address();
            keys.insert(address, key);
            address
        };
        let payers = ["payer one", "payer two", "payer three"].map(&mut actor).to_vec();
        let nodes = ["node one", "node two", "node three"].map(&mut actor).to_vec();
        let settlers = ["settler one", "settler two"].map(&mut actor);
        let agents = ["agent one", "agent two"].map(&mut actor);
        let [approver, fee_receiver] = ["approver", "fee receiver"].map(&mut actor);
        let [issuer, guardian] = ["issuer", "guardian"].map(&mut actor);
        let [stranger, whale] = ["stranger", "whale"].map(&mut actor);
        Self {
            keys,
            payers,
            approver,
            settlers,
            nodes,
            fee_receiver,
            agents,
            issuer,
            guardian,
            stranger,
            whale,
            wallets: [Address::ZERO; 2],
        }
    }

    /// Everybody who can call.
    pub fn callers(&self) -> Vec<Address> {
        self.keys.keys().copied().collect()
    }

    pub fn add_wallets(&mut self, wallets: [Address; 2]) {
        self.wallets = wallets;
        self.payers.push(wallets[0]);
    }

    fn can_call(&self, account: Address) -> bool {
        self.keys.contains_key(&account)
    }

    /// A good word of `who`, who may be a contract wallet: it takes anything.
    fn word(&self, rng: &mut StdRng, who: Address, over: B256) -> Word {
        match self.keys.get(&who) {
            Some(key) => {
                let bytes = key.sign_hash_sync(&over).unwrap().as_bytes().to_vec().into();
                Word { bytes, by: who, over }
            }
            None => {
                let mut bytes = [0; 65];
                rng.fill_bytes(&mut bytes);
                Word { bytes: Bytes::copy_from_slice(&bytes), by: Address::ZERO, over }
            }
        }
    }

    /// A word over `over` that is nobody's, or another's, or of another act.
    fn bad_word(&self, rng: &mut StdRng, who: Address, over: B256) -> Word {
        let mut word = self.word(rng, who, over);
        match rng.random_range(0..5) {
            0 => return self.word(rng, self.stranger, over),
            1 => return self.word(rng, who, keccak256(over)),
            2 => {
                let s = CURVE - U256::from_be_slice(&word.bytes[32..64]);
                let v = [55 - word.bytes[64].clamp(27, 28)];
                let s: [u8; 32] = s.to_be_bytes();
                word.bytes = [&word.bytes[..32], &s, &v].concat().into();
            }
            3 => word.bytes = word.bytes.slice(..64),
            _ => word.bytes = [&word.bytes[..], &[0]].concat().into(),
        }
        Word { by: Address::ZERO, ..word }
    }
}

/// One consent that an act needs: of either of two, to a digest.
type Consent = (Address, Address, B256);

/// What the words of an act have to say, in their order.
fn consents(domain: B256, act: &Act) -> Vec<Consent> {
    let Some(order) = act.order() else { return Vec::new() };
    let id = job_id(domain, order);
    let settler = |hash: B256| (order.settler, Address::ZERO, digest(domain, hash));
    let payer_side = |hash: B256| (order.payer, order.approver, digest(domain, hash));
    match act {
        Act::OpenFor(_, signer, ..) => vec![(*signer, Address::ZERO, id)],
        Act::Release(_, lots, ..) | Act::Commit(_, lots, ..) => {
            let all = hashes::lots_hash(id, lots);
            vec![settler(hashes::acceptance(id, all)), payer_side(hashes::approval(id, all))]
        }
        Act::Approve(_, lots, ..) => {
            vec![payer_side(hashes::approval(id, hashes::lots_hash(id, lots)))]
        }
        Act::Reject(_, lot, mask, reason, ..) => {
            let lot = hashes::lot_hash(id, lot);
            vec![payer_side(hashes::rejection(id, lot, *mask, *reason))]
        }
        Act::Redeem(_, total, _, payouts, ..) => vec![
            payer_side(hashes::voucher(id, *total)),
            settler(hashes::redemption(id, *total, payouts)),
        ],
        Act::RequestClose(..) => vec![payer_side(hashes::close_request(id))],
        Act::Close(..) => vec![payer_side(hashes::close(id)), settler(hashes::close(id))],
        _ => Vec::new(),
    }
}

/// The places for those words.
fn words_of(act: &mut Act) -> Vec<&mut Word> {
    match act {
        Act::OpenFor(_, _, word) | Act::Reject(_, _, _, _, word) => vec![word],
        Act::RequestClose(_, word) | Act::Approve(_, _, word) => vec![word],
        Act::Release(_, _, acceptance, approval) | Act::Commit(_, _, acceptance, approval) => {
            vec![acceptance, approval]
        }
        Act::Redeem(_, _, voucher, _, consent) => vec![voucher, consent],
        Act::Close(_, payer_side, settler_side) => vec![payer_side, settler_side],
        _ => Vec::new(),
    }
}

/// Fills in the words of a call, each by a signature or by calling; `flawed`: one of them is bad.
/// `silent`: how many of the last words are left empty.
pub fn sign(
    actors: &Actors,
    rng: &mut StdRng,
    domain: B256,
    call: &mut Call,
    (flawed, silent): (bool, usize),
) {
    let mut consents = consents(domain, &call.act);
    consents.truncate(consents.len().saturating_sub(silent));
    if consents.is_empty() {
        return;
    }
    let bad = if flawed { rng.random_range(0..consents.len()) } else { usize::MAX };
    let mut caller = None;
    for (at, (word, (first, second, over))) in
        words_of(&mut call.act).into_iter().zip(consents).enumerate()
    {
        let who = if !second.is_zero() && rng.random_bool(0.5) { second } else { first };
        if at == bad {
            *word = actors.bad_word(rng, who, over);
        } else if caller.is_none() && actors.can_call(who) && rng.random_bool(0.4) {
            caller = Some(who);
        } else {
            *word = actors.word(rng, who, over);
        }
    }
    let anyone = *actors.callers().choose(rng).unwrap();
    // A tenth of the flawed ones: the right words, and an empty one by the wrong caller.
    let strays = flawed && rng.random_bool(0.1);
    call.from = caller.filter(|_| !strays).unwrap_or(anyone);
}
