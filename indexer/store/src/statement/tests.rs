//! Tests of statement.rs: a small history on both databases, cut anywhere, and altered rows.

use contracts::event::*;
use contracts::registry::RegistryEvent;
use contracts::{Event, Lot};

use super::*;
use crate::testing::{Draw, World, add_events, address, amount, child, hash, on_both};
use crate::{RegistryRow, Step};

/// Blocks of testing.rs are 12 seconds apart from this time on.
const START: i64 = 1_000_000;

struct History {
    payer: Address,
    node: Address,
    /// Ids of the two jobs.
    jobs: [JobId; 2],
}

/// An opening of a job by its payer's free balance.
fn open(payer: Address, job_id: JobId, cap: u128, (free, seq): (u128, u64)) -> Event {
    let Event::Opened(drawn) = Draw::new(6).event(5) else { panic!("kind 5 is an opening") };
    let order = contracts::Order { payer, cap: amount(cap), ..drawn.order };
    let (funder, free, zero) = (payer, amount(free), Amount::ZERO);
    let (credit_spent, pulled, credit) = (zero, zero, zero);
    Event::Opened(Box::new(Opened {
        job_id,
        payer,
        funder,
        order,
        credit_spent,
        pulled,
        free,
        credit,
        seq,
    }))
}

/// A lot of 100 of the node, and its settlement with shares of 5 and 2.
fn lot(node: Address, job_id: JobId) -> [Event; 2] {
    let Event::Committed(drawn) = Draw::new(5).event(9) else { panic!("kind 9 is a commit") };
    let lot = Lot { node, ..drawn.lot.clone() };
    let (mask, lot_hash, whole) = (lot.mask, hash(73), amount(100));
    let settled = Settled {
        job_id,
        node,
        lot_hash,
        key: hash(74),
        mask,
        amount: whole,
        fee: amount(5),
        burn: amount(2),
        released: whole,
        pending: Amount::ZERO,
        job_seq: 3,
        free: amount(93),
        seq: 1,
    };
    let pending = whole;
    let job_seq = 2;
    let amount = whole;
    let committed = Committed { job_id, node, lot_hash, lot, amount, pending, job_seq, ..drawn };
    [Event::Committed(committed), Event::Settled(settled)]
}

/// In block 1 a deposit of 1000, in 2 a job of 600 and a lot of 100 in it, in 3 that lot settled
/// with shares of 5 and 2, in 4 the job closed, a second job of 50, and the node's bond of 70.
async fn fill(world: &World) -> History {
    let (payer, node) = (address(51), address(52));
    let (account, jobs) = (payer, [hash(71), hash(72)]);
    let deposited =
        Deposited { account, from: payer, amount: amount(1000), free: amount(1000), seq: 1 };
    let [committed, settled] = lot(node, jobs[0]);
    let returned = Returned {
        job_id: jobs[0],
        account,
        amount: amount(500),
        funded: amount(100),
        job_seq: 5,
        free: amount(900),
        seq: 3,
    };
    let events = [
        vec![],
        vec![Event::Deposited(deposited)],
        vec![open(payer, jobs[0], 600, (400, 2)), committed],
        vec![settled],
        vec![
            Event::Closed(Closed { job_id: jobs[0], job_seq: 4 }),
            Event::Returned(returned),
            open(payer, jobs[1], 50, (850, 4)),
        ],
    ];
    let mut parent = None;
    for (events, number) in events.into_iter().zip(0u64..) {
        let block = child(parent.as_ref(), number);
        let mut step = Step { blocks: vec![block.clone()], ..Step::default() };
        add_events(&mut step, &block, events);
        if number == 4 {
            let (from, amount) = (payer, amount(70));
            let event =
                RegistryEvent::Bonded { signer: node, from, amount, bonded: amount, seq: 1 };
            let tx_hash = hash(75);
            step.registry.push(RegistryRow { block: number, log_index: 900, tx_hash, event });
        }
        world.store.chain_writer().extend(&step).await.unwrap();
        parent = Some(block);
    }
    History { payer, node, jobs }
}

/// From a block's time on, for some blocks.
fn blocks(first: i64, count: i64) -> Period {
    let from = START + 12 * first;
    Period { from, to: from + 12 * count }
}

async fn of(world: &World, who: Address, side: Side, period: Period) -> Result<Statement> {
    let reader = world.store.reader();
    let tip = reader.tip().await.unwrap().unwrap().number;
    Ok(reader.statement(who, side, period, tip, 100).await?.unwrap())
}

fn sums(statement: &Statement) -> Vec<(&'static str, [u128; 4])> {
    let line = |sum: &BookSum| {
        let amounts = [sum.opening, sum.credits, sum.debits, sum.closing];
        (sum.book.as_str(), amounts.map(Amount::base))
    };
    statement.books.iter().map(line).filter(|(_, amounts)| *amounts != [0; 4]).collect()
}

#[tokio::test]
async fn books_open_move_and_close_for_payer_and_node() {
    on_both(|world| async move {
        let History { payer, node, jobs } = fill(&world).await;
        let all = of(&world, payer, Side::Wallet, blocks(0, 100)).await.unwrap();
        let expected = [("free", [0, 1500, 650, 850]), ("in_jobs", [0, 650, 600, 50])];
        assert_eq!(sums(&all), expected);
        assert_eq!((all.before, all.last.unwrap().number), (None, 4));
        let lines: Vec<_> = all
            .movements
            .iter()
            .map(|m| {
                (m.block, m.event, m.book.as_str(), m.debit, m.amount.base(), m.balance.base())
            })
            .collect();
        let expected = [
            (1, "Deposited", "free", false, 1000, 1000),
            (2, "Opened", "free", true, 600, 400),
            (2, "Opened", "in_jobs", false, 600, 600),
            (3, "Settled", "in_jobs", true, 100, 500),
            (4, "Returned", "free", false, 500, 900),
            (4, "Returned", "in_jobs", true, 500, 0),
            (4, "Opened", "free", true, 50, 850),
            (4, "Opened", "in_jobs", false, 50, 50),
        ];
        assert_eq!(lines, expected);
        assert_eq!(all.movements[1].job_id, Some(jobs[0]));
        assert_eq!(all.blocks.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4]);

        let third = of(&world, payer, Side::Wallet, blocks(3, 1)).await.unwrap();
        let expected = [("free", [400, 0, 0, 400]), ("in_jobs", [600, 0, 100, 500])];
        assert_eq!(sums(&third), expected);
        let second = of(&world, node, Side::Node, blocks(2, 1)).await.unwrap();
        assert_eq!(sums(&second), [("pending", [0, 100, 0, 100])]);
        let later = of(&world, node, Side::Node, blocks(3, 2)).await.unwrap();
        let expected =
            [("earned", [0, 93, 0, 93]), ("pending", [100, 0, 100, 0]), ("bond", [0, 70, 0, 70])];
        assert_eq!(sums(&later), expected);
        // Before the chain and after it nothing moves.
        let early = of(&world, payer, Side::Wallet, blocks(-9, 9)).await.unwrap();
        assert_eq!((sums(&early), early.last), (vec![], None));
        let late = of(&world, payer, Side::Wallet, blocks(50, 9)).await.unwrap();
        let expected = [("free", [850, 0, 0, 850]), ("in_jobs", [50, 0, 0, 50])];
        assert_eq!((sums(&late), late.movements.len()), (expected.into(), 0));
    })
    .await;
}

#[tokio::test]
async fn a_period_with_too_many_movements_has_no_statement() {
    on_both(|world| async move {
        let History { payer, .. } = fill(&world).await;
        let reader = world.store.reader();
        let ask = |most| reader.statement(payer, Side::Wallet, blocks(0, 9), 4, most);
        assert!(ask(7).await.unwrap().is_none());
        assert_eq!(ask(8).await.unwrap().unwrap().movements.len(), 8);
    })
    .await;
}

#[tokio::test]
async fn a_row_that_is_missing_or_was_changed_is_named_and_gives_no_statement() {
    let changes = [
        (
            "UPDATE events SET amount = '00000000000000000000000001001' WHERE kind = 'deposited'",
            "1/0",
        ),
        ("UPDATE events SET free = '00000000000000000000000000901' WHERE kind = 'returned'", "4/1"),
        ("DELETE FROM events WHERE kind = 'deposited'", "2/0"),
        ("DELETE FROM events WHERE kind = 'settled'", "4/0"),
    ];
    for (change, place) in changes {
        on_both(move |world| async move {
            let History { payer, .. } = fill(&world).await;
            world.tamper(change).await;
            let refused = of(&world, payer, Side::Wallet, blocks(0, 9)).await.unwrap_err();
            let text = refused.to_string();
            assert!(text.contains(&format!("events at {place}")), "{change}: {text}");
        })
        .await;
    }
}

#[tokio::test]
async fn the_newest_block_before_a_time_is_found_among_sparse_ones() {
    on_both(|world| async move {
        // Blocks 0, 7 and 8 are stored: below finalized there are gaps.
        let mut first = child(None, 0);
        let mut step = Step { blocks: vec![first.clone()], ..Step::default() };
        for number in [7_u64, 8] {
            first = crate::Block { number: number - 1, ..first };
            let next = child(Some(&first), 0);
            step.blocks.push(next.clone());
            first = next;
        }
        world.store.chain_writer().extend(&step).await.unwrap();
        let reader = world.store.reader();
        for (time, tip, expected) in [
            (START, 8, None),
            (START + 1, 8, Some(0)),
            (START + 12 * 7, 8, Some(0)),
            (START + 12 * 7 + 1, 8, Some(7)),
            (START + 12 * 9, 8, Some(8)),
            (START + 12 * 9, 7, Some(7)),
            (START + 12 * 9, 6, Some(0)),
        ] {
            let found = reader.newest_before(time, tip).await.unwrap();
            assert_eq!(found.map(|block| block.number), expected, "{time} {tip}");
        }
    })
    .await;
}
