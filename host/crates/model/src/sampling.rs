//! The reference sampler: from a row of logits to one token.
//!
//! Order: repetition penalty, penalties, temperature, top-k, top-p, min-p (as transformers has them), then the token at
//! which the cumulative probability passes `draw`. Where top-k or top-p leaves tokens out, candidates are ordered by
//! probability, ties by token; where neither does, nothing needs sorting and they are ordered by token. Equal logits thus
//! give equal tokens everywhere.

use crate::{
    ModelError, Pick, SampleRequest, Sampled, Token,
    logits::{largest, max_and_sum, top_k},
    sample_request::check,
};
use std::borrow::Cow;

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
