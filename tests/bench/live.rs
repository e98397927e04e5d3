//! From a block's mining to the moment its rows can be read through the API.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use contracts::order;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::chain::Chain;
use crate::services::{LIMIT, Site};

const BETWEEN_LOOKS: Duration = Duration::from_millis(3);
/// Gaps between blocks, so that they meet any pulse of the indexer at every place.
const GAP_MILLIS: std::ops::Range<u64> = 150..450;

/// Mines `blocks` blocks of one step each; the sorted times until a job that the block opened is
/// shown.
pub async fn live(
    chain: &mut Chain,
    site: &mut Site,
    blocks: u32,
    seed: u64,
) -> Result<Vec<Duration>> {
    let mut random = StdRng::seed_from_u64(seed);
    let domain = order::domain(chain.anvil.chain_id, chain.escrow);
    let head = chain.head().await?;
    site.reach(head).await?;
    let mut times = Vec::new();
    for _ in 0..blocks {
        tokio::time::sleep(Duration::from_millis(random.random_range(GAP_MILLIS))).await;
        let job = chain.plan.order(chain.next_job());
        let path = format!("/v1/jobs/{}", order::job_id(&job, &domain));
        ensure!(site.ask(&path).await?.is_none(), "the job is there before its block");
        chain.one_more().await?;
        let mined = Instant::now();
        while site.ask(&path).await?.is_none() {
            ensure!(mined.elapsed() < LIMIT, "the index does not show {path}");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        times.push(mined.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

/// The value that this part of the sorted times does not exceed.
pub fn percentile(sorted: &[Duration], part: f64) -> Duration {
    let count = f64::from(u32::try_from(sorted.len()).unwrap_or(u32::MAX));
    let rank = (count * part).ceil();
    let at =
        (1..=sorted.len()).find(|at| f64::from(u32::try_from(*at).unwrap_or(u32::MAX)) >= rank);
    at.and_then(|at| sorted.get(at - 1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 0.5), Duration::from_millis(50));
        assert_eq!(percentile(&times, 0.95), Duration::from_millis(95));
        assert_eq!(percentile(&times[..1], 0.95), Duration::from_millis(1));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }
}
