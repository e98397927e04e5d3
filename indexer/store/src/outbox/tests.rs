//! Tests of outbox.rs.
