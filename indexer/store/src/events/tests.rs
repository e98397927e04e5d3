//! Tests of events.rs.
