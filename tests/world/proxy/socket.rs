//! Sockets through the proxy: cut, half open, or with heads that are missing or said again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketFault {
    /// Every socket ends, and no new one is taken.
    Cut,
    /// Sockets stay and say nothing more.
    HalfOpen,
    /// Half of the heads are left out.
    Misses,
    /// Heads come several times, also old ones.
    Repeats,
}

pub struct Sockets {
    state: Mutex<(Option<SocketFault>, CancellationToken)>,
    rng: Mutex<StdRng>,
    opened: AtomicU64,
    told: AtomicU64,
}

impl Sockets {
    pub fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new((None, CancellationToken::new())),
            rng: Mutex::new(StdRng::seed_from_u64(seed)),
            opened: AtomicU64::new(0),
            told: AtomicU64::new(0),
        }
    }

    pub fn turn(&self, fault: Option<SocketFault>) {
        let mut state = self.state.lock().unwrap();
        state.0 = fault;
        if fault == Some(SocketFault::Cut) {
            std::mem::take(&mut state.1).cancel();
        }
    }

    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::SeqCst)
    }

    pub fn told(&self) -> u64 {
        self.told.load(Ordering::SeqCst)
    }

    fn fault(&self) -> Option<SocketFault> {
        self.state.lock().unwrap().0
    }

    /// Passes a socket on to the chain node; `head` is the request that opened it.
    pub async fn carry(&self, near: TcpStream, port: u16, head: &[u8]) {
        let cut = self.state.lock().unwrap().1.clone();
        if self.fault() == Some(SocketFault::Cut) {
            self.told.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
        if far.write_all(head).await.is_err() {
            return;
        }
        self.opened.fetch_add(1, Ordering::SeqCst);
        let (mut near_in, mut near_out) = near.into_split();
        let (far_in, mut far_out) = far.into_split();
        tokio::select! {
            _ = tokio::io::copy(&mut near_in, &mut far_out) => {}
            _ = self.bend(BufReader::new(far_in), &mut near_out) => {}
            () = cut.cancelled() => {
                self.told.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    /// What the node says: the answer to the upgrade, then frames.
    async fn bend(
        &self,
        mut far: impl AsyncReadExt + Unpin,
        near: &mut (impl AsyncWriteExt + Unpin),
    ) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(far.read_u8().await?);
        }
        near.write_all(&head).await?;
        let mut old: Vec<u8> = Vec::new();
        // Ends with the socket.
        loop {
            let frame = read_frame(&mut far).await?;
            let is_head = frame.windows(16).any(|part| part == b"eth_subscription");
            let times = self.times(is_head);
            for _ in 0..times {
                near.write_all(&frame).await?;
            }
            if times > 1 {
                near.write_all(&old).await?;
            }
            if is_head {
                old = frame;
            }
        }
    }

    /// How often a frame is passed on.
    fn times(&self, is_head: bool) -> u32 {
        let fault = self.fault();
        let mut rng = self.rng.lock().unwrap();
        let times = match fault {
            Some(SocketFault::HalfOpen) => 0,
            Some(SocketFault::Misses) if is_head => rng.random_range(0..=1),
            Some(SocketFault::Repeats) if is_head => rng.random_range(2..5),
            _ => 1,
        };
        if times != 1 {
            self.told.fetch_add(1, Ordering::SeqCst);
        }
        times
    }
}

/// One frame of a server, which are never masked.
async fn read_frame(far: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![far.read_u8().await?, far.read_u8().await?];
    let more = match frame[1] & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mut length = [0; 8];
    far.read_exact(&mut length[8 - more..]).await?;
    frame.extend_from_slice(&length[8 - more..]);
    let short = u64::from(frame[1] & 0x7f);
    let length = if more == 0 { short } else { u64::from_be_bytes(length) };
    let start = frame.len();
    frame.resize(start + usize::try_from(length).unwrap(), 0);
    far.read_exact(&mut frame[start..]).await?;
    Ok(frame)
}
