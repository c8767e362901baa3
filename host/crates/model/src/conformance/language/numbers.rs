//! Numbers: shapes, finiteness, sampling, determinism.

use super::{Outcome, Subject};
use crate::{
    ModelError, Pick, Rows, SampleRequest,
    conformance::{ensure, ensure_close, ensure_error, ensure_sampled},
    sample_row,
};

pub(super) fn description(subject: &mut Subject) -> Outcome {
    let (info, twin) = (subject.model.info(), subject.twin.info());
    ensure(info == twin, || format!("two models made the same way differ: {info:?} and {twin:?}"))?;
    ensure(info.hidden > 0, || "hidden is 0".to_owned())?;
    ensure(!info.fingerprint.is_empty(), || "the fingerprint is empty".to_owned())?;
    let outside = info.special.iter().find(|t| **t as usize >= info.vocab);
    ensure(outside.is_none(), || format!("special token {outside:?} is outside the vocabulary of {}", info.vocab))?;
    let missing = info.eos.iter().find(|t| !info.special.contains(t));
    ensure(missing.is_none(), || format!("end token {missing:?} is not among the special tokens"))?;
    ensure(!info.eos.is_empty(), || "there is no end token".to_owned())?;
    let prints = [subject.model.tokenizer().fingerprint(), subject.twin.tokenizer().fingerprint()];
    ensure(prints[0] == prints[1], || format!("two tokenizers made the same way differ: {prints:?}"))
}

pub(super) fn shapes(subject: &mut Subject) -> Outcome {
    let hidden = subject.model.info().hidden;
    let tokens = subject.tokens(0, 5);
    let (beam, prompt) = subject.model.prefill(&tokens)?;
    let sibling = subject.fork(&[beam])?[0];
    let stepped = subject.model.step(&[(beam, tokens[0]), (sibling, tokens[1])])?;
    for (latents, rows) in [(prompt, 1), (stepped, 2)] {
        let fits = latents.len() == rows && latents.width() == hidden;
        ensure(fits, || format!("expected latents of {rows} x {hidden}, found {latents:?}"))?;
        let finite = latents.to_host()?.iter().all(|l| l.is_finite());
        ensure(finite, || "a latent is not finite".to_owned())?;
        let finite = subject.logits(&latents)?.iter().all(|l| l.is_finite());
        ensure(finite, || "a logit is not finite".to_owned())?;
    }
    Ok(())
}

pub(super) fn host_rows(subject: &mut Subject) -> Outcome {
    let tokens = subject.tokens(0, 5);
    let (_, latent) = subject.model.prefill(&tokens)?;
    let own = subject.logits(&latent)?;
    let values = latent.to_host()?.into_owned();
    let width = latent.width();
    let copy = Rows::host(2, width, values.repeat(2))?;
    ensure_close("twice the same latent", &own.repeat(2), &subject.logits(&copy)?, subject.options.tolerance)?;
    let wide = Rows::host(1, width + 1, vec![0.0; width + 1])?;
    let shape = |error: &ModelError| matches!(error, ModelError::Shape { .. });
    ensure_error(subject.model.project(&wide), "latents of another width", "Shape", shape)
}

pub(super) fn gather(subject: &mut Subject) -> Outcome {
    let lists = [subject.tokens(0, 4), subject.tokens(1, 4)];
    let (beam, first) = subject.model.prefill(&lists[0])?;
    let pair = subject.fork(&[beam, beam])?;
    let second = subject.model.step(&[(pair[0], lists[1][0]), (pair[1], lists[1][1])])?;
    let third = Rows::host(1, first.width(), vec![0.25; first.width()])?;
    let tables = [&first, &second, &third];
    let picks = [(1, 1), (0, 0), (2, 0), (1, 1), (1, 0)];
    let rows = subject.model.gather(&tables, &picks)?;
    let mut expected = Vec::new();
    for (table, row) in picks {
        let values = tables[table].to_host()?;
        expected.extend_from_slice(&values[row * first.width()..(row + 1) * first.width()]);
    }
    ensure_close("rows of three tables", &expected, &rows.to_host()?, 0.0)?;
    subject.logits(&rows)?;
    let shape = |error: &ModelError| matches!(error, ModelError::Shape { .. });
    for missing in [(1, 2), (3, 0)] {
        let what = format!("the pick {missing:?}");
        ensure_error(subject.model.gather(&tables, &[missing]), &what, "Shape", shape)?;
    }
    Ok(())
}

/// Settings that touch every stage of the sampler. Rows of logits are made here, so that borders between tokens are far
/// from the draws whatever the model.
pub(super) fn sample(subject: &mut Subject) -> Outcome {
    let logits: Vec<f32> = (0..64).map(|i| ((i * 37 % 64) as f32).sqrt() - (i % 5) as f32).collect();
    let rows = Rows::host(2, 32, logits.clone())?;
    let base = SampleRequest { penalty_mass: 0.5, ..SampleRequest::plain(Pick::Rank(0)) };
    let penalties = vec![(9, 3.0), (3, 2.0), (30, 9.0), (9, 1.0)];
    // Their logits lie on both sides of 0; the last is outside the row.
    let repeated = vec![0, 3, 5, 14, 31, 32];
    let settings = [
        base.clone(),
        SampleRequest { temperature: 0.4, ..base.clone() },
        SampleRequest { top_k: 5, ..base.clone() },
        SampleRequest { top_p: 0.7, ..base.clone() },
        SampleRequest { min_p: 0.2, ..base.clone() },
        SampleRequest { repetition_penalty: 1.8, repeated: repeated.clone(), ..base.clone() },
        SampleRequest { penalties: penalties.clone(), ..base.clone() },
        SampleRequest {
            temperature: 1.7,
            top_k: 12,
            top_p: 0.8,
            min_p: 0.05,
            repetition_penalty: 0.7,
            repeated,
            penalties,
            ..base
        },
    ];
    let picks = [Pick::Rank(0), Pick::Rank(3), Pick::Draw(0.0), Pick::Draw(0.31), Pick::Draw(0.77)];
    let mut requests = Vec::new();
    for (i, setting) in settings.iter().enumerate() {
        requests.extend(picks.iter().map(|pick| ((i + 1) % 2, SampleRequest { pick: *pick, ..setting.clone() })));
    }
    let sampled = subject.model.sample(&rows, &requests)?;
    ensure(sampled.len() == requests.len(), || format!("{} requests gave {}", requests.len(), sampled.len()))?;
    for ((row, request), found) in requests.iter().zip(&sampled) {
        let expected = sample_row(&logits[row * 32..(row + 1) * 32], request)?;
        ensure_sampled(&format!("{request:?}"), &expected, found, subject.options.tolerance)?;
    }
    Ok(())
}

pub(super) fn sample_refusals(subject: &mut Subject) -> Outcome {
    let rows = Rows::host(2, 2, vec![0.0, 1.0, f32::NAN, 0.0])?;
    let request = SampleRequest::plain(Pick::Rank(0));
    let shape = |error: &ModelError| matches!(error, ModelError::Shape { .. });
    let missing = [(2, request.clone())];
    ensure_error(subject.model.sample(&rows, &missing), "a row that does not exist", "Shape", shape)?;
    let nan = |error: &ModelError| matches!(error, ModelError::NotFinite(_));
    ensure_error(subject.model.sample(&rows, &[(1, request.clone())]), "a row with NaN", "NotFinite", nan)?;
    // NaN in an unused row is no error.
    let sampled = subject.model.sample(&rows, &[(0, request)])?;
    ensure(sampled.len() == 1 && sampled[0].token == 1, || format!("expected token 1, found {sampled:?}"))
}

pub(super) fn determinism(subject: &mut Subject) -> Outcome {
    let tokens = subject.tokens(2, 8);
    let (_, found) = subject.grown(&tokens, 5)?;
    std::mem::swap(&mut subject.model, &mut subject.twin);
    let (_, expected) = subject.grown(&tokens, 5)?;
    ensure_close("the same calls on a second model", &expected, &found, subject.options.tolerance)
}
