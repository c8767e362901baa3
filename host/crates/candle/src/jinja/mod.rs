//! Chat templates as transformers renders them, and with a note of who wrote what.
//!
//! The words of a conversation are marked (see `marked`) before a template sees them. Methods, filters and tests look through
//! the marks, so that a template can trim, split and compare the words. Wherever a template puts a character, the character keeps
//! its author: a client or a model.

mod date;
mod filters;
mod json;
mod methods;
mod source;
mod text;
mod tokens;

use crate::marked::{Marked, is_marked, mark};
use inferenceguard_model::Message;
use minijinja::{Environment, Error, ErrorKind, Value, escape_formatter, syntax::SyntaxConfig, value::ValueKind};

pub use date::{NoDate, PromptDate};

/// A chat template that compiles.
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    /// Spellings of special tokens, such as `bos_token`, by the names that templates use.
    tokens: Vec<(&'static str, String)>,
}

/// Why a conversation has no prompt.
pub(crate) enum Refusal {
    /// The template refused it, by `raise_exception`, or it is too long for a template that takes short ones.
    Raised(String),
    /// It cannot be rendered.
    Failed(String),
}

/// The mark of an error that the template itself raised.
#[derive(Debug, thiserror::Error)]
#[error("raised by the template")]
struct Raised;

/// Roles that templates know. Any other is a word of the client's.
const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];

const NAME: &str = "chat";

/// What one prompt may cost: instructions, and results by their lengths. A loop over each character of a long text fits.
const FUEL: u64 = 50_000_000;

impl ChatTemplate {
    /// Compiles a template. `tokens` are those that the model's files name; the others are undefined, as in transformers.
    pub(crate) fn new(source: &str, tokens: Vec<(&'static str, String)>, date: PromptDate) -> Result<Self, String> {
        if source.chars().any(is_marked) {
            return Err("it holds code points that Unicode has not assigned".to_owned());
        }
        let environment = compile(source::prepared(source)?, date).map_err(|error| describe(&error))?;
        Ok(Self { environment, tokens })
    }

    /// The prompt of a conversation, up to where the answer begins.
    pub(crate) fn render(&self, messages: &[Message]) -> Result<Marked, Refusal> {
        match self.fill(messages) {
            Ok(text) => Ok(Marked::from_marks(&text)),
            Err(error) if is_raised(&error) => {
                Err(Refusal::Raised(crate::marked::unmark(error.detail().unwrap_or_default())))
            }
            Err(error) if error.kind() == ErrorKind::OutOfFuel && self.fill(&[Message::user("Hello.")]).is_ok() => {
                Err(Refusal::Raised(
                    "the template takes too long for this conversation; shorten the conversation".to_owned(),
                ))
            }
            Err(error) => Err(Refusal::Failed(crate::marked::unmark(&describe(&error)))),
        }
    }

    fn fill(&self, messages: &[Message]) -> Result<String, Error> {
        let mut names: Vec<(&str, Value)> =
            self.tokens.iter().map(|(name, token)| (*name, Value::from(token.as_str()))).collect();
        names.push(("messages", messages.iter().map(turn).collect()));
        names.push(("add_generation_prompt", true.into()));
        names.push(("tools", ().into()));
        names.push(("documents", ().into()));
        self.environment.get_template(NAME)?.render(Value::from_pairs(names))
    }
}

/// A message as a template sees it.
fn turn(message: &Message) -> Value {
    let role = if ROLES.contains(&message.role.as_str()) { message.role.clone() } else { mark(&message.role) };
    Value::from_pairs([("role", role), ("content", mark(&message.content))])
}

fn compile(source: String, date: PromptDate) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(methods::call);
    environment.set_formatter(|out, state, value| match value.kind() {
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
            escape_formatter(out, state, &methods::as_words(&filters::unmarked(value)).into())
        }
        _ => escape_formatter(out, state, value),
    });
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message).with_source(Raised))
    });
    environment.add_function("strftime_now", move |format: &str| date.strftime(format));
    filters::add(&mut environment);
    environment.add_template_owned(NAME, source)?;
    Ok(environment)
}

fn is_raised(error: &Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.is::<Raised>() {
            return true;
        }
        source = error.source();
    }
    false
}

fn describe(error: &Error) -> String {
    match error.line() {
        Some(line) => format!("{error} (line {line})"),
        None => error.to_string(),
    }
}
