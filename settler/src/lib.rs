//! Store to nodes, to receipts, to the chain.
pub mod node;
pub mod pixels;
