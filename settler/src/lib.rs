//! Store to nodes, to receipts, to the chain.
pub mod lots;
pub mod node;
pub mod opening;
pub mod pixels;
pub mod preview;
pub mod receipt;
