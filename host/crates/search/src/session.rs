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
//! | `turns` | what each phase asks for, and what takes each answer |
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
//! | `replay` | a trace played again |
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
mod replay;
mod rows;
mod select;
mod step;
mod stepwise;
mod tail;
mod tighten;
mod turns;

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
            trace.events.push((need.clone().for_trace(), answer.clone()));
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

    fn fail(&mut self, failure: RoleFailure) {
        self.failures.push(failure);
    }

    fn new_key(&mut self) -> BeamKey {
        let key = self.next_key;
        self.next_key += 1;
        key
    }
}
