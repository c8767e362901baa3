//! Runs requests.

use crate::{
    CancelToken, EngineError, Event, Generation, Inputs, Models, Output, Progress, Request, Roles,
    beams::Beams,
    blueprint::Blueprint,
    deployment::Deployment,
    driver::Driver,
    follow::Follow,
    gate::Gate,
    instances::Instances,
    lanes::{Lanes, Prepared},
    likeliest::likeliest,
    profile::Stopwatch,
    request::ValidRequest,
    scores::{ScoreModels, Scores},
    templates,
};
use inferenceguard_bundle::Bundle;
use inferenceguard_model::{Model, ModelIdentity, ModelInfo, ScoreModel, SharedModel, SharedScoreModel, Tokenizer};
use inferenceguard_search::{Need, Origin, Profile, RolesInfo, Sampling, SearchError, Session, Vocabulary};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// How many requests run at once if nothing else is said.
const MAX_LIVE: usize = 8;

/// A model under guard. Any number of threads may ask it; each request runs on the thread that asks, and steps of the
/// model that wait for one another are made as one.
pub struct Engine {
    blueprint: Blueprint,
    lanes: Lanes,
    /// Held while a bundle is prepared: one activation after the other.
    activating: Mutex<()>,
    gate: Gate,
    instances: Instances,
    model: SharedModel,
    scores: BTreeMap<String, SharedScoreModel>,
    models: Models,
}

/// What the back ends hold for requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
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
        model: Box<dyn Model>,
        scores: BTreeMap<String, SharedScoreModel>,
        max_live: Option<usize>,
    ) -> Self {
        let (lanes, gate) = (Lanes::new(deployment), Gate::new(max_live.unwrap_or(MAX_LIVE)));
        let scored = scores.iter().map(|(name, model)| (name.clone(), ModelIdentity::from(model.info())));
        let models = Models { model: ModelIdentity::from(model.info()), scores: scored.collect() };
        let model = SharedModel::new(model);
        let (activating, instances) = (Mutex::new(()), Instances::new());
        Self { blueprint, lanes, activating, gate, instances, model, scores, models }
    }

    /// Whether the models make prompts as a bundle wants them made.
    pub(crate) fn check_templates(&self, bundle: &Bundle) -> Result<(), EngineError> {
        templates::check(bundle.manifest(), &self.model, &self.score_models())
    }

    /// Whether the back ends have all that the roles read.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        self.current().check(&mut self.model.clone(), &self.score_models(), &self.models)
    }

    /// The language model.
    #[must_use]
    pub fn model(&self) -> &ModelInfo {
        self.model.info()
    }

    /// Which models these are: the language model and the score models, by digest.
    #[must_use]
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The name of a model that panicked in an earlier call, if there is one: requests that need it fail, and only another
    /// engine helps.
    #[must_use]
    pub fn broken(&self) -> Option<&str> {
        let language = self.model.is_broken().then(|| self.model.info().name.as_str());
        language.or_else(|| self.scores.iter().find(|(_, model)| model.is_broken()).map(|(name, _)| name.as_str()))
    }

    /// Its tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.model.tokenizer()
    }

    /// How the model is sampled where a request says nothing.
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
    pub fn held(&self) -> Held {
        let scored = self.scores.values().map(ScoreModel::live_rows).sum();
        Held { beams: self.model.live_beams(), scored }
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

    /// What decides for requests that begin now.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.current().generation()
    }

    /// Puts another bundle in place, under running requests: with the methods, components, budgets and settings that
    /// this engine was built with. Compiling, configuring and checking happen on this thread while requests go on; the
    /// same components are not compiled again. When it returns, every request that begins is decided by the new bundle;
    /// those under way are finished by the one they began with.
    ///
    /// # Errors
    /// As [`crate::EngineBuilder::build`]; the old bundle then stays.
    pub fn activate(&self, bundle: &Bundle) -> Result<Generation, EngineError> {
        let _one = self.activating.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.install(None, self.prepare(bundle)?))
    }

    /// The first half of [`Engine::activate`]: everything that takes time or can fail. Nothing changes yet.
    ///
    /// # Errors
    /// As [`crate::EngineBuilder::build`].
    pub fn prepare(&self, bundle: &Bundle) -> Result<Prepared, EngineError> {
        self.check_templates(bundle)?;
        let authors = self.model.info().sampling;
        let mut next = self.instances.for_activation(|| self.blueprint.later(bundle, authors))?;
        next.check(&mut self.model.clone(), &self.score_models(), &self.models)?;
        next.generation = self.lanes.next_number();
        Ok(Prepared(Arc::new(next)))
    }

    /// The second half: from now on it decides for requests that begin in this lane, `None` being the lane of requests
    /// that name none. A lane is made by what is installed in it first.
    pub fn install(&self, lane: Option<&str>, prepared: Prepared) -> Generation {
        self.lanes.install(lane, prepared)
    }

    /// Removes a lane; requests that name it are errors from now on, those under way go on.
    pub fn close(&self, lane: &str) {
        self.lanes.close(lane);
    }

    /// What decides for requests that begin in this lane now.
    ///
    /// # Errors
    /// [`EngineError::UnknownLane`].
    pub fn generation_in(&self, lane: Option<&str>) -> Result<Generation, EngineError> {
        Ok(self.lanes.get(lane)?.generation())
    }

    /// The largest number that a generation of this engine has had, whether it decided or not.
    #[must_use]
    pub fn newest_number(&self) -> u64 {
        self.lanes.newest_number()
    }

    /// Gives only larger numbers from now on. For those who remember what ran before.
    pub fn number_beyond(&self, number: u64) {
        self.lanes.number_beyond(number);
    }

    fn current(&self) -> Arc<Deployment> {
        self.lanes.main()
    }

    /// The back ends, for one who asks alone.
    pub(crate) fn back_ends(&self) -> (SharedModel, ScoreModels) {
        (self.model.clone(), self.score_models())
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

    fn score_models(&self) -> ScoreModels {
        let boxed = |(name, model): (&String, &SharedScoreModel)| {
            (name.clone(), Box::new(model.clone()) as Box<dyn ScoreModel>)
        };
        self.scores.iter().map(boxed).collect()
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`EngineError`]; [`EngineError::is_request`] tells whose fault it is.
    pub fn generate(&self, request: Request) -> Result<Output, EngineError> {
        self.stream(request, &CancelToken::new(), |_| {})
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
        mut on_event: impl FnMut(Event),
    ) -> Result<Output, EngineError> {
        let start = Instant::now();
        let _place = self.gate.enter(cancel)?;
        let deployment = self.lanes.get(request.lane.as_deref())?;
        let (mut model, mut scores) = (self.model.clone(), self.score_models());
        let (request, earlier) = self.less_spent(&deployment, request, cancel)?;
        let request_of = request.clone();
        let valid = ValidRequest::new(request, &deployment, &model, &scores)?;
        let origin = Origin {
            bundle: deployment.identity.clone(),
            generations: Vec::new(),
            migrations: Vec::new(),
            lane: request_of.lane.clone(),
            models: self.models.clone(),
            method: valid.method.clone(),
            seed: valid.config.seed,
            seconds: 0.0,
            profile: Profile::default(),
            trace: None,
            inputs: valid.record.then(|| inputs(&deployment, &valid)).transpose()?,
            top_logprobs: Vec::new(),
            refusal: valid.config.refusal.clone(),
        };
        let prompt = valid.prompt_tokens.clone();
        let mut follow = Follow::new(self, &deployment, &request_of);
        let roles = &deployment.method(&valid.method)?.roles;
        let (roles, holder) = self.instances.for_request(cancel, || roles.open())?;
        let queue = start.elapsed().as_secs_f64();
        let models = (&mut model, &mut scores);
        let ran = run(&deployment, models, roles, valid, cancel, &mut follow, &mut on_event);
        drop(holder);
        let (session, watch) = ran?;
        let outcome = session.outcome().cloned().ok_or_else(unfinished)?.after(earlier);
        let trace = session.trace().cloned();
        let top_logprobs = likeliest(&mut model, &prompt, &outcome, request_of.top_logprobs, cancel)?;
        // What was recorded is what was decided by: with the constraints that came later.
        let inputs = origin.inputs.map(|inputs| Inputs { config: session.config().clone(), ..inputs });
        let (generations, migrations) = (follow.generations, follow.migrations);
        let seconds = start.elapsed().as_secs_f64();
        let profile = watch.profile(queue, seconds);
        let origin = Origin { seconds, profile, trace, inputs, generations, migrations, top_logprobs, ..origin };
        Ok(Output::new(outcome, origin))
    }
}

fn run(
    deployment: &Deployment,
    (model, scores): (&mut SharedModel, &mut ScoreModels),
    roles: Roles,
    valid: ValidRequest,
    cancel: &CancelToken,
    follow: &mut Follow<'_>,
    on_event: &mut dyn FnMut(Event),
) -> Result<(Session, Stopwatch), EngineError> {
    let ready = deployment.method(&valid.method)?;
    let (tokenizer, vocabulary) = (model.tokenizer(), vocabulary(model.info()));
    let mut driver = Driver {
        beams: Beams::new(model),
        scores: Scores::new(scores, valid.messages, Arc::clone(&tokenizer)),
        roles,
        more: Vec::new(),
        forced: None,
        watch: Stopwatch::default(),
    };
    let mut session =
        Session::new(valid.config, ready.info.clone(), vocabulary, &valid.prompt, valid.prompt_tokens, tokenizer)?;
    if valid.record {
        session.record();
    }
    on_event(Event::Begun);
    drive(&mut session, &mut driver, cancel, Some(follow), on_event)?;
    Ok((session, driver.watch))
}

fn inputs(deployment: &Deployment, valid: &ValidRequest) -> Result<Inputs, EngineError> {
    Ok(Inputs {
        config: valid.config.clone(),
        roles: deployment.method(&valid.method)?.info.clone(),
        // The last message is the prompt.
        history: valid.messages.split_last().map(|(_, before)| before.to_vec()).unwrap_or_default(),
        prompt: valid.prompt.clone(),
        prompt_tokens: valid.prompt_tokens.clone(),
    })
}

pub(crate) fn vocabulary(info: &ModelInfo) -> Vocabulary {
    let size = u32::try_from(info.vocab).unwrap_or(u32::MAX);
    Vocabulary { size, eos: info.eos.clone(), special: info.special.clone() }
}

pub(crate) fn drive(
    session: &mut Session,
    driver: &mut Driver<'_>,
    cancel: &CancelToken,
    mut follow: Option<&mut Follow<'_>>,
    on_event: &mut dyn FnMut(Event),
) -> Result<(), EngineError> {
    let (mut released, mut cancelled) = (0, false);
    loop {
        if cancel.is_cancelled() && !cancelled {
            session.cancel();
            cancelled = true;
        }
        if let Some(follow) = follow.as_deref_mut().filter(|_| session.between_chunks()) {
            follow.newest(session, driver)?;
        }
        let need = session.next();
        match &need {
            Need::Nothing => return Ok(()),
            Need::Select(batch) => on_event(Event::Progress(Progress::of(batch))),
            _ => {}
        }
        let (answer, seen) = driver.perform(need)?;
        if let Some(batch) = seen {
            session.filled(batch);
        }
        session.feed(answer)?;
        let text = session.released();
        if let Some(new) = text.get(released..).filter(|new| !new.is_empty()) {
            on_event(Event::Released { text: new.to_owned() });
            released = text.len();
        }
    }
}

pub(crate) fn unfinished() -> SearchError {
    SearchError::Protocol { need: "nothing", answer: "no outcome".to_owned() }
}
