//! The models of one request, and what they do for its needs.

use inferenceguard_model::{
    BeamId, Grown, Growth, Model, Rows, ScoreId, ScoreModel, ScoreRow, Tokenizer, log_softmax, sample_row, top_k,
    toy::ToyScript,
};
use inferenceguard_search::*;
use std::{collections::BTreeMap, rc::Rc, sync::Arc};

/// The models of one request.
pub struct Stage {
    model: Box<dyn Model>,
    scores: BTreeMap<String, Box<dyn ScoreModel>>,
    beams: BTreeMap<BeamKey, (BeamId, Rc<Rows>, usize)>,
    scored: BTreeMap<(String, BeamKey), ScoreId>,
    tokenizer: Arc<dyn Tokenizer>,
    /// Spells the tokens in which stop texts are looked for.
    pub(super) spelling: Arc<dyn Tokenizer>,
}

impl Stage {
    /// The models of a script.
    #[must_use]
    pub fn new(script: &ToyScript) -> Self {
        let scores = script.scores().into_iter().map(|s| (s.info().name.clone(), Box::new(s) as Box<dyn ScoreModel>));
        let model: Box<dyn Model> = Box::new(script.model());
        let tokenizer = model.tokenizer();
        let spelling = Arc::clone(&tokenizer);
        Self { scores: scores.collect(), model, beams: BTreeMap::new(), scored: BTreeMap::new(), tokenizer, spelling }
    }

    /// Panics where a beam was not released.
    pub fn assert_empty(&self) {
        assert_eq!(self.model.live_beams(), 0, "beams leak");
        assert!(self.scores.values().all(|s| s.live_rows() == 0), "scored beams leak");
    }

    pub(super) fn perform(&mut self, need: Need) -> Answer {
        match need {
            Need::Prefill(prompt) => {
                let (id, rows) = self.model.prefill(&prompt).expect("prefill");
                self.beams.insert(ROOT, (id, Rc::new(rows), 0));
                Answer::Done
            }
            Need::Step { forks, rows } => self.step(&forks, &rows),
            Need::Sample(needs) => {
                let one = |n: &SampleNeed| {
                    let logits = self.logits(n.from);
                    sample_row(&logits, &n.request).expect("a sample")
                };
                Answer::Sampled(needs.iter().map(one).collect())
            }
            Need::Grow { growth, rows } => {
                Answer::Grown(rows.into_iter().map(|need| Ok(self.grow(&growth, need))).collect())
            }
            Need::Expand { rows, k } => Answer::Expanded(rows.iter().map(|r| self.expand(*r, k)).collect()),
            Need::Score(needs) => Answer::Scored(needs.iter().map(|n| self.score(n)).collect()),
            Need::Release { beams, scored } => self.release(&beams, &scored),
            other => panic!("not played: {}", other.name()),
        }
    }

    fn step(&mut self, forks: &[(BeamKey, BeamKey)], rows: &[(BeamKey, u32)]) -> Answer {
        for (parent, child) in forks {
            let (id, latents, row) = self.beams[parent].clone();
            let forked = self.model.fork(&[id]).expect("fork")[0];
            self.beams.insert(*child, (forked, latents, row));
        }
        if rows.is_empty() {
            return Answer::Done;
        }
        let ids: Vec<_> = rows.iter().map(|(key, token)| (self.beams[key].0, *token)).collect();
        let latents = Rc::new(self.model.step(&ids).expect("step"));
        for (i, (key, _)) in rows.iter().enumerate() {
            self.beams.insert(*key, (self.beams[key].0, latents.clone(), i));
        }
        Answer::Done
    }

    fn grow(&mut self, growth: &Growth, GrowNeed { beam, row }: GrowNeed) -> Grown {
        self.step(&[(row.parent, beam)], &[]);
        let (mut text, mut grown, mut ended) = (row.text.clone(), Grown::default(), false);
        while !ended && grown.tokens.len() < growth.max_tokens as usize {
            if let Some(newest) = grown.tokens.last() {
                self.step(&[], &[(beam, *newest)]);
            }
            let request = growth.request(&row, &grown.tokens);
            let sampled = sample_row(&self.logits(beam), &request).expect("a sample");
            let searched = text.text().len();
            text.push(self.spelling.as_ref(), sampled.token).expect("a known token");
            ended = growth.ends(sampled.token, &text, searched);
            grown.tokens.push(sampled.token);
            grown.logprobs.push(sampled.logprob);
        }
        grown
    }

    /// Releases the beam of a row, as where it could not be grown.
    pub fn lose(&mut self, beam: BeamKey) {
        self.release(&[beam], &[]);
    }

    fn logits(&self, key: BeamKey) -> Vec<f32> {
        let (_, rows, row) = &self.beams[&key];
        let data = rows.to_host().expect("latents");
        data[row * rows.width()..(row + 1) * rows.width()].to_vec()
    }

    fn expand(&self, key: BeamKey, k: u32) -> Vec<Expansion> {
        let logits = self.logits(key);
        let logprobs = log_softmax(&logits);
        let one = |(token, logit)| Expansion { token, logit, logprob: logprobs[token as usize] };
        top_k(&logits, k as usize).into_iter().map(one).collect()
    }

    fn score(&mut self, need: &ScoreNeed) -> inferenceguard_model::Scored {
        let model = self.scores.get_mut(&need.model).expect("a known score model");
        let root = (need.model.clone(), ROOT);
        if !self.scored.contains_key(&root) {
            self.scored.insert(root, model.open("ask", self.tokenizer.clone()).expect("open"));
        }
        let mine = (need.model.clone(), need.beam);
        if need.anchor != need.beam {
            let anchor = self.scored[&(need.model.clone(), need.anchor)];
            self.scored.insert(mine.clone(), model.fork(&[anchor]).expect("fork")[0]);
        }
        let row = ScoreRow { id: self.scored[&mine], tokens: need.tokens.clone(), ended: need.ended };
        model.extend(&[row]).expect("extend").remove(0)
    }

    fn release(&mut self, beams: &[BeamKey], scored: &[BeamKey]) -> Answer {
        for key in beams {
            let (id, ..) = self.beams.remove(key).expect("a held beam");
            self.model.release(&[id]);
        }
        for (name, model) in &mut self.scores {
            let gone = self.scored.iter().filter(|((n, key), _)| n == name && scored.contains(key));
            model.release(&gone.map(|(_, id)| *id).collect::<Vec<_>>());
        }
        if self.beams.is_empty() {
            for (name, model) in &mut self.scores {
                let ids: Vec<_> = self.scored.iter().filter(|((n, _), _)| n == name).map(|(_, id)| *id).collect();
                model.release(&ids);
            }
        }
        Answer::Done
    }
}
