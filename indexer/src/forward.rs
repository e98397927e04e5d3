//! The follower's way forward: final blocks read ahead and written in batches, others one by one.

use store::{Block, ChainWriter, Escrow, Head, Step};
use tokio::sync::mpsc;

use crate::chain::{Chain, ChainError, Header};
use crate::follow::{Span, Wait};
use crate::known::Known;
use crate::steps::{Read, Steps};
use crate::{BLOCKS_PER_LOOK, Error, Follower, Looked, net};

/// Events of one transaction of final blocks, at least: the fewer transactions, the fewer pages
/// are written more than once, and the fewer snapshots there are.
const BATCH_EVENTS: usize = 20_000;
/// Ranges read ahead of the writer; with the batch they bound the memory.
const RANGES_AHEAD: usize = 2;
/// Ranges read before the heads are asked for again.
const RANGES_PER_LOOK: u32 = 200;
/// Fewer final blocks than this are loaded sooner with the indexes than without.
const LOAD_BLOCKS: u64 = 250;

/// Which snapshots a step of final blocks writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snapshots {
    /// Of each row that it touches the last one.
    Last,
    /// One after each event, as above finalized.
    Each,
}

/// The writing half of a follower.
pub(crate) struct Writing<'a> {
    pub writer: ChainWriter,
    pub escrow: &'a Escrow,
    pub known: &'a mut Option<Known>,
    pub most_bytes: usize,
    pub snapshots: Snapshots,
}

impl Writing<'_> {
    /// Folds blocks on top of `tip` and commits them; the new tip. What was known is lost with an
    /// error, as it may be ahead of what is stored.
    async fn write<C: Chain>(
        &mut self,
        steps: &Steps<'_, C>,
        tip: Option<&Block>,
        blocks: Vec<Read>,
        heads: &mut Vec<Head>,
    ) -> Result<Option<Block>, Error> {
        let at = tip.map(|tip| tip.hash);
        let known = self.known.take().filter(|known| known.at == at);
        let mut known = known.unwrap_or_else(|| Known::new(self.escrow, at, self.most_bytes));
        let mut step = steps.fold(&mut known, tip, blocks).await?;
        if self.snapshots == Snapshots::Last {
            net::keep_last(&mut step);
        }
        step.heads = std::mem::take(heads);
        let Step { events, mut blocks, .. } = self.writer.write(step).await?;
        let tip = blocks.pop();
        let number = tip.as_ref().map_or(0, |tip| tip.number);
        tracing::debug!(number, events = events.len(), "written");
        if !known.shrink(number) {
            // What was forgotten has to be found again.
            self.writer.end_load().await?;
        }
        known.at = tip.as_ref().map(|tip| tip.hash);
        *self.known = Some(known);
        Ok(tip)
    }

    /// Writes ranges as they come, in batches; the number of batches.
    async fn write_all<C: Chain>(
        mut self,
        steps: &Steps<'_, C>,
        mut tip: Option<Block>,
        mut ranges: mpsc::Receiver<Vec<Read>>,
        mut heads: Vec<Head>,
    ) -> Result<u32, Error> {
        let mut batches = 0;
        let mut batch: Vec<Read> = Vec::new();
        // Ends with the reading half.
        loop {
            let range = ranges.recv().await;
            let over = range.is_none();
            batch.extend(range.into_iter().flatten());
            let events: usize = batch.iter().map(Read::events).sum();
            if !batch.is_empty() && (over || events >= BATCH_EVENTS) {
                let blocks = std::mem::take(&mut batch);
                tip = self.write(steps, tip.as_ref(), blocks, &mut heads).await?;
                batches += 1;
            }
            if over {
                return Ok(batches);
            }
        }
    }
}

/// Reads final blocks `from..=limit` on top of `tip`, range by range. False: the answers do not
/// fit together; look again.
async fn read_ahead<C: Chain>(
    steps: &Steps<'_, C>,
    span: &mut Span,
    mut tip: Option<Block>,
    (mut from, limit): (u64, u64),
    ranges: mpsc::Sender<Vec<Read>>,
) -> Result<bool, Error> {
    for _ in 0..RANGES_PER_LOOK {
        if from > limit {
            break;
        }
        let to = span.end(from, limit);
        let read = match steps.read(tip.as_ref(), from, to).await {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(false),
            Err(error) => {
                // Whatever the words: a smaller question may be answered.
                span.failed(matches!(error, Error::Chain(ChainError::Refused { .. })));
                return Err(error);
            }
        };
        span.answered(read.iter().map(Read::events).sum());
        tip = read.last().map(Read::place);
        if ranges.send(read).await.is_err() {
            // The writing half says why it ended.
            break;
        }
        from = to + 1;
    }
    Ok(true)
}

impl<C: Chain> Follower<'_, C> {
    /// Final blocks: while one range is written the next ones are read.
    pub(crate) async fn range(
        &mut self,
        tip: Option<Block>,
        (from, limit): (u64, u64),
        heads: Vec<Head>,
    ) -> Result<Looked, Error> {
        let writer = self.store.chain_writer();
        if tip.is_none() && limit - from >= LOAD_BLOCKS && writer.begin_load().await? {
            tracing::info!(from, limit, "first load: readers see blocks when it is over");
        }
        let steps = Steps::new(self.chain, &self.reader, &self.escrow);
        let writing = Writing {
            writer,
            escrow: &self.escrow,
            known: &mut self.known,
            most_bytes: self.most_bytes,
            snapshots: self.snapshots,
        };
        let (sender, ranges) = mpsc::channel(RANGES_AHEAD);
        let reading = read_ahead(&steps, &mut self.span, tip.clone(), (from, limit), sender);
        let (fits, batches) = tokio::join!(reading, writing.write_all(&steps, tip, ranges, heads));
        match (batches?, fits) {
            (0, Ok(false)) => Ok(self.wait(Wait::Unclear)),
            (0, Err(error)) => Err(error),
            (_, Err(error)) => {
                tracing::warn!(%error, "what was read before it is written; looking again");
                Ok(self.moved())
            }
            (_, Ok(_)) => Ok(self.moved()),
        }
    }

    /// Blocks that may still be replaced.
    pub(crate) async fn blocks(
        &mut self,
        mut tip: Option<Block>,
        (from, to): (u64, u64),
        latest: Header,
        mut heads: Vec<Head>,
    ) -> Result<Looked, Error> {
        let steps = Steps::new(self.chain, &self.reader, &self.escrow);
        let mut writing = Writing {
            writer: self.store.chain_writer(),
            escrow: &self.escrow,
            known: &mut self.known,
            most_bytes: self.most_bytes,
            snapshots: Snapshots::Each,
        };
        let mut latest = Some(latest);
        for number in from..=to.min(from.saturating_add(BLOCKS_PER_LOOK - 1)) {
            let header = match latest.take_if(|latest| latest.number == number) {
                Some(latest) => Some(latest),
                None => self.chain.header(number).await?,
            };
            let Some(header) = header else { return Ok(self.wait(Wait::Unclear)) };
            let Some(read) = steps.block(tip.as_ref(), header).await? else {
                return Ok(self.wait(Wait::Unclear));
            };
            tip = writing.write(&steps, tip.as_ref(), vec![read], &mut heads).await?;
        }
        Ok(self.moved())
    }
}
