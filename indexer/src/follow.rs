//! pure: stored tip and chain heads -> Extend | Rewind | Wait | Stop; sizes of ranges.

/// Most logs asked for at once, by expectation: answers of about a megabyte are the fastest.
const AIM_LOGS: usize = 2_000;
/// First range of a backfill; it adapts from here. Small: on a busy chain a large one would fill
/// the memory before it is known that it does.
const FIRST_SPAN: u64 = 16;
/// Public nodes refuse ranges above 10,000 blocks; larger ones gain nothing.
const LARGEST_SPAN: u64 = 10_000;
/// Answers after which twice the size is tried that was refused before: a refusal may have been
/// a bad moment of the node.
const ANSWERS_TO_TRUST: u32 = 32;

/// What the follower knows before it decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub deploy_block: u64,
    /// The newest stored block.
    pub tip: Option<u64>,
    /// Up to here stored blocks are final: the chain said so while they were on it.
    pub mark: Option<u64>,
    pub head: u64,
    pub finalized: Option<u64>,
    /// The newest stored block that is not above the head, and whether the chain has it.
    pub probe: Option<Probe>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    pub block: u64,
    pub found: Found,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The chain has the stored block.
    Same,
    /// The chain has another block at that height.
    Other,
    /// The node knows no block at that height.
    Missing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Final blocks, in ranges.
    Range {
        from: u64,
        to: u64,
    },
    /// Blocks that may still be replaced, one by one, each on its stored parent.
    Blocks {
        from: u64,
        to: u64,
    },
    /// The stored tip is not on the chain: go down to the newest stored block that is.
    Rewind,
    Wait(Wait),
    Stop(Stop),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    AtHead,
    /// The chain has not reached the deployment block.
    BeforeDeployment,
    /// The node is behind what is stored: it lags, or the chain is choosing a branch.
    HeadBehind,
    /// Its answers do not fit together: two servers behind one address.
    Unclear,
}

/// Reasons to stop and change nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    #[error(
        "the chain replaced block {block}, which is final (finalized up to {mark}); nothing was \
         changed. Compare the node with another one; if that one agrees with the stored block, \
         point --rpc-url at it"
    )]
    FinalReplaced { block: u64, mark: u64 },
    #[error(
        "the chain replaced every stored block, down to the escrow's deployment; nothing was \
         changed. Check that the escrow still exists on this chain, then start with a new store"
    )]
    DeploymentReplaced,
    #[error(
        "block {block} was indexed on a server's word, and holds other events than its receipts \
         prove; nothing was changed. Run `rndr audit replay` to see which, then index into a new \
         store"
    )]
    NotAsProven { block: u64 },
}

/// What to do next. A head that is behind never causes a rewind; a final block that is not on
/// the chain always stops.
pub fn decide(view: &View) -> Next {
    let Some(tip) = view.tip else {
        if view.head < view.deploy_block {
            return Next::Wait(Wait::BeforeDeployment);
        }
        return extend(view, view.deploy_block);
    };
    if let Some(Probe { block, found: Found::Other }) = view.probe
        && let Some(mark) = view.mark
        && block <= mark
    {
        return Next::Stop(Stop::FinalReplaced { block, mark });
    }
    if view.head < tip {
        return Next::Wait(Wait::HeadBehind);
    }
    match &view.probe {
        Some(Probe { found: Found::Same, .. }) if view.head == tip => Next::Wait(Wait::AtHead),
        Some(Probe { found: Found::Same, .. }) => extend(view, tip + 1),
        Some(Probe { found: Found::Other, .. }) => Next::Rewind,
        Some(Probe { found: Found::Missing, .. }) | None => Next::Wait(Wait::Unclear),
    }
}

fn extend(view: &View, from: u64) -> Next {
    match view.finalized {
        Some(finalized) if from <= finalized => Next::Range { from, to: finalized.min(view.head) },
        Some(_) | None => Next::Blocks { from, to: view.head },
    }
}

/// Whether the rows above `fork` may go. `fork`: the newest stored block that is on the chain.
pub fn check_fork(fork: Option<u64>, lowest_replaced: u64, mark: Option<u64>) -> Result<(), Stop> {
    match (fork, mark) {
        (_, Some(mark)) if lowest_replaced <= mark => {
            Err(Stop::FinalReplaced { block: lowest_replaced, mark })
        }
        (None, _) => Err(Stop::DeploymentReplaced),
        (Some(_), _) => Ok(()),
    }
}

/// Size of ranges below the finalized block: it grows while answers are small and halves when a
/// node refuses one, whatever its words. What was refused is not asked again soon: a node with a
/// cap would refuse every second question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    size: u64,
    /// No larger one is asked for now.
    ceiling: u64,
    /// Answers since the last refusal.
    answered: u32,
}

impl Default for Span {
    fn default() -> Self {
        Self { size: FIRST_SPAN, ceiling: LARGEST_SPAN, answered: 0 }
    }
}

impl Span {
    /// Last block of the next range that starts at `from` and may go up to `limit`.
    pub fn end(&self, from: u64, limit: u64) -> u64 {
        limit.min(from.saturating_add(self.size - 1))
    }

    pub fn answered(&mut self, logs: usize) {
        self.answered = self.answered.saturating_add(1);
        if self.answered.is_multiple_of(ANSWERS_TO_TRUST) {
            self.ceiling = (self.ceiling * 2).min(LARGEST_SPAN);
        }
        if logs < AIM_LOGS / 2 {
            self.size = (self.size * 2).min(self.ceiling);
        } else if logs > AIM_LOGS {
            self.size = (self.size / 2).max(1);
        }
    }

    /// There was no answer. A node's word against this size is remembered; other trouble is not
    /// about the size, as far as anyone can tell. False: it is one block already.
    pub fn failed(&mut self, refused: bool) -> bool {
        let smaller = self.size > 1;
        self.size = (self.size / 2).max(1);
        if refused {
            self.ceiling = self.size;
            self.answered = 0;
        }
        smaller
    }
}

#[cfg(test)]
mod tests;
