//! A request as a state machine.
//!
//! ```text
//! Prefill -> Start* -> Plan -> [Step] -> Grow -> [Step -> Estimate] -> pricing -> Select
//!                       ^                 ^  pricing = Score -> Price* -> Advance*  |
//!                       |                 +---------------- retry -----------------+
//!                       +----------------------------------- keep -----------------+
//!                                                          answer -> [re-tokenised pricing] -> Nothing
//! ```
//!
//! Grow asks for whole chunks. A session that grows token by token ([`Session::token_by_token`]) takes (Sample -> Step ->
//! [Steer]) x L in its place, with the same draws.
//!
//! | file | what it does |
//! |---|---|
//! | `phases` | the phases, and which may follow which |
//! | `plan` | plan a chunk, make its candidates, how their tokens are drawn |
//! | `step` | tokens that the model has not read yet |
//! | `grow` | whole chunks: what is asked of the back end, and what is checked of its answer |
//! | `stepwise` | token by token: sample, steer |
//! | `expand` | forced tokens; the critic |
//! | `price` | score, price, advance; what `priced` and `safe` mean |
//! | `tail` | tokens that score models withhold, priced as if the answer ended, where a decision needs it |
//! | `select` | decisions, retries, fallback, backtrack, the re-tokenised check |
//! | `rows` | what each role sees |
//! | `finish` | release of text, outcome, garbage |
//! | `tighten` | constraints that come while it runs |
//!
//! **Invariant**: a beam that is not priced is neither kept nor emitted; a beam on which a component failed is never safe.
//!
//! **Invariant**: a row that the back end did not grow as asked is no candidate: no role sees it, and it is neither kept nor
//! emitted. Other rows go on. It counts in [`Usage::lost_rows`](crate::Usage), and a trace keeps its failure. A chunk of which no
//! row is left ends the request as failed, and so does a search that finds nothing fit after its newest attempt lost rows: nobody
//! knows whether anything was fit.

mod expand;
mod finish;
mod grow;
mod phases;
mod plan;
mod price;
mod rows;
mod select;
mod step;
mod stepwise;
mod tail;
mod tighten;

pub use phases::TRANSITIONS;
pub(crate) use price::spread;

use crate::{
    Answer, Batch, BeamKey, BudgetState, Constraint, FailureKind, Need, Outcome, Plan, Retry, RoleFailure, RolesInfo,
    SearchConfig, SearchError, Trace, Usage, Vocabulary, beam::Beam,
};
use inferenceguard_model::{Token, Tokenizer};
use phases::Phase;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A request as a state machine: ask [`Session::next`], do it, [`Session::feed`] the answer, until
/// [`Need::Nothing`].
pub struct Session {
    config: SearchConfig,
    roles: RolesInfo,
    vocabulary: Vocabulary,
    tokenizer: Arc<dyn Tokenizer>,
    constraints: Arc<[Constraint]>,
    prompt: Arc<str>,
    prompt_tokens: Vec<Token>,
    /// Same, in rising order, each once. All draws share it.
    prompt_set: Arc<[Token]>,
    /// Whether candidates grow token by token.
    stepwise: bool,
    phase: Phase,
    states: Vec<BudgetState>,
    plan: Option<Plan>,
    live: Vec<Beam>,
    /// During a chunk: the candidates, then the finished beams kept so far, then perhaps the re-tokenised double.
    rows: Vec<Beam>,
    /// How many of `rows` are candidates.
    candidates: usize,
    pool: Vec<Beam>,
    runners_up: Vec<Beam>,
    /// The row being checked by its re-tokenised double, which is the last of `rows`.
    checking: Option<usize>,
    /// Rows being priced.
    targets: Vec<usize>,
    /// New costs of the targets, for the constraint at hand.
    charges: Vec<(usize, Vec<f64>)>,
    chunk: u32,
    chunk_len: u32,
    attempt: u32,
    offset: u32,
    retry: Option<Retry>,
    /// Per offset: how often failed candidates had a token there.
    failed_tokens: Vec<BTreeMap<Token, u32>>,
    /// The failure of the first row that was lost in the newest attempt.
    lost_row: Option<FailureKind>,
    next_key: BeamKey,
    held: Vec<BeamKey>,
    scored: Vec<BeamKey>,
    released: String,
    usage: Usage,
    failures: Vec<RoleFailure>,
    outcome: Option<Outcome>,
    trace: Option<Trace>,
    asked: Option<Need>,
}

impl Session {
    /// Begins a request. `prompt` is the user's text, `prompt_tokens` what the model is given.
    ///
    /// # Errors
    /// [`SearchError::Config`] for a setting out of range.
    pub fn new(
        config: SearchConfig,
        roles: RolesInfo,
        vocabulary: Vocabulary,
        prompt: &str,
        prompt_tokens: Vec<Token>,
        tokenizer: Arc<dyn Tokenizer>,
    ) -> Result<Self, SearchError> {
        config.validate(&roles)?;
        let constraints = config.constraints.iter().map(|c| c.constraint.clone()).collect();
        let stepwise = roles.steering.is_some();
        let usage = Usage { prompt_tokens: prompt_tokens.len() as u64, ..Usage::default() };
        Ok(Self {
            config,
            roles,
            vocabulary,
            tokenizer,
            constraints,
            prompt: prompt.into(),
            prompt_set: prompt_tokens.iter().copied().collect::<BTreeSet<Token>>().into_iter().collect(),
            prompt_tokens,
            stepwise,
            phase: Phase::Prefill,
            states: Vec::new(),
            plan: None,
            live: Vec::new(),
            rows: Vec::new(),
            candidates: 0,
            pool: Vec::new(),
            runners_up: Vec::new(),
            checking: None,
            targets: Vec::new(),
            charges: Vec::new(),
            chunk: 0,
            chunk_len: 0,
            attempt: 0,
            offset: 0,
            retry: None,
            failed_tokens: Vec::new(),
            lost_row: None,
            next_key: 1,
            held: Vec::new(),
            scored: Vec::new(),
            released: String::new(),
            usage,
            failures: Vec::new(),
            outcome: None,
            trace: None,
            asked: None,
        })
    }

    /// Grows candidates token by token, by [`Need::Step`] and [`Need::Sample`], and not by [`Need::Grow`]. The draws are the same.
    /// A session with a steering role does so anyway: latents are steered before each token. Call it before the first need.
    pub fn token_by_token(&mut self) {
        self.stepwise = true;
    }

    /// Records needs and answers from now on.
    pub fn record(&mut self) {
        self.trace = Some(Trace::default());
    }

    /// What was recorded.
    #[must_use]
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// The outcome, once there is nothing left to do.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// All text released so far; it only grows.
    #[must_use]
    pub fn released(&self) -> &str {
        &self.released
    }

    /// What must be done next; the same need until it is answered.
    #[expect(clippy::should_implement_trait, reason = "a session is asked and fed in turns; it is no iterator")]
    pub fn next(&mut self) -> Need {
        let asked = self.asked.take().unwrap_or_else(|| self.ask());
        self.asked.insert(asked).clone()
    }

    /// Takes the answer to the last need.
    ///
    /// # Errors
    /// [`SearchError::Protocol`] if it does not fit the need.
    pub fn feed(&mut self, answer: Answer) -> Result<(), SearchError> {
        let Some(need) = self.asked.take() else {
            return Err(SearchError::Protocol { need: "to be asked first", answer: format!("{answer:?}") });
        };
        if let Some(trace) = &mut self.trace {
            trace.events.push((need.clone().recorded(), answer.clone()));
        }
        self.take(need, answer)
    }

    /// Takes the answer of a role to the last need. `batch` is the batch of that need with the columns that the caller
    /// filled for the role; a trace keeps it.
    ///
    /// # Errors
    /// As [`Session::feed`]; [`SearchError::Protocol`] also if the batch is not that of the need.
    pub fn feed_filled(&mut self, batch: Batch, answer: Answer) -> Result<(), SearchError> {
        let asked = self.asked.as_mut().and_then(Need::batch_mut);
        let ids = |batch: &Batch| batch.rows.iter().map(|row| row.id).collect::<Vec<_>>();
        match asked {
            Some(asked) if ids(asked) == ids(&batch) => *asked = batch,
            _ => {
                return Err(SearchError::Protocol {
                    need: "the batch it asked about",
                    answer: format!("{answer:.120?}"),
                });
            }
        }
        self.feed(answer)
    }

    /// The name of its phase: a row of [`TRANSITIONS`].
    #[must_use]
    pub fn phase(&self) -> &'static str {
        self.phase.name()
    }

    fn ask(&mut self) -> Need {
        if let Some(release) = self.garbage() {
            return release;
        }
        match self.phase.clone() {
            Phase::Prefill => Need::Prefill(self.prompt_tokens.clone()),
            Phase::Start => Need::Start(self.constraints[self.states.len()].clone()),
            Phase::Plan => Need::Plan(self.plan_batch()),
            Phase::StepParents | Phase::StepCandidates | Phase::StepNewest => self.step_need(),
            Phase::Steer { rows, parents, .. } => Need::Steer(self.steer_batch(&rows, parents)),
            Phase::Sample => Need::Sample(self.sample_needs()),
            Phase::Grow => self.grow_need(),
            Phase::Expand => self.expand_need(),
            Phase::Estimate => Need::Estimate(self.estimate_batch()),
            Phase::Score(at) => Need::Score(self.score_needs(at)),
            Phase::Price(at) => self.price_need(at),
            Phase::PriceTail(at) => self.tail_need(at),
            Phase::Advance(at) => self.advance_need(at),
            Phase::Select => Need::Select(self.select_batch()),
            Phase::Done => Need::Nothing,
        }
    }

    fn take(&mut self, need: Need, answer: Answer) -> Result<(), SearchError> {
        match (need, answer) {
            (Need::Release { .. }, Answer::Done) => Ok(()),
            (Need::Prefill(_), Answer::Done) => self.take_prefill(),
            (Need::Start(_), Answer::Budget(state)) => self.take_start(state),
            (Need::Plan(batch), Answer::Plan(plan)) => self.take_plan(&batch, plan),
            (Need::Step { rows, .. }, Answer::Done) => self.take_step(&rows),
            (Need::Steer(_), Answer::Steered(done)) => self.take_steering(done),
            (Need::Sample(needs), Answer::Sampled(out)) if needs.len() == out.len() => self.take_samples(&out),
            (Need::Grow { rows, .. }, Answer::Grown(out)) if rows.len() == out.len() => self.take_growth(out),
            (Need::Expand { rows, .. }, Answer::Expanded(out)) if rows.len() == out.len() => self.take_expansions(&out),
            (Need::Estimate(batch), Answer::Estimated(out)) => self.take_estimates(&batch, out),
            (Need::Score(needs), Answer::Scored(out)) if needs.len() == out.len() => {
                self.take_scores(&needs, out.into_iter().map(Ok).collect())
            }
            (Need::Score(needs), Answer::PartlyScored(out)) if needs.len() == out.len() => {
                self.take_scores(&needs, out)
            }
            (Need::Price { cost, batch }, Answer::Priced(out)) => self.take_prices(&cost, &batch, out),
            (Need::PriceTail { cost, batch }, Answer::Priced(out)) => self.take_tail_prices(&cost, &batch, out),
            (Need::Advance { rows, .. }, Answer::Advanced(out)) => self.take_states(&rows, out),
            (Need::Select(batch), Answer::Decided(decision)) => self.take_decision(&batch, decision),
            (need, answer) => Err(SearchError::Protocol { need: need.name(), answer: format!("{answer:.120?}") }),
        }
    }

    fn take_prefill(&mut self) -> Result<(), SearchError> {
        self.held.push(crate::ROOT);
        self.phase = if self.constraints.is_empty() { Phase::Plan } else { Phase::Start };
        if self.constraints.is_empty() {
            self.begin();
        }
        Ok(())
    }

    fn take_start(&mut self, state: Result<BudgetState, RoleFailure>) -> Result<(), SearchError> {
        let check = crate::check::Check { role: crate::Role::Tracker, component: "tracker" };
        match state.and_then(|state| check.start(state)) {
            Ok(state) => self.states.push(state),
            Err(failure) => return self.abandon(failure),
        }
        if self.states.len() < self.constraints.len() {
            return Ok(());
        }
        if self.live.is_empty() {
            self.begin();
        } else {
            self.hold_to_more();
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.live = vec![Beam::root(self.states.clone(), self.config.margin)];
        self.phase = if self.roles.steering.is_some() {
            Phase::Steer { rows: vec![0], parents: true, then: Box::new(Phase::Plan) }
        } else {
            Phase::Plan
        };
    }

    fn fail(&mut self, failure: RoleFailure) {
        self.failures.push(failure);
    }

    fn new_key(&mut self) -> BeamKey {
        let key = self.next_key;
        self.next_key += 1;
        key
    }
}
