//! The models of an engine, and the handles of one request on them.

use crate::{EngineError, LiveBeams, Models, scores::ScoreModels};
use inferenceguard_model::{
    Abilities, BackEnd, Caller, Drain, Generator, Model, ModelIdentity, ReplicaReport, ScoreBackEnd, ScoreModel,
    Tokenizer,
};
use inferenceguard_schedule::{Limits, Scheduler};
use inferenceguard_search::{EngineRun, RepeatsFrom};
use std::{collections::BTreeMap, sync::Arc};

/// The most characters of an engine's name in outputs and errors.
const NAME: usize = 200;

/// A language model, if there is one, and score models.
pub(crate) type Started = (Option<Arc<dyn BackEnd>>, Vec<Arc<dyn ScoreBackEnd>>);

/// The models that an engine computes on itself.
#[derive(Default)]
pub(crate) struct Own {
    pub(crate) model: Option<Box<dyn Model>>,
    pub(crate) scores: Vec<Box<dyn ScoreModel>>,
}

impl Own {
    /// Back ends on one thread that owns these models. No thread for no models.
    pub(crate) fn start(self) -> Result<Started, EngineError> {
        if self.model.is_none() && self.scores.is_empty() {
            return Ok((None, Vec::new()));
        }
        let scores = unique(self.scores, |model| model.info().name.clone())?;
        let scheduler = Scheduler::start(self.model, scores, Limits::default())?;
        Ok((scheduler.back_end(), scheduler.score_back_ends().into_values().collect()))
    }
}

/// Score models by the names that costs use.
pub(crate) fn by_name(
    models: impl IntoIterator<Item = Arc<dyn ScoreBackEnd>>,
) -> Result<BTreeMap<String, Arc<dyn ScoreBackEnd>>, EngineError> {
    unique(models, |model| model.info().name.clone())
}

fn unique<T>(
    models: impl IntoIterator<Item = T>,
    name: impl Fn(&T) -> String,
) -> Result<BTreeMap<String, T>, EngineError> {
    let mut named = BTreeMap::new();
    for model in models {
        let name = name(&model);
        if named.insert(name.clone(), model).is_some() {
            return Err(EngineError::ScoreModelTwice { name });
        }
    }
    Ok(named)
}

/// The models of an engine; other engines may use them too.
pub(crate) struct BackEnds {
    pub(crate) language: Arc<dyn BackEnd>,
    pub(crate) tokenizer: Arc<dyn Tokenizer>,
    scores: BTreeMap<String, Arc<dyn ScoreBackEnd>>,
}

/// The handles of one request. Dropping them frees what it holds.
pub(crate) struct Handles {
    pub(crate) language: Box<dyn Generator>,
    pub(crate) scores: ScoreModels,
    /// What the engine of the language model can do.
    pub(crate) abilities: Abilities,
    /// As [`BackEnd::rounding`].
    pub(crate) rounding: f64,
}

impl BackEnds {
    pub(crate) fn new(language: Arc<dyn BackEnd>, scores: BTreeMap<String, Arc<dyn ScoreBackEnd>>) -> Self {
        let tokenizer = language.handle(&Caller::default()).tokenizer();
        Self { language, tokenizer, scores }
    }

    pub(crate) fn handles(&self, caller: &Caller) -> Handles {
        let scores = self.scores.iter().map(|(name, scores)| (name.clone(), scores.handle(caller)));
        Handles {
            language: self.language.handle(caller),
            scores: scores.collect(),
            abilities: self.language.abilities().clone(),
            rounding: self.language.rounding(),
        }
    }

    /// Which models these are.
    pub(crate) fn models(&self) -> Models {
        let scores = self.scores.iter().map(|(name, scores)| (name.clone(), ModelIdentity::from(scores.info())));
        Models { model: ModelIdentity::from(self.language.info()), scores: scores.collect() }
    }

    /// What ran the language model. The same seed gives the same answer where the scores are the same, too.
    pub(crate) fn ran(&self) -> EngineRun {
        let abilities = self.language.abilities();
        let repeats = abilities.repeats && self.scores.values().all(|scores| scores.repeats());
        let repeats_from = if repeats { RepeatsFrom::Seed } else { RepeatsFrom::Record };
        EngineRun { engine: engine(&abilities.engine), repeats_from }
    }

    pub(crate) fn live_beams(&self) -> LiveBeams {
        let scored = self.scores.values().map(|scores| scores.live_rows()).sum();
        LiveBeams { beams: self.language.live_beams(), scored }
    }

    /// The replicas of all models.
    pub(crate) fn replicas(&self) -> Vec<ReplicaReport> {
        let scores = self.scores.values().flat_map(|scores| scores.replicas());
        self.language.replicas().into_iter().chain(scores).collect()
    }

    /// Takes the replica of this URL out, or uses it again. A server serves one model.
    pub(crate) fn drain(&self, url: &str, drained: bool) -> Drain {
        let scores = self.scores.values().map(|scores| scores.drain(url, drained));
        let mut all = std::iter::once(self.language.drain(url, drained)).chain(scores);
        all.find(|done| *done != Drain::Unknown).unwrap_or(Drain::Unknown)
    }

    /// The first model that can give no answer, and why: the language model, or a score model whose name is `read`.
    pub(crate) fn broken(&self, read: impl Fn(&str) -> bool) -> Option<String> {
        let named = |name: &str, why: &str| format!("the model {name} cannot answer: {why}");
        let language = self.language.broken().map(|why| named(&self.language.info().name, &why));
        let mut scores = self.scores.iter().filter(|(name, _)| read(name));
        language.or_else(|| scores.find_map(|(name, scores)| Some(named(name, &scores.broken()?))))
    }
}

/// The name of an engine, which may come from another machine, as a line of text.
pub(crate) fn engine(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::{BackEnds, Own, by_name, engine};
    use inferenceguard_model::{Caller, ScoreBackEnd, ScoreInfo, ScoreModel, toy::ToyScript};
    use inferenceguard_search::RepeatsFrom;
    use std::sync::Arc;

    /// A score model whose scores depend on what else it scores.
    struct Unsteady(Arc<dyn ScoreBackEnd>);

    impl ScoreBackEnd for Unsteady {
        fn info(&self) -> &ScoreInfo {
            self.0.info()
        }
        fn handle(&self, caller: &Caller) -> Box<dyn ScoreModel> {
            self.0.handle(caller)
        }
        fn live_rows(&self) -> usize {
            self.0.live_rows()
        }
        fn broken(&self) -> Option<String> {
            self.0.broken()
        }
        fn positions(&self) -> u64 {
            self.0.positions()
        }
        fn repeats(&self) -> bool {
            false
        }
    }

    #[test]
    fn the_seed_repeats_an_answer_only_where_all_models_repeat() {
        for (unsteady, from) in [(false, RepeatsFrom::Seed), (true, RepeatsFrom::Record)] {
            let toy = ToyScript::parse("vocab: <eos>* a\nafter : a 1\nscore cost: a 1").expect("a script");
            let score = toy.score("cost").expect("a score model");
            let own = Own { model: Some(Box::new(toy.model())), scores: vec![Box::new(score)] };
            let (language, mut scores) = own.start().expect("a thread");
            if unsteady {
                scores = scores.into_iter().map(|one| Arc::new(Unsteady(one)) as Arc<dyn ScoreBackEnd>).collect();
            }
            let models = BackEnds::new(language.expect("a model"), by_name(scores).expect("one name"));
            assert_eq!(models.ran().repeats_from, from, "{unsteady}");
        }
    }

    #[test]
    fn the_name_of_an_engine_is_one_short_line() {
        assert_eq!(engine("vllm 0.32.0"), "vllm 0.32.0");
        assert_eq!(engine("a\u{1b}[2Jb\nc"), "a [2Jb c");
        assert_eq!(engine(&"é".repeat(1000)).chars().count(), 200);
    }
}
