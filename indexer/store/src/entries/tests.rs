//! Tests of entries.rs.
