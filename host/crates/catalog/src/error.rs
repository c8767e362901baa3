//! What can go wrong when a model, a bundle or a component is opened by its name.

use crate::hub::HubError;
use inferenceguard_bundle::{BundleError, SignatureError};
use inferenceguard_candle::{CandleError, NoDate, NoTemplate};
#[cfg(feature = "engines")]
use inferenceguard_engines::{ProbeError, RemoteError};
use inferenceguard_host::EngineError;
use inferenceguard_model::{ModelError, TokenizerError, from_boxed};
use inferenceguard_record::RecordError;
use inferenceguard_sandbox::SandboxError;
use inferenceguard_search::RoleFailure;
use std::{io, num::ParseFloatError, path::PathBuf};

/// A model, bundle or component that cannot be opened. Each variant says what was found and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The program was built without the demonstration model.
    #[error("this build carries no demonstration model; name one with --model")]
    NoDemoModel,
    /// The program was built without the networks of the demonstration model.
    #[error("this build carries no networks for the demonstration model")]
    NoDemoNetworks,
    /// `--score` does not have the form `NAME=DIR`.
    #[error("--score {found}: expected NAME=DIR, such as cost=models/cost, or NAME=vllm:URL[,URL...],DIR")]
    Score {
        /// What was given.
        found: String,
    },
    /// An engine needs a score model that was not given.
    #[error(
        "give score models with --score NAME=DIR; or guard without any: `inferguard bundle init mine --template words` writes a bundle that needs none, and --bundle mine takes it"
    )]
    NoScoreModel(#[source] Box<EngineError>),
    /// A bundle that reads latents was to be written without the weights of a probe.
    #[error(
        "--template latent: give the weights of a probe for your model with --network FILE (safetensors, one output), such as the cost.safetensors of `inferguard train cost`; the other templates need none"
    )]
    NoProbe,
    /// Weights of a probe were given for a bundle that reads none.
    #[error("--network: only --template latent reads one; leave it out")]
    UnusedProbe,
    /// Weights of a reward were given in place of those of a probe.
    #[error(
        "--network: found a network of `train reward`, whose output is higher where an answer is better; expected a cost, such as the cost.safetensors of `train cost`"
    )]
    RewardProbe,
    /// `--precision` names no number format.
    #[error("precision {found} is unknown; write auto, f32, f16, bf16 or q8_0")]
    Precision {
        /// What was given.
        found: String,
    },
    /// `--template` holds no template.
    #[error("--template {found}")]
    Template {
        /// What was given.
        found: String,
        /// What is wrong with it.
        source: NoTemplate,
    },
    /// Two templates were given for one model.
    #[error("--template {found}: this model has been given a template already")]
    TemplateTwice {
        /// The second one.
        found: String,
    },
    /// A bundle's template cannot be read.
    #[error("the bundle's `{key}`")]
    BundleTemplate {
        /// Where the manifest has it.
        key: String,
        /// What is wrong with it.
        source: NoTemplate,
    },
    /// The command line and the bundle name different templates for one model.
    #[error("--template {found}: the bundle has `{expected}`; it was made for that one")]
    OtherTemplate {
        /// As the command line has it, with the score model's name if it is one's.
        found: String,
        /// As the bundle has it.
        expected: String,
    },
    /// A template was given for a score model that is not there.
    #[error("--template {name}=…: no score model is called `{name}`; there are: {known}")]
    UnknownScoreModel {
        /// The name that was given.
        name: String,
        /// The names of all score models.
        known: String,
    },
    /// A number of candidates was given, and nothing says which setting of a bundle's policy takes it.
    #[error(
        "--n: nothing says which setting of {policy} is its number of candidates; add `candidates = \"NAME OF THE SETTING\"` to `[methods.{method}]` in the bundle's manifest, or leave out --n"
    )]
    Candidates {
        /// The method.
        method: String,
        /// The policy's file.
        policy: String,
    },
    /// `--budget` holds no number.
    #[error("--budget {found}: expected a number above 0, or NAME=NUMBER")]
    Budget {
        /// What was given.
        found: String,
        /// What is wrong with it.
        source: ParseFloatError,
    },
    /// A budget was given, and the bundle has no constraint.
    #[error("--budget: the bundle has no constraint")]
    NoConstraint,
    /// `--probe` for a model that no engine serves.
    #[error("--probe {found}: no model in an engine uses it; probes can be given as: {known}")]
    UnknownProbe {
        /// What was given.
        found: String,
        /// The probes that some model in an engine uses.
        known: String,
    },
    /// Two probes were given for one model.
    #[error("--probe {found}: this model has been given a probe already")]
    ProbeTwice {
        /// The second one.
        found: String,
    },
    /// A key is to be encrypted, and there is no password.
    #[error("--encrypt: put a password into the variable INFERGUARD_KEY_PASSWORD")]
    NoPassword,
    /// The file of a new key exists.
    #[error("{}: there is a file already, and no key is overwritten", path.display())]
    KeyExists {
        /// The file.
        path: PathBuf,
    },
    /// The file of a new key could not be written.
    #[error("{} could not be written", path.display())]
    KeyWrite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("{} could not be written", path.display())]
    FileWrite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No key could be made.
    #[error(transparent)]
    NewKey(Box<SignatureError>),
    /// The file of a component cannot be read.
    #[error("{name}: cannot be read")]
    ComponentFile {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// There is no such component.
    #[error("{name}: no such file, and no first-party component ({known})")]
    NoComponent {
        /// What was named.
        name: String,
        /// The first-party components.
        known: String,
    },
    /// A key's file cannot be read.
    #[error("{}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file with the certificates of engines cannot be read.
    #[error("--engine-ca {}", path.display())]
    EngineAuthority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A time that no engine needs.
    #[error("--engine-timeout {found}: expected 1 to {most} seconds")]
    EngineTimeout {
        /// The seconds.
        found: u32,
        /// The most.
        most: u32,
    },
    /// A secret key cannot be used.
    #[error("{} (password: INFERGUARD_KEY_PASSWORD)", path.display())]
    SigningKey {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: Box<SignatureError>,
    },
    /// A public key cannot be used.
    #[error("{}", path.display())]
    VerifyingKey {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: Box<SignatureError>,
    },
    /// Records would be appended without a signature to a file of signed ones.
    #[error(
        "{}: its records are signed, and one without a signature would spoil them; give --record-key, or another file",
        path.display()
    )]
    UnsignedRecords {
        /// The file.
        path: PathBuf,
    },
    /// `--engine` names no engine.
    #[error("--engine {found}: unknown; write vllm=URL[,URL...] or llamacpp=URL")]
    UnknownEngine {
        /// What was given.
        found: String,
    },
    /// `--engine` without a folder.
    #[error(
        "--engine needs --model DIR: the folder with tokenizer.json, config.json and template of the model that the engine serves"
    )]
    NoEngineFolder,
    /// An option that an engine does not have.
    #[error("{option} does not fit --engine {engine}; leave it out")]
    EngineOption {
        /// The option.
        option: &'static str,
        /// The engine.
        engine: &'static str,
    },
    /// An option about an engine, and no engine.
    #[error("{option} needs --engine")]
    EngineOptionAlone {
        /// The option.
        option: &'static str,
    },
    /// The program was built without the feature `engines`.
    #[error("{option}: this build runs every model itself; build it with the feature engines, or leave it out")]
    NoEngines {
        /// The option or command.
        option: String,
    },
    /// A probe's file is not a probe.
    #[cfg(feature = "engines")]
    #[error("{}", path.display())]
    Probe {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ProbeError,
    },
    /// An engine cannot be used.
    #[cfg(feature = "engines")]
    #[error(transparent)]
    Remote(Box<RemoteError>),
    /// A model computes no numbers.
    #[error("its logits for `{text}` hold NaN or infinity; check the weights and the number format")]
    NotFinite {
        /// The text.
        text: &'static str,
    },
    /// Two devices do not compute the same.
    #[error("{devices} are further apart than {most}, as a share of the largest number")]
    Apart {
        /// The two devices.
        devices: String,
        /// The most.
        most: f32,
    },
    /// A model that was loaded fails.
    #[error(transparent)]
    Run(#[from] ModelError),
    /// A text has no tokens.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A manifest's text cannot be changed.
    #[error("bundle.toml")]
    ManifestText(#[source] toml_edit::TomlError),
    /// A key of the manifest is not a table.
    #[error("`{key}` is no table")]
    NoTable {
        /// The key.
        key: String,
    },
    /// A bundle reads a score model that was not given.
    #[error("there is no score model `{name}`")]
    NoSuchScoreModel {
        /// Its name.
        name: String,
    },
    /// A text was to be priced without a model, and a cost reads more than text.
    #[error("cost `{cost}` of the bundle {bundle} reads more than text; give the models with --model and --score")]
    ReadsModel {
        /// The bundle's name.
        bundle: String,
        /// The cost.
        cost: String,
    },
    /// A component fails on a text.
    #[error(transparent)]
    Priced(#[from] RoleFailure),
    /// `bundle pin` without a bundle to write.
    #[error("name the bundle to write: --bundle DIR")]
    NoBundleNamed,
    /// A file of records cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// `--template-date` is not a date.
    #[error(transparent)]
    Date(#[from] NoDate),
    /// A name stands for no model, or the hub does not give it.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A bundle cannot be opened.
    #[error(transparent)]
    Bundle(Box<BundleError>),
    /// A model cannot be loaded.
    #[error(transparent)]
    Model(Box<CandleError>),
    /// An engine cannot be built.
    #[error(transparent)]
    Engine(Box<EngineError>),
    /// The sandbox does not start.
    #[error(transparent)]
    Sandbox(Box<SandboxError>),
    /// A changed manifest cannot be written.
    #[error(transparent)]
    Manifest(#[from] toml::ser::Error),
    /// The manifest that the program carries is not UTF-8.
    #[error(transparent)]
    Text(#[from] std::string::FromUtf8Error),
}

from_boxed!(
    CatalogError:
    Bundle(BundleError),
    Model(CandleError),
    Engine(EngineError),
    Sandbox(SandboxError)
);

#[cfg(feature = "engines")]
from_boxed!(CatalogError: Remote(RemoteError));
