//! From the search's sampling to an engine's: only what means the same there is sent, and the rest is refused by name.

use inferenceguard_model::{GrowRow, Growth, ModelError, Pick, SampleRequest, Token};
use std::collections::BTreeSet;

/// Below this temperature vLLM draws at this one.
const COLDEST: f32 = 0.01;

/// Which engine draws, where engines differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// It applies min_p before top_p, and lowers tokens by offset through a plugin.
    Vllm,
    /// It applies min_p after top_p, as the reference sampler does; the tokens whose repetition it penalises are others.
    LlamaCpp,
}

/// How a row is sampled by an engine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampling {
    /// 0 = greedy.
    pub(crate) temperature: f32,
    pub(crate) top_k: u32,
    pub(crate) top_p: f32,
    pub(crate) min_p: f32,
    pub(crate) repetition_penalty: f32,
    /// The rank of the first token, if it is greedy: 0 for the likeliest one.
    pub(crate) first: u32,
}

impl Sampling {
    /// The likeliest token each time.
    pub(crate) const GREEDY: Self =
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, first: 0 };

    /// How a row of these tokens is sampled.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for what engines do not have, or do otherwise.
    pub(crate) fn of(growth: &Growth, row: &GrowRow, parent: &[Token], dialect: Dialect) -> Result<Self, ModelError> {
        let request = &growth.sampling;
        let penalised = growth.penalties.iter().any(|penalties| !penalties.is_empty());
        check(request, penalised, dialect)?;
        if request.repetition_penalty != 1.0 {
            covers(request, row, parent)?;
        }
        let first_only = request.repetition_penalty != 1.0 || growth.penalties.first().is_some_and(|p| !p.is_empty());
        match ranks(row, request.pick)? {
            Some(first) if first > 0 && first_only => refuse(
                "give the token of a rank above 0 under penalties; set a temperature above 0, or repetition_penalty to 1",
            ),
            Some(first) => Ok(Self { first, repetition_penalty: request.repetition_penalty, ..Self::GREEDY }),
            None => drawn(request),
        }
    }
}

fn check(request: &SampleRequest, penalised: bool, dialect: Dialect) -> Result<(), ModelError> {
    if dialect == Dialect::LlamaCpp && request.repetition_penalty != 1.0 {
        return refuse(
            "penalise repetition as transformers does; set repetition_penalty to 1 in the bundle's [sampling]",
        );
    }
    // The reference sampler applies min_p after top_p.
    if dialect == Dialect::Vllm && request.min_p > 0.0 && request.top_p < 1.0 {
        return refuse("sample with both min_p and top_p; set one of them");
    }
    // The plugin lowers logits before vLLM divides them, and the reference sampler after.
    if penalised && request.repetition_penalty != 1.0 {
        return refuse("lower tokens by offset under a repetition_penalty; set it to 1 in the bundle's [sampling]");
    }
    Ok(())
}

fn drawn(request: &SampleRequest) -> Result<Sampling, ModelError> {
    let SampleRequest { temperature, top_k, top_p, min_p, repetition_penalty, .. } = *request;
    if !(temperature.is_finite() && temperature >= COLDEST) {
        return refuse(&format!(
            "draw at temperature {temperature}; give a number of at least {COLDEST}, or 0 for greedy"
        ));
    }
    if !(top_p > 0.0 && top_p <= 1.0 && (0.0..=1.0).contains(&min_p) && repetition_penalty > 0.0) {
        return refuse(&format!(
            "sample with top_p {top_p}, min_p {min_p}, repetition_penalty {repetition_penalty}; give shares of (0, 1] and a number above 0"
        ));
    }
    Ok(Sampling { temperature, top_k, top_p, min_p, repetition_penalty, first: 0 })
}

/// The rank of a greedy row's first token; nothing for a row that draws.
fn ranks(row: &GrowRow, otherwise: Pick) -> Result<Option<u32>, ModelError> {
    let (first, rest) = row.picks.split_first().map_or((otherwise, &[][..]), |(first, rest)| (*first, rest));
    match first {
        Pick::Draw(_) if rest.iter().all(|pick| matches!(pick, Pick::Draw(_))) => Ok(None),
        Pick::Rank(rank) if rest.iter().all(|pick| *pick == Pick::Rank(0)) => Ok(Some(rank)),
        _ => refuse("mix draws and ranks in one row, or give a rank above 0 after the first token"),
    }
}

/// Engines penalise what the beam holds: the tokens that the request names must be the same.
fn covers(request: &SampleRequest, row: &GrowRow, parent: &[Token]) -> Result<(), ModelError> {
    let named: BTreeSet<Token> = request.prompt.iter().chain(&row.repeated).copied().collect();
    if named == parent.iter().copied().collect() {
        return Ok(());
    }
    refuse("penalise the repetition of other tokens than those of the beam; set repetition_penalty to 1")
}

fn refuse<T>(what: &str) -> Result<T, ModelError> {
    Err(ModelError::Unsupported(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_model::GrowingText;

    fn growth(change: impl FnOnce(&mut Growth)) -> Growth {
        let sampling = SampleRequest::plain(Pick::Draw(0.0));
        let mut growth = Growth { max_tokens: 2, sampling, penalties: vec![], end: vec![], stop: vec![] };
        change(&mut growth);
        growth
    }

    fn row(picks: Vec<Pick>) -> GrowRow {
        let (repeated, text) = (vec![], GrowingText::default());
        GrowRow { parent: inferenceguard_model::BeamId(1), picks, seed: 1, repeated, text }
    }

    #[test]
    fn what_means_something_else_there_is_refused_by_name() {
        type Change = fn(&mut Growth);
        let draws = || vec![Pick::Draw(0.1); 2];
        let ranks = |first| vec![Pick::Rank(first), Pick::Rank(0)];
        let table: [(&str, Vec<Pick>, Change); 9] = [
            ("both min_p and top_p", draws(), |g| (g.sampling.min_p, g.sampling.top_p) = (0.1, 0.9)),
            ("under a repetition_penalty", draws(), |g| {
                g.penalties = vec![vec![(1, 1.0)]];
                g.sampling.repetition_penalty = 1.1;
            }),
            ("other tokens than those of the beam", draws(), |g| g.sampling.repetition_penalty = 1.1),
            ("temperature 0.001", draws(), |g| g.sampling.temperature = 0.001),
            ("temperature NaN", draws(), |g| g.sampling.temperature = f32::NAN),
            ("top_p 0", draws(), |g| g.sampling.top_p = 0.0),
            ("mix draws and ranks", vec![Pick::Draw(0.1), Pick::Rank(0)], |_| ()),
            ("above 0 after the first", vec![Pick::Rank(0), Pick::Rank(1)], |_| ()),
            ("rank above 0 under penalties", ranks(1), |g| g.penalties = vec![vec![(1, 1.0)]]),
        ];
        for (expected, picks, change) in table {
            let refused = Sampling::of(&growth(change), &row(picks), &[1, 2], Dialect::Vllm).unwrap_err();
            assert!(
                matches!(&refused, ModelError::Unsupported(what) if what.contains(expected)),
                "{expected}: {refused}"
            );
        }
    }

    #[test]
    fn what_means_the_same_is_kept() {
        let warm = growth(|g| (g.sampling.temperature, g.sampling.top_k, g.sampling.top_p) = (0.7, 50, 0.9));
        let kept = Sampling::of(&warm, &row(vec![Pick::Draw(0.1)]), &[1], Dialect::Vllm).unwrap();
        assert_eq!((kept.temperature, kept.top_k, kept.top_p, kept.first), (0.7, 50, 0.9, 0));
        let ranked =
            Sampling::of(&growth(|_| ()), &row(vec![Pick::Rank(3), Pick::Rank(0)]), &[1], Dialect::Vllm).unwrap();
        assert_eq!(ranked, Sampling { first: 3, ..Sampling::GREEDY });
        let later = growth(|g| g.penalties = vec![vec![], vec![(1, 1.0)]]);
        assert_eq!(
            Sampling::of(&later, &row(vec![Pick::Rank(3), Pick::Rank(0)]), &[1], Dialect::Vllm).unwrap(),
            ranked
        );
        let repeated = growth(|g| {
            g.sampling.repetition_penalty = 1.1;
            g.sampling.prompt = [1, 2].into();
        });
        let kept = Sampling::of(&repeated, &GrowRow { repeated: vec![5], ..row(vec![]) }, &[2, 1, 2, 5], Dialect::Vllm)
            .unwrap();
        assert_eq!(kept.repetition_penalty, 1.1);
        let refused = Sampling::of(&repeated, &row(vec![]), &[1, 2], Dialect::LlamaCpp).unwrap_err();
        assert!(refused.to_string().contains("repetition_penalty"), "{refused}");
        let both = growth(|g| (g.sampling.min_p, g.sampling.top_p) = (0.1, 0.9));
        assert!(Sampling::of(&both, &row(vec![]), &[1], Dialect::LlamaCpp).is_ok());
    }
}
