//! Tests of leases.rs.
