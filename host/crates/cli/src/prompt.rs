//! What a user asks: the options that `run` and `chat` share, the request that they make, and its answer as it comes.

use crate::output;
use anyhow::{Context, bail};
use clap::Args;
use inferenceguard_host::{CancelToken, Engine, EngineError, Event, Output, Progress, Request};
use inferenceguard_model::{Message, SamplingSettings};
use std::io::{self, Read};

/// What an answer may cost, how it is sampled, and what stands before the conversation.
#[derive(Debug, Clone, Args)]
pub(crate) struct PromptArguments {
    /// The budget of a constraint, of the first one if no name is given; may be repeated
    #[arg(long = "budget", value_name = "[NAME=]D", allow_hyphen_values = true)]
    pub(crate) budgets: Vec<String>,
    /// The seed of all draws: the same prompts with the same seed give the same answers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The temperature of sampling; 0 always takes the likeliest token. The bundle's, or that of the model's authors, if not given
    #[arg(long, value_name = "T")]
    temperature: Option<f32>,
    /// Samples among the likeliest tokens that together have this probability. As --temperature if not given
    #[arg(long, value_name = "P")]
    top_p: Option<f32>,
    /// The system message: how the model should answer
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// The most answer tokens, at most the bundle's
    #[arg(long, value_name = "N")]
    max_tokens: Option<u32>,
}

impl PromptArguments {
    /// Refuses more tokens than the bundle allows.
    pub(crate) fn check(&self, engine: &Engine) -> anyhow::Result<()> {
        let most = engine.max_tokens();
        match self.max_tokens.filter(|tokens| *tokens > most) {
            Some(tokens) => {
                bail!("--max-tokens: found {tokens}; expected at most {most}, the `max_tokens` of the bundle")
            }
            None => Ok(()),
        }
    }

    /// The turns before the first prompt.
    pub(crate) fn opening(&self) -> Vec<Message> {
        let system = |text: &String| Message { role: "system".to_owned(), content: text.clone() };
        self.system.iter().map(system).collect()
    }

    /// A request with these options.
    pub(crate) fn request(&self, prompt: &str, history: Vec<Message>) -> Request {
        let sampling = SamplingSettings { temperature: self.temperature, top_p: self.top_p, ..Default::default() };
        let (seed, max_tokens) = (Some(self.seed), self.max_tokens);
        Request { history, sampling, max_tokens, seed, ..Request::new(prompt) }
    }
}

/// Answers a request. Text is printed while it is released, if the request says when; then a line break follows it, also before
/// an error. The outer error is one of the standard output.
pub(crate) fn stream(
    engine: &Engine,
    request: Request,
    on_progress: impl Fn(&Progress),
) -> anyhow::Result<Result<Output, EngineError>> {
    let (prints, cancel) = (request.release.is_some(), CancelToken::new());
    let (mut printed, mut broken) = (false, None);
    let answered = engine.stream(request, &cancel, |event| match event {
        Event::Progress(progress) => on_progress(&progress),
        Event::Released { text } if prints => {
            printed |= !text.is_empty();
            if let Err(error) = output::part(&text) {
                broken = Some(error);
                cancel.cancel();
            }
        }
        _ => {}
    });
    if let Some(error) = broken {
        return Err(error);
    }
    if prints && (printed || answered.is_ok()) {
        output::result("")?;
    }
    Ok(answered)
}

/// The prompt as it is given, or from the standard input for `-`.
pub(crate) fn prompt(given: &str) -> anyhow::Result<String> {
    let text = if given == "-" { from_input()? } else { given.to_owned() };
    if text.trim().is_empty() {
        bail!("the prompt is empty; give at least one word");
    }
    Ok(text)
}

fn from_input() -> anyhow::Result<String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).context("the standard input is no text in UTF-8")?;
    // The line break that ends the input is not part of the prompt.
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
