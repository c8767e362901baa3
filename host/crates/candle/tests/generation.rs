//! Forks, new orders, batches and releases: each beam continues as if it were alone.

mod common;

use common::{distance, golden};
use inferenceguard_candle::{CandleModel, Kernels, LoadOptions};
use inferenceguard_model::{BeamId, Model, ModelError, Token};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Action {
    /// Forks the beams of these numbers (modulo the living).
    Fork(Vec<usize>),
    /// Steps those beams whose bit is set, in an order given by the seed.
    Step(u64, u32),
    Release(usize),
    Prefill(usize),
}

struct Beam {
    id: BeamId,
    prompt: usize,
    tokens: Vec<Token>,
    latents: Vec<Vec<f32>>,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => prop::collection::vec(0usize..16, 1..6).prop_map(Action::Fork),
        5 => (any::<u64>(), any::<u32>()).prop_map(|(mask, seed)| Action::Step(mask, seed)),
        1 => (0usize..16).prop_map(Action::Release),
        1 => (0usize..2).prop_map(Action::Prefill),
    ]
}

fn load(name: &str) -> CandleModel {
    CandleModel::load(&golden(name), &LoadOptions::default()).unwrap()
}

fn load_with(name: &str, kernels: Kernels) -> CandleModel {
    CandleModel::load(&golden(name), &LoadOptions { kernels, ..LoadOptions::default() }).unwrap()
}

fn prompts() -> [Vec<Token>; 2] {
    [(3..31).map(|i| (i * 7) % 290).collect(), vec![5, 250, 17]]
}

fn prefill(model: &mut CandleModel, prompt: usize) -> Beam {
    let (id, _) = model.prefill(&prompts()[prompt]).unwrap();
    Beam { id, prompt, tokens: Vec::new(), latents: Vec::new() }
}

fn step(model: &mut CandleModel, beams: &mut [Beam], mask: u64, seed: u32) {
    let mut rows: Vec<usize> = (0..beams.len()).filter(|i| mask >> (i % 64) & 1 == 1).collect();
    rows.sort_by_key(|i| (*i as u32).wrapping_mul(seed | 1).rotate_left(7));
    if rows.is_empty() {
        return;
    }
    let token = |i: usize| (seed as usize + i * 13) as u32 % 290;
    let request: Vec<_> = rows.iter().map(|&i| (beams[i].id, token(i))).collect();
    let latents = model.step(&request).unwrap();
    let width = latents.width();
    for (row, &i) in latents.to_host().unwrap().chunks(width).zip(&rows) {
        beams[i].tokens.push(token(i));
        beams[i].latents.push(row.to_vec());
    }
}

fn act(model: &mut CandleModel, beams: &mut Vec<Beam>, action: &Action) {
    match action {
        Action::Prefill(prompt) => beams.push(prefill(model, *prompt)),
        Action::Fork(parents) => {
            let parents: Vec<usize> = parents.iter().map(|p| p % beams.len()).collect();
            let ids: Vec<BeamId> = parents.iter().map(|p| beams[*p].id).collect();
            for (id, p) in model.fork(&ids).unwrap().into_iter().zip(parents) {
                let Beam { prompt, tokens, latents, .. } = &beams[p];
                let (prompt, tokens, latents) = (*prompt, tokens.clone(), latents.clone());
                beams.push(Beam { id, prompt, tokens, latents });
            }
        }
        Action::Step(mask, seed) => step(model, beams, *mask, *seed),
        Action::Release(i) if beams.len() > 1 => {
            let beam = beams.remove(i % beams.len());
            model.release(&[beam.id]);
        }
        Action::Release(_) => {}
    }
    beams.truncate(24);
}

/// Our own kernels give the same numbers to the last bit, the tensor library nearly so.
fn check(name: &str, kernels: Kernels, actions: &[Action]) -> Result<(), TestCaseError> {
    let mut model = load_with(name, kernels);
    let mut beams = vec![prefill(&mut model, 0)];
    for one in actions {
        act(&mut model, &mut beams, one);
    }
    let mut alone = load_with(name, kernels);
    for beam in &beams {
        let single = prefill(&mut alone, beam.prompt);
        for (token, latent) in beam.tokens.iter().zip(&beam.latents) {
            let expected = alone.step(&[(single.id, *token)]).unwrap();
            let distance = distance(latent, &expected.to_host().unwrap());
            let allowed = if kernels == Kernels::Direct { 0.0 } else { 2e-5 };
            prop_assert!(distance <= allowed, "{name}, {kernels:?}: a latent is off by {distance}");
        }
        alone.release(&[single.id]);
    }
    prop_assert_eq!(alone.live_beams(), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn beams_go_on_as_if_alone(actions in prop::collection::vec(action(), 1..40)) {
        for name in ["llama2-gqa", "mistral-window", "qwen3-tied-window", "llama-dynamic", "llama3-tied", "gemma3"] {
            check(name, Kernels::Direct, &actions)?;
        }
        for name in ["llama2-gqa", "mistral-window", "qwen3-tied-window", "gemma3"] {
            check(name, Kernels::Tensors, &actions)?;
        }
    }
}

#[test]
fn logits_after_steps_are_those_of_one_prefill() {
    for name in ["llama1", "mistral-window", "qwen2-window", "qwen3", "llama3-rope", "llama-biases", "gemma3"] {
        let mut model = load(name);
        let prompt: Vec<Token> = (0..60).map(|i| (i * 31 + 3) % 290).collect();
        let (beam, _) = model.prefill(&prompt[..20]).unwrap();
        let mut last = None;
        for token in &prompt[20..] {
            last = Some(model.step(&[(beam, *token)]).unwrap());
        }
        let stepped = model.project(&last.unwrap()).unwrap();
        let (_, latents) = model.prefill(&prompt).unwrap();
        let at_once = model.project(&latents).unwrap();
        assert_eq!(stepped.to_host().unwrap(), at_once.to_host().unwrap(), "{name}");
    }
}

#[test]
fn long_prompts_run_in_blocks() {
    for name in ["mistral-window", "llama2-gqa"] {
        let mut model = load(name);
        let prompt: Vec<Token> = (0..400).map(|i| (i * 31 + 3) % 290).collect();
        let (_, at_once) = model.prefill(&prompt).unwrap();
        let (beam, mut last) = model.prefill(&prompt[..200]).unwrap();
        for token in &prompt[200..] {
            last = model.step(&[(beam, *token)]).unwrap();
        }
        assert_eq!(last.to_host().unwrap(), at_once.to_host().unwrap(), "{name}");
    }
}

#[test]
fn a_prompt_is_held_once_whatever_the_number_of_beams() {
    let mut model = load("llama2-gqa");
    let (root, _) = model.prefill(&prompts()[0]).unwrap();
    let prompt = model.held_memory().prompts;
    assert!(prompt > 0);
    let ids = model.fork(&[root; 64]).unwrap();
    model.release(&[root]);
    let children = model.fork(&ids).unwrap();
    model.step(&children.iter().map(|id| (*id, 5)).collect::<Vec<_>>()).unwrap();
    assert_eq!(model.held_memory().prompts, prompt);
    let answers = model.held_memory().answers;
    model.release(&ids);
    let (other, _) = model.prefill(&prompts()[0].repeat(10)).unwrap();
    assert_eq!(model.held_memory().prompts, 11 * prompt);
    assert_eq!(model.held_memory().answers, answers, "the room for answers does not grow with the prompt");
    model.release(&[&children[..], &[other]].concat());
    assert_eq!(model.held_memory().prompts, 0);
}

#[test]
fn impossible_requests_are_refused() {
    let mut model = load("llama1");
    let context = model.info().context;
    assert!(matches!(model.prefill(&[]), Err(ModelError::EmptyPrompt)));
    let long = vec![5; context + 1];
    assert!(matches!(model.prefill(&long), Err(ModelError::ContextExceeded { found, limit }) if found == limit + 1));
    assert!(matches!(model.prefill(&[5000]), Err(ModelError::UnknownToken { token: 5000, .. })));
    let (full, _) = model.prefill(&long[1..]).unwrap();
    assert!(matches!(model.step(&[(full, 5)]), Err(ModelError::ContextExceeded { .. })));
    let (beam, _) = model.prefill(&[5]).unwrap();
    assert!(matches!(model.step(&[(beam, 5), (beam, 6)]), Err(ModelError::Shape { .. })));
    assert!(matches!(model.step(&[(beam, 5000)]), Err(ModelError::UnknownToken { .. })));
    model.release(&[beam, full]);
    assert!(matches!(model.step(&[(beam, 5)]), Err(ModelError::UnknownBeam(_))));
    assert!(matches!(model.fork(&[beam]), Err(ModelError::UnknownBeam(_))));
    assert_eq!(model.live_beams(), 0);
}

#[test]
fn gather_picks_rows() {
    let mut model = load("qwen3");
    let (_, a) = model.prefill(&[1, 2]).unwrap();
    let (_, b) = model.prefill(&[3, 4]).unwrap();
    let picked = model.gather(&[&a, &b], &[(1, 0), (0, 0), (1, 0)]).unwrap();
    let (a, b) = (a.to_host().unwrap(), b.to_host().unwrap());
    assert_eq!(picked.to_host().unwrap(), [&b[..], &a[..], &b[..]].concat());
    assert!(model.gather(&[&picked], &[(0, 3)]).is_err());
    assert!(model.gather(&[&picked], &[(1, 0)]).is_err());
}
