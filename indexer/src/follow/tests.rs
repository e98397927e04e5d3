//! What the follower decides, over all views.

use super::*;
use proptest::prelude::*;

fn view(tip: u64, head: u64, finalized: u64, mark: u64, found: Found) -> View {
    View {
        deploy_block: 10,
        tip: Some(tip),
        mark: Some(mark.min(tip)),
        head,
        finalized: Some(finalized),
        probe: Some(Probe { block: tip.min(head), found }),
    }
}

#[test]
fn a_new_store_starts_at_the_deployment() {
    let empty = |head, finalized| View {
        deploy_block: 10,
        tip: None,
        mark: None,
        head,
        finalized,
        probe: None,
    };
    assert_eq!(decide(&empty(9, Some(9))), Next::Wait(Wait::BeforeDeployment));
    assert_eq!(decide(&empty(90, Some(50))), Next::Range { from: 10, to: 50 });
    assert_eq!(decide(&empty(90, Some(9))), Next::Blocks { from: 10, to: 90 });
    assert_eq!(decide(&empty(90, None)), Next::Blocks { from: 10, to: 90 });
}

#[test]
fn ranges_end_at_finalized_and_blocks_follow() {
    let next = decide(&view(20, 90, 50, 20, Found::Same));
    assert_eq!(next, Next::Range { from: 21, to: 50 });
    let next = decide(&view(50, 90, 50, 50, Found::Same));
    assert_eq!(next, Next::Blocks { from: 51, to: 90 });
    assert_eq!(decide(&view(90, 90, 50, 50, Found::Same)), Next::Wait(Wait::AtHead));
}

#[test]
fn a_replaced_tip_rewinds_and_a_replaced_final_block_stops() {
    assert_eq!(decide(&view(60, 90, 50, 50, Found::Other)), Next::Rewind);
    let stop = Next::Stop(Stop::FinalReplaced { block: 50, mark: 50 });
    assert_eq!(decide(&view(50, 90, 50, 50, Found::Other)), stop);
    // Behind, and on another branch below what was final.
    let stop = Next::Stop(Stop::FinalReplaced { block: 45, mark: 50 });
    assert_eq!(decide(&view(60, 45, 40, 50, Found::Other)), stop);
}

#[test]
fn a_fork_below_the_mark_or_below_everything_is_refused() {
    assert_eq!(check_fork(Some(55), 56, Some(50)), Ok(()));
    assert_eq!(check_fork(Some(50), 51, Some(50)), Ok(()));
    let stop = Err(Stop::FinalReplaced { block: 50, mark: 50 });
    assert_eq!(check_fork(Some(49), 50, Some(50)), stop);
    assert_eq!(check_fork(None, 10, None), Err(Stop::DeploymentReplaced));
}

fn found() -> impl Strategy<Value = Found> {
    prop_oneof![Just(Found::Same), Just(Found::Other), Just(Found::Missing)]
}

proptest! {
    #[test]
    fn steps_start_right_above_the_tip_and_stay_below_the_head(
        tip in 10u64..100, head in 0u64..200, finalized in 0u64..200, mark in 0u64..200,
        found in found(),
    ) {
        match decide(&view(tip, head, finalized, mark, found)) {
            Next::Range { from, to } => {
                prop_assert!(found == Found::Same && from == tip + 1);
                prop_assert!(from <= to && to <= head && to <= finalized);
            }
            Next::Blocks { from, to } => {
                prop_assert!(found == Found::Same && from == tip + 1 && from > finalized);
                prop_assert!(from <= to && to == head);
            }
            Next::Rewind => prop_assert!(found == Found::Other && head >= tip && tip > mark),
            Next::Wait(Wait::HeadBehind) => prop_assert!(head < tip),
            Next::Wait(Wait::AtHead) => prop_assert!(head == tip && found == Found::Same),
            Next::Wait(Wait::Unclear) => prop_assert_eq!(found, Found::Missing),
            Next::Wait(Wait::BeforeDeployment) => prop_assert!(false, "there is a tip"),
            Next::Stop(_) => prop_assert!(found == Found::Other && tip.min(head) <= mark),
        }
    }

    #[test]
    fn spans_stay_within_their_bounds(
        answers in prop::collection::vec(any::<Option<u16>>(), 0..60),
    ) {
        let mut span = Span::default();
        for answer in answers {
            match answer {
                Some(logs) => span.answered(usize::from(logs)),
                None => { span.failed(true); }
            }
            let end = span.end(1_000, u64::MAX);
            prop_assert!((1_000..1_000 + LARGEST_SPAN).contains(&end));
            prop_assert_eq!(span.end(1_000, 1_000), 1_000);
        }
    }
}

#[test]
fn refusals_halve_a_span_down_to_one_block() {
    let mut span = Span::default();
    let mut halvings = 0;
    while span.failed(false) {
        halvings += 1;
    }
    assert_eq!((halvings, span.end(7, 100)), (4, 7));
}

/// A node that takes ranges of `cap` blocks at most: how many of `answers` answers' questions it
/// refused meanwhile.
fn refusals(span: &mut Span, cap: u64, answers: u32) -> u32 {
    let (mut refused, mut left) = (0, answers);
    while left > 0 {
        if span.end(0, u64::MAX) < cap {
            span.answered(0);
            left -= 1;
        } else {
            span.failed(true);
            refused += 1;
        }
    }
    refused
}

#[test]
fn a_cap_is_found_once_and_hardly_touched_again() {
    let mut span = Span::default();
    assert!(refusals(&mut span, 50, 16) <= 4);
    assert!(refusals(&mut span, 50, 320) <= 10);
    assert_eq!(refusals(&mut span, u64::MAX, 400), 0);
    assert_eq!(span.end(0, u64::MAX), LARGEST_SPAN - 1, "a cap that is gone is forgotten");
}
