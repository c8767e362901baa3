//! Beams: forks, batches, orders, releases.

use super::{Outcome, Subject};
use crate::{
    ModelError, Reading,
    conformance::{ensure, ensure_error},
};

/// Parts of a prompt, with steps of another beam between the first of them.
pub(super) fn parts(subject: &mut Subject) -> Outcome {
    let len = subject.model.info().context.min(subject.options.fill_context);
    let tokens = subject.tokens(0, len);
    let (other, _) = subject.prefilled(&subject.tokens(1, 3))?;
    let reading = || Reading { prompt: tokens.clone(), ..Reading::default() };
    let (mut whole, mut left) = (reading(), reading());
    let (mut made, mut parts) = (subject.model.prefill_part(&mut whole, 1)?, 1);
    while made.is_none() && parts < len {
        if parts < 4 {
            subject.step(&[(other, tokens[parts])])?;
        }
        made = subject.model.prefill_part(&mut whole, 1)?;
        parts += 1;
    }
    let read = whole.read;
    let Some((_, latent)) = made.filter(|_| read == len) else {
        return ensure(false, || format!("{parts} parts read {read} of {len} tokens and made no beam"));
    };
    let logits = subject.logits(&latent)?;
    subject.ensure_logits(&format!("a prompt read in {parts} parts"), &tokens, &logits)?;
    if let Some((beam, _)) = subject.model.prefill_part(&mut left, 1)? {
        subject.model.release(&[beam]);
    }
    drop(left);
    subject.ensure_live("a prompt, another one, and a third that was never read to its end", 2)
}

pub(super) fn steps_equal_prefill(subject: &mut Subject) -> Outcome {
    let tokens = subject.tokens(0, 9);
    for prompt in [1, 4, 8] {
        let (_, logits) = subject.grown(&tokens, prompt)?;
        subject.ensure_logits(&format!("{prompt} tokens prefilled, the others stepped"), &tokens, &logits)?;
    }
    Ok(())
}

pub(super) fn fork_equals_replay(subject: &mut Subject) -> Outcome {
    let tokens = subject.tokens(1, 10);
    for cut in [4, 7] {
        // Once directly after the prompt, once after some steps.
        let (parent, _) = subject.grown(&tokens[..cut], 4)?;
        let child = subject.fork(&[parent])?[0];
        let grandchild = subject.fork(&[child])?[0];
        for beam in [child, grandchild] {
            let mut logits = Vec::new();
            for token in &tokens[cut..] {
                logits = subject.step(&[(beam, *token)])?.remove(0);
            }
            subject.ensure_logits(&format!("{beam:?}, forked after {cut} tokens"), &tokens, &logits)?;
        }
    }
    Ok(())
}

pub(super) fn batch_equals_one_by_one(subject: &mut Subject) -> Outcome {
    // Two prompts, of which one grew two beams of other lengths.
    let lists = [subject.tokens(0, 3), subject.tokens(1, 8), subject.tokens(2, 5)];
    let mut beams = Vec::new();
    for (list, prompt) in lists.iter().zip([3, 2, 5]) {
        beams.push(subject.grown(list, prompt)?.0);
    }
    beams.extend(subject.fork(&[beams[1], beams[1]])?);
    let mut held: Vec<_> = [0, 1, 2, 1, 1].iter().map(|i: &usize| lists[*i].clone()).collect();
    for round in 0..3 {
        // In the second round some beams rest, so the batch has another shape.
        let rows: Vec<usize> = if round == 1 { vec![0, 2, 4] } else { (0..beams.len()).collect() };
        let step: Vec<_> = rows.iter().map(|i| (beams[*i], subject.tokens(i + round, 2)[1])).collect();
        let logits = subject.step(&step)?;
        for ((i, (_, token)), row) in rows.iter().zip(step).zip(logits) {
            held[*i].push(token);
            let tokens = held[*i].clone();
            subject.ensure_logits(&format!("row {i} of round {round}"), &tokens, &row)?;
        }
    }
    Ok(())
}

pub(super) fn order(subject: &mut Subject) -> Outcome {
    let lists = [subject.tokens(0, 3), subject.tokens(1, 7), subject.tokens(2, 5)];
    let mut beams = Vec::new();
    for list in &lists {
        beams.push(subject.prefilled(list)?.0);
    }
    for order in [[2, 0, 1], [0, 2, 1], [1, 2, 0]] {
        // The rows come in another order than their beams were made.
        let copies = subject.fork(&beams)?;
        let tokens = order.map(|i: usize| subject.tokens(i + 3, 1)[0]);
        let rows: Vec<_> = order.iter().map(|i| copies[*i]).zip(tokens).collect();
        let logits = subject.step(&rows)?;
        for ((i, token), row) in order.iter().zip(tokens).zip(logits) {
            let longer = [&lists[*i][..], &[token]].concat();
            subject.ensure_logits(&format!("beam {i} in the order {order:?}"), &longer, &row)?;
        }
    }
    Ok(())
}

pub(super) fn parents_unchanged(subject: &mut Subject) -> Outcome {
    let tokens = subject.tokens(0, 6);
    let (parent, _) = subject.grown(&tokens, 4)?;
    let children = subject.fork(&[parent, parent, parent])?;
    let mut held = vec![tokens.clone(); 3];
    for round in 0..3 {
        let rows: Vec<_> = (0..3).map(|i| (children[i], subject.tokens(i + 1, 4)[round])).collect();
        subject.step(&rows)?;
        for (list, (_, token)) in held.iter_mut().zip(rows) {
            list.push(token);
        }
    }
    subject.ensure_holds("the parent, after its children stepped", parent, &tokens)?;
    for (child, list) in children.into_iter().zip(held) {
        subject.ensure_holds("a child, after its parent stepped", child, &list)?;
    }
    Ok(())
}

pub(super) fn children_outlive(subject: &mut Subject) -> Outcome {
    let tokens = subject.tokens(0, 6);
    let (parent, _) = subject.grown(&tokens, 3)?;
    let children = subject.fork(&[parent, parent])?;
    subject.model.release(&[parent, children[0]]);
    // A new prompt and new beams, so that freed places are used again.
    let other = subject.tokens(4, 6);
    let (stranger, _) = subject.grown(&other, 3)?;
    let copies = subject.fork(&[stranger, stranger])?;
    subject.ensure_holds("the child of a released parent", children[1], &tokens)?;
    subject.ensure_holds("a beam made after a release", copies[1], &other)
}

pub(super) fn release(subject: &mut Subject) -> Outcome {
    subject.ensure_live("a fresh model", 0)?;
    let tokens = subject.tokens(0, 4);
    let (parent, _) = subject.grown(&tokens, 3)?;
    let children = subject.fork(&[parent, parent, parent])?;
    subject.ensure_live("a prefill and a fork to three", 4)?;
    subject.model.release(&children[..2]);
    subject.model.release(&children[..1]);
    subject.ensure_live("two released, one of them twice", 2)?;
    let gone = children[0];
    let unknown = |error: &ModelError| matches!(error, ModelError::UnknownBeam(_));
    ensure_error(subject.model.fork(&[gone]), "a fork of a released beam", "UnknownBeam", unknown)?;
    let row = (gone, tokens[0]);
    ensure_error(subject.model.step(&[row]), "a step of a released beam", "UnknownBeam", unknown)?;
    subject.ensure_live("after refused calls", 2)?;
    subject.ensure_holds("a sibling of released beams", children[2], &tokens)?;
    subject.model.release(&[parent, children[2]]);
    subject.ensure_live("all released", 0)
}
