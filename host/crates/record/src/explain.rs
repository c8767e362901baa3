//! Why an answer is what it is: the decisions, and where the budget went.

use crate::Body;
use inferenceguard_model::Token;
use inferenceguard_search::{
    Answer, Batch, BatchRow, BeamKey, Decision, EPSILON, Found, GrowNeed, Need, Role, RoleFailure, found_along,
};
use serde::Serialize;

/// One decision of the policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The chunk, from 0.
    pub chunk: u32,
    /// 0 for its first try.
    pub attempt: u32,
    /// How many candidates there were.
    pub candidates: usize,
    /// How many of them were safe.
    pub safe: usize,
    /// How many rows the back end did not grow, or not as asked: they are not among the candidates.
    pub lost: usize,
    /// What was decided, in words.
    pub decision: String,
    /// The candidates that were not safe, and why.
    pub not_safe: Vec<NotSafe>,
}

/// Why a candidate was not safe.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NotSafe {
    /// The constraints that it breaks: their names, what is left of the budget (below 0: what is missing), the budget. None where
    /// the tracker or a margin refuses it.
    pub broken: Vec<(String, f64, f64)>,
    /// What costs found in its new tokens.
    pub found: Vec<Found>,
}

/// A stretch of tokens and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Span {
    /// The constraint it counts against.
    pub constraint: String,
    /// The first token.
    pub from: usize,
    /// The token after the last.
    pub to: usize,
    /// What it cost, before discount and clipping.
    pub cost: f64,
}

/// A candidate, from its first token.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Its tokens.
    pub tokens: Vec<Token>,
    /// Whether it was the answer.
    pub emitted: bool,
    /// By constraint: its name, what is left of the budget (below 0: what is missing), the budget.
    pub margins: Vec<(String, f64, f64)>,
    /// Its dearest span by constraint, if it cost anything.
    pub dearest: Vec<Span>,
    /// What costs found in it, and at which of its tokens.
    pub found: Vec<Found>,
    /// The text of each token, if a cost read text: a character that several tokens make is with the last of them.
    pub texts: Option<Vec<String>>,
}

impl Body {
    /// Every decision, in order. A policy that is asked again about the same rows, for instance once another spelling of its
    /// answer was priced, and decides the same, is listed once. A chunk without candidates, after which the search ended, is the
    /// last one.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let (mut steps, mut at, mut lost, mut asked) = (Vec::<Step>::new(), (0, 0), 0, None);
        let mut chunk = 0;
        for (need, answer) in &self.trace.events {
            match need {
                Need::Grow { rows, .. } => asked = Some(rows),
                Need::Plan(batch) => chunk = batch.moment.chunk,
                _ => {}
            }
            let (Need::Select(batch), Answer::Decided(decision)) = (need, answer) else { continue };
            let (tried, lost_before) = if batch.moment.chunk == at.0 { (at.1, lost) } else { (0, 0) };
            lost = asked.take().map_or(lost_before, |rows| missing(rows, batch));
            let step = Step { lost, not_safe: self.not_safe(batch), ..step(batch, decision, tried) };
            at = (step.chunk, step.attempt + u32::from(matches!(decision, Ok(Decision::Retry(_)))));
            // Another spelling may have changed what is left of a budget.
            let last = steps.pop().filter(|last| Step { not_safe: step.not_safe.clone(), ..last.clone() } != step);
            steps.extend(last.into_iter().chain([step]));
        }
        let attempt = if chunk == at.0 { at.1 } else { 0 };
        steps.extend(self.without_candidates().map(|(lost, decision)| Step {
            chunk,
            attempt,
            candidates: 0,
            safe: 0,
            lost,
            decision,
            not_safe: Vec::new(),
        }));
        steps
    }

    /// The candidates that were priced and not safe: which budgets they break, and what was found in their new tokens.
    fn not_safe(&self, batch: &Batch) -> Vec<NotSafe> {
        let config = &self.inputs.config;
        let broken = |row: &BatchRow| {
            let margins = config.constraints.iter().map(|one| &one.constraint).zip(row.margins.iter().copied());
            // As the audit holds it.
            let is_broken =
                |budget: f64, left: f64| left.is_nan() || left <= config.margin.max(EPSILON) * (1.0 + budget);
            let broken = margins.filter(|(one, left)| is_broken(one.budget, *left));
            broken.map(|(one, left)| (one.name.clone(), left, one.budget)).collect()
        };
        let rows = batch.rows.iter().filter(|row| row.priced && !row.safe);
        rows.map(|row| NotSafe { broken: broken(row), found: found_along(&self.trace.notes, &[row.id]) }).collect()
    }

    /// How many rows were asked for in the last chunk, and the failure, if the back end grew none of them as asked.
    fn without_candidates(&self) -> Option<(usize, String)> {
        let failure = self.outcome.failures.iter().rfind(|failure| failure.role == Role::Model)?;
        let mut events = self.trace.events.iter().rev();
        let last = events.find(|(need, _)| !matches!(need, Need::Release { .. } | Need::Nothing))?;
        match last {
            (Need::Grow { rows, .. }, Answer::Grown(_)) => Some((rows.len(), failure.to_string())),
            _ => None,
        }
    }

    /// The answer; where there is none, the candidate that came nearest to being one: in the last chunk that was reached,
    /// the candidate that misses least of a budget.
    #[must_use]
    pub fn nearest(&self) -> Option<Candidate> {
        let emitted = self.emitted();
        let selections = || {
            self.trace.events.iter().filter_map(|(need, _)| match need {
                Need::Select(batch) => Some(batch),
                _ => None,
            })
        };
        let rows = || selections().flat_map(|batch| batch.rows.iter());
        let row = match emitted {
            Some(id) => rows().rfind(|row| row.id == id),
            None => {
                let last = selections().map(|batch| batch.moment.chunk).max()?;
                let tried = selections().filter(|batch| batch.moment.chunk == last).flat_map(|batch| batch.rows.iter());
                tried.filter(|row| row.priced).max_by(|a, b| least(a).total_cmp(&least(b)))
            }
        }?;
        Some(self.candidate(row, emitted.is_some()))
    }

    /// The tokens of the answer, each with its text as a cost read it; none without an answer, or if no cost read all of its text.
    #[must_use]
    pub fn pieces(&self) -> Option<Vec<(Token, String)>> {
        let answer = self.nearest().filter(|nearest| nearest.emitted)?;
        Some(answer.tokens.into_iter().zip(answer.texts?).collect())
    }

    fn candidate(&self, row: &BatchRow, emitted: bool) -> Candidate {
        let line = self.lineage(row.id);
        let priced = &self.inputs.config.constraints;
        let margins = priced.iter().zip(&row.margins);
        Candidate {
            tokens: self.tokens(&line),
            emitted,
            margins: margins.map(|(one, left)| (one.constraint.name.clone(), *left, one.constraint.budget)).collect(),
            dearest: priced.iter().filter_map(|one| dearest(&one.constraint.name, &self.charges(one, &line))).collect(),
            found: found_along(&self.trace.notes, &line),
            texts: self.texts(&line),
        }
    }

    /// The text of each token along a lineage, as a cost read it; none if no cost read all of it.
    fn texts(&self, line: &[BeamKey]) -> Option<Vec<String>> {
        let mut texts: Vec<String> = Vec::new();
        for (need, _) in &self.trace.events {
            let Need::Price { batch, .. } = need else { continue };
            if !batch.needs.text {
                continue;
            }
            for row in batch.rows.iter().filter(|row| line.contains(&row.id)) {
                let known = (texts.len() + row.tokens.len()).checked_sub(row.length as usize);
                texts.extend(known.and_then(|known| Some(split(row).get(known..)?.to_vec())).unwrap_or_default());
            }
        }
        (texts.len() == self.tokens(line).len()).then_some(texts)
    }

    /// The tokens along a lineage.
    pub(crate) fn tokens(&self, line: &[BeamKey]) -> Vec<Token> {
        let mut tokens: Vec<Token> = Vec::new();
        for (need, _) in &self.trace.events {
            let (Need::Price { batch, .. } | Need::Select(batch)) = need else { continue };
            for row in batch.rows.iter().filter(|row| line.contains(&row.id)) {
                // Rows may overlap: a price can stop at a token that the score model still withholds.
                let known = (tokens.len() + row.tokens.len()).checked_sub(row.length as usize);
                tokens.extend(known.and_then(|known| row.tokens.get(known..)).unwrap_or_default());
            }
        }
        tokens
    }
}

/// The new text of a row, token by token.
fn split(row: &BatchRow) -> Vec<String> {
    let mut characters = row.text.chars();
    let lengths = row.text_ends.iter().scan(0, |before, end| {
        let length = end.saturating_sub(*before);
        *before = *end;
        Some(length as usize)
    });
    lengths.map(|length| characters.by_ref().take(length).collect()).collect()
}

/// How many of the rows that were asked for are not among those of the decision.
fn missing(asked: &[GrowNeed], batch: &Batch) -> usize {
    asked.iter().filter(|need| batch.rows.iter().all(|row| row.id != need.beam)).count()
}

/// A decision of the try `attempt`, as it was made: the moment that a policy sees counts all tries as spent where none are left.
fn step(batch: &Batch, decision: &Result<Decision, RoleFailure>, attempt: u32) -> Step {
    Step {
        chunk: batch.moment.chunk,
        attempt,
        candidates: batch.rows.len(),
        safe: batch.rows.iter().filter(|row| row.safe).count(),
        lost: 0,
        decision: decision.as_ref().map_or_else(ToString::to_string, words),
        not_safe: Vec::new(),
    }
}

/// What is left of the budget that is nearest to its end.
fn least(row: &BatchRow) -> f64 {
    row.margins.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The stretch around the dearest token in which every token costs something worth naming.
fn dearest(constraint: &str, costs: &[f64]) -> Option<Span> {
    let (peak, most) = costs.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    if most <= 0.0 {
        return None;
    }
    let counts = |cost: &&f64| **cost > most / 10.0;
    let before = costs[..peak].iter().rev().take_while(counts).count();
    let after = costs[peak..].iter().take_while(counts).count();
    let (from, to) = (peak - before, peak + after.max(1));
    Some(Span { constraint: constraint.to_owned(), from, to, cost: costs[from..to].iter().sum() })
}

fn words(decision: &Decision) -> String {
    match decision {
        Decision::Keep(rows) => format!("{} go on", rows.len()),
        Decision::Price(rows) => format!("{} are priced", rows.len()),
        Decision::Retry(_) => "sampled again".to_owned(),
        Decision::Answer(_) => "the answer".to_owned(),
        Decision::Exhausted => "nothing is fit to emit".to_owned(),
    }
}
