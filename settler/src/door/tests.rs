//! The door over real HTTP: who gets in, what work is handed out, what is taken back.

use std::time::Instant;

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use contracts::seal::LotKey;
use reqwest::{Client, Method, Response, StatusCode as Status};
use serde::Serialize;
use serde_json::{Value, json};

use super::uploads::FILE_SLACK;
use super::*;
use crate::node::{LeaseOffer, Problem, ProblemCode, Uploaded};
use crate::tests::office::{CHAIN, ESCROW, Office, SCENE_FILE};

struct Front {
    office: Office,
    url: String,
    http: Client,
    stop: CancellationToken,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn front() -> Front {
    let office = Office::open(true).await;
    let (stop, wake) = (CancellationToken::new(), Arc::new(Notify::new()));
    let settler = office.notary.settler();
    let (store, specs) = (office.store.clone(), office.specs.clone());
    let leases = Leases::new(store, specs, settler, (ESCROW, CHAIN), (60, 2), true);
    let door = Arc::new(Door::new(leases, office.notary.clone(), wake, stop.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let closing = stop.clone().cancelled_owned();
    let serve = axum::serve(listener, router(door)).with_graceful_shutdown(closing);
    tokio::spawn(async move { serve.await.unwrap() });
    Front { office, url, http: Client::new(), stop }
}

fn registration(key: &PrivateKeySigner, version: &str, issued_at: u64) -> Registration {
    let info = BackendInfo {
        backend: "povray".into(),
        version: version.into(),
        kernel_class: "x86-64-v3".into(),
    };
    let backends = vec![info];
    let text = registration_text(key.address(), &backends, issued_at, CHAIN, ESCROW);
    let signature = key.sign_message_sync(text.as_bytes()).unwrap().as_bytes().into();
    Registration { backends, issued_at, signature }
}

impl Front {
    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: &impl Serialize,
    ) -> Response {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let body = serde_json::to_vec(body).unwrap();
        request.bearer_auth(token).body(body).send().await.unwrap()
    }

    async fn post(&self, path: &str, token: &str, body: &impl Serialize) -> Response {
        self.ask(Method::POST, path, token, body).await
    }

    async fn register(&self, key: &PrivateKeySigner) -> String {
        let form = registration(key, "3.7", crate::now() as u64);
        let path = format!("/v1/nodes/{}", key.address());
        let answer = self.ask(Method::PUT, &path, "", &form).await;
        assert_eq!(answer.status(), Status::OK);
        answer.json::<Registered>().await.unwrap().token
    }

    async fn offer(&self, token: &str) -> LeaseOffer {
        let answer = self.post("/v1/leases", token, &json!({})).await;
        assert_eq!(answer.status(), Status::OK);
        answer.json().await.unwrap()
    }

    /// Uploads and delivers honest work for an offer.
    async fn deliver(&self, offer: &LeaseOffer, token: &str) -> Response {
        let units: Vec<(u32, u32)> = offer.units.iter().map(|t| (t.unit, t.attempt)).collect();
        let key = LotKey::new([7; 32]);
        let delivery = self.office.delivery(&units, Some(&key), crate::now()).await;
        for unit in &delivery.receipts {
            let objects = self.office.store.objects();
            let bytes = objects.get(unit.stored_hash).await.unwrap().unwrap();
            objects.delete(unit.stored_hash).await.unwrap();
            let path = format!("/v1/leases/{}/files/{}", offer.lease_id, unit.receipt.unit);
            let request = self.http.put(format!("{}{path}", self.url)).bearer_auth(token);
            let answer = request.body(bytes).send().await.unwrap();
            let uploaded: Uploaded = answer.json().await.unwrap();
            assert_eq!(uploaded.hash, unit.stored_hash);
        }
        self.post(&format!("/v1/leases/{}/deliver", offer.lease_id), token, &delivery).await
    }
}

async fn problem(answer: Response, status: Status, code: ProblemCode) -> Problem {
    assert_eq!(answer.status(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Problem = answer.json().await.unwrap();
    assert_eq!((problem.code, problem.status), (code, status.as_u16()));
    assert!(!problem.detail.is_empty() && !problem.hint.is_empty());
    problem
}

#[tokio::test]
async fn only_a_fresh_word_of_the_nodes_own_key_registers() {
    let front = front().await;
    let key = PrivateKeySigner::random();
    let now = crate::now() as u64;
    let info: DoorInfo =
        front.ask(Method::GET, "/v1/door", "", &json!({})).await.json().await.unwrap();
    assert_eq!((info.escrow, info.chain_id), (ESCROW, CHAIN));
    let path = format!("/v1/nodes/{}", key.address());
    let put = async |form: Value| front.ask(Method::PUT, &path, "", &form).await;
    let as_json = |form: Registration| serde_json::to_value(form).unwrap();
    let old = put(as_json(registration(&key, "3.7", now - 400))).await;
    let told = problem(old, Status::FORBIDDEN, ProblemCode::BadSignature).await;
    assert!(told.detail.contains("set the clock"), "{}", told.detail);
    let other = PrivateKeySigner::random();
    let foreign = put(as_json(registration(&other, "3.7", now))).await;
    problem(foreign, Status::FORBIDDEN, ProblemCode::BadSignature).await;
    let mut altered = registration(&key, "3.7", now);
    altered.backends[0].version = "3.8".into();
    problem(put(as_json(altered)).await, Status::FORBIDDEN, ProblemCode::BadSignature).await;
    let odd = put(as_json(registration(&key, "3.7\nissued at 5", now))).await;
    problem(odd, Status::BAD_REQUEST, ProblemCode::BadRequest).await;
    let mut unknown = as_json(registration(&key, "3.7", now));
    unknown["payout"] = json!("0x00");
    let told = problem(put(unknown).await, Status::BAD_REQUEST, ProblemCode::BadRequest).await;
    assert!(told.detail.contains("payout"), "{}", told.detail);
    let first = front.register(&key).await;
    let second = front.register(&key).await;
    let answer = front.post("/v1/leases/x/fail", &first, &json!({})).await;
    problem(answer, Status::UNAUTHORIZED, ProblemCode::Unauthorized).await;
    let answer = front.post("/v1/leases/x/renew", &second, &json!({"progress": []})).await;
    problem(answer, Status::NOT_FOUND, ProblemCode::NotFound).await;
    let answer = front.post("/v1/leases", "guess", &json!({})).await;
    problem(answer, Status::UNAUTHORIZED, ProblemCode::Unauthorized).await;
}

#[tokio::test]
async fn work_is_leased_fetched_renewed_delivered_and_accepted_once() {
    let front = front().await;
    let token = front.register(&front.office.node).await;
    let offer = front.offer(&token).await;
    let units: Vec<u32> = offer.units.iter().map(|task| task.unit).collect();
    assert_eq!(units, [0, 1, 2, 3]);
    assert_eq!(offer.units[1].frame, 2);
    assert_eq!((offer.sealed, offer.renew_seconds), (true, 20));
    assert_eq!(offer.spec, front.office.spec);

    let path = format!("/v1/scenes/files/{}", offer.scene.files[0].hash);
    let file = front.ask(Method::GET, &path, &token, &json!({})).await;
    assert_eq!(file.bytes().await.unwrap(), SCENE_FILE);
    let stranger = front.register(&PrivateKeySigner::random()).await;
    let answer = front.ask(Method::GET, &path, &stranger, &json!({})).await;
    problem(answer, Status::NOT_FOUND, ProblemCode::NotFound).await;

    let path = format!("/v1/leases/{}/renew", offer.lease_id);
    let told =
        json!({"progress": [{"unit": 1, "thousandths": 500}, {"unit": 9, "thousandths": 1}]});
    let renewed: Renewed = front.post(&path, &token, &told).await.json().await.unwrap();
    assert!(renewed.expires_at >= offer.expires_at);
    let attempts = front.office.store.reader().attempts_of_job(offer.job_id).await.unwrap();
    assert_eq!(attempts[1].progress, 500);
    problem(front.post(&path, &stranger, &told).await, Status::NOT_FOUND, ProblemCode::NotFound)
        .await;

    let answer = front.deliver(&offer, &token).await;
    assert_eq!(answer.status(), Status::OK);
    let accepted: Accepted = answer.json().await.unwrap();
    let again: Accepted = front.deliver_again(&offer, &token).await;
    assert_eq!(accepted, again);
    let rest = front.offer(&token).await;
    assert_eq!(rest.units.iter().map(|task| task.unit).collect::<Vec<_>>(), [4, 5]);
}

impl Front {
    /// The same receipts once more: files are there, so only the delivery is sent.
    async fn deliver_again(&self, offer: &LeaseOffer, token: &str) -> Accepted {
        let rows = self.office.store.reader().receipts_of_job(offer.job_id).await.unwrap();
        let unit = |row: &store::ReceiptRow| crate::node::DeliveredUnit {
            receipt: row.receipt(),
            signature: row.signature.clone(),
            file_name: row.file_name.clone(),
            opened_hash: row.opened_hash,
            stored_hash: row.stored_hash,
        };
        let receipts = rows.iter().map(unit).collect();
        let delivery = Delivery { receipts, lot_key: Some(B256::repeat_byte(7)) };
        let path = format!("/v1/leases/{}/deliver", offer.lease_id);
        self.post(&path, token, &delivery).await.json().await.unwrap()
    }
}

#[tokio::test]
async fn late_receipt_is_refused_and_unit_is_offered_again() {
    let front = front().await;
    let token = front.register(&front.office.node).await;
    let offer = front.offer(&token).await;
    front.office.store.work().expire_leases(crate::now() + 100).await.unwrap();
    let told = json!({"progress": []});
    let path = format!("/v1/leases/{}/renew", offer.lease_id);
    problem(front.post(&path, &token, &told).await, Status::CONFLICT, ProblemCode::LeaseLost).await;
    let units: Vec<(u32, u32)> = offer.units.iter().map(|t| (t.unit, t.attempt)).collect();
    let key = LotKey::new([7; 32]);
    let delivery = front.office.delivery(&units, Some(&key), crate::now()).await;
    let path = format!("/v1/leases/{}/deliver", offer.lease_id);
    let answer = front.post(&path, &token, &delivery).await;
    problem(answer, Status::CONFLICT, ProblemCode::LeaseLost).await;
    let next = front.offer(&token).await;
    assert_eq!(next.units[0], crate::node::UnitTask { attempt: 2, ..offer.units[0] });
    assert_ne!(next.lease_id, offer.lease_id);
}

#[tokio::test]
async fn a_lease_from_before_a_long_absence_of_the_settler_goes_on() {
    let front = front().await;
    let token = front.register(&front.office.node).await;
    front.office.lease("old", &[(0, 1), (1, 1)], crate::now() - 10_000).await;
    let told = json!({"progress": [{"unit": 0, "thousandths": 1000}]});
    let answer = front.post("/v1/leases/old/renew", &token, &told).await;
    let renewed: Renewed = answer.json().await.unwrap();
    assert!(renewed.expires_at > crate::now() as u64);
}

#[tokio::test]
async fn a_bad_delivery_ends_the_lease_and_names_the_unit_to_blame() {
    let front = front().await;
    let token = front.register(&front.office.node).await;
    let offer = front.offer(&token).await;
    let units: Vec<(u32, u32)> = offer.units.iter().map(|t| (t.unit, t.attempt)).collect();
    let key = LotKey::new([7; 32]);
    let mut delivery = front.office.delivery(&units, Some(&key), crate::now()).await;
    delivery.receipts[2].opened_hash = B256::ZERO;
    let path = format!("/v1/leases/{}/deliver", offer.lease_id);
    let answer = front.post(&path, &token, &delivery).await;
    let told = problem(answer, Status::UNPROCESSABLE_ENTITY, ProblemCode::DeliveryRefused).await;
    assert!(told.detail.contains("unit 2") && !told.retryable, "{}", told.detail);
    let reader = front.office.store.reader();
    assert_eq!(reader.lease(&offer.lease_id).await.unwrap().unwrap().state, LeaseState::Failed);
    let attempts = reader.attempts_of_job(offer.job_id).await.unwrap();
    let blamed: Vec<u32> =
        attempts.iter().filter(|a| a.problem.is_some()).map(|a| a.unit).collect();
    assert_eq!(blamed, [2]);
    // The innocent ones come back together, the blamed one alone.
    let next = front.offer(&token).await;
    assert_eq!(
        next.units.iter().map(|t| (t.unit, t.attempt)).collect::<Vec<_>>(),
        [(0, 2), (1, 2)]
    );
    let next = front.offer(&token).await;
    assert_eq!(next.units.iter().map(|t| (t.unit, t.attempt)).collect::<Vec<_>>(), [(2, 2)]);
}

#[tokio::test]
async fn failed_work_counts_and_uploads_are_capped_by_the_jobs_picture() {
    let front = front().await;
    let token = front.register(&front.office.node).await;
    let offer = front.offer(&token).await;
    let path = format!("{}/v1/leases/{}/files/", front.url, offer.lease_id);
    let upload = async |unit: u32, size: usize| {
        let request = front.http.put(format!("{path}{unit}")).bearer_auth(&token);
        request.body(vec![0u8; size]).send().await.unwrap()
    };
    problem(upload(5, 10).await, Status::NOT_FOUND, ProblemCode::NotFound).await;
    let giant = upload(0, 2 * FILE_SLACK).await;
    problem(giant, Status::PAYLOAD_TOO_LARGE, ProblemCode::TooLarge).await;
    let failure = Failure { problem: "no renderer\u{7} here".into(), units: vec![] };
    let path = format!("/v1/leases/{}/fail", offer.lease_id);
    assert_eq!(front.post(&path, &token, &failure).await.status(), Status::NO_CONTENT);
    let attempts = front.office.store.reader().attempts_of_job(offer.job_id).await.unwrap();
    assert!(attempts.iter().all(|a| a.problem.as_deref() == Some("no renderer here")));
    let again = front.post(&path, &token, &failure).await;
    problem(again, Status::CONFLICT, ProblemCode::LeaseLost).await;
}

#[tokio::test]
async fn a_unit_is_taken_in_few_different_files_and_in_the_same_one_however_often() {
    let front = front().await;
    let token = front.register(&front.office.node).await;
    let offer = front.offer(&token).await;
    let upload = async |unit: u32, fill: u8| {
        let path = format!("{}/v1/leases/{}/files/{unit}", front.url, offer.lease_id);
        front.http.put(path).bearer_auth(&token).body(vec![fill; 9]).send().await.unwrap()
    };
    for fill in 0..uploads::MAX_VERSIONS as u8 {
        assert_eq!(upload(0, fill).await.status(), Status::OK);
    }
    problem(upload(0, 99).await, Status::BAD_REQUEST, ProblemCode::BadRequest).await;
    let hash = keccak256([99; 9]);
    assert!(!front.office.store.objects().has(hash).await.unwrap());
    assert_eq!(upload(0, 0).await.status(), Status::OK);
    assert_eq!(upload(1, 99).await.status(), Status::OK);
}

#[tokio::test]
async fn a_long_upload_keeps_its_lease_and_a_renewal_does_not_cut_it() {
    let front = front().await;
    let token = front.register(&front.office.node).await;
    let offer = front.offer(&token).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    sender.send(Ok(Bytes::from_static(b"begun"))).await.unwrap();
    let parts = futures::stream::unfold(receiver, async |mut parts| {
        parts.recv().await.map(|part| (part, parts))
    });
    let path = format!("{}/v1/leases/{}/files/0", front.url, offer.lease_id);
    let request = front.http.put(path).bearer_auth(&token);
    let sent = tokio::spawn(request.body(reqwest::Body::wrap_stream(parts)).send());
    // Far beyond the lease's own time, while the rest of the file is under way.
    let reader = front.office.store.reader();
    let granted = async || reader.lease(&offer.lease_id).await.unwrap().unwrap().expires_at;
    let begun = Instant::now();
    while granted().await < crate::now() + 400 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the upload was never begun");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let path = format!("/v1/leases/{}/renew", offer.lease_id);
    let answer = front.post(&path, &token, &json!({"progress": []})).await;
    let renewed: Renewed = answer.json().await.unwrap();
    assert!(renewed.expires_at > offer.expires_at + 300);
    let over = front.office.store.work().expire_leases(crate::now() + 300).await.unwrap();
    assert!(over.is_empty());
    drop(sender);
    assert_eq!(sent.await.unwrap().unwrap().status(), Status::OK);
    assert!(granted().await <= crate::now() + 60, "then it is an ordinary lease again");
}

#[tokio::test]
async fn a_waiting_node_gets_work_when_some_comes_free_and_leaves_when_the_door_closes() {
    let front = front().await;
    let token = front.register(&front.office.node).await;
    let first = front.offer(&token).await;
    let second = front.offer(&token).await;
    assert_eq!((first.units.len(), second.units.len()), (4, 2));
    let waiting = front.offer(&token);
    let freed = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let failure = Failure { problem: "gone".into(), units: vec![] };
        let path = format!("/v1/leases/{}/fail", second.lease_id);
        front.post(&path, &token, &failure).await;
    };
    let (third, ()) = tokio::join!(waiting, freed);
    assert_eq!(third.units[0].attempt, 2);
    let started = Instant::now();
    let drain = async {
        // Takes what is left, then waits until the door closes.
        while front.post("/v1/leases", &token, &json!({})).await.status() == Status::OK {}
    };
    let close = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        front.stop.cancel();
    };
    tokio::join!(drain, close);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
