//! The reference sampler: from a row of logits to one token.
//!
//! Order: repetition penalty, penalties, temperature, top-k, top-p, min-p (as transformers has them), then the token at
//! which the cumulative probability passes `draw`. Where top-k or top-p leaves tokens out, candidates are ordered by
//! probability, ties by token; where neither does, nothing needs sorting and they are ordered by token. Equal logits thus
//! give equal tokens everywhere.

use crate::{ModelError, Token};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, ops::RangeInclusive, sync::Arc};

/// How the token is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pick {
    /// At random: the token at which the cumulative probability passes this number of [0, 1).
    Draw(f64),
    /// The token of this rank, 0 being the most likely.
    Rank(u32),
}

/// How one token is sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRequest {
    /// Divides the logits; above 0. With [`Pick::Rank`] it has no effect.
    pub temperature: f32,
    /// Only this many most likely tokens; 0 = all.
    pub top_k: u32,
    /// Only the most likely tokens that together hold this probability; in (0, 1], 1 = all.
    pub top_p: f32,
    /// Only tokens at least this share as probable as the most likely one; in [0, 1], 0 = all.
    #[serde(default)]
    pub min_p: f32,
    /// Lowers the logits of the tokens in `prompt` and `repeated`: those above 0 are divided by it, the others multiplied. Within
    /// [`REPETITION_PENALTIES`]; 1 = off, less than 1 raises them.
    #[serde(default = "no_repetition_penalty")]
    pub repetition_penalty: f32,
    /// The tokens of the prompt, in rising order, each once; empty where nothing is asked of them. Those outside the
    /// vocabulary are skipped. Not written to records: prompt and answer are there.
    #[serde(skip)]
    pub prompt: Arc<[Token]>,
    /// The tokens of the answer so far that are not in `prompt`, as there.
    #[serde(skip)]
    pub repeated: Vec<Token>,
    /// Taken from the logits of these tokens; a token named twice is lowered twice. The likeliest of them is always
    /// lowered, the others in this order while `penalty_mass` allows; those outside the vocabulary are skipped.
    pub penalties: Vec<(Token, f32)>,
    /// Of the probability that remains without the likeliest penalised token, the others hold at most this share.
    pub penalty_mass: f32,
    /// The choice.
    pub pick: Pick,
}

/// The repetition penalties that are understood: with numbers further from 1 logits would leave the range of f32.
pub const REPETITION_PENALTIES: RangeInclusive<f32> = 0.01..=100.0;

impl SampleRequest {
    /// A request that leaves the model's distribution as it is: temperature 1, nothing truncated, nothing penalised.
    #[must_use]
    pub fn plain(pick: Pick) -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            prompt: Arc::default(),
            repeated: Vec::new(),
            penalties: Vec::new(),
            penalty_mass: 1.0,
            pick,
        }
    }

    /// Whether every token may be drawn, and none is lowered.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let whole = self.top_k == 0 && self.top_p == 1.0 && self.min_p == 0.0;
        whole && self.penalties.is_empty() && !self.lowers_repeated()
    }

    fn lowers_repeated(&self) -> bool {
        self.repetition_penalty != 1.0 && !(self.prompt.is_empty() && self.repeated.is_empty())
    }
}

fn no_repetition_penalty() -> f32 {
    1.0
}

/// One sampled token.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    /// The token.
    pub token: Token,
    /// Its log-probability under the model: before penalties, temperature and truncation.
    pub logprob: f32,
}

/// Log-probabilities of a row of logits, in f32, summed in f64.
#[must_use]
pub fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let log_sum = log_sum_exp(logits);
    logits.iter().map(|l| l - log_sum).collect()
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    let (max, sum) = max_and_sum(logits);
    sum.ln() as f32 + max
}

/// The largest logit, and the sum of exponentials above it.
fn max_and_sum(logits: &[f32]) -> (f32, f64) {
    let max = largest(logits);
    (max, logits.iter().map(|l| f64::from(l - max).exp()).sum())
}

fn largest(logits: &[f32]) -> f32 {
    logits.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// The `k` largest entries, best first, ties by token.
#[must_use]
pub fn top_k(values: &[f32], k: usize) -> Vec<(Token, f32)> {
    let mut order: Vec<(Token, f32)> = values.iter().enumerate().map(|(i, v)| (i as Token, *v)).collect();
    let k = k.min(order.len());
    if k < order.len() && k > 0 {
        order.select_nth_unstable_by(k - 1, better);
    }
    order.truncate(k);
    order.sort_unstable_by(better);
    order
}

/// Adding 0 turns -0 into 0, so that the sign of a zero, which differs between back ends, does not break ties.
fn better(a: &(Token, f32), b: &(Token, f32)) -> std::cmp::Ordering {
    (b.1 + 0.0).total_cmp(&(a.1 + 0.0)).then(a.0.cmp(&b.0))
}

/// Samples one token from a row of logits.
///
/// # Errors
/// [`ModelError::NotFinite`] if a logit is NaN or positive infinity, or none is finite; [`ModelError::Unsupported`] if
/// the request is out of the ranges of [`SampleRequest`].
pub fn sample_row(logits: &[f32], request: &SampleRequest) -> Result<Sampled, ModelError> {
    RowSampler::new(logits)?.sample(request)
}

/// A row of logits to sample from many times: checked and normalised once.
#[derive(Debug, Clone, Copy)]
pub struct RowSampler<'a> {
    logits: &'a [f32],
    max: f32,
    /// Of exponentials above it.
    sum: f64,
    log_sum: f32,
}

impl<'a> RowSampler<'a> {
    /// Checks a row.
    ///
    /// # Errors
    /// [`ModelError::NotFinite`] if a logit is NaN or positive infinity, or none is finite.
    pub fn new(logits: &'a [f32]) -> Result<Self, ModelError> {
        let usable = logits.iter().all(|l| !l.is_nan() && *l < f32::INFINITY);
        if !usable || !logits.iter().any(|l| l.is_finite()) {
            return Err(ModelError::NotFinite("logits"));
        }
        let (max, sum) = max_and_sum(logits);
        Ok(Self { logits, max, sum, log_sum: sum.ln() as f32 + max })
    }

    /// Samples one token.
    ///
    /// # Errors
    /// As [`sample_row`].
    pub fn sample(&self, request: &SampleRequest) -> Result<Sampled, ModelError> {
        check(request)?;
        if let Some(token) = self.plainly(request) {
            return Ok(Sampled { token, logprob: self.logits[token as usize] - self.log_sum });
        }
        let penalised = self.penalised(request);
        let token = match request.pick {
            Pick::Rank(rank) => ranked(&penalised, rank),
            Pick::Draw(draw) => drawn(&penalised, request, draw)?,
        };
        Ok(Sampled { token, logprob: self.logits[token as usize] - self.log_sum })
    }

    /// A draw from the model's own distribution: what is added up is known, and nothing needs to be written down.
    fn plainly(&self, request: &SampleRequest) -> Option<Token> {
        let Pick::Draw(draw) = request.pick else { return None };
        if request.temperature != 1.0 || !request.is_plain() {
            return None;
        }
        let (target, mut passed) = (draw * self.sum, 0.0);
        let hit = self.logits.iter().position(|logit| {
            passed += f64::from(logit - self.max).exp();
            target < passed
        });
        hit.map(|token| token as Token)
    }

    fn lower_repeated(&self, request: &SampleRequest) -> Cow<'a, [f32]> {
        let mut out = Cow::Borrowed(self.logits);
        if !request.lowers_repeated() {
            return out;
        }
        let by = request.repetition_penalty;
        for token in request.prompt.iter().chain(&request.repeated) {
            if let Some(logit) = out.to_mut().get_mut(*token as usize) {
                *logit = if *logit > 0.0 { *logit / by } else { *logit * by };
            }
        }
        out
    }

    /// The logits after the repetition penalty and the penalties; temperature and truncation come after them.
    #[must_use]
    pub fn penalised(&self, request: &SampleRequest) -> Cow<'a, [f32]> {
        let lowered = self.lowered(request);
        let mut out = self.lower_repeated(request);
        for &(token, penalty) in request.penalties.iter().filter(|(token, _)| lowered.contains(token)) {
            out.to_mut()[token as usize] -= penalty;
        }
        out
    }

    /// The tokens whose penalty counts: a cap that spared the likeliest one would leave a sure mistake as it is.
    fn lowered(&self, request: &SampleRequest) -> Vec<Token> {
        let known = |token: &Token| (*token as usize) < self.logits.len();
        let tokens = || request.penalties.iter().map(|(token, _)| *token).filter(known);
        let logit = |token: &Token| self.logits[*token as usize];
        let Some(first) = tokens().max_by(|a, b| logit(a).total_cmp(&logit(b)).then(b.cmp(a))) else {
            return Vec::new();
        };
        let room = (1.0 - self.probability(first)) * f64::from(request.penalty_mass);
        let (mut lowered, mut mass) = (vec![first], 0.0);
        for token in tokens() {
            let p = self.probability(token);
            if !lowered.contains(&token) && mass + p <= room {
                mass += p;
                lowered.push(token);
            }
        }
        lowered
    }

    fn probability(&self, token: Token) -> f64 {
        f64::from(self.logits[token as usize] - self.log_sum).exp()
    }
}

/// Refuses settings out of the ranges of [`SampleRequest`].
pub(crate) fn check(request: &SampleRequest) -> Result<(), ModelError> {
    let refuse = |what: String| Err(ModelError::Unsupported(what));
    let SampleRequest { temperature, top_p, min_p, repetition_penalty, penalties, penalty_mass, pick, .. } = request;
    if !(top_p.is_finite() && *top_p > 0.0 && *top_p <= 1.0) {
        return refuse(format!("sample with top_p {top_p}; give a number of (0, 1]"));
    }
    if !(0.0..=1.0).contains(min_p) {
        return refuse(format!("sample with min_p {min_p}; give a number of [0, 1]"));
    }
    if !REPETITION_PENALTIES.contains(repetition_penalty) {
        return refuse(format!("sample with repetition_penalty {repetition_penalty}; give a number of [0.01, 100]"));
    }
    if let Some((token, penalty)) = penalties.iter().find(|(_, p)| !p.is_finite()) {
        return refuse(format!("penalise token {token} by {penalty}; give a finite number"));
    }
    if penalty_mass.is_nan() {
        return refuse("sample with penalty_mass NaN; give a share of [0, 1]".into());
    }
    match pick {
        Pick::Draw(draw) if !(0.0..1.0).contains(draw) => refuse(format!("draw {draw}; give a number of [0, 1)")),
        Pick::Draw(_) if !(temperature.is_finite() && *temperature > 0.0) => {
            refuse(format!("draw at temperature {temperature}; give a number above 0, or pick rank 0"))
        }
        _ => Ok(()),
    }
}

fn ranked(logits: &[f32], rank: u32) -> Token {
    let best = top_k(logits, (rank as usize).saturating_add(1));
    best.last().map_or(0, |(token, _)| *token)
}

fn drawn(logits: &[f32], request: &SampleRequest, draw: f64) -> Result<Token, ModelError> {
    let max = largest(logits);
    if !max.is_finite() {
        return Err(ModelError::NotFinite("penalised logits"));
    }
    let weigh = |logit: f32| (f64::from(logit - max) / f64::from(request.temperature)).exp();
    let mut candidates = candidates(logits, request, weigh);
    // The most likely token weighs 1.
    candidates.retain(|(_, weight)| *weight >= f64::from(request.min_p));
    Ok(at(&candidates, draw))
}

/// What top-k and top-p leave.
fn candidates(logits: &[f32], request: &SampleRequest, weigh: impl Fn(f32) -> f64) -> Vec<(Token, f64)> {
    let k = if request.top_k == 0 { logits.len() } else { request.top_k as usize };
    if k < logits.len() {
        let mut best = weighed(&top_k(logits, k), weigh);
        let total = best.iter().map(|(_, w)| w).sum::<f64>();
        let kept = nucleus(&best, total * f64::from(request.top_p)).unwrap_or(best.len());
        best.truncate(kept);
        return best;
    }
    let all: Vec<(Token, f64)> = (0..).zip(logits).map(|(token, l)| (token, weigh(*l))).collect();
    if request.top_p >= 1.0 {
        return all;
    }
    let target = all.iter().map(|(_, w)| w).sum::<f64>() * f64::from(request.top_p);
    most_likely(logits, target, weigh)
}

fn weighed(tokens: &[(Token, f32)], weigh: impl Fn(f32) -> f64) -> Vec<(Token, f64)> {
    tokens.iter().map(|(token, logit)| (*token, weigh(*logit))).collect()
}

/// The most likely tokens that hold the weight `target`. A nucleus is mostly small, so only as much is sorted as needed.
fn most_likely(logits: &[f32], target: f64, weigh: impl Fn(f32) -> f64) -> Vec<(Token, f64)> {
    let mut k = 256;
    loop {
        let mut best = weighed(&top_k(logits, k), &weigh);
        let kept = nucleus(&best, target);
        if kept.is_some() || k >= logits.len() {
            best.truncate(kept.unwrap_or(best.len()));
            return best;
        }
        k *= 16;
    }
}

/// How many of the candidates, best first, hold the weight `target`, if they do; at least one.
fn nucleus(candidates: &[(Token, f64)], target: f64) -> Option<usize> {
    let mut passed = 0.0;
    let enough = candidates.iter().position(|(_, weight)| {
        passed += weight;
        passed >= target
    });
    enough.map(|i| i + 1)
}

/// The candidate at which the cumulative share passes `draw`. Rounding may leave the draw past the last one; candidates
/// without weight are never taken.
fn at(candidates: &[(Token, f64)], draw: f64) -> Token {
    let target = draw * candidates.iter().map(|(_, w)| w).sum::<f64>();
    let mut passed = 0.0;
    let hit = candidates.iter().find(|(_, weight)| {
        passed += weight;
        target < passed
    });
    let last = || candidates.iter().rfind(|(_, weight)| *weight > 0.0);
    hit.or_else(last).map_or(0, |(token, _)| *token)
}
