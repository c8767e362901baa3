//! Beams of the language model by the search's keys.

use crate::roles::readers;
use inferenceguard_model::{
    BeamId, Effort, Generator, Grown, GrownRow, Growth, LatentSelector, Likely, ModelError, Rows, SampleRequest,
    Sampled, Token, Tokenizer,
};
use inferenceguard_search::{BeamKey, FailureKind, GrowNeed, ROOT, RolesInfo, SampleNeed};
use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

/// The beams of one request. Dropping it releases them all, however the request ended.
pub(crate) struct Beams<'m> {
    model: &'m mut dyn Generator,
    /// The places of which beams keep the latents of every token.
    kept_places: Vec<LatentSelector>,
    /// The prompt, for answers that are read once more.
    prompt: Vec<Token>,
    live: HashMap<BeamKey, BeamId>,
}

impl Drop for Beams<'_> {
    fn drop(&mut self) {
        let all: Vec<BeamId> = self.live.values().copied().collect();
        self.model.release(&all);
    }
}

impl<'m> Beams<'m> {
    pub(crate) fn new(model: &'m mut dyn Generator) -> Self {
        Self { model, kept_places: Vec::new(), prompt: Vec::new(), live: HashMap::new() }
    }

    /// Beams keep the latents of every token that one of these roles reads. Call it before the prompt is read.
    pub(crate) fn keeping(mut self, roles: &RolesInfo) -> Self {
        for place in readers(roles).into_iter().flat_map(|(_, _, needs)| &needs.token_latents) {
            if !self.kept_places.contains(place) {
                self.kept_places.push(*place);
            }
        }
        self
    }

    pub(crate) fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.model.tokenizer()
    }

    pub(crate) fn holds(&self, key: BeamKey) -> bool {
        self.live.contains_key(&key)
    }

    /// What the model did since the last call.
    pub(crate) fn take_effort(&mut self) -> Effort {
        self.model.take_effort()
    }

    pub(crate) fn hidden(&self) -> usize {
        self.model.info().hidden
    }

    pub(crate) fn vocab(&self) -> usize {
        self.model.info().vocab
    }

    pub(crate) fn prefill(&mut self, prompt: &[Token]) -> Result<(), ModelError> {
        let id = self.model.open(prompt)?;
        self.prompt = prompt.to_vec();
        self.keep(ROOT, id);
        if self.kept_places.is_empty() { Ok(()) } else { self.model.keep_latents(&[id], &self.kept_places) }
    }

    /// Makes the forks (parent, child), then appends one token to each of the rows.
    pub(crate) fn step(&mut self, forks: &[(BeamKey, BeamKey)], rows: &[(BeamKey, Token)]) -> Result<(), ModelError> {
        self.fork(forks)?;
        if rows.is_empty() {
            return Ok(());
        }
        let named = rows.iter().map(|(key, token)| Ok((self.id(*key)?, *token)));
        let named = named.collect::<Result<Vec<_>, ModelError>>()?;
        self.model.append(&named)
    }

    fn fork(&mut self, forks: &[(BeamKey, BeamKey)]) -> Result<(), ModelError> {
        if forks.is_empty() {
            return Ok(());
        }
        let parents: Vec<BeamKey> = forks.iter().map(|(parent, _)| *parent).collect();
        let ids = self.model.fork(&self.ids(&parents)?)?;
        self.check_new("forks", &ids)?;
        if ids.len() != forks.len() {
            self.model.release(&ids);
        }
        check_count("forks", ids.len(), forks.len())?;
        for ((_, child), id) in forks.iter().zip(ids) {
            self.keep(*child, id);
        }
        Ok(())
    }

    /// Grows a new beam for each need, in order. A row that the model could not grow is a failure of its own and has no beam. The
    /// session checks what the others hold.
    pub(crate) fn grow(
        &mut self,
        growth: &Growth,
        needs: Vec<GrowNeed>,
    ) -> Result<Vec<Result<Grown, FailureKind>>, ModelError> {
        let keys: Vec<BeamKey> = needs.iter().map(|need| need.beam).collect();
        let named = |need: GrowNeed| {
            let parent = self.id(need.row.parent)?;
            Ok(need.row.of(parent))
        };
        let rows = needs.into_iter().map(named).collect::<Result<Vec<_>, ModelError>>()?;
        let grown = self.model.grow(growth, rows)?;
        let made: Vec<BeamId> = grown.iter().flatten().map(|(id, _)| *id).collect();
        self.check_new("beams of grown rows", &made)?;
        if grown.len() != keys.len() {
            self.model.release(&made);
        }
        check_count("grown rows", grown.len(), keys.len())?;
        Ok(keys.into_iter().zip(grown).map(|(key, row)| self.grown(key, row)).collect())
    }

    fn grown(&mut self, key: BeamKey, row: GrownRow) -> Result<Grown, FailureKind> {
        let (id, grown) = row.map_err(|error| FailureKind::Refused(error.to_string()))?;
        self.keep(key, id);
        Ok(grown)
    }

    /// One draw per need.
    pub(crate) fn sample(&mut self, needs: Vec<SampleNeed>) -> Result<Vec<Sampled>, ModelError> {
        let due = needs.len();
        let named = needs.into_iter().map(|need| Ok((self.id(need.from)?, need.request)));
        let named = named.collect::<Result<Vec<(BeamId, SampleRequest)>, ModelError>>()?;
        let drawn = self.model.sample(&named)?;
        check_count("samples", drawn.len(), due)?;
        Ok(drawn)
    }

    /// Tokens are drawn from these latents, one row per beam; costs, critics and policies go on reading what the model gave.
    pub(crate) fn steer(&mut self, keys: &[BeamKey], latents: Rows) -> Result<(), ModelError> {
        self.model.steer(&self.ids(keys)?, latents)
    }

    /// The log-probability of one given token after each of these beams.
    pub(crate) fn logprobs(&mut self, rows: &[(BeamKey, Token)]) -> Result<Vec<f32>, ModelError> {
        let named = rows.iter().map(|(key, token)| Ok((self.id(*key)?, *token)));
        let logprobs = self.model.logprobs(&named.collect::<Result<Vec<_>, ModelError>>()?)?;
        check_count("log-probabilities", logprobs.len(), rows.len())?;
        let fine = logprobs.iter().all(|logprob| is_log(*logprob));
        if fine { Ok(logprobs) } else { Err(ModelError::NotFinite("log-probabilities")) }
    }

    /// The `k` most likely next tokens of these beams, or all where the vocabulary has fewer, best first.
    pub(crate) fn likeliest(&mut self, keys: &[BeamKey], k: u32) -> Result<Vec<Vec<Likely>>, ModelError> {
        let k = k.min(u32::try_from(self.vocab()).unwrap_or(u32::MAX));
        let rows = self.model.likeliest(&self.ids(keys)?, k)?;
        check_count("rows of likely tokens", rows.len(), keys.len())?;
        for row in &rows {
            check_count("likely tokens", row.len(), k as usize)?;
            if !row.iter().all(|one| is_log(one.logit) && is_log(one.logprob)) {
                return Err(ModelError::NotFinite("logits"));
            }
        }
        Ok(rows)
    }

    /// The logits of these beams before steering, on the host; all finite or negative infinity.
    pub(crate) fn logits(&mut self, keys: &[BeamKey]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        let rows = self.model.logits(&self.ids(keys)?)?;
        check_table("logits", &rows, keys.len(), self.vocab())?;
        let fine = rows.iter().all(|row| row.iter().all(|logit| is_log(*logit)));
        if fine { Ok(rows) } else { Err(ModelError::NotFinite("logits")) }
    }

    /// The latents of these beams before steering, on the host; all finite.
    pub(crate) fn latents(
        &mut self,
        keys: &[BeamKey],
        selector: LatentSelector,
    ) -> Result<Vec<Arc<[f32]>>, ModelError> {
        let rows = self.model.latents(&self.ids(keys)?, selector)?;
        // Only the back end knows the width of its inner layers.
        let inner = rows.first().map_or(0, |row| row.len());
        let width = if selector == LatentSelector::FinalNorm { self.hidden() } else { inner };
        check_table("latents", &rows, keys.len(), width)?;
        let fine = rows.iter().all(|row| row.iter().all(|value| value.is_finite()));
        if fine { Ok(rows) } else { Err(ModelError::NotFinite("latents")) }
    }

    /// The latents of some tokens of these answers, by [`Generator::kept_latents`]; all finite.
    pub(crate) fn token_latents(
        &mut self,
        rows: &[(BeamKey, Range<usize>)],
        places: &[LatentSelector],
    ) -> Result<Vec<Arc<[f32]>>, ModelError> {
        let named = rows.iter().map(|(key, tokens)| Ok((self.id(*key)?, tokens.clone())));
        let named = named.collect::<Result<Vec<_>, ModelError>>()?;
        let kept = self.model.kept_latents(&named, places)?;
        check_count("rows of kept latents", kept.len(), rows.len())?;
        let first = kept.iter().zip(rows).find(|(_, (_, tokens))| !tokens.is_empty());
        let width = first.map_or(0, |(row, (_, tokens))| row.len() / tokens.len());
        for (row, (_, tokens)) in kept.iter().zip(rows) {
            check_count("kept latents of a row", row.len(), width * tokens.len())?;
        }
        let fine = kept.iter().all(|row| row.iter().all(|value| value.is_finite()));
        if fine { Ok(kept) } else { Err(ModelError::NotFinite("latents")) }
    }

    /// The latents of every token of an answer that no beam holds: the model reads it after the prompt, as it decodes. Nothing where
    /// the two do not fit its context.
    pub(crate) fn read_again(
        &mut self,
        tokens: &[Token],
        places: &[LatentSelector],
    ) -> Result<Option<Arc<[f32]>>, ModelError> {
        if self.prompt.len() + tokens.len() > self.model.info().context {
            return Ok(None);
        }
        let id = self.model.open(&self.prompt)?;
        self.check_new("the beam of an answer that is read once more", &[id])?;
        let read = self.read_along(id, tokens, places);
        self.model.release(&[id]);
        read.map(Some)
    }

    fn read_along(
        &mut self,
        id: BeamId,
        tokens: &[Token],
        places: &[LatentSelector],
    ) -> Result<Arc<[f32]>, ModelError> {
        self.model.keep_latents(&[id], places)?;
        tokens.iter().try_for_each(|token| self.model.append(&[(id, *token)]))?;
        let kept = self.model.kept_latents(&[(id, 0..tokens.len())], places)?;
        check_count("rows of kept latents", kept.len(), 1)?;
        let row = kept.into_iter().next().unwrap_or_default();
        let width = row.len() / tokens.len().max(1);
        check_count("kept latents of a row", row.len(), width * tokens.len())?;
        if row.iter().all(|value| value.is_finite()) { Ok(row) } else { Err(ModelError::NotFinite("latents")) }
    }

    pub(crate) fn release(&mut self, keys: &[BeamKey]) {
        let ids: Vec<BeamId> = keys.iter().filter_map(|key| self.live.remove(key)).collect();
        self.model.release(&ids);
    }

    /// Refuses beams that a call made if one of them is not new, or named twice: the tokens of one row would be priced by the
    /// latents of another. The others are freed.
    fn check_new(&mut self, what: &'static str, made: &[BeamId]) -> Result<(), ModelError> {
        let mut seen: HashSet<BeamId> = self.live.values().copied().collect();
        let (new, known): (Vec<BeamId>, Vec<BeamId>) = made.iter().partition(|id| seen.insert(**id));
        let Some(BeamId(first)) = known.first() else { return Ok(()) };
        self.model.release(&new);
        let (expected, found) = ("new beams, each once".to_owned(), format!("beam {first}, which another row has"));
        Err(ModelError::Shape { what, expected, found })
    }

    fn keep(&mut self, key: BeamKey, id: BeamId) {
        if let Some(old) = self.live.insert(key, id) {
            self.model.release(&[old]);
        }
    }

    fn ids(&self, keys: &[BeamKey]) -> Result<Vec<BeamId>, ModelError> {
        keys.iter().map(|key| self.id(*key)).collect()
    }

    fn id(&self, key: BeamKey) -> Result<BeamId, ModelError> {
        self.live.get(&key).copied().ok_or(ModelError::UnknownBeam(BeamId(key)))
    }
}

/// Whether this may be a logit or a log-probability; negative infinity is that of an impossible token.
fn is_log(value: f32) -> bool {
    !value.is_nan() && value < f32::INFINITY
}

fn check_table(what: &'static str, rows: &[Arc<[f32]>], len: usize, width: usize) -> Result<(), ModelError> {
    check_count(what, rows.len(), len)?;
    match rows.iter().find(|row| row.len() != width) {
        None => Ok(()),
        Some(row) => Err(ModelError::Shape {
            what,
            expected: format!("rows of {width}"),
            found: format!("a row of {}", row.len()),
        }),
    }
}

pub(crate) fn check_count(what: &'static str, found: usize, expected: usize) -> Result<(), ModelError> {
    if found == expected {
        return Ok(());
    }
    Err(ModelError::Shape { what, expected: expected.to_string(), found: found.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_model::{
        BackEnd, Caller, GrowRow, GrowingText, LockedBackEnd, Pick, fake::FakeEngine, toy::ToyScript,
    };

    fn engine(faults: &str) -> FakeEngine {
        let toy = ToyScript::parse("vocab: <eos>* a b\nafter : a 1, b 1").expect("a script");
        FakeEngine::new(Arc::new(LockedBackEnd::new(Box::new(toy.model()))), faults).expect("known faults")
    }

    fn need(beam: BeamKey) -> GrowNeed {
        let (picks, text) = (vec![Pick::Rank(0)], GrowingText::default());
        GrowNeed { beam, row: GrowRow { parent: ROOT, picks, seed: beam, repeated: Vec::new(), text } }
    }

    #[test]
    fn a_row_that_names_the_beam_of_another_is_refused_and_all_beams_are_freed() {
        for (faults, fits) in [("", true), ("grow 1: wrong-beam 0", false), ("grow 1: wrong-beam 1", false)] {
            let engine = engine(faults);
            let mut handle = engine.handle(&Caller::default());
            let mut beams = Beams::new(handle.as_mut());
            beams.prefill(&[1]).expect("a prompt");
            let sampling = SampleRequest::plain(Pick::Rank(0));
            let growth = Growth { max_tokens: 1, sampling, penalties: Vec::new(), end: Vec::new(), stop: Vec::new() };
            let grown = beams.grow(&growth, vec![need(7), need(8)]);
            assert_eq!(grown.is_ok(), fits, "{faults}: {grown:?}");
            if let Err(error) = grown {
                let words = error.to_string();
                assert!(words.contains("beams of grown rows: expected new beams, each once"), "{words}");
                assert_eq!(engine.live_beams(), 1, "the prompt");
            }
            drop(beams);
            assert_eq!(engine.live_beams(), 0, "{faults}");
        }
    }

    #[test]
    fn an_answer_that_no_beam_holds_is_read_once_more_and_freed() {
        let engine = engine("");
        let mut handle = engine.handle(&Caller::default());
        let mut beams = Beams::new(handle.as_mut());
        beams.prefill(&[1]).expect("a prompt");
        let places = [LatentSelector::FinalNorm];
        let read = beams.read_again(&[1, 2], &places).expect("latents").expect("room for two tokens");
        assert_eq!(
            (read.len(), engine.live_beams()),
            (2 * 3, 1),
            "a number for each of three words; the prompt's beam"
        );
        let none = beams.read_again(&[1; 64], &places).expect("no failure");
        assert!(none.is_none(), "the context is 64 tokens, and the prompt takes one of them");
    }

    #[test]
    fn beams_are_new_and_named_once() {
        let engine = engine("");
        let mut handle = engine.handle(&Caller::default());
        let mut beams = Beams::new(handle.as_mut());
        beams.live = [(1, BeamId(10)), (2, BeamId(11))].into();
        for (made, fits) in [(vec![], true), (vec![12, 13], true), (vec![12, 12], false), (vec![12, 11], false)] {
            let made: Vec<BeamId> = made.into_iter().map(BeamId).collect();
            assert_eq!(beams.check_new("forks", &made).is_ok(), fits, "{made:?}");
        }
    }
}
