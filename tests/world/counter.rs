//! The API as its clients see it: over HTTP, beside the store that an indexer fills.

use alloy::primitives::{Address, B256, Bytes};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use contracts::Order;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use store::Store;
use tokio::sync::oneshot;

use super::{Running, World, eventually, wallet};

/// A running API over a store that an indexer fills.
pub struct Counter {
    url: String,
    http: reqwest::Client,
    _api: Option<Running<api::Error>>,
}

impl Counter {
    /// Once the index has its first block: before that every answer is `not_ready`.
    pub async fn open(world: &World, store: &Store) -> Counter {
        let reader = store.reader();
        eventually("the index", || async { reader.tip().await.unwrap() }).await;
        let (bound, address) = oneshot::channel();
        let (settler, fee) = (wallet("settler").address(), wallet("fee").address());
        let mut config = api::Config::new(([127, 0, 0, 1], 0).into(), settler, fee);
        config.rpc_url = Some(world.anvil.rpc_url());
        config.bound = Some(bound);
        let store = store.clone();
        let api = Running::start(|stop| api::run(config, store, stop));
        let url = format!("http://{}", address.await.expect("the api listens"));
        Counter { _api: Some(api), ..Counter::at(url) }
    }

    /// Of an API that runs elsewhere.
    pub fn at(url: String) -> Counter {
        Counter { url, http: reqwest::Client::new(), _api: None }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.ask(Method::POST, path).json(body)
    }

    pub fn upload(&self, query: &str, bytes: impl Into<Vec<u8>>) -> RequestBuilder {
        let body: Vec<u8> = bytes.into();
        self.ask(Method::POST, &format!("/v1/scenes{query}")).body(body)
    }

    /// The answer of a request that must succeed.
    pub async fn good(&self, request: RequestBuilder) -> Value {
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// What a request says that must be refused with this status and code.
    pub async fn refusal(&self, request: RequestBuilder, status: u16, code: &str) -> Value {
        let answer = request.send().await.unwrap();
        let (found, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        assert_eq!((found, problem["code"].as_str()), (status, Some(code)), "{text}");
        problem
    }

    /// Sends an order with a signature over some digest.
    pub fn submit(&self, order: &Order, by: &PrivateKeySigner, digest: B256) -> RequestBuilder {
        self.post("/v1/jobs", &signed(order, by, digest))
    }

    pub async fn quoted(&self, entry: &str, scene: &Value, version: &str) -> Value {
        let spec = spec(scene, entry, version);
        self.good(self.post("/v1/quotes", &json!({ "spec": spec }))).await
    }

    pub async fn prepared(&self, quote: &Value, payer: Address) -> Order {
        let body = json!({ "quote_hash": quote["quote_hash"], "payer": payer });
        let answer = self.good(self.post("/v1/jobs/prepare", &body)).await;
        serde_json::from_value(answer["order"].clone()).unwrap()
    }
}

pub fn signed(order: &Order, by: &PrivateKeySigner, digest: B256) -> Value {
    let signature = Bytes::from(by.sign_hash_sync(&digest).unwrap().as_bytes());
    json!({ "order": order, "signature": signature, "name": "edge" })
}

pub fn spec(scene: &Value, entry: &str, version: &str) -> Value {
    json!({
        "version": 1, "engine": "povray", "engine_version": version, "scene": scene,
        "entry": entry, "frames": "1-4", "resolution": { "width": 48, "height": 32 },
        "tier": "economy",
    })
}
