//! One beam: its tokens, what it was scored and charged, and whether it is safe.
//!
//! A candidate is a full copy of its parent, so nothing mutable is shared between beams.

use crate::{Advanced, Audit, BeamKey, BudgetState, Constraint, Estimate, Finish, Role, RoleFailure, lineage::Lineage};
use inferenceguard_model::{GrowingText, Scored, Token, Tokenizer, TokenizerError};
use std::collections::BTreeMap;

/// The bare prompt.
pub const ROOT: BeamKey = 0;

/// One constraint along a beam.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    pub(crate) state: BudgetState,
    pub(crate) audit: Audit,
    /// The last verdict of the tracker; true before the first charge.
    pub(crate) tracker_safe: bool,
    /// Answer tokens charged so far.
    pub(crate) charged: usize,
    /// z at the start and after each charged token.
    pub(crate) z: Vec<f64>,
    /// What the withheld tail would cost if the answer ended here, undiscounted. It is charged only once it is certain.
    pub(crate) tail: f64,
}

impl Ledger {
    /// Before the first token; `margin` as in [`Audit::with_margin`].
    pub(crate) fn new(state: BudgetState, margin: f64) -> Self {
        let z = vec![state.z];
        Self { state, audit: Audit::with_margin(margin), tracker_safe: true, charged: 0, z, tail: 0.0 }
    }

    /// Charges costs and takes over the tracker's new state. The tracker's z must agree with the host's own sum.
    pub(crate) fn charge(
        &mut self,
        constraint: &Constraint,
        costs: &[f64],
        advanced: Advanced,
    ) -> Result<(), RoleFailure> {
        let mut wrong = None;
        for (at, (cost, z)) in costs.iter().zip(&advanced.trace).enumerate() {
            self.audit.charge(constraint, std::slice::from_ref(cost));
            if wrong.is_none() && !self.audit.agrees(constraint, *z) {
                wrong = Some((self.charged + at + 1, *z, self.audit.expected_z(constraint)));
            }
        }
        self.state = advanced.state;
        self.tracker_safe = advanced.safe && wrong.is_none();
        self.z.extend(advanced.trace);
        self.charged += costs.len();
        // The tail is charged now, or will be priced again.
        self.tail = 0.0;
        let Some((token, z, expected)) = wrong else { return Ok(()) };
        let found = format!("z {z} for `{}` after token {token}", constraint.name);
        let expected = format!("{expected}: what the host's own sum leaves of the budget, over gamma^t");
        Err(RoleFailure::bad_output(Role::Tracker, "tracker", found, expected))
    }
}

/// The scores of the tokens that a score model withholds, computed as if the answer ended here. The next token may change
/// them.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    /// Its own scored beam, which is never extended.
    pub(crate) key: BeamKey,
    /// One score per withheld token, and that at the end; nothing before it was asked for.
    pub(crate) scored: Option<Scored>,
}

/// One score model along a beam.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScoreTrack {
    /// The scored beam that holds the tokens handed over so far.
    pub(crate) anchor: BeamKey,
    pub(crate) handed: usize,
    pub(crate) ended: bool,
    /// One score per answer token, less a withheld tail.
    pub(crate) tokens: Vec<f32>,
    pub(crate) end: f32,
    /// Only where a decision needs it.
    pub(crate) tail: Option<Tail>,
}

impl ScoreTrack {
    /// One score per answer token, with the scored tail if there is one, and the score at the end.
    pub(crate) fn with_tail(&self) -> (Vec<f32>, f32) {
        match self.tail.as_ref().and_then(|tail| tail.scored.as_ref()) {
            Some(tail) => ([&self.tokens[..], &tail.tokens].concat(), tail.end),
            None => (self.tokens.clone(), self.end),
        }
    }

    fn known(&self) -> usize {
        let tail = self.tail.as_ref().and_then(|tail| tail.scored.as_ref());
        self.tokens.len() + tail.map_or(0, |tail| tail.tokens.len())
    }
}

/// The last of the checks that a safe row must pass before it may be the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Recheck {
    /// None was done.
    #[default]
    None,
    /// Its ids were priced again, in one piece.
    Whole,
    /// The ids of its text were priced as well.
    Respelled,
}

/// One continuation of the prompt.
#[derive(Debug, Clone)]
pub(crate) struct Beam {
    pub(crate) key: BeamKey,
    pub(crate) parent: BeamKey,
    pub(crate) lineage: Lineage,
    pub(crate) tokens: Vec<Token>,
    /// The text of the tokens.
    pub(crate) text: GrowingText,
    pub(crate) logprobs: Vec<f32>,
    pub(crate) logprob: f64,
    /// Answer tokens before this chunk.
    pub(crate) born: usize,
    /// Whether the back end has it; if not, it is made from `parent` before its first step.
    pub(crate) held: bool,
    /// Tokens the back end has not seen yet: the last one, or none.
    pub(crate) pending: bool,
    pub(crate) finish: Option<Finish>,
    /// Bytes of its text that count, when a stop text cut it.
    pub(crate) text_len: Option<usize>,
    pub(crate) ledgers: Vec<Ledger>,
    pub(crate) scores: BTreeMap<String, ScoreTrack>,
    pub(crate) task_cost: Option<f64>,
    pub(crate) estimate: Option<Estimate>,
    pub(crate) expansion_logit: Option<f32>,
    pub(crate) priced: bool,
    /// A component failed on it, or re-tokenised pricing broke a budget: it can never be safe again.
    pub(crate) failed: bool,
    /// Which of the checks before it may be the answer were done.
    pub(crate) rechecked: Recheck,
    /// Per constraint: the sum of the whole answer, priced in one piece; none where the language model would be needed.
    pub(crate) whole: Vec<Option<f64>>,
}

impl Beam {
    /// The bare prompt, before any token; `margin` as in [`Audit::with_margin`].
    pub(crate) fn root(states: Vec<BudgetState>, margin: f64) -> Self {
        Self {
            key: ROOT,
            parent: ROOT,
            lineage: Lineage::default(),
            tokens: Vec::new(),
            text: GrowingText::default(),
            logprobs: Vec::new(),
            logprob: 0.0,
            born: 0,
            held: true,
            pending: false,
            finish: None,
            text_len: None,
            ledgers: states.into_iter().map(|state| Ledger::new(state, margin)).collect(),
            scores: BTreeMap::new(),
            task_cost: None,
            estimate: None,
            expansion_logit: None,
            priced: true,
            failed: false,
            rechecked: Recheck::default(),
            whole: Vec::new(),
        }
    }

    /// A copy to be grown in a new chunk.
    pub(crate) fn child(&self, key: BeamKey, chunk: u32, index: u32) -> Self {
        let mut child = self.copied(key, chunk, index);
        // Its own new tokens may change what was withheld.
        child.ledgers.iter_mut().for_each(|ledger| ledger.tail = 0.0);
        child.scores.values_mut().for_each(|track| track.tail = None);
        child
    }

    fn copied(&self, key: BeamKey, chunk: u32, index: u32) -> Self {
        Self {
            key,
            parent: self.key,
            lineage: self.lineage.child(chunk, index),
            born: self.tokens.len(),
            held: false,
            pending: false,
            priced: false,
            task_cost: None,
            estimate: None,
            expansion_logit: None,
            ..self.clone()
        }
    }

    pub(crate) fn push(&mut self, tokenizer: &dyn Tokenizer, token: Token, logprob: f32) -> Result<(), TokenizerError> {
        self.text.push(tokenizer, token)?;
        self.tokens.push(token);
        self.logprobs.push(logprob);
        self.logprob += f64::from(logprob);
        self.pending = true;
        Ok(())
    }

    /// Its text as an answer: up to the stop text, if one ended it, and without a character cut at the end.
    pub(crate) fn answer_text(&self) -> &str {
        let text = self.text.text();
        &text[..self.text_len.unwrap_or(text.len())]
    }

    pub(crate) fn finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Tracker and audit agree that every constraint holds, and nothing failed.
    pub(crate) fn safe(&self, constraints: &[Constraint]) -> bool {
        self.priced && self.within(constraints)
    }

    /// Same, for the costs charged so far.
    pub(crate) fn within(&self, constraints: &[Constraint]) -> bool {
        let holds = |(l, c): (&Ledger, &Constraint)| l.tracker_safe && l.audit.holds(c);
        !self.failed && self.ledgers.iter().zip(constraints).all(holds)
    }

    /// Whether no further token can make every constraint hold again.
    pub(crate) fn lost(&self, constraints: &[Constraint]) -> bool {
        self.failed || self.ledgers.iter().zip(constraints).any(|(l, c)| l.audit.lost(c))
    }

    /// The smallest margin left, in shares of the budget.
    pub(crate) fn least_margin(&self, constraints: &[Constraint]) -> f64 {
        let share = |(l, c): (&Ledger, &Constraint)| l.audit.margin(c) / c.budget;
        self.ledgers.iter().zip(constraints).map(share).fold(f64::INFINITY, f64::min)
    }

    /// Answer tokens that every one of these score models has scored.
    pub(crate) fn scorable(&self, models: &[String]) -> usize {
        let scored = |m: &String| self.scores.get(m).map_or(0, |t| t.tokens.len());
        models.iter().map(scored).fold(self.tokens.len(), usize::min)
    }

    /// Same, with scored tails.
    pub(crate) fn foreseen(&self, models: &[String]) -> usize {
        let known = |m: &String| self.scores.get(m).map_or(0, ScoreTrack::known);
        models.iter().map(known).fold(self.tokens.len(), usize::min)
    }
}
