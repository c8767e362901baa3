//! What clients may do: the server's configuration file.

use inferenceguard_search::Release;
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Everything a server is told beside its engine. TOML; every key may be left out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The name clients give as `model`; the language model's own if not given.
    pub model: Option<String>,
    /// The largest request body, in bytes.
    pub max_body: usize,
    /// Choices that may wait for their turn, over all requests; more are told to come back later.
    pub max_waiting: usize,
    /// Connections that may be open at once, on each listener; more wait until one is closed.
    pub max_connections: usize,
    /// The most choices (`n`) of one request.
    pub max_choices: u32,
    /// Seconds a client has to send its headers, and again its whole body.
    pub read_seconds: u64,
    /// Seconds that what is sent to a client may wait to be read.
    pub write_seconds: u64,
    /// Seconds that running requests are given when the server stops.
    pub stop_seconds: u64,
    /// When streams release text, if a request does not say.
    pub release: StreamRelease,
    /// What budgets are for.
    pub budget_per: BudgetPer,
    /// What becomes of requests under way when a bundle is activated.
    pub in_flight: InFlight,
    /// Fewer candidates for requests that come while many wait; without it, none is ever given less.
    pub overload: Option<Overload>,
    /// SHA-256 of the administrators' token, in hex; without one the second listener is open to all who reach it.
    pub admin_token_sha256: Option<String>,
    /// Names under which administrators reach the second listener, beside `localhost` and addresses; without a token, no
    /// other is answered.
    pub admin_hosts: Vec<String>,
    /// A file that says which bundles are trusted ([`inferenceguard_bundle::Trust`]); read at every activation, so that keys
    /// are changed and revoked without a restart. Without it, all bundles are.
    pub trust: Option<PathBuf>,
    /// Whether traces carry prompts and answers.
    pub trace_content: bool,
    /// When a canary is rolled back.
    pub canary: CanarySettings,
    /// Who may ask; without any, everybody.
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
            read_seconds: 10,
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
            canary: CanarySettings::default(),
            tenants: BTreeMap::new(),
        }
    }
}

/// What budgets are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetPer {
    /// One answer.
    Answer,
    /// All of the assistant's turns that a request brings, and its answer.
    Conversation,
}

/// A reduced mode, declared in every answer of it: the same bundle with fewer candidates, under a generation and a digest of
/// its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overload {
    /// From so many waiting choices on.
    pub waiting: usize,
    /// The candidates of the bundle's own policy.
    pub n: u32,
}

/// What becomes of requests under way when a bundle is activated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InFlight {
    /// They are finished by the bundle they began with.
    Drain,
    /// From the next chunk on, the new bundle's constraints hold as well, for all that was said.
    Migrate,
}

/// When a stream releases text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamRelease {
    /// All of it, at the end.
    AtEnd,
    /// What all live beams agree on.
    Agreement,
    /// Every so many chunks the best beam alone goes on, and its text is released.
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

/// When a canary is rolled back: it did worse than the requests beside it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CanarySettings {
    /// Not before so many of its requests have ended.
    pub least: u64,
    /// How many more of its requests may have a failing component, as a share.
    pub more_failures: f64,
    /// How many more of its requests may be refused, as a share.
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
    /// Choices (`n`, usually 1) a minute; no limit if not given.
    pub per_minute: Option<u32>,
    /// Choices at once; no limit if not given.
    pub at_once: Option<usize>,
    /// Budgets by constraint, at most the bundle's: its requests may tighten them further.
    pub budgets: BTreeMap<String, f64>,
    /// A folder with what this tenant adds to the bundle ([`inferenceguard_bundle::Layer`]): read at every activation.
    pub layer: Option<PathBuf>,
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key `{key}`: found {found}; expected {expected}")]
pub struct SettingsError {
    /// The key.
    pub key: String,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: &'static str,
}

impl Settings {
    pub(crate) fn read_time(&self) -> Duration {
        Duration::from_secs(self.read_seconds)
    }

    pub(crate) fn write_time(&self) -> Duration {
        Duration::from_secs(self.write_seconds)
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`SettingsError`] for the first that cannot be.
    pub fn validate(&self) -> Result<(), SettingsError> {
        at_least_one("max_body", self.max_body as u64)?;
        at_least_one("max_choices", self.max_choices.into())?;
        at_least_one("max_connections", self.max_connections as u64)?;
        at_least_one("read_seconds", self.read_seconds)?;
        at_least_one("write_seconds", self.write_seconds)?;
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
        self.tenants.iter().try_for_each(|(name, tenant)| tenant.validate(name))?;
        self.own_keys()
    }

    /// One key is one tenant's.
    fn own_keys(&self) -> Result<(), SettingsError> {
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

fn at_least_one(key: &str, found: u64) -> Result<(), SettingsError> {
    if found > 0 {
        return Ok(());
    }
    Err(SettingsError { key: key.to_owned(), found: found.to_string(), expected: "at least 1" })
}

pub(crate) fn share(key: &str, found: f64) -> Result<(), SettingsError> {
    if (0.0..=1.0).contains(&found) {
        return Ok(());
    }
    Err(SettingsError { key: key.to_owned(), found: found.to_string(), expected: "a number from 0 to 1" })
}

fn digest_of(key: &str, found: &str) -> Result<(), SettingsError> {
    if found.len() == 64 && found.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    // Whatever stands here may be the secret itself.
    let found = format!("{} characters", found.chars().count());
    Err(SettingsError { key: key.to_owned(), found, expected: "a SHA-256 in 64 hexadecimal digits" })
}
