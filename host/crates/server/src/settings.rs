//! The server's settings: what clients and administrators may do.

use crate::{
    judge::JudgeSettings,
    settings_check::{SettingsError, at_least_one, digest_of, seconds, share},
};
use inferenceguard_search::Release;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// The most that `max_top_logprobs` may be, and what it is if not given.
const MOST_TOP_LOGPROBS: u32 = 20;

/// The server's configuration file, in TOML. Every key has a default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The name of the model that clients send; the language model's own if not given.
    pub model: Option<String>,
    /// The largest request body, in bytes.
    pub max_body: usize,
    /// The most choices that may wait, over all requests; further requests get 503.
    pub max_waiting: usize,
    /// The most open connections of each listener; further clients wait until a connection is closed.
    pub max_connections: usize,
    /// The most choices (`n`) of one request.
    pub max_choices: u32,
    /// The most likely tokens that an answer may show in place of each of its tokens (`top_logprobs`), at most 20. Nobody prices
    /// them: with 0 no text goes out that was not priced.
    pub max_top_logprobs: u32,
    /// Seconds in which a client must send the headers of a request, and again its whole body.
    pub read_seconds: u64,
    /// Seconds that a connection stays open between two requests. Longer than the proxies before the server keep theirs, or they
    /// send requests into connections that are being closed.
    pub idle_seconds: u64,
    /// Seconds after which a client that reads nothing is disconnected.
    pub write_seconds: u64,
    /// Seconds that running requests have to finish when the server stops.
    pub stop_seconds: u64,
    /// When streams release text, unless the request says otherwise.
    pub release: StreamRelease,
    /// What a budget is for.
    pub budget_per: BudgetPer,
    /// What happens to running requests when a bundle is activated.
    pub in_flight: InFlight,
    /// Fewer candidates for requests that come while many choices wait. Without it, every request has all candidates.
    pub overload: Option<Overload>,
    /// SHA-256 of the administrators' token, in hex. Without a token, the second listener serves everyone who can reach it.
    pub admin_token_sha256: Option<String>,
    /// Host names under which administrators reach the second listener, beside `localhost` and addresses. Without a token, other
    /// host names are refused.
    pub admin_hosts: Vec<String>,
    /// The trust file ([`inferenceguard_bundle::Trust`]). It is read at every activation, so that keys can be changed and revoked
    /// without a restart. Without it, all bundles are trusted.
    pub trust: Option<PathBuf>,
    /// Whether spans hold prompts and answers.
    pub trace_content: bool,
    /// Whether answers say what costs found in them: which entry of a list, which class of data, at which token. Clients then learn
    /// entries that their answers hold.
    pub why: bool,
    /// When a canary is rolled back.
    pub canary: CanarySettings,
    /// How gateways are served, if any are.
    pub judge: JudgeSettings,
    /// The clients, by name. Without any, every client is served.
    pub tenants: BTreeMap<String, Tenant>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: None,
            max_body: 1 << 20,
            max_waiting: 256,
            max_connections: 1024,
            max_choices: 8,
            max_top_logprobs: MOST_TOP_LOGPROBS,
            read_seconds: 10,
            idle_seconds: 75,
            write_seconds: 30,
            stop_seconds: 30,
            release: StreamRelease::Agreement,
            budget_per: BudgetPer::Answer,
            in_flight: InFlight::Drain,
            overload: None,
            admin_token_sha256: None,
            admin_hosts: Vec::new(),
            trust: None,
            trace_content: false,
            why: false,
            canary: CanarySettings::default(),
            judge: JudgeSettings::default(),
            tenants: BTreeMap::new(),
        }
    }
}

/// What a budget is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetPer {
    /// One answer.
    Answer,
    /// All of the assistant's turns in a request, and its answer.
    Conversation,
}

/// The reduced mode: the same bundle with fewer candidates. It has its own generation and digest, and every answer shows its
/// lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overload {
    /// The number of waiting choices from which on it holds.
    pub waiting: usize,
    /// The number of candidates of the bundle's policy.
    pub n: u32,
}

/// What happens to running requests when a bundle is activated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InFlight {
    /// The bundle that they began with decides them to their end.
    Drain,
    /// From the next chunk on, the new bundle's constraints hold as well, for the whole answer.
    Migrate,
}

/// When a stream releases text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamRelease {
    /// At the end, all at once.
    AtEnd,
    /// As soon as all live beams agree on it.
    Agreement,
    /// Every time this many chunks have passed: only the best beam continues, and its text is released.
    Commit(u32),
}

impl From<StreamRelease> for Release {
    fn from(release: StreamRelease) -> Self {
        match release {
            StreamRelease::AtEnd => Self::AtEnd,
            StreamRelease::Agreement => Self::Agreement,
            StreamRelease::Commit(chunks) => Self::Commit(chunks),
        }
    }
}

/// When a canary is rolled back because it does worse than the other requests.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CanarySettings {
    /// Not before this many of its requests have ended.
    pub least: u64,
    /// How much larger the share of its requests with a failing component may be.
    pub more_failures: f64,
    /// How much larger the share of its refused requests may be.
    pub more_refusals: f64,
}

impl Default for CanarySettings {
    fn default() -> Self {
        Self { least: 20, more_failures: 0.02, more_refusals: 0.1 }
    }
}

/// One client of the server.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tenant {
    /// SHA-256 of its key, in hex: `printf %s KEY | sha256sum`.
    pub key_sha256: String,
    /// The most choices (`n`, usually 1) in a minute; no limit if not given.
    pub per_minute: Option<u32>,
    /// The most choices at once; no limit if not given.
    pub at_once: Option<usize>,
    /// Budgets by constraint, at most the bundle's. Requests may tighten them further.
    pub budgets: BTreeMap<String, f64>,
    /// A folder with the layer that this tenant adds to the bundle ([`inferenceguard_bundle::Layer`]); read at every activation
    /// and, with `serve --watch`, when it changes.
    pub layer: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn read_time(&self) -> Duration {
        Duration::from_secs(self.read_seconds)
    }

    pub(crate) fn idle_time(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    pub(crate) fn write_time(&self) -> Duration {
        Duration::from_secs(self.write_seconds)
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`SettingsError`] for the first wrong value.
    pub fn validate(&self) -> Result<(), SettingsError> {
        at_least_one("max_body", self.max_body as u64)?;
        at_least_one("max_choices", self.max_choices.into())?;
        if self.max_top_logprobs > MOST_TOP_LOGPROBS {
            let (key, found) = ("max_top_logprobs".to_owned(), self.max_top_logprobs.to_string());
            return Err(SettingsError { key, found, expected: "a number from 0 to 20" });
        }
        at_least_one("max_connections", self.max_connections as u64)?;
        at_least_one("read_seconds", self.read_seconds)?;
        at_least_one("idle_seconds", self.idle_seconds)?;
        at_least_one("write_seconds", self.write_seconds)?;
        let (read, idle) = (self.read_seconds, self.idle_seconds);
        let times = [("read", read), ("idle", idle), ("write", self.write_seconds), ("stop", self.stop_seconds)];
        times.into_iter().try_for_each(|(what, time)| seconds(&format!("{what}_seconds"), time))?;
        if let StreamRelease::Commit(chunks) = self.release {
            at_least_one("release.commit", chunks.into())?;
        }
        if let Some(overload) = &self.overload {
            at_least_one("overload.waiting", overload.waiting as u64)?;
            at_least_one("overload.n", overload.n.into())?;
        }
        at_least_one("canary.least", self.canary.least)?;
        share("canary.more_failures", self.canary.more_failures)?;
        share("canary.more_refusals", self.canary.more_refusals)?;
        if let Some(digest) = &self.admin_token_sha256 {
            digest_of("admin_token_sha256", digest)?;
        }
        self.judge.validate()?;
        self.tenants.iter().try_for_each(|(name, tenant)| tenant.validate(name))?;
        self.check_keys()
    }

    /// Checks that no two tenants have the same key.
    fn check_keys(&self) -> Result<(), SettingsError> {
        let mut owners = BTreeMap::new();
        let twice = self.tenants.iter().find_map(|(name, tenant)| {
            owners.insert(tenant.key_sha256.to_ascii_lowercase(), name).map(|other| (name, other))
        });
        twice.map_or(Ok(()), |(name, other)| {
            let (key, found) = (format!("tenants.{name}.key_sha256"), format!("the key of `{other}`"));
            Err(SettingsError { key, found, expected: "a key of its own" })
        })
    }
}

impl Tenant {
    /// A client with this key, and no limits of its own.
    #[must_use]
    pub fn with_key(key: &str) -> Self {
        Self { key_sha256: hex::encode(Sha256::digest(key.as_bytes())), ..Self::default() }
    }

    fn validate(&self, name: &str) -> Result<(), SettingsError> {
        digest_of(&format!("tenants.{name}.key_sha256"), &self.key_sha256)?;
        if let Some(limit) = self.per_minute {
            at_least_one(&format!("tenants.{name}.per_minute"), limit.into())?;
        }
        if let Some(limit) = self.at_once {
            at_least_one(&format!("tenants.{name}.at_once"), limit as u64)?;
        }
        let wrong = self.budgets.iter().find(|(_, budget)| !(budget.is_finite() && **budget > 0.0));
        wrong.map_or(Ok(()), |(constraint, budget)| {
            let key = format!("tenants.{name}.budgets.{constraint}");
            Err(SettingsError { key, found: budget.to_string(), expected: "a finite number above 0" })
        })
    }
}
