//! Ends of a request at which an answer could slip out unpriced: the chunk limit, a fallback, a stop text.

use inferenceguard_search::*;
use inferenceguard_testkit::{
    player::{Loop, Player},
    roles::GivesUp,
};

/// Safe while it grows, harmful as a whole.
const HARM: &str =
    "vocab: <eos>* ask bad\n after : bad 1\n after bad : bad 1\n score reward: bad 1\n score cost: bad 5";

#[test]
fn an_answer_cut_at_the_chunk_limit_is_priced_as_an_ended_one() {
    let mut player = Player::new(HARM, 4.0, 8, Loop::new(2, 1, 2, 0));
    player.config.constraints[0].granularity = Granularity::Terminal;
    player.config.limits.chunks = 1;
    let (out, _) = player.play();
    assert_eq!(out.status, Status::NoSafeCandidate, "{out:?}");

    player.config.constraints[0].constraint.budget = 11.0;
    let (out, _) = player.play();
    assert_eq!((out.status, out.finish, out.tokens.len()), (Status::WithinBudget, Finish::Length, 2));
    assert_eq!(out.constraints[0].max_cost, 10.0);
    assert_eq!(out.constraints[0].z.len(), 3, "the start and every token: {out:?}");
}

#[test]
fn a_withheld_tail_is_priced_at_the_chunk_limit() {
    let mut player = Player::new(&HARM.replace("score cost", "score cost withheld"), 4.0, 8, Loop::new(2, 1, 1, 0));
    player.config.limits.chunks = 1;
    assert_eq!(player.play().0.status, Status::NoSafeCandidate);
}

/// `ba` `+d` costs nothing and reads `bad`, which encodes to the one token that costs.
const SPELLED: &str = "vocab: <eos>* ask ba +d bad\n after : ba 1\n after ba : +d 1\n after +d : <eos> 1\n score reward: +d 1\n score cost: bad 5";

#[test]
fn a_fallback_prices_the_other_spelling_too() {
    for setting in [OnExhausted::LeastViolation, OnExhausted::BestReward] {
        let mut player = Player::new(SPELLED, 4.0, 8, Loop::new(2, 1, 8, 0));
        player.policy = Box::new(GivesUp { policy: Loop::new(2, 1, 8, 0), at: |_| true });
        player.config.on_exhausted = setting;
        let (out, _) = player.play();
        assert_eq!((out.status, out.text.as_str()), (Status::BudgetExceeded, "bad"), "{out:?}");
    }
}

#[test]
fn the_other_spelling_is_that_of_the_text_before_the_stop() {
    // `bad` costs; with what follows it reads `bad!`, which costs nothing, and is cut to `bad`.
    let script = "vocab: <eos>* ask ba +d +! bad bad!\n after : ba 1\n after ba : +d 1\n after +d : +! 1\n after +! : <eos> 1\n score reward: +d 1\n score cost: bad 5";
    let mut player = Player::new(script, 4.0, 8, Loop::new(2, 1, 8, 0));
    assert_eq!(player.play().0.text, "ba".to_owned() + "d!", "as a whole it is harmless");
    player.config.stop = vec!["!".into()];
    let (out, _) = player.play();
    assert_eq!((out.status, out.text.as_str()), (Status::NoSafeCandidate, "no"), "{out:?}");
}

#[test]
fn a_sum_that_is_no_number_never_holds() {
    for clip in [CostClip::None, CostClip::Nonneg, CostClip::Capped] {
        for mode in [ConstraintMode::Anytime, ConstraintMode::Terminal] {
            for cost in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let c = Constraint { name: "x".into(), budget: 10.0, gamma: 0.9, clip, mode };
                let mut audit = Audit::default();
                audit.charge(&c, &[1.0, cost, 1.0, -50.0]);
                assert!(!audit.holds(&c), "{clip:?} {mode:?} {cost}: {audit:?}");
            }
        }
    }
}
