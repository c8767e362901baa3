//! `bundle.toml`, typed.

use crate::{
    BundleError, ConstraintEntry, Limits, MANIFEST, MethodEntry, ModelEntry, NetworkEntry, RoleEntry,
    entries::stated_once,
    values::{check_name, check_unmarked, require, value},
};
use inferenceguard_search::{OnExhausted, OutOfRange, Release, Sampling, SamplingSettings, SearchConfig, SearchLimits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything a deployment decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The bundle's name.
    pub name: String,
    /// The bundle's version, semantic: `1.2.0`.
    pub version: String,
    /// The cost that ranks answers, if any: a key of `[costs]`.
    #[serde(default)]
    pub task: Option<String>,
    /// The most answer tokens (D in the paper); a request may ask for fewer.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: u32,
    /// What is emitted when the policy finds nothing fit.
    #[serde(default)]
    pub on_exhausted: OnExhausted,
    /// The refusal text.
    #[serde(default = "default_refusal")]
    pub refusal: String,
    /// Whether an exhausted chunk may step back once to the previous chunk's runners-up.
    #[serde(default)]
    pub backtrack: bool,
    /// When text is released.
    #[serde(default)]
    pub release: Release,
    /// Texts that end the answer.
    #[serde(default)]
    pub stop: Vec<String>,
    /// Whether the bundle guards nothing on purpose. A bundle without constraints must say so, and no other bundle may.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unguarded: bool,
    /// What the language model must be.
    #[serde(default, skip_serializing_if = "is_default")]
    pub model: ModelEntry,
    /// What score models must be, by the names that costs use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, ModelEntry>,
    /// Plans and selects.
    pub policy: RoleEntry,
    /// Keeps the safety state.
    pub tracker: RoleEntry,
    /// Foresees.
    #[serde(default)]
    pub critic: Option<RoleEntry>,
    /// Edits latents.
    #[serde(default)]
    pub steering: Option<RoleEntry>,
    /// Prices, by name.
    #[serde(default)]
    pub costs: BTreeMap<String, RoleEntry>,
    /// Networks that costs, critics and steering open, by name.
    #[serde(default)]
    pub networks: BTreeMap<String, NetworkEntry>,
    /// What must hold. None only where `unguarded` says so.
    #[serde(default)]
    pub constraints: Vec<ConstraintEntry>,
    /// How the language model is sampled by default. Settings that are left out are those of the model's authors, if its
    /// files have them.
    #[serde(default)]
    pub sampling: SamplingSettings,
    /// Bounds on what the policy may ask for.
    #[serde(default)]
    pub search: SearchLimits,
    /// What one component instance may use.
    #[serde(default)]
    pub limits: Limits,
    /// Settings of other methods a request may name.
    #[serde(default)]
    pub methods: BTreeMap<String, MethodEntry>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn default_max_tokens() -> u32 {
    128
}

fn default_refusal() -> String {
    "I cannot help with that.".to_owned()
}

impl Manifest {
    /// Reads and checks the text of a manifest.
    ///
    /// # Errors
    /// [`BundleError::Manifest`] or [`BundleError::Value`], naming file, key, what was found and what is expected.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        let manifest: Self = toml::from_str(text).map_err(|error| syntax(text, &error))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Every role with its key in the manifest.
    #[must_use]
    pub fn roles(&self) -> Vec<(String, &RoleEntry)> {
        let single = [("policy", Some(&self.policy)), ("tracker", Some(&self.tracker))];
        let optional = [("critic", self.critic.as_ref()), ("steering", self.steering.as_ref())];
        let single = single.into_iter().chain(optional);
        let single = single.filter_map(|(key, entry)| Some((key.to_owned(), entry?)));
        single.chain(self.costs.iter().map(|(name, entry)| (format!("costs.{name}"), entry))).collect()
    }

    /// Every file it names, with the key that names it. A file may be named more than once.
    #[must_use]
    pub fn files(&self) -> Vec<(String, &str)> {
        let roles = self.roles().into_iter().flat_map(|(key, entry)| entry.files(&key));
        let networks = self.networks.iter().map(|(name, entry)| (format!("networks.{name}.file"), entry.file.as_str()));
        let methods = self.methods.iter().flat_map(|(name, entry)| entry.files(name));
        roles.chain(networks).chain(methods).collect()
    }

    /// The search that this manifest asks for, without the settings of any request; seed 0. [`Manifest::search_config_for`]
    /// fills in how the model is sampled where the manifest does not set it.
    #[must_use]
    pub fn search_config(&self) -> SearchConfig {
        SearchConfig {
            constraints: self.constraints.iter().map(ConstraintEntry::to_constraint).collect(),
            task: self.task.clone(),
            max_tokens: self.max_tokens,
            sampling: self.sampling.into(),
            seed: 0,
            stop: self.stop.clone(),
            on_exhausted: self.on_exhausted,
            refusal: self.refusal.clone(),
            backtrack: self.backtrack,
            release: self.release,
            limits: self.search,
            margin: inferenceguard_search::EPSILON,
            revision: inferenceguard_search::REVISION,
        }
    }

    /// [`Manifest::search_config`] for a model whose authors sample like this.
    #[must_use]
    pub fn search_config_for(&self, authors: SamplingSettings) -> SearchConfig {
        SearchConfig { sampling: self.sampling.or(authors).into(), ..self.search_config() }
    }

    fn check(&self) -> Result<(), BundleError> {
        check_name("name", &self.name)?;
        let version = semver::Version::parse(&self.version);
        require(version.is_ok(), "version", &format!("{:?}", self.version), "a semantic version, such as 1.2.0")?;
        require(self.max_tokens > 0, "max_tokens", &self.max_tokens, "at least 1")?;
        if let Some(OutOfRange { field, found, expected }) = Sampling::from(self.sampling).out_of_range() {
            require(false, &format!("sampling.{field}"), &found, expected)?;
        }
        if let Some(task) = &self.task {
            self.check_cost("task", task)?;
        }
        self.check_templates()?;
        self.networks.keys().try_for_each(|name| check_name("networks", name))?;
        self.model.check("model")?;
        self.scores.iter().try_for_each(|(name, entry)| entry.check(&format!("scores.{name}")))?;
        self.costs.keys().try_for_each(|name| check_unmarked("costs", name))?;
        self.roles().into_iter().try_for_each(|(key, entry)| stated_once(&key, entry))?;
        self.methods.iter().try_for_each(|(name, entry)| entry.check(name))?;
        self.limits.validate().map_err(|error| value("limits", &error, "limits within their ranges"))?;
        self.check_guarded()?;
        self.constraints.iter().enumerate().try_for_each(|(i, entry)| self.check_constraint(i, entry))
    }

    /// A table of constraints that was lost or commented out must not pass for a decision to guard nothing.
    fn check_guarded(&self) -> Result<(), BundleError> {
        let expected = "at least one; or `unguarded = true` at the top of the manifest, for a bundle that guards nothing on purpose";
        let none = self.constraints.is_empty();
        require(self.unguarded || !none, "constraints", &"none", expected)?;
        let expected = "false, or no `[[constraints]]`";
        require(none || !self.unguarded, "unguarded", &"true, beside constraints", expected)
    }

    fn check_templates(&self) -> Result<(), BundleError> {
        let scores = self.scores.iter().map(|(name, entry)| (format!("scores.{name}.template"), &entry.template));
        let all = std::iter::once(("model.template".to_owned(), &self.model.template)).chain(scores);
        for (key, template) in all {
            let Some(text) = template else { continue };
            let known =
                ["chat", "beaver", "hh", "plain"].contains(&text.as_str()) || text.matches("{prompt}").count() == 1;
            require(known, &key, &format!("{text:?}"), "chat, beaver, hh, plain, or a text with {prompt} in it once")?;
        }
        Ok(())
    }

    fn check_constraint(&self, index: usize, entry: &ConstraintEntry) -> Result<(), BundleError> {
        let key = |field: &str| format!("constraints[{index}].{field}");
        check_unmarked(&key("name"), &entry.name)?;
        let unique = self.constraints[..index].iter().all(|other| other.name != entry.name);
        require(unique, &key("name"), &entry.name, "every name once")?;
        let budget = entry.budget;
        require(budget.is_finite() && budget > 0.0, &key("budget"), &budget, "a finite number above 0")?;
        let gamma = entry.gamma;
        require(gamma > 0.0 && gamma <= 1.0, &key("gamma"), &gamma, "a number above 0, at most 1")?;
        self.check_cost(&key("cost"), &entry.cost)
    }

    fn check_cost(&self, key: &str, cost: &str) -> Result<(), BundleError> {
        let names: Vec<&str> = self.costs.keys().map(String::as_str).collect();
        let expected = format!("a key of `[costs]`, which has: {}", names.join(", "));
        require(self.costs.contains_key(cost), key, &format!("`{cost}`"), &expected)
    }
}

/// The line of a TOML error, and the key on that line.
fn syntax(text: &str, error: &toml::de::Error) -> BundleError {
    let start = error.span().map(|span| span.start.min(text.len()));
    let before = start.and_then(|start| text.get(..start));
    let line = before.map_or(0, |before| before.matches('\n').count() + 1);
    let content = line.checked_sub(1).and_then(|line| text.lines().nth(line)).unwrap_or_default();
    let key = content.split('=').next().unwrap_or_default().trim().to_owned();
    BundleError::Manifest { file: MANIFEST.to_owned(), line, key, problem: error.message().to_owned() }
}
