//! Invariants over random scripts and settings.

use inferenceguard_search::*;
use inferenceguard_testkit::player::{Loop, Player};
use proptest::prelude::*;

fn script() -> impl Strategy<Value = String> {
    (prop::collection::vec(0u32..9, 9), prop::collection::vec(-20i32..40, 6)).prop_map(|(w, c)| {
        format!(
            "vocab: <eos>* ask a b c\n context: 64\n after : a {}, b {}, c {}\n after a : a {}, b {}, <eos> 1\n after b : c {}, a {}, <eos> 1\n after c : b {}, c {}, <eos> 1\n score reward cumulative: a {}, b {}, c {}\n score cost: a {}, b {}, c {}",
            w[0] + 1, w[1] + 1, w[2] + 1, w[3] + 1, w[4] + 1, w[5] + 1, w[6] + 1, w[7] + 1, w[8] + 1,
            c[0], c[1], c[2],
            f64::from(c[3]) / 10.0, f64::from(c[4]) / 10.0, f64::from(c[5]) / 10.0,
        )
    })
}

fn player() -> impl Strategy<Value = Player> {
    let shape = (1u32..12, 1usize..5, 1u32..6, 0u32..3, any::<bool>(), any::<bool>());
    let settings = (0.2f64..6.0, 0.8f64..=1.0, 0usize..3, any::<bool>(), 0usize..3, 0usize..3, any::<u64>(), 0usize..3);
    (script(), shape, settings).prop_map(|(script, (n, keep, len, retries, guarded, on_demand), s)| {
        let mut policy = Loop::new(n, keep, len, retries);
        (policy.guarded, policy.on_demand) = (guarded, on_demand);
        let mut player = Player::new(&script, s.0, 14, policy);
        let c = &mut player.config.constraints[0];
        c.constraint.gamma = s.1;
        c.constraint.clip = [CostClip::None, CostClip::Nonneg, CostClip::Capped][s.2];
        c.constraint.mode = if s.3 { ConstraintMode::Anytime } else { ConstraintMode::Terminal };
        c.granularity = [Granularity::Token, Granularity::Chunk, Granularity::Terminal][s.4];
        player.config.on_exhausted = [OnExhausted::Refuse, OnExhausted::LeastViolation, OnExhausted::BestReward][s.5];
        player.config.seed = s.6;
        player.config.release = [Release::AtEnd, Release::Agreement, Release::Commit(2)][s.7];
        player.config.backtrack = s.6 % 2 == 0;
        player
    })
}

/// S from the definition, over the ids of the answer.
fn spent(player: &Player, out: &Outcome) -> f64 {
    let priced = &player.config.constraints[0];
    let c = &priced.constraint;
    let cost = |t: &u32| f64::from(score_of(player, *t));
    let mut costs: Vec<f64> = out.tokens.iter().map(cost).collect();
    if priced.granularity == Granularity::Terminal {
        let total = costs.iter().sum();
        costs.iter_mut().for_each(|c| *c = 0.0);
        *costs.last_mut().expect("an answer") = total;
    }
    let (mut sum, mut max, mut discount) = (0.0f64, 0.0f64, 1.0);
    for cost in costs {
        sum += discount * if c.clip == CostClip::Nonneg { cost.max(0.0) } else { cost };
        sum = if c.clip == CostClip::Capped { sum.max(0.0) } else { sum };
        max = max.max(sum);
        discount *= c.gamma;
    }
    if c.mode == ConstraintMode::Anytime { max } else { sum }
}

fn score_of(player: &Player, token: u32) -> f32 {
    use inferenceguard_model::{Model, ScoreModel, ScoreRow};
    let mut model = player.script.score("cost").expect("the cost model");
    let id = model.open("ask", player.script.model().tokenizer()).expect("open");
    model.extend(&[ScoreRow { id, tokens: vec![token], ended: true }]).expect("extend")[0].tokens[0]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// No answer `within_budget` breaks its budget, whatever the method, retry, fork, end or fallback.
    #[test]
    fn within_budget_is_within_budget(mut player in player()) {
        let (out, _) = player.play();
        if out.status == Status::WithinBudget && player.config.constraints[0].granularity != Granularity::Chunk {
            let spent = spent(&player, &out);
            prop_assert!(spent < player.config.constraints[0].constraint.budget, "{spent} {out:?}");
        }
        prop_assert!(out.tokens.len() <= 14);
        prop_assert_eq!(out.status == Status::NoSafeCandidate, out.finish == Finish::Refused);
    }

    /// Same inputs, same trace; and every decision can be taken again from the trace.
    #[test]
    fn a_trace_replays(mut player in player()) {
        let (out, trace) = player.play();
        prop_assert_eq!(&out, &player.play().0);
        let mut again = player.session("ask");
        trace.replay(&mut again).expect("the same needs");
        prop_assert_eq!(again.next(), Need::Nothing);
        prop_assert_eq!(again.outcome(), Some(&out));
        let Player { policy, tracker, costs, .. } = &mut player;
        trace.decide_again(policy.as_mut(), tracker.as_mut(), costs).expect("the same decisions");
    }

    /// What was released is only added to, and begins the answer.
    #[test]
    fn released_text_is_never_taken_back(mut player in player()) {
        let (out, _, released) = player.play_watched();
        for pair in released.windows(2) {
            prop_assert!(pair[1].starts_with(&pair[0]), "{released:?}");
        }
        prop_assert_eq!(released.last(), Some(&out.text));
    }

    /// The tracker's recursion and the host's audit agree: γ^t z + S = d.
    #[test]
    fn tracker_and_audit_agree(
        costs in prop::collection::vec(-3.0f64..3.0, 1..200),
        gamma in 0.9f64..=1.0,
        clip in prop::sample::select(vec![CostClip::None, CostClip::Nonneg, CostClip::Capped]),
    ) {
        let c = Constraint { name: "x".into(), budget: 10.0, gamma, clip, mode: ConstraintMode::Anytime };
        let mut tracker = inferenceguard_testkit::roles::Recursion;
        let state = tracker.start(&c).expect("start");
        let row = Tracked { state, costs: costs.clone(), ended: true };
        let advanced = tracker.advance(&c, &[row]).expect("advance").remove(0);
        let mut audit = Audit::default();
        audit.charge(&c, &costs);
        let scaled = gamma.powi(costs.len() as i32) * advanced.state.z;
        prop_assert!((scaled + audit.sum - 10.0).abs() <= 1e-9 * (1.0 + audit.sum.abs()), "{scaled} {audit:?}");
    }

    /// Safe text cannot be banked: with `capped`, S never falls below 0 and never below the unclipped sum.
    #[test]
    fn capped_sums_never_refund(costs in prop::collection::vec(-3.0f64..3.0, 1..200)) {
        let c = |clip| Constraint { name: "x".into(), budget: 1.0, gamma: 0.99, clip, mode: ConstraintMode::Anytime };
        let (mut capped, mut plain) = (Audit::default(), Audit::default());
        for cost in costs {
            capped.charge(&c(CostClip::Capped), &[cost]);
            plain.charge(&c(CostClip::None), &[cost]);
            prop_assert!(capped.sum >= 0.0 && capped.sum >= plain.sum - 1e-12);
        }
    }
}
