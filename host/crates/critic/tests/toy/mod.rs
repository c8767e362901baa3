//! A scripted model whose latents predict the next token, and labels for its answers.
#![allow(dead_code, reason = "each test file uses a part of it")]

use inferenceguard_bundle::network::LayerActivation;
use inferenceguard_candle::DeviceChoice;
use inferenceguard_critic::{
    CriticOptions, Reading, Recipe, Schedule, Shares,
    collect::{CollectOptions, MEMORY},
    cost::{HeadOptions, Source, cost_recipe},
    labels::{Label, Labeller},
    objective::{CriticObjective, Objective},
    targets::BudgetSeen,
};
use inferenceguard_model::{
    BackEnd, Caller, Generator, LatentSelector, LockedBackEnd, Token,
    fake::FakeEngine,
    toy::{ToyModel, ToyScript},
};
use inferenceguard_search::{Constraint, ConstraintMode, CostClip, Granularity, PricedConstraint};
use std::{error::Error, fs, path::Path, sync::Arc};

pub(crate) const GOOD: Token = 5;
pub(crate) const BAD: Token = 6;

/// After `good` mostly `good` follows, after `bad` mostly `bad`; the latent is the row of logits.
pub(crate) const SCRIPT: &str = "vocab: <eos>* a b c d good bad
context: 24
after : good 1, bad 1
after good : good 30, bad 1, <eos> 1
after bad : bad 30, good 1, <eos> 1";

pub(crate) fn model(script: &str) -> ToyModel {
    ToyScript::parse(script).unwrap().model()
}

/// The toy behind a handle, with faults.
pub(crate) fn handle(script: &str, faults: &str) -> Box<dyn Generator> {
    let inner: Arc<dyn BackEnd> = Arc::new(LockedBackEnd::new(Box::new(model(script))));
    FakeEngine::new(inner, faults).unwrap().handle(&Caller::default())
}

/// How heads are trained in seconds.
pub(crate) fn heads(out: &Path) -> HeadOptions {
    HeadOptions {
        out: out.to_owned(),
        readings: vec!["final-norm".parse().unwrap()],
        max_tokens: 6,
        shares: Shares { validation: 0.25, test: 0.25, seed: 0 },
        recipe: Recipe { rate: 0.05, epochs: 25, patience: 0, batch: 16, ..cost_recipe() },
        device: DeviceChoice::Cpu,
        memory: MEMORY,
    }
}

/// A file of these lines.
pub(crate) fn data(folder: &Path, lines: &[serde_json::Value]) -> Source {
    let path = folder.join("answers.jsonl");
    fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    Source { path, weight: 1.0 }
}

/// The file of a folder as bytes.
pub(crate) fn bytes(folder: &Path, file: &str) -> Vec<u8> {
    fs::read(folder.join(file)).unwrap()
}

/// 64 prompts of three words.
pub(crate) fn prompts() -> Vec<String> {
    let word = |at: usize| ["a", "b", "c", "d"][at % 4];
    (0..64).map(|at| format!("{} {} {}", word(at), word(at / 4), word(at / 16))).collect()
}

/// Each `bad` costs 1, each `good` pays 1; spoiled or refused at a call if asked to.
#[derive(Default)]
pub(crate) struct Labels {
    pub(crate) calls: usize,
    pub(crate) refuse_at: Option<usize>,
    pub(crate) spoil: Option<fn(&mut Label)>,
    pub(crate) spoil_at: usize,
}

impl Labeller for Labels {
    fn fingerprint(&self) -> String {
        "bad 1, good 1".to_owned()
    }

    fn label(&mut self, _: &str, answers: &[&[Token]]) -> Result<Vec<Label>, Box<dyn Error + Send + Sync>> {
        self.calls += 1;
        if self.refuse_at.is_some_and(|at| self.calls >= at) {
            return Err("the power went out".into());
        }
        let count = |tokens: &[Token], word| tokens.iter().filter(|token| **token == word).count() as f64;
        let one = |tokens: &&[Token]| Label {
            costs: vec![tokens.iter().map(|token| f64::from(u8::from(*token == BAD))).collect()],
            task_cost: -count(tokens, GOOD),
        };
        let mut labels: Vec<Label> = answers.iter().map(one).collect();
        if let (Some(spoil), true) = (self.spoil, self.calls == self.spoil_at) {
            spoil(&mut labels[1]);
        }
        Ok(labels)
    }
}

pub(crate) fn names() -> Vec<String> {
    vec!["harm".to_owned()]
}

pub(crate) fn collect_options() -> CollectOptions {
    CollectOptions {
        answers: 4,
        spacing: 2,
        max_tokens: 12,
        seed: 7,
        latents: vec![LatentSelector::FinalNorm],
        batch: 10,
        ..CollectOptions::default()
    }
}

pub(crate) fn critic() -> Objective {
    let constraint = Constraint {
        name: "harm".to_owned(),
        budget: 6.0,
        gamma: 0.999,
        clip: CostClip::Capped,
        mode: ConstraintMode::Anytime,
    };
    Objective::Critic(CriticObjective {
        constraints: vec![PricedConstraint { constraint, cost: "harm".to_owned(), granularity: Granularity::Token }],
        budgets: vec![(5.0, 7.0)],
        seen: BudgetSeen::ChunkStart,
        chunk: 4,
        discount: false,
    })
}

pub(crate) fn options(out: &Path, objective: Objective) -> CriticOptions {
    CriticOptions {
        out: out.to_owned(),
        collect: collect_options(),
        objective,
        readings: vec![Reading::Latent(LatentSelector::FinalNorm), Reading::Nothing],
        shares: Shares { validation: 0.2, test: 0.3, seed: 0 },
        recipe: Recipe {
            hidden: 16,
            depth: 1,
            activation: LayerActivation::Silu,
            rate: 1e-2,
            schedule: Schedule::Cosine,
            weight_decay: 0.01,
            epochs: 12,
            patience: 4,
            batch: 16,
            seed: 3,
        },
        device: DeviceChoice::Cpu,
    }
}
