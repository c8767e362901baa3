//! `chat`: a conversation under guard, turn by turn.

mod line;

use crate::{
    flags::GuardArguments,
    output,
    prompt::{PromptArguments, stream},
};
use clap::Args;
use inferenceguard_bundle::Bundle;
use inferenceguard_catalog::{build, bundles};
use inferenceguard_console::{answer, escape, record};
use inferenceguard_host::{Engine, OWN_METHOD, Output, Request};
use inferenceguard_model::Message;
use inferenceguard_record::Body;
use inferenceguard_search::Release;
use line::Line;
use std::{
    collections::BTreeMap,
    io::{self, BufRead},
    ops::ControlFlow,
};

#[derive(Debug, Args)]
pub(crate) struct ChatArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// Methods that /method may choose beside the bundle's own
    #[arg(long, value_delimiter = ',', default_value = "base,best-of-n,beam")]
    methods: Vec<String>,
    #[command(flatten)]
    asked: PromptArguments,
}

/// A conversation that goes on.
struct Chat<'a> {
    arguments: &'a ChatArguments,
    engine: Engine,
    bundle: Bundle,
    method: String,
    /// Budgets that were tightened, by constraint.
    budgets: BTreeMap<String, f64>,
    /// The turns before, the system message first.
    turns: Vec<Message>,
    last: Option<Output>,
}

/// Answers every line of the standard input, until it ends or `/bye`.
pub(crate) fn chat(arguments: &ChatArguments) -> anyhow::Result<()> {
    let mut chat = Chat::open(arguments)?;
    output::note(chat.greeting());
    let mut lines = io::stdin().lock().lines();
    loop {
        output::ask("> ");
        let Some(line) = lines.next().transpose()? else { return Ok(()) };
        if line.trim().is_empty() {
            continue;
        }
        if chat.take(&line)?.is_break() {
            return Ok(());
        }
    }
}

impl<'a> Chat<'a> {
    fn open(arguments: &'a ChatArguments) -> anyhow::Result<Self> {
        let mut methods = vec![OWN_METHOD.to_owned()];
        methods.extend(arguments.methods.iter().filter(|name| *name != OWN_METHOD).cloned());
        let (builder, bundle) = arguments.guard.choice().builder(&methods, &arguments.asked.budgets)?;
        let engine = build(builder)?;
        arguments.asked.check(&engine)?;
        let (method, turns) = (OWN_METHOD.to_owned(), arguments.asked.opening());
        Ok(Self { arguments, engine, bundle, method, budgets: BTreeMap::new(), turns, last: None })
    }

    fn greeting(&self) -> String {
        let manifest = self.bundle.manifest();
        let line = format!("{}, guarded by {} {}", self.engine.model().name, manifest.name, manifest.version);
        format!("{}. /help shows the commands, /bye ends", escape::line(&line))
    }

    /// Takes one line: a command, or what the user says.
    fn take(&mut self, line: &str) -> anyhow::Result<ControlFlow<()>> {
        match Line::read(line) {
            Err(unknown) => output::note(unknown),
            Ok(Line::Bye) => return Ok(ControlFlow::Break(())),
            Ok(Line::Help) => output::note(line::HELP),
            Ok(Line::New) => self.turns = self.arguments.asked.opening(),
            Ok(Line::Method(name)) => self.choose(name),
            Ok(Line::Budget(given)) => self.tighten(given),
            Ok(Line::Why) => self.explain()?,
            Ok(Line::Text(text)) => self.answer(text)?,
        }
        Ok(ControlFlow::Continue(()))
    }

    fn choose(&mut self, name: &str) {
        let methods = self.engine.methods();
        match methods.iter().any(|method| method == name) {
            true => self.method = name.to_owned(),
            false => output::note(format_args!("method {:?}; there are: {}", name, methods.join(", "))),
        }
    }

    fn tighten(&mut self, given: &str) {
        match bundles::budgets(&self.bundle, &[given.to_owned()]) {
            Ok(budgets) => self.budgets.extend(budgets),
            Err(error) => output::report(&error.into()),
        }
    }

    fn explain(&self) -> anyhow::Result<()> {
        match &self.last {
            None => output::note("nothing was answered yet"),
            Some(last) => output::note(record::why(&Body::of(last)?, Some(&self.engine.tokenizer()))),
        }
        Ok(())
    }

    /// Answers a turn. A request that ends with an error leaves the conversation as it was.
    fn answer(&mut self, text: &str) -> anyhow::Result<()> {
        let request = Request {
            method: Some(self.method.clone()),
            budgets: self.budgets.clone(),
            release: Some(Release::Agreement),
            record: true,
            ..self.arguments.asked.request(text, self.turns.clone())
        };
        match stream(&self.engine, request, |_| {})? {
            Err(error) => output::report(&error.into()),
            Ok(answered) => {
                output::note(answer::brief(&answered));
                let spoken = Message { role: "assistant".to_owned(), content: answered.text.clone() };
                self.turns.extend([Message::user(text), spoken]);
                self.last = Some(answered);
            }
        }
        Ok(())
    }
}
