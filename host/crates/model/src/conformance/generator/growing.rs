//! Growing: tokens, log-probabilities, ends, penalties.

use super::{CHUNK, Growth, Outcome, Subject};
use crate::{
    BeamId, GrowRow, GrowingText, Pick, SampleRequest, Token,
    conformance::{ensure, ensure_close},
    sample_row, stop_at,
};
use std::{collections::HashSet, sync::Arc};

pub(super) fn shapes(subject: &mut Subject) -> Outcome {
    let parent = subject.handle.open(&subject.tokens(0, 4))?;
    let rows = (0..3).map(|variant| subject.row(parent, variant)).collect();
    let vocab = subject.back_end.info().vocab;
    let mut beams = HashSet::from([parent]);
    for (beam, grown) in subject.grow(&subject.growth(), rows)? {
        ensure(beams.insert(beam), || {
            format!("{beam:?} is named for a row, and is the parent or that of another row")
        })?;
        let (tokens, logprobs) = (grown.tokens.len(), grown.logprobs.len());
        ensure(tokens == CHUNK as usize, || format!("a row without end has {tokens} tokens, {CHUNK} were asked for"))?;
        ensure(logprobs == tokens, || format!("{tokens} tokens have {logprobs} log-probabilities"))?;
        let outside = grown.tokens.iter().find(|token| **token as usize >= vocab);
        ensure(outside.is_none(), || format!("token {outside:?} is outside the vocabulary of {vocab}"))?;
        let wrong = grown.logprobs.iter().find(|logprob| logprob.is_nan() || **logprob > 1e-3);
        ensure(wrong.is_none(), || format!("{wrong:?} is not a log-probability"))?;
    }
    Ok(())
}

pub(super) fn logprobs(subject: &mut Subject) -> Outcome {
    let prompt = subject.tokens(0, 4);
    let parent = subject.handle.open(&prompt)?;
    let rows = (0..3).map(|variant| subject.row(parent, variant)).collect();
    for (_, grown) in subject.grow(&subject.growth(), rows)? {
        let beam = subject.handle.fork(&[parent])?[0];
        let mut expected = Vec::new();
        for token in &grown.tokens {
            expected.extend(subject.handle.logprobs(&[(beam, *token)])?);
            subject.handle.append(&[(beam, *token)])?;
        }
        ensure_close("the tokens of a row", &expected, &grown.logprobs, subject.options.tolerance)?;
    }
    Ok(())
}

pub(super) fn holds(subject: &mut Subject) -> Outcome {
    let prompt = subject.tokens(1, 3);
    let parent = subject.handle.open(&prompt)?;
    let one = Growth { max_tokens: 1, ..subject.growth() };
    for growth in [subject.growth(), one] {
        let rows = vec![subject.row(parent, 1), subject.row(parent, 2)];
        for (beam, grown) in subject.grow(&growth, rows)? {
            let whole = [&prompt[..], &grown.tokens].concat();
            subject.ensure_holds("before the last token", beam, &whole[..whole.len() - 1])?;
            subject.handle.append(&[(beam, whole[whole.len() - 1])])?;
            subject.ensure_holds("after the last token", beam, &whole)?;
        }
    }
    Ok(())
}

pub(super) fn repeats(subject: &mut Subject) -> Outcome {
    let prompt = subject.tokens(2, 5);
    let mut runs = Vec::new();
    for _ in 0..2 {
        subject.handle = subject.back_end.handle(&subject.caller);
        let parent = subject.handle.open(&prompt)?;
        let rows = (0..3).map(|variant| subject.row(parent, variant)).collect();
        let grown = subject.grow(&subject.growth(), rows)?;
        runs.push(grown.into_iter().map(|(_, grown)| grown.tokens).collect::<Vec<_>>());
    }
    ensure(runs[0] == runs[1], || format!("the same rows gave {:?} and {:?}", runs[0], runs[1]))
}

pub(super) fn independent(subject: &mut Subject) -> Outcome {
    let parents = [subject.handle.open(&subject.tokens(0, 3))?, subject.handle.open(&subject.tokens(1, 6))?];
    let rows: Vec<GrowRow> = (0..4).map(|i| subject.row(parents[i % 2], i as u64)).collect();
    let growth = subject.growth();
    let mut alone = Vec::new();
    for row in &rows {
        alone.push(subject.grow_one(&growth, row.clone())?);
    }
    let together = subject.grow(&growth, rows.clone())?;
    let reversed = subject.grow(&growth, rows.into_iter().rev().collect())?;
    for (i, alone) in alone.iter().enumerate() {
        for found in [&together[i].1.tokens, &reversed[3 - i].1.tokens] {
            ensure(alone == found, || format!("row {i} alone gave {alone:?}, among others {found:?}"))?;
        }
    }
    Ok(())
}

/// Draws and ranks, truncated and not, with penalties and their mass cap.
pub(super) fn picks(subject: &mut Subject) -> Outcome {
    let parent = subject.handle.open(&subject.tokens(0, 4))?;
    let plain = SampleRequest::plain(Pick::Rank(0));
    let [a, b] = [subject.ordinary.0[0], subject.ordinary.0[1]];
    let penalties = vec![vec![(a, 2.0), (b, 1.5)], Vec::new(), vec![(b, 50.0), (a, 50.0)]];
    let samplings = [
        (plain.clone(), Vec::new()),
        (SampleRequest { temperature: 1.7, top_p: 0.8, ..plain.clone() }, Vec::new()),
        (SampleRequest { top_k: 2, min_p: 0.1, ..plain.clone() }, penalties.clone()),
        (SampleRequest { penalty_mass: 0.2, ..plain.clone() }, penalties.clone()),
        (SampleRequest { penalty_mass: 0.0, ..plain }, penalties),
    ];
    for (sampling, penalties) in samplings {
        let growth = Growth { sampling, penalties, ..subject.growth() };
        let ranked = GrowRow { picks: (0..CHUNK).map(|o| Pick::Rank(o % 2)).collect(), ..subject.row(parent, 0) };
        for row in [ranked, subject.row(parent, 1), subject.row(parent, 2)] {
            let expected = reference(subject, parent, &growth, &row)?;
            let found = subject.grow_one(&growth, row)?;
            ensure(found == expected, || format!("the reference draws {expected:?}, found {found:?}, by {growth:?}"))?;
        }
    }
    Ok(())
}

pub(super) fn repetition(subject: &mut Subject) -> Outcome {
    let prompt = subject.tokens(0, 2);
    let parent = subject.handle.open(&prompt)?;
    let mut sorted: Vec<Token> = prompt;
    sorted.sort_unstable();
    sorted.dedup();
    let plain = SampleRequest::plain(Pick::Rank(0));
    let sampling = SampleRequest { repetition_penalty: 1.8, prompt: sorted.into(), ..plain };
    let growth = Growth { sampling, ..subject.growth() };
    for variant in 0..3 {
        let row = subject.row(parent, variant);
        let expected = reference(subject, parent, &growth, &row)?;
        let found = subject.grow_one(&growth, row)?;
        ensure(found == expected, || format!("the reference draws {expected:?}, found {found:?}"))?;
    }
    Ok(())
}

/// The tokens of a row by logits, the reference sampler, and given tokens.
fn reference(subject: &mut Subject, parent: BeamId, growth: &Growth, row: &GrowRow) -> Outcome<Vec<Token>> {
    let beam = subject.handle.fork(&[parent])?[0];
    let mut tokens: Vec<Token> = Vec::new();
    for offset in 0..growth.max_tokens as usize {
        let logits: Arc<[f32]> = subject.handle.logits(&[beam])?.remove(0);
        let mut repeated: Vec<Token> = tokens.clone();
        repeated.retain(|token| !growth.sampling.prompt.contains(token));
        repeated.sort_unstable();
        repeated.dedup();
        let penalties = growth.penalties.get(offset).cloned().unwrap_or_default();
        let request = SampleRequest { pick: row.picks[offset], repeated, penalties, ..growth.sampling.clone() };
        let drawn = sample_row(&logits, &request)?;
        tokens.push(drawn.token);
        subject.handle.append(&[(beam, drawn.token)])?;
    }
    subject.handle.release(&[beam]);
    Ok(tokens)
}

pub(super) fn ends(subject: &mut Subject) -> Outcome {
    let parent = subject.handle.open(&subject.tokens(0, 4))?;
    let free = subject.grow_one(&subject.growth(), subject.row(parent, 1))?;
    for end in &free {
        let growth = Growth { end: vec![*end], ..subject.growth() };
        let found = subject.grow_one(&growth, subject.row(parent, 1))?;
        let first = free.iter().position(|token| token == end).unwrap_or(0);
        let expected = &free[..=first];
        ensure(found == expected, || format!("a row that ends with {end} should be {expected:?}, found {found:?}"))?;
    }
    Ok(())
}

pub(super) fn stops(subject: &mut Subject) -> Outcome {
    let tokenizer = subject.handle.tokenizer();
    let parent = subject.handle.open(&subject.tokens(0, 4))?;
    let text = GrowingText::continued(tokenizer.as_ref());
    let row = GrowRow { text: text.clone(), ..subject.row(parent, 1) };
    let free = subject.grow_one(&subject.growth(), row.clone())?;
    for token in &free {
        let stop =
            vec![text.clone().with(tokenizer.as_ref(), &[*token]).map_err(crate::ModelError::from)?.into_whole()];
        if stop[0].is_empty() {
            continue;
        }
        let (mut so_far, mut expected) = (text.clone(), Vec::new());
        for token in &free {
            let searched = so_far.text().len();
            so_far.push(tokenizer.as_ref(), *token).map_err(crate::ModelError::from)?;
            expected.push(*token);
            if stop_at(so_far.text(), searched, &stop).is_some() {
                break;
            }
        }
        let found = subject.grow_one(&Growth { stop: stop.clone(), ..subject.growth() }, row.clone())?;
        ensure(found == expected, || format!("a row that stops at {stop:?} should be {expected:?}, found {found:?}"))?;
    }
    Ok(())
}

pub(super) fn penalties(subject: &mut Subject) -> Outcome {
    let parent = subject.handle.open(&subject.tokens(0, 4))?;
    let free = subject.grow_one(&subject.growth(), subject.row(parent, 1))?;
    for offset in 0..free.len() {
        let mut penalties = vec![Vec::new(); offset];
        penalties.push(vec![(free[offset], 1000.0)]);
        let found = subject.grow_one(&Growth { penalties, ..subject.growth() }, subject.row(parent, 1))?;
        let fits = found[..offset] == free[..offset] && found[offset] != free[offset];
        ensure(fits, || format!("a penalty at offset {offset} of {free:?} gave {found:?}"))?;
    }
    let beyond = vec![Vec::new(); CHUNK as usize].into_iter().chain([vec![(free[0], 1000.0)]]).collect();
    let found = subject.grow_one(&Growth { penalties: beyond, ..subject.growth() }, subject.row(parent, 1))?;
    ensure(found == free, || format!("a penalty beyond the chunk turned {free:?} into {found:?}"))
}
