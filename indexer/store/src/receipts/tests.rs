//! Tests of receipts.rs.
