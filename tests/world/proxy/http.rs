//! As much of HTTP/1.1 as a client of a chain node speaks, and ways to break an answer.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Far above any question.
const LONGEST: usize = 16 << 20;

pub struct Request {
    /// Up to the empty line, which is part of it.
    pub head: Vec<u8>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn is_upgrade(&self) -> bool {
        self.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
    }

    fn header(&self, name: &str) -> Option<String> {
        let head = String::from_utf8_lossy(&self.head);
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = fields.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
        Some(value.trim().to_owned())
    }
}

/// The next request of a connection; None when it has ended.
pub async fn read(near: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        read_some(near, &mut bytes).await?;
    };
    let body = bytes.split_off(end);
    let mut request = Request { head: bytes, body };
    let length: usize = match request.header("content-length") {
        Some(length) => length.parse().ok()?,
        None => 0,
    };
    while request.body.len() < length {
        read_some(near, &mut request.body).await?;
    }
    Some(request)
}

async fn read_some(near: &mut TcpStream, into: &mut Vec<u8>) -> Option<()> {
    let read = near.read_buf(into).await.ok()?;
    (read > 0 && into.len() < LONGEST).then_some(())
}

pub struct Reply {
    status: u16,
    kind: &'static str,
    body: String,
    /// The connection is reset after so many bytes of the body.
    reset_at: Option<usize>,
}

impl Reply {
    pub fn ok(body: &str) -> Self {
        Self { status: 200, kind: "application/json", body: body.to_owned(), reset_at: None }
    }

    pub fn json(value: &serde_json::Value) -> Self {
        Self::ok(&value.to_string())
    }

    pub fn html(body: &str) -> Self {
        Self { kind: "text/html", ..Self::ok(body) }
    }

    pub fn status(status: u16, body: &str) -> Self {
        Self { status, kind: "text/plain", ..Self::ok(body) }
    }

    pub fn reset_at(body: &str, end: usize) -> Self {
        Self { reset_at: Some(end), ..Self::ok(body) }
    }

    /// Whether the connection can be used again.
    pub async fn send(&self, near: &mut TcpStream) -> bool {
        let Self { status, kind, body, reset_at } = self;
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} -\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        );
        let shown = &body.as_bytes()[..reset_at.unwrap_or(length)];
        let sent = near.write_all(&[head.as_bytes(), shown].concat()).await.is_ok();
        if reset_at.is_some() {
            // Closing a socket that lingers for no time resets it.
            let _ = near.set_zero_linger();
        }
        sent && reset_at.is_none()
    }
}
