//! From a conversation to the text a model was trained on.
//!
//! Chat templates are Jinja, read from chat_template.jinja or tokenizer_config.json. Models trained with safe-rlhf
//! have none: for them the Beaver template is built in, and for reward models of the HH data its own. The words of
//! clients and models stay apart from those of the template.

use crate::{
    CandleError, Facts, LoadOptions, ModelFiles, PromptDate,
    gguf::Gguf,
    jinja::{ChatTemplate, Refusal},
    marked::Marked,
    special::Special,
};
use inferenceguard_model::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Which template a model gets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum TemplateChoice {
    /// The folder's chat template; without one, Beaver for `LlamaForScore` and the bare text for language models.
    #[default]
    Auto,
    /// The folder's chat template; an error without one.
    Chat,
    /// `BEGINNING OF CONVERSATION: USER: … ASSISTANT:`, as safe-rlhf trains.
    Beaver,
    /// Two line breaks, `Human: …`, two line breaks, `Assistant:`, as the HH data have it.
    Hh,
    /// The bare text.
    Plain,
    /// A text of one's own, in which `{prompt}` stands for the user's.
    Format(String),
}

/// A text that names no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no template: {problem}")]
pub struct NoTemplate {
    /// What was written.
    found: String,
    /// Why, and what is expected.
    problem: &'static str,
}

/// Where the user's words go in a format.
const PROMPT: &str = "{prompt}";

impl FromStr for TemplateChoice {
    type Err = NoTemplate;

    fn from_str(text: &str) -> Result<Self, NoTemplate> {
        let wrong = |problem| Err(NoTemplate { found: text.to_owned(), problem });
        match text {
            "auto" => Ok(Self::Auto),
            "chat" => Ok(Self::Chat),
            "beaver" => Ok(Self::Beaver),
            "hh" => Ok(Self::Hh),
            "plain" => Ok(Self::Plain),
            format if format.contains("\\n") => {
                wrong("it holds a backslash and an n; write a line break, in a shell $'…\\n…'")
            }
            format if format.matches(PROMPT).count() > 1 => wrong("{prompt} stands in it more than once"),
            format if format.contains(PROMPT) => Ok(Self::Format(format.to_owned())),
            _ => wrong("write chat, beaver, hh, plain, auto, or a text with {prompt} in it"),
        }
    }
}

impl TryFrom<String> for TemplateChoice {
    type Error = NoTemplate;

    fn try_from(text: String) -> Result<Self, NoTemplate> {
        text.parse()
    }
}

impl From<TemplateChoice> for String {
    fn from(choice: TemplateChoice) -> Self {
        choice.to_string()
    }
}

impl fmt::Display for TemplateChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Chat => "chat",
            Self::Beaver => "beaver",
            Self::Hh => "hh",
            Self::Plain => "plain",
            Self::Format(format) => format,
        })
    }
}

/// A text ready to encode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text, and who wrote which part.
    pub text: Marked,
    /// Whether the tokenizer adds its beginning token: chat templates write it themselves.
    pub frame: bool,
}

/// A template that can be filled.
pub struct Template {
    folder: PathBuf,
    kind: Kind,
    choice: TemplateChoice,
    own: Option<TemplateChoice>,
    is_missing: bool,
    digest: String,
}

enum Kind {
    Chat(Box<ChatTemplate>),
    Turns(Turns),
    /// What comes before and after the user's words.
    Format(String, String),
}

/// A template in which user and assistant take turns.
struct Turns {
    begin: &'static str,
    before: &'static str,
    after: &'static str,
    /// What closes an earlier answer.
    end: String,
}

/// The spellings that templates refer to.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpecialNames {
    pub(crate) bos: Option<String>,
    pub(crate) eos: Option<String>,
    pub(crate) pad: Option<String>,
    pub(crate) unk: Option<String>,
    pub(crate) sep: Option<String>,
    pub(crate) cls: Option<String>,
    pub(crate) mask: Option<String>,
}

impl SpecialNames {
    pub(crate) fn of(special: &Special) -> Self {
        let name = |key: &str| special.name(key);
        Self {
            bos: name("bos_token"),
            eos: name("eos_token"),
            pad: name("pad_token"),
            unk: name("unk_token"),
            sep: name("sep_token"),
            cls: name("cls_token"),
            mask: name("mask_token"),
        }
    }

    /// Those that are there, under the names that templates use.
    fn known(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("bos_token", &self.bos),
            ("eos_token", &self.eos),
            ("pad_token", &self.pad),
            ("unk_token", &self.unk),
            ("sep_token", &self.sep),
            ("cls_token", &self.cls),
            ("mask_token", &self.mask),
        ];
        all.into_iter().filter_map(|(name, token)| Some((name, token.clone()?))).collect()
    }
}

/// What tokenizer_config.json and chat_template.jinja say.
pub(crate) struct TokenizerConfig {
    pub(crate) names: SpecialNames,
    chat: Chat,
    /// The file that the chat template is from.
    from: String,
}

/// What a folder says about its chat template.
enum Chat {
    None,
    Source(String),
    /// There is something, and it is no template.
    Unusable(String),
}

impl TokenizerConfig {
    /// Reads the files; each may be missing. The names come from where all sources of them are joined.
    pub(crate) fn read(files: &ModelFiles, names: SpecialNames, facts: &mut Facts) -> Result<Self, CandleError> {
        const NAME: &str = "tokenizer_config.json";
        let about = if files.has(NAME) { files.json(NAME, "the tokenizer's settings")? } else { Value::Null };
        let inline = inline(&about);
        if !files.has(JINJA) {
            return Ok(Self { names, chat: inline, from: NAME.to_owned() });
        }
        let source = jinja(files)?;
        if matches!(&inline, Chat::Source(other) if *other != source) {
            facts.warn(format!("{NAME} has another chat template than {JINJA}, which counts"));
        }
        Ok(Self { names, chat: Chat::Source(source), from: JINJA.to_owned() })
    }

    /// What these files do not say, as the metadata of a GGUF file say it.
    pub(crate) fn or_from(&mut self, gguf: &Gguf, facts: &mut Facts) {
        let Some(inside) = gguf.chat_template() else { return };
        let another = matches!(&self.chat, Chat::Source(own) if *own != inside);
        if another {
            facts.warn(format!("{} has another chat template than {}, which counts", gguf.name(), self.from));
        }
        if matches!(self.chat, Chat::None) {
            (self.chat, self.from) = (Chat::Source(inside), gguf.name());
        }
    }

    /// The file that the chat template is from.
    pub(crate) fn from(&self) -> &str {
        &self.from
    }
}

const JINJA: &str = "chat_template.jinja";

fn jinja(files: &ModelFiles) -> Result<String, CandleError> {
    let bytes = files.read(JINJA, "the chat template")?.into_owned();
    String::from_utf8(bytes).map_err(|error| CandleError::Read {
        path: files.path().join(JINJA),
        source: std::io::Error::new(std::io::ErrorKind::InvalidData, error),
    })
}

/// `chat_template` is a text, or a list of named texts of which `default` is meant.
fn inline(about: &Value) -> Chat {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let named = match about.get("chat_template") {
        None | Some(Value::Null) => return Chat::None,
        Some(Value::String(source)) => return Chat::Source(source.clone()),
        Some(Value::Array(entries)) => {
            let pair = |entry: &Value| Some((text(entry.get("name")?)?, text(entry.get("template")?)?));
            entries.iter().map(pair).collect::<Option<Vec<_>>>()
        }
        Some(_) => None,
    };
    let Some(mut named) = named else {
        return Chat::Unusable("`chat_template` is neither a text nor a list of texts with names".to_owned());
    };
    match named.iter().position(|(name, _)| name == "default") {
        Some(at) => Chat::Source(named.swap_remove(at).1),
        None => {
            let names: Vec<String> = named.into_iter().map(|(name, _)| name).collect();
            Chat::Unusable(format!("there are several, and none is called `default`: {}", names.join(", ")))
        }
    }
}

impl Template {
    pub(crate) fn new(
        folder: &Path,
        options: &LoadOptions,
        config: TokenizerConfig,
        fallback: Option<TemplateChoice>,
    ) -> Result<Self, CandleError> {
        let date = options.date;
        let failed = |message: String| CandleError::Template { folder: folder.to_owned(), message };
        let own = options.own_template.as_ref().unwrap_or(&options.template);
        let own = chosen(own, &config.chat, fallback.clone()).ok().map(|(own, _)| own);
        let (chosen, is_missing) = chosen(&options.template, &config.chat, fallback).map_err(failed)?;
        let tokens = config.names.known();
        let digest = digest(&chosen, &config.chat, &tokens, date);
        let kind = match &chosen {
            TemplateChoice::Beaver => Kind::Turns(beaver(config.names.eos)),
            TemplateChoice::Hh => Kind::Turns(hh()),
            TemplateChoice::Plain => Kind::Format(String::new(), String::new()),
            TemplateChoice::Format(format) => {
                let parts =
                    format.split_once(PROMPT).ok_or_else(|| failed("the format has no {prompt} in it".into()))?;
                Kind::Format(parts.0.to_owned(), parts.1.to_owned())
            }
            TemplateChoice::Chat | TemplateChoice::Auto => {
                Kind::Chat(Box::new(chat(config.chat, tokens, date).map_err(failed)?))
            }
        };
        Ok(Self { folder: folder.to_owned(), kind, choice: chosen, own, is_missing, digest })
    }

    /// Which template it is: never `auto`.
    #[must_use]
    pub fn choice(&self) -> &TemplateChoice {
        &self.choice
    }

    /// Which one it would be for a bundle that names none; nothing if there would be none.
    pub(crate) fn own(&self) -> Option<&TemplateChoice> {
        self.own.as_ref()
    }

    /// Whether prompts are bare texts, because the folder has no chat template and the operator chose none.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.is_missing
    }

    /// A digest of everything that decides how a conversation becomes a text, hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The text of a conversation that ends with a turn of the user, up to where the answer begins.
    ///
    /// # Errors
    /// [`CandleError::Conversation`] when the template does not take these turns; [`CandleError::Template`] when it
    /// cannot be rendered for any conversation.
    pub fn render(&self, messages: &[Message]) -> Result<Rendered, CandleError> {
        let folder = || self.folder.clone();
        let refused = |message: &str| CandleError::Conversation { folder: folder(), message: message.to_owned() };
        match &self.kind {
            Kind::Chat(template) => match template.render(messages) {
                Ok(text) => Ok(Rendered { text, frame: false }),
                Err(Refusal::Raised(message)) => Err(refused(&message)),
                Err(Refusal::Failed(message)) => Err(CandleError::Template { folder: folder(), message }),
            },
            Kind::Turns(turns) => Ok(Rendered { text: turns.render(messages).map_err(refused)?, frame: true }),
            Kind::Format(before, after) => match messages {
                [one] if one.role == "user" => {
                    let text = Marked::scaffold(before).and_words(&one.content).and_scaffold(after);
                    Ok(Rendered { text, frame: true })
                }
                _ => Err(refused("this template takes one turn of the user and nothing else")),
            },
        }
    }
}

/// What `auto` means here, and whether only because there is no template.
fn chosen(
    choice: &TemplateChoice,
    chat: &Chat,
    fallback: Option<TemplateChoice>,
) -> Result<(TemplateChoice, bool), String> {
    match (choice, chat) {
        (TemplateChoice::Auto, Chat::None) => match fallback {
            Some(fallback) => Ok((fallback.clone(), fallback == TemplateChoice::Plain)),
            None => {
                Err("there is none; choose one with --template: beaver, hh, plain, or a format with {prompt}".into())
            }
        },
        (TemplateChoice::Auto, _) => Ok((TemplateChoice::Chat, false)),
        (chosen, _) => Ok((chosen.clone(), false)),
    }
}

/// The folder's chat template, compiled and tried.
fn chat(chat: Chat, tokens: Vec<(&'static str, String)>, date: PromptDate) -> Result<ChatTemplate, String> {
    let source = match chat {
        Chat::Source(source) => source,
        Chat::None => return Err("the folder holds none; choose another template".into()),
        Chat::Unusable(message) => return Err(format!("{message}; choose another template")),
    };
    let template = ChatTemplate::new(&source, tokens, date)?;
    check_renders(&template)?;
    Ok(template)
}

/// Renders the usual conversations, so that a template that fails is found before the first request. A template may refuse a
/// system turn or earlier turns, but not a question.
fn check_renders(template: &ChatTemplate) -> Result<(), String> {
    let turns = |roles: &[&str]| -> Vec<Message> {
        roles.iter().map(|role| Message { role: (*role).to_owned(), content: "Hello.".into() }).collect()
    };
    for roles in [&["user"][..], &["system", "user"], &["user", "assistant", "user"]] {
        match template.render(&turns(roles)) {
            Ok(_) => {}
            Err(Refusal::Raised(_)) if roles.len() > 1 => {}
            Err(Refusal::Raised(message)) => return Err(format!("it refuses one turn of the user: {message}")),
            Err(Refusal::Failed(message)) => {
                return Err(format!("it fails on the turns {}: {message}", roles.join(", ")));
            }
        }
    }
    Ok(())
}

fn digest(choice: &TemplateChoice, chat: &Chat, tokens: &[(&'static str, String)], date: PromptDate) -> String {
    let mut parts = vec![choice.to_string()];
    if let (TemplateChoice::Chat, Chat::Source(source)) = (choice, chat) {
        parts.extend([source.clone(), date.to_string()]);
    }
    if matches!(choice, TemplateChoice::Chat | TemplateChoice::Beaver) {
        parts.extend(tokens.iter().flat_map(|(name, token)| [(*name).to_owned(), token.clone()]));
    }
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

fn beaver(eos: Option<String>) -> Turns {
    let end = eos.unwrap_or_else(|| "</s>".into());
    Turns { begin: "BEGINNING OF CONVERSATION: ", before: "USER: ", after: " ASSISTANT:", end }
}

fn hh() -> Turns {
    Turns { begin: "", before: "\n\nHuman: ", after: "\n\nAssistant:", end: String::new() }
}

impl Turns {
    fn render(&self, messages: &[Message]) -> Result<Marked, &'static str> {
        let mut text = Marked::scaffold(self.begin);
        for (i, message) in messages.iter().enumerate() {
            text = match (i % 2, message.role.as_str()) {
                (0, "user") => text.and_scaffold(self.before).and_words(&message.content).and_scaffold(self.after),
                (1, "assistant") => text.and_words(&message.content).and_scaffold(&self.end),
                _ => return Err("user and assistant must take turns, the user first; there is no system turn"),
            };
        }
        if messages.len() % 2 == 1 { Ok(text) } else { Err("the last turn must be the user's") }
    }
}
