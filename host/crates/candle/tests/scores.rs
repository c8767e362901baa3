//! Scores along beams equal the scores of the whole text at once, with any tokenizer of the language model.

mod common;

use common::golden;
use inferenceguard_candle::{
    CandleError, CandleModel, CandleScoreModel, HfTokenizer, Kernels, LoadOptions, Prober, TemplateChoice,
};
use inferenceguard_model::{Model, ModelError, ScoreModel, ScoreRow, Scored, Token, Tokenizer};
use proptest::prelude::*;
use std::sync::Arc;

const BEAVER: &str = "BEGINNING OF CONVERSATION: USER: Clean the kettle? ASSISTANT:";
const PROMPT: &str = "Clean the kettle?";

fn tokenizer(name: &str) -> Arc<HfTokenizer> {
    Arc::new(HfTokenizer::read(&golden(name).join("tokenizer.json")).unwrap())
}

fn options() -> LoadOptions {
    LoadOptions { template: TemplateChoice::Beaver, ..LoadOptions::default() }
}

fn load(name: &str, language: &HfTokenizer) -> CandleScoreModel {
    CandleScoreModel::load(&golden(name), &options(), language).unwrap()
}

/// Scores of a whole text, given as tokens.
fn whole(name: &str, tokens: Vec<Token>) -> Vec<f32> {
    Prober::load(&golden(name), &options()).unwrap().run_tokens(tokens).unwrap().scores.unwrap()
}

fn one(model: &mut CandleScoreModel, row: ScoreRow) -> Scored {
    model.extend(&[row]).unwrap().remove(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    /// Four beams, forked at some point, extended by chunks of unequal lengths.
    #[test]
    fn same_tokenizer(chunks in prop::collection::vec(prop::collection::vec(0usize..9, 4), 1..5), forked in 0usize..5) {
        for name in ["score-llama-reward", "score-mistral-class", "score-llama-cost"] {
            let language = tokenizer(name);
            let mut model = load(name, &language);
            prop_assert!(model.info().same_tokenizer);
            let root = model.open(PROMPT, language.clone()).unwrap();
            let start: Vec<Token> = (0..forked as u32).map(|i| 270 + i).collect();
            one(&mut model, ScoreRow { id: root, tokens: start.clone(), ended: false });
            let ids = model.fork(&[root; 4]).unwrap();
            let mut answers = vec![start; 4];
            let mut found: Vec<Vec<f32>> = vec![Vec::new(); 4];
            let mut ends = [0.0; 4];
            for (c, lengths) in chunks.iter().enumerate() {
                let tokens = |b: usize| (0..lengths[b]).map(|j| ((c * 41 + b * 17 + j * 5) % 300) as Token).collect();
                let rows: Vec<ScoreRow> =
                    (0..4).rev().map(|b| ScoreRow { id: ids[b], tokens: tokens(b), ended: false }).collect();
                for ((row, scored), b) in rows.iter().zip(model.extend(&rows).unwrap()).zip((0..4).rev()) {
                    prop_assert_eq!(scored.tokens.len(), row.tokens.len());
                    answers[b].extend(&row.tokens);
                    found[b].extend(scored.tokens);
                    ends[b] = scored.end;
                }
            }
            for b in 0..4 {
                let mut tokens = language.encode_framed(BEAVER, true).unwrap();
                let prompt = tokens.len();
                tokens.extend(&answers[b]);
                let expected = whole(name, tokens);
                let tail = &expected[prompt + forked..];
                // What an audit scores from scratch is what was charged, to the last bit.
                prop_assert_eq!(&found[b], tail);
                prop_assert_eq!(ends[b], expected[expected.len() - 1]);
            }
            model.release(&ids);
            model.release(&[root]);
            prop_assert_eq!(model.live_rows(), 0);
        }
    }

    /// The answer comes in random pieces; what it ends at is the score of the joint text.
    #[test]
    fn another_tokenizer(cuts in prop::collection::vec(1usize..7, 12), text in "[a-zé东 .,!?\n🙂]{0,40}", eos in any::<bool>()) {
        let language = tokenizer("qwen2");
        for name in ["score-llama-reward", "score-llama-plain", "score-mistral-class"] {
            let mut model = load(name, &language);
            prop_assert!(!model.info().same_tokenizer);
            let own = tokenizer(name);
            let mut tokens = language.encode(&text).unwrap();
            if eos {
                tokens.extend(language.id("<|im_end|>"));
            }
            let id = model.open(PROMPT, language.clone()).unwrap();
            let mut found = Vec::new();
            let mut rest = tokens.as_slice();
            for cut in cuts.iter().take(11) {
                let (now, after) = rest.split_at((*cut).min(rest.len()));
                rest = after;
                found.extend(one(&mut model, ScoreRow { id, tokens: now.to_vec(), ended: false }).tokens);
            }
            let last = one(&mut model, ScoreRow { id, tokens: rest.to_vec(), ended: true });
            found.extend(&last.tokens);
            prop_assert_eq!(found.len(), tokens.len());
            prop_assert!(found.iter().all(|s| s.is_finite()));
            let mut joint = own.encode_framed(&format!("{BEAVER}{text}"), true).unwrap();
            if eos {
                let end = if name == "score-llama-plain" { "<|eot|>" } else { "</s>" };
                joint.extend(own.id(end));
            }
            let expected = whole(name, joint);
            prop_assert!((last.end - expected[expected.len() - 1]).abs() < 1e-3, "{} against {:?}", last.end, expected);
        }
    }
}

#[test]
fn scores_map_to_the_tokens_of_the_language_model() {
    let language = tokenizer("qwen2");
    let name = "score-llama-reward";
    let mut model = load(name, &language);
    let own = tokenizer(name);
    let text = "the kettle boils and the house is warm";
    let tokens = language.encode(text).unwrap();
    let id = model.open(PROMPT, language.clone()).unwrap();
    let scored = one(&mut model, ScoreRow { id, tokens: tokens.clone(), ended: true });
    // At every token that ends where one of the score model's does, both have the score of that prefix.
    let all = own.encode_framed(&format!("{BEAVER}{text}"), true).unwrap();
    let expected = whole(name, all.clone());
    let ends = |t: &HfTokenizer, ids: &[Token]| -> Vec<usize> {
        (1..=ids.len()).map(|n| t.decode(&ids[..n]).unwrap().len()).collect()
    };
    let own_ends: Vec<usize> = ends(&own, &all).into_iter().map(|e| e.saturating_sub(BEAVER.len())).collect();
    let mut compared = 0;
    for (end, score) in ends(&language, &tokens).into_iter().zip(&scored.tokens) {
        if let Some(at) = own_ends.iter().rposition(|e| *e == end) {
            assert!((score - expected[at]).abs() < 1e-3, "at {end}");
            compared += 1;
        }
    }
    assert!(compared > 5, "only {compared} common ends");
}

#[test]
fn the_tail_is_withheld_until_it_is_stable() {
    let language = tokenizer("qwen2");
    let mut model = load("score-llama-reward", &language);
    let id = model.open(PROMPT, language.clone()).unwrap();
    let first = language.encode("the kett").unwrap();
    let second = language.encode("le is hot").unwrap();
    let a = one(&mut model, ScoreRow { id, tokens: first.clone(), ended: false });
    assert!(a.tokens.len() < first.len(), "the half word must wait");
    let b = one(&mut model, ScoreRow { id, tokens: second.clone(), ended: false });
    let c = one(&mut model, ScoreRow { id, tokens: Vec::new(), ended: true });
    assert!(!c.tokens.is_empty());
    assert_eq!(a.tokens.len() + b.tokens.len() + c.tokens.len(), first.len() + second.len());
}

#[test]
fn cost_signs_and_normalizers_survive() {
    // `scale` keeps the sign of the raw score, `affine` shifts it.
    let language = tokenizer("score-llama-cost");
    let mut model = load("score-llama-cost", &language);
    let id = model.open(PROMPT, language.clone()).unwrap();
    let scored = one(&mut model, ScoreRow { id, tokens: vec![300, 301, 302], ended: false });
    assert!(scored.tokens.iter().all(|s| s.is_finite()));
    assert_eq!(scored.end, scored.tokens[2]);
}

#[test]
fn impossible_requests_are_refused() {
    let language = tokenizer("score-llama-reward");
    let mut model = load("score-llama-reward", &language);
    assert!(matches!(model.open("", language.clone()), Err(ModelError::EmptyPrompt)));
    let id = model.open(PROMPT, language.clone()).unwrap();
    let row = |tokens| ScoreRow { id, tokens, ended: false };
    assert!(matches!(model.extend(&[row(vec![5; 600])]), Err(ModelError::ContextExceeded { .. })));
    assert!(matches!(model.extend(&[row(vec![5000])]), Err(ModelError::UnknownToken { .. })));
    assert!(matches!(model.extend(&[row(vec![5]), row(vec![6])]), Err(ModelError::Shape { .. })));
    model.release(&[id]);
    assert!(matches!(model.extend(&[row(vec![5])]), Err(ModelError::UnknownBeam(_))));
    let long = "kettle ".repeat(2000);
    assert!(matches!(model.open(&long, language), Err(ModelError::ContextExceeded { .. })));
}

#[test]
fn each_kind_of_model_refuses_the_other() {
    let language = tokenizer("qwen2");
    let found = CandleScoreModel::load(&golden("qwen2"), &options(), &*language);
    assert!(matches!(found, Err(CandleError::Kind { .. })));
    let found = CandleModel::load(&golden("score-qwen2-class"), &options());
    assert!(matches!(found, Err(CandleError::Kind { .. })));
}

#[test]
fn a_row_that_does_not_fit_leaves_all_of_them_as_they_were() {
    let name = "score-llama-reward";
    for language in ["qwen2", name].map(tokenizer) {
        let [mut model, mut alone] = [(); 2].map(|()| load(name, &language));
        let [first, second] = [(); 2].map(|()| model.open(PROMPT, language.clone()).unwrap());
        let single = alone.open(PROMPT, language.clone()).unwrap();
        let row = |id, text: &str| ScoreRow { id, tokens: language.encode(text).unwrap(), ended: false };
        assert_eq!(one(&mut model, row(first, "the kett")), one(&mut alone, row(single, "the kett")));
        let long = "the kettle boils ".repeat(model.info().context);
        let error = model.extend(&[row(first, "le boils and"), row(second, &long)]).unwrap_err();
        assert!(matches!(error, ModelError::ContextExceeded { .. }), "{error}");
        assert_eq!(one(&mut model, row(first, "le boils and")), one(&mut alone, row(single, "le boils and")));
    }
}

#[test]
fn models_and_score_models_have_the_margin_of_their_format() {
    let language = tokenizer("qwen2");
    for (kernels, margin) in [(Kernels::Tensors, 1e-4), (Kernels::Direct, 0.0)] {
        let plain = LoadOptions { kernels, ..LoadOptions::default() };
        let model = CandleModel::load(&golden("llama2-gqa"), &plain).unwrap();
        let beaver = LoadOptions { kernels, ..options() };
        let score = CandleScoreModel::load(&golden("score-llama-cost"), &beaver, &*language).unwrap();
        assert_eq!((model.rounding(), score.rounding()), (margin, margin), "{kernels:?}");
    }
}
