//! The socket that wakes the follower at each new head; what it says is never read.

use std::sync::Arc;
use std::time::Duration;

use alloy::providers::{Provider, ProviderBuilder, RootProvider, WsConnect};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::servers::CALL_LIMIT;

/// A socket that said nothing for this long is rebuilt: it may be half open. Polling goes on.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// Pauses between attempts to build the socket again; meanwhile polling does the work.
const SOCKET_PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// Wakes the follower at each new head until it is dropped. Never reads anything from the
/// socket: what it says may be late, doubled or missing. Builds the socket anew when it fails.
pub async fn wake_on_heads(ws_url: String, wake: Arc<Notify>) {
    let (shortest, longest) = SOCKET_PAUSES;
    let mut pause = shortest;
    // Without end on purpose: a lost socket costs latency only, so it is worth trying for ever.
    loop {
        match listen(&ws_url, &wake).await {
            Ok(()) => {
                tracing::info!("socket to the chain node ended; polling until it is back");
                pause = shortest;
            }
            Err(problem) => {
                // Said once: polling does the work, and nothing else depends on it.
                if pause == shortest {
                    tracing::warn!(problem, "new blocks are found by polling");
                }
                pause = (pause * 2).min(longest);
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// Wakes at each head on one socket, until it ends or falls silent; an error when there never
/// was one.
async fn listen(ws_url: &str, wake: &Notify) -> Result<(), &'static str> {
    // Retries are ours: the provider's own lose what came between and then die quietly.
    let connect = WsConnect::new(ws_url).with_max_retries(0);
    let connected: Result<Result<RootProvider, _>, _> =
        timeout(CALL_LIMIT, ProviderBuilder::default().connect_ws(connect)).await;
    let Ok(Ok(provider)) = connected else { return Err("no socket to the chain node") };
    let asked = timeout(CALL_LIMIT, provider.subscribe_blocks().into_future()).await;
    let Ok(Ok(mut heads)) = asked else { return Err("chain node announces no heads") };
    // What was mined while there was no socket is not announced again.
    wake.notify_one();
    // Ends with the socket, or when it is silent for too long.
    while let Ok(Ok(_)) = timeout(SILENCE_LIMIT, heads.recv()).await {
        wake.notify_one();
    }
    Ok(())
}
