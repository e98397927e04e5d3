//! Tests of spec.rs.
