//! Tests of signing.rs.
