//! From a conversation to the text a model was trained on.
//!
//! Chat templates are Jinja, read from chat_template.jinja or tokenizer_config.json. Models trained with safe-rlhf
//! have none: for them the Beaver template is built in. Templates see no clock: one that wants today's date falls
//! back to its default or fails.

use crate::{CandleError, HfTokenizer, ModelFiles, gguf::Gguf};
use inferenceguard_model::Message;
use minijinja::{Environment, ErrorKind, Value, context, syntax::SyntaxConfig};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Which template a model gets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TemplateChoice {
    /// The folder's chat template; without one, Beaver for `LlamaForScore` and the bare text for language models.
    #[default]
    Auto,
    /// The folder's chat template; an error without one.
    Chat,
    /// `BEGINNING OF CONVERSATION: USER: … ASSISTANT:`, as safe-rlhf trains.
    Beaver,
    /// The bare text.
    Plain,
    /// A text of one's own, in which `{prompt}` stands for the user's.
    Format(String),
}

/// A text ready to encode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Whether the tokenizer adds its beginning token: chat templates write it themselves.
    pub frame: bool,
}

/// A template that can be filled.
pub struct Template {
    folder: PathBuf,
    kind: Kind,
    tokens: SpecialNames,
}

enum Kind {
    Chat(Box<Environment<'static>>),
    Beaver,
    Format(String),
}

/// The spellings that templates refer to.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpecialNames {
    pub(crate) bos: Option<String>,
    pub(crate) eos: Option<String>,
    pub(crate) pad: Option<String>,
    pub(crate) unk: Option<String>,
}

/// What tokenizer_config.json and chat_template.jinja say.
pub(crate) struct TokenizerConfig {
    pub(crate) names: SpecialNames,
    chat: Option<String>,
}

impl TokenizerConfig {
    /// Reads both files; either may be missing.
    pub(crate) fn read(files: &ModelFiles) -> Result<Self, CandleError> {
        const NAME: &str = "tokenizer_config.json";
        let value =
            if files.has(NAME) { files.json(NAME, "the tokenizer's settings")? } else { serde_json::Value::Null };
        let name = |key: &str| {
            let found = value.get(key)?;
            let text = found.as_str().or_else(|| found.get("content")?.as_str());
            text.map(str::to_owned)
        };
        let names = SpecialNames {
            bos: name("bos_token"),
            eos: name("eos_token"),
            pad: name("pad_token"),
            unk: name("unk_token"),
        };
        let chat = if files.has("chat_template.jinja") { Some(jinja(files)?) } else { inline_template(&value) };
        Ok(Self { names, chat })
    }

    /// What these files do not say, as the metadata of a GGUF file say it.
    pub(crate) fn or_told_by(&mut self, gguf: &Gguf, tokenizer: &HfTokenizer) {
        let spelling = |key: &str| tokenizer.spelling(gguf.token_id(key)?);
        let names = &mut self.names;
        names.bos = names.bos.take().or_else(|| spelling("bos_token_id"));
        names.eos = names.eos.take().or_else(|| spelling("eos_token_id"));
        self.chat = self.chat.take().or_else(|| gguf.chat_template());
    }
}

fn jinja(files: &ModelFiles) -> Result<String, CandleError> {
    const NAME: &str = "chat_template.jinja";
    let bytes = files.read(NAME, "the chat template")?.into_owned();
    String::from_utf8(bytes).map_err(|error| CandleError::Read {
        path: files.path().join(NAME),
        source: std::io::Error::new(std::io::ErrorKind::InvalidData, error),
    })
}

/// `chat_template` is a text, or a list of named texts of which `default` is meant.
fn inline_template(value: &serde_json::Value) -> Option<String> {
    let found = value.get("chat_template")?;
    if let Some(text) = found.as_str() {
        return Some(text.to_owned());
    }
    let named = found.as_array()?.iter().find(|entry| entry.get("name").is_some_and(|n| n == "default"))?;
    named.get("template")?.as_str().map(str::to_owned)
}

impl Template {
    pub(crate) fn new(
        folder: &Path,
        choice: &TemplateChoice,
        config: TokenizerConfig,
        fallback: Option<TemplateChoice>,
    ) -> Result<Self, CandleError> {
        let failed = |message: &str| CandleError::Template { folder: folder.to_owned(), message: message.into() };
        let choice = match (choice, &config.chat) {
            (TemplateChoice::Auto, Some(_)) => TemplateChoice::Chat,
            (TemplateChoice::Auto, None) => {
                fallback.ok_or_else(|| failed("there is none; choose beaver, plain, or a format with {prompt}"))?
            }
            (chosen, _) => chosen.clone(),
        };
        let kind = match choice {
            TemplateChoice::Beaver => Kind::Beaver,
            TemplateChoice::Plain => Kind::Format("{prompt}".into()),
            TemplateChoice::Format(format) if format.contains("{prompt}") => Kind::Format(format),
            TemplateChoice::Format(_) => return Err(failed("the format has no {prompt} in it")),
            TemplateChoice::Chat | TemplateChoice::Auto => {
                let source = config.chat.ok_or_else(|| failed("the folder holds none; choose another template"))?;
                Kind::Chat(Box::new(compile(source).map_err(|e| failed(&describe(&e)))?))
            }
        };
        Ok(Self { folder: folder.to_owned(), kind, tokens: config.names })
    }

    /// The text of a conversation that ends with a turn of the user, up to where the answer begins.
    ///
    /// # Errors
    /// [`CandleError::Template`] when the template refuses the conversation.
    pub fn render(&self, messages: &[Message]) -> Result<Rendered, CandleError> {
        let failed = |message: String| CandleError::Template { folder: self.folder.clone(), message };
        match &self.kind {
            Kind::Chat(environment) => {
                let text = fill(environment, messages, &self.tokens).map_err(|e| failed(describe(&e)))?;
                Ok(Rendered { text, frame: false })
            }
            Kind::Beaver => {
                let eos = self.tokens.eos.as_deref().unwrap_or("</s>");
                let text = beaver(messages, eos).map_err(|e| failed(e.into()))?;
                Ok(Rendered { text, frame: true })
            }
            Kind::Format(format) => match messages {
                [one] if one.role == "user" => {
                    Ok(Rendered { text: format.replace("{prompt}", &one.content), frame: true })
                }
                _ => Err(failed("this template takes one turn of the user and nothing else".into())),
            },
        }
    }
}

fn compile(source: String) -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    // As transformers renders them.
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |message: String| -> Result<Value, minijinja::Error> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_template_owned("chat", source)?;
    Ok(environment)
}

fn fill(environment: &Environment<'_>, messages: &[Message], names: &SpecialNames) -> Result<String, minijinja::Error> {
    let name = |n: &Option<String>| Value::from(n.clone().unwrap_or_default());
    environment.get_template("chat")?.render(context! {
        messages => messages.iter().map(turn).collect::<Vec<_>>(),
        add_generation_prompt => true,
        bos_token => name(&names.bos),
        eos_token => name(&names.eos),
        pad_token => name(&names.pad),
        unk_token => name(&names.unk),
    })
}

fn turn(message: &Message) -> Value {
    Value::from_pairs([("role", message.role.as_str()), ("content", message.content.as_str())])
}

fn describe(error: &minijinja::Error) -> String {
    match error.line() {
        Some(line) => format!("{error} (line {line})"),
        None => error.to_string(),
    }
}

fn beaver(messages: &[Message], eos: &str) -> Result<String, &'static str> {
    let mut text = String::from("BEGINNING OF CONVERSATION: ");
    for (i, message) in messages.iter().enumerate() {
        match (i % 2, message.role.as_str()) {
            (0, "user") => text.push_str(&format!("USER: {} ASSISTANT:", message.content)),
            (1, "assistant") => text.push_str(&format!("{}{eos}", message.content)),
            _ => return Err("user and assistant must take turns, the user first; there is no system turn"),
        }
    }
    if messages.len() % 2 == 1 { Ok(text) } else { Err("the last turn must be the user's") }
}
