//! One binary of stories: each plays on a real chain, with a database of its own.

#![allow(clippy::unwrap_used, reason = "a story may stop on a failed assumption")]

mod world;

mod stories {
    mod audit;
    mod backups;
    mod bench;
    mod bonds;
    mod books;
    mod cli;
    mod clocks;
    mod closing;
    mod credit;
    mod delegates;
    mod demo;
    mod deploy;
    mod disks;
    mod doors;
    mod edge;
    mod faults;
    mod funding;
    mod hostile;
    mod kills;
    mod lifecycle;
    mod model;
    mod multicalls;
    mod nodes;
    mod outage;
    mod pauses;
    mod pool;
    mod proofs;
    mod reads;
    mod reorg;
    mod replicas;
    mod restart;
    mod schedules;
    mod sender;
    mod silence;
    mod tampered;
    mod upgrades;
    mod verified;
    mod vouchers;
    mod writers;
}
