//! Tests of nodes.rs.
