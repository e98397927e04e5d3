//! Tests of orders.rs.
