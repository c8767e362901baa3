//! The made-up model of the fake: a byte is a token, and the next token's logits follow from the last two tokens.

use super::Kind;
use base64::{Engine, prelude::BASE64_STANDARD};
use inferenceguard_model::{
    Pick, SampleRequest, SpellState, Token, Tokenizer, TokenizerError, log_softmax, sample_row, top_k,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Mutex};

/// 256 bytes, an end token, and three that are never used.
pub const VOCAB: usize = 260;
pub const EOS: Token = 256;
pub const HIDDEN: usize = 4;

/// A tokenizer of bytes.
pub struct Bytewise;

impl Tokenizer for Bytewise {
    fn encode(&self, text: &str) -> Result<Vec<Token>, TokenizerError> {
        Ok(text.bytes().map(Token::from).collect())
    }

    fn spell(&self, _: &mut SpellState, token: Token, bytes: &mut Vec<u8>) -> Result<(), TokenizerError> {
        bytes.extend(u8::try_from(token));
        Ok(())
    }

    fn fingerprint(&self) -> String {
        "bytes".into()
    }
}

/// Which model it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weights(pub u64);

/// A number of [0, 1) that follows from these.
pub fn mix(numbers: &[u64]) -> f64 {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for number in numbers {
        state = (state ^ number).wrapping_mul(0xff51_afd7_ed55_8ccd);
        state ^= state >> 33;
        state = state.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        state ^= state >> 29;
    }
    (state >> 11) as f64 / (1u64 << 53) as f64
}

impl Weights {
    /// The logits after these tokens.
    pub fn logits(self, tokens: &[Token]) -> Vec<f32> {
        let last: Vec<u64> = tokens.iter().rev().take(2).map(|token| u64::from(*token)).collect();
        let of = |token: usize| {
            let number = mix(&[&[self.0, token as u64], last.as_slice()].concat()) as f32;
            if token > EOS as usize { -50.0 } else { number * 6.0 }
        };
        (0..VOCAB).map(of).collect()
    }

    /// The latent at the last of these tokens; its first number is the score.
    pub fn latent(self, tokens: &[Token]) -> [f32; HIDDEN] {
        std::array::from_fn(|i| self.score(tokens) * [1.0, -10.0, 0.5, 2.0][i])
    }

    /// The score at the last of these tokens.
    pub fn score(self, tokens: &[Token]) -> f32 {
        let sum: u64 = tokens.iter().map(|token| u64::from(*token)).sum();
        mix(&[self.0, sum, tokens.len() as u64]) as f32 * 8.0 - 4.0
    }
}

fn tokens(value: &Value) -> Vec<Token> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as Token).collect()
}

/// Penalties by offset, and their mass.
fn penalties(body: &Value) -> (BTreeMap<usize, Vec<(Token, f32)>>, f32) {
    let Some(text) = body["vllm_xargs"]["ig_pen"].as_str() else { return (BTreeMap::new(), 1.0) };
    let given: Value = serde_json::from_str(text).unwrap();
    let entry = |entry: &Value| {
        let amounts = entry[2].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32);
        (entry[0].as_u64().unwrap() as usize, tokens(&entry[1]).into_iter().zip(amounts).collect())
    };
    (given["at"].as_array().unwrap().iter().map(entry).collect(), given["mass"].as_f64().unwrap() as f32)
}

/// How the token at an offset is sampled.
fn sampling(kind: &Kind, body: &Value, offset: usize) -> SampleRequest {
    let number = |key: &str| body[key].as_f64().unwrap();
    let temperature = number("temperature") as f32;
    let draw = mix(&[body["seed"].as_u64().unwrap(), offset as u64, 77]);
    let pick = if temperature == 0.0 { Pick::Rank(0) } else { Pick::Draw(draw) };
    let (mut by_offset, penalty_mass) = penalties(body);
    SampleRequest {
        temperature: if temperature == 0.0 { 1.0 } else { temperature },
        top_k: number("top_k") as u32,
        top_p: number("top_p") as f32,
        min_p: number("min_p") as f32,
        penalties: by_offset.remove(&offset).filter(|_| kind.plugin).unwrap_or_default(),
        penalty_mass,
        ..SampleRequest::plain(pick)
    }
}

/// The answer of `/v1/completions`.
pub fn complete(kind: &Kind, body: &Value) -> Value {
    let (prompt, stops) = (tokens(&body["prompt"]), tokens(&body["stop_token_ids"]));
    let (k, named) = (body["logprobs"].as_u64().unwrap() as usize, body.get("logprob_token_ids").map(tokens));
    let (mut text, mut given, mut tops, mut finish) = (prompt.clone(), vec![], vec![], "length");
    for offset in 0..body["max_tokens"].as_u64().unwrap() as usize {
        let logits = kind.weights.logits(&text);
        let logprobs = log_softmax(&logits);
        let drawn = sample_row(&logits, &sampling(kind, body, offset)).unwrap();
        let likely = match &named {
            Some(named) => named.iter().map(|token| (*token, logprobs[*token as usize])).collect(),
            None => top_k(&logprobs, k),
        };
        tops.push(likely.iter().map(|(id, value)| (format!("token_id:{id}"), json!(value))).collect::<Value>());
        given.push(json!(drawn.logprob));
        text.push(drawn.token);
        if stops.contains(&drawn.token) {
            finish = "stop";
            break;
        }
        if text.len() == kind.context {
            break;
        }
    }
    let new = &text[prompt.len()..];
    let names: Vec<String> = new.iter().map(|id| format!("token_id:{id}")).collect();
    json!({
        "id": "cmpl-1", "object": "text_completion", "model": "smol", "system_fingerprint": kind.fingerprint,
        "choices": [{
            "index": 0, "text": "never read", "finish_reason": finish, "stop_reason": null, "token_ids": new,
            "prompt_token_ids": prompt,
            "logprobs": {"tokens": names, "token_logprobs": given, "text_offset": [0], "top_logprobs": tops},
            "prompt_logprobs": body.get("prompt_logprobs").map(|_| of_prompt(kind, &prompt)),
        }],
        "usage": {"prompt_tokens": prompt.len(), "completion_tokens": new.len(), "total_tokens": text.len(),
            "prompt_tokens_details": {"cached_tokens": 0}},
    })
}

fn of_prompt(kind: &Kind, prompt: &[Token]) -> Vec<Value> {
    let of = |at: usize| {
        let value = log_softmax(&kind.weights.logits(&prompt[..at]))[prompt[at] as usize];
        json!({prompt[at].to_string(): {"logprob": value, "rank": 1, "decoded_token": "x"}})
    };
    (0..prompt.len()).map(|at| if at == 0 { Value::Null } else { of(at) }).collect()
}

/// The tokens of a block of the prefix cache.
pub const BLOCK: usize = 4;

/// The answer of `/pooling`: a score for each position, without those of whole blocks that were read before.
pub fn pool(kind: &Kind, read: &Mutex<Vec<(String, Vec<Token>)>>, body: &Value) -> Value {
    let (text, salt) = (tokens(&body["input"][0]), body["cache_salt"].to_string());
    let mut read = read.lock().unwrap();
    let shared = |other: &[Token]| text.iter().zip(other).take_while(|(a, b)| a == b).count();
    let known = read.iter().filter(|(name, _)| *name == salt).map(|(_, other)| shared(other)).max().unwrap_or(0);
    let cached = if kind.prefix { known.min(text.len() - 1) / BLOCK * BLOCK } else { 0 };
    read.push((salt, text.clone()));
    let row = |at: usize| kind.weights.latent(&text[..=at]).into_iter().take(kind.width);
    let bytes: Vec<u8> = (cached..text.len()).flat_map(row).flat_map(f32::to_le_bytes).collect();
    let data = BASE64_STANDARD.encode(bytes);
    let usage = json!({"prompt_tokens": text.len(), "total_tokens": text.len(), "completion_tokens": 0});
    json!({"id": "pool-1", "data": [{"index": 0, "object": "pooling", "data": data}], "usage": usage})
}
