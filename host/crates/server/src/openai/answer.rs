//! Outputs in OpenAI's JSON, with the object `inferenceguard` in each choice.

use crate::{failures, outcome};
use inferenceguard_host::Output;
use inferenceguard_model::{ByteText, SpellState, Token, Tokenizer};
use inferenceguard_search::Finish;
use serde_json::{Map, Value, json};

/// Which path a request was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Chat,
    Completion,
}

/// What the answer, or every event of its stream, has in common.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) style: Style,
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) model: String,
    /// Whether clients read what costs found in their answers.
    pub(crate) why: bool,
}

impl Envelope {
    fn object(&self, whole: bool) -> &'static str {
        match (self.style, whole) {
            (Style::Chat, true) => "chat.completion",
            (Style::Chat, false) => "chat.completion.chunk",
            (Style::Completion, _) => "text_completion",
        }
    }

    fn with(&self, whole: bool, choices: Vec<Value>) -> Value {
        json!({
            "id": self.id, "object": self.object(whole), "created": self.created, "model": self.model,
            "choices": choices,
        })
    }

    /// The answer as a whole.
    pub(crate) fn answer(&self, outputs: &[Output], logprobs: Option<&dyn Tokenizer>) -> Value {
        let choices = outputs.iter().enumerate().map(|(index, output)| {
            let mut choice = self.finished_choice(index, output, logprobs);
            match self.style {
                Style::Chat => {
                    choice["message"] = json!({"role": "assistant", "content": output.text, "refusal": output.refusal});
                }
                Style::Completion => choice["text"] = json!(output.text),
            }
            choice
        });
        let mut answer = self.with(true, choices.collect());
        answer["usage"] = usage(outputs);
        answer
    }

    /// One event of a stream: the start of a choice.
    pub(crate) fn start(&self, index: usize) -> Value {
        self.with(false, vec![self.part(index, json!({"role": "assistant", "content": ""}), "")])
    }

    /// More text of a choice.
    pub(crate) fn text(&self, index: usize, text: &str) -> Value {
        self.with(false, vec![self.part(index, json!({"content": text}), text)])
    }

    /// The refusal of a choice. Its text has gone out as content as well, for clients that read only that.
    pub(crate) fn refusal(&self, index: usize, output: &Output) -> Option<Value> {
        let refusal = output.refusal.as_ref().filter(|_| self.style == Style::Chat)?;
        Some(self.with(false, vec![self.part(index, json!({"refusal": refusal}), "")]))
    }

    fn part(&self, index: usize, delta: Value, text: &str) -> Value {
        let mut choice = json!({"index": index, "finish_reason": null, "logprobs": null});
        match self.style {
            Style::Chat => choice["delta"] = delta,
            Style::Completion => choice["text"] = json!(text),
        }
        choice
    }

    /// The end of a choice.
    pub(crate) fn end(&self, index: usize, output: &Output, logprobs: Option<&dyn Tokenizer>) -> Value {
        let mut choice = self.finished_choice(index, output, logprobs);
        match self.style {
            Style::Chat => choice["delta"] = json!({}),
            Style::Completion => choice["text"] = json!(""),
        }
        self.with(false, vec![choice])
    }

    /// The last event, if the client asked for it.
    pub(crate) fn usage(&self, outputs: &[Output]) -> Value {
        let mut event = self.with(false, Vec::new());
        event["usage"] = usage(outputs);
        event
    }

    fn finished_choice(&self, index: usize, output: &Output, logprobs: Option<&dyn Tokenizer>) -> Value {
        let logprobs = logprobs.map(|tokenizer| match self.style {
            Style::Chat => json!({"content": chat_logprobs(output, tokenizer), "refusal": null}),
            Style::Completion => completion_logprobs(output, tokenizer),
        });
        json!({
            "index": index, "finish_reason": finish_reason(output), "logprobs": logprobs, "inferenceguard": extension(output, self.why),
        })
    }
}

/// `finish_reason`: refused, failed and cancelled answers were filtered.
pub(crate) fn finish_reason(output: &Output) -> &'static str {
    match output.finish {
        Finish::Eos | Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Refused | Finish::Failed | Finish::Cancelled => "content_filter",
    }
}

/// The object `inferenceguard`.
fn extension(output: &Output, why: bool) -> Value {
    let constraints = output.constraints.iter().map(|one| {
        // The cost of a refusal or a failure, and of text released before it, is not known.
        let cost = outcome::is_decided(output).then_some(one.max_cost);
        json!({
            "name": one.name, "budget": one.budget, "max_cost": cost, "left": cost.map(|cost| one.budget - cost),
        })
    });
    let mut extension = json!({
        "status": outcome::status(output.status), "finish": output.finish, "method": output.method,
        "seed": output.seed, "generations": output.generations, "lane": output.lane, "bundle": output.bundle,
        "models": models(output),
        "constraints": constraints.collect::<Vec<_>>(), "reward": output.reward,
        "sampled_tokens": output.usage.sampled_tokens, "scored_positions": output.usage.scored_positions,
        "retries": output.usage.retries, "lost_rows": output.usage.lost_rows,
        "failures": failures::shown(&output.failures),
    });
    if why {
        extension["why"] = json!(output.notes);
    }
    extension
}

/// The fingerprints of all models that the answer depends on.
fn models(output: &Output) -> Value {
    let scores = output.models.scores.iter().map(|(name, one)| (name.clone(), json!(one.fingerprint)));
    json!({"model": output.models.model.fingerprint, "scores": scores.collect::<serde_json::Map<_, _>>()})
}

/// Tokens of the prompt and of the answers. Sampled and scored tokens are in the object `inferenceguard`.
fn usage(outputs: &[Output]) -> Value {
    let prompt = outputs.first().map_or(0, |output| output.usage.prompt_tokens);
    let completion: u64 = outputs.iter().map(|output| output.usage.completion_tokens).sum();
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
}

/// A token of an answer, and the likeliest tokens in its place, if the client asked for them.
struct TokenBytes {
    bytes: Vec<u8>,
    logprob: f32,
    likeliest: Vec<(Vec<u8>, f32)>,
}

/// The bytes of each token. Together they are the text; those of one token may be a part of a character. What lies beyond the text,
/// a stop text or a part of a character, is left out.
fn token_bytes(output: &Output, tokenizer: &dyn Tokenizer) -> Vec<TokenBytes> {
    let mut state = SpellState::default();
    let one = |(at, (token, logprob)): (usize, (&Token, &f32))| {
        let likely = output.top_logprobs.get(at).map(Vec::as_slice).unwrap_or_default();
        let likeliest = likely.iter().map(|(token, logprob)| (bytes(tokenizer, &mut state.clone(), *token), *logprob));
        let likeliest = likeliest.collect();
        TokenBytes { bytes: bytes(tokenizer, &mut state, *token), logprob: *logprob, likeliest }
    };
    cut(output.tokens.iter().zip(&output.logprobs).enumerate().map(one).collect(), output.text.len())
}

/// The tokens up to the end of a text of this length, which may lie within the last one. Tokens without bytes stay.
fn cut(tokens: Vec<TokenBytes>, text: usize) -> Vec<TokenBytes> {
    let mut left = bytes_of_text(tokens.iter().flat_map(|token| token.bytes.iter().copied()), text);
    let one = |mut token: TokenBytes| {
        if left == 0 && !token.bytes.is_empty() {
            return None;
        }
        token.bytes.truncate(left);
        left -= token.bytes.len();
        Some(token)
    };
    tokens.into_iter().map_while(one).collect()
}

/// How many of these bytes spell the first `length` bytes of their text. A byte that is not a character takes three bytes there.
fn bytes_of_text(bytes: impl Iterator<Item = u8>, length: usize) -> usize {
    let (mut text, mut fitting) = (ByteText::default(), 0);
    for (at, byte) in bytes.enumerate() {
        if text.text().len() == length && text.pending().is_empty() {
            return at;
        }
        text.push(&[byte]);
        if text.text().len() <= length {
            fitting = at + 1;
        }
    }
    fitting
}

/// The bytes that a token adds to the text so far. A token without a spelling has no bytes.
fn bytes(tokenizer: &dyn Tokenizer, state: &mut SpellState, token: Token) -> Vec<u8> {
    let mut bytes = Vec::new();
    tokenizer.spell(state, token, &mut bytes).map_or_else(|_| Vec::new(), |()| bytes)
}

fn chat_logprobs(output: &Output, tokenizer: &dyn Tokenizer) -> Vec<Value> {
    let token = |bytes: &[u8], logprob: f32| json!({"token": String::from_utf8_lossy(bytes), "logprob": logprob, "bytes": bytes});
    let one = |chosen_token: TokenBytes| {
        let mut chosen = token(&chosen_token.bytes, chosen_token.logprob);
        chosen["top_logprobs"] = chosen_token.likeliest.iter().map(|(bytes, logprob)| token(bytes, *logprob)).collect();
        chosen
    };
    token_bytes(output, tokenizer).into_iter().map(one).collect()
}

fn completion_logprobs(output: &Output, tokenizer: &dyn Tokenizer) -> Value {
    let token_bytes = token_bytes(output, tokenizer);
    // How many whole characters of the text stand before the token.
    let offsets = token_bytes.iter().scan((ByteText::default(), 0), |(text, characters), token| {
        let (before, at) = (*characters, text.text().len());
        text.push(&token.bytes);
        *characters += text.text()[at..].chars().count();
        Some(before)
    });
    let offsets: Vec<usize> = offsets.collect();
    let tokens: Vec<_> = token_bytes.iter().map(|token| String::from_utf8_lossy(&token.bytes)).collect();
    let logprobs: Vec<f32> = token_bytes.iter().map(|token| token.logprob).collect();
    let top = (!output.top_logprobs.is_empty()).then(|| token_bytes.iter().map(by_text).collect::<Vec<_>>());
    json!({"tokens": tokens, "token_logprobs": logprobs, "text_offset": offsets, "top_logprobs": top})
}

/// The likeliest tokens by their texts, and the token itself. Of several tokens with the same text, the likeliest is shown.
fn by_text(token: &TokenBytes) -> Map<String, Value> {
    let chosen = (&token.bytes, token.logprob);
    let mut texts = Map::new();
    for (bytes, logprob) in token.likeliest.iter().map(|(bytes, logprob)| (bytes, *logprob)).chain([chosen]) {
        texts.entry(String::from_utf8_lossy(bytes)).or_insert_with(|| json!(logprob));
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_at(length: usize, tokens: &[&[u8]]) -> Vec<Vec<u8>> {
        let token = |bytes: &&[u8]| TokenBytes { bytes: bytes.to_vec(), logprob: -1.0, likeliest: Vec::new() };
        cut(tokens.iter().map(token).collect(), length).into_iter().map(|token| token.bytes).collect()
    }

    #[test]
    fn the_bytes_of_all_tokens_are_the_text() {
        type Tokens = &'static [&'static [u8]];
        let cases: [(usize, Tokens, Tokens); 9] = [
            (3, &[b"one", b", ", b"two"], &[b"one"]),
            (3, &[b"one, two"], &[b"one"]),
            (0, &[b", one"], &[]),
            (7, &[b"one", b" two"], &[b"one", b" two"]),
            // An end token.
            (3, &[b"one", b""], &[b"one", b""]),
            // A character of two tokens, whole and cut off.
            (3, &[b"\xe2", b"\x82\xac"], &[b"\xe2", b"\x82\xac"]),
            (1, &[b"a", b"\xe2\x82"], &[b"a"]),
            // Bytes that are not characters, before a stop text.
            (4, &[b"\xff", b"b", b","], &[b"\xff", b"b"]),
            (3, &[b"\xe2", b"b"], &[b"\xe2"]),
        ];
        for (length, tokens, expected) in cases {
            assert_eq!(cut_at(length, tokens), expected, "{length} of {tokens:?}");
        }
    }
}
