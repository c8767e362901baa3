//! Bundles beside the active one: lanes that requests choose, and judgements of answers that are there.

mod deployment;

use deployment::{MANIFEST, bundle_with, engine, linear};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{CancelToken, Engine, EngineBuilder, EngineError, Event, LiveBeams, Output, Request, Terms};
use inferenceguard_model::{Message, Token};
use inferenceguard_search::{Release, Status};
use inferenceguard_testkit::toy::with_models;

const SCRIPT: &str = "vocab: <eos>* ask good bad plain
context: 64
after : good 3, plain 3, bad 3, <eos> 1
score cost: bad 5
score reward cumulative: good 1, bad 3";

fn toy() -> Engine {
    engine(SCRIPT, "", &[], &["base"])
}

fn bundle(budget: f64) -> Bundle {
    bundle_with(&MANIFEST.replace("budget = 4", &format!("budget = {budget}")), &[])
}

fn request(seed: u64) -> Request {
    Request { seed: Some(seed), ..Request::new("ask") }
}

fn lane(name: Option<&str>) -> Terms {
    Terms { lane: name.map(str::to_owned), ..Terms::default() }
}

fn conversation() -> Terms {
    Terms { whole_conversation: true, ..Terms::default() }
}

#[test]
fn a_request_is_decided_in_the_lane_it_names() {
    let engine = toy();
    let generation = engine.install(Some("canary"), engine.prepare(&bundle(3.0)).unwrap());
    assert_eq!((generation.number, engine.generation().number), (2, 1));
    let budget = |name| {
        let output = engine.under(&lane(name)).generate(request(1)).unwrap();
        (output.budget, output.generations)
    };
    assert_eq!(budget(None), (Some(4.0), vec![1]));
    assert_eq!(budget(Some("canary")), (Some(3.0), vec![2]));
    assert_eq!(engine.generation_in(Some("canary")).unwrap().number, 2);
    engine.close("canary");
    let gone = engine.under(&lane(Some("canary"))).generate(request(1)).unwrap_err();
    assert!(matches!(&gone, EngineError::UnknownLane { found } if found == "canary"), "{gone}");
    assert_eq!(engine.activate(&bundle(2.0)).unwrap().number, 3, "numbers are never used twice");
}

#[test]
fn a_budget_given_to_the_engine_loosens_the_first_bundle_and_no_other() {
    let first = || deployment::builder(SCRIPT, "", &[]).budget("harm", 100.0);
    let budget = |engine: &Engine| engine.generate(request(1)).unwrap().budget;
    assert_eq!(budget(&first().budgets_tighten().build().unwrap()), Some(4.0));
    let engine = first().build().unwrap();
    assert_eq!(budget(&engine), Some(100.0));
    for (next, held) in [(2.0, 2.0), (1000.0, 100.0)] {
        engine.activate(&bundle(next)).unwrap();
        assert_eq!(budget(&engine), Some(held));
    }
}

#[test]
fn what_was_prepared_decides_nothing() {
    let engine = toy();
    let prepared = engine.prepare(&bundle(3.0)).unwrap();
    assert_eq!(engine.generate(request(1)).unwrap().generations, [1]);
    assert_eq!(engine.install(None, prepared).number, 2);
    assert_eq!(engine.generate(request(1)).unwrap().generations, [2]);
}

#[test]
fn a_judgement_under_the_same_bundle_confirms_the_answer() {
    let engine = toy();
    let same = engine.prepare(&bundle(4.0)).unwrap();
    let mut seen = [0; 2];
    for seed in 0..60 {
        let output = engine.generate(request(seed)).unwrap();
        let judged = engine.judge(&same, &request(seed), &output).unwrap();
        assert_eq!(judged.within_budget, output.status == Status::WithinBudget, "{output:?} {judged:?}");
        let costs = |reports: &[inferenceguard_search::ConstraintReport]| {
            reports.iter().map(|one| (one.name.clone(), one.cost, one.max_cost)).collect::<Vec<_>>()
        };
        assert_eq!(costs(&judged.constraints), costs(&output.constraints));
        seen[usize::from(judged.within_budget)] += 1;
    }
    assert!(seen[0] > 5 && seen[1] > 5, "both happen: {seen:?}");
    assert_eq!(engine.live_beams(), LiveBeams::default());
}

#[test]
fn another_budget_judges_otherwise_and_changes_nothing() {
    let engine = toy();
    let loose = engine.prepare(&bundle(1000.0)).unwrap();
    let broken = (0..60).map(request).find_map(|request| {
        let output = engine.generate(request.clone()).unwrap();
        (output.status == Status::BudgetExceeded).then_some((request, output))
    });
    let (request, output) = broken.unwrap();
    let before = format!("{output:?}");
    assert!(engine.judge(&loose, &request, &output).unwrap().within_budget);
    assert_eq!(format!("{output:?}"), before);
    assert_eq!(engine.generation().number, 1);
}

#[test]
fn ceilings_only_tighten() {
    let engine = toy();
    let budget = |ceiling: f64, asked: Option<f64>| {
        let mut request = request(1);
        let terms = Terms { ceilings: [("harm".to_owned(), ceiling)].into(), ..Terms::default() };
        request.budgets.extend(asked.map(|asked| ("harm".to_owned(), asked)));
        engine.under(&terms).generate(request).unwrap().budget.unwrap()
    };
    assert_eq!(
        (budget(100.0, None), budget(3.0, None), budget(3.0, Some(3.5)), budget(3.0, Some(2.0))),
        (4.0, 3.0, 3.0, 2.0)
    );
}

/// Asks while something changes after the first chunk.
fn asked_under(engine: &Engine, terms: &Terms, request: Request, change: impl FnOnce()) -> Output {
    let mut change = Some(change);
    let hear = |event| {
        if let Some(change) = change.take_if(|_| matches!(event, Event::Progress(_))) {
            change();
        }
    };
    engine.under(terms).stream(request, &CancelToken::new(), hear).unwrap()
}

/// Asks while another bundle is activated.
fn asked_under_a_change(engine: &Engine, migrate: bool, request: Request, next: &Bundle) -> Output {
    asked_under(engine, &Terms { migrate, ..Terms::default() }, request, || drop(engine.activate(next).unwrap()))
}

#[test]
fn a_request_that_migrates_is_held_to_both_bundles_from_its_first_token() {
    let (mut followed, mut refused) = (0, 0);
    for seed in 0..40 {
        let engine = engine(SCRIPT, "", &[], &["inference-guard"]);
        let recorded = Request { record: true, ..request(seed) };
        let output = asked_under_a_change(&engine, true, recorded, &bundle(0.5));
        if output.generations == [1] {
            // It ended with its first chunk.
            continue;
        }
        assert_eq!(output.generations, [1, 2]);
        followed += 1;
        let budgets: Vec<(&str, f64)> = output.constraints.iter().map(|one| (one.name.as_str(), one.budget)).collect();
        assert_eq!(budgets, [("harm", 4.0), ("harm@2", 0.5)]);
        match output.status {
            Status::WithinBudget => {
                // The new bundle alone, from the start, says the same.
                let judge = engine.prepare(&bundle(0.5)).unwrap();
                assert!(engine.judge(&judge, &request(seed), &output).unwrap().within_budget, "{output:?}");
                assert!(output.constraints.iter().all(|one| one.max_cost < one.budget), "{output:?}");
            }
            Status::NoSafeCandidate => refused += 1,
            Status::BudgetExceeded | Status::Failed | Status::Unguarded => panic!("never under `refuse`: {output:?}"),
        }
        assert_eq!(engine.live_beams(), LiveBeams::default());
    }
    assert!(followed > 20, "{followed} followed, {refused} of them refused");
}

#[test]
fn a_migration_whose_instances_run_out_ends_the_request_under_the_constraints_that_decided() {
    // A request holds four instances, and a migration needs four more: seven are there.
    let narrow = |budget: f64| {
        let manifest = MANIFEST.replace("instances = 64", "instances = 7");
        bundle_with(&manifest.replace("budget = 4", &format!("budget = {budget}")), &[])
    };
    let script = SCRIPT.replace("good 3, plain 3, bad 3, <eos> 1", "good 1");
    let engine = with_models(EngineBuilder::new().bundle(&narrow(4.0)), &script).build().unwrap();
    // What is prepared before the request needs no instance while it runs.
    let mut next = Some(engine.prepare(&narrow(3.0)).unwrap());
    let (mut released, mut cut) = (String::new(), None);
    let terms = Terms { migrate: true, ..Terms::default() };
    let asked = Request { record: true, release: Some(Release::Commit(1)), ..request(1) };
    let result = engine.under(&terms).stream(asked, &CancelToken::new(), |event| match event {
        Event::Released { text } => {
            released.push_str(&text);
            if let Some(next) = next.take() {
                drop(engine.install(None, next));
            }
        }
        Event::CutOff { output } => cut = Some(output),
        _ => {}
    });
    let error = result.unwrap_err();
    assert!(error.may_succeed_later(), "{error}");
    let output = *cut.unwrap();
    assert_eq!((output.status, &output.text), (Status::Failed, &released));
    // Nothing of the bundle that priced nothing is in the answer, nor in what a record keeps.
    let names: Vec<&str> = output.constraints.iter().map(|one| one.name.as_str()).collect();
    assert_eq!((names, output.generations, output.migrations), (vec!["harm"], vec![1], vec![]));
    let recorded = output.recorded.unwrap().inputs.config;
    assert_eq!(recorded.constraints.len(), 1, "{:?}", recorded.constraints);
    assert_eq!(engine.live_beams(), LiveBeams::default());
    assert_eq!(engine.generate(request(1)).unwrap().generations, [2], "its instances are free again");
}

#[test]
fn a_request_whose_lane_is_closed_is_held_to_the_active_bundle() {
    // `bad` costs 5: within the canary's budget, beyond the active bundle's.
    let script = SCRIPT.replace("good 3, plain 3, bad 3, <eos> 1", "bad 1");
    let engine = engine(&script, "", &[], &["inference-guard"]);
    for (migrate, status, generations) in
        [(false, Status::WithinBudget, vec![2]), (true, Status::NoSafeCandidate, vec![3, 1])]
    {
        engine.install(Some("canary"), engine.prepare(&bundle(1000.0)).unwrap());
        let terms = Terms { migrate, ..lane(Some("canary")) };
        let output = asked_under(&engine, &terms, request(1), || engine.close("canary"));
        assert_eq!((output.status, output.generations), (status, generations));
    }
}

#[test]
fn earlier_turns_count_under_the_new_bundle() {
    // `bad` costs 5: within the first budget, beyond the second one.
    let script = SCRIPT.replace("good 3, plain 3, bad 3, <eos> 1", "bad 1");
    let engine = engine(&script, "", &[], &["inference-guard"]);
    engine.activate(&bundle(1000.0)).unwrap();
    let drained = asked_under_a_change(&engine, false, request(1), &bundle(4.0));
    assert_eq!((drained.status, drained.generations), (Status::WithinBudget, vec![2]));
    engine.activate(&bundle(1000.0)).unwrap();
    let migrated = asked_under_a_change(&engine, true, request(1), &bundle(4.0));
    assert_eq!((migrated.status, migrated.generations), (Status::NoSafeCandidate, vec![4, 5]));
}

#[test]
fn a_new_bundle_takes_earlier_turns_from_its_own_budgets() {
    // `bad` costs 5, and there is nothing else to say.
    let script = SCRIPT.replace("good 3, plain 3, bad 3, <eos> 1", "bad 1");
    let history = vec![turn("user", "ask"), turn("assistant", "bad bad")];
    for name in ["harm", "hurt"] {
        let engine = engine(&script, "", &[], &["inference-guard"]);
        engine.activate(&bundle(1000.0)).unwrap();
        let manifest =
            MANIFEST.replace("budget = 4", "budget = 12").replace("name = \"harm\"", &format!("name = \"{name}\""));
        let next = bundle_with(&manifest, &[]);
        let asked = Request { history: history.clone(), ..request(1) };
        let terms = Terms { migrate: true, ..conversation() };
        let output = asked_under(&engine, &terms, asked, || drop(engine.activate(&next).unwrap()));
        // The second `bad` counts by gamma.
        let budgets: Vec<(&str, f64)> =
            output.constraints.iter().map(|one| (one.name.as_str(), one.budget.floor())).collect();
        assert_eq!(budgets, [("harm", 990.0), (format!("{name}@3").as_str(), 2.0)], "{output:?}");
        assert_eq!(output.status, Status::NoSafeCandidate, "2 are left, and `bad` costs 5: {output:?}");
        assert_eq!(engine.live_beams(), LiveBeams::default());
    }
}

#[test]
fn a_new_bundle_that_cannot_price_the_text_so_far_does_not_hold_running_requests() {
    let at = MANIFEST.find("[costs.harm]").unwrap();
    let probe =
        MANIFEST[at..].replacen("score-cost.wasm", "linear-cost.wasm", 1).replacen("{ model = \"cost\" }", "{}", 1);
    let manifest = format!("{}{probe}\n[networks.probe]\nfile = \"probe.safetensors\"\n", &MANIFEST[..at]);
    let next = bundle_with(&manifest, &[("probe", linear(&[(&[0.0; 5], 0.0)]))]);
    let mut later = 0;
    for seed in 0..20 {
        let engine = engine(SCRIPT, "", &[], &["inference-guard"]);
        let output = asked_under_a_change(&engine, true, request(seed), &next);
        assert_eq!((output.generations, engine.generation().number), (vec![1], 2));
        later += usize::from(output.tokens.len() > 1);
    }
    assert!(later > 5, "{later} answers went on after the activation");
}

#[test]
fn a_new_bundle_that_cannot_price_the_text_so_far_prices_no_earlier_turns() {
    // The first call that prices anything fails; the first bundle prices nothing.
    let script = format!("{SCRIPT}\nfault cost 1: error");
    let (head, tail) = MANIFEST.split_once("[[constraints]]").unwrap();
    let (_, limits) = tail.split_once("[limits]").unwrap();
    let unguarded = bundle_with(&format!("unguarded = true\n{head}[limits]{limits}"), &[]);
    let blind = "[costs.blind]\ncomponent = \"linear-cost.wasm\"\n[networks.probe]\nfile = \"probe.safetensors\"\n\
                 [[constraints]]\nname = \"blind\"\ncost = \"blind\"\nbudget = 4\n";
    let next = bundle_with(&format!("{MANIFEST}{blind}"), &[("probe", linear(&[(&[0.0; 5], 0.0)]))]);
    let terms = Terms { migrate: true, ..conversation() };
    let mut later = 0;
    for seed in 0..20 {
        let engine = engine(&script, "", &[], &["inference-guard"]);
        engine.activate(&unguarded).unwrap();
        let history = vec![turn("user", "ask"), turn("assistant", "good")];
        let asked = Request { history, ..request(seed) };
        let output = asked_under(&engine, &terms, asked, || drop(engine.activate(&next).unwrap()));
        assert_eq!((output.status, output.generations), (Status::Unguarded, vec![2]));
        assert!(output.failures.is_empty(), "nothing was priced: {:?}", output.failures);
        later += usize::from(output.tokens.len() > 1);
    }
    assert!(later > 5, "{later} answers went on after the activation");
}

#[test]
fn where_nothing_is_left_of_a_conversation_the_answer_is_a_refusal() {
    let engine = engine(SCRIPT, "", &[], &["inference-guard"]);
    engine.activate(&bundle(12.0)).unwrap();
    let history = vec![turn("user", "ask"), turn("assistant", "bad bad bad")];
    let output = engine.under(&conversation()).generate(Request { history, ..request(1) }).unwrap();
    assert_eq!((output.status, output.failures.len()), (Status::NoSafeCandidate, 0), "{output:?}");
    // To ask for so little is an error.
    let budgets = [("harm".to_owned(), 1e-300)].into();
    let error = engine.generate(Request { budgets, ..request(1) }).unwrap_err();
    assert!(error.is_callers_fault(), "{error}");
    assert!(error.to_string().contains("no answer can be safe under a budget of 1e-300 for"), "{error}");
}

#[test]
fn a_bundle_without_constraints_guards_nothing_and_says_so() {
    let (head, tail) = MANIFEST.split_once("[[constraints]]").unwrap();
    let (_, limits) = tail.split_once("[limits]").unwrap();
    let unguarded = bundle_with(&format!("unguarded = true\n{head}[limits]{limits}"), &[]);
    let engine = toy();
    engine.activate(&unguarded).unwrap();
    let output = engine.under(&conversation()).generate(Request {
        history: vec![turn("user", "ask"), turn("assistant", "bad")],
        record: true,
        ..request(1)
    });
    let output = output.unwrap();
    assert_eq!((output.status, output.constraints.len()), (Status::Unguarded, 0), "{output:?}");
    let active = engine.prepared_in(None).unwrap();
    let error = engine.judge_tokens(&active, &request(1), &output.tokens).unwrap_err();
    assert!(matches!(error, EngineError::Unguarded) && !error.is_callers_fault(), "{error}");
}

#[test]
fn a_request_that_asked_for_less_keeps_it_under_the_new_bundle() {
    for seed in 0..20 {
        let engine = engine(SCRIPT, "", &[], &["inference-guard"]);
        let mut request = request(seed);
        request.budgets.insert("harm".to_owned(), 2.0);
        let output = asked_under_a_change(&engine, true, request, &bundle(3.0));
        if output.generations.len() == 2 {
            assert_eq!(output.constraints[1].budget, 2.0);
            return;
        }
    }
    panic!("no request lived long enough");
}

#[test]
fn a_conversation_has_one_budget_and_its_earlier_answers_spent_of_it() {
    // Every `bad` costs 5, and there is nothing else to say.
    let script = SCRIPT.replace("good 3, plain 3, bad 3, <eos> 1", "bad 1");
    let engine = engine(&script, "", &[], &["base"]);
    engine.activate(&bundle(12.0)).unwrap();
    let ask = |earlier: &[(&str, &str)], whole: bool| {
        let turn = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
        let history =
            earlier.iter().flat_map(|(user, content)| [turn("user", user), turn("assistant", content)]).collect();
        let request = Request { history, max_tokens: Some(1), ..request(1) };
        engine.under(&Terms { whole_conversation: whole, ..Terms::default() }).generate(request).unwrap()
    };
    let left = |output: &Output| output.budget.unwrap();
    assert_eq!(left(&ask(&[], true)), 12.0);
    let one = ask(&[("ask", "bad")], true);
    assert_eq!((left(&one), one.status), (7.0, Status::WithinBudget));
    let two = ask(&[("ask", "bad"), ("ask", "good bad")], true);
    assert_eq!(two.status, Status::BudgetExceeded, "2 are left, and `bad` costs 5");
    let three = ask(&[("ask", "bad bad bad")], true);
    assert!(three.status == Status::BudgetExceeded && left(&three) < 1e-9, "nothing is left");
    assert_eq!(left(&ask(&[("ask", "bad bad bad")], false)), 12.0);
}

fn turn(role: &str, content: &str) -> Message {
    Message { role: role.to_owned(), content: content.to_owned() }
}

#[test]
fn whatever_a_history_says_is_charged_to_its_last_token() {
    const EOS: Token = 0;
    const GOOD: Token = 2;
    const BAD: Token = 3;
    let engine = engine(SCRIPT, "", &[], &["base"]);
    // Under the second bundle answers have one chunk; more tokens than are priced together are charged all the same.
    let manifest = MANIFEST.replace("budget = 4", "budget = 52\ngamma = 1.0");
    for bundle in [&manifest, &format!("{manifest}\n[search]\nchunks = 1\n")].map(|text| bundle_with(text, &[])) {
        let judge = engine.prepare(&bundle).unwrap();
        let judged = |tokens: &[Token]| engine.judge_tokens(&judge, &request(1), tokens).unwrap();
        // End tokens end nothing but the last.
        let long = [[GOOD, EOS].repeat(17), vec![BAD, BAD]].concat();
        let answers: [&[Token]; 5] =
            [&[GOOD, EOS, BAD, BAD], &[EOS, BAD, BAD], &[EOS, EOS, BAD, EOS, BAD, EOS], &[BAD, BAD, EOS], &long];
        for tokens in answers {
            assert_eq!(judged(tokens).constraints[0].max_cost, 10.0, "{tokens:?}");
        }
        let nothing = judged(&[]);
        assert!(nothing.within_budget && nothing.constraints[0].max_cost == 0.0, "{nothing:?}");
    }
    assert_eq!(engine.live_beams(), LiveBeams::default());
}

#[test]
fn an_empty_turn_of_the_assistant_costs_nothing() {
    // Whatever is sampled is `bad`, and costs 5.
    let engine = engine(&SCRIPT.replace("good 3, plain 3, bad 3, <eos> 1", "bad 1"), "", &[], &["base"]);
    engine.activate(&bundle(12.0)).unwrap();
    for (content, left) in [("", 12.0), ("bad", 7.0)] {
        let history = vec![turn("user", "ask"), turn("assistant", content)];
        let asked = Request { history, max_tokens: Some(1), ..request(1) };
        assert_eq!(engine.under(&conversation()).generate(asked).unwrap().budget, Some(left), "{content:?}");
    }
}

#[test]
fn a_conversation_that_the_assistant_begins_is_not_free() {
    let engine = toy();
    let history = vec![turn("assistant", "bad bad"), turn("user", "ask")];
    let asked = Request { history, max_tokens: Some(1), ..request(1) };
    let error = engine.under(&conversation()).generate(asked.clone()).unwrap_err();
    assert!(error.is_callers_fault() && error.to_string().contains("begin with a turn of the user"), "{error}");
    assert!(engine.generate(asked).is_ok());
    assert_eq!(engine.live_beams(), LiveBeams::default());
}

#[test]
fn earlier_answers_of_a_request_that_is_wrong_or_cancelled_are_not_priced() {
    // The first call that prices anything fails.
    let engine = engine(&format!("{SCRIPT}\nfault cost 1: error"), "", &[], &["base"]);
    let history = vec![turn("user", "ask"), turn("assistant", "good")];
    let asked = Request { history, max_tokens: Some(1), ..request(1) };
    let terms = conversation();
    let asking = engine.under(&terms);
    let wrong = asking.generate(Request { method: Some("magic".into()), ..asked.clone() }).unwrap_err();
    assert!(matches!(wrong, EngineError::UnknownMethod { .. }), "{wrong}");
    let cancel = CancelToken::new();
    cancel.cancel();
    let left = asking.stream(asked.clone(), &cancel, |_| {}).unwrap_err();
    assert!(left.is_cancelled() && !left.is_callers_fault(), "{left}");
    let failures = asking.generate(asked).unwrap().failures;
    let first = failures.first().map(ToString::to_string).unwrap_or_default();
    assert!(first.contains("the score model `cost` failed"), "nothing was priced before this: {failures:?}");
    assert_eq!(engine.live_beams(), LiveBeams::default());
}

#[test]
fn an_answer_from_elsewhere_is_judged_under_all_terms() {
    let script = SCRIPT.replace("good 3, plain 3, bad 3, <eos> 1", "bad 1");
    let engine = engine(&script, "", &[], &["base"]);
    engine.activate(&bundle(12.0)).unwrap();
    let active = engine.prepared_in(None).unwrap();
    assert_eq!((active.generation().number, active.refusal()), (2, engine.prepared_in(None).unwrap().refusal()));
    assert!(active.roles().unwrap().costs.contains_key("harm"));
    let tokens = engine.tokenizer().encode_continued("bad bad").unwrap();
    let asked = Request { history: vec![turn("user", "ask"), turn("assistant", "bad")], ..Request::new("ask") };
    for (terms, request, budget, holds) in [
        (Terms::default(), Request::new("ask"), 12.0, true),
        (Terms::default(), asked.clone(), 12.0, true),
        (conversation(), Request::new("ask"), 12.0, true),
        (conversation(), asked.clone(), 7.0, false),
        (Terms { ceilings: [("harm".to_owned(), 6.0)].into(), ..Terms::default() }, asked, 6.0, false),
    ] {
        let judged = engine.under(&terms).judge_answer(&active, &request, &tokens, &CancelToken::new()).unwrap();
        assert_eq!((judged.constraints[0].budget, judged.within_budget), (budget, holds), "{terms:?}");
    }
    let cancelled = CancelToken::new();
    cancelled.cancel();
    let error = engine.under(&conversation()).judge_answer(&active, &request(1), &tokens, &cancelled).unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    let gone = engine.prepared_in(Some("absent")).unwrap_err();
    assert!(matches!(gone, EngineError::UnknownLane { .. }), "{gone}");
    assert_eq!(engine.live_beams(), LiveBeams::default());
}
