//! `chat`: a conversation under guard, turn by turn.

use crate::{flags::GuardArguments, output, prompt::PromptArguments};
use clap::Args;
use inferenceguard_chat::{Chat, Taken};
use std::io::{self, BufRead};

#[derive(Debug, Args)]
pub(crate) struct ChatArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// How the first answers are searched for; the bundle's own way if not given
    #[arg(long)]
    method: Option<String>,
    /// What /method may choose beside the bundle's own way: base has no guard
    #[arg(long, value_delimiter = ',', default_value = "base,best-of-n,beam")]
    methods: Vec<String>,
    #[command(flatten)]
    asked: PromptArguments,
}

/// Answers every line of the standard input, until it ends or `/bye`.
pub(crate) fn chat(arguments: &ChatArguments) -> anyhow::Result<()> {
    let ChatArguments { guard, method, methods, asked } = arguments;
    let mut chat = Chat::open(&guard.choice(), method.as_deref(), methods, &asked.budgets, asked.asked())?;
    output::note(chat.greeting());
    let mut lines = io::stdin().lock().lines();
    loop {
        output::ask("> ");
        let Some(line) = lines.next().transpose()? else { return Ok(()) };
        match chat.take(&line, output::part)? {
            Taken::Done => {}
            Taken::Note(text) => output::note(text),
            Taken::Failed(error) => output::report(&error.into()),
            Taken::Bye => return Ok(()),
        }
    }
}
