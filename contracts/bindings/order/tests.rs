//! Tests of order.rs.
