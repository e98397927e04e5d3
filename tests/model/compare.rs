//! One call played on both, and everything that it touched compared: result, events, views.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, Bytes, U256};
use contracts::revert::explain_revert;
use contracts::{Event, RenderEscrow as E, event};

use super::acts::Call;
use super::chain::Answer;
use super::contract::Contract;
use super::escrow::{Escrow, Refusal, Unit};
use super::hashes::{job_id, lot_hash};
use super::lots::{mask_of, units_of};

/// What contract and model say differently.
pub type Difference = String;

/// Plays the call on both; the operation's name and the outcome on which they agree, or the first
/// difference.
pub fn step(
    contract: &mut Contract,
    model: &mut Escrow,
    call: &Call,
) -> Result<(&'static str, Result<(), Refusal>), Difference> {
    let (name, answer) = contract.play(call);
    let outcome = model.play(call);
    let shown = |what: String| format!("{what}\ncall: {call:#?}");
    compare_results(model, &answer, &outcome).map_err(shown)?;
    let events = match outcome {
        Ok(events) => events,
        Err(refusal) => return Ok((name, Err(refusal))),
    };
    compare_touched(contract, model, call, &events).map_err(shown)?;
    Ok((name, Ok(())))
}

fn compare_results(
    model: &Escrow,
    answer: &Answer,
    outcome: &Result<Vec<Event>, Refusal>,
) -> Result<(), Difference> {
    let why = |data: &Bytes| explain_revert(data).detail;
    match outcome {
        Err(refusal) if answer.success => {
            Err(format!("the contract took what the model refuses: {}", why(refusal)))
        }
        Ok(_) if !answer.success => {
            Err(format!("the contract refused what the model takes: {}", why(&answer.data)))
        }
        Err(refusal) if *refusal != answer.data => {
            let (theirs, ours) = (why(&answer.data), why(refusal));
            Err(format!("refused for two reasons\ncontract: {theirs}\nmodel: {ours}"))
        }
        Err(_) => Ok(()),
        Ok(events) => {
            let logs = answer.logs.iter().filter(|log| log.address == model.terms.escrow);
            let logs: Vec<_> = logs.collect();
            let same = logs.len() == events.len()
                && logs.iter().zip(events).all(|(log, event)| log.data == event.encode());
            if same {
                return Ok(());
            }
            let read = |log: &&_| event::decode(model.terms.escrow, log);
            let theirs: Vec<_> = logs.iter().map(read).collect();
            Err(format!("other events\ncontract: {theirs:#?}\nmodel: {events:#?}"))
        }
    }
}

/// Every view of every account, job, lot and word of units that the call or its events name.
fn compare_touched(
    contract: &mut Contract,
    model: &Escrow,
    call: &Call,
    events: &[Event],
) -> Result<(), Difference> {
    let mut accounts: BTreeSet<Address> = events.iter().flat_map(Event::accounts).collect();
    accounts.extend([call.from, model.terms.escrow]);
    for account in accounts {
        compare_account(contract, model, account)?;
    }
    for event in events {
        match event {
            Event::DelegateRevoked(e) => compare_delegate(contract, model, (e.payer, e.agent))?,
            Event::CreditSettlerNamed(_) | Event::Paused(_) => compare_offices(contract, model)?,
            _ => (),
        }
    }
    let payer = call.act.order().map_or(call.from, |order| order.payer);
    for pair in model.state.delegates.keys().filter(|pair| pair.0 == payer) {
        compare_delegate(contract, model, *pair)?;
    }
    let jobs: BTreeSet<B256> = events.iter().filter_map(Event::job_id).collect();
    for job in jobs {
        compare_job(contract, model, job)?;
    }
    if let Some(order) = call.act.order() {
        let job = job_id(model.terms.domain, order);
        for lot in call.act.lots() {
            compare_lot(contract, model, job, lot_hash(job, lot), &units_of(lot.word, lot.mask))?;
            compare_word(contract, model, job, lot.word)?;
        }
    }
    Ok(())
}

/// Everything the model knows, at the end of a world.
pub fn compare_all(contract: &mut Contract, model: &Escrow) -> Result<(), Difference> {
    let state = &model.state;
    let owners: BTreeSet<&Address> = state.accounts.keys().chain(state.tokens.keys()).collect();
    for owner in owners {
        compare_account(contract, model, *owner)?;
    }
    for pair in state.delegates.keys() {
        compare_delegate(contract, model, *pair)?;
    }
    for (id, job) in &state.jobs {
        compare_job(contract, model, *id)?;
        for (lot, record) in &job.lots {
            compare_lot(contract, model, *id, *lot, &record.rejected)?;
        }
        for word in 0..=job.order.units / 256 {
            compare_word(contract, model, *id, word)?;
        }
    }
    compare_offices(contract, model)
}

fn compare_account(
    contract: &mut Contract,
    model: &Escrow,
    owner: Address,
) -> Result<(), Difference> {
    let ours = model.state.account(owner);
    let words = [ours.free, ours.credit, ours.seq.into()];
    same(
        format!("account {owner}"),
        contract.view(E::accountCall { owner }),
        &words.map(U256::from),
    )?;
    let tokens = U256::from(model.state.tokens_of(owner));
    same(format!("tokens of {owner}"), contract.tokens_of(owner), &[tokens])
}

fn compare_delegate(
    contract: &mut Contract,
    model: &Escrow,
    (payer, agent): (Address, Address),
) -> Result<(), Difference> {
    let ours = match model.state.delegates.get(&(payer, agent)) {
        Some(one) => {
            let bounds = [one.allowance, one.most, one.expiry.into()].map(U256::from);
            [[word(one.settler)].as_slice(), &bounds].concat()
        }
        None => vec![U256::ZERO; 4],
    };
    same(
        format!("delegate {agent} of {payer}"),
        contract.view(E::delegateCall { payer, agent }),
        &ours,
    )
}

fn compare_offices(contract: &mut Contract, model: &Escrow) -> Result<(), Difference> {
    let (terms, state) = (&model.terms, &model.state);
    let named = [terms.issuer, terms.guardian, state.credit_settler].map(word);
    let figures = [state.paused_until, state.office_seq].map(U256::from);
    same("offices".into(), contract.view(E::officesCall {}), &[&named[..], &figures].concat())
}

fn compare_job(contract: &mut Contract, model: &Escrow, id: B256) -> Result<(), Difference> {
    let ours = match model.state.jobs.get(&id) {
        Some(job) => [
            job.funded,
            job.released,
            job.pending(),
            job.units_paid().into(),
            job.seq.into(),
            job.status().into(),
            job.close_requested.unwrap_or(0).into(),
            job.credit,
        ],
        None => [0; 8],
    };
    same(format!("job {id}"), contract.view(E::jobCall { jobId: id }), &ours.map(U256::from))
}

/// `all` are units of the lot, at least those that were rejected.
fn compare_lot(
    contract: &mut Contract,
    model: &Escrow,
    job: B256,
    lot: B256,
    all: &BTreeSet<u64>,
) -> Result<(), Difference> {
    let record = model.state.jobs.get(&job).and_then(|job| job.lots.get(&lot));
    let ours = match record {
        Some(one) => {
            let rejected = mask_of(&(all & &one.rejected));
            [U256::from(one.stage as u8), U256::from(one.window_end), rejected]
        }
        None => [U256::ZERO; 3],
    };
    same(format!("lot {lot}"), contract.view(E::lotCall { lotHash: lot }), &ours)
}

fn compare_word(
    contract: &mut Contract,
    model: &Escrow,
    job: B256,
    word: u32,
) -> Result<(), Difference> {
    let first = u64::from(word) * 256;
    let taken = |job: &std::rc::Rc<super::escrow::Job>| -> BTreeSet<u64> {
        let inside = job.units.range(first..first + 256);
        inside
            .filter(|(_, unit)| matches!(unit, Unit::Reserved { .. } | Unit::Paid))
            .map(|(unit, _)| *unit)
            .collect()
    };
    let ours = mask_of(&model.state.jobs.get(&job).map(taken).unwrap_or_default());
    same(
        format!("word {word} of job {job}"),
        contract.view(E::takenUnitsCall { jobId: job, word }),
        &[ours],
    )
}

fn same(what: String, theirs: Vec<U256>, ours: &[U256]) -> Result<(), Difference> {
    if theirs == ours {
        return Ok(());
    }
    Err(format!("{what}\ncontract: {theirs:?}\nmodel: {ours:?}"))
}

fn word(address: Address) -> U256 {
    U256::from_be_slice(address.as_slice())
}
