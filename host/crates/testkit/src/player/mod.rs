//! Plays a search with the scripted model and with roles in plain Rust.

mod guarded_loop;
/// Sessions whose rows are damaged on their way.
pub mod played;
mod stage;

pub use guarded_loop::Loop;
pub use stage::Stage;

use crate::roles::{Recursion, ScoreCost, config, constraint};
use inferenceguard_model::{Model, SampleRequest, Tokenizer, toy::ToyScript};
use inferenceguard_search::*;
use std::{collections::BTreeMap, sync::Arc};

/// The requests for each draw that a need asks for, offset by offset.
#[must_use]
pub fn draws(need: &Need, answer: &Answer) -> Vec<Vec<SampleRequest>> {
    match (need, answer) {
        (Need::Sample(needs), _) => vec![needs.iter().map(|need| need.request.clone()).collect()],
        (Need::Grow { growth, rows }, Answer::Grown(grown)) => {
            let rows: Vec<_> = rows.iter().map(|need| &need.row).zip(grown.iter().flatten()).collect();
            let drawn = |offset: usize| rows.iter().filter(move |(_, grown)| grown.tokens.len() > offset);
            let of = |offset| drawn(offset).map(|(row, grown)| growth.request(row, &grown.tokens[..offset])).collect();
            (0..growth.max_tokens as usize).map(of).filter(|one: &Vec<_>| !one.is_empty()).collect()
        }
        _ => Vec::new(),
    }
}

/// Everything one request needs.
pub struct Player {
    /// The models.
    pub script: ToyScript,
    /// The configuration of its sessions.
    pub config: SearchConfig,
    /// The policy.
    pub policy: Box<dyn Policy>,
    /// The tracker.
    pub tracker: Box<dyn Tracker>,
    /// The costs, by name.
    pub costs: BTreeMap<String, Box<dyn Cost>>,
    /// What spells the tokens, if not the script.
    pub tokenizer: Option<Arc<dyn Tokenizer>>,
}

impl Player {
    /// Reward and cost of the script, one constraint.
    #[must_use]
    pub fn new(script: &str, budget: f64, max_tokens: u32, policy: Loop) -> Self {
        let config = SearchConfig { max_tokens, seed: 7, ..config(constraint("safety", "cost", budget)) };
        let costs: [(&str, Box<dyn Cost>); 2] =
            [("cost", ScoreCost::new("cost", CostKind::Safety)), ("reward", ScoreCost::new("reward", CostKind::Task))];
        let costs = costs.into_iter().map(|(name, cost)| (name.to_owned(), cost)).collect();
        let script = ToyScript::parse(script).expect("the script parses");
        Self { script, config, policy: Box::new(policy), tracker: Box::new(Recursion), costs, tokenizer: None }
    }

    /// A session about this prompt.
    #[must_use]
    pub fn session(&self, prompt: &str) -> Session {
        let model = self.script.model();
        let info = model.info();
        let vocabulary = Vocabulary { size: info.vocab as u32, eos: info.eos.clone(), special: info.special.clone() };
        let info = |c: &dyn Cost| CostInfo { needs: c.needs().clone(), kind: c.kind(), grain: c.grain() };
        let costs = self.costs.iter().map(|(n, c)| (n.clone(), info(c.as_ref()))).collect();
        let roles = RolesInfo { policy: self.policy.needs().clone(), critic: None, steering: None, costs };
        let tokens = model.encode_prompt(prompt).expect("the prompt encodes");
        let tokenizer = self.tokenizer.clone().unwrap_or_else(|| self.script.tokenizer());
        Session::new(self.config.clone(), roles, vocabulary, prompt, tokens, tokenizer)
            .expect("the configuration is valid")
    }

    /// Plays to the end; checks that nothing leaks.
    pub fn play(&mut self) -> (Outcome, Trace) {
        let (outcome, trace, _) = self.play_watched();
        (outcome, trace)
    }

    /// As [`Self::play`], and also returns what was released after each need.
    pub fn play_watched(&mut self) -> (Outcome, Trace, Vec<String>) {
        self.play_session(self.session("ask"))
    }

    /// Plays a session of its own.
    pub fn play_session(&mut self, mut session: Session) -> (Outcome, Trace, Vec<String>) {
        session.record();
        let mut stage = self.stage();
        let mut released = Vec::new();
        while self.turn(&mut session, &mut stage, |_, _, answer| answer) {
            released.push(session.released().to_owned());
        }
        stage.assert_empty();
        (session.outcome().expect("an outcome").clone(), session.trace().expect("a trace").clone(), released)
    }

    /// Answers the next need of a session as `change` makes it of the roles' or the models' answer; false if there is none.
    ///
    /// # Panics
    /// If the answer does not fit the need.
    pub fn turn(
        &mut self,
        session: &mut Session,
        stage: &mut Stage,
        change: impl FnOnce(&mut Stage, &Need, Answer) -> Answer,
    ) -> bool {
        let need = session.next();
        if need == Need::Nothing {
            return false;
        }
        let answer = self.perform(stage, need.clone());
        session.feed(change(stage, &need, answer)).expect("the answer fits");
        true
    }

    /// Fresh models.
    #[must_use]
    pub fn stage(&self) -> Stage {
        let mut stage = Stage::new(&self.script);
        stage.spelling = self.tokenizer.clone().unwrap_or(stage.spelling);
        stage
    }

    /// Answers a need by the roles or the models.
    pub fn perform(&mut self, stage: &mut Stage, need: Need) -> Answer {
        match need {
            Need::Start(c) => Answer::Budget(self.tracker.start(&c)),
            Need::Advance { constraint, rows } => Answer::Advanced(self.tracker.advance(&constraint, &rows)),
            Need::Plan(rows) => Answer::Plan(self.policy.plan(&rows)),
            Need::Select(rows) => Answer::Decided(self.policy.select(&rows)),
            Need::Price { cost, batch } | Need::PriceTail { cost, batch } => {
                Answer::Priced(self.costs.get_mut(&cost).expect("a known cost").price(&batch))
            }
            other => stage.perform(other),
        }
    }
}

impl std::fmt::Debug for Player {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.config)
    }
}
