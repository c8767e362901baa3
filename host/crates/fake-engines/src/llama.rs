//! llama.cpp's side of the fake: slots that keep what they read last.

use super::{Kind, model::EOS};
use inferenceguard_model::{ByteText, Pick, SampleRequest, Token, log_softmax, sample_row, top_k};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What slots and files hold.
#[derive(Default, Debug)]
pub struct Slots {
    pub read: BTreeMap<usize, Vec<Token>>,
    pub files: BTreeMap<String, Vec<Token>>,
    /// Positions of prompts that were computed.
    pub computed: usize,
}

pub fn props(kind: &Kind) -> Value {
    json!({"total_slots": kind.slots, "default_generation_settings": {"n_ctx": kind.context}, "build_info": kind.build,
        "model_path": "/models/smol.gguf"})
}

/// Saves or restores a slot.
pub fn action(slots: &mut Slots, slot: usize, query: &str, body: &Value) {
    let name = body["filename"].as_str().unwrap().to_owned();
    match query {
        "action=save" => drop(slots.files.insert(name, slots.read.get(&slot).cloned().unwrap_or_default())),
        "action=restore" => drop(slots.read.insert(slot, slots.files[&name].clone())),
        other => panic!("{other}"),
    }
}

/// The answer of `/completion`.
pub fn complete(kind: &Kind, slots: &mut Slots, body: &Value) -> Value {
    let prompt: Vec<Token> =
        body["prompt"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as Token).collect();
    let slot = body["id_slot"].as_u64().unwrap() as usize;
    let held = slots.read.get(&slot).cloned().unwrap_or_default();
    let common = held.iter().zip(&prompt).take_while(|(a, b)| a == b).count().min(prompt.len() - 1);
    slots.computed += prompt.len() - common;
    let (mut text, mut shown, mut stop) = (prompt.clone(), ByteText::default(), "limit");
    let mut probabilities = vec![];
    for offset in 0..body["n_predict"].as_u64().unwrap() {
        let logits = kind.weights.logits(&text);
        let logprobs = log_softmax(&logits);
        let temperature = body["temperature"].as_f64().unwrap() as f32;
        let draw = super::model::mix(&[body["seed"].as_u64().unwrap(), offset, 5]);
        let pick = if temperature == 0.0 { Pick::Rank(0) } else { Pick::Draw(draw) };
        let temperature = if temperature == 0.0 { 1.0 } else { temperature };
        let mut biased = logits.clone();
        for pair in body["logit_bias"].as_array().into_iter().flatten() {
            biased[pair[0].as_u64().unwrap() as usize] += pair[1].as_f64().unwrap() as f32;
        }
        let drawn = sample_row(&biased, &SampleRequest { temperature, ..SampleRequest::plain(pick) }).unwrap();
        text.push(drawn.token);
        u8::try_from(drawn.token).into_iter().for_each(|byte| shown.push(&[byte]));
        // The server gives no log-probability while a character is not whole.
        if shown.pending().is_empty() {
            let top = top_k(&logprobs, body["n_probs"].as_u64().unwrap() as usize);
            let top: Vec<Value> = top.iter().map(|(id, value)| json!({"id": id, "logprob": value})).collect();
            probabilities
                .push(json!({"id": drawn.token, "logprob": logprobs[drawn.token as usize], "top_logprobs": top}));
        }
        if drawn.token == EOS {
            stop = "eos";
            break;
        }
    }
    slots.read.insert(slot, text[..text.len() - 1].to_vec());
    let new = &text[prompt.len()..];
    json!({"index": 0, "content": "never read", "tokens": new, "id_slot": slot, "stop": true, "stop_type": stop,
        "tokens_predicted": new.len(), "tokens_evaluated": prompt.len(), "tokens_cached": text.len() - 1,
        "truncated": false, "completion_probabilities": probabilities,
        "timings": {"cache_n": common, "prompt_n": prompt.len() - common, "predicted_n": new.len()}})
}
