//! Tests of jobs.rs.
