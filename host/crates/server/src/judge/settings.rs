//! The kinds of gateways, and the section `[judge]` of the server's settings.

use crate::settings_check::{SettingsError, at_least_one};
use inferenceguard_gateways::{JoinLimits, OnUnsafe};
use serde::Deserialize;
use std::time::Duration;

/// The ids of calls that are remembered for each prompt that may wait. An id outlives its prompt, and is much smaller.
const IDS_PER_PROMPT: usize = 64;

/// How gateways are served.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeSettings {
    /// What becomes of unsafe text of `/v1/judge` and of Envoy, unless a request says something else. LiteLLM's route blocks
    /// unless its own parameters say `replace`.
    pub on_unsafe: OnUnsafe,
    /// What becomes of prompts.
    pub prompts: Prompts,
    /// The most milliseconds of a judgement, from its arrival; a request may ask for fewer.
    pub deadline_ms: u64,
    /// The most texts of one request. Each counts as a choice.
    pub max_texts: usize,
    /// How many prompts of each client wait for their answers, which LiteLLM sends in another call.
    pub max_prompts: usize,
    /// The most characters of the prompts of each client that wait.
    pub max_prompt_chars: usize,
    /// Seconds that a prompt waits for its answer.
    pub prompt_seconds: u64,
    /// How many new characters of a stream are held back until they are judged.
    pub stream_chars: usize,
    /// The paths at which Envoy's clients ask for chats. These are guarded.
    pub chat_paths: Vec<String>,
    /// The paths that Envoy lets through unjudged, such as `/v1/models`. All others are blocked.
    pub open_paths: Vec<String>,
}

impl Default for JudgeSettings {
    fn default() -> Self {
        Self {
            on_unsafe: OnUnsafe::Block,
            prompts: Prompts::Remember,
            deadline_ms: 10_000,
            max_texts: 16,
            max_prompts: 1024,
            max_prompt_chars: 16 << 20,
            prompt_seconds: 600,
            stream_chars: 200,
            chat_paths: vec!["/v1/chat/completions".to_owned()],
            open_paths: Vec::new(),
        }
    }
}

/// A kind of gateway, and the interface that it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Face {
    /// `/v1/judge`, the server's own.
    Judge,
    /// LiteLLM's generic guardrail route.
    Litellm,
    /// OpenAI's `/v1/moderations`.
    Moderations,
    /// Envoy's external processing, on a listener of its own.
    Envoy,
}

impl Face {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Judge, Self::Litellm, Self::Moderations, Self::Envoy];

    /// Its name in options and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Judge => "judge",
            Self::Litellm => "litellm",
            Self::Moderations => "moderations",
            Self::Envoy => "envoy",
        }
    }
}

/// What becomes of prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompts {
    /// They pass, and their answers are judged.
    Remember,
    /// The user's last turn is priced like an answer to nothing, under the same budgets; then as above.
    Screen,
}

impl JudgeSettings {
    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    pub(crate) fn join_limits(&self) -> JoinLimits {
        JoinLimits {
            conversations: self.max_prompts,
            chars: self.max_prompt_chars,
            ids: self.max_prompts.saturating_mul(IDS_PER_PROMPT),
            age: Duration::from_secs(self.prompt_seconds),
        }
    }

    /// Checks every setting.
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        for (key, found) in [
            ("judge.deadline_ms", self.deadline_ms),
            ("judge.max_texts", self.max_texts as u64),
            ("judge.max_prompts", self.max_prompts as u64),
            ("judge.max_prompt_chars", self.max_prompt_chars as u64),
            ("judge.prompt_seconds", self.prompt_seconds),
            ("judge.stream_chars", self.stream_chars as u64),
        ] {
            at_least_one(key, found)?;
        }
        paths("judge.chat_paths", &self.chat_paths)?;
        paths("judge.open_paths", &self.open_paths)?;
        let both = self.open_paths.iter().find(|path| self.chat_paths.contains(path));
        both.map_or(Ok(()), |path| {
            let (key, found) = ("judge.open_paths".to_owned(), format!("`{path}`, which is in `chat_paths`"));
            Err(SettingsError { key, found, expected: "paths that are not guarded" })
        })
    }
}

fn paths(key: &str, paths: &[String]) -> Result<(), SettingsError> {
    let wrong = paths.iter().find(|path| !path.starts_with('/') || path.contains(['?', '#', '%']));
    wrong.map_or(Ok(()), |path| {
        let (key, found) = (key.to_owned(), format!("`{path}`"));
        Err(SettingsError { key, found, expected: "a path that begins with `/`, without `?`, `#` and `%`" })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_named() {
        assert_eq!(JudgeSettings::default().validate(), Ok(()));
        for (text, key) in [
            ("deadline_ms = 0", "judge.deadline_ms"),
            ("max_texts = 0", "judge.max_texts"),
            ("max_prompts = 0", "judge.max_prompts"),
            ("max_prompt_chars = 0", "judge.max_prompt_chars"),
            ("prompt_seconds = 0", "judge.prompt_seconds"),
            ("stream_chars = 0", "judge.stream_chars"),
            ("chat_paths = [\"v1\"]", "judge.chat_paths"),
            ("open_paths = [\"/a?b\"]", "judge.open_paths"),
            ("open_paths = [\"/v1/chat/completions\"]", "judge.open_paths"),
        ] {
            let settings: JudgeSettings = toml::from_str(text).unwrap();
            assert_eq!(settings.validate().unwrap_err().key, key, "{text}");
        }
        for text in ["on_unsafe = \"pass\"", "prompts = \"ignore\"", "budget = 1"] {
            assert!(toml::from_str::<JudgeSettings>(text).is_err(), "{text}");
        }
    }
}
