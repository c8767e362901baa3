//! What is read from beams: likeliest tokens, logits, latents; and steering, which no reading shows.

use super::{Outcome, Subject};
use crate::{
    BeamId, Grown, LatentSelector, ModelError, Pick, Rows, SampleRequest, Token,
    conformance::{ensure, ensure_close, ensure_error},
    log_softmax,
};

pub(super) fn likeliest(subject: &mut Subject) -> Outcome {
    let k = subject.back_end.abilities().likeliest.min(3);
    let beam = subject.handle.open(&subject.tokens(0, 4))?;
    let best = subject.handle.likeliest(&[beam], k)?.remove(0);
    ensure(best.len() == k as usize, || format!("{k} likeliest tokens were asked for, found {}", best.len()))?;
    let sorted = best
        .windows(2)
        .all(|pair| pair[0].logit > pair[1].logit || (pair[0].logit == pair[1].logit && pair[0].token < pair[1].token));
    ensure(sorted, || format!("not best first: {best:?}"))?;
    let rows: Vec<_> = best.iter().map(|one| (beam, one.token)).collect();
    let (expected, found) = (subject.handle.logprobs(&rows)?, best.iter().map(|one| one.logprob).collect::<Vec<_>>());
    ensure_close("log-probabilities of the likeliest tokens", &expected, &found, subject.options.tolerance)?;
    let others = subject.next(beam)?;
    let least = found.last().copied().unwrap_or_default() + subject.options.tolerance;
    let better = subject
        .ordinary
        .0
        .iter()
        .zip(others)
        .find(|(token, other)| *other > least && best.iter().all(|one| one.token != **token));
    ensure(better.is_none(), || format!("{better:?} is likelier than {best:?}"))
}

pub(super) fn logits(subject: &mut Subject) -> Outcome {
    let beam = subject.handle.open(&subject.tokens(1, 4))?;
    let logits = subject.handle.logits(&[beam, beam])?;
    ensure(logits.len() == 2 && logits[0] == logits[1], || "one beam asked for twice has two rows".to_owned())?;
    let vocab = subject.back_end.info().vocab;
    ensure(logits[0].len() == vocab, || format!("{} logits for a vocabulary of {vocab}", logits[0].len()))?;
    let all = log_softmax(&logits[0]);
    let expected: Vec<f32> = subject.ordinary.0.iter().take(8).map(|token| all[*token as usize]).collect();
    let found = subject.next(beam)?;
    ensure_close("log-probabilities by logits", &expected, &found, subject.options.tolerance)
}

/// A beam steered to where another one stands draws like the other one, and reads as before.
pub(super) fn steering(subject: &mut Subject) -> Outcome {
    let hidden = subject.back_end.info().hidden;
    let beams = [subject.handle.open(&subject.tokens(0, 4))?, subject.handle.open(&subject.tokens(1, 5))?];
    let latents = subject.handle.latents(&beams, LatentSelector::FinalNorm)?;
    ensure(latents.iter().all(|row| row.len() == hidden), || format!("latents should have {hidden} numbers"))?;
    let logits = subject.handle.logits(&beams)?;
    let draws = [0.1, 0.3, 0.5, 0.7, 0.9].map(|draw| SampleRequest::plain(Pick::Draw(draw)));
    let requests = |beam| draws.iter().map(|request| (beam, request.clone())).collect::<Vec<_>>();
    let expected = subject.handle.sample(&requests(beams[1]))?;
    subject.handle.steer(&beams[..1], Rows::host(1, hidden, latents[1].to_vec())?)?;
    let found = subject.handle.sample(&requests(beams[0]))?;
    let same = expected.iter().zip(&found).all(|(a, b)| a.token == b.token);
    ensure(same, || format!("steered to another beam's latent: expected {expected:?}, found {found:?}"))?;
    let tolerance = subject.options.tolerance;
    let after = subject.handle.latents(&beams, LatentSelector::FinalNorm)?;
    ensure_close("the latent of a steered beam", &latents[0], &after[0], tolerance)?;
    let after = subject.handle.logits(&beams)?;
    ensure_close("the logits of a steered beam", &logits[0], &after[0], tolerance)
}

/// A beam keeps the latent of each token that it is given, a fork goes on from there, and a grown row keeps its own.
pub(super) fn kept(subject: &mut Subject) -> Outcome {
    let (place, tolerance) = ([LatentSelector::FinalNorm], subject.options.tolerance);
    let beam = subject.handle.open(&subject.tokens(0, 4))?;
    subject.handle.keep_latents(&[beam], &place)?;
    let first = appended(subject, beam, &subject.tokens(1, 3))?;
    let fork = subject.handle.fork(&[beam])?[0];
    let (growth, row) = (subject.growth(), subject.row(beam, 0));
    let (grown, Grown { tokens, .. }) = subject.grow(&growth, vec![row])?.remove(0);
    let second = appended(subject, fork, &tokens[..tokens.len() - 1])?;
    let width = first.len() / 3;
    let (all, held) = ([first.clone(), second].concat(), 3 + tokens.len() - 1);
    let rows = [(beam, 0..3), (fork, 1..held), (grown, 0..held), (grown, 2..2)];
    let found = subject.handle.kept_latents(&rows, &place)?;
    let expected = [&first[..], &all[width..], &all[..], &[]];
    ensure(found.len() == rows.len(), || format!("{} rows were asked for, found {}", rows.len(), found.len()))?;
    for (expected, found) in expected.iter().zip(&found) {
        ensure(found.len() == expected.len(), || {
            format!("expected {} numbers, found {}", expected.len(), found.len())
        })?;
        ensure_close("kept latents", expected, found, tolerance)?;
    }
    let beyond = subject.handle.kept_latents(&[(beam, 0..4)], &place);
    ensure_error(beyond, "tokens that were not given", "Shape", |error| matches!(error, ModelError::Shape { .. }))
}

/// Appends tokens one by one; the latents at the newest position after each, one after the other.
fn appended(subject: &mut Subject, beam: BeamId, tokens: &[Token]) -> Outcome<Vec<f32>> {
    let mut latents = Vec::new();
    for token in tokens {
        subject.handle.append(&[(beam, *token)])?;
        latents.extend_from_slice(&subject.handle.latents(&[beam], LatentSelector::FinalNorm)?[0]);
    }
    Ok(latents)
}
