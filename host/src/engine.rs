//! Runs requests.

use crate::{
    CancelToken, EngineError, Event, ModelIdentity, Output, Progress, Request,
    beams::Beams,
    deployment::Deployment,
    driver::Driver,
    output::Origin,
    request::ValidRequest,
    scores::{ScoreModels, Scores},
};
use inferenceguard_model::{Model, ModelInfo, Tokenizer};
use inferenceguard_search::{Finish, Need, Outcome, SearchError, Session, Vocabulary};
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

/// A model under guard. One request runs at a time; others wait for it.
pub struct Engine {
    deployment: Deployment,
    info: ModelInfo,
    tokenizer: Arc<dyn Tokenizer>,
    back_ends: Mutex<BackEnds>,
}

struct BackEnds {
    model: Box<dyn Model>,
    scores: ScoreModels,
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
        f.debug_struct("Engine").field("model", &self.info.name).finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn new(deployment: Deployment, model: Box<dyn Model>, scores: ScoreModels) -> Self {
        let (info, tokenizer) = (model.info().clone(), model.tokenizer());
        Self { deployment, info, tokenizer, back_ends: Mutex::new(BackEnds { model, scores }) }
    }

    /// The language model.
    #[must_use]
    pub fn model(&self) -> &ModelInfo {
        &self.info
    }

    /// The methods a request may name.
    #[must_use]
    pub fn methods(&self) -> Vec<&str> {
        self.deployment.methods().collect()
    }

    /// What the back ends hold. Between requests: nothing.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`].
    pub fn held(&self) -> Result<Held, EngineError> {
        let back_ends = self.lock()?;
        let scored = back_ends.scores.values().map(|model| model.live_rows()).sum();
        Ok(Held { beams: back_ends.model.live_beams(), scored })
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`EngineError`]; [`EngineError::is_request`] tells whose fault it is.
    pub fn generate(&self, request: Request) -> Result<Output, EngineError> {
        self.stream(request, &CancelToken::new(), |_| {})
    }

    /// Answers a request and reports on the way. Text arrives as soon as the request's release rule and the audit
    /// allow, in order, and is never taken back.
    ///
    /// # Errors
    /// As [`Engine::generate`].
    pub fn stream(
        &self,
        request: Request,
        cancel: &CancelToken,
        mut on_event: impl FnMut(Event),
    ) -> Result<Output, EngineError> {
        let start = Instant::now();
        let mut back_ends = self.lock()?;
        let valid = ValidRequest::new(request, &self.deployment, back_ends.model.as_ref(), &back_ends.scores)?;
        let origin = Origin {
            bundle: self.deployment.identity.clone(),
            model: ModelIdentity::from(&self.info),
            method: valid.method.clone(),
            seed: valid.config.seed,
            seconds: 0.0,
            trace: None,
        };
        let session = self.run(&mut back_ends, valid, cancel, &mut on_event)?;
        let outcome = session.outcome().cloned().ok_or_else(unfinished)?;
        release_rest(&outcome, session.released(), &mut on_event);
        let trace = session.trace().cloned();
        Ok(Output::new(outcome, Origin { seconds: start.elapsed().as_secs_f64(), trace, ..origin }))
    }

    fn run(
        &self,
        back_ends: &mut BackEnds,
        valid: ValidRequest,
        cancel: &CancelToken,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Session, EngineError> {
        let ready = self.deployment.method(&valid.method)?;
        let mut driver = Driver {
            beams: Beams::new(back_ends.model.as_mut()),
            scores: Scores::new(&mut back_ends.scores, valid.prompt.clone(), Arc::clone(&self.tokenizer)),
            roles: ready.roles.open()?,
        };
        let mut session = Session::new(
            valid.config,
            ready.info.clone(),
            self.vocabulary(),
            &valid.prompt,
            valid.prompt_tokens,
            Arc::clone(&self.tokenizer),
        )?;
        if valid.record {
            session.record();
        }
        drive(&mut session, &mut driver, cancel, on_event)?;
        Ok(session)
    }

    fn vocabulary(&self) -> Vocabulary {
        let size = u32::try_from(self.info.vocab).unwrap_or(u32::MAX);
        Vocabulary { size, eos: self.info.eos.clone(), special: self.info.special.clone() }
    }

    fn lock(&self) -> Result<MutexGuard<'_, BackEnds>, EngineError> {
        self.back_ends.lock().map_err(|_| EngineError::Poisoned)
    }
}

fn drive(
    session: &mut Session,
    driver: &mut Driver<'_>,
    cancel: &CancelToken,
    on_event: &mut dyn FnMut(Event),
) -> Result<(), EngineError> {
    let (mut released, mut cancelled) = (0, false);
    loop {
        if cancel.is_cancelled() && !cancelled {
            session.cancel();
            cancelled = true;
        }
        let need = session.next()?;
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

/// What the end of the request released: the outcome is audited as a whole.
fn release_rest(outcome: &Outcome, released: &str, on_event: &mut dyn FnMut(Event)) {
    let rest = outcome.text.strip_prefix(released).unwrap_or_default();
    if !rest.is_empty() && outcome.finish != Finish::Cancelled {
        on_event(Event::Released { text: rest.to_owned() });
    }
}

fn unfinished() -> SearchError {
    SearchError::Protocol { need: "nothing", answer: "no outcome".to_owned() }
}
