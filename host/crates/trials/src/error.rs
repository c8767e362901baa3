//! What can go wrong in a trial.

use inferenceguard_bundle::BundleError;
use inferenceguard_candle::CandleError;
use inferenceguard_catalog::CatalogError;
use inferenceguard_eval::EvalError;
use inferenceguard_host::{EngineError, schedule::StartError};
use inferenceguard_model::{ModelError, TokenizerError, from_boxed, from_through};
use inferenceguard_sandbox::SandboxError;
use inferenceguard_search::RoleFailure;
use std::{
    io,
    path::{Path, PathBuf},
};

/// A trial that cannot begin or go on. Each variant says what was found and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// An option is out of its range.
    #[error("{problem}")]
    Option {
        /// Which option, and what it expects.
        problem: &'static str,
    },
    /// An option has a value that its type does not have.
    #[error("{option} {found}")]
    Value {
        /// The option.
        option: &'static str,
        /// Its value.
        found: String,
        /// What is expected.
        source: serde_json::Error,
    },
    /// The paper's recipes need their models and prompts.
    #[error(
        "--recipe {recipe} needs the folders of its models and the prompts: --model DIR --score reward=DIR --score cost=DIR --prompts FILE"
    )]
    RecipeModels {
        /// The recipe.
        recipe: &'static str,
    },
    /// The recipe of a public model needs the model and prompts.
    #[error(
        "--recipe {recipe} needs the model and the prompts: --model FILE.gguf --prompts FILE, with an `intent` in each line; and \
         --judge for harm that is not the cost's own"
    )]
    RecipeModel {
        /// The recipe.
        recipe: &'static str,
    },
    /// The recipe needs prompts of both intents.
    #[error(
        "--recipe {recipe}: {name} has {harmful} prompts with the `intent` \"harmful\" and {benign} with \"benign\"; expected both: \
         harm is counted on the first, refusals on the second"
    )]
    RecipePrompts {
        /// The recipe.
        recipe: &'static str,
        /// The prompts' name.
        name: String,
        /// How many ask for harm.
        harmful: usize,
        /// How many are benign.
        benign: usize,
    },
    /// No row is left.
    #[error("none of {rows} rows can be run, {row} because: {why}")]
    NothingToRun {
        /// How many were skipped.
        rows: usize,
        /// The first of them.
        row: String,
        /// Why it cannot be run.
        why: String,
    },
    /// Something is missing that the evaluation would open.
    #[error("not ready, {count} missing or wrong: {problems}")]
    NotReady {
        /// How many problems.
        count: usize,
        /// All of them.
        problems: String,
    },
    /// A file holds no measurements.
    #[error(
        "--measured {}: {found}; expected what `inferguard bench --json` printed, or the report.json of an earlier `inferguard eval`",
        path.display()
    )]
    Measured {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        found: String,
    },
    /// `--methods` is empty.
    #[error("--methods names none; give at least one, such as base")]
    NoMethods,
    /// `--methods` holds an unknown name.
    #[error("--methods also takes `all` and `always-refuse`")]
    Methods(#[source] Box<EngineError>),
    /// Two models of an evaluation have one name.
    #[error("--models: two are called `{name}`; give each its own name, as NAME=DIR")]
    ModelTwice {
        /// The name.
        name: String,
    },
    /// `--judge` names no judge.
    #[error("--judge {found}: {problem}")]
    Judge {
        /// What was given.
        found: String,
        /// What is wrong, and what is expected.
        problem: &'static str,
    },
    /// `--bundle-for` does not have the form `NAME=DIR`.
    #[error("--bundle-for {found}: expected NAME=DIR, NAME being a model's")]
    BundleFor {
        /// What was given.
        found: String,
    },
    /// `--bundle-for` names a model that is not there.
    #[error("--bundle-for {found}: no model is called `{name}`; there are: {known}")]
    BundleForUnknown {
        /// What was given.
        found: String,
        /// The name in it.
        name: String,
        /// The names of all models.
        known: String,
    },
    /// An evaluation of no models.
    #[error("there is no model to evaluate")]
    NoModel,
    /// The bundle has no constraint, and the trial needs one.
    #[error("{bundle} has no constraint")]
    NoConstraint {
        /// Which bundle, or which option needs the constraint.
        bundle: &'static str,
    },
    /// Several constraints, and none was chosen.
    #[error("name one constraint with --constraint; there is: {known}")]
    WhichConstraint {
        /// Their names.
        known: String,
    },
    /// A constraint that the bundle does not have.
    #[error("no constraint `{name}`; there is: {known}")]
    UnknownConstraint {
        /// What was asked for.
        name: String,
        /// The names of all constraints.
        known: String,
    },
    /// A baseline cannot be compared with.
    #[error("a baseline is recorded with --update")]
    Baseline(#[source] EvalError),
    /// Answers that are within budget, and beyond it when they are priced from scratch.
    #[error("{count} answers with status within_budget exceed it when priced from scratch; this is a bug")]
    Unconfirmed {
        /// How many.
        count: usize,
    },
    /// Figures are worse than recorded.
    #[error("worse than recorded in {}: {worse}", path.display())]
    Worse {
        /// The baseline's file.
        path: PathBuf,
        /// Each figure, its old value, and its new value.
        worse: String,
    },
    /// Multipliers would be chosen on prompts that are evaluated.
    #[error(
        "--tune-lambda: {prompt:?} is a prompt of the evaluation too; tune on others (--tune-prompts FILE, or leave out --split validation)"
    )]
    TunedOnTest {
        /// The prompt.
        prompt: String,
    },
    /// The row of a model cannot be built.
    #[error("{row} ({model})")]
    Row {
        /// The row's label.
        row: String,
        /// The model's name.
        model: String,
        /// Why.
        source: Box<TrialError>,
    },
    /// A case of a bench failed.
    #[error("{case}")]
    Case {
        /// Method, number of candidates and concurrency.
        case: String,
        /// Why.
        source: Box<TrialError>,
    },
    /// A request of a bench got no answer, so that its time says nothing.
    #[error("a request {how}; expected an answer to every request of a bench")]
    Unanswered {
        /// How it ended, and why.
        how: String,
    },
    /// `--peer` without models that the peer can read.
    #[error("--peer needs --shape, or --model with --score reward=DIR and --score cost=DIR")]
    PeerModels,
    /// A model that a peer should read is an id.
    #[error("--peer: {name} is not on this machine; give folders to a peer, not ids")]
    PeerModelNotHere {
        /// The model.
        name: String,
    },
    /// A peer did not measure.
    #[error("--peer {peer}: {problem}")]
    Peer {
        /// The peer.
        peer: String,
        /// What is wrong.
        problem: String,
    },
    /// A peer did not start.
    #[error("--peer {peer}: {program} did not start")]
    PeerStart {
        /// The peer.
        peer: String,
        /// Its program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A peer printed something else than a JSON object.
    #[error("--peer {peer}: expected one JSON object on its standard output")]
    PeerAnswer {
        /// The peer.
        peer: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A prompt could not be answered.
    #[error("prompt {number}: {prompt:?}")]
    Prompt {
        /// Its number, from 1.
        number: usize,
        /// Its text.
        prompt: String,
        /// Why.
        source: Box<EngineError>,
    },
    /// An answer could not be priced from scratch.
    #[error("{found}")]
    Price {
        /// What was found and what was expected.
        found: String,
    },
    /// A cost component failed while it priced an answer from scratch.
    #[error(transparent)]
    Cost(#[from] RoleFailure),
    /// A file could not be written.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No temporary folder.
    #[error("no temporary folder could be made")]
    Temporary(#[source] io::Error),
    /// A model, bundle or component could not be opened, a changed bundle does not hold, or the engine failed.
    #[error(transparent)]
    Catalog(Box<CatalogError>),
    /// Figures could not be made.
    #[error(transparent)]
    Eval(Box<EvalError>),
    /// The thread that computes on the models did not start.
    #[error(transparent)]
    Schedule(#[from] StartError),
    /// A model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A text could not be taken apart.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A changed manifest could not be written.
    #[error(transparent)]
    Manifest(#[from] toml::ser::Error),
    /// Settings could not be put into JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

from_boxed!(TrialError: Catalog(CatalogError), Eval(EvalError));
from_through!(TrialError: CatalogError: EngineError, BundleError, SandboxError, CandleError);

impl TrialError {
    /// For `map_err` on file operations.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
