//! `rndr deploy verify`: the deployment file against this program's bytecode and against the chain.
use alloy::primitives::{Address, B256, keccak256};
use alloy::providers::{DynProvider, Provider};
use contracts::deploy::{Creation, DeploymentFile, PROXY, Placed, code_at};
use contracts::{Funding, NodeRegistry, RenderEscrow};
use serde::Serialize;

use super::{failed, read};
use crate::chain::{chain_id, provider};
use crate::config::{Settings, needed};
use crate::exit::{Exit, Failure, Outcome, chain};
use crate::talk::{Talk, table};

/// One thing that was compared.
#[derive(Serialize)]
struct Check {
    field: String,
    /// What the file says.
    file: String,
    /// What this program's bytecode, or the chain, says instead.
    found: String,
    same: bool,
}

#[derive(Serialize)]
struct Verified<'a> {
    deployment: &'a DeploymentFile,
    checks: Vec<Check>,
}

pub async fn verify(settings: &Settings, talk: &Talk) -> Outcome {
    let path = needed(&settings.chain.deployment, "chain.deployment")?;
    let file = read(path)?;
    let provider = provider(&settings.chain.rpc_url, None)?;
    let mut book = Book(Vec::new());
    book.add("chain_id", file.chain_id, chain_id(&provider).await?);
    book.add("proxy", file.proxy, PROXY);
    let placed = file.placed();
    for (creation, (_, placed)) in file.plan().creations().iter().zip(placed) {
        book.creation(creation, placed);
        book.on_chain(&provider, creation, placed, file.salt).await?;
    }
    book.answers(&provider, &file).await;
    let verified = Verified { deployment: &file, checks: book.0 };
    let wrong = verified.checks.iter().filter(|check| !check.same);
    let wrong: Vec<String> = wrong
        .map(|check| format!("{}: {} in the file, {} found", check.field, check.file, check.found))
        .collect();
    if !wrong.is_empty() {
        let hint = "do not use these contracts until it is explained; the file may be of another \
                    release or chain";
        return Err(Failure::new(Exit::Mismatch, wrong.join("\n  "), hint));
    }
    talk.data(&verified, || {
        let checks = verified.checks.iter();
        let mut rows: Vec<(&str, String)> =
            checks.map(|check| (check.field.as_str(), check.found.clone())).collect();
        let all = format!("{} of {} as the file says", rows.len(), rows.len());
        rows.push(("verified", all));
        table(&rows)
    });
    Ok(())
}

struct Book(Vec<Check>);

impl Book {
    fn add<T: ToString + PartialEq>(&mut self, field: impl Into<String>, file: T, found: T) {
        let same = file == found;
        let (file, found) = (file.to_string(), found.to_string());
        self.0.push(Check { field: field.into(), file, found, same });
    }

    /// What a contract of the chain answers; its silence is another answer than the file's.
    fn answered<T: ToString>(
        &mut self,
        field: &str,
        file: T,
        answer: Result<T, alloy::contract::Error>,
    ) {
        let found = answer.map_or_else(|error| error.to_string(), |answer| answer.to_string());
        self.add(field, file.to_string(), found);
    }

    /// From this program's own bytecode, without the chain.
    fn creation(&mut self, creation: &Creation, placed: &Placed) {
        let field = |name: &str| format!("{}.{name}", creation.name);
        let arguments = (placed.constructor_arguments.clone(), creation.arguments.clone());
        self.add(field("constructor_arguments"), arguments.0, arguments.1);
        self.add(field("init_code_hash"), placed.init_code_hash, creation.init_code_hash());
        self.add(field("address"), placed.address, creation.address);
    }

    /// The code at the address, and the transaction that put it there, in its block.
    async fn on_chain(
        &mut self,
        provider: &DynProvider,
        creation: &Creation,
        placed: &Placed,
        salt: B256,
    ) -> Outcome {
        let field = |name: &str| format!("{}.{name}", creation.name);
        let code = code_at(provider, placed.address).await.map_err(failed)?;
        let found =
            if code.is_empty() { "no code".to_owned() } else { keccak256(&code).to_string() };
        self.add(field("code_hash"), placed.code_hash.to_string(), found);
        let Some(tx) = placed.tx else { return Ok(()) };
        let receipt = provider.get_transaction_receipt(tx).await;
        let receipt = receipt.map_err(|error| chain("show a receipt", &error))?;
        let block = receipt.filter(|receipt| receipt.status()).and_then(|one| one.block_number);
        let found = block.map_or_else(|| "none".to_owned(), |block| block.to_string());
        self.add(field("block"), placed.block.to_string(), found);
        let sent = provider.get_transaction_by_hash(tx).await;
        let sent = sent.map_err(|error| chain("show a transaction", &error))?;
        let input = sent.map(|sent| keccak256(alloy::consensus::Transaction::input(&sent)));
        let found = input.map_or_else(|| "none".to_owned(), |hash| hash.to_string());
        let wanted = keccak256(creation.calldata(salt)).to_string();
        self.add(field("tx, keccak256 of its input"), wanted, found);
        Ok(())
    }

    /// The contracts' own words about token, offices and each other.
    async fn answers(&mut self, provider: &DynProvider, file: &DeploymentFile) {
        let escrow = RenderEscrow::new(file.escrow.address, provider);
        let funding = Funding::new(file.funding.address, provider);
        let registry = NodeRegistry::new(file.registry.address, provider);
        self.answered("token", file.token, escrow.token().call().await);
        let offices = escrow.offices().call().await;
        let (issuer, guardian) = match offices {
            Ok(offices) => (Ok(offices.issuer), Ok(offices.guardian)),
            Err(error) => (Err(error), escrow.offices().call().await.map(|found| found.guardian)),
        };
        self.answered("issuer", file.issuer, issuer);
        self.answered("guardian", file.guardian, guardian);
        let place = file.escrow.address;
        self.answered("funding.escrow()", place, funding.escrow().call().await);
        self.answered("funding.token()", file.token, funding.token().call().await);
        let permit2 = file.permit2.unwrap_or(Address::ZERO);
        self.answered("permit2", permit2, funding.permit2().call().await);
        self.answered("registry.escrow()", place, registry.escrow().call().await);
        self.answered("registry.token()", file.token, registry.token().call().await);
    }
}
