//! `eval`: many prompts, several methods, one table.

use crate::{args::EvalArguments, engine, output, pricer::Pricer};
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use inferenceguard_eval::{Answer, Intent, Method, Prompt, Status, evaluate, read_prompts};
use inferenceguard_host::{Engine, Output, Request};
use inferenceguard_search::Status as HostStatus;
use inferenceguard_train::{
    judge::Judge,
    world::{Split, TOPICS, World},
};
use std::{cell::RefCell, collections::BTreeMap, error::Error, fs};

/// Answers every prompt by every method and prints the figures.
pub(crate) fn run(arguments: &EvalArguments) -> anyhow::Result<()> {
    let world = World::frozen();
    let prompts = limited(prompts(arguments, &world)?, arguments.limit);
    if arguments.methods.is_empty() {
        bail!("--methods names none; give at least one, such as base");
    }
    // The largest budget is the deployment's; requests tighten it.
    let largest = arguments.budgets.iter().copied().reduce(f64::max).map(|budget| budget.to_string());
    let opened = engine::open(&arguments.guard, &arguments.methods, largest.as_slice())?;
    let first = opened.bundle.manifest().constraints.first().context("the bundle has no constraint to evaluate")?;
    let budgets = if arguments.budgets.is_empty() { vec![first.budget] } else { arguments.budgets.clone() };
    let pricer = RefCell::new(Pricer::open(&opened)?);
    if pricer.borrow().is_none() {
        output::note("the cost cannot be priced in one piece, so no answer is priced a second time");
    }
    let mut methods: Vec<Guarded<'_>> = Vec::new();
    for &budget in &budgets {
        for name in &arguments.methods {
            methods.push(Guarded { engine: &opened.engine, pricer: &pricer, name, constraint: &first.name, budget });
        }
    }
    let mut methods: Vec<&mut dyn Method> = methods.iter_mut().map(|method| method as &mut dyn Method).collect();
    let (judge, bar) = (Judge::new(&world), bar()?);
    let report = evaluate(&prompts, &mut methods, arguments.seed, &|_, answer| !judge.is_harmful(answer), &mut |at| {
        bar.set_length(at.total as u64);
        bar.set_position(at.done as u64);
        bar.set_message(format!("{} at budget {}", at.newest.method, at.newest.budget));
    })?;
    bar.finish_and_clear();
    if let Some(path) = &arguments.json {
        output::file(path, &serde_json::to_vec(&report)?)?;
    }
    output::result(&report)?;
    match report.violations() {
        0 => Ok(()),
        count => bail!("{count} answers with status within_budget exceed it when priced from scratch; this is a bug"),
    }
}

fn bar() -> anyhow::Result<ProgressBar> {
    Ok(ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:32} {pos}/{len} {msg} {eta}")?))
}

fn prompts(arguments: &EvalArguments, world: &World) -> anyhow::Result<Vec<Prompt>> {
    if let Some(path) = &arguments.prompts {
        let text = fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
        return Ok(read_prompts(&text)?);
    }
    let prompt = |prompt: &inferenceguard_train::world::Prompt| Prompt {
        text: prompt.text.clone(),
        intent: if prompt.is_harmful() { Intent::Harmful } else { Intent::Benign },
        topic: TOPICS.get(prompt.topic).map(|topic| topic.name.to_owned()),
    };
    Ok(world.split(Split::Test).into_iter().map(prompt).collect())
}

/// At most `limit` prompts, evenly spread, in order.
fn limited(prompts: Vec<Prompt>, limit: Option<usize>) -> Vec<Prompt> {
    let (total, limit) = (prompts.len(), limit.unwrap_or(prompts.len()).min(prompts.len()));
    let picked = |at: &usize| at * limit / total != (at + 1) * limit / total;
    prompts.into_iter().enumerate().filter(|(at, _)| picked(at)).map(|(_, prompt)| prompt).collect()
}

/// A method of the engine at one budget.
struct Guarded<'a> {
    engine: &'a Engine,
    pricer: &'a RefCell<Option<Pricer>>,
    name: &'a str,
    constraint: &'a str,
    budget: f64,
}

type Failure = Box<dyn Error + Send + Sync>;

impl Method for Guarded<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn budget(&self) -> f64 {
        self.budget
    }

    fn answer(&mut self, prompt: &str, seed: u64) -> Result<Answer, Failure> {
        let request = Request {
            method: Some(self.name.to_owned()),
            budgets: BTreeMap::from([(self.constraint.to_owned(), self.budget)]),
            seed: Some(seed),
            ..Request::new(prompt)
        };
        Ok(answer(self.engine.generate(request)?))
    }

    fn price_again(&mut self, prompt: &str, tokens: &[u32]) -> Result<Option<f64>, Failure> {
        let mut pricer = self.pricer.borrow_mut();
        Ok(pricer.as_mut().map(|pricer| pricer.price(prompt, tokens)).transpose()?)
    }
}

fn answer(output: Output) -> Answer {
    Answer {
        status: match output.status {
            HostStatus::WithinBudget => Status::WithinBudget,
            HostStatus::BudgetExceeded => Status::BudgetExceeded,
            HostStatus::NoSafeCandidate => Status::NoSafeCandidate,
        },
        cost: output.constraints.first().map(|constraint| constraint.max_cost),
        text: output.text,
        tokens: output.tokens,
        reward: output.reward,
        seconds: output.seconds,
        sampled_tokens: output.usage.sampled_tokens,
        scored_positions: output.usage.scored_positions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_spreads_over_all_prompts() {
        let prompts = |n: usize| -> Vec<Prompt> {
            (0..n).map(|at| Prompt { text: at.to_string(), intent: Intent::Benign, topic: None }).collect()
        };
        for (n, limit, expected) in [(10, Some(5), 5), (10, None, 10), (3, Some(9), 3), (7, Some(0), 0), (0, None, 0)] {
            assert_eq!(limited(prompts(n), limit).len(), expected, "{n} {limit:?}");
        }
        let picked: Vec<String> = limited(prompts(9), Some(3)).into_iter().map(|prompt| prompt.text).collect();
        assert_eq!(picked, ["2", "5", "8"]);
    }
}
