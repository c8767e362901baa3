//! What is refused, and what the description says.

use super::{CHUNK, Outcome, Subject};
use crate::{
    LatentSelector, ModelError, Pick, Rows, SampleRequest,
    conformance::{ensure, ensure_error},
};

pub(super) fn description(subject: &mut Subject) -> Outcome {
    let (info, abilities) = (subject.back_end.info(), subject.back_end.abilities());
    ensure(!info.fingerprint.is_empty(), || "the fingerprint is empty".to_owned())?;
    ensure(!abilities.engine.is_empty(), || "the engine has no name".to_owned())?;
    let outside = info.special.iter().chain(&info.eos).find(|token| **token as usize >= info.vocab);
    ensure(outside.is_none(), || format!("special token {outside:?} is outside the vocabulary of {}", info.vocab))?;
    let missing = info.eos.iter().find(|token| !info.special.contains(token));
    ensure(missing.is_none(), || format!("end token {missing:?} is not among the special tokens"))?;
    let same = subject.handle.info() == info && subject.handle.abilities() == abilities;
    ensure(same, || "a handle describes itself otherwise than its back end".to_owned())
}

pub(super) fn unknown(subject: &mut Subject) -> Outcome {
    let parent = subject.handle.open(&subject.tokens(0, 4))?;
    let gone = subject.handle.fork(&[parent])?[0];
    subject.handle.release(&[gone]);
    let is_unknown = |error: &ModelError| matches!(error, ModelError::UnknownBeam(beam) if *beam == gone);
    let rows = vec![subject.row(gone, 0), subject.row(parent, 1), subject.row(gone, 2)];
    let mut grown = subject.handle.grow(&subject.growth(), rows)?;
    ensure(grown.len() == 3, || format!("three rows gave the outcomes of {}", grown.len()))?;
    ensure_error(grown.remove(2), "the last row, of a released beam", "UnknownBeam", is_unknown)?;
    ensure_error(grown.remove(0), "the first row, of a released beam", "UnknownBeam", is_unknown)?;
    let (beam, _) = grown.remove(0)?;
    let only = subject.handle.grow(&subject.growth(), vec![subject.row(gone, 0)]);
    ensure_error(only, "rows of released beams only", "UnknownBeam", is_unknown)?;
    let token = subject.ordinary.0[0];
    ensure_error(subject.handle.fork(&[beam, gone]), "a fork of a released beam", "UnknownBeam", is_unknown)?;
    let appended = subject.handle.append(&[(gone, token)]);
    ensure_error(appended, "a token for a released beam", "UnknownBeam", is_unknown)?;
    subject.handle.append(&[(beam, token)])?;
    subject.ensure_live("after refused calls", 2)
}

pub(super) fn context(subject: &mut Subject) -> Outcome {
    let (context, vocab) = (subject.back_end.info().context, subject.back_end.info().vocab);
    let empty = |error: &ModelError| matches!(error, ModelError::EmptyPrompt);
    ensure_error(subject.handle.open(&[]), "an empty prompt", "EmptyPrompt", empty)?;
    let outside = |error: &ModelError| matches!(error, ModelError::UnknownToken { .. });
    let past = u32::try_from(vocab).unwrap_or(u32::MAX);
    ensure_error(subject.handle.open(&[past]), "a token outside the vocabulary", "UnknownToken", outside)?;
    let beam = subject.handle.open(&subject.tokens(0, 3))?;
    ensure_error(subject.handle.append(&[(beam, past)]), "such a token for a beam", "UnknownToken", outside)?;
    if context > subject.options.fill_context {
        return Ok(());
    }
    let long = |error: &ModelError| matches!(error, ModelError::ContextExceeded { .. });
    let prompt = subject.tokens(1, context + 1);
    ensure_error(subject.handle.open(&prompt), "a prompt beyond the context", "ContextExceeded", long)?;
    // The last token of a row is not read yet, so this row ends two tokens beyond the context.
    let near = subject.handle.open(&prompt[..context - CHUNK as usize + 2])?;
    let room = subject.handle.open(&prompt[..3])?;
    let rows = vec![subject.row(near, 0), subject.row(room, 1)];
    let mut grown = subject.handle.grow(&subject.growth(), rows)?;
    ensure_error(grown.remove(0), "a row beyond the context", "ContextExceeded", long)?;
    grown.remove(0)?;
    Ok(())
}

pub(super) fn unsupported(subject: &mut Subject) -> Outcome {
    let abilities = subject.back_end.abilities().clone();
    let (beam, token) = (subject.handle.open(&subject.tokens(0, 4))?, subject.ordinary.0[0]);
    let refused = |error: &ModelError| matches!(error, ModelError::Unsupported(_));
    let handle = &mut subject.handle;
    if let Some(more) = abilities.likeliest.checked_add(1) {
        ensure_error(handle.likeliest(&[beam], more), "more of the likeliest tokens", "Unsupported", refused)?;
    }
    if !abilities.logits {
        ensure_error(handle.logits(&[beam]), "logits", "Unsupported", refused)?;
    }
    if !abilities.latents {
        let latents = handle.latents(&[beam], LatentSelector::FinalNorm);
        ensure_error(latents, "latents", "Unsupported", refused)?;
    }
    if !abilities.layers {
        let latents = handle.latents(&[beam], LatentSelector::Layer(0));
        ensure_error(latents, "latents of a layer", "Unsupported", refused)?;
    }
    if !abilities.token_latents {
        let kept = handle.keep_latents(&[beam], &[LatentSelector::FinalNorm]);
        ensure_error(kept, "to keep latents", "Unsupported", refused)?;
    }
    if !abilities.forced {
        ensure_error(handle.logprobs(&[(beam, token)]), "given tokens", "Unsupported", refused)?;
    }
    if !abilities.steering {
        let request = SampleRequest::plain(Pick::Rank(0));
        ensure_error(handle.sample(&[(beam, request)]), "a draw from a latent", "Unsupported", refused)?;
        let hidden = handle.info().hidden;
        let steered = handle.steer(&[beam], Rows::host(1, hidden, vec![0.0; hidden])?);
        ensure_error(steered, "steering", "Unsupported", refused)?;
    }
    Ok(())
}
