//! Beams: forks, parents, owners, releases.

use super::{Outcome, Subject};
use crate::{ModelError, conformance::ensure_error};

pub(super) fn forks(subject: &mut Subject) -> Outcome {
    let prompt = subject.tokens(0, 4);
    let parent = subject.handle.open(&prompt)?;
    let children = subject.handle.fork(&[parent, parent])?;
    subject.ensure_holds("a fork", children[0], &prompt)?;
    let tokens = [subject.ordinary.0[0], subject.ordinary.0[1]];
    subject.handle.append(&[(children[0], tokens[0]), (children[1], tokens[1])])?;
    for (child, token) in children.into_iter().zip(tokens) {
        subject.ensure_holds("a fork with a token of its own", child, &[&prompt[..], &[token]].concat())?;
    }
    subject.ensure_holds("the parent of forks", parent, &prompt)
}

pub(super) fn parents(subject: &mut Subject) -> Outcome {
    let prompt = subject.tokens(1, 4);
    let parent = subject.handle.open(&prompt)?;
    let rows = (0..3).map(|variant| subject.row(parent, variant)).collect();
    let grown = subject.grow(&subject.growth(), rows)?;
    subject.ensure_holds("the parent of rows", parent, &prompt)?;
    subject.handle.release(&[parent]);
    for (beam, grown) in grown {
        let read = &grown.tokens[..grown.tokens.len() - 1];
        subject.ensure_holds("a row whose parent is gone", beam, &[&prompt[..], read].concat())?;
    }
    Ok(())
}

pub(super) fn release(subject: &mut Subject) -> Outcome {
    subject.ensure_live("a fresh back end", 0)?;
    let parent = subject.handle.open(&subject.tokens(0, 4))?;
    let children = subject.handle.fork(&[parent, parent])?;
    let rows = vec![subject.row(parent, 0), subject.row(children[0], 1)];
    let grown = subject.grow(&subject.growth(), rows)?;
    subject.ensure_live("a prompt, two forks and two rows", 5)?;
    subject.handle.release(&[children[0], grown[0].0]);
    subject.handle.release(&[children[0]]);
    subject.ensure_live("two released, one of them twice", 3)?;
    let other = subject.back_end.handle(&subject.caller);
    let first = std::mem::replace(&mut subject.handle, other);
    let kept = subject.handle.open(&subject.tokens(1, 4))?;
    drop(first);
    subject.ensure_live("the end of a handle, beside another one with a beam", 1)?;
    subject.handle.release(&[kept]);
    subject.ensure_live("all released", 0)
}

pub(super) fn foreign(subject: &mut Subject) -> Outcome {
    let beam = subject.handle.open(&subject.tokens(0, 4))?;
    let mut other = subject.back_end.handle(&subject.caller);
    let unknown = |error: &ModelError| matches!(error, ModelError::UnknownBeam(_));
    ensure_error(other.fork(&[beam]), "a fork of another handle's beam", "UnknownBeam", unknown)?;
    let token = subject.ordinary.0[0];
    ensure_error(other.append(&[(beam, token)]), "a token for another handle's beam", "UnknownBeam", unknown)?;
    let grown = other.grow(&subject.growth(), vec![subject.row(beam, 0)]);
    ensure_error(grown, "a row from another handle's beam", "UnknownBeam", unknown)?;
    other.release(&[beam]);
    subject.ensure_live("a release by another handle", 1)
}

pub(super) fn cancelled(subject: &mut Subject) -> Outcome {
    let beam = subject.handle.open(&subject.tokens(0, 4))?;
    subject.caller.cancel.cancel();
    let cancelled = |error: &ModelError| matches!(error, ModelError::Cancelled);
    let grown = subject.handle.grow(&subject.growth(), vec![subject.row(beam, 0)]);
    ensure_error(grown, "a row of a cancelled caller", "Cancelled", cancelled)?;
    ensure_error(subject.handle.open(&subject.tokens(1, 3)), "a prompt of a cancelled caller", "Cancelled", cancelled)?;
    subject.ensure_live("a cancelled caller with one beam", 1)?;
    subject.handle.release(&[beam]);
    subject.ensure_live("a release after that", 0)
}
