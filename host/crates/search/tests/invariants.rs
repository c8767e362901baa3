//! What is checked while a request runs: the tracker's z, the price of the whole answer, and when more samples are in vain.

use inferenceguard_search::*;
use inferenceguard_testkit::{
    player::{Loop, Player, Stage},
    roles::{Recursion, ScoreCost, row_cost},
};

/// Every continuation costs more than the budget, and none ends by itself.
const HOPELESS: &str = "vocab: <eos>* ask bad worse\n after : bad 1, worse 1\n after bad : bad 1, worse 1\n after worse : bad 1, worse 1\n score reward: worse 9, bad 1\n score cost: bad 5, worse 7";

fn hopeless(setting: OnExhausted) -> Player {
    let mut player = Player::new(HOPELESS, 4.0, 4, Loop::new(8, 4, 1, 2));
    player.config.on_exhausted = setting;
    player
}

/// How many beams each chunk grew from.
fn widths(trace: &Trace) -> Vec<usize> {
    let plan = |need: &Need| if let Need::Plan(batch) = need { Some(batch.rows.len()) } else { None };
    trace.events.iter().filter_map(|(need, _)| plan(need)).collect()
}

#[test]
fn a_fallback_keeps_as_many_beams_as_the_policy_keeps() {
    for setting in [OnExhausted::BestReward, OnExhausted::LeastViolation] {
        let (out, trace) = hopeless(setting).play();
        assert_eq!(out.status, Status::BudgetExceeded);
        assert_eq!(widths(&trace), [1, 4, 4, 4], "{setting:?}");
    }
}

#[test]
fn a_chunk_whose_parents_have_lost_a_budget_for_good_is_not_sampled_again() {
    let (out, _) = hopeless(OnExhausted::BestReward).play();
    assert_eq!(out.usage.retries, 2, "both in the first chunk, where the budget could still be kept");
    let mut old = hopeless(OnExhausted::BestReward);
    old.config.revision = 0;
    assert_eq!(old.play().0.usage.retries, 8, "a record of the older rules is decided by them");
}

#[test]
fn a_terminal_budget_that_refunds_may_be_kept_again_and_is_retried() {
    let mut player = hopeless(OnExhausted::BestReward);
    player.config.constraints[0].constraint.mode = ConstraintMode::Terminal;
    assert_eq!(player.play().0.usage.retries, 8);
    let mut player = hopeless(OnExhausted::BestReward);
    let constraint = &mut player.config.constraints[0].constraint;
    (constraint.mode, constraint.clip) = (ConstraintMode::Terminal, CostClip::Nonneg);
    assert_eq!(player.play().0.usage.retries, 2, "without refunds it is lost");
}

/// Says the right thing about safety, and something else about z.
struct Boasts(fn(f64) -> f64);

impl Tracker for Boasts {
    fn start(&mut self, constraint: &Constraint) -> Result<BudgetState, RoleFailure> {
        Recursion.start(constraint)
    }

    fn advance(&mut self, constraint: &Constraint, rows: &[Tracked]) -> Result<Vec<Advanced>, RoleFailure> {
        let mut out = Recursion.advance(constraint, rows)?;
        out.iter_mut().flat_map(|row| &mut row.trace).for_each(|z| *z = (self.0)(*z));
        Ok(out)
    }
}

const HARMLESS: &str =
    "vocab: <eos>* ask ok\n after : ok 1\n after ok : ok 3, <eos> 1\n score reward: ok 1\n score cost: ok 0.1";

#[test]
fn a_z_that_contradicts_the_hosts_sum_makes_the_beam_unsafe_and_is_reported() {
    let lies: [fn(f64) -> f64; 4] = [|z| z + 0.5, |z| -z, |_| 10.0, |z| z * 1.01];
    for lie in lies {
        let mut player = Player::new(HARMLESS, 10.0, 6, Loop::new(4, 2, 2, 1));
        player.tracker = Box::new(Boasts(lie));
        let (out, _) = player.play();
        assert_ne!(out.status, Status::WithinBudget, "{out:?}");
        assert!(out.failures.iter().any(|f| f.role == Role::Tracker && f.to_string().contains('z')), "{out:?}");
    }
    for gamma in [1.0, 0.9, 0.3] {
        let mut player = Player::new(HARMLESS, 10.0, 200, Loop::new(4, 2, 50, 1));
        player.config.constraints[0].constraint.gamma = gamma;
        let (out, _) = player.play();
        assert_eq!((out.status, out.failures.len()), (Status::WithinBudget, 0), "an honest tracker: {out:?}");
    }
}

/// The cost is free in pieces of up to two tokens and dear in one piece, as if it came from an incremental scorer that drifts.
fn drifting(budget: f64) -> Player {
    let script = "vocab: <eos>* ask ok\n after : ok 1\n after ok : ok 1\n score reward: ok 1";
    let mut player = Player::new(script, budget, 6, Loop::new(2, 1, 2, 1));
    let price = |row: &BatchRow| vec![if row.tokens.len() > 2 { 1.0 } else { 0.0 }; row.tokens.len()];
    player.costs.insert("cost".into(), row_cost(Needs::default(), price));
    player
}

#[test]
fn the_final_ids_are_priced_whole_and_the_worse_price_decides() {
    let (out, _) = drifting(4.0).play();
    assert_eq!(out.status, Status::NoSafeCandidate, "6 in one piece: {out:?}");
    let (out, _) = drifting(10.0).play();
    let report = &out.constraints[0];
    assert_eq!((out.status, report.cost, report.whole), (Status::WithinBudget, 0.0, Some(6.0)), "both are reported");
    let mut old = drifting(4.0);
    old.config.revision = 0;
    assert_eq!(old.play().0.status, Status::WithinBudget, "a record of the older rules is decided by them");
}

#[test]
fn a_sum_that_left_the_numbers_downwards_does_not_hold() {
    for mode in [ConstraintMode::Anytime, ConstraintMode::Terminal] {
        let c = Constraint { name: "x".into(), budget: 10.0, gamma: 1.0, clip: CostClip::None, mode };
        let mut audit = Audit::default();
        audit.charge(&c, &[-1e308, -1e308, 5.0]);
        assert!(!audit.holds(&c), "{mode:?} {audit:?}");
        assert!(audit.lost(&c));
    }
}

#[test]
fn the_margin_is_what_the_back_end_says_and_never_less_than_epsilon() {
    let script = "vocab: <eos>* ask ok\n after : ok 1\n after ok : <eos> 1\n score reward: ok 1\n score cost: ok 9.9";
    let status = |margin| {
        let mut player = Player::new(script, 10.0, 4, Loop::new(2, 1, 2, 0));
        player.config.margin = margin;
        player.play().0.status
    };
    assert_eq!(status(EPSILON), Status::WithinBudget);
    assert_eq!(status(0.005), Status::WithinBudget, "0.055 of what is left, 0.1");
    assert_eq!(status(0.02), Status::NoSafeCandidate, "0.22 would have to be left");
    let mut config = Player::new(script, 10.0, 4, Loop::new(2, 1, 2, 0)).config;
    for margin in [0.0, 1e-9, 1.0, f64::NAN] {
        config.margin = margin;
        let error = config.validate(&RolesInfo::default()).expect_err("out of range").to_string();
        assert!(error.contains("margin"), "{error}");
    }
}

/// Plays with a constraint that comes after the first chunk, with a loose budget, and with this margin for its rounding.
fn tightened(margin: f64) -> Status {
    let script = "vocab: <eos>* ask ok on\n after : ok 1\n after ok : on 1\n after on : <eos> 1\n score reward: ok 1\n \
                  score cost: ok 9.9";
    let mut player = Player::new(script, 10.0, 4, Loop::new(2, 1, 1, 0));
    let mut later = player.config.constraints[0].clone();
    (later.constraint.name, later.constraint.budget, later.cost) = ("later".into(), 100.0, "later".into());
    let (mut session, mut stage) = (player.session("ask"), Stage::new(&player.script));
    let mut come = false;
    loop {
        if session.between_chunks() && !come {
            come = true;
            let cost = ScoreCost::new("cost", CostKind::Safety);
            let info = CostInfo { needs: cost.needs().clone(), kind: cost.kind(), grain: cost.grain() };
            player.costs.insert("later".into(), cost);
            session.tighten(vec![later.clone()], [("later".into(), info)].into(), margin).expect("it fits");
        }
        let need = session.next();
        if need == Need::Nothing {
            break;
        }
        session.feed(player.perform(&mut stage, need)).expect("the answer fits");
    }
    assert!(come);
    session.outcome().expect("an outcome").status
}

#[test]
fn constraints_that_come_later_raise_the_margin_of_those_before() {
    assert_eq!(tightened(0.0), Status::WithinBudget, "less than what holds changes nothing");
    assert_eq!(tightened(0.005), Status::WithinBudget, "0.055 of what is left, 0.1");
    assert_ne!(tightened(0.02), Status::WithinBudget, "0.22 would have to be left");
}

#[test]
fn components_learn_that_no_task_cost_ranks_answers_unless_older_rules_decide() {
    let ranked = hopeless(OnExhausted::Refuse).config.task;
    assert!(ranked.is_some());
    for (task, revision, unranked) in [(None, 2, true), (None, 1, false), (ranked, 2, false)] {
        let mut player = hopeless(OnExhausted::Refuse);
        (player.config.task, player.config.revision) = (task, revision);
        let (_, trace) = player.play();
        let shown = |need: &Need| if let Need::Plan(batch) = need { Some(batch.moment.unranked) } else { None };
        let all: Vec<bool> = trace.events.iter().filter_map(|(need, _)| shown(need)).collect();
        assert!(!all.is_empty() && all.iter().all(|one| *one == unranked), "{revision}: {all:?}");
    }
}
