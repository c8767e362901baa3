//! Measured times, from a file.

use crate::ScalingError;
use serde::Deserialize;
use std::{fs, path::Path};

/// The most candidates, tokens and rows: far beyond any engine, and small enough to simulate.
const MOST: usize = 1 << 20;

/// The most seconds of one thing, twelve days, and the least of a step or a decision: what is far outside of them was not measured,
/// and would leave no figures.
const MOST_SECONDS: f64 = 1e6;
const LEAST_SECONDS: f64 = 1e-9;

/// What was measured. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// A replica that grows rows.
    pub language: Language,
    /// A replica that scores rows.
    pub score: Score,
    /// This side.
    pub controller: Controller,
    /// What a request asks for.
    pub search: Search,
}

/// A replica that grows rows: all rows that it has get one token in each step.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// How the times were measured.
    pub source: String,
    /// (rows, seconds of a step): straight lines between them, and the last one goes on.
    pub step: Vec<(usize, f64)>,
    /// Seconds for a token of a prompt that no cache holds.
    pub prompt_token: f64,
    /// Tokens of a block of the prefix cache; only whole blocks are kept.
    pub block: usize,
    /// The most rows at once.
    pub rows: usize,
}

/// A replica that scores rows: one call after the other.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// How the times were measured.
    pub source: String,
    /// Seconds of a call, whatever it reads.
    pub call: f64,
    /// Seconds for a token that no cache holds.
    pub token: f64,
    /// Tokens of a block of the prefix cache.
    pub block: usize,
    /// Score models that each row passes, one after the other.
    pub models: usize,
}

/// This side: the search, its components, the audit.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Controller {
    /// How the times were measured.
    pub source: String,
    /// Processor cores.
    pub cores: usize,
    /// (candidates, seconds of the processor for one decision about a chunk): as `step`.
    pub decision: Vec<(usize, f64)>,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens of the answer.
    pub answer: usize,
    /// Tokens of a chunk.
    pub chunk: usize,
    /// Beams that a decision keeps.
    pub beams: usize,
}

impl Times {
    /// Reads a file of times; those of SCALING.md if none is named.
    ///
    /// # Errors
    /// [`ScalingError::File`], and as [`Times::parse`].
    pub fn read(path: Option<&Path>) -> Result<Self, ScalingError> {
        let Some(path) = path else { return Self::parse(include_str!("../times.toml")) };
        let unread = |source| ScalingError::File { path: path.to_owned(), source };
        Self::parse(&fs::read_to_string(path).map_err(unread)?)
    }

    /// Reads the text of a file of times.
    ///
    /// # Errors
    /// [`ScalingError`] for a text that is not of this form, and for numbers that cannot be.
    pub fn parse(text: &str) -> Result<Self, ScalingError> {
        let times: Self = toml::from_str(text)?;
        times.check()?;
        Ok(times)
    }

    /// The same search on engines that are faster by this factor; the controller stays as it is.
    ///
    /// # Errors
    /// [`ScalingError::Number`] for a factor that is not above 0.
    pub fn with_faster_engines(mut self, factor: f64) -> Result<Self, ScalingError> {
        if !(factor.is_finite() && factor > 0.0) {
            return Err(ScalingError::number("engines-faster", factor, "a number above 0"));
        }
        let Self { language, score, .. } = &mut self;
        language.step.iter_mut().for_each(|(_, seconds)| *seconds /= factor);
        [&mut language.prompt_token, &mut score.call, &mut score.token]
            .into_iter()
            .for_each(|seconds| *seconds /= factor);
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> Result<(), ScalingError> {
        let Self { language, score, controller, search } = self;
        line("language.step", &language.step)?;
        line("controller.decision", &controller.decision)?;
        let seconds = [
            ("language.prompt_token", language.prompt_token),
            ("score.call", score.call),
            ("score.token", score.token),
        ];
        seconds.into_iter().try_for_each(|(name, value)| is_time(name, value))?;
        let counts = [
            ("language.block", language.block),
            ("language.rows", language.rows),
            ("score.block", score.block),
            ("score.models", score.models),
            ("controller.cores", controller.cores),
            ("search.prompt", search.prompt),
            ("search.answer", search.answer),
            ("search.chunk", search.chunk),
            ("search.beams", search.beams),
        ];
        counts.into_iter().try_for_each(|(name, value)| is_count(name, value))
    }
}

pub(crate) fn is_count(name: &'static str, value: usize) -> Result<(), ScalingError> {
    let fine = (1..=MOST).contains(&value);
    if fine { Ok(()) } else { Err(ScalingError::number(name, value, "a whole number from 1 to 1048576")) }
}

fn is_time(name: &'static str, value: f64) -> Result<(), ScalingError> {
    let fine = (0.0..=MOST_SECONDS).contains(&value);
    if fine { Ok(()) } else { Err(ScalingError::number(name, value, "seconds from 0 to 1000000")) }
}

fn line(name: &'static str, places: &[(usize, f64)]) -> Result<(), ScalingError> {
    const EXPECTED: &str = "a list of [COUNT, SECONDS] with rising counts from 1 to 1048576, and seconds from 1e-9 to 1e6 that \
                            do not fall";
    let rising = places.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1);
    let times = LEAST_SECONDS..=MOST_SECONDS;
    let fine = places.iter().all(|(count, seconds)| (1..=MOST).contains(count) && times.contains(seconds));
    if !places.is_empty() && rising && fine {
        return Ok(());
    }
    Err(ScalingError::number(name, format!("{places:?}"), EXPECTED))
}

/// The seconds at a count: between two places on the line between them, before the first as there, behind the last on the line of
/// the last two.
pub(crate) fn at(places: &[(usize, f64)], count: usize) -> f64 {
    let first = places.first().copied().unwrap_or_default();
    if places.len() < 2 || count <= first.0 {
        return first.1;
    }
    let above = places.partition_point(|(known, _)| *known < count).clamp(1, places.len() - 1);
    let ((a, low), (b, high)) = (places[above - 1], places[above]);
    low + (high - low) * (count as f64 - a as f64) / (b - a) as f64
}

#[cfg(test)]
mod tests {
    use super::at;

    #[test]
    fn seconds_lie_on_lines_between_the_places() {
        let places = [(1, 1.0), (3, 3.0), (5, 9.0)];
        for (count, seconds) in [(1, 1.0), (2, 2.0), (3, 3.0), (4, 6.0), (5, 9.0), (7, 15.0)] {
            assert_eq!(at(&places, count), seconds, "{count}");
        }
        assert_eq!((at(&[(4, 2.0)], 1), at(&[(4, 2.0)], 100)), (2.0, 2.0));
    }
}
