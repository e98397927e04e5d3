//! Settings: flag > environment (`RNDR__SECTION__KEY`) > TOML file > default.
use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use clap::Args;
use config::{Config, Environment, File, FileFormat};
use contracts::deploy::DeploymentFile;
use contracts::text::checksummed_option;
use serde::Deserialize;

use crate::deploy;
use crate::exit::{Failure, Outcome};

/// Every key with its default; keys without one are left out and optional.
const DEFAULTS: &str = r#"
[chain]
rpc_url = "http://127.0.0.1:8545"
more_rpc_urls = ""
verify = true
poll_ms = 1000
[store]
objects = "rndr-data/objects"
[settler]
listen = "127.0.0.1:8601"
lease_seconds = 60
confirmations = 2
poll_ms = 500
commit_after_seconds = 60
[api]
listen = "127.0.0.1:8600"
fee_bps = 500
burn_bps = 0
review_seconds = 259200
max_lag_seconds = 60
[node]
door = "http://127.0.0.1:8601"
work_dir = "rndr-data/node"
memory_mb = 4096
[client]
api = "http://127.0.0.1:8600"
[wallet]
"#;

/// Flags that every command takes; each stands above environment and file.
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// TOML file with settings
    #[arg(long, global = true, value_name = "FILE", env = "RNDR_CONFIG")]
    pub config: Option<PathBuf>,
    /// Chain node, http(s) address
    #[arg(long, global = true, value_name = "URL")]
    pub rpc_url: Option<String>,
    /// File of `rndr deploy --out`: which escrow, since which block, with what beside it
    #[arg(long, global = true, value_name = "FILE")]
    pub deployment: Option<PathBuf>,
    /// The escrow's address
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub escrow: Option<String>,
    /// Address of `rndr api`
    #[arg(long, global = true, value_name = "URL")]
    pub api: Option<String>,
    /// Keystore JSON of the wallet
    #[arg(long, global = true, value_name = "FILE")]
    pub keystore: Option<PathBuf>,
    /// File with the keystore's password
    #[arg(long, global = true, value_name = "FILE", env = "RNDR_PASSWORD_FILE")]
    pub password_file: Option<PathBuf>,
    /// Database: sqlite:PATH or postgres://...
    #[arg(long, global = true, value_name = "URL")]
    pub store: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub chain: Chain,
    pub store: Store,
    pub settler: Settler,
    pub api: Api,
    pub node: Node,
    pub client: Client,
    pub wallet: Wallet,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    pub rpc_url: String,
    /// Further nodes of the same chain for the indexer, with commas between them: when one fails,
    /// lags or lies, the next is asked, and a finalized block needs the word of two.
    pub more_rpc_urls: String,
    /// Believe no log that is not proven by its block's hash. Nothing is paid without.
    pub verify: bool,
    /// Wakes the indexer at each block; reading goes over `rpc_url`.
    pub ws_url: Option<String>,
    /// Gives the four that follow, where they are not set: a file that the user trusts.
    pub deployment: Option<PathBuf>,
    /// The file's, when something of it is used.
    #[serde(skip)]
    pub chain_id: Option<u64>,
    #[serde(default, with = "checksummed_option")]
    pub escrow: Option<Address>,
    /// The escrow's node registry; bonds are neither indexed nor reached without it.
    #[serde(default, with = "checksummed_option")]
    pub registry: Option<Address>,
    pub deploy_block: Option<u64>,
    #[serde(default, with = "checksummed_option")]
    pub funding: Option<Address>,
    pub poll_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    #[serde(default = "default_store")]
    pub url: String,
    /// Whether somebody named it: a default is no place for what payers hand in.
    #[serde(skip)]
    pub url_is_set: bool,
    /// Where `rndr api` reads: a replica, say, or with a user that may only read.
    pub read_url: Option<String>,
    pub objects: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settler {
    pub listen: String,
    /// Signs acceptances.
    pub keystore: Option<PathBuf>,
    /// Sends transactions and holds nothing but gas money.
    pub gas_keystore: Option<PathBuf>,
    pub password_file: Option<PathBuf>,
    pub lease_seconds: u64,
    pub confirmations: u64,
    pub poll_ms: u64,
    pub commit_after_seconds: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    pub listen: String,
    #[serde(default, with = "checksummed_option")]
    pub settler: Option<Address>,
    #[serde(default, with = "checksummed_option")]
    pub fee_receiver: Option<Address>,
    pub fee_bps: u16,
    pub burn_bps: u16,
    pub review_seconds: u64,
    pub max_lag_seconds: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub door: String,
    pub keystore: Option<PathBuf>,
    pub password_file: Option<PathBuf>,
    pub work_dir: PathBuf,
    /// All cores when it is not set.
    pub threads: Option<u32>,
    pub memory_mb: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    pub api: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wallet {
    pub keystore: Option<PathBuf>,
    pub password_file: Option<PathBuf>,
}

impl Settings {
    pub fn load(flags: &Flags) -> Outcome<Settings> {
        let environment = Environment::with_prefix("RNDR")
            .prefix_separator("__")
            .separator("__")
            .ignore_empty(true);
        Settings::layered(flags, environment)
    }

    fn layered(flags: &Flags, environment: Environment) -> Outcome<Settings> {
        let text = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let flag_values = [
            ("chain.rpc_url", flags.rpc_url.clone()),
            ("chain.deployment", text(&flags.deployment)),
            ("chain.escrow", flags.escrow.clone()),
            ("client.api", flags.api.clone()),
            ("wallet.keystore", text(&flags.keystore)),
            ("wallet.password_file", text(&flags.password_file)),
            ("store.url", flags.store.clone()),
        ];
        let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
        if let Some(path) = &flags.config {
            builder = builder.add_source(File::from(path.as_path()).format(FileFormat::Toml));
        }
        builder = builder.add_source(environment);
        for (key, value) in flag_values {
            builder = builder.set_override_option(key, value).map_err(refused)?;
        }
        let built = builder.build().map_err(refused)?;
        let url_is_set = built.get_string("store.url").is_ok();
        let mut settings: Settings = built.try_deserialize().map_err(refused)?;
        settings.store.url_is_set = url_is_set;
        if let Some(path) = settings.chain.deployment.clone() {
            settings.chain.complete(&deploy::read(&path)?);
        }
        Ok(settings)
    }

    /// The escrow that everything is about; never taken from a server's word.
    pub fn escrow(&self) -> Outcome<Address> {
        self.chain.escrow.ok_or_else(|| {
            let hint = "name it with --deployment FILE, --escrow or RNDR__CHAIN__ESCROW, from a \
                        source you trust";
            Failure::usage("no escrow is named", hint)
        })
    }
}

impl Chain {
    /// Every node that the indexer may ask, the first one first.
    pub fn rpc_urls(&self) -> Vec<String> {
        let more = self.more_rpc_urls.split(',').map(str::trim).filter(|url| !url.is_empty());
        std::iter::once(self.rpc_url.as_str()).chain(more).map(str::to_owned).collect()
    }

    /// Keys that are set stand above the file; an escrow that is not the file's leaves it unused.
    fn complete(&mut self, file: &DeploymentFile) {
        if self.escrow.is_some_and(|escrow| escrow != file.escrow.address) {
            return;
        }
        self.chain_id = Some(file.chain_id);
        self.escrow = Some(file.escrow.address);
        self.deploy_block = self.deploy_block.or(Some(file.escrow.block));
        self.funding = self.funding.or(Some(file.funding.address));
        self.registry = self.registry.or(Some(file.registry.address));
    }
}

fn default_store() -> String {
    "sqlite:rndr-data/rndr.db".into()
}

/// A path that a command cannot do without.
pub fn needed<'a>(path: &'a Option<PathBuf>, key: &str) -> Outcome<&'a Path> {
    path.as_deref().ok_or_else(|| {
        let (section, name) = key.split_once('.').unwrap_or(("", key));
        let variable = format!("RNDR__{}__{}", section.to_uppercase(), name.to_uppercase());
        Failure::usage(format!("{key} is not set"), format!("set it by {variable} or in the file"))
    })
}

fn refused(error: config::ConfigError) -> Failure {
    Failure::usage(format!("settings: {error}"), "correct this key in the file, variable or flag")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::B256;
    use std::collections::HashMap;
    use std::io::Write;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let source: HashMap<String, String> =
            pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Environment::with_prefix("RNDR")
            .prefix_separator("__")
            .separator("__")
            .ignore_empty(true)
            .source(Some(source))
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn each_layer_stands_above_the_next() {
        let text = "[chain]\nrpc_url = \"http://file\"\npoll_ms = 7\n[api]\nfee_bps = 9\n";
        let file = file(text);
        let mut flags = Flags { config: Some(file.path().into()), ..Flags::default() };
        let empty = || environment(&[("RNDR__STORE__URL", "")]);
        let settings = Settings::layered(&flags, empty()).unwrap();
        assert_eq!(settings.chain.rpc_url, "http://file");
        assert_eq!((settings.chain.poll_ms, settings.api.fee_bps), (7, 9));
        assert_eq!(settings.store.url, "sqlite:rndr-data/rndr.db", "an empty variable is none");
        assert!(!settings.store.url_is_set);
        let named = [("RNDR__STORE__URL", "sqlite:rndr-data/rndr.db")];
        let named = Settings::layered(&flags, environment(&named)).unwrap().store;
        assert!(named.url_is_set, "also when it is what it would be anyway");
        let variables = [("RNDR__CHAIN__RPC_URL", "http://env"), ("RNDR__API__FEE_BPS", "11")];
        let settings = Settings::layered(&flags, environment(&variables)).unwrap();
        assert_eq!((settings.chain.rpc_url.as_str(), settings.api.fee_bps), ("http://env", 11));
        flags.rpc_url = Some("http://flag".into());
        let settings = Settings::layered(&flags, environment(&variables)).unwrap();
        assert_eq!(settings.chain.rpc_url, "http://flag");
    }

    #[test]
    fn a_deployment_file_fills_in_what_is_not_set_and_nothing_about_another_escrow() {
        let [known, other] = [1, 2].map(Address::repeat_byte);
        let place = |address: Address| {
            serde_json::json!({
                "address": address, "block": 7, "tx": null, "constructor_arguments": "0x",
                "init_code_hash": B256::ZERO, "code_hash": B256::ZERO,
            })
        };
        let [funding, registry] = [3, 4].map(Address::repeat_byte);
        let text = serde_json::json!({
            "chain_id": 1, "proxy": known, "salt": B256::ZERO, "token": known, "issuer": known,
            "guardian": known, "permit2": null, "escrow": place(known),
            "funding": place(funding), "registry": place(registry),
        });
        let file = file(&text.to_string());
        let flags = Flags { deployment: Some(file.path().into()), ..Flags::default() };
        let chain = |pairs| Settings::layered(&flags, environment(pairs)).unwrap().chain;
        let found = chain(&[]);
        assert_eq!((found.escrow, found.deploy_block), (Some(known), Some(7)));
        assert_eq!((found.funding, found.registry), (Some(funding), Some(registry)));
        let other_text = other.to_string();
        let set = [("RNDR__CHAIN__DEPLOY_BLOCK", "9"), ("RNDR__CHAIN__FUNDING", &other_text)];
        let found = chain(&set);
        assert_eq!((found.escrow, found.deploy_block), (Some(known), Some(9)));
        assert_eq!((found.funding, found.registry), (Some(other), Some(registry)));
        let found = chain(&[("RNDR__CHAIN__ESCROW", &other_text)]);
        assert_eq!((found.escrow, found.deploy_block), (Some(other), None));
        assert_eq!((found.funding, found.registry), (None, None));
        let missing = Flags { deployment: Some("nowhere.json".into()), ..Flags::default() };
        let failure = Settings::layered(&missing, environment(&[])).unwrap_err();
        assert!(failure.message.contains("nowhere.json"), "{failure:?}");
    }

    #[test]
    fn unknown_keys_and_wrong_values_are_refused_by_name() {
        let flags = Flags::default();
        let refused = Settings::layered(&flags, environment(&[("RNDR__CHAIN__RPC", "x")]));
        assert!(refused.unwrap_err().message.contains("rpc"));
        let wrong = environment(&[("RNDR__CHAIN__ESCROW", "0x12")]);
        assert!(Settings::layered(&flags, wrong).unwrap_err().message.contains("0x12"));
        let settings = Settings::layered(&flags, environment(&[])).unwrap();
        assert!(settings.escrow().unwrap_err().hint.contains("RNDR__CHAIN__ESCROW"));
        let missing = needed(&settings.settler.gas_keystore, "settler.gas_keystore").unwrap_err();
        assert!(missing.hint.contains("RNDR__SETTLER__GAS_KEYSTORE"));
    }
}
