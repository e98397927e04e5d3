//! Tests of event.rs.
