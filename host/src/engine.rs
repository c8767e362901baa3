//! The engine: models, deployments and the requests that share them.

use crate::{
    CancelToken, EngineError, Event, Generation, Models, Output, Request, Terms, UnderTerms,
    back_ends::{BackEnds, Handles},
    blueprint::Blueprint,
    deployment::Deployment,
    gate::Gate,
    instances::Instances,
    lanes::Lanes,
    roles::readers,
    templates,
};
use inferenceguard_bundle::Bundle;
use inferenceguard_model::{Abilities, Caller, Drain, ModelInfo, ReplicaReport, Tokenizer};
use inferenceguard_search::{EngineRun, RolesInfo, Sampling};
use std::sync::{Arc, Mutex};

/// How many requests run at once by default.
const MAX_LIVE: usize = 8;

/// A guarded model. Any number of threads may call it. A request runs on the thread of its caller; a scheduler computes one
/// step of the model for the rows of all requests.
pub struct Engine {
    pub(crate) blueprint: Blueprint,
    lanes: Lanes,
    /// Held while a bundle is prepared: one activation after the other.
    pub(crate) activating: Mutex<()>,
    gate: Gate,
    instances: Instances,
    back_ends: BackEnds,
    models: Models,
}

/// What the back ends hold for requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveBeams {
    /// Beams of the language model.
    pub beams: usize,
    /// Scored beams of all score models.
    pub scored: usize,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("model", &self.model().name).finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn new(
        blueprint: Blueprint,
        deployment: Deployment,
        back_ends: BackEnds,
        max_live: Option<usize>,
    ) -> Self {
        let (lanes, gate) = (Lanes::new(deployment), Gate::new(max_live.unwrap_or(MAX_LIVE)));
        let models = back_ends.models();
        let (activating, instances) = (Mutex::new(()), Instances::new());
        Self { blueprint, lanes, activating, gate, instances, back_ends, models }
    }

    /// Whether the models build prompts by the templates that a bundle names.
    pub(crate) fn check_templates(&self, bundle: &Bundle) -> Result<(), EngineError> {
        templates::check(bundle.manifest(), &self.handles(&Caller::default()))
    }

    /// Whether the back ends can do all that the roles need.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        self.current().check(&mut self.handles(&Caller::default()), &self.models)
    }

    /// The language model.
    #[must_use]
    pub fn model(&self) -> &ModelInfo {
        self.back_ends.language.info()
    }

    /// What the engine that runs the language model can do. A bundle that needs more is not activated.
    #[must_use]
    pub fn abilities(&self) -> &Abilities {
        self.back_ends.language.abilities()
    }

    /// Which models these are: the language model and the score models, by digest.
    #[must_use]
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// Which model can give no answer, and why, if there is one: it panicked in an earlier call, or it is not reached or is
    /// another one than it was. Requests that need it fail until an operator acts.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        self.back_ends.broken(|_| true)
    }

    /// Its tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        Arc::clone(&self.back_ends.tokenizer)
    }

    /// How the model is sampled where a request sets nothing.
    #[must_use]
    pub fn sampling(&self) -> Sampling {
        self.current().config.sampling
    }

    /// The most answer tokens: a request may ask for fewer.
    #[must_use]
    pub fn max_tokens(&self) -> u32 {
        self.current().config.max_tokens
    }

    /// The methods a request may name.
    #[must_use]
    pub fn methods(&self) -> Vec<String> {
        self.current().methods().map(str::to_owned).collect()
    }

    /// What the roles of a method declared.
    ///
    /// # Errors
    /// [`EngineError::UnknownMethod`].
    pub fn roles(&self, method: &str) -> Result<RolesInfo, EngineError> {
        Ok(self.current().method(method)?.info.clone())
    }

    /// What the back ends hold. Between requests: nothing.
    #[must_use]
    pub fn live_beams(&self) -> LiveBeams {
        self.back_ends.live_beams()
    }

    /// The replicas on which models compute that run in engines elsewhere; none for models that compute here.
    #[must_use]
    pub fn replicas(&self) -> Vec<ReplicaReport> {
        self.back_ends.replicas()
    }

    /// Takes the replica of this URL out, as [`Engine::replicas`] writes it, or uses it again. It gets no new calls; those that it
    /// computes end there, and running requests go on at the others. Not the last replica that could answer.
    #[must_use]
    pub fn drain(&self, url: &str, drained: bool) -> Drain {
        self.back_ends.drain(url, drained)
    }

    /// The most requests that run at once.
    #[must_use]
    pub fn max_live(&self) -> usize {
        self.gate.most()
    }

    /// Requests that run.
    #[must_use]
    pub fn live(&self) -> usize {
        self.gate.counts().0
    }

    /// Requests that wait for their turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.gate.counts().1
    }

    /// Fuel that components have used so far, those of requests that ended included.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        self.blueprint.fuel()
    }

    /// The generation that decides for new requests.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.current().generation()
    }

    pub(crate) fn current(&self) -> Arc<Deployment> {
        self.lanes.main()
    }

    /// Handles on the back ends.
    pub(crate) fn handles(&self, caller: &Caller) -> Handles {
        self.back_ends.handles(caller)
    }

    /// Whether the language model, and the score models that these roles read, can answer.
    pub(crate) fn check_health(&self, info: &RolesInfo) -> Result<(), EngineError> {
        let read = |name: &str| readers(info).iter().any(|(.., needs)| needs.scores.iter().any(|one| one == name));
        self.back_ends.broken(read).map_or(Ok(()), |why| Err(EngineError::Broken { why }))
    }

    /// What runs the language model.
    pub(crate) fn ran(&self) -> EngineRun {
        self.back_ends.ran()
    }

    pub(crate) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) fn instances(&self) -> &Instances {
        &self.instances
    }

    /// The same engine under an operator's terms.
    #[must_use]
    pub fn under<'e>(&'e self, terms: &'e Terms) -> UnderTerms<'e> {
        UnderTerms { engine: self, terms }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`EngineError`]; [`EngineError::is_callers_fault`] says whether another request can help.
    pub fn generate(&self, request: Request) -> Result<Output, EngineError> {
        self.under(&Terms::default()).generate(request)
    }

    /// Answers a request and reports on the way, on this thread. Text arrives as soon as the request's release rule and
    /// the audit allow, in order, and is never taken back.
    ///
    /// # Errors
    /// As [`Engine::generate`]; [`EngineError::CancelledWaiting`] if it is cancelled before its turn.
    pub fn stream(
        &self,
        request: Request,
        cancel: &CancelToken,
        on_event: impl FnMut(Event),
    ) -> Result<Output, EngineError> {
        self.under(&Terms::default()).stream(request, cancel, on_event)
    }
}
