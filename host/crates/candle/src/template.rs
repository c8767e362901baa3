//! From a conversation to the text a model was trained on.
//!
//! Chat templates are Jinja, read from chat_template.jinja or tokenizer_config.json. Models trained with safe-rlhf
//! have none: for them the Beaver template is built in, and for reward models of the HH data its own. The words of
//! clients and models stay apart from those of the template.

use crate::{
    CandleError, LoadOptions, PromptDate, TemplateChoice,
    jinja::{ChatTemplate, Refusal},
    marked::Marked,
    template_choice::PROMPT,
    tokenizer_config::{Chat, TokenizerConfig},
};
use inferenceguard_model::{Message, TemplateNames};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

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

    /// Which template it is, and which one it would be for a bundle that names none; nothing if there would be none.
    #[must_use]
    pub fn names(&self) -> TemplateNames {
        TemplateNames { chosen: Some(self.choice.to_string()), own: self.own.as_ref().map(ToString::to_string) }
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
