//! One value of a manifest: what it may be, and the error that names its key.

use crate::{BundleError, MANIFEST};

/// Checks a name.
pub(crate) fn check_name(key: &str, found: &str) -> Result<(), BundleError> {
    let fine = !found.trim().is_empty() && !found.chars().any(turns_text);
    require(fine, key, &format!("{found:?}"), NAME)
}

/// What a name may be, for errors.
pub(crate) const NAME: &str =
    "a text that is not empty, without control characters and without signs that turn text round";

/// Control characters, and those that change the order in which text is shown: a name must not look like another one.
pub(crate) fn turns_text(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a cost or a constraint may have this name.
pub(crate) fn is_name(found: &str) -> bool {
    check_unmarked("", found).is_ok()
}

/// Checks a name, and that it has no `@`: that marks names of a bundle that was activated while a request ran.
pub(crate) fn check_unmarked(key: &str, found: &str) -> Result<(), BundleError> {
    check_name(key, found)?;
    require(!found.contains('@'), key, &format!("{found:?}"), "a text without @")
}

/// An error about this key unless what it says holds.
pub(crate) fn require(
    holds: bool,
    key: &str,
    found: &dyn std::fmt::Display,
    expected: &str,
) -> Result<(), BundleError> {
    if holds { Ok(()) } else { Err(value(key, found, expected)) }
}

/// The error about a value of the manifest.
pub(crate) fn value(key: &str, found: &dyn std::fmt::Display, expected: &str) -> BundleError {
    let (file, key) = (MANIFEST.to_owned(), key.to_owned());
    BundleError::Value { file, key, found: found.to_string(), expected: expected.to_owned() }
}
