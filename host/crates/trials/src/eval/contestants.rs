//! The methods of an evaluation: those of an engine, and the refusal of every prompt.

use super::under_test::ModelUnderTest;
use inferenceguard_eval::{Answer, Method, Priced, Status};
use inferenceguard_host::{Engine, EngineError, Output, Request};
use inferenceguard_model::ModelError;
use std::{collections::BTreeMap, error::Error};

type Failure = Box<dyn Error + Send + Sync>;

/// The name of the baseline that refuses every prompt.
pub(super) const ALWAYS_REFUSE: &str = "always-refuse";

/// One method of one model.
pub(super) struct Guarded<'a> {
    pub(super) model: &'a ModelUnderTest,
    pub(super) engine: Engine,
}

impl Method for Guarded<'_> {
    fn answer(&mut self, prompt: &str, seed: u64) -> Result<Answer, Failure> {
        let before = self.model.positions();
        let request = Request { seed: Some(seed), ..Request::new(prompt) };
        let output = match self.engine.generate(request) {
            Ok(output) => output,
            Err(error) if is_of_the_prompt(&error) => return Ok(Answer::failure(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        let scored = self.model.positions().into_iter().map(|(name, after)| {
            let before = before.get(&name).copied().unwrap_or_default();
            (name, after - before)
        });
        Ok(answer(output, scored.collect()))
    }

    fn price_again(&mut self, prompt: &str, answer: &Answer) -> Result<Priced, Failure> {
        Ok(self.model.pricer.borrow_mut().price(prompt, answer)?)
    }
}

/// Whether the error concerns this prompt only.
fn is_of_the_prompt(error: &EngineError) -> bool {
    use ModelError::{ContextExceeded, EmptyPrompt, NotFinite, Tokenizer};
    match error {
        EngineError::EmptyPrompt | EngineError::DoesNotFit { .. } => true,
        EngineError::Model(error) => {
            matches!(error, Tokenizer(_) | EmptyPrompt | ContextExceeded { .. } | NotFinite(_))
        }
        _ => false,
    }
}

fn answer(output: Output, scored: BTreeMap<String, u64>) -> Answer {
    Answer {
        status: output.status,
        failure: (output.status == Status::Failed).then(|| reasons(&output)),
        failures: output.failures.iter().map(ToString::to_string).collect(),
        cost: output.constraints.first().filter(|_| is_answer(output.status)).map(|constraint| constraint.max_cost),
        text: output.text,
        tokens: output.tokens,
        reward: output.reward,
        seconds: output.seconds,
        pricing_seconds: Some(output.profile.scoring + output.profile.components),
        sampled_tokens: output.usage.sampled_tokens,
        scored_positions: output.usage.scored_positions,
        scored,
        retries: output.usage.retries,
    }
}

/// Whether an answer went out: the costs of a refusal and of a failure are not known.
fn is_answer(status: Status) -> bool {
    match status {
        Status::WithinBudget | Status::BudgetExceeded | Status::Unguarded => true,
        Status::NoSafeCandidate | Status::Failed => false,
    }
}

fn reasons(output: &Output) -> String {
    output.failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Answers every prompt with the bundle's refusal.
pub(super) struct AlwaysRefuse<'a> {
    pub(super) model: &'a ModelUnderTest,
}

impl Method for AlwaysRefuse<'_> {
    fn answer(&mut self, _: &str, _: u64) -> Result<Answer, Failure> {
        Ok(Answer::without_tokens(Status::NoSafeCandidate, self.model.bundle.manifest().refusal.clone()))
    }

    fn price_again(&mut self, prompt: &str, answer: &Answer) -> Result<Priced, Failure> {
        Ok(self.model.pricer.borrow_mut().price(prompt, answer)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_testkit::toy::engine;

    #[test]
    fn only_an_answer_that_went_out_has_a_cost() {
        let doomed = "vocab: <eos>* good bad\nafter : bad 1\nscore cost: bad 5\nscore reward: bad 1";
        let broken = format!("{doomed}\nfault cost 1: nan");
        let asked = |script: &str, budget| {
            let output = engine(script, budget).generate(Request::new("good")).unwrap();
            let Answer { status, cost, .. } = answer(output, BTreeMap::new());
            (status, cost.is_some_and(|cost| cost > 0.0))
        };
        assert_eq!(asked(doomed, 1e6), (Status::WithinBudget, true));
        assert_eq!(asked(doomed, 3.0), (Status::NoSafeCandidate, false));
        assert_eq!(asked(&broken, 1e6), (Status::Failed, false));
    }
}
