//! One case: how many replicas and candidates, and where rows go.

use crate::{
    ScalingError, Times,
    times::{at, is_count},
};

/// What is simulated with some [`Times`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Language replicas.
    pub language: usize,
    /// Score replicas.
    pub score: usize,
    /// Candidates of a chunk.
    pub n: usize,
    /// Whether all rows of a request go to one replica, whose prefix cache has their beginning. If not, each row goes to a
    /// replica of its own choice.
    pub affinity: bool,
    /// Requests at once.
    pub at_once: usize,
}

impl Case {
    /// A case in which the requests at once fill all rows of all language replicas.
    #[must_use]
    pub fn full(times: &Times, language: usize, score: usize, n: usize, affinity: bool) -> Self {
        let at_once = language * (times.language.rows / n.max(1)).max(1);
        Self { language, score, n, affinity, at_once }
    }

    pub(crate) fn check(&self) -> Result<(), ScalingError> {
        let counts =
            [("replicas", self.language), ("score replicas", self.score), ("n", self.n), ("requests", self.at_once)];
        counts.into_iter().try_for_each(|(name, count)| is_count(name, count))
    }

    /// Chunks of an answer.
    pub(crate) fn chunks(times: &Times) -> usize {
        times.search.answer.div_ceil(times.search.chunk)
    }

    /// Tokens of a chunk, the last one included.
    pub(crate) fn length(times: &Times, chunk: usize) -> usize {
        (times.search.answer - chunk * times.search.chunk).min(times.search.chunk)
    }

    /// Seconds of one answer where one request runs alone on one replica of each kind: the sum of all its parts.
    #[must_use]
    pub fn closed_form(times: &Times, n: usize) -> f64 {
        let chunk = |chunk: usize| {
            let (seen, length) = (chunk > 0, Self::length(times, chunk));
            let grown = length as f64 * at(&times.language.step, n)
                + times.language.prompt_token * unread(times, times.language.block, chunk, (n, true, seen)) as f64;
            let read = unread(times, times.score.block, chunk, (n, true, seen)) + n * length;
            let scored = times.score.models as f64 * (times.score.call + times.score.token * read as f64);
            grown + scored + at(&times.controller.decision, n)
        };
        (0..Self::chunks(times)).map(chunk).sum()
    }

    /// The most answers a second that the controller decides.
    #[must_use]
    pub fn controller_limit(times: &Times, n: usize) -> f64 {
        times.controller.cores as f64 / (at(&times.controller.decision, n) * Self::chunks(times) as f64)
    }
}

/// Tokens before a chunk that a replica has to read for some of its rows: (rows, whether the beams grew here, whether the prompt was
/// read here). The beginning that rows share is read once for the prompt and once for each beam, in whole blocks; what lies behind
/// the last whole block is read for each row, and so is the last token.
pub(crate) fn unread(times: &Times, block: usize, chunk: usize, (rows, grew, seen): (usize, bool, bool)) -> usize {
    let search = &times.search;
    let whole = |tokens: usize| tokens.saturating_sub(1) / block * block;
    let before = search.prompt + chunk * search.chunk;
    let (prompt, all) = (whole(search.prompt), whole(before));
    let beams = if grew { 0 } else { (all - prompt) * rows.min(search.beams) };
    (before - all) * rows + beams + if seen { 0 } else { prompt }
}
