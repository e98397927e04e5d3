//! The node's side of the door: requests with time limits, and which of them may be tried again.
use std::sync::RwLock;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use bytes::Bytes;
use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    Accepted, Delivery, DoorInfo, Failure, LeaseOffer, OFFER_WAIT, Problem, ProblemCode,
    Registered, Registration, Renewal, Renewed, Uploaded,
};

const CONNECT_WAIT: Duration = Duration::from_secs(5);
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// A delivery is opened and checked picture by picture before it is answered: longer than the
/// door's own limit, as one that is given up here starts there from the first picture again.
const DELIVERY_WAIT: Duration = Duration::from_secs(660);
/// The largest file over a slow line; a stuck one is cut here.
const FILE_WAIT: Duration = Duration::from_secs(1_800);
/// The door answers within OFFER_WAIT; this is for the way there and back.
const OFFER_SLACK: Duration = Duration::from_secs(15);
/// One request is tried this often before the agent decides what to do: about 6 s in all.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest JSON answer: an offer lists the scene's files.
const MAX_ANSWER: u64 = 64 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "the door at {door} was not reached to {doing}: {detail}; check its address, and that \
         `rndr settler` runs there"
    )]
    Away { door: String, doing: String, detail: String },
    #[error("the door refused to {doing}: {} {}", problem.detail, problem.hint)]
    Refused { doing: String, problem: Box<Problem> },
    #[error(
        "the door's answer to {doing} makes no sense: {detail}; node and settler must be of the \
         same release"
    )]
    Garbled { doing: String, detail: String },
}

impl ClientError {
    /// May the same request succeed later?
    pub fn is_transient(&self) -> bool {
        match self {
            ClientError::Away { .. } => true,
            ClientError::Refused { problem, .. } => problem.retryable,
            ClientError::Garbled { .. } => false,
        }
    }

    pub fn code(&self) -> Option<ProblemCode> {
        match self {
            ClientError::Refused { problem, .. } => Some(problem.code),
            ClientError::Away { .. } | ClientError::Garbled { .. } => None,
        }
    }
}

/// One request, so that it can be sent again.
struct Ask {
    doing: &'static str,
    method: Method,
    path: String,
    body: Option<(&'static str, Bytes)>,
    wait: Duration,
}

impl Ask {
    fn new(doing: &'static str, method: Method, path: impl Into<String>) -> Ask {
        Ask { doing, method, path: path.into(), body: None, wait: ANSWER_WAIT }
    }

    fn json(mut self, body: &impl Serialize) -> Result<Ask, ClientError> {
        let text = serde_json::to_vec(body).map_err(|error| garbled(self.doing, &error))?;
        self.body = Some(("application/json", text.into()));
        Ok(self)
    }

    fn file(mut self, bytes: Bytes) -> Ask {
        self.body = Some(("application/octet-stream", bytes));
        self.waits(FILE_WAIT)
    }

    fn waits(mut self, wait: Duration) -> Ask {
        self.wait = wait;
        self
    }
}

fn garbled(doing: &str, error: &impl ToString) -> ClientError {
    ClientError::Garbled { doing: doing.into(), detail: error.to_string() }
}

/// Speaks to one door. Every request of it is safe to repeat: the door answers the same again.
pub struct Client {
    http: reqwest::Client,
    door: String,
    token: RwLock<Option<String>>,
}

impl Client {
    pub fn at(door: &str) -> Result<Client, ClientError> {
        let door = door.trim_end_matches('/').to_owned();
        // Redirects could lead a file or a token to another host.
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_WAIT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| garbled("setting up HTTP", &error))?;
        Ok(Client { http, door, token: RwLock::new(None) })
    }

    pub async fn info(&self) -> Result<DoorInfo, ClientError> {
        self.json(Ask::new("say whose it is", Method::GET, "/v1/door")).await
    }

    /// The token of the answer opens the door from now on.
    pub async fn register(&self, node: Address, form: &Registration) -> Result<(), ClientError> {
        let path = format!("/v1/nodes/{}", node.to_checksum(None));
        let ask = Ask::new("register this node", Method::PUT, path).json(form)?;
        let Registered { token } = self.json(ask).await?;
        *self.token.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(token);
        Ok(())
    }

    /// Waits for work; None when there is none for now.
    pub async fn lease(&self) -> Result<Option<LeaseOffer>, ClientError> {
        let ask = Ask::new("lease work", Method::POST, "/v1/leases");
        let ask = ask.waits(OFFER_WAIT + OFFER_SLACK);
        let doing = ask.doing;
        // Tried once: the agent's own loop asks again.
        let response = self.once(&ask).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let bytes = self.body(doing, response, MAX_ANSWER).await?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| garbled(doing, &error))
    }

    /// One file of a leased scene; more than `size` bytes are never read.
    pub async fn scene_file(&self, hash: B256, size: u64) -> Result<Bytes, ClientError> {
        let ask = Ask::new("send a scene file", Method::GET, format!("/v1/scenes/files/{hash}"));
        let ask = ask.waits(FILE_WAIT);
        self.bytes(&ask, size).await
    }

    pub async fn renew(&self, lease_id: &str, renewal: &Renewal) -> Result<Renewed, ClientError> {
        let path = format!("/v1/leases/{lease_id}/renew");
        self.json(Ask::new("renew the lease", Method::POST, path).json(renewal)?).await
    }

    pub async fn upload(
        &self,
        lease_id: &str,
        unit: u32,
        stored: Bytes,
    ) -> Result<Uploaded, ClientError> {
        let path = format!("/v1/leases/{lease_id}/files/{unit}");
        self.json(Ask::new("take a file", Method::PUT, path).file(stored)).await
    }

    pub async fn deliver(
        &self,
        lease_id: &str,
        delivery: &Delivery,
    ) -> Result<Accepted, ClientError> {
        let path = format!("/v1/leases/{lease_id}/deliver");
        let ask = Ask::new("accept the delivery", Method::POST, path).json(delivery)?;
        self.json(ask.waits(DELIVERY_WAIT)).await
    }

    pub async fn fail(&self, lease_id: &str, failure: &Failure) -> Result<(), ClientError> {
        let path = format!("/v1/leases/{lease_id}/fail");
        let ask = Ask::new("take the lease back", Method::POST, path).json(failure)?;
        self.bytes(&ask, MAX_ANSWER).await.map(|_| ())
    }

    async fn json<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, ClientError> {
        let bytes = self.bytes(&ask, MAX_ANSWER).await?;
        serde_json::from_slice(&bytes).map_err(|error| garbled(ask.doing, &error))
    }

    /// Tries up to TRIES times, with pauses that double, while the problem may pass.
    async fn bytes(&self, ask: &Ask, limit: u64) -> Result<Bytes, ClientError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            let answer = match self.once(ask).await {
                Ok(response) => self.body(ask.doing, response, limit).await,
                Err(error) => Err(error),
            };
            match answer {
                Err(error) if error.is_transient() => {
                    tracing::debug!(%error, "tried again");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Ok(_) | Err(_) => return answer,
            }
        }
        let response = self.once(ask).await?;
        self.body(ask.doing, response, limit).await
    }

    async fn once(&self, ask: &Ask) -> Result<Response, ClientError> {
        let url = format!("{}{}", self.door, ask.path);
        let mut request = self.http.request(ask.method.clone(), url).timeout(ask.wait);
        let token = self.token.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some((kind, body)) = &ask.body {
            request = request.header("content-type", *kind).body(body.clone());
        }
        let response = request.send().await.map_err(|error| self.away(ask.doing, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = self.body(ask.doing, response, MAX_ANSWER).await?;
        Err(match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => {
                ClientError::Refused { doing: ask.doing.into(), problem: Box::new(problem) }
            }
            // A proxy's page, not the door's word: the door itself may be back soon.
            Err(_) if status.is_server_error() => self.away(ask.doing, &status),
            Err(_) => garbled(ask.doing, &format!("status {status} without a problem")),
        })
    }

    async fn body(
        &self,
        doing: &str,
        mut response: Response,
        limit: u64,
    ) -> Result<Bytes, ClientError> {
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.away(doing, &error))? {
            if body.len() as u64 + part.len() as u64 > limit {
                return Err(garbled(doing, &format!("it is longer than {limit} bytes")));
            }
            body.extend_from_slice(&part);
        }
        Ok(body.into())
    }

    fn away(&self, doing: &str, detail: &impl ToString) -> ClientError {
        ClientError::Away {
            door: self.door.clone(),
            doing: doing.into(),
            detail: detail.to_string(),
        }
    }
}
