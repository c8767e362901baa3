//! Sessions whose roles and models answer at random: within the contract, and now and then with a failure.

use inferenceguard_model::{Grown, LatentSelector, Sampled, Scored, Token, toy::ToyScript};
use inferenceguard_search::*;
use inferenceguard_testkit::roles::{Recursion, constraint};
use std::collections::{BTreeMap, BTreeSet};

/// A phase, the need that was answered in it (or the call), and the phase that followed.
pub(crate) type Step = (&'static str, &'static str, &'static str);

const SCRIPT: &str = "vocab: <eos>* ask good bad plain\nafter : good 1";

/// Tokens of the vocabulary; the first one ends an answer.
const TOKENS: u64 = 5;

/// The safety costs, and the score model that each of them reads.
const COSTS: [(&str, Option<&str>); 4] =
    [("plain", None), ("one", Some("m")), ("two", Some("m")), ("other", Some("n"))];

/// The name of a constraint that comes while a session runs, and of its cost.
const LATE: &str = "late";

/// The task cost.
const TASK: &str = "task";

/// Numbers that follow from a seed (SplitMix64).
struct Draws(u64);

impl Draws {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % most
    }

    /// True once in this number of times, on average.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn token(&mut self) -> Token {
        self.below(TOKENS) as Token
    }
}

/// Tokens of a scored beam: how many it was given, and how many it has scored.
type Track = (usize, usize);

/// One session, and what answers it.
pub(crate) struct Walker {
    draws: Draws,
    session: Session,
    critic: bool,
    tightened: bool,
    tracks: BTreeMap<(String, BeamKey), Track>,
}

impl Walker {
    pub(crate) fn new(seed: u64) -> Self {
        let mut draws = Draws(seed);
        let config = config(&mut draws);
        let roles = roles(&mut draws, &config);
        let script = ToyScript::parse(SCRIPT).expect("the script parses");
        let model = script.model();
        let info = inferenceguard_model::Model::info(&model);
        let vocabulary = Vocabulary { size: info.vocab as u32, eos: info.eos.clone(), special: info.special.clone() };
        let tokens = inferenceguard_model::Model::encode_prompt(&model, "ask").expect("the prompt encodes");
        let critic = roles.critic.is_some();
        let mut session =
            Session::new(config, roles, vocabulary, "ask", tokens, script.tokenizer()).expect("the settings are valid");
        if draws.once_in(3) {
            session.token_by_token();
        }
        Self { draws, session, critic, tightened: false, tracks: BTreeMap::new() }
    }

    /// Plays the session to its end; all its steps.
    pub(crate) fn steps(mut self) -> BTreeSet<Step> {
        let mut steps = BTreeSet::new();
        for _ in 0..10_000 {
            steps.extend(self.tighten());
            let need = self.session.next();
            if need == Need::Nothing {
                return steps;
            }
            let (before, event) = (self.session.phase(), need.name());
            let answer = self.answer(need);
            self.session.feed(answer).unwrap_or_else(|error| panic!("{event} in the phase {before}: {error}"));
            if event != "release" {
                steps.insert((before, event, self.session.phase()));
            }
        }
        panic!("a session does not end");
    }

    /// Adds a constraint between two chunks, or none, now and then.
    fn tighten(&mut self) -> Option<Step> {
        if self.critic || !self.session.between_chunks() || !self.draws.once_in(4) {
            return None;
        }
        let (mut constraints, mut costs) = (Vec::new(), BTreeMap::new());
        if !self.tightened && self.draws.once_in(2) {
            self.tightened = true;
            constraints.push(constraint(LATE, LATE, 4.0));
            costs.insert(LATE.to_owned(), cost(CostKind::Safety, self.draws.once_in(2).then_some("m")));
        }
        let before = self.session.phase();
        self.session.tighten(constraints, costs, EPSILON).expect("the constraint fits");
        Some((before, "tighten", self.session.phase()))
    }

    fn answer(&mut self, need: Need) -> Answer {
        match need {
            Need::Prefill(_) | Need::Step { .. } | Need::Release { .. } | Need::Nothing => Answer::Done,
            Need::Start(constraint) => Answer::Budget(self.unless(30, Role::Tracker, |_| BudgetState {
                z: constraint.budget,
                memory: vec![constraint.budget, 1.0],
            })),
            Need::Plan(batch) => Answer::Plan(self.unless(60, Role::Policy, |walker| walker.plan(&batch))),
            Need::Steer(_) => Answer::Steered(self.unless(30, Role::Steering, |_| ())),
            Need::Sample(needs) => {
                let one = |_: SampleNeed| Sampled { token: self.draws.token(), logprob: -1.0 };
                Answer::Sampled(needs.into_iter().map(one).collect())
            }
            Need::Grow { growth, rows } => {
                Answer::Grown(rows.iter().map(|_| self.grown(growth.max_tokens as usize)).collect())
            }
            Need::Expand { rows, k } => Answer::Expanded(rows.iter().map(|_| self.expansions(k)).collect()),
            Need::Estimate(batch) => Answer::Estimated(self.unless(6, Role::Critic, |_| {
                let one = |_: &BatchRow| Estimate { safe: vec![0.9; batch.constraints.len()], cost_to_go: 0.0 };
                batch.rows.iter().map(one).collect()
            })),
            Need::Score(needs) => Answer::PartlyScored(needs.iter().map(|need| self.scored(need)).collect()),
            Need::Price { cost, batch } | Need::PriceTail { cost, batch } => {
                Answer::Priced(self.unless(8, Role::Cost, |walker| walker.prices(&cost, &batch)))
            }
            Need::Advance { constraint, rows } => {
                let advanced = Recursion.advance(&constraint, &rows);
                Answer::Advanced(self.unless(40, Role::Tracker, |_| ()).and(advanced))
            }
            Need::Select(batch) => Answer::Decided(self.unless(60, Role::Policy, |walker| walker.decision(&batch))),
        }
    }

    /// What `work` gives; once in this number of times, a failure of the role.
    fn unless<T>(&mut self, times: u64, role: Role, work: impl FnOnce(&mut Self) -> T) -> Result<T, RoleFailure> {
        if self.draws.once_in(times) {
            return Err(RoleFailure { role, component: "walker".to_owned(), kind: FailureKind::Dead });
        }
        Ok(work(self))
    }

    fn plan(&mut self, batch: &Batch) -> Plan {
        let candidates = batch.rows.iter().map(|_| 1 + self.draws.below(3) as u32).collect();
        let mut plan = Plan::new(candidates, 1 + self.draws.below(2) as u32);
        if self.draws.once_in(4) {
            plan.source = Source::Expand(1 + self.draws.below(3) as u32);
        }
        if self.draws.once_in(3) {
            plan.pricing = Pricing::OnDemand;
        }
        plan.task_cost = self.draws.once_in(2);
        plan.estimate = self.critic && !self.draws.once_in(4);
        plan
    }

    /// A row of the back end, which loses some.
    fn grown(&mut self, tokens: usize) -> Result<Grown, FailureKind> {
        if self.draws.once_in(10) {
            return Err(FailureKind::Dead);
        }
        let mut grown = Grown::default();
        while grown.tokens.len() < tokens && grown.tokens.last() != Some(&0) {
            grown.tokens.push(self.draws.token());
            grown.logprobs.push(-1.0);
        }
        Ok(grown)
    }

    fn expansions(&mut self, k: u32) -> Vec<Expansion> {
        let first = self.draws.token();
        let one = |i| Expansion { token: (first + i) % TOKENS as Token, logit: 0.0, logprob: -1.0 };
        (0..k).map(one).collect()
    }

    /// Scores of all tokens at an end; before it, some may be withheld.
    fn scored(&mut self, need: &ScoreNeed) -> Result<Scored, FailureKind> {
        let of = |beam| (need.model.clone(), beam);
        let (given, known) = self.tracks.get(&of(need.anchor)).copied().unwrap_or_default();
        let given = given + need.tokens.len();
        let failed = self.draws.once_in(12);
        let due = (given - known) as u64;
        let count = if need.ended { due } else { due - self.draws.below(due.min(2) + 1) };
        let scored = known + if failed { 0 } else { count as usize };
        self.tracks.insert(of(need.beam), (given, scored));
        if failed { Err(FailureKind::Dead) } else { Ok(Scored { tokens: vec![0.0; count as usize], end: 0.0 }) }
    }

    /// One price for each token; of the task, one for the row.
    fn prices(&mut self, cost: &str, batch: &Batch) -> Vec<Vec<f64>> {
        let mut price = |_: usize| if self.draws.once_in(5) { 3.0 } else { 0.0 };
        let count = |row: &BatchRow| if cost == TASK { 1 } else { row.tokens.len() };
        batch.rows.iter().map(|row| (0..count(row)).map(&mut price).collect()).collect()
    }

    /// A decision that the contract allows for these rows.
    fn decision(&mut self, batch: &Batch) -> Decision {
        let rows = |fits: fn(&BatchRow) -> bool| -> Vec<u32> {
            (0..).zip(batch.rows.iter()).filter(|(_, row)| fits(row)).map(|(i, _)| i).collect()
        };
        let (priced, unpriced) = (rows(|row: &BatchRow| row.priced), rows(|row: &BatchRow| !row.priced));
        let ended = rows(|row: &BatchRow| row.priced && row.finished);
        let first = |rows: &[u32], most: usize| rows.iter().copied().take(most).collect::<Vec<_>>();
        match self.draws.below(8) {
            0..=1 if !unpriced.is_empty() => Decision::Price(first(&unpriced, 1 + self.draws.below(2) as usize)),
            2 if !ended.is_empty() => Decision::Answer(ended[0]),
            3 if !ended.is_empty() && !batch.moment.last => Decision::Keep(first(&ended, 1)),
            4 => Decision::Retry(Retry { penalty: 1.0, max_mass: 0.5 }),
            5 if self.draws.once_in(2) => Decision::Exhausted,
            _ if !priced.is_empty() && !batch.moment.last => Decision::Keep(first(&priced, 2)),
            _ if !ended.is_empty() => Decision::Answer(ended[0]),
            _ if !unpriced.is_empty() => Decision::Price(unpriced),
            _ => Decision::Exhausted,
        }
    }
}

/// No, one or two constraints, a task cost or none, and the other settings that change what follows what.
fn config(draws: &mut Draws) -> SearchConfig {
    let first = draws.below(COSTS.len() as u64) as usize;
    let step = 1 + draws.below(COSTS.len() as u64 - 1) as usize;
    let names = [COSTS[first].0, COSTS[(first + step) % COSTS.len()].0];
    let mut constraints: Vec<PricedConstraint> = names.iter().map(|name| constraint(name, name, 4.0)).collect();
    for priced in &mut constraints {
        if draws.once_in(3) {
            priced.granularity = Granularity::Terminal;
        }
    }
    constraints.truncate([0, 1, 2, 2][draws.below(4) as usize]);
    SearchConfig {
        constraints,
        task: (!draws.once_in(3)).then(|| TASK.to_owned()),
        max_tokens: 1 + draws.below(5) as u32,
        seed: draws.below(1000),
        on_exhausted: [OnExhausted::Refuse, OnExhausted::LeastViolation][draws.below(2) as usize],
        backtrack: draws.once_in(2),
        limits: SearchLimits { candidates: 64, retries: 2, chunks: 6 },
        ..SearchConfig::default()
    }
}

/// Roles for these settings.
fn roles(draws: &mut Draws, config: &SearchConfig) -> RolesInfo {
    let mut roles = RolesInfo::default();
    for priced in &config.constraints {
        let reads = COSTS.iter().find(|(name, _)| *name == priced.cost).and_then(|(_, reads)| *reads);
        roles.costs.insert(priced.cost.clone(), cost(CostKind::Safety, reads));
    }
    if config.task.is_some() {
        roles.costs.insert(TASK.to_owned(), cost(CostKind::Task, draws.once_in(2).then_some("m")));
    }
    if draws.once_in(4) {
        roles.policy.scores = vec!["m".to_owned()];
    }
    if draws.once_in(4) {
        roles.policy.latents = Some(LatentSelector::FinalNorm);
    }
    roles.critic = draws.once_in(3).then(Needs::default);
    roles.steering = draws.once_in(3).then(Needs::default);
    roles
}

/// A cost that reads this score model, or none.
fn cost(kind: CostKind, reads: Option<&str>) -> CostInfo {
    let needs = Needs { scores: reads.into_iter().map(str::to_owned).collect(), ..Needs::default() };
    CostInfo { needs, kind, grain: CostGrain::Token }
}
