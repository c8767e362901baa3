//! Engines over the toy model: with roles in plain Rust, or with a bundle of first-party components.

use crate::{
    components,
    roles::{self, BestSafe, Recursion, ScoreCost},
};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{Engine, EngineBuilder, EngineError, Roles};
use inferenceguard_model::{LockedBackEnd, fake::FakeEngine, toy::ToyScript};
use inferenceguard_search::{Cost, CostKind, Needs, SearchConfig};
use std::sync::Arc;

/// `bad` pays most and costs most.
pub const SCRIPT: &str = "vocab: <eos>* good bad plain
context: 64
after : good 3, plain 3, bad 3, <eos> 1
score cost: bad 5
score reward cumulative: good 1, bad 3";

/// Adds the language model and the score models of a script.
///
/// # Panics
/// If the script cannot be read.
#[must_use]
pub fn with_models(builder: EngineBuilder, script: &str) -> EngineBuilder {
    let toy = ToyScript::parse(script).expect("a script of the toy model");
    let builder = builder.model(Box::new(toy.model()));
    toy.scores().into_iter().fold(builder, |builder, score| builder.score_model(Box::new(score)))
}

/// A builder with the score models of a script, whose language model runs in a fake engine that `change` spoils.
///
/// # Panics
/// If the script cannot be read.
#[must_use]
pub fn faked(script: &str, change: impl FnOnce(FakeEngine) -> FakeEngine) -> EngineBuilder {
    let toy = ToyScript::parse(script).expect("a script of the toy model");
    let honest = FakeEngine::new(Arc::new(LockedBackEnd::new(Box::new(toy.model()))), "").expect("no faults");
    let builder = EngineBuilder::new().back_end(Arc::new(change(honest)));
    toy.scores().into_iter().fold(builder, |builder, score| builder.score_model(Box::new(score)))
}

/// A bundle of this manifest with all first-party components.
///
/// # Panics
/// If the manifest does not fit.
#[must_use]
pub fn bundle(manifest: &str) -> Bundle {
    Bundle::from_parts(manifest, components::files()).expect("a bundle")
}

/// One constraint `harm` with this budget, discounted by 0.999; seed 1.
#[must_use]
pub fn config(budget: f64) -> SearchConfig {
    let mut harm = roles::constraint("harm", "harm", budget);
    harm.constraint.gamma = 0.999;
    SearchConfig { seed: 1, refusal: "I cannot help with that.".into(), ..roles::config(harm) }
}

/// A search over chunks of four tokens, eight candidates of which two are kept.
#[must_use]
pub fn roles() -> Roles {
    let costs: [(&str, Box<dyn Cost>); 2] =
        [("harm", ScoreCost::new("cost", CostKind::Safety)), ("reward", ScoreCost::new("reward", CostKind::Task))];
    roles_of(BestSafe { needs: Needs::default(), width: 8, chunk_len: 4, keep: 2 }, costs)
}

/// This policy over the recursion and these costs, by name.
#[must_use]
pub fn roles_of(policy: BestSafe, costs: [(&str, Box<dyn Cost>); 2]) -> Roles {
    Roles {
        policy: Box::new(policy),
        tracker: Box::new(Recursion),
        critic: None,
        steering: None,
        costs: costs.into_iter().map(|(name, cost)| (name.to_owned(), cost)).collect(),
    }
}

/// An engine with this configuration and these roles.
///
/// # Errors
/// As [`EngineBuilder::build`].
pub fn build(script: &str, config: SearchConfig, roles: fn() -> Roles) -> Result<Engine, EngineError> {
    with_models(EngineBuilder::new().config(config).roles("native", roles), script).build()
}

/// An engine with [`config`] and [`roles()`].
///
/// # Panics
/// If the script or the budget does not fit.
#[must_use]
pub fn engine(script: &str, budget: f64) -> Engine {
    build(script, config(budget), roles).expect("an engine")
}
