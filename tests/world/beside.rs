//! An index of the same chain that nothing ever happened to, to hold others beside.

use store::{Block, Step, Store};

use super::process::reading;
use super::{Running, World, eventually};

const ALL: u64 = u32::MAX as u64;

/// Followed by an indexer in this process, into a database of its own.
pub struct Beside {
    pub store: Store,
    _indexer: Running<indexer::Error>,
}

impl Beside {
    pub async fn follow(world: &World) -> Self {
        let url = format!("sqlite:{}", world.folder.path().join("beside.db").display());
        let store = world.store_at(&url).await;
        let indexer = world.indexer(&store);
        world.caught_up(&store).await;
        Self { store, _indexer: indexer }
    }

    /// The database at `url` holds everything of the chain up to its cursor, and nothing above
    /// it. Its cursor; None when it has no tables or no block yet.
    pub async fn holds(&self, world: &World, url: &str) -> Option<Block> {
        let store = reading(world, url).await?;
        let reader = store.reader();
        let (tip, rows) = (reader.tip().await.unwrap(), reader.rows_between(0, ALL).await.unwrap());
        store.close().await;
        let Some(tip) = tip else {
            assert_eq!(told(&rows), told(&Step::default()), "rows without a block");
            return None;
        };
        let own = self.store.reader();
        let there = || async { (own.tip().await.unwrap()?.number >= tip.number).then_some(()) };
        eventually("the same block in the other index", there).await;
        // One of them may have read it in a range, and stored no empty block of that.
        let same = own.block_at_or_below(tip.number).await.unwrap().unwrap();
        assert_eq!(tip.digest, same.digest, "at block {}", tip.number);
        assert!(same.number < tip.number || same.hash == tip.hash, "at block {}", tip.number);
        let expected = own.rows_between(0, tip.number).await.unwrap();
        assert_eq!(told(&rows), told(&expected), "up to block {}", tip.number);
        Some(tip)
    }
}

/// What the chain told, without what depends on how it was read: empty blocks between, and
/// snapshots that newer ones replaced.
fn told(rows: &Step) -> String {
    format!("{:?}\n{:?}\n{:?}\n{:?}", rows.events, rows.orders, rows.lots, rows.registry)
}
