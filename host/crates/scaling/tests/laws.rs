//! What every simulation keeps: shares of at most 1, no more answers than the parts allow, more replicas never slower, and one
//! request alone as by arithmetic.

use inferenceguard_scaling::{Case, Outcome, Part, ScalingError, Sweep, Times, simulate};
use proptest::prelude::*;

const TIMES: &str = include_str!("../times.toml");

fn times() -> Times {
    Times::parse(TIMES).expect("the file of this crate")
}

/// With another time in one place, so that another part is the slowest.
fn slow(part: Part) -> Times {
    let mut times = times();
    times.search.answer = 48;
    match part {
        Part::Language => times.score.call = 0.001,
        Part::Score => times.score.call = 20.0,
        Part::Controller => times.controller.decision = vec![(1, 8.0)],
    }
    times
}

fn run(times: &Times, case: &Case) -> Outcome {
    simulate(times, case).expect("a fine case")
}

#[test]
fn one_request_alone_takes_the_sum_of_its_parts() {
    for n in [1, 8, 32, 128] {
        for chunk in [1, 32, 100, 128] {
            let mut times = times();
            times.search.chunk = chunk;
            let case = Case { language: 1, score: 1, n, affinity: true, at_once: 1 };
            let (found, expected) = (run(&times, &case), Case::closed_form(&times, n));
            assert!((found.latency / expected - 1.0).abs() < 1e-9, "{n} {chunk}: {found:?} {expected}");
            assert!((found.answers * expected - 1.0).abs() < 1e-9, "{n} {chunk}: {found:?} {expected}");
            let scattered = run(&times, &Case { affinity: false, ..case });
            assert_eq!(scattered, found, "with one replica rows have nowhere else to go");
        }
    }
}

#[test]
fn the_sum_of_one_request_by_hand() {
    let text = "[language]\nsource = ''\nstep = [[1, 0.5], [4, 2.0]]\nprompt_token = 0.25\nblock = 4\nrows = 8\n\
        [score]\nsource = ''\ncall = 1.0\ntoken = 0.125\nblock = 4\nmodels = 2\n\
        [controller]\nsource = ''\ncores = 1\ndecision = [[1, 0.75]]\n\
        [search]\nprompt = 9\nanswer = 6\nchunk = 4\nbeams = 1";
    let times = Times::parse(text).expect("times");
    // Two rows. The first chunk: 8 tokens of the prompt once, the ninth for each row: 10; the second: token 13 for each row: 2.
    let grown = (4.0 * 1.0 + 0.25 * 10.0) + (2.0 * 1.0 + 0.25 * 2.0);
    let scored = 2.0 * (1.0 + 0.125 * (10.0 + 8.0)) + 2.0 * (1.0 + 0.125 * (2.0 + 4.0));
    let expected = grown + scored + 2.0 * 0.75;
    assert_eq!(Case::closed_form(&times, 2), expected);
    assert_eq!(Case::controller_limit(&times, 2), 1.0 / 1.5);
}

#[test]
fn more_replicas_never_give_fewer_answers_until_the_controller_is_the_limit() {
    for part in [Part::Language, Part::Score, Part::Controller] {
        for affinity in [true, false] {
            let times = slow(part);
            let limit = Case::controller_limit(&times, 32);
            let mut before = 0.0;
            for replicas in [1, 2, 4, 8, 16] {
                let found = run(&times, &Case::full(&times, replicas, replicas, 32, affinity));
                // Answers that began before the first that is counted have a part of their work behind them.
                assert!(found.answers <= limit * 1.04, "{part:?} {replicas}: {found:?}, limit {limit}");
                assert!(found.answers >= before * 0.97, "{part:?} {affinity} {replicas}: {found:?} after {before}");
                before = found.answers;
            }
        }
    }
    let times = slow(Part::Controller);
    let found = run(&times, &Case::full(&times, 8, 8, 32, true));
    assert_eq!(found.limit(), Part::Controller);
    assert!(found.controller > 0.99 && found.answers > 0.96 * Case::controller_limit(&times, 32), "{found:?}");
}

#[test]
fn the_slowest_part_is_named() {
    for part in [Part::Language, Part::Score, Part::Controller] {
        let times = slow(part);
        assert_eq!(run(&times, &Case::full(&times, 2, 2, 32, true)).limit(), part);
    }
}

#[test]
fn faster_engines_give_as_much_more_until_the_controller_is_the_limit() {
    let mut idle = times();
    idle.search.answer = 48;
    idle.controller.decision = vec![(1, 1e-9)];
    let case = Case::full(&idle, 2, 2, 32, true);
    let (plain, faster) = (run(&idle, &case), run(&idle.clone().with_faster_engines(8.0).expect("faster"), &case));
    assert!((faster.answers / plain.answers / 8.0 - 1.0).abs() < 1e-3, "{plain:?} {faster:?}");
    let limited = times().with_faster_engines(1e4).expect("faster");
    assert_eq!(run(&limited, &Case::full(&limited, 4, 4, 32, true)).limit(), Part::Controller);
    for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            times().with_faster_engines(factor),
            Err(ScalingError::Number { name: "engines-faster", .. })
        ));
    }
}

#[test]
fn affinity_saves_reading() {
    let times = times();
    for replicas in [4, 16] {
        let case = Case::full(&times, replicas, 4 * replicas, 32, true);
        let (with, without) = (run(&times, &case), run(&times, &Case { affinity: false, ..case }));
        assert!(with.answers > without.answers, "{replicas}: {with:?} {without:?}");
    }
}

#[test]
fn the_same_case_gives_the_same_figures() {
    let sweep = Sweep { replicas: vec![1, 3], scores: vec![1, 2], ns: vec![8, 32] };
    let report = sweep.run(&times()).expect("a report");
    assert_eq!(report, sweep.run(&times()).expect("a report"));
    let csv = report.csv();
    assert_eq!(csv.lines().count(), 1 + 2 * 2 * 3, "{csv}");
    assert_eq!(report.markdown().lines().filter(|line| line.starts_with("| ")).count(), 2 + 2 * 2 * 3);
    let plot = report.plot().expect("a picture");
    assert!(plot.svg.contains("N = 32") && plot.svg.contains("one controller at most"));
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let wrong = [
        ("rows = 256", "rows = 0", "language.rows"),
        ("rows = 256", "rows = 9999999", "language.rows"),
        ("step = [[1, 0.059]", "step = [[9, 0.059]", "language.step"),
        ("step = [[1, 0.059]", "step = [[1, nan]", "language.step"),
        ("step = [[1, 0.059]", "step = [[1, 9.0]", "language.step"),
        ("call = 0.3", "call = -1.0", "score.call"),
        ("call = 0.3", "call = inf", "score.call"),
        ("cores = 2", "cores = 0", "controller.cores"),
        ("beams = 4", "beams = 4\nbeans = 4", "beans"),
        ("[search]", "[searches]", "searches"),
    ];
    for (known, other, name) in wrong {
        assert!(TIMES.contains(known), "{known}");
        let error = Times::parse(&TIMES.replace(known, other)).expect_err(other).to_string();
        assert!(error.contains(name), "{other}: {error}");
    }
    let case = Case { language: 0, ..Case::full(&times(), 1, 1, 8, true) };
    assert!(matches!(simulate(&times(), &case), Err(ScalingError::Number { name: "replicas", .. })));
    let none = Sweep { ns: vec![], ..Sweep::default() };
    assert!(matches!(none.run(&times()), Err(ScalingError::Number { name: "n", .. })));
}

proptest! {
    #[test]
    fn no_part_is_busy_more_than_all_the_time(
        language in 1_usize..6, score in 1_usize..6, n in 1_usize..40, affinity: bool, at_once in 1_usize..30,
        chunk in 1_usize..40, call in 0.0..2.0, decision in 0.0001..0.5,
    ) {
        let mut times = times();
        (times.search.answer, times.search.chunk, times.score.call) = (40, chunk, call);
        times.controller.decision = vec![(1, decision)];
        let found = run(&times, &Case { language, score, n, affinity, at_once });
        for share in [found.language, found.score, found.controller] {
            prop_assert!((0.0..=1.0 + 1e-9).contains(&share), "{found:?}");
        }
        // As many requests are under way as there are at once.
        let under_way = found.answers * found.latency;
        prop_assert!((under_way / at_once as f64 - 1.0).abs() < 0.5, "{under_way} of {at_once}: {found:?}");
        prop_assert!(found.latency >= 40.0 * times.language.step[0].1, "no token takes less than a step: {found:?}");
    }
}
