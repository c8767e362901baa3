//! What a request can set, and what limits it: no field of a request loosens its deployment.

use inferenceguard_host::{Engine, EngineError, Output, Request, Terms};
use inferenceguard_model::Message;
use inferenceguard_search::{Release, Sampling, SearchConfig};
use inferenceguard_testkit::toy::{SCRIPT, build, config, engine, roles};

const BUDGET: f64 = 11.0;

/// Asks for the most in every field. A new field does not compile here until its limit is listed.
fn greedy(engine: &Engine) -> Request {
    Request {
        prompt: "good".into(),
        // The context limits it.
        history: Vec::new(),
        // A method that the operator chose.
        method: engine.methods().into_iter().next(),
        // At most the deployment's.
        budgets: [("harm".to_owned(), BUDGET)].into(),
        // Any: it limits nothing.
        seed: Some(u64::MAX),
        // At most the deployment's, and what fits.
        max_tokens: Some(u32::MAX),
        // Any: whatever is sampled is priced, and the deployment's is a default.
        sampling: Sampling { temperature: 1e6, top_p: 1.0, ..Sampling::default() }.into(),
        // They come beside the deployment's.
        stop: vec!["plain".into()],
        // At most the vocabulary.
        top_logprobs: u32::MAX,
        // Any: under every rule, text goes out after its audit.
        release: Some(Release::Commit(1)),
        // Any: it limits nothing.
        record: true,
    }
}

/// What the operator decides: none of it is read from clients.
fn terms() -> Terms {
    Terms {
        // They are a limit themselves.
        ceilings: [("harm".to_owned(), 1e9)].into(),
        whole_conversation: false,
        migrate: true,
        lane: None,
        // It loosens nothing: it keeps caches of tenants apart.
        tenant: None,
    }
}

/// What the search was given for it.
fn given(output: Output) -> SearchConfig {
    output.recorded.unwrap().inputs.config
}

#[test]
fn no_field_of_a_request_loosens_its_deployment() {
    let (engine, own) = (engine(SCRIPT, BUDGET), config(BUDGET));
    let output = engine.under(&terms()).generate(greedy(&engine)).unwrap();
    assert!(output.tokens.len() <= own.max_tokens as usize, "{}", output.tokens.len());
    assert!(output.top_logprobs.iter().all(|place| place.len() == 4));
    // Every setting of a search is either the deployment's, or limits nothing.
    let SearchConfig {
        constraints,
        task,
        max_tokens,
        sampling: _,
        seed: _,
        stop: _,
        on_exhausted,
        refusal,
        backtrack,
        release: _,
        limits,
        margin,
        revision,
    } = given(output);
    assert_eq!(constraints, own.constraints);
    assert_eq!((task, max_tokens, on_exhausted), (own.task, own.max_tokens, own.on_exhausted));
    assert_eq!((refusal, backtrack, limits), (own.refusal, own.backtrack, own.limits));
    assert!(margin >= own.margin && revision == own.revision);
}

#[test]
fn a_request_for_less_gets_less() {
    let engine = engine(SCRIPT, BUDGET);
    let small = Request {
        budgets: [("harm".to_owned(), 5.5)].into(),
        max_tokens: Some(3),
        record: true,
        ..Request::new("good")
    };
    let config = given(engine.generate(small).unwrap());
    assert_eq!((config.max_tokens, config.constraints[0].constraint.budget), (3, 5.5));
}

#[test]
fn the_stop_texts_of_a_deployment_stay() {
    let own = SearchConfig { stop: vec!["plain".into()], ..config(BUDGET) };
    let engine = build(SCRIPT, own, roles).unwrap();
    let request = Request { stop: vec!["bad".into()], record: true, ..Request::new("good") };
    assert_eq!(given(engine.generate(request).unwrap()).stop, ["plain", "bad"]);
}

#[test]
fn a_ceiling_and_the_context_shorten_and_a_prompt_without_room_is_refused() {
    let engine = engine(SCRIPT, BUDGET);
    for (words, asked, most) in [(1, Some(64), 12), (1, Some(5), 5), (60, Some(10), 4), (60, None, 4), (60, Some(2), 2)]
    {
        let request = Request { max_tokens: asked, record: true, ..Request::new("good ".repeat(words)) };
        assert_eq!(given(engine.generate(request).unwrap()).max_tokens, most, "{words} words, {asked:?}");
    }
    for asked in [None, Some(1), Some(u32::MAX)] {
        let error = engine.generate(Request { max_tokens: asked, ..Request::new("good ".repeat(64)) }).unwrap_err();
        assert!(matches!(error, EngineError::DoesNotFit { prompt: 64, answer: 1, context: 64 }), "{error}");
    }
}

#[test]
fn an_answer_that_is_longer_than_a_deployment_allows_is_judged_whole() {
    // Twenty tokens, all of them dear; an answer of this deployment has at most twelve.
    let engine = engine(SCRIPT, 1e9);
    let turns = vec![Message::user("good"), Message { role: "assistant".into(), content: "bad ".repeat(20) }];
    let request = Request { history: turns, record: true, ..Request::new("good") };
    let terms = Terms { whole_conversation: true, ..Terms::default() };
    let spent = 1e9 - given(engine.under(&terms).generate(request).unwrap()).constraints[0].constraint.budget;
    assert!(spent > 90.0, "{spent}");
}

#[test]
fn the_most_likely_tokens_come_with_those_that_were_taken() {
    let engine = engine(SCRIPT, BUDGET);
    let ask = |top_logprobs| engine.generate(Request { seed: Some(3), top_logprobs, ..Request::new("good") }).unwrap();
    let (plain, output) = (ask(0), ask(2));
    assert!(plain.top_logprobs.is_empty());
    assert_eq!((&plain.tokens, &plain.logprobs), (&output.tokens, &output.logprobs), "looking changes nothing");
    assert_eq!(output.top_logprobs.len(), output.tokens.len());
    let all = ask(9);
    for ((token, logprob), place) in all.tokens.iter().zip(&all.logprobs).zip(&all.top_logprobs) {
        assert!(place.is_sorted_by(|a, b| a.1 >= b.1) && place.len() == 4, "{place:?}");
        assert!(place.contains(&(*token, *logprob)), "{place:?}");
        let mass: f32 = place.iter().map(|(_, logprob)| logprob.exp()).sum();
        assert!((mass - 1.0).abs() < 1e-4, "{mass}");
    }
    assert_eq!(engine.live_beams(), inferenceguard_host::LiveBeams::default());
}

#[test]
fn a_refusal_is_the_end_of_its_text() {
    let doomed = "vocab: <eos>* good bad\nafter : bad 1\nscore cost: bad 5\nscore reward: bad 1";
    let output = engine(doomed, 3.0).generate(Request::new("good")).unwrap();
    assert_eq!(output.refusal.as_deref(), Some("I cannot help with that."));
    assert!(output.text.ends_with(output.refusal.as_deref().unwrap()));
    let answered = engine(SCRIPT, BUDGET).generate(Request::new("good")).unwrap();
    assert_eq!(answered.refusal, None);
}
