//! Runs one admitted request.

use crate::{
    CancelToken, EngineError, Event, Inputs, Output, Progress, Request, Roles, UnderTerms, back_ends::Handles,
    deployment::Deployment, driver::Driver, likeliest::likeliest, migrate::Migrator, notes::Notes, profile::Stopwatch,
    request::ValidRequest,
};
use inferenceguard_model::{ModelError, ModelInfo};
use inferenceguard_search::{FailureKind, Need, Origin, Role, RoleFailure, SearchError, Session, Trace, Vocabulary};
use std::time::Instant;

impl UnderTerms<'_> {
    /// Runs a request on this thread.
    pub(crate) fn run(
        &self,
        request: &Request,
        cancel: &CancelToken,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Output, EngineError> {
        let (start, engine) = (Instant::now(), self.engine);
        let _admission = engine.gate().enter(cancel)?;
        let deployment = engine.lanes().get(self.terms.lane.as_deref())?;
        engine.check_health(&deployment.requested_method(request)?.info)?;
        let (terms, mut failures) = engine.less_spent(&deployment, request, self.terms, cancel)?;
        let mut handles = engine.handles(&terms.caller(cancel));
        let valid = ValidRequest::new(request, &terms, &deployment, &handles)?;
        let (method, prompt) = (valid.method.clone(), valid.prompt_tokens.clone());
        let inputs = valid.record.then(|| inputs(&deployment, &valid)).transpose()?;
        let mut migrator = Migrator::new(engine, &deployment, request, self.terms);
        let roles = &deployment.method(&method)?.roles;
        let (roles, holder) = engine.instances().for_request(cancel, || roles.open())?;
        let queue = start.elapsed().as_secs_f64();
        let ran = run(&deployment, (engine.model(), &mut handles), roles, valid, cancel, &mut migrator, on_event);
        drop(holder);
        let Ended { session, watch, notes, error } = ran?;
        failures.append(&mut migrator.failures);
        let outcome = session.outcome().cloned().ok_or_else(unfinished)?.after(failures);
        let likeliest = match error {
            None => likeliest(handles.language.as_mut(), &prompt, &outcome, request.top_logprobs, cancel),
            Some(error) => Err(error),
        };
        let (top_logprobs, error) = likeliest.map_or_else(|error| (Vec::new(), Some(error)), |top| (top, None));
        let (seconds, config) = (start.elapsed().as_secs_f64(), session.config());
        let origin = Origin {
            bundle: deployment.identity.clone(),
            generations: migrator.generations,
            migrations: migrator.migrations,
            lane: terms.lane,
            models: engine.models().clone(),
            ran: engine.ran(),
            method,
            seed: config.seed,
            seconds,
            profile: watch.profile(queue, seconds),
            notes: notes.of(&outcome.tokens),
            trace: session.trace().map(|trace| Trace { notes: notes.into_all(), ..trace.clone() }),
            // With the constraints that came while it ran.
            inputs: inputs.map(|inputs| Inputs { config: config.clone(), ..inputs }),
            top_logprobs,
            refusal: config.refusal.clone(),
        };
        let output = Output::new(outcome, origin);
        match error {
            None => Ok(output),
            Some(error) => Err(cut_off(output, error, on_event)),
        }
    }
}

/// A session at its end. The error is that of a request of which text was released before.
struct Ended {
    session: Session,
    watch: Stopwatch,
    notes: Notes,
    error: Option<EngineError>,
}

/// Reports what was released before an error; gives the error back.
fn cut_off(mut output: Output, error: EngineError, on_event: &mut dyn FnMut(Event)) -> EngineError {
    output.refusal = None;
    on_event(Event::CutOff { output: Box::new(output) });
    error
}

fn run(
    deployment: &Deployment,
    (info, handles): (&ModelInfo, &mut Handles),
    roles: Roles,
    valid: ValidRequest,
    cancel: &CancelToken,
    migrator: &mut Migrator<'_>,
    on_event: &mut dyn FnMut(Event),
) -> Result<Ended, EngineError> {
    let ready = deployment.method(&valid.method)?;
    let (tokenizer, vocabulary) = (handles.language.tokenizer(), vocabulary(info));
    let mut driver = Driver::new(handles, valid.method, valid.messages, (roles, &ready.info));
    let mut session =
        Session::new(valid.config, ready.info.clone(), vocabulary, &valid.prompt, valid.prompt_tokens, tokenizer)?;
    if valid.record {
        session.record();
    }
    on_event(Event::Begun);
    let error = match drive(&mut session, &mut driver, cancel, Some(migrator), on_event) {
        Ok(()) => None,
        Err(error) if session.released().is_empty() => return Err(error),
        Err(error) => {
            if cancel.is_cancelled() {
                session.cancel();
            } else {
                session.cut_off(engine_failure(&error));
            }
            Some(error)
        }
    };
    Ok(Ended { session, watch: driver.watch, notes: driver.notes, error })
}

fn engine_failure(error: &EngineError) -> RoleFailure {
    let kind = FailureKind::Refused(error.to_string());
    RoleFailure { role: Role::Model, component: "engine".to_owned(), kind }
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
    mut migrator: Option<&mut Migrator<'_>>,
    on_event: &mut dyn FnMut(Event),
) -> Result<(), EngineError> {
    let (mut released, mut cancelled) = (0, false);
    loop {
        if cancel.is_cancelled() && !cancelled {
            session.cancel();
            cancelled = true;
        }
        if let Some(migrator) = migrator.as_deref_mut().filter(|_| session.between_chunks()) {
            migrator.catch_up(session, driver, cancel)?;
        }
        let need = session.next();
        match &need {
            Need::Nothing => return Ok(()),
            Need::Select(batch) => on_event(Event::Progress(Progress::of(batch))),
            _ => {}
        }
        match driver.perform(need) {
            // It ended because of the cancellation; the next turn cancels the session.
            Err(EngineError::Model(ModelError::Cancelled)) if cancel.is_cancelled() && !cancelled => continue,
            Err(error) => return Err(error),
            Ok((answer, Some(batch))) => session.feed_filled(batch, answer)?,
            Ok((answer, None)) => session.feed(answer)?,
        }
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
