//! A prompt that begins like a recent prompt gives the same numbers, to the last bit; the memory for recent prompts is bounded.

mod common;

use common::golden;
use inferenceguard_candle::{CandleModel, Kernels, LoadOptions};
use inferenceguard_model::{Model, Token};

fn load(name: &str, prompt_cache: usize, kernels: Kernels) -> CandleModel {
    CandleModel::load(&golden(name), &LoadOptions { prompt_cache, kernels, ..LoadOptions::default() }).unwrap()
}

/// The latents of a prompt and of two tokens after it.
fn answers(model: &mut CandleModel, prompt: &[Token]) -> Vec<f32> {
    let (beam, latents) = model.prefill(prompt).unwrap();
    let mut all = latents.to_host().unwrap().into_owned();
    for token in [7, 9] {
        all.extend_from_slice(&model.step(&[(beam, token)]).unwrap().to_host().unwrap());
    }
    model.release(&[beam]);
    all
}

fn tokens(len: usize, last: Token) -> Vec<Token> {
    (0..len as Token - 1).map(|i| 3 + i * 7 % 250).chain([last]).collect()
}

#[test]
fn what_a_conversation_sends_again_changes_no_number() {
    // The first turns, the same again, a longer prompt, a prompt that departs from it, a shorter prompt, and an unrelated one.
    let first = tokens(40, 5);
    let longer = [first.clone(), vec![8, 9, 10]].concat();
    let parted = [first[..20].to_vec(), vec![100, 101]].concat();
    let prompts = [first.clone(), first.clone(), longer, parted, first[..10].to_vec(), vec![99, 98, 97]];
    for name in ["llama2-gqa", "mistral-window", "qwen3", "gemma3"] {
        for kernels in [Kernels::Direct, Kernels::Tensors] {
            let (mut kept, mut plain) = (load(name, 1 << 20, kernels), load(name, 0, kernels));
            for (at, prompt) in prompts.iter().enumerate() {
                let (found, expected) = (answers(&mut kept, prompt), answers(&mut plain, prompt));
                match kernels {
                    Kernels::Direct => assert_eq!(found, expected, "{name}, prompt {at}"),
                    Kernels::Tensors => assert!(common::distance(&found, &expected) < 1e-4, "{name}, prompt {at}"),
                }
            }
        }
    }
}

#[test]
fn numbers_that_depend_on_the_whole_length_are_not_taken_over() {
    let name = "llama-dynamic";
    let (mut kept, mut plain) = (load(name, 1 << 20, Kernels::Direct), load(name, 0, Kernels::Direct));
    for prompt in [tokens(20, 5), tokens(60, 6), tokens(90, 7), tokens(20, 8)] {
        assert_eq!(answers(&mut kept, &prompt), answers(&mut plain, &prompt));
    }
}
