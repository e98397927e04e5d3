//! Vouchers: the payer's signed running total for a job of calls, and its redemption.
use alloy::primitives::{Address, Bytes};
use alloy::signers::SignerSync;
use clap::{Args, Subcommand};
use contracts::order::domain;
use contracts::signing::{signing_hash, voucher as voucher_of};
use contracts::text::checksummed;
use contracts::{Amount, JobId, Order, Payout};
use serde::Serialize;

use crate::chain::{Chain, Mined};
use crate::config::Settings;
use crate::exit::{Exit, Failure, Outcome, contract};
use crate::talk::{Talk, table};
use crate::wallet::{address, chain, open};

#[derive(Subcommand, Debug)]
pub enum VoucherCommand {
    /// Consent, as payer or approver, to a total for all calls of a job so far
    Sign {
        /// The job's id
        job_id: JobId,
        /// All that the job may have paid by then, like 1.5; only what it adds is ever paid
        total: String,
    },
    /// Have a voucher paid to the nodes that served; the wallet is the settler's
    Redeem(Redeem),
}

#[derive(Args, Debug)]
pub struct Redeem {
    /// The job's id
    job_id: JobId,
    /// The voucher's total, like 1.5
    total: String,
    /// The voucher's signature
    #[arg(long, value_name = "HEX")]
    signature: Bytes,
    /// Who gets what, like 0x..=0.5; the last one without an amount gets the rest
    #[arg(long = "payout", value_name = "NODE[=AMOUNT]", required = true)]
    payouts: Vec<String>,
    /// The settler's signed Redemption, when the wallet is not the settler's
    #[arg(long, value_name = "HEX", default_value = "0x")]
    consent: Bytes,
}

#[derive(Serialize)]
struct Signed {
    job_id: JobId,
    /// In base units.
    cumulative: Amount,
    /// What it adds to what is redeemed already.
    due: Amount,
    #[serde(with = "checksummed")]
    signer: Address,
    signature: Bytes,
}

#[derive(Serialize)]
struct Redeemed {
    job_id: JobId,
    cumulative: Amount,
    payouts: Vec<Payout>,
    transaction: Mined,
}

pub async fn voucher(command: VoucherCommand, settings: &Settings, talk: &Talk) -> Outcome {
    match command {
        VoucherCommand::Sign { job_id, total } => sign(job_id, &total, settings, talk).await,
        VoucherCommand::Redeem(command) => redeem(command, settings, talk).await,
    }
}

/// The terms of a job of calls, and what a total adds to what is redeemed.
async fn due(chain: &Chain, job_id: JobId, total: Amount) -> Outcome<(Order, Amount)> {
    let order = chain.order_of(job_id).await?;
    if order.units != 0 {
        let message = format!("job {job_id} has {} units, which lots pay", order.units);
        let hint = "vouchers pay the calls of jobs without units; review frames instead";
        return Err(Failure::new(Exit::Rejected, message, hint));
    }
    let job = chain.escrow.job(job_id).call().await;
    let job = job.map_err(|error| contract("read the job", &error))?;
    let (funded, released) = (Amount::from(job.funded), Amount::from(job.released));
    if total > funded {
        let (total, funded) = (chain.show(total), chain.show(funded));
        let message = format!("job {job_id} holds {funded} in all; the voucher is of {total}");
        let hint = "name a smaller total, or top the job up on chain";
        return Err(Failure::new(Exit::InsufficientFunds, message, hint));
    }
    match total.checked_sub(released) {
        Ok(due) if !due.is_zero() => Ok((order, due)),
        Ok(_) | Err(_) => {
            let message = format!("{} of job {job_id} is redeemed already", chain.show(released));
            let hint = "a voucher is a running total: name one above that";
            Err(Failure::new(Exit::Rejected, message, hint))
        }
    }
}

async fn sign(job_id: JobId, total: &str, settings: &Settings, talk: &Talk) -> Outcome {
    let key = open(settings).await?;
    let chain = Chain::of(settings, None).await?;
    let cumulative = chain.read_amount(total)?;
    let (order, due) = due(&chain, job_id, cumulative).await?;
    let signer = key.address();
    if !order.is_payer_side(signer) {
        let message = format!("{signer} is neither payer nor approver of job {job_id}");
        return Err(Failure::new(Exit::Rejected, message, "sign with the payer's keystore"));
    }
    let domain = domain(chain.chain_id, *chain.escrow.address());
    let digest = signing_hash(&voucher_of(job_id, cumulative), &domain);
    let signature = key.sign_hash_sync(&digest).map_err(|error| {
        Failure::new(Exit::Failed, format!("signing failed: {error}"), "check the keystore")
    })?;
    let signature = Bytes::from(signature.as_bytes());
    let signed = Signed { job_id, cumulative, due, signer, signature };
    talk.data(&signed, || {
        table(&[
            ("job", job_id.to_string()),
            ("total", chain.show(cumulative)),
            ("adds", chain.show(due)),
            ("signature", signed.signature.to_string()),
        ])
    });
    Ok(())
}

async fn redeem(command: Redeem, settings: &Settings, talk: &Talk) -> Outcome {
    let chain = chain(settings).await?;
    let cumulative = chain.read_amount(&command.total)?;
    let job_id = command.job_id;
    let (order, due) = due(&chain, job_id, cumulative).await?;
    let payouts = split(&chain, &command.payouts, due)?;
    let call = chain.escrow.redeem(
        order.to_sol(),
        cumulative.to_u96(),
        command.signature,
        payouts.iter().map(Payout::to_sol).collect(),
        command.consent,
    );
    let transaction = chain.send("redeem the voucher", call).await?;
    let redeemed = Redeemed { job_id, cumulative, payouts, transaction };
    talk.data(&redeemed, || {
        let mut rows = vec![("job", job_id.to_string()), ("total", chain.show(cumulative))];
        for payout in &redeemed.payouts {
            rows.push(("paid", format!("{} to {}", chain.show(payout.amount), payout.node)));
        }
        rows.push(("transaction", redeemed.transaction.tx_hash.to_string()));
        table(&rows)
    });
    Ok(())
}

/// "NODE=AMOUNT", and at most one "NODE" that gets the rest; together exactly what is due.
fn split(chain: &Chain, texts: &[String], due: Amount) -> Outcome<Vec<Payout>> {
    let unequal = |sum: Amount| {
        let (sum, due) = (chain.show(sum), chain.show(due));
        let message = format!("the payouts come to {sum}; the voucher adds {due}");
        Failure::usage(message, "name one --payout without an amount: it gets the rest")
    };
    let (mut payouts, mut rest, mut sum) = (Vec::new(), None, Amount::ZERO);
    for text in texts {
        let (node, amount) = match text.split_once('=') {
            Some((node, amount)) => (node, Some(chain.read_amount(amount)?)),
            None => (text.as_str(), None),
        };
        if amount.is_none() && rest.replace(payouts.len()).is_some() {
            return Err(Failure::usage("two payouts without an amount", "one can get the rest"));
        }
        let amount = amount.unwrap_or_default();
        sum = sum.checked_add(amount).unwrap_or(Amount::MAX);
        payouts.push(Payout { node: address(node)?, amount });
    }
    let left = due.checked_sub(sum).map_err(|_| unequal(sum))?;
    match rest {
        Some(place) => payouts[place].amount = left,
        None if left.is_zero() => {}
        None => return Err(unequal(sum)),
    }
    Ok(payouts)
}
