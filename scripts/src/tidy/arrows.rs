//! pure: which words of the code may stand where, so that data flows one way.

use super::source::{self, Language};
use super::{Finding, House};

/// Words that only the listed places may use, tests excepted.
struct Arrow {
    words: &'static [&'static str],
    places: &'static [&'static str],
    what: &'static str,
}

const ARROWS: &[Arrow] = &[
    Arrow {
        words: &["sqlx", "rusqlite", "object_store"],
        places: &["indexer/store/"],
        what: "only the store knows databases and object files",
    },
    Arrow {
        words: &["ProviderBuilder", "RootProvider", "DynProvider", "WsConnect", "RpcClient"],
        places: &[
            "indexer/src/chain/",
            "settler/src/chain.rs",
            "settler/src/sender.rs",
            "api/src/edge/eth.rs",
            "contracts/bindings/deploy.rs",
            "api/cli/",
        ],
        what: "only chain/, chain.rs, sender.rs, eth.rs, deploy.rs and cli call a chain node",
    },
    Arrow {
        words: &["PrivateKeySigner", "LocalSigner", "EthereumWallet"],
        places: &[
            "settler/src/sender.rs",
            "settler/src/accept.rs",
            "settler/src/node/agent.rs",
            "contracts/bindings/deploy.rs",
            "api/cli/",
        ],
        what: "keys live in sender.rs, accept.rs, agent.rs, deploy.rs and cli",
    },
    Arrow {
        words: &["println!", "eprintln!", "print!", "eprint!"],
        places: &["api/cli/", "scripts/src/"],
        what: "only cli and scripts print; elsewhere use tracing",
    },
    Arrow {
        words: &[
            "SystemTime::now",
            "Utc::now",
            "Local::now",
            "rand",
            "OsRng",
            "SysRng",
            "getrandom",
            "thread_rng",
        ],
        places: &[
            "contracts/bindings/deploy.rs",
            "indexer/src/lib.rs",
            "settler/src/lib.rs",
            "settler/src/sender.rs",
            "settler/src/node/agent.rs",
            "api/src/lib.rs",
            "api/src/edge/",
            "api/cli/",
            "scripts/src/",
        ],
        what: "clock and randomness enter in lib.rs, agent.rs, sender.rs, edge and cli only",
    },
];

/// Words that mean I/O, time or chance: a file that calls itself pure has none of them.
const IMPURE: &[&str] = &[
    "async",
    "tokio",
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "SystemTime",
    "Instant",
    "reqwest",
    "sqlx",
    "rusqlite",
    "rand",
    "getrandom",
];

pub fn arrow(house: &House) -> Vec<Finding> {
    let mut found = Vec::new();
    for s in house.sources.iter().filter(|s| s.language == Language::Rust) {
        for arrow in ARROWS {
            if arrow.places.iter().any(|place| s.path.starts_with(place)) {
                continue;
            }
            for (line, code) in s.product_code() {
                if let Some(word) = arrow.words.iter().find(|word| source::has_word(code, word)) {
                    let what = format!("`{word}` here, but {}", arrow.what);
                    found.push(Finding::new(&s.path, line, what));
                }
            }
        }
    }
    found
}

pub fn impure(house: &House) -> Vec<Finding> {
    let mut found = Vec::new();
    for s in house.sources.iter().filter(|s| s.language == Language::Rust) {
        if !s.lines.first().is_some_and(|line| line.to_lowercase().starts_with("//! pure:")) {
            continue;
        }
        for (line, code) in s.product_code() {
            if let Some(word) = IMPURE.iter().find(|word| source::has_word(code, word)) {
                let what = format!("`{word}` in a file that calls itself pure");
                found.push(Finding::new(&s.path, line, what));
            }
        }
    }
    found
}
