//! Checks of single settings, and the error that they give.

/// A setting has a value that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key `{key}`: found {found}; expected {expected}")]
pub struct SettingsError {
    /// The key.
    pub key: String,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: &'static str,
}

pub(crate) fn at_least_one(key: &str, found: u64) -> Result<(), SettingsError> {
    if found > 0 {
        return Ok(());
    }
    Err(SettingsError { key: key.to_owned(), found: found.to_string(), expected: "at least 1" })
}

/// The longest time of a setting, in seconds. A clock cannot add just any number of seconds to a moment: a server that took such a
/// time would begin, and fail at every connection.
const YEAR: u64 = 365 * 24 * 60 * 60;

/// A time in seconds, 0 or above.
pub(crate) fn seconds(key: &str, found: u64) -> Result<(), SettingsError> {
    if found <= YEAR {
        return Ok(());
    }
    let expected = "at most 31536000 seconds, which are a year";
    Err(SettingsError { key: key.to_owned(), found: found.to_string(), expected })
}

pub(crate) fn share(key: &str, found: f64) -> Result<(), SettingsError> {
    if (0.0..=1.0).contains(&found) {
        return Ok(());
    }
    Err(SettingsError { key: key.to_owned(), found: found.to_string(), expected: "a number from 0 to 1" })
}

pub(crate) fn digest_of(key: &str, found: &str) -> Result<(), SettingsError> {
    if found.len() == 64 && found.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    // The error does not show the value: it may be the secret itself.
    let found = format!("{} characters", found.chars().count());
    Err(SettingsError { key: key.to_owned(), found, expected: "a SHA-256 in 64 hexadecimal digits" })
}
