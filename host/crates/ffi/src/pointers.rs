//! Between pointers and values. Everything here that takes a pointer believes what the header asks of its caller.

use inferenceguard_search::{Metered, Piece};
use std::{
    ffi::{CStr, CString, c_char},
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
};

/// Why a call failed, as one sentence.
pub(crate) type Reason = Box<dyn std::error::Error>;

/// A token that may be appended; see the header.
#[allow(non_camel_case_types, reason = "the name of the C interface")]
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ig_piece {
    /// Its id in the engine's vocabulary.
    pub token: u32,
    /// What it adds to the text: UTF-8, perhaps a part of a character.
    pub text: *const c_char,
    /// Its length in bytes.
    pub length: usize,
    /// Its log-probability; NaN if unknown.
    pub logprob: f32,
    /// Whether the answer ends with it.
    pub ended: bool,
}

/// Pieces, copied.
pub(crate) struct Pieces(pub(crate) Vec<Piece>);

impl Pieces {
    /// # Safety
    /// `pieces` is NULL or points to `count` pieces, each with `length` bytes of text.
    pub(crate) unsafe fn of(pieces: *const ig_piece, count: usize) -> Result<Self, Reason> {
        if pieces.is_null() {
            return Err("`pieces` is NULL".into());
        }
        // SAFETY: the caller's promise.
        let pieces = unsafe { slice::from_raw_parts(pieces, count) };
        let piece = |piece: &ig_piece| {
            // SAFETY: the caller's promise.
            let bytes = unsafe { bytes_of(piece.text, piece.length) }?.to_owned();
            let logprob = Some(piece.logprob).filter(|logprob| !logprob.is_nan());
            Ok(Piece { token: piece.token, bytes, logprob, ended: piece.ended })
        };
        pieces.iter().map(piece).collect::<Result<_, Reason>>().map(Self)
    }
}

/// # Safety
/// `text` is NULL or points to `length` bytes.
unsafe fn bytes_of<'a>(text: *const c_char, length: usize) -> Result<&'a [u8], Reason> {
    match (text.is_null(), length) {
        (_, 0) => Ok(&[]),
        (true, _) => Err("`text` of a piece is NULL".into()),
        // SAFETY: the caller's promise.
        (false, _) => Ok(unsafe { slice::from_raw_parts(text.cast(), length) }),
    }
}

/// # Safety
/// `text` is NULL or ends with 0.
pub(crate) unsafe fn text_of<'a>(text: *const c_char, what: &str) -> Result<&'a str, Reason> {
    if text.is_null() {
        return Err(format!("`{what}` is NULL").into());
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|error| format!("`{what}` is not UTF-8: {error}").into())
}

/// As [`text_of`], but NULL is not text.
///
/// # Safety
/// `text` is NULL or ends with 0.
pub(crate) unsafe fn text_or_null<'a>(text: *const c_char, what: &str) -> Result<Option<&'a str>, Reason> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { text_of(text, what) }.map(Some)
}

/// Writes what was found where the caller wants it.
///
/// # Safety
/// `safe` takes as many values as there are, `margins` is NULL or takes a row for each.
pub(crate) unsafe fn put(found: &[Metered], safe: *mut bool, margins: *mut f64) -> Result<(), Reason> {
    if safe.is_null() {
        return Err("`safe` is NULL".into());
    }
    for (at, one) in found.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { safe.add(at).write(one.safe) };
        if !margins.is_null() {
            for (column, margin) in one.margins.iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { margins.add(at * one.margins.len() + column).write(*margin) };
            }
        }
    }
    Ok(())
}

/// Runs `work`; a failure or a panic becomes a text for the caller.
///
/// # Safety
/// `error` is NULL or may be written to.
pub(crate) unsafe fn run<T>(error: *mut *mut c_char, work: impl FnOnce() -> Result<T, Reason>) -> Option<T> {
    let panicked = |_| Err("a bug of this library: it panicked".into());
    match catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked) {
        Ok(value) => Some(value),
        Err(reason) => {
            if !error.is_null() {
                // SAFETY: the caller's promise.
                unsafe { error.write(to_text(&reason.to_string())) };
            }
            None
        }
    }
}

/// A text that the caller owns.
pub(crate) fn to_text(text: &str) -> *mut c_char {
    CString::new(text.replace('\0', " ")).unwrap_or_default().into_raw()
}

/// # Safety
/// `text` is NULL or came from [`to_text`].
pub(crate) unsafe fn free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { CString::from_raw(text) });
    }
}
