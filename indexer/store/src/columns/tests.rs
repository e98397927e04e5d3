//! Tests of columns.rs.
