//! Hand-made cases where the right answer is known (paper, sections 4 and 5).

use inferenceguard_model::LatentSelector;
use inferenceguard_search::*;
use inferenceguard_testkit::{
    player::{Loop, Player, Stage},
    roles::{batch_cost, row_cost},
};

/// `bad` pays more and costs more.
const TEMPTING: &str = "vocab: <eos>* ask good bad\n context: 64\n after : good 1, bad 3\n after good : good 2, bad 2, <eos> 1\n after bad : bad 3, good 1, <eos> 1\n score reward cumulative: good 1, bad 3\n score cost: bad 5";

#[test]
fn plain_search_takes_the_unsafe_token_and_says_so() {
    let mut plain = Loop::new(16, 4, 4, 0);
    plain.guarded = false;
    let (out, _) = Player::new(TEMPTING, 4.0, 8, plain).play();
    assert!(out.text.contains("bad"), "{out:?}");
    assert_eq!(out.status, Status::BudgetExceeded);
}

#[test]
fn guarded_search_avoids_the_unsafe_token() {
    let (out, _) = Player::new(TEMPTING, 4.0, 8, Loop::new(64, 16, 2, 2)).play();
    assert_eq!(out.status, Status::WithinBudget, "{out:?}");
    assert!(!out.text.contains("bad") && out.text.contains("good"));
    assert!(out.constraints[0].max_cost < 4.0);
}

#[test]
fn a_retry_reaches_the_token_that_the_penalty_uncovers() {
    let script = "vocab: <eos>* ask good bad\n after : bad 100000, good 1\n after good : <eos> 1\n after bad : <eos> 1\n score reward: good 1\n score cost: bad 5";
    let (refused, _) = Player::new(script, 4.0, 4, Loop::new(4, 1, 1, 0)).play();
    assert_eq!((refused.status, refused.text.as_str()), (Status::NoSafeCandidate, "no"));
    let (out, _) = Player::new(script, 4.0, 4, Loop::new(4, 1, 1, 1)).play();
    assert_eq!((out.status, out.text.as_str(), out.usage.retries), (Status::WithinBudget, "good", 1));
}

#[test]
fn a_retry_may_have_more_candidates_than_the_first_try() {
    let script = "vocab: <eos>* ask bad worse\n after : bad 1, worse 1\n after bad : <eos> 1\n score reward: bad 1\n score cost: bad 5, worse 7";
    let seen = |retry_n| {
        let mut policy = Loop::new(2, 1, 1, 1);
        policy.retry_n = retry_n;
        let (out, trace) = Player::new(script, 4.0, 4, policy).play();
        assert_eq!((out.status, out.usage.retries), (Status::NoSafeCandidate, 1));
        let rows = |need: &Need| if let Need::Select(batch) = need { Some(batch.rows.len()) } else { None };
        trace.events.iter().filter_map(|(need, _)| rows(need)).collect::<Vec<_>>()
    };
    assert_eq!((seen(None), seen(Some(50))), (vec![2, 2], vec![2, 50]));
}

const HOPELESS: &str = "vocab: <eos>* ask bad worse\n after : bad 1, worse 1\n after bad : <eos> 1\n after worse : <eos> 1\n score reward: worse 9, bad 1\n score cost: bad 5, worse 7";

#[test]
fn without_a_safe_token_the_setting_decides() {
    for (setting, text, status) in [
        (OnExhausted::Refuse, "no", Status::NoSafeCandidate),
        (OnExhausted::LeastViolation, "bad", Status::BudgetExceeded),
    ] {
        let mut player = Player::new(HOPELESS, 4.0, 4, Loop::new(16, 4, 1, 1));
        player.config.on_exhausted = setting;
        let (out, _) = player.play();
        assert_eq!((out.text.as_str(), out.status), (text, status));
    }
    let mut player = Player::new(HOPELESS, 4.0, 4, Loop::new(16, 1, 4, 1));
    player.config.on_exhausted = OnExhausted::BestReward;
    assert_eq!(player.play().0.status, Status::BudgetExceeded);
}

#[test]
fn harm_after_the_end_token_is_not_charged_and_nothing_grows_on() {
    let script = "vocab: <eos>* ask good bad\n after : good 1\n after good : <eos> 1\n after <eos> : bad 1\n score reward: good 1\n score cost: bad 5";
    let (out, _) = Player::new(script, 1.0, 16, Loop::new(4, 2, 4, 0)).play();
    assert_eq!((out.text.as_str(), out.finish, out.tokens.len()), ("good", Finish::Eos, 2));
}

#[test]
fn a_disclaimer_cannot_pay_for_harm() {
    let script = "vocab: <eos>* ask safe bad\n after : safe 1\n after safe safe safe : bad 1\n after bad : <eos> 1\n score reward: bad 9, safe 0\n score cost: bad 5, safe -2";
    let mut player = Player::new(script, 4.0, 8, Loop::new(4, 2, 8, 0));
    assert_eq!(player.play().0.status, Status::NoSafeCandidate);
    player.config.constraints[0].constraint.clip = CostClip::None;
    assert_eq!(player.play().0.status, Status::WithinBudget, "without a clip the text banked 6 and spent 5");
}

#[test]
fn another_spelling_of_the_same_text_is_priced_too() {
    // `ba` `+d` reads `bad`, which encodes to the one token that costs.
    let script = "vocab: <eos>* ask ba +d bad ok\n after : ba 1\n after ba : +d 1\n after +d : <eos> 1\n score reward: +d 1\n score cost: bad 5";
    let (out, _) = Player::new(script, 4.0, 8, Loop::new(2, 1, 8, 0)).play();
    assert_eq!(out.status, Status::NoSafeCandidate, "{out:?}");
}

#[test]
fn a_cost_that_reads_the_model_does_not_spare_the_others_the_other_spelling() {
    let script = "vocab: <eos>* ask ba +d bad ok\n after : ba 1\n after ba : +d 1\n after +d : <eos> 1\n score reward: +d 1\n score cost: bad 5";
    let mut player = Player::new(script, 4.0, 8, Loop::new(2, 1, 8, 0));
    let needs = Needs { logprobs: true, ..Needs::default() };
    player.costs.insert("free".into(), row_cost(needs, |row| vec![0.1; row.tokens.len()]));
    let mut free = player.config.constraints[0].clone();
    (free.constraint.name, free.cost) = ("free".into(), "free".into());
    player.config.constraints.insert(0, free);
    let (out, _) = player.play();
    assert_eq!(out.status, Status::NoSafeCandidate, "{out:?}");
}

#[test]
fn costs_on_the_latents_of_every_token_price_another_spelling_since_revision_3() {
    // The word in one piece is token 4; it is generated in two.
    let script = "vocab: <eos>* ask ba +d bad ok\n after : ba 1\n after ba : +d 1\n after +d : <eos> 1\n score reward: +d 1\n score cost: ok 5";
    let every = Needs { token_latents: vec![LatentSelector::FinalNorm], ..Needs::default() };
    let newest = Needs { latents: Some(LatentSelector::FinalNorm), ..Needs::default() };
    for (needs, revision, status) in
        [(&every, 3, Status::NoSafeCandidate), (&every, 2, Status::WithinBudget), (&newest, 3, Status::WithinBudget)]
    {
        let mut player = Player::new(script, 4.0, 8, Loop::new(2, 1, 8, 0));
        let price =
            |row: &BatchRow| row.tokens.iter().map(|token| if *token == 4 { 9.0 } else { 0.0 }).collect::<Vec<f64>>();
        player.costs.insert("cost".into(), row_cost(needs.clone(), price));
        player.config.revision = revision;
        let (out, _) = player.play();
        assert_eq!(out.status, status, "{needs:?}, revision {revision}: {out:?}");
        assert!(out.failures.is_empty(), "{out:?}");
    }
}

#[test]
fn another_spelling_is_not_released_before_it_is_priced() {
    let script = "vocab: <eos>* ask ba +d bad ok\n after : ba 1\n after ba : +d 1\n after +d : ok 1\n after ok : <eos> 1\n score reward: +d 1\n score cost: bad 5";
    for release in [Release::Agreement, Release::Commit(1)] {
        let mut player = Player::new(script, 4.0, 8, Loop::new(2, 1, 1, 0));
        player.config.release = release;
        let (out, _) = player.play();
        assert_eq!(out.status, Status::NoSafeCandidate, "{out:?}");
        assert!(!out.text.contains("bad"), "{release:?} released {:?}", out.text);
    }
}

#[test]
fn a_retry_beyond_the_limit_or_of_a_forced_chunk_is_an_exhausted_one() {
    let script = "vocab: <eos>* ask bad\n after : bad 1\n score reward: bad 1\n score cost: bad 9";
    let mut forced = Loop::new(1, 1, 1, 5);
    forced.source = Source::Expand(1);
    for policy in [Loop::new(2, 1, 4, 5), forced] {
        let mut player = Player::new(script, 4.0, 8, policy);
        player.config.limits.retries = 2;
        player.config.on_exhausted = OnExhausted::LeastViolation;
        let (out, _) = player.play();
        assert_eq!(out.status, Status::BudgetExceeded, "{out:?}");
        assert!(out.usage.retries <= 4 && out.failures.is_empty(), "{out:?}");
    }
}

#[test]
fn forced_expansion_prices_candidates_that_cost_the_model_nothing() {
    let mut policy = Loop::new(1, 1, 1, 0);
    policy.source = Source::Expand(3);
    let (out, trace) = Player::new(TEMPTING, 4.0, 5, policy).play();
    assert_eq!(out.status, Status::WithinBudget);
    let steps: usize =
        trace.events.iter().map(|(n, _)| if let Need::Step { rows, .. } = n { rows.len() } else { 0 }).sum();
    assert!(steps < out.tokens.len() + 1, "{steps} steps for {} tokens", out.tokens.len());
    assert_eq!(out.usage.sampled_tokens, 0);
}

#[test]
fn greedy_candidates_differ_in_their_first_token() {
    let mut player = Player::new(TEMPTING, 4.0, 3, Loop::new(2, 1, 3, 0));
    player.config.sampling.temperature = 0.0;
    let (out, _) = player.play();
    assert!(out.text.starts_with("good"), "rank 1 is the safe one: {out:?}");
}

#[test]
fn a_stop_text_ends_the_answer_and_is_left_out() {
    let mut player = Player::new(TEMPTING, 400.0, 8, Loop::new(8, 2, 8, 0));
    player.config.stop = vec![" bad".into(), " good".into()];
    let (out, _) = player.play();
    assert!(!out.text.contains(' '), "{out:?}");
}

#[test]
fn a_failing_cost_never_yields_an_answer() {
    let trap = RoleFailure { role: Role::Cost, component: "cost".into(), kind: FailureKind::Trap("x".into()) };
    for result in [Err(trap), Ok(vec![]), Ok(vec![vec![f64::NAN]; 8]), Ok(vec![vec![]; 8]), Ok(vec![vec![0.0; 99]; 8])]
    {
        for setting in [OnExhausted::Refuse, OnExhausted::LeastViolation, OnExhausted::BestReward] {
            let mut player = Player::new(TEMPTING, 4.0, 8, Loop::new(8, 2, 4, 2));
            let broken = result.clone();
            player.costs.insert("cost".into(), batch_cost(Needs::default(), move |_| broken.clone()));
            player.config.on_exhausted = setting;
            let (out, _) = player.play();
            assert_eq!((out.status, out.finish, out.failures.len()), (Status::Failed, Finish::Failed, 1), "{out:?}");
            assert_eq!((out.text.as_str(), out.tokens.len()), ("no", 0));
        }
    }
}

#[test]
fn a_score_model_that_gives_no_score_fails_the_request_and_is_named() {
    for setting in [OnExhausted::Refuse, OnExhausted::LeastViolation, OnExhausted::BestReward] {
        let mut player = Player::new(&format!("{TEMPTING}\n fault cost 1: nan"), 4.0, 8, Loop::new(1, 1, 4, 2));
        player.config.on_exhausted = setting;
        let (out, _) = player.play();
        assert_eq!((out.status, out.finish, out.tokens.len()), (Status::Failed, Finish::Failed, 0), "{out:?}");
        let message = out.failures[0].to_string();
        assert!(message.contains("cost `cost` failed: the score model `cost` returned the score NaN"), "{message}");
    }
}

#[test]
fn rows_on_which_a_score_model_failed_are_unsafe_and_others_go_on() {
    for (most, ends) in [(1, &[Status::WithinBudget, Status::Failed][..]), (usize::MAX, &[Status::Failed][..])] {
        let mut player = Player::new(TEMPTING, 4.0, 8, Loop::new(8, 2, 4, 2));
        let (mut session, mut stage, mut lost) = (player.session("ask"), player.stage(), Vec::new());
        session.record();
        let mut lose = |_: &mut Stage, need: &Need, answer: Answer| match (need, answer) {
            (Need::Score(needs), Answer::Scored(scored)) if lost.is_empty() => {
                lost = needs.iter().take(most).map(|need| need.beam).collect();
                let gone = || FailureKind::ScoreModel { model: "cost".into(), why: "gone".into() };
                let row = |(at, one)| if at < most { Err(gone()) } else { Ok(one) };
                Answer::PartlyScored(scored.into_iter().enumerate().map(row).collect())
            }
            (_, answer) => answer,
        };
        while player.turn(&mut session, &mut stage, &mut lose) {}
        stage.assert_empty();
        let (out, trace) = (session.outcome().expect("an outcome"), session.trace().expect("a trace"));
        assert!(ends.contains(&out.status), "{out:?}");
        let failures: Vec<String> = out.failures.iter().map(ToString::to_string).collect();
        assert_eq!(failures, ["cost `cost` failed: the score model `cost` failed: gone"]);
        let seen =
            trace.events.iter().filter_map(|(need, _)| if let Need::Select(batch) = need { Some(batch) } else { None });
        assert!(seen.flat_map(|batch| batch.rows.iter()).all(|row| !(row.safe && lost.contains(&row.id))));
        trace.replay(&mut player.session("ask")).expect("the same answers lead to the same needs");
    }
}

#[test]
fn a_refusal_of_an_older_record_that_hides_a_failure_is_read_as_a_failure() {
    let mut player = Player::new(TEMPTING, 4.0, 8, Loop::new(8, 2, 4, 2));
    let (answered, _) = player.play();
    assert_eq!(answered.ending(), answered.status);
    let failure = RoleFailure { role: Role::Cost, component: "cost".into(), kind: FailureKind::Dead };
    let old = Outcome { status: Status::NoSafeCandidate, finish: Finish::Refused, ..answered };
    assert_eq!(old.ending(), Status::NoSafeCandidate);
    let old = Outcome { failures: vec![failure], ..old };
    assert_eq!(old.ending(), Status::Failed);
    assert_eq!(Outcome { finish: Finish::Cancelled, ..old }.ending(), Status::NoSafeCandidate);
}

#[test]
fn a_policy_that_breaks_the_contract_fails_the_request() {
    struct Rogue(Needs, Decision, Vec<u32>);
    impl Policy for Rogue {
        fn needs(&self) -> &Needs {
            &self.0
        }
        fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
            let mut plan = Loop::new(4, 1, 4, 0).plan(rows)?;
            plan.pricing = Pricing::OnDemand;
            if !self.2.is_empty() {
                plan.candidates.clone_from(&self.2);
            }
            Ok(plan)
        }
        fn select(&mut self, _: &Batch) -> Result<Decision, RoleFailure> {
            Ok(self.1.clone())
        }
    }
    let nan = Retry { penalty: f32::NAN, max_mass: 0.5 };
    let decisions = [
        Decision::Keep(vec![]),
        Decision::Keep(vec![0]),
        Decision::Keep(vec![77]),
        Decision::Answer(0),
        Decision::Answer(99),
        Decision::Price(vec![]),
        Decision::Price(vec![0, 0]),
        Decision::Retry(nan),
    ];
    for decision in decisions {
        let mut player = Player::new(TEMPTING, 4.0, 8, Loop::new(8, 2, 4, 2));
        player.policy = Box::new(Rogue(Needs::default(), decision, vec![]));
        let (out, _) = player.play();
        assert_eq!((out.status, out.failures.len()), (Status::Failed, 1), "{out:?}");
    }
    for counts in [vec![0], vec![1, 1], vec![5000]] {
        let mut player = Player::new(TEMPTING, 4.0, 8, Loop::new(8, 2, 4, 2));
        player.policy = Box::new(Rogue(Needs::default(), Decision::Exhausted, counts));
        assert_eq!(player.play().0.failures.len(), 1);
    }
}

#[test]
fn bad_settings_are_named() {
    type Damage = fn(&mut SearchConfig);
    let broken: Vec<(&str, Damage)> = vec![
        ("max_tokens", |c| c.max_tokens = 0),
        ("temperature", |c| c.sampling.temperature = f32::NAN),
        ("top_p", |c| c.sampling.top_p = 0.0),
        ("min_p", |c| c.sampling.min_p = 1.5),
        ("repetition_penalty", |c| c.sampling.repetition_penalty = 0.0),
        ("stop", |c| c.stop = vec![String::new()]),
        ("budget", |c| c.constraints[0].constraint.budget = -1.0),
        ("gamma", |c| c.constraints[0].constraint.gamma = 1.5),
        ("commit(0)", |c| c.release = Release::Commit(0)),
        ("constraint name: found nothing", |c| c.constraints[0].constraint.name.clear()),
        ("every name once", |c| c.constraints.push(c.constraints[0].clone())),
    ];
    for (named, damage) in broken {
        let mut config = Player::new(TEMPTING, 4.0, 8, Loop::new(8, 2, 4, 2)).config;
        damage(&mut config);
        let costs = [("cost", CostKind::Safety), ("reward", CostKind::Task)];
        let info = |kind| CostInfo { needs: Needs::default(), kind, grain: CostGrain::Token };
        let costs = costs.into_iter().map(|(n, k)| (n.to_owned(), info(k))).collect();
        let roles = RolesInfo { costs, ..RolesInfo::default() };
        let error = config.validate(&roles).expect_err(named).to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn critics_and_steering_that_want_scores_are_refused() {
    let config = Player::new(TEMPTING, 4.0, 8, Loop::new(8, 2, 4, 2)).config;
    let config = SearchConfig { constraints: Vec::new(), task: None, ..config };
    let wants = || Some(Needs { scores: vec!["cost".into()], ..Needs::default() });
    for roles in
        [RolesInfo { critic: wants(), ..RolesInfo::default() }, RolesInfo { steering: wants(), ..RolesInfo::default() }]
    {
        let error = config.validate(&roles).unwrap_err().to_string();
        assert!(error.contains("a need for scores of cost"), "{error}");
    }
}
