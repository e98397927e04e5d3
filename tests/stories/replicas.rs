//! Several API processes on one database, and APIs that only read: by right, or from a replica.

use contracts::order;
use reqwest::Method;
use serde_json::{Value, json};
use store::Store;

use crate::world::cluster::Cluster;
use crate::world::counter::{Counter, spec};
use crate::world::process::{Launch, Started};
use crate::world::studio::{SCENE, Studio};
use crate::world::{RNDR, World, eventually, free_port};

/// An API in a process of its own, and how it is asked.
struct Desk {
    service: Started,
    counter: Counter,
}

async fn open(launch: &Launch) -> Desk {
    let port = free_port();
    let mut service = launch.clone().with("API__LISTEN", format!("127.0.0.1:{port}")).start("api");
    service.says("api listens").await;
    Desk { service, counter: Counter::at(format!("http://127.0.0.1:{port}")) }
}

impl Desk {
    async fn get(&self, path: &str) -> Value {
        self.counter.good(self.counter.ask(Method::GET, path)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_apis_beside_one_indexer_and_one_settler_are_one_api() {
    let studio = Studio::without_services().await;
    let world = &studio.world;
    let launch = Launch::on(world, &world.database.url);
    let indexer = launch.start("indexer");
    let _settler = studio.settler();
    let desks = [open(&launch).await, open(&launch).await, open(&launch).await];
    world.caught_up(&studio.store).await;
    let [a, b, c] = [0, 1, 2].map(|n| &desks[n].counter);
    // What one takes in, the next knows.
    let scene = a.good(a.upload("?name=demo.pov", SCENE)).await["scene_id"].clone();
    let quote = b.quoted("demo.pov", &scene, "3.7").await;
    let order = c.prepared(&quote, studio.payer.address()).await;
    let digest = order::job_id(&order, &studio.domain);
    // All of them at the same time: one job.
    let submit = |counter: &Counter| counter.submit(&order, &studio.payer, digest);
    let (one, two, three) = tokio::join!(a.good(submit(a)), b.good(submit(b)), c.good(submit(c)));
    assert_eq!((&one["job_id"], &two["job_id"]), (&two["job_id"], &three["job_id"]));
    let count = "SELECT CAST(COUNT(*) AS TEXT) FROM orders".to_owned();
    assert_eq!(world.database.texts(count).await, ["1"]);
    let mut desks = desks.into_iter();
    // One of them dies; nobody else notices.
    desks.next().unwrap().service.kill();
    for mut desk in desks {
        let path = format!("/v1/jobs/{digest}");
        let opened = || async { (desk.get(&path).await["status"] != "waiting").then_some(()) };
        eventually("the job that the settler opened", opened).await;
        assert!(desk.service.running());
    }
    studio.opened(digest).await;
    indexer.kill();
}

/// Whatever would be written is refused with its code, and what is read is answered.
async fn only_reads(desk: &Desk, store: &Store, scene: &Value) {
    let counter = &desk.counter;
    let tip = store.reader().tip().await.unwrap().unwrap().number;
    let chain = desk.get(&format!("/v1/chain?min_block={tip}")).await;
    assert!(chain["as_of"]["block_number"].as_u64().unwrap() >= tip, "{chain}");
    let quote = counter.post("/v1/quotes", &json!({ "spec": spec(scene, "demo.pov", "3.7") }));
    for request in [counter.upload("?name=demo.pov", SCENE), quote] {
        let refused = counter.refusal(request, 503, "read_only").await;
        assert_eq!(refused["retryable"], false, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_may_only_read_serves_reads_and_says_so_of_the_rest() {
    let world = World::new().await;
    let launch = Launch::on(&world, &world.database.url);
    let reads = reader_url(&world).await;
    let reading = launch.clone().without("STORE__URL").with("STORE__READ_URL", &reads);
    let said = reading.refused("api").await;
    let empty = ["has no tables yet", "unable to open database file"];
    assert!(empty.iter().any(|words| said.contains(words)), "{said}");

    let store = world.store().await;
    grant(&world).await;
    let indexer = launch.start("indexer");
    world.caught_up(&store).await;
    // With a place for what is handed in, it takes it.
    let both = open(&launch.clone().with("STORE__READ_URL", &reads)).await;
    let scene = both.counter.good(both.counter.upload("?name=demo.pov", SCENE)).await;
    let desk = open(&reading).await;
    only_reads(&desk, &store, &scene["scene_id"]).await;
    let path = format!("/v1/scenes/{}", scene["scene_id"].as_str().unwrap());
    assert_eq!(desk.get(&path).await["scene_id"], scene["scene_id"]);
    // While the indexer goes on beside it.
    world.anvil.mine(3).await;
    world.caught_up(&store).await;
    only_reads(&desk, &store, &scene["scene_id"]).await;
    indexer.kill();
    assert!(!desk.service.said().contains("migrated"), "{}", desk.service.said());

    // A schema that this program does not know, or knows to be outdated, is not read.
    world.database.tamper("DELETE FROM migrations WHERE version > 4".into()).await;
    let said = reading.refused("api").await;
    assert!(said.contains("is of an older release: it has 4 migrations"), "{said}");
    world.database.tamper("DELETE FROM migrations".into()).await;
    let said = reading.refused("api").await;
    assert!(said.contains("has no tables yet; start the indexer on it first"), "{said}");
}

/// The database under the name of somebody who may read alone.
async fn reader_url(world: &World) -> String {
    let url = &world.database.url;
    let Some((_, place)) = url.split_once("postgres@") else { return url.clone() };
    let name = place.rsplit_once('/').unwrap().1;
    world.database.tamper(format!("CREATE ROLE {name}_reader LOGIN")).await;
    format!("postgres://{name}_reader@{place}")
}

async fn grant(world: &World) {
    if let Some((_, name)) =
        world.database.url.rsplit_once('/').filter(|(url, _)| url.contains("postgres@"))
    {
        let sql = format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}_reader");
        world.database.tamper(sql).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_reads_from_a_streaming_replica_what_the_indexer_writes_to_its_primary() {
    let world = World::new().await;
    if world.database.url.starts_with("sqlite:") {
        return; // A file has no replica of this kind.
    }
    let payer = world.funded("payer", 100 * RNDR).await;
    let store = world.store().await;
    let launch = Launch::on(&world, &world.database.url);
    let indexer = launch.start("indexer");
    world.caught_up(&store).await;
    let replica = Cluster::replica(&world.database).await;
    let reads = replica.url(&world.database);
    let reading = launch.clone().without("STORE__URL").with("STORE__READ_URL", &reads);
    let desk = open(&reading).await;
    for rounds in 1..=3_u128 {
        let block = world.deposit(&payer, RNDR).await.block_number.unwrap();
        let path = format!("/v1/accounts/{}?min_block={block}", payer.address());
        let account = desk.get(&path).await;
        assert_eq!(account["free"]["amount"], (rounds * RNDR).to_string(), "{account}");
    }
    let both = open(&launch.with("STORE__READ_URL", &reads)).await;
    let scene = both.counter.good(both.counter.upload("?name=demo.pov", SCENE)).await;
    let path = format!("/v1/scenes/{}", scene["scene_id"].as_str().unwrap());
    let there = || async {
        let asked = desk.counter.ask(Method::GET, &path).send().await.unwrap();
        asked.status().is_success().then_some(())
    };
    eventually("what was handed in on the replica", there).await;
    only_reads(&desk, &store, &scene["scene_id"]).await;
    indexer.kill();
    // A replica is no place to write: whoever is told to, says so and what to do.
    let said = Launch::on(&world, &reads).refused("indexer").await;
    assert!(said.contains("name a database that is only read as store.read_url"), "{said}");
}
