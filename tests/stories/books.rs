//! Books of a real history: statements, exports and plain-text books agree to the base unit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use alloy::primitives::Address;
use contracts::Amount;
use contracts::order::BURN_ACCOUNT;
use reqwest::Method;
use serde_json::{Value, json};
use store::Store;

use crate::world::bonds::Bond;
use crate::world::counter::Counter;
use crate::world::deals::Deal;
use crate::world::desk::Desk;
use crate::world::{RNDR, World, wallet};

/// Since before any chain here began, to after it.
const EVER: &str = "1970-01-01..2100-01-01";

struct Office {
    world: World,
    store: Store,
    desk: Desk,
    payer: Address,
    node: Address,
    bond: Address,
}

/// A history with every kind of money in it, up to a final block: odd amounts, so that nothing is
/// round.
async fn office() -> Office {
    let world = World::new().await;
    let payer = world.funded("payer", 200 * RNDR).await;
    let node = world.funded("node", 0).await;
    let store = world.store().await;
    let indexer = world.indexer(&store);
    world.deposit(&payer, 90 * RNDR + 7).await;
    let issuer = world.funded("issuer", 0).await;
    let issue = world.issue_call(payer.address(), 3 * RNDR + 1).await;
    world.send(&issuer, world.escrow, issue).await;
    let first = Deal::new(&world, &payer, 1).await.with(|order| {
        order.cap = Amount::from_base(20 * RNDR + 3).unwrap();
    });
    first.open(&world).await;
    let work = [first.work(&[0, 1, 2], 11, false), first.work(&[3], 12, true)];
    first.release(&world, &work[..1]).await;
    first.commit(&world, &work[1..], true).await;
    first.settle(&world, &work[1..]).await;
    let open = Deal::new(&world, &payer, 2).await;
    open.open(&world).await;
    open.commit(&world, &[open.work(&[0, 5], 21, true)], false).await;
    let calls = Deal::of_calls(&world, &payer, 3).await;
    calls.open(&world).await;
    let split = contracts::Payout {
        node: node.address(),
        amount: Amount::from_base(7 * RNDR + 101).unwrap(),
    };
    let redeem = calls.redeem_call(7 * RNDR + 101, std::slice::from_ref(&split));
    world.send(&node, world.escrow, redeem).await;
    // A day later one job ends, and something is withdrawn.
    world.anvil.pass(86_400).await;
    world.send(&node, world.escrow, first.agreed_close_call()).await;
    let withdraw = contracts::RenderEscrow::withdrawCall {
        amount: Amount::from_base(RNDR + 5).unwrap().into(),
        to: payer.address(),
    };
    world.send(&payer, world.escrow, withdraw).await;
    let bond = Bond::new(&world, "node", 100 * RNDR).await;
    world.send(&bond.owner, world.registry, bond.register_call()).await;
    world.send(&bond.owner, world.registry, bond.bond_call(30 * RNDR + 9)).await;
    world.anvil.mine(100).await;
    world.audited(&store).await;
    indexer.stop().await;
    let desk = Desk::of(&world, &payer);
    let (payer, node, bond) = (payer.address(), node.address(), bond.id());
    Office { world, store, desk, payer, node, bond }
}

impl Office {
    fn export(&self, name: &str, format: &str, more: &[&str]) -> Value {
        let line = [&["audit", "export", "--out", name, "--format", format], more].concat();
        self.desk.data(&line)
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.desk.folder.join(name)
    }

    /// The one file of an export of books.
    fn books(&self, name: &str, format: &str, more: &[&str]) -> PathBuf {
        let manifest = self.export(name, format, more);
        let files = manifest["files"].as_array().unwrap();
        assert_eq!(files.len(), 1, "{manifest}");
        self.folder(name).join(files[0]["name"].as_str().unwrap())
    }
}

/// A tool that `cargo xtask setup --test` brings.
fn tool(name: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = root.join("target/books-tools/bin").join(name);
    Command::new(if own.exists() { own } else { name.into() })
}

fn ran(mut command: Command) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; run `cargo xtask setup --test`");
    })
}

/// Whether the program takes the books.
fn passes(books: &Path) -> bool {
    let mut command = if books.extension().unwrap() == "beancount" {
        let mut command = tool("bean-check");
        command.arg("--no-cache");
        command
    } else {
        let mut command = tool("hledger");
        command.args(["check", "--strict", "ordereddates", "--file"]);
        command
    };
    command.arg(books);
    let output = ran(command);
    let talk = [output.stdout, output.stderr].concat();
    let talk = String::from_utf8_lossy(&talk);
    assert!(output.status.success() || !talk.is_empty());
    output.status.success()
}

/// The text with the last digit of its n-th amount raised or lowered by one base unit.
fn edited(text: &str, place: usize) -> Option<String> {
    let amounts: Vec<usize> = text
        .match_indices('.')
        .map(|(at, _)| at + 18)
        .filter(|last| text.get(last + 1..).is_some_and(|rest| rest.starts_with([' '])))
        .filter(|last| text.as_bytes()[last - 17..=*last].iter().all(u8::is_ascii_digit))
        // This line tells how amounts are written, and is none.
        .filter(|last| !text[..*last].rsplit('\n').next().unwrap().starts_with("commodity"))
        .collect();
    let last = *amounts.get(place)?;
    let digit = text.as_bytes()[last];
    let other = if digit == b'9' { '8' } else { char::from(digit + 1) };
    Some(format!("{}{other}{}", &text[..last], &text[last + 1..]))
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_checkers_take_the_books_and_refuse_them_with_one_base_unit_changed() {
    let office = office().await;
    let (payer, node) = (office.payer.to_string(), office.node.to_string());
    let fee = wallet("fee").address().to_string();
    let from = first_block_of_the_last_day(&office).await;
    let from = ["--from-block", &from];
    let scopes: [(&str, Vec<&str>); 5] = [
        ("all", vec![]),
        ("late", from.to_vec()),
        ("payer", vec!["--of", "payer", &payer]),
        ("node", vec!["--of", "node", &node]),
        ("fees", [&["--of", "operator", &fee], &from[..]].concat()),
    ];
    for format in ["beancount", "hledger"] {
        for (name, more) in &scopes {
            let books = office.books(&format!("{name}-{format}"), format, more);
            assert!(passes(&books), "{format} refuses {}", books.display());
        }
        let books = office.folder(&format!("all-{format}"));
        let books = std::fs::read_dir(books).unwrap().map(|file| file.unwrap().path());
        let books = books.filter(|path| path.extension().unwrap() != "json").last().unwrap();
        let text = std::fs::read_to_string(&books).unwrap();
        // Every seventh amount: postings and assertions of all places, in half a minute.
        let mut edits = 0;
        for place in (0..).step_by(7) {
            let Some(edited) = edited(&text, place) else { break };
            let path = books.with_file_name("edited").with_extension(books.extension().unwrap());
            std::fs::write(&path, edited).unwrap();
            assert!(!passes(&path), "{format} takes amount {place} one base unit off");
            edits += 1;
        }
        assert!(edits >= 5, "{edits}");
    }
}

async fn first_block_of_the_last_day(office: &Office) -> String {
    let reader = office.store.reader();
    let events = reader.events_between(0, 1_000_000).await.unwrap();
    let last = events.last().unwrap();
    let day = reader.block(last.block).await.unwrap().unwrap().mined_at / 86_400 * 86_400;
    let tip = reader.tip().await.unwrap().unwrap().number;
    let before = reader.newest_before(day, tip).await.unwrap().unwrap();
    (before.number + 1).to_string()
}

/// The rows that DuckDB answers to a query in the folder.
fn duckdb(folder: &Path, query: &str) -> Vec<Vec<String>> {
    let script = "import duckdb, json, sys\n\
                  rows = duckdb.sql(sys.argv[1]).fetchall()\n\
                  print(json.dumps([[str(cell) for cell in row] for row in rows]))";
    let mut command = tool("python");
    command.args(["-c", script, query]).current_dir(folder);
    let output = ran(command);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{query}: {talk}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Each book's balance as DuckDB sums it up.
fn balances(folder: &Path, table: &str) -> BTreeMap<String, i128> {
    let query = format!(
        "SELECT book, sum(CASE side WHEN 'credit' THEN amount::HUGEINT ELSE -amount::HUGEINT END) \
         FROM {table} GROUP BY book"
    );
    let rows = duckdb(folder, &query);
    rows.into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_over_the_tables_are_the_apis_figures_and_a_second_export_is_the_same() {
    let office = office().await;
    let counter = Counter::open(&office.world, &office.store).await;
    let ask = |path: String| {
        let counter = &counter;
        async move { counter.good(counter.ask(Method::GET, &path)).await }
    };
    let base = |money: &Value| money["amount"].as_str().unwrap().parse::<i128>().unwrap();
    let mut formats = vec![("csv", "read_csv('entries-*.csv', all_varchar = true)")];
    formats.push(("jsonl", "read_json('entries-*.jsonl', format = 'newline_delimited')"));
    if cfg!(feature = "parquet") {
        formats.push(("parquet", "'entries-*.parquet'"));
    } else {
        let refused =
            office.desk.refusal(&["audit", "export", "--format", "parquet", "--out", "p"], 2);
        assert!(refused["hint"].as_str().unwrap().contains("--features parquet"), "{refused}");
    }
    for (format, table) in formats {
        let manifest = office.export(format, format, &[]);
        let folder = office.folder(format);
        let books = balances(&folder, table);
        let fee = wallet("fee").address();
        for account in [office.payer, office.node, fee, BURN_ACCOUNT, wallet("issuer").address()] {
            let shown = ask(format!("/v1/accounts/{account}")).await;
            let of = |book: String| books.get(&book).copied().unwrap_or_default();
            assert_eq!(of(format!("wallet:{account}")), base(&shown["free"]), "{account}");
            assert_eq!(of(format!("credit:{account}")), base(&shown["credit"]), "{account}");
            if account == office.payer {
                let jobs = books.iter().filter(|(book, _)| book.starts_with("job:"));
                assert_eq!(jobs.map(|(_, left)| left).sum::<i128>(), base(&shown["locked"]));
            }
        }
        let node = ask(format!("/v1/nodes/{}", office.bond)).await;
        assert_eq!(books[&format!("bond:{}", office.bond)], base(&node["bond"]["bonded"]));
        assert_eq!(books.values().sum::<i128>(), 0);
        decimals_agree(&folder, table);
        again(&office, format, &manifest);
    }
}

/// The decimal column is the raw one, exactly; the float is near it.
fn decimals_agree(folder: &Path, table: &str) {
    let query = format!(
        "SELECT sum(amount::HUGEINT), sum(amount_decimal::DECIMAL(38,18)), \
         sum(amount_float::DOUBLE) FROM {table}"
    );
    let row = &duckdb(folder, &query)[0];
    let exact = Amount::from_decimal(&row[1], 18).unwrap();
    assert_eq!(exact.base(), row[0].parse::<u128>().unwrap());
    let near: f64 = row[2].parse().unwrap();
    assert!((near - exact.to_decimal(18).parse::<f64>().unwrap()).abs() < 1e-6, "{near}");
}

/// The same blocks into another folder give the same bytes; into the same folder, nothing.
fn again(office: &Office, format: &str, manifest: &Value) {
    let (to, other) = (manifest["to_block"].to_string(), format!("{format}-again"));
    assert_eq!(&office.export(&other, format, &["--to-block", &to]), manifest);
    assert_eq!(files(&office.folder(format)), files(&office.folder(&other)));
    assert_eq!(&office.export(format, format, &[]), manifest);
    assert_eq!(files(&office.folder(format)), files(&office.folder(&other)));
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let name = |file: &std::fs::DirEntry| file.file_name().into_string().unwrap();
    files.map(|file| (name(&file), std::fs::read(file.path()).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_periods_meet_and_every_bad_request_is_refused_by_name() {
    let mut office = office().await;
    let counter = Counter::open(&office.world, &office.store).await;
    office.desk.set("CLIENT__API", counter.url());
    let desk = &office.desk;
    let (payer, node) = (office.payer.to_string(), office.node.to_string());
    // By the command line, which makes every sum again.
    let all = desk.data(&["statement", "--period", EVER]);
    let closing = |told: &Value, book: &str| {
        let books = told["books"].as_array().unwrap();
        let sum = books.iter().find(|sum| sum["book"] == book).unwrap();
        sum["closing"]["amount"].as_str().unwrap().parse::<u128>().unwrap()
    };
    let shown = counter.good(counter.ask(Method::GET, &format!("/v1/accounts/{payer}"))).await;
    let base = |money: &Value| money["amount"].as_str().unwrap().parse::<u128>().unwrap();
    assert_eq!(closing(&all, "free"), base(&shown["free"]));
    assert_eq!(closing(&all, "credit"), base(&shown["credit"]));
    assert_eq!(closing(&all, "in_jobs"), base(&shown["locked"]));
    assert_eq!(all["period"]["final"], false);
    let earned = desk.data(&["statement", &node, "--node", "--period", EVER]);
    let account = counter.good(counter.ask(Method::GET, &format!("/v1/accounts/{node}"))).await;
    assert_eq!(closing(&earned, "earned"), base(&account["free"]));
    assert_eq!(closing(&earned, "pending"), base(&shown["pending"]));
    let text = desk.run(&["statement", "--period", "2000"], 0);
    assert!(String::from_utf8(text.stdout).unwrap().contains("closing 0 RNDR"));

    let path = |period: &str| format!("/v1/accounts/{payer}/statement?period={period}");
    let csv = counter.ask(Method::GET, &path(EVER)).header("accept", "text/csv");
    let csv = csv.send().await.unwrap();
    assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8");
    let csv = csv.text().await.unwrap();
    let movements = csv.lines().filter(|line| line.starts_with("movement,")).count();
    assert_eq!(movements, all["movements"].as_array().unwrap().len());
    let ended = format!("closing,free,2100-01-01T00:00:00Z,,,,,,,,{},", closing(&all, "free"));
    assert!(csv.lines().any(|line| line.starts_with(&ended)), "{csv}");

    for bad in ["", "2026-13", "yesterday", "1970..2100-01-01", "2026-02-01..2026-01-01"] {
        let problem = counter.refusal(counter.ask(Method::GET, &path(bad)), 400, "bad_query").await;
        assert_eq!(problem["field"], "period", "{problem}");
    }
    let unknown = format!("/v1/nodes/{}/earnings?period=2026", wallet("nobody").address());
    counter.refusal(counter.ask(Method::GET, &unknown), 404, "node_not_found").await;
    assert!(desk.refusal(&["statement", "--period", "soon"], 2)["message"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_cannot_be_right_is_refused_and_leaves_nothing() {
    let office = office().await;
    let desk = &office.desk;
    let export = |more: &[&str], code: i32| {
        let line = [&["audit", "export", "--format", "csv", "--out", "out"], more].concat();
        let refused = desk.refusal(&line, code);
        format!("{} {}", refused["message"].as_str().unwrap(), refused["hint"].as_str().unwrap())
    };
    let nobody = wallet("nobody").address().to_string();
    assert!(export(&["--from-block", "9", "--to-block", "8"], 2).contains("no range"));
    assert!(export(&["--to-block", "1000000"], 6).contains("not final"));
    assert!(export(&["--of", "payer", "0x12"], 2).contains("address"));
    assert!(export(&["--of", "payer"], 2).contains("of whom"));
    assert!(export(&["--of", "banker", &nobody], 2).contains("payer, node or operator"));
    for role in ["payer", "node", "operator"] {
        assert!(export(&["--of", role, &nobody], 3).contains("check the address"));
    }
    let unknown = desk.run(&["audit", "export", "--format", "xls", "--out", "out"], 2);
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("beancount"));
    assert!(!office.folder("out").exists());
    let left = std::fs::read_dir(&desk.folder).unwrap().map(|file| file.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("export")).collect();
    assert!(left.is_empty(), "{left:?}");

    // A folder with anything else in it stays as it is, and so does an export that was touched.
    std::fs::create_dir(office.folder("out")).unwrap();
    std::fs::write(office.folder("out/notes"), "mine").unwrap();
    assert!(export(&[], 5).contains("something else"));
    assert_eq!(files(&office.folder("out")), [("notes".into(), b"mine".to_vec())].into());
    std::fs::remove_file(office.folder("out/notes")).unwrap();
    let manifest = office.export("out", "csv", &[]);
    let before = files(&office.folder("out"));
    let from = (manifest["from_block"].as_u64().unwrap() + 1).to_string();
    assert!(export(&["--from-block", &from], 5).contains("another export: csv of escrow"));
    assert_eq!(files(&office.folder("out")), before);
    let (name, bytes) = before.iter().find(|(name, _)| name.starts_with("entries")).unwrap();
    let mut altered = bytes.clone();
    *altered.last_mut().unwrap() = b' ';
    std::fs::write(office.folder("out").join(name), altered).unwrap();
    assert!(export(&[], 7).contains("was changed since its export"));
    // And a store that tells another story now is found out.
    std::fs::write(office.folder("out").join(name), bytes).unwrap();
    let one = "UPDATE events SET amount = '00000000090000000000000000008' WHERE kind = 'deposited'";
    assert_eq!(office.world.database.tamper(one.into()).await, 1);
    assert!(export(&[], 7).contains("the store gives another"));
    assert_eq!(json!(files(&office.folder("out")).len()), json!(before.len()));
}
