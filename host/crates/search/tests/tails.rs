//! Score models that withhold the newest word, where candidates are one token long: decisions see it, budgets are charged
//! what is certain.

use inferenceguard_search::*;
use inferenceguard_testkit::player::{Loop, Player};
use proptest::prelude::*;

/// Takes at every token the candidate that is best by logit, task cost and costs spent: ARGS.
struct Greedy {
    k: u32,
    lambda: f64,
    needs: Needs,
}

impl Policy for Greedy {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        let plan = Loop::new(1, 1, 1, 0).plan(rows)?;
        Ok(Plan { source: Source::Expand(self.k), ..plan })
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        let score = |row: &BatchRow| {
            // The end token is left out: a model that reads text cannot tell it from the word before it.
            let Some(task_cost) = row.task_cost.filter(|_| row.tokens != [0]) else { return f64::NEG_INFINITY };
            let reward = -task_cost;
            f64::from(row.expansion_logit.unwrap_or(0.0)) + 2.5 * (reward - self.lambda * row.spent[0])
        };
        let mut best = 0;
        for row in 1..rows.rows.len() {
            best = if score(&rows.rows[row]) > score(&rows.rows[best]) { row } else { best };
        }
        let found = u32::try_from(best).expect("a row");
        Ok(if rows.rows[best].finished { Decision::Answer(found) } else { Decision::Keep(vec![found]) })
    }
}

/// The first decision of a request.
fn first(trace: &Trace) -> &Batch {
    let found = trace.events.iter().find_map(|(need, _)| match need {
        Need::Select(batch) => Some(batch),
        _ => None,
    });
    found.expect("a decision")
}

fn guided(script: &str, lambda: f64, needs: Needs) -> Player {
    let mut player = Player::new(script, 1000.0, 6, Loop::new(1, 1, 1, 0));
    player.policy = Box::new(Greedy { k: 4, lambda, needs });
    player
}

/// Words that a space divides are cut alike by every tokenizer, so what is withheld has one score only.
fn script(weights: &[u32], scores: &[i32], withheld: &str) -> String {
    format!(
        "vocab: <eos>* ask a b c\n after : a {}, b {}, c {}\n after a : a {}, b {}, <eos> 1\n after b : c {}, a {}, <eos> 1\n \
         after c : b {}, c {}, <eos> 1\n score reward {withheld}: a {}, b {}, c {}\n score cost {withheld}: a {}, b {}, c {}",
        weights[0],
        weights[1],
        weights[2],
        weights[3],
        weights[4],
        weights[5],
        weights[6],
        weights[7],
        weights[8],
        f64::from(scores[0]) / 10.0,
        f64::from(scores[1]) / 10.0,
        f64::from(scores[2]) / 10.0,
        f64::from(scores[3]) / 10.0,
        f64::from(scores[4]) / 10.0,
        f64::from(scores[5]) / 10.0,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Another tokenizer that cuts the text alike changes nothing of what ARGS decides, spends and is charged.
    #[test]
    fn a_withheld_word_is_seen_where_candidates_are_one_token_long(
        weights in prop::collection::vec(1u32..9, 9),
        scores in prop::collection::vec(-20i32..40, 6),
        lambda in prop_oneof![Just(0.0), 0.1f64..3.0],
    ) {
        let play = |withheld| guided(&script(&weights, &scores, withheld), lambda, Needs::default()).play();
        let ((same, _), (other, trace)) = (play(""), play("withheld"));
        prop_assert!(other.failures.is_empty(), "{:?}", other.failures);
        prop_assert!(first(&trace).rows.iter().all(|row| row.task_cost.is_some()));
        prop_assert_eq!((&other.tokens, other.status, other.finish), (&same.tokens, same.status, same.finish));
        prop_assert_eq!(other.task_cost, same.task_cost);
        prop_assert_eq!(&other.constraints, &same.constraints);
    }
}

const GUIDED: &str = "vocab: <eos>* ask good bad\n after : good 1, bad 2\n after good : good 1, bad 2, <eos> 1\n after bad : bad 2, good 1, <eos> 1\n score reward withheld: good 3, bad 1\n score cost withheld: good -1, bad 2";

#[test]
fn tails_are_priced_and_not_charged() {
    let (out, trace) = guided(GUIDED, 1.0, Needs::default()).play();
    assert_eq!((out.text.as_str(), out.failures.len()), ("good good good good good good", 0), "{out:?}");
    assert_eq!(out.constraints[0].z.len(), out.tokens.len() + 1);
    // The candidates of the first chunk differ by their tails alone, and no tail is charged.
    let rows = &first(&trace).rows;
    let spent: Vec<f64> = rows.iter().map(|row| row.spent[0]).collect();
    assert_eq!(spent, [2.0, -1.0, 0.0, 0.0][..rows.len()].to_vec());
    assert!(rows.iter().all(|row| row.margins[0] == 1000.0 && row.budgets[0].z == 1000.0), "{rows:?}");
    assert!(trace.events.iter().any(|(need, _)| matches!(need, Need::PriceTail { .. })));
}

#[test]
fn a_policy_reads_the_end_score_of_what_is_withheld() {
    let needs = Needs { scores: vec!["cost".into()], ..Needs::default() };
    let (_, trace) = guided(GUIDED, 0.0, needs).play();
    let ends: Vec<f32> = first(&trace).rows.iter().map(|row| row.scores["cost"].end).collect();
    assert_eq!(ends[..2], [2.0, -1.0]);
}

#[test]
fn a_chunk_of_which_nothing_is_certain_is_ranked_all_the_same() {
    // `a` `+b` is one word: after two tokens nothing has been followed by another word.
    let script = "vocab: <eos>* ask a +b +c\n after : a 1\n after a : +b 1, +c 1\n after +b : <eos> 1\n after +c : <eos> 1\n score reward withheld: a +b 1, a +c 5, a 0\n score cost withheld: a 0";
    let mut player = Player::new(script, 4.0, 8, Loop::new(8, 1, 2, 0));
    let (out, trace) = player.play();
    assert_eq!(out.status, Status::WithinBudget, "{out:?}");
    assert!(first(&trace).rows.iter().all(|row| row.task_cost.is_some()));
}

#[test]
fn what_fails_in_a_tail_is_named_and_its_row_is_not_taken() {
    // The second call of the cost model scores the tail of the only candidate.
    let mut player = guided(&format!("{GUIDED}\n fault cost 2: nan"), 1.0, Needs::default());
    player.policy = Box::new(Greedy { k: 1, lambda: 1.0, needs: Needs::default() });
    let (out, _) = player.play();
    assert_eq!(out.status, Status::Failed, "{out:?}");
    assert!(out.failures[0].to_string().contains("the score model `cost` returned the score NaN"), "{out:?}");
    // The fifth scores the tail of `bad`, the first of four; the others go on, and the answer is priced without it.
    let (out, _) = guided(&format!("{GUIDED}\n fault cost 5: nan"), 1.0, Needs::default()).play();
    assert_eq!((out.status, out.failures.len()), (Status::WithinBudget, 1), "{out:?}");
    assert_eq!(out.text, "good good good good good good");
}

#[test]
fn a_terminal_constraint_has_no_tail() {
    let mut player = guided(GUIDED, 1.0, Needs::default());
    player.config.constraints[0].granularity = Granularity::Terminal;
    let (out, trace) = player.play();
    assert!(out.failures.is_empty(), "{out:?}");
    assert!(!trace.events.iter().any(|(need, _)| matches!(need, Need::PriceTail { .. })));
}
