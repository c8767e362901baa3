//! What is wrong with a body.

/// What is wrong with a body that a client or a gateway sent: an error of status 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// OpenAI's code, such as `invalid_value`.
    pub code: &'static str,
    /// The place of the wrong field in the body, such as `messages[0].content`; `None` if the whole body is wrong.
    pub param: Option<String>,
    /// What was found and what was expected.
    pub message: String,
}

impl Problem {
    /// A body that is wrong as a whole.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, param: None, message: message.into() }
    }

    /// This problem without the values that were found in the body, for a body that nobody has judged yet. Keys that stand deep
    /// in it are left out as well.
    #[must_use]
    pub(crate) fn without_quotes(self) -> Self {
        let message = match self.code {
            "invalid_json" => "this is not an object of JSON in UTF-8".to_owned(),
            "duplicate_parameter" => "an object has a key twice".to_owned(),
            "invalid_type" => {
                let place = self.param.as_deref().unwrap_or("the body");
                format!("`{place}` has a value of another type than expected")
            }
            _ => return self,
        };
        let param = self.param.filter(|_| self.code == "invalid_type");
        Self { code: self.code, param, message }
    }

    /// A field with a wrong value.
    #[must_use]
    pub fn bad(param: &str, message: impl Into<String>) -> Self {
        Self::with_code("invalid_value", param, message)
    }

    /// A field that is wrong in the way that the code names.
    #[must_use]
    pub fn with_code(code: &'static str, param: &str, message: impl Into<String>) -> Self {
        Self { param: Some(param.to_owned()), ..Self::new(code, message) }
    }
}
