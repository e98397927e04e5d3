//! Databases for tests: each test runs on SQLite and, where a server is named, on PostgreSQL.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use contracts::event::*;
use contracts::registry::{RegistryEvent, Slashed};
use contracts::{Amount, Lot, Order, Receipt};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::*;

/// Names a PostgreSQL server as its superuser: postgres://postgres@127.0.0.1:5432/postgres
const POSTGRES: &str = "RNDR_TEST_POSTGRES";

/// A fresh store, and how to open it again.
pub struct World {
    pub store: Store,
    pub url: String,
    pub objects: PathBuf,
}

impl World {
    async fn open(url: String, objects: PathBuf) -> Self {
        let store = Store::open(&url, &objects).await.unwrap();
        Self { store, url, objects }
    }

    pub async fn again(&self) -> Result<Store> {
        Store::open(&self.url, &self.objects).await
    }

    pub fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    /// Runs SQL that the store itself never would.
    pub async fn tamper(&self, sql: &'static str) {
        let mut tx = self.store.pool.write(dialect::Writer::Schema).await.unwrap();
        tx.execute(sql, vec![]).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// Runs `test` on a fresh SQLite file and, when a server is named, on a fresh PostgreSQL
/// database, which is dropped afterwards, also when the test fails.
pub async fn on_both<F, T>(test: F)
where
    F: Fn(World) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("new/store.db").display());
    test(World::open(url, folder.path().join("objects")).await).await;
    let Ok(server) = std::env::var(POSTGRES) else { return };
    let name = fresh_name();
    admin(&server, format!("CREATE DATABASE {name}")).await;
    let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
    let world = World::open(url, folder.path().join("objects")).await;
    let store = world.store.clone();
    let ended = tokio::spawn(test(world)).await;
    store.close().await;
    admin(&server, format!("DROP DATABASE {name} WITH (FORCE)")).await;
    if let Err(failed) = ended {
        std::panic::resume_unwind(failed.into_panic());
    }
}

fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("rndr_store_{}_{count}", std::process::id())
}

async fn admin(server: &str, sql: String) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}

pub fn hash(number: u64) -> B256 {
    keccak256(number.to_be_bytes())
}

pub fn address(number: u64) -> Address {
    Address::from_slice(&hash(number)[..20])
}

pub fn amount(base: u128) -> Amount {
    Amount::from_base(base).unwrap()
}

/// Values without end, the same for the same seed.
pub struct Draw {
    seed: B256,
}

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self { seed: hash(seed) }
    }

    pub fn hash(&mut self) -> B256 {
        self.seed = keccak256(self.seed);
        self.seed
    }

    pub fn address(&mut self) -> Address {
        Address::from_slice(&self.hash()[..20])
    }

    pub fn mask(&mut self) -> U256 {
        self.hash().into()
    }

    /// Any width is as likely as any other, so that small and large numbers both come up.
    pub fn number(&mut self, bits: u32) -> u64 {
        let wide: u64 = U256::from_be_bytes(self.hash().0).wrapping_to();
        wide >> (64 - bits + u32::from(self.hash()[0]) % bits)
    }

    pub fn small(&mut self) -> u32 {
        u32::try_from(self.number(32)).unwrap()
    }

    pub fn amount(&mut self) -> Amount {
        let width = u32::from(self.hash()[0]) % 97;
        let wide: u128 = U256::from_be_bytes(self.hash().0).wrapping_to();
        amount(wide.checked_shr(128 - width).unwrap_or(0))
    }

    /// Two amounts that add up to no more than `whole`.
    pub fn shares(&mut self, whole: Amount) -> (Amount, Amount) {
        let (a, b) = (self.hash()[0] % 101, self.hash()[1] % 101);
        let of = |part: u8| amount(whole.base() / 200 * u128::from(part));
        (of(a), of(b))
    }

    pub fn order(&mut self) -> Order {
        Order {
            payer: self.address(),
            refund_to: self.address(),
            approver: self.address(),
            settler: self.address(),
            fee_receiver: self.address(),
            cap: self.amount(),
            max_unit_price: self.amount(),
            units: self.small(),
            open_by: self.number(40),
            work_deadline: self.number(40),
            review_seconds: self.number(40),
            claim_grace: self.number(40),
            fee_bps: 250,
            burn_bps: 1_000,
            spec_hash: self.hash(),
            quote_hash: self.hash(),
            salt: self.hash(),
        }
    }

    pub fn lot(&mut self) -> Lot {
        Lot {
            node: self.address(),
            word: self.small(),
            mask: self.mask(),
            unit_price: self.amount(),
            receipts_root: self.hash(),
            key_commit: self.hash(),
        }
    }

    pub fn lease(&mut self, job_id: B256) -> Lease {
        Lease {
            lease_id: format!("lease-{}", self.hash()),
            job_id,
            node: self.address(),
            state: LeaseState::Active,
            taken_at: 1_000,
            expires_at: 1_060,
            problem: None,
        }
    }

    /// An event of any kind from 0 to KINDS - 1, with amounts the contract could write.
    pub fn event(&mut self, kind: u8) -> Event {
        match kind {
            0..5 => self.account_event(kind),
            5..8 => self.money_event(kind),
            8..16 => self.job_event(kind),
            _ => self.consent_event(kind),
        }
    }

    fn account_event(&mut self, kind: u8) -> Event {
        let (account, other, job_id) = (self.address(), self.address(), self.hash());
        let (amount, free, seq) = (self.amount(), self.amount(), self.number(63));
        match kind {
            0 => Event::Deposited(Deposited { account, from: other, amount, free, seq }),
            1 => Event::Withdrawn(Withdrawn { account, to: other, amount, free, seq }),
            2 => Event::FeeCredited(FeeCredited { job_id, account, amount, free, seq }),
            3 => Event::BurnCredited(BurnCredited { job_id, amount, free, seq }),
            _ => Event::Burned(Burned { amount, free, seq }),
        }
    }

    fn money_event(&mut self, kind: u8) -> Event {
        let (job_id, lot_hash, node) = (self.hash(), self.hash(), self.address());
        let (free, seq, job_seq) = (self.amount(), self.number(63), self.small());
        let (amount, released, pending) = (self.amount(), self.amount(), self.amount());
        let (fee, burn) = self.shares(amount);
        match kind {
            5 => {
                let order = self.order();
                let (pulled, credit_spent) = self.shares(order.cap);
                Event::Opened(Box::new(Opened {
                    job_id,
                    payer: order.payer,
                    funder: node,
                    order,
                    credit_spent,
                    pulled,
                    free,
                    credit: pending,
                    seq,
                }))
            }
            6 => {
                let lot = self.lot();
                Event::Released(Released {
                    job_id,
                    node,
                    lot_hash,
                    lot,
                    amount,
                    fee,
                    burn,
                    released,
                    job_seq,
                    free,
                    seq,
                })
            }
            _ => {
                let (key, mask) = (self.hash(), self.mask());
                Event::Settled(Settled {
                    job_id,
                    node,
                    lot_hash,
                    key,
                    mask,
                    amount,
                    fee,
                    burn,
                    released,
                    pending,
                    job_seq,
                    free,
                    seq,
                })
            }
        }
    }

    fn job_event(&mut self, kind: u8) -> Event {
        let (job_id, lot_hash, account) = (self.hash(), self.hash(), self.address());
        let (mask, amount, pending) = (self.mask(), self.amount(), self.amount());
        let (free, seq, job_seq, at) =
            (self.amount(), self.number(63), self.small(), self.number(40));
        let funded = pending;
        match kind {
            8 => Event::ToppedUp(ToppedUp {
                job_id,
                from: account,
                amount,
                funded,
                job_seq,
                free,
                seq,
            }),
            9 => Event::Committed(Committed {
                job_id,
                node: account,
                lot_hash,
                lot: self.lot(),
                amount,
                window_end: at,
                approved: at % 2 == 0,
                pending,
                job_seq,
            }),
            10 => Event::Approved(Approved { job_id, by: account, lot_hash, job_seq }),
            11 => {
                let reason_hash = self.hash();
                Event::Rejected(Rejected {
                    job_id,
                    by: account,
                    lot_hash,
                    mask,
                    reason_hash,
                    amount,
                    pending,
                    job_seq,
                })
            }
            12 => Event::Lapsed(Lapsed { job_id, lot_hash, mask, amount, pending, job_seq }),
            13 => Event::CloseRequested(CloseRequested {
                job_id,
                by: account,
                work_deadline: at,
                job_seq,
            }),
            14 => Event::Closed(Closed { job_id, job_seq }),
            _ => Event::Returned(Returned { job_id, account, amount, funded, job_seq, free, seq }),
        }
    }

    fn consent_event(&mut self, kind: u8) -> Event {
        let (job_id, job_seq, seq) = (self.hash(), self.small(), self.number(63));
        let (payer, agent, settler) = (self.address(), self.address(), self.address());
        let (amount, allowance, credit) = (self.amount(), self.amount(), self.amount());
        let (of_offices, at) = (self.number(56), self.number(40));
        match kind {
            16 => Event::CreditIssued(CreditIssued { account: payer, amount, credit, seq }),
            17 => Event::DelegateSet(DelegateSet {
                payer,
                agent,
                settler,
                allowance,
                max_per_job: amount,
                expiry: at,
                seq,
            }),
            18 => Event::DelegateRevoked(DelegateRevoked { payer, agent, seq }),
            19 => Event::CreditSettlerNamed(CreditSettlerNamed { settler, seq: of_offices }),
            20 => Event::Paused(Paused { until: at, seq: of_offices }),
            21 => Event::DelegateSpent(DelegateSpent {
                job_id,
                payer,
                agent,
                amount,
                allowance,
                job_seq,
            }),
            22 => {
                let (fee, burn) = self.shares(amount);
                Event::Redeemed(Redeemed {
                    job_id,
                    node: agent,
                    amount,
                    fee,
                    burn,
                    released: allowance,
                    job_seq,
                    free: credit,
                    seq,
                })
            }
            _ => Event::CreditReturned(CreditReturned {
                job_id,
                account: payer,
                amount,
                funded: allowance,
                job_seq,
                credit,
                seq,
            }),
        }
    }
}

/// How many kinds of events there are.
pub const KINDS: u8 = 24;
/// And of the registry's.
pub const REGISTRY_KINDS: u8 = 6;

impl Draw {
    pub fn registry_event(&mut self, kind: u8) -> RegistryEvent {
        let (signer, account, payout) = (self.address(), self.address(), self.address());
        let (amount, bonded, unbonding) = (self.amount(), self.amount(), self.amount());
        let (capabilities_hash, unbond_at, seq) = (self.hash(), self.number(40), self.number(63));
        match kind {
            0 => {
                let owner = account;
                RegistryEvent::Registered { signer, owner, payout, capabilities_hash, seq }
            }
            1 => RegistryEvent::Updated { signer, payout, capabilities_hash, seq },
            2 => RegistryEvent::Bonded { signer, from: account, amount, bonded, seq },
            3 => {
                RegistryEvent::UnbondRequested { signer, amount, bonded, unbonding, unbond_at, seq }
            }
            4 => RegistryEvent::BondWithdrawn { signer, to: account, amount, seq },
            _ => {
                let (burned, rewarded) = self.shares(amount);
                let (first, second) = (self.receipt(), self.receipt());
                let word = |seed: B256| Bytes::copy_from_slice(seed.as_slice());
                RegistryEvent::Slashed(Box::new(Slashed {
                    signer,
                    reporter: account,
                    job_id: first.job_id,
                    first,
                    first_signature: word(self.hash()),
                    second,
                    second_signature: word(self.hash()),
                    burned,
                    rewarded,
                    seq,
                }))
            }
        }
    }

    fn receipt(&mut self) -> Receipt {
        Receipt {
            job_id: self.hash(),
            unit: self.small(),
            attempt: self.small(),
            output_hash: self.hash(),
            preview_hash: self.hash(),
            key_commit: self.hash(),
            started_at: self.number(40),
            finished_at: self.number(40),
        }
    }
}

/// Adds one event of each kind of the registry's to a step, each with a snapshot of its node.
pub fn add_registry(step: &mut Step, block: u64, draw: &mut Draw) {
    for (kind, log_index) in (0..REGISTRY_KINDS).zip(900_u64..) {
        let event = draw.registry_event(kind);
        step.bonds.push(BondState {
            signer: event.signer(),
            block,
            log_index,
            owner: draw.address(),
            payout: draw.address(),
            capabilities_hash: draw.hash(),
            bonded: draw.amount(),
            unbonding: draw.amount(),
            unbond_at: i64::try_from(draw.number(40)).unwrap(),
            slashed: kind == 5,
            seq: draw.number(63),
        });
        step.registry.push(RegistryRow { block, log_index, tx_hash: draw.hash(), event });
    }
}

/// A block that is the child of `parent`, told from its siblings by `fork`.
pub fn child(parent: Option<&Block>, fork: u64) -> Block {
    let number = parent.map_or(0, |p| p.number + 1);
    Block {
        number,
        hash: keccak256([number.to_be_bytes(), fork.to_be_bytes()].concat()),
        parent_hash: parent.map_or(B256::ZERO, |p| p.hash),
        mined_at: 1_000_000 + i64::try_from(number).unwrap() * 12,
        verified: Verified::Receipts,
        digest: hash(number ^ fork << 32),
    }
}

/// A step of one block that holds `events`, with their orders, lots and snapshots.
pub fn step(block: &Block, events: Vec<Event>) -> Step {
    let mut step = Step { blocks: vec![block.clone()], ..Step::default() };
    add_events(&mut step, block, events);
    step
}

/// Adds `events` to a step, as events of `block`, with snapshots of what they touch.
pub fn add_events(step: &mut Step, block: &Block, events: Vec<Event>) {
    let number = block.number;
    for (event, log_index) in events.into_iter().zip(0_u64..) {
        if let Some(AccountAfter { account, free, credit, seq }) = event.account_after() {
            let (free, credit) = (free.unwrap_or_default(), credit.unwrap_or_default());
            step.accounts.push(AccountState {
                account,
                block: number,
                log_index,
                free,
                credit,
                seq,
            });
        }
        match &event {
            Event::Opened(e) => {
                let (job_id, order) = (e.job_id, e.order.clone());
                step.jobs.push(opened_state(job_id, number, log_index, &order));
                step.orders.push(JobOrder { job_id, block: number, order });
            }
            Event::Committed(e) => {
                add_lot(step, number, log_index, e.job_id, e.lot_hash, &e.lot);
            }
            Event::Released(e) => {
                add_lot(step, number, log_index, e.job_id, e.lot_hash, &e.lot);
            }
            Event::DelegateSet(e) => step.delegates.push(DelegateState {
                payer: e.payer,
                agent: e.agent,
                block: number,
                log_index,
                settler: e.settler,
                allowance: e.allowance,
                max_per_job: e.max_per_job,
                expiry: i64::try_from(e.expiry).unwrap(),
            }),
            Event::Paused(e) => step.offices.push(OfficeState {
                block: number,
                log_index,
                credit_settler: address(e.until),
                paused_until: i64::try_from(e.until).unwrap(),
                seq: e.seq,
            }),
            _ => {}
        }
        let tx_hash = keccak256([number.to_be_bytes(), log_index.to_be_bytes()].concat());
        step.events.push(EventRow { block: number, log_index, tx_hash, event });
    }
}

fn opened_state(job_id: B256, block: u64, log_index: u64, order: &Order) -> JobState {
    JobState {
        job_id,
        block,
        log_index,
        funded: order.cap,
        released: Amount::ZERO,
        pending: Amount::ZERO,
        units_paid: 0,
        job_seq: 1,
        closed: false,
        work_deadline: i64::try_from(order.work_deadline).unwrap(),
        close_requested: false,
        credit_share: Amount::ZERO,
    }
}

fn add_lot(step: &mut Step, block: u64, log_index: u64, job_id: B256, lot_hash: B256, lot: &Lot) {
    step.lots.push(LotRow { lot_hash, job_id, block, lot: lot.clone() });
    step.lot_states.push(LotState {
        lot_hash,
        block,
        log_index,
        status: LotStatus::Committed,
        window_end: 5_000,
        rejected: U256::ZERO,
        paid: U256::ZERO,
        lot_key: None,
    });
}
