//! Does what the search needs: one need in, one answer out.

use crate::{
    EngineError, Roles, abilities,
    back_ends::Handles,
    beams::Beams,
    columns,
    growing::Forced,
    notes::Notes,
    profile::{Stage, Stopwatch},
    scores::Scores,
    steer,
};
use inferenceguard_model::{Abilities, Likely, Message};
use inferenceguard_search::{
    Answer, Batch, BeamKey, Constraint, Cost, Expansion, FailureKind, Need, Role, RoleFailure, RolesInfo, SampleNeed,
    ScoreNeed, Tracker,
};
use std::{collections::BTreeMap, time::Instant};

/// The hands of one request: the back ends and the roles.
pub(crate) struct Driver<'m> {
    /// The method's name, for errors.
    pub(crate) method: String,
    /// What the engine of the language model can do.
    pub(crate) abilities: Abilities,
    pub(crate) beams: Beams<'m>,
    pub(crate) scores: Scores<'m>,
    pub(crate) roles: Roles,
    /// Roles of bundles that came while the request ran, each for constraints and costs of its own.
    pub(crate) more: Vec<More>,
    /// Tokens that are taken instead of drawn ones, if the answer exists already.
    pub(crate) forced: Option<Forced>,
    pub(crate) watch: Stopwatch,
    /// What costs noted about their prices.
    pub(crate) notes: Notes,
}

/// Tracker and costs of one bundle more, by the names that they have in the session.
pub(crate) struct More {
    pub(crate) constraints: Vec<String>,
    pub(crate) tracker: Box<dyn Tracker>,
    pub(crate) costs: BTreeMap<String, Box<dyn Cost>>,
}

impl<'m> Driver<'m> {
    /// The hands of a request on these back ends, with these roles. Score models read the messages.
    pub(crate) fn new(
        handles: &'m mut Handles,
        method: String,
        messages: Vec<Message>,
        (roles, info): (Roles, &RolesInfo),
    ) -> Self {
        let tokenizer = handles.language.tokenizer();
        Self {
            method,
            abilities: handles.abilities.clone(),
            beams: Beams::new(handles.language.as_mut()).keeping(info),
            scores: Scores::new(&mut handles.scores, messages, tokenizer),
            roles,
            more: Vec::new(),
            forced: None,
            watch: Stopwatch::default(),
            notes: Notes::default(),
        }
    }
}

impl Driver<'_> {
    /// Performs a need and counts its time. Beside the answer comes the batch as the role saw it, if one was asked. A
    /// component or a score model that fails is an answer; a language model that fails is an error and ends the request.
    pub(crate) fn perform(&mut self, need: Need) -> Result<(Answer, Option<Batch>), EngineError> {
        let (stage, start) = (Stage::of(&need), Instant::now());
        let answer = self.answer(need);
        self.watch.count(stage, start, self.beams.take_effort());
        answer
    }

    fn answer(&mut self, need: Need) -> Result<(Answer, Option<Batch>), EngineError> {
        let answer = match need {
            Need::Plan(batch) => {
                return self.ask(batch, |driver, batch| Ok(Answer::Plan(driver.roles.policy.plan(batch))));
            }
            Need::Select(batch) => {
                return self.ask(batch, |driver, batch| Ok(driver.select(batch)));
            }
            Need::Estimate(batch) => return self.ask(batch, |driver, batch| Ok(driver.estimate(batch))),
            Need::Price { cost, mut batch } | Need::PriceTail { cost, mut batch } => {
                columns::read_again(&mut batch, &mut self.beams)?;
                return self.ask(batch, |driver, batch| Ok(driver.price(&cost, batch)));
            }
            Need::Steer(batch) => return self.ask(batch, Self::steer),
            Need::Prefill(prompt) => {
                self.beams.prefill(&prompt)?;
                Answer::Done
            }
            Need::Step { forks, rows } => {
                self.beams.step(&forks, &rows)?;
                Answer::Done
            }
            Need::Release { beams, scored } => {
                self.beams.release(&beams);
                self.scores.release(&scored);
                Answer::Done
            }
            Need::Nothing => Answer::Done,
            Need::Sample(needs) => self.sample(needs)?,
            Need::Grow { growth, rows } => Answer::Grown(self.grow(growth, rows)?),
            Need::Expand { rows, k } => self.expand(&rows, k)?,
            Need::Score(needs) => self.score(needs)?,
            Need::Start(constraint) => Answer::Budget(self.tracker(&constraint).start(&constraint)),
            Need::Advance { constraint, rows } => {
                Answer::Advanced(self.tracker(&constraint).advance(&constraint, &rows))
            }
        };
        Ok((answer, None))
    }

    fn ask(
        &mut self,
        mut batch: Batch,
        role: impl FnOnce(&mut Self, &Batch) -> Result<Answer, EngineError>,
    ) -> Result<(Answer, Option<Batch>), EngineError> {
        columns::fill(&mut batch, &mut self.beams)?;
        Ok((role(self, &batch)?, Some(batch)))
    }

    fn sample(&mut self, needs: Vec<SampleNeed>) -> Result<Answer, EngineError> {
        let check = |need: &SampleNeed| abilities::check_draw(&self.method, &need.request, &self.abilities);
        needs.iter().try_for_each(check)?;
        Ok(Answer::Sampled(self.beams.sample(needs)?))
    }

    /// The scores of all rows; where a score model failed on one, the answer names what failed row by row.
    fn score(&mut self, needs: Vec<ScoreNeed>) -> Result<Answer, EngineError> {
        let scored = self.scores.score(needs)?;
        if scored.iter().all(Result::is_ok) {
            return Ok(Answer::Scored(scored.into_iter().flatten().collect()));
        }
        Ok(Answer::PartlyScored(scored))
    }

    fn expand(&mut self, rows: &[BeamKey], k: u32) -> Result<Answer, EngineError> {
        abilities::check_expansion(&self.method, k, self.beams.vocab(), &self.abilities)?;
        let rows = self.beams.likeliest(rows, k)?.into_iter();
        let expansion = |Likely { token, logit, logprob }| Expansion { token, logit, logprob };
        Ok(Answer::Expanded(rows.map(|row| row.into_iter().map(expansion).collect()).collect()))
    }

    fn estimate(&mut self, batch: &Batch) -> Answer {
        let critic = self.roles.critic.as_mut().ok_or_else(|| absent(Role::Critic, "critic"));
        Answer::Estimated(critic.and_then(|critic| critic.estimate(batch)))
    }

    /// The tracker of a constraint.
    fn tracker(&mut self, constraint: &Constraint) -> &mut dyn Tracker {
        let more = self.more.iter_mut().find(|more| more.constraints.contains(&constraint.name));
        more.map_or(&mut *self.roles.tracker, |more| &mut *more.tracker)
    }

    fn select(&mut self, batch: &Batch) -> Answer {
        let decided = self.roles.policy.select(batch);
        self.notes.take_decision(batch, decided.as_ref().ok());
        Answer::Decided(decided)
    }

    fn price(&mut self, name: &str, batch: &Batch) -> Answer {
        let more = self.more.iter_mut().find_map(|more| more.costs.get_mut(name));
        let cost = more.or_else(|| self.roles.costs.get_mut(name)).ok_or_else(|| absent(Role::Cost, name));
        Answer::Priced(cost.and_then(|cost| {
            let prices = cost.price(batch)?;
            self.notes.take_notes(name, batch, cost.notes());
            Ok(prices)
        }))
    }

    fn steer(&mut self, batch: &Batch) -> Result<Answer, EngineError> {
        let steering = self.roles.steering.as_mut().ok_or_else(|| absent(Role::Steering, "steering"));
        let keys: Vec<BeamKey> = batch.rows.iter().map(|row| row.id).collect();
        Ok(Answer::Steered(match steering.and_then(|steering| steering.steer(batch)) {
            Ok(steered) => steer::write_back(steered, &keys, &mut self.beams)?,
            Err(failure) => Err(failure),
        }))
    }
}

fn absent(role: Role, name: &str) -> RoleFailure {
    RoleFailure { role, component: name.to_owned(), kind: FailureKind::Refused("it is not in the deployment".into()) }
}
