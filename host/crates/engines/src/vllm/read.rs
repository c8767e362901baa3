//! Reads answers of `/v1/completions`, and checks every field.

use super::wire::{COMPLETIONS, Choice, Completed, Usage};
use crate::{
    Contradiction, Fault,
    checks::{Asked, logprob, token},
    engine::Row,
    error::quoted,
    fleet::Read,
    http::malformed,
};
use inferenceguard_model::{Likely, Token};

/// The tokens of an answer, and each one's log-probability.
pub(crate) fn row(bytes: &[u8], asked: Asked<'_>) -> Result<Read<Row>, Fault> {
    let (choice, usage, mark) = choice(bytes, asked)?;
    let tokens = tokens(&choice, asked)?;
    let logprobs = token_logprobs(&choice, tokens.len())?;
    Ok(Read { value: Row { tokens, logprobs, positions: asked.positions(usage.positions()) }, mark })
}

/// The only choice of an answer to the prompt that was sent.
fn choice(bytes: &[u8], asked: Asked<'_>) -> Result<(Choice, Usage, Option<String>), Fault> {
    let mut answer: Completed = serde_json::from_slice(bytes).map_err(|error| malformed(COMPLETIONS, &error))?;
    let found = answer.choices.len();
    let (Some(choice), 1) = (answer.choices.pop(), found) else {
        return Err(Contradiction::Answers { found, expected: 1 }.into());
    };
    let echoed = choice.prompt_token_ids.iter().copied().eq(asked.prompt.iter().map(|token| i64::from(*token)));
    if !echoed {
        return Err(Contradiction::Prompt { found: choice.prompt_token_ids.len(), sent: asked.prompt.len() }.into());
    }
    Ok((choice, answer.usage, answer.system_fingerprint))
}

/// The tokens, as many as were asked for or up to an end token.
fn tokens(choice: &Choice, asked: Asked<'_>) -> Result<Vec<Token>, Contradiction> {
    let tokens = choice.token_ids.iter().map(|id| token(*id, asked.vocab)).collect::<Result<Vec<_>, _>>()?;
    ended(&tokens, &choice.finish_reason, asked)?;
    Ok(tokens)
}

/// Whether tokens end as they should.
fn ended(tokens: &[Token], finish: &str, asked: Asked<'_>) -> Result<(), Contradiction> {
    let Asked { max, end, .. } = asked;
    let Some((last, before)) = tokens.split_last() else { return Err(Contradiction::Empty) };
    let found = tokens.len();
    if found > max {
        return Err(Contradiction::TooMany { found, max });
    }
    if let Some(token) = before.iter().find(|token| end.contains(token)) {
        return Err(Contradiction::PastEnd { token: *token });
    }
    match finish {
        "stop" if end.contains(last) => Ok(()),
        "stop" => Err(Contradiction::OtherEnd { token: *last }),
        "length" if found == max || end.contains(last) => Ok(()),
        "length" => Err(Contradiction::Clipped { found, max }),
        other => Err(Contradiction::Finish { found: quoted(other) }),
    }
}

fn token_logprobs(choice: &Choice, expected: usize) -> Result<Vec<f32>, Contradiction> {
    let given = &choice.logprobs.token_logprobs;
    if given.len() != expected {
        return Err(Contradiction::Logprobs { found: given.len(), expected });
    }
    given.iter().enumerate().map(|(at, one)| logprob(*one, at)).collect()
}

/// The most likely tokens at the first position of an answer, best first, ties by token.
pub(crate) fn likely(bytes: &[u8], asked: Asked<'_>, expected: usize) -> Result<Read<(Vec<Likely>, Row)>, Fault> {
    let (choice, usage, mark) = choice(bytes, asked)?;
    let tokens = tokens(&choice, asked)?;
    let logprobs = token_logprobs(&choice, tokens.len())?;
    let table = choice.logprobs.top_logprobs.into_iter().next().flatten().unwrap_or_default();
    let mut best =
        table.into_iter().map(|(id, value)| entry(&id, value, asked.vocab)).collect::<Result<Vec<_>, _>>()?;
    best.sort_by(|a, b| b.logprob.total_cmp(&a.logprob).then(a.token.cmp(&b.token)));
    if best.len() < expected {
        return Err(Contradiction::Likely { found: best.len(), expected }.into());
    }
    best.truncate(expected);
    Ok(Read { value: (best, Row { tokens, logprobs, positions: asked.positions(usage.positions()) }), mark })
}

/// An entry such as `token_id:504`.
fn entry(id: &str, value: Option<f32>, vocab: usize) -> Result<Likely, Fault> {
    let number = id.strip_prefix("token_id:").and_then(|id| id.parse::<i64>().ok());
    let Some(number) = number else {
        let reason = format!("`{}` where token_id:N is due", quoted(id));
        return Err(Fault::Malformed { path: COMPLETIONS, reason });
    };
    let token = token(number, vocab)?;
    let logprob = logprob(value, 0)?;
    Ok(Likely { token, logit: logprob, logprob })
}

/// The log-probability of one named token at the first position.
pub(crate) fn of_token(bytes: &[u8], asked: Asked<'_>, token: Token) -> Result<Read<(f32, u64)>, Fault> {
    let (choice, usage, mark) = choice(bytes, asked)?;
    let table = choice.logprobs.top_logprobs.into_iter().next().flatten().unwrap_or_default();
    let value = table.get(&format!("token_id:{token}")).copied().flatten();
    Ok(Read { value: (logprob(value, 0)?, asked.positions(usage.positions())), mark })
}

/// The log-probabilities of the prompt's tokens from `from` on.
pub(crate) fn of_prompt(bytes: &[u8], asked: Asked<'_>, from: usize) -> Result<Read<Vec<f32>>, Fault> {
    let (choice, _, mark) = choice(bytes, asked)?;
    let given = choice.prompt_logprobs.unwrap_or_default();
    if given.len() != asked.prompt.len() {
        return Err(Contradiction::Logprobs { found: given.len(), expected: asked.prompt.len() }.into());
    }
    let of = |at: usize| -> Result<f32, Contradiction> {
        let table = given[at].as_ref().and_then(|table| table.get(&asked.prompt[at].to_string()));
        logprob(table.and_then(|entry| entry.logprob), at)
    };
    let value = (from..asked.prompt.len()).map(of).collect::<Result<_, _>>()?;
    Ok(Read { value, mark })
}
