//! The budgets of a bundle for engines in other languages.
//!
//! `include/inferenceguard.h` is the interface, `python/inferenceguard.py` a logits processor for Hugging Face transformers
//! on top of it. An engine asks what its next tokens would cost before it appends one; costs, tracker and audit are those
//! of the bundle, in the sandbox.
//!
//! | the engine gives | what a bundle can do there |
//! |---|---|
//! | an engine of ours: logits, latents, scores, forks | everything: search, retries, critics, steering, all costs |
//! | logits, one token at a time (this interface) | costs on tokens, text and log-probabilities; unsafe tokens are never appended; no retries |
//! | finished text only (this interface, afterwards) | the same costs, once the text is there |
//!
//! **Invariant**: no panic and no foreign pointer gets past this crate; what cannot be priced is unsafe.

#![allow(unsafe_code, reason = "foreign pointers come in here and in `pointers` only")]

mod features;
mod guard;
mod pointers;

pub use guard::{ig_answer, ig_bundle};
pub use pointers::ig_piece;

use guard::begin;
use pointers::{Pieces, text_of, text_or_null, to_text};
use std::ffi::c_char;

/// See the header.
///
/// # Safety
/// As the header says: `path` is a text, `error` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ig_bundle_open(path: *const c_char, error: *mut *mut c_char) -> *mut ig_bundle {
    // SAFETY: the caller's promise.
    let opened = || ig_bundle::open(unsafe { text_of(path, "path") }?);
    // SAFETY: the caller's promise.
    unsafe { pointers::run(error, opened) }.map_or(std::ptr::null_mut(), |bundle| Box::into_raw(Box::new(bundle)))
}

/// See the header.
///
/// # Safety
/// `bundle` is NULL or came from [`ig_bundle_open`], and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ig_bundle_close(bundle: *mut ig_bundle) {
    if !bundle.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(bundle) });
    }
}

/// See the header.
///
/// # Safety
/// `bundle` is NULL or came from [`ig_bundle_open`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ig_bundle_constraints(bundle: *const ig_bundle) -> usize {
    // SAFETY: the caller's promise.
    unsafe { bundle.as_ref() }.map_or(0, ig_bundle::constraints)
}

/// See the header.
///
/// # Safety
/// `bundle` came from [`ig_bundle_open`], `prompt` is NULL or a text, `error` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ig_answer_begin(
    bundle: *const ig_bundle,
    prompt: *const c_char,
    error: *mut *mut c_char,
) -> *mut ig_answer {
    // SAFETY: the caller's promise.
    let begun = || begin(unsafe { bundle.as_ref() }, unsafe { text_or_null(prompt, "prompt") }?);
    // SAFETY: the caller's promise.
    unsafe { pointers::run(error, begun) }.map_or(std::ptr::null_mut(), |answer| Box::into_raw(Box::new(answer)))
}

/// See the header.
///
/// # Safety
/// `answer` is NULL or came from [`ig_answer_begin`], and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ig_answer_end(answer: *mut ig_answer) {
    if !answer.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(answer) });
    }
}

/// See the header.
///
/// # Safety
/// As the header says of every pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ig_answer_weigh(
    answer: *mut ig_answer,
    pieces: *const ig_piece,
    count: usize,
    safe: *mut bool,
    margins: *mut f64,
    error: *mut *mut c_char,
) -> bool {
    // SAFETY: the caller's promise.
    let weigh = || unsafe {
        let pieces = Pieces::of(pieces, count)?;
        let weighed = answer.as_mut().ok_or("`answer` is NULL")?.weigh(&pieces);
        pointers::put(&weighed, safe, margins)
    };
    // SAFETY: the caller's promise.
    unsafe { pointers::run(error, weigh) }.is_some()
}

/// See the header.
///
/// # Safety
/// As the header says of every pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ig_answer_accept(
    answer: *mut ig_answer,
    piece: *const ig_piece,
    safe: *mut bool,
    margins: *mut f64,
    error: *mut *mut c_char,
) -> bool {
    // SAFETY: the caller's promise.
    let accept = || unsafe {
        let pieces = Pieces::of(piece, 1)?;
        let accepted = answer.as_mut().ok_or("`answer` is NULL")?.accept(&pieces);
        pointers::put(&accepted, safe, margins)
    };
    // SAFETY: the caller's promise.
    unsafe { pointers::run(error, accept) }.is_some()
}

/// See the header.
///
/// # Safety
/// `answer` is NULL or came from [`ig_answer_begin`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ig_answer_failures(answer: *const ig_answer) -> *mut c_char {
    // SAFETY: the caller's promise.
    to_text(&unsafe { answer.as_ref() }.map(ig_answer::failures).unwrap_or_default())
}

/// See the header.
///
/// # Safety
/// `text` is NULL or came from a function of this interface, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ig_text_free(text: *mut c_char) {
    // SAFETY: the caller's promise.
    unsafe { pointers::free(text) };
}
