//! Tests of frames.rs.
