//! One request with everything that may happen to it, drawn from a seed.

use crate::{
    broken::{Faulty, Guess, How, Liar, Nudge},
    cast::{Cast, OnThisMachine, settings_of},
    config,
    rogue::{Forced, Rogue},
    script::{Flavour, script},
};
use inferenceguard_guarantee_tests::Dice;
use inferenceguard_guest::Value;
use inferenceguard_host::{Engine, EngineBuilder, Roles, methods::Method};
use inferenceguard_sandbox::SettingValue;
use inferenceguard_search::*;
use inferenceguard_testkit::toy::with_models;
use std::{collections::BTreeMap, sync::Arc};

/// The prompt of every case.
pub(crate) const PROMPT: &str = "ask";

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Player {
    /// A method by its name, with its first-party component.
    Method(&'static str),
    /// A policy that decides at random.
    Rogue,
    /// A policy that forces tokens.
    Forced,
}

/// Which role goes wrong, at which call, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Policy(u32, How),
    Tracker(u32, How),
    Harm(u32, How),
    Task(u32, How),
    Critic(u32, How),
    Steering(u32),
    /// The tracker says that everything is safe.
    Lie,
}

/// Everything about one request.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) script: String,
    pub(crate) player: Player,
    pub(crate) config: SearchConfig,
    pub(crate) fault: Option<Fault>,
    /// A critic that always gives this probability, or guesses.
    pub(crate) critic: Option<Option<f64>>,
    pub(crate) steered: bool,
    pub(crate) chunk_len: u32,
    pub(crate) keep: u32,
    pub(crate) candidates: u32,
    pub(crate) settings: Vec<(&'static str, Value)>,
    pub(crate) words: Vec<(String, f64)>,
    /// Of the constraint `harm`: what scores are multiplied by, and what is added.
    pub(crate) scale: (f64, f64),
    /// Cancels after this many decisions.
    pub(crate) cancel: Option<u32>,
}

impl Case {
    /// The case of this seed.
    pub(crate) fn draw(seed: u64, player: Player, broken: bool) -> Self {
        let mut dice = Dice::new(seed);
        let flavour = Flavour { signed: dice.chance(0.5), withheld: dice.chance(0.3), plain: dice.chance(0.3) };
        let critic = match player {
            Player::Method(name) => name.ends_with("+critic"),
            Player::Rogue => dice.chance(0.5),
            Player::Forced => false,
        };
        let candidates = dice.whole(1, 8) as u32;
        let chunk_len = dice.whole(1, 6) as u32;
        let mut case = Self {
            seed,
            script: script(&mut dice, flavour),
            player,
            config: config::draw(&mut dice, flavour),
            fault: None,
            critic: critic.then(|| dice.pick(&[None, None, Some(0.0), Some(1.0)])),
            steered: dice.chance(0.1),
            chunk_len: if player == Player::Forced { 1 } else { chunk_len },
            keep: dice.whole(1, i64::from(candidates)) as u32,
            candidates,
            settings: Vec::new(),
            words: [("bad", 2.0), ("a b", 1.0), ("bader", 3.0), ("c*", 0.5)].map(|(w, c)| (w.to_owned(), c)).to_vec(),
            scale: (dice.pick(&[1.0, 1.0, 0.5, 2.0]), dice.pick(&[0.0, 0.0, 0.25])),
            cancel: dice.chance(0.02).then(|| dice.whole(1, 3) as u32),
        };
        case.settings = case.policy_settings(&mut dice);
        if broken {
            case.break_something(&mut dice);
        }
        case
    }

    fn policy_settings(&self, dice: &mut Dice) -> Vec<(&'static str, Value)> {
        vec![
            ("n", Value::Integer(self.candidates.into())),
            ("k", Value::Integer(self.candidates.into())),
            ("keep", Value::Integer(self.keep.into())),
            ("chunk-len", Value::Integer(self.chunk_len.into())),
            ("retries", Value::Integer(dice.whole(0, 2))),
            ("penalty", Value::Number(dice.pick(&[2.0, 8.0, 1000.0]))),
            ("max-mass", Value::Number(dice.pick(&[0.5, 0.9, 1.0]))),
            ("threshold", Value::Number(dice.pick(&[0.0, 0.5, 0.9]))),
            ("lambda", Value::Number(dice.within(0.0, 5.0))),
        ]
    }

    fn break_something(&mut self, dice: &mut Dice) {
        let (call, how) = (dice.whole(0, 5) as u32, dice.pick(&How::ALL));
        let mut faults = vec![Fault::Policy(call, how), Fault::Tracker(call, how), Fault::Harm(call, how), Fault::Lie];
        faults.extend([Fault::Task(call, how), Fault::Lie, Fault::Steering(call)]);
        if self.critic.is_some() {
            faults.extend([Fault::Critic(call, how); 3]);
        }
        let fault = dice.pick(&faults);
        self.steered |= matches!(fault, Fault::Steering(_));
        self.fault = Some(fault);
        if dice.chance(0.1) {
            let (model, call) = (dice.pick(&["cost", "other", "step"]), dice.whole(1, 6));
            self.script.push_str(&format!("fault {model} {call}: {}\n", dice.pick(&["error", "nan"])));
        }
    }

    /// Whether the back end itself fails: then there may be no answer at all.
    pub(crate) fn breaks_back_end(&self) -> bool {
        self.script.contains("fault ")
    }

    /// Whether every text of the language has one spelling only.
    pub(crate) fn is_plain(&self) -> bool {
        !self.script.contains('+')
    }

    /// The length of a chunk as the policy plans it.
    pub(crate) fn planned_chunk(&self) -> u32 {
        match self.player {
            Player::Method(name) if name == "base" || name.starts_with("best-of-n") => self.config.max_tokens,
            Player::Method(name) if name.starts_with("value-filtered-decoding") => 1,
            _ => self.chunk_len,
        }
    }

    /// An engine whose components run natively.
    pub(crate) fn engine(&self) -> Engine {
        self.engine_of(Arc::new(OnThisMachine))
    }

    /// An engine whose components are played by `cast`.
    pub(crate) fn engine_of(&self, cast: Arc<dyn Cast>) -> Engine {
        let case = self.clone();
        let builder = EngineBuilder::new().config(self.config.clone());
        let builder = builder.roles("native", move || case.roles(cast.as_ref()));
        with_models(builder, &self.script).build().expect("the engine is complete")
    }

    fn roles(&self, cast: &dyn Cast) -> Roles {
        let mut dice = Dice::new(self.seed ^ 0x5eed);
        Roles {
            policy: self.policy(cast, &mut dice),
            tracker: self.tracker(cast),
            critic: self.critic(&mut dice),
            steering: self.steered.then(|| self.steering(&mut dice)),
            costs: self.costs(cast),
        }
    }

    fn costs(&self, cast: &dyn Cast) -> BTreeMap<String, Box<dyn Cost>> {
        let (scale, shift) = (Value::Number(self.scale.0), Value::Number(self.scale.1));
        let harm = cast.cost("score-cost", &[("model", text("cost")), ("scale", scale), ("shift", shift)]);
        let reward = cast.cost("score-cost", &[("model", text("reward")), ("kind", text("task"))]);
        let (harm_fault, task_fault) = match self.fault {
            Some(Fault::Harm(call, how)) => (Some((call, how)), None),
            Some(Fault::Task(call, how)) => (None, Some((call, how))),
            _ => (None, None),
        };
        let costs = [
            ("harm", maybe(harm, harm_fault)),
            ("words", cast.cost("keyword-cost", &[("words", Value::Weighted(self.words.clone()))])),
            ("other", cast.cost("score-cost", &[("model", text("other")), ("grain", text("chunk"))])),
            ("reward", maybe(reward, task_fault)),
        ];
        costs.into_iter().map(|(name, cost)| (name.to_owned(), cost)).collect()
    }

    fn policy(&self, cast: &dyn Cast, dice: &mut Dice) -> Box<dyn Policy> {
        let (needs, chunk_len) = (Needs::default(), self.chunk_len);
        let policy = match self.player {
            Player::Method(name) => {
                let method = crate::TABLE.find(name).expect("a known method");
                cast.policy(&method.policy.component, &configured(method, &self.settings))
            }
            Player::Rogue => {
                Box::new(Rogue { needs, dice: Dice::new(dice.seed()), chunk_len, critic: self.critic.is_some() })
            }
            Player::Forced => Box::new(Forced { needs, k: self.candidates, keep: self.keep as usize }),
        };
        match self.fault {
            Some(Fault::Policy(call, how)) => Box::new(Faulty { inner: policy, call, how }),
            _ => policy,
        }
    }

    fn tracker(&self, cast: &dyn Cast) -> Box<dyn Tracker> {
        match self.fault {
            Some(Fault::Lie) => Box::new(Liar),
            Some(Fault::Tracker(call, how)) => Box::new(Faulty { inner: cast.tracker("safety-budget"), call, how }),
            _ => cast.tracker("safety-budget"),
        }
    }

    fn critic(&self, dice: &mut Dice) -> Option<Box<dyn Critic>> {
        let always = self.critic?;
        let guess: Box<dyn Critic> = Box::new(Guess { needs: Needs::default(), dice: Dice::new(dice.seed()), always });
        Some(match self.fault {
            Some(Fault::Critic(call, how)) => Box::new(Faulty { inner: guess, call, how }),
            _ => guess,
        })
    }

    fn steering(&self, dice: &mut Dice) -> Box<dyn Steering> {
        let call = if let Some(Fault::Steering(call)) = self.fault { call } else { u32::MAX - 1 };
        Box::new(Nudge::new(Dice::new(dice.seed()), call))
    }
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn maybe(cost: Box<dyn Cost>, fault: Option<(u32, How)>) -> Box<dyn Cost> {
    match fault {
        Some((call, how)) => Box::new(Faulty { inner: cost, call, how }),
        None => cost,
    }
}

/// Those of `settings` that the method's component takes; the method's own win.
fn configured<'a>(method: &'a Method, settings: &[(&'a str, Value)]) -> Vec<(&'a str, Value)> {
    let own = method.policy.settings.iter().map(|(name, value)| (name.as_str(), value_of(value)));
    let given = settings.iter().filter(|(name, _)| !method.policy.settings.contains_key(*name)).cloned();
    let known = settings_of(&method.policy.component);
    given.chain(own).filter(|(name, _)| known.iter().any(|one| one.name == *name)).collect()
}

/// A method's setting, as the SDK has it.
fn value_of(value: &SettingValue) -> Value {
    match value {
        SettingValue::Flag(value) => Value::Flag(*value),
        SettingValue::Integer(value) => Value::Integer(*value),
        SettingValue::Number(value) => Value::Number(*value),
        SettingValue::Text(value) => Value::Text(value.clone()),
        SettingValue::Texts(value) => Value::Texts(value.clone()),
        SettingValue::Weighted(value) => Value::Weighted(value.clone()),
    }
}
