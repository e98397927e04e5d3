//! Tests of extend.rs.
