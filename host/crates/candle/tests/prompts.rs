//! A prompt that begins like a recent prompt of the same tenant gives the same numbers, to the last bit; other tenants find nothing
//! of it; the memory for recent prompts is bounded.

mod common;

use common::golden;
use inferenceguard_candle::{
    CandleModel, CandleScoreModel, HfTokenizer, Kernels, LoadOptions, Precision, PromptCache, TemplateChoice,
};
use inferenceguard_model::{Caller, Message, Model, Reading, ScoreModel, ScoreOpening, Token};
use inferenceguard_schedule::{Limits, Scheduler};
use std::{collections::BTreeMap, sync::Arc};

fn load(name: &str, bytes: usize, kernels: Kernels) -> CandleModel {
    keeping(name, PromptCache { bytes, unnamed: true }, kernels)
}

fn keeping(name: &str, prompt_cache: PromptCache, kernels: Kernels) -> CandleModel {
    CandleModel::load(&golden(name), &LoadOptions { prompt_cache, kernels, ..LoadOptions::default() }).unwrap()
}

/// A model that keeps prompts of tenants alone.
fn of_tenants(bytes: usize) -> CandleModel {
    keeping(LLAMA, PromptCache { bytes, unnamed: false }, Kernels::Direct)
}

const LLAMA: &str = "llama2-gqa";

/// The keys and values of 40 tokens of it: 3 layers, 2 heads of 8 f32.
const OF_40: usize = 40 * 3 * 2 * 8 * 4 * 2;

/// Reads a tenant's prompt; how many of its tokens were not computed, and the latent of the last one.
fn read(model: &mut CandleModel, tenant: Option<&str>, prompt: &[Token]) -> (usize, Vec<f32>) {
    let tenant = tenant.map(str::to_owned);
    let mut reading = Reading { prompt: prompt.to_vec(), tenant, ..Reading::default() };
    loop {
        if let Some((beam, latents)) = model.prefill_part(&mut reading, 1).unwrap() {
            model.release(&[beam]);
            return (reading.reused, latents.to_host().unwrap().into_owned());
        }
    }
}

/// As [`read`], the number alone.
fn reused(model: &mut CandleModel, tenant: Option<&str>, prompt: &[Token]) -> usize {
    read(model, tenant, prompt).0
}

/// 40 tokens that begin like no others.
fn beginning(first: Token) -> Vec<Token> {
    [vec![first], tokens(39, 5)].concat()
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
fn in_fewer_bits_it_changes_no_number_either() {
    let first = tokens(40, 5);
    let parted = [first[..20].to_vec(), vec![100, 101]].concat();
    let longer = [first.clone(), vec![8, 9]].concat();
    let cases = ["qwen3", "gemma3"].map(|name| [(name, Precision::BF16), (name, Precision::Q8_0)]);
    for (name, precision) in cases.into_iter().flatten() {
        let open = |bytes| {
            let prompt_cache = PromptCache { bytes, unnamed: true };
            let options = LoadOptions { precision, prompt_cache, ..LoadOptions::default() };
            CandleModel::load(&golden(name), &options).unwrap()
        };
        let (mut kept, mut plain) = (open(1 << 20), open(0));
        for prompt in [&first, &parted, &longer, &first] {
            assert_eq!(answers(&mut kept, prompt), answers(&mut plain, prompt), "{name} in {precision:?}");
        }
        assert_eq!(reused(&mut kept, None, &first), 39, "{name} in {precision:?}");
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

#[test]
fn a_tenant_finds_its_own_prompts_and_no_others() {
    let (mut model, mut plain) = (of_tenants(1 << 20), of_tenants(0));
    let (prompt, longer) = (tokens(40, 5), [tokens(40, 5), vec![8]].concat());
    let expected = [&prompt, &longer].map(|prompt| read(&mut plain, Some("a"), prompt).1);
    assert_eq!(read(&mut model, Some("a"), &prompt), (0, expected[0].clone()));
    for other in [Some("b"), Some(""), Some("t"), Some("ta"), None] {
        assert_eq!(read(&mut model, other, &longer), (0, expected[1].clone()), "{other:?} finds what `a` asked");
    }
    assert_eq!(read(&mut model, Some("a"), &longer), (40, expected[1].clone()));
    assert_eq!(read(&mut model, Some("b"), &prompt), (39, expected[0].clone()));
    assert_eq!(reused(&mut model, None, &longer), 0, "nothing is kept of those without a tenant");
    assert_eq!(reused(&mut plain, Some("a"), &longer), 0, "nothing is kept where there is no room");
}

#[test]
fn those_without_a_tenant_are_one_where_the_operator_wants_it() {
    let (mut model, prompt) = (load(LLAMA, 1 << 20, Kernels::Direct), tokens(40, 5));
    assert_eq!(reused(&mut model, None, &prompt), 0);
    assert_eq!(reused(&mut model, Some(""), &prompt), 0, "an empty name is a name");
    assert_eq!(reused(&mut model, None, &prompt), 39);
}

#[test]
fn what_was_used_least_recently_makes_room() {
    let mut model = of_tenants(2 * OF_40 + OF_40 / 2);
    let [one, two, three] = [101, 102, 103].map(beginning);
    let parted = [one[..10].to_vec(), vec![200]].concat();
    assert_eq!([&one, &two].map(|prompt| reused(&mut model, Some("a"), prompt)), [0, 0]);
    assert_eq!(reused(&mut model, Some("a"), &parted), 10, "the first prompt is used");
    assert_eq!(reused(&mut model, Some("a"), &three), 0);
    assert_eq!(reused(&mut model, Some("a"), &one), 39);
    assert_eq!(reused(&mut model, Some("a"), &two), 0, "the second one made room");
    let mut small = of_tenants(OF_40 - 1);
    assert_eq!([(); 2].map(|()| reused(&mut small, Some("a"), &one)), [0, 0], "a prompt that there is no room for");
}

#[test]
fn no_tenant_makes_another_one_forget() {
    let mut model = of_tenants(OF_40);
    let mine = beginning(100);
    assert_eq!(reused(&mut model, Some("a"), &mine), 0);
    for first in 101..110 {
        assert_eq!(reused(&mut model, Some("b"), &beginning(first)), 0);
    }
    assert_eq!(reused(&mut model, Some("a"), &mine), 39);
}

#[test]
fn the_number_of_tenants_with_room_is_bounded_and_those_that_have_it_keep_it() {
    let (mut model, prompt) = (of_tenants(OF_40), beginning(100));
    let names: Vec<String> = (0..70).map(|number| format!("tenant {number}")).collect();
    for (round, found) in [(0, [0, 0]), (1, [39, 0])] {
        for (at, name) in names.iter().enumerate() {
            let expected = found[usize::from(at >= 64)];
            assert_eq!(reused(&mut model, Some(name), &prompt), expected, "{name}, round {round}");
        }
    }
}

#[test]
fn the_tensor_library_takes_over_whole_blocks() {
    let (mut model, mut plain) = (load(LLAMA, 1 << 20, Kernels::Tensors), load(LLAMA, 0, Kernels::Tensors));
    let (long, short) = (tokens(300, 5), tokens(40, 5));
    let longer = [long.clone(), vec![8, 9]].concat();
    for (prompt, taken) in [(&long, 0), (&longer, 256), (&short, 0), (&short, 0)] {
        let ((found, latent), (_, expected)) = (read(&mut model, None, prompt), read(&mut plain, None, prompt));
        assert_eq!(found, taken, "of {}", prompt.len());
        assert!(common::distance(&latent, &expected) < 1e-4, "of {}", prompt.len());
    }
}

#[test]
fn the_scheduler_says_whose_a_prompt_is() {
    let scheduler = Scheduler::start(Some(Box::new(of_tenants(1 << 20))), BTreeMap::new(), Limits::default()).unwrap();
    let back_end = scheduler.back_end().unwrap();
    let ask = |tenant: Option<&str>| {
        let caller = Caller { tenant: tenant.map(str::to_owned), ..Caller::default() };
        back_end.handle(&caller).open(&tokens(40, 5)).unwrap();
        back_end.reused_positions()
    };
    assert_eq!([Some("a"), Some("b"), None, Some("a"), Some("b"), None].map(ask), [0, 0, 0, 39, 78, 78]);
}

#[test]
fn score_models_keep_the_prompts_of_tenants_apart() {
    const SCORE: &str = "score-llama-reward";
    let prompt_cache = PromptCache { bytes: 1 << 20, unnamed: false };
    let options = LoadOptions { prompt_cache, template: TemplateChoice::Beaver, ..LoadOptions::default() };
    let language = Arc::new(HfTokenizer::read(&golden(SCORE).join("tokenizer.json")).unwrap());
    let mut model = CandleScoreModel::load(&golden(SCORE), &options, &*language).unwrap();
    let mut ask = |tenant: Option<&str>| {
        let tenant = tenant.map(str::to_owned);
        let messages = vec![Message::user("Clean the kettle?")];
        let mut opening = ScoreOpening { tenant, ..ScoreOpening::new(messages, language.clone()) };
        loop {
            if let Some(id) = model.open_part(&mut opening, 1).unwrap() {
                model.release(&[id]);
                return opening.reused;
            }
        }
    };
    assert_eq!([ask(Some("a")), ask(Some("b")), ask(None), ask(None)], [0; 4]);
    assert!(ask(Some("a")) > 0 && ask(Some("b")) > 0 && ask(None) == 0);
}
