//! Sessions take no step that is not in the table of transitions.

mod walker;

use inferenceguard_search::*;
use inferenceguard_testkit::player::{Loop, Player, Stage};
use std::collections::BTreeSet;
use walker::{Step, Walker};

const SCRIPT: &str = "vocab: <eos>* ask good bad plain\nafter : good 3, plain 3, bad 3, <eos> 1\nscore cost: bad 5\n\
                      score reward cumulative: good 1, bad 3";

/// A kind of session: which parts it has.
#[derive(Clone, Copy)]
struct Kind {
    on_demand: bool,
    forced: bool,
    critic: bool,
    steering: bool,
    failing: bool,
}

impl Kind {
    /// All combinations.
    fn all() -> impl Iterator<Item = Self> {
        let bit = |bits: u32, at: u32| (bits >> at) & 1 == 1;
        (0..32).map(move |bits| Self {
            on_demand: bit(bits, 0),
            forced: bit(bits, 1),
            critic: bit(bits, 2),
            steering: bit(bits, 3),
            failing: bit(bits, 4),
        })
    }

    fn player(self, seed: u64) -> Player {
        let mut policy = Loop::new(4, 2, 2, 1);
        policy.on_demand = self.on_demand;
        policy.source = if self.forced { Source::Expand(3) } else { Source::Sample };
        let mut player = Player::new(SCRIPT, 8.0, 6, policy);
        player.config.seed = seed;
        player.config.backtrack = seed.is_multiple_of(2);
        if seed.is_multiple_of(3) {
            player.config.on_exhausted = OnExhausted::LeastViolation;
        }
        player
    }

    fn session(self, player: &Player) -> Session {
        let model = player.script.model();
        let info = inferenceguard_model::Model::info(&model);
        let vocabulary = Vocabulary { size: info.vocab as u32, eos: info.eos.clone(), special: info.special.clone() };
        let info = |cost: &dyn Cost| CostInfo { needs: cost.needs().clone(), kind: cost.kind(), grain: cost.grain() };
        let costs = player.costs.iter().map(|(name, cost)| (name.clone(), info(cost.as_ref()))).collect();
        let needs = |there: bool| there.then(Needs::default);
        let policy = player.policy.needs().clone();
        let roles = RolesInfo { policy, critic: needs(self.critic), steering: needs(self.steering), costs };
        let tokens = inferenceguard_model::Model::encode_prompt(&model, "ask").expect("the prompt encodes");
        let tokenizer = player.script.tokenizer();
        Session::new(player.config.clone(), roles, vocabulary, "ask", tokens, tokenizer).expect("it is valid")
    }

    /// The answer of the role that the player has not, or of the player.
    fn answer(self, player: &mut Player, stage: &mut Stage, need: Need, events: u32) -> Answer {
        let failure = || RoleFailure {
            role: Role::Cost,
            component: "cost".into(),
            kind: FailureKind::Refused("on purpose".into()),
        };
        match need {
            Need::Price { .. } if self.failing && events > 40 => Answer::Priced(Err(failure())),
            Need::Steer(_) => Answer::Steered(Ok(())),
            Need::Estimate(batch) => {
                let one = |_: &BatchRow| Estimate { safe: vec![0.9], cost_to_go: 0.0 };
                Answer::Estimated(Ok(batch.rows.iter().map(one).collect()))
            }
            need => match player.perform(stage, need) {
                Answer::Plan(Ok(plan)) => Answer::Plan(Ok(Plan { estimate: self.critic, ..plan })),
                answer => answer,
            },
        }
    }

    /// Plays one session; all its steps.
    fn steps(self, seed: u64) -> BTreeSet<Step> {
        let mut player = self.player(seed);
        let (mut session, mut stage) = (self.session(&player), Stage::new(&player.script));
        let (mut steps, mut events) = (BTreeSet::new(), 0);
        loop {
            let need = session.next();
            if need == Need::Nothing {
                return steps;
            }
            let (before, event) = (session.phase(), need.name());
            let answer = self.answer(&mut player, &mut stage, need, events);
            session.feed(answer).expect("the answer fits");
            events += 1;
            if event == "release" {
                assert_eq!(session.phase(), before, "a release changes no phase");
            } else {
                steps.insert((before, event, session.phase()));
            }
        }
    }
}

#[test]
fn no_session_takes_a_step_that_is_not_in_the_table() {
    let mut phases = BTreeSet::new();
    for kind in Kind::all() {
        for seed in 0..12 {
            for (before, event, after) in kind.steps(seed) {
                let row = TRANSITIONS.iter().find(|(phase, answered, _)| (*phase, *answered) == (before, event));
                let (.., next) = row.unwrap_or_else(|| panic!("no row for {event} in the phase {before}"));
                assert!(next.contains(&after), "{before}, {event}: found {after}, expected one of {next:?}");
                phases.insert(before);
            }
        }
    }
    for phase in ["prefill", "start", "plan", "steer", "sample", "expand", "estimate", "score", "price", "advance"] {
        assert!(phases.contains(phase), "no session was in the phase {phase}");
    }
    assert!(phases.contains("select") && phases.contains("grow"));
}

/// Sessions that are answered at random. Rare steps need many of them.
const WALKS: u64 = 6000;

#[test]
fn every_step_of_the_table_is_taken_by_a_session_and_no_other() {
    let row = |(phase, event, next): &(&'static str, &'static str, &'static [&'static str])| -> Vec<Step> {
        next.iter().map(|after| (*phase, *event, *after)).collect()
    };
    let table: BTreeSet<Step> = TRANSITIONS.iter().flat_map(row).collect();
    let taken: BTreeSet<Step> = (0..WALKS).flat_map(|seed| Walker::new(seed).steps()).collect();
    let (untaken, unknown) = (table.difference(&taken), taken.difference(&table));
    let (untaken, unknown): (Vec<_>, Vec<_>) = (untaken.collect(), unknown.collect());
    assert!(untaken.is_empty() && unknown.is_empty(), "no session takes {untaken:?}; not in the table: {unknown:?}");
}

#[test]
fn every_phase_of_the_table_is_reached_and_left() {
    let phases: BTreeSet<&str> = TRANSITIONS.iter().map(|(phase, ..)| *phase).collect();
    let reached: BTreeSet<&str> = TRANSITIONS.iter().flat_map(|(.., next)| next.iter().copied()).collect();
    let expected: BTreeSet<&str> = phases.iter().copied().filter(|phase| *phase != "prefill").chain(["done"]).collect();
    assert_eq!(reached, expected);
}

#[test]
fn a_batch_that_was_not_asked_about_is_refused() {
    let kind = Kind { on_demand: false, forced: false, critic: false, steering: false, failing: false };
    let mut player = kind.player(1);
    let (mut session, mut stage) = (kind.session(&player), Stage::new(&player.script));
    loop {
        let need = session.next();
        if let Need::Plan(batch) = &need {
            let (batch, answer) = (batch.clone(), player.perform(&mut stage, need.clone()));
            let error = session.feed_filled(Batch::default(), answer.clone()).expect_err("other rows");
            assert!(matches!(error, SearchError::Protocol { .. }), "{error}");
            session.feed_filled(batch, answer).expect("the batch it asked about");
            return;
        }
        session.feed(player.perform(&mut stage, need)).expect("the answer fits");
    }
}
