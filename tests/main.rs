//! One binary of stories: each plays on a real chain, with a database of its own.

#![allow(clippy::unwrap_used, reason = "a story may stop on a failed assumption")]

mod world;

mod stories {
    mod audit;
    mod bonds;
    mod cli;
    mod consents;
    mod demo;
    mod edge;
    mod faults;
    mod lifecycle;
    mod nodes;
    mod outage;
    mod reorg;
    mod restart;
    mod sender;
}
