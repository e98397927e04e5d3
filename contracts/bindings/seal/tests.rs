//! Tests of seal.rs.
