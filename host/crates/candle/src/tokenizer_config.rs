//! What the files beside a tokenizer say about its chat template and its special tokens.

use crate::{CandleError, Facts, ModelFiles, gguf::Gguf, special::Special};
use serde_json::Value;

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

    /// The special tokens that the file states, under the names that templates use.
    pub(crate) fn known(&self) -> Vec<(&'static str, String)> {
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
    pub(crate) chat: Chat,
    /// The file that the chat template is from.
    from: String,
}

/// What a folder says about its chat template.
pub(crate) enum Chat {
    None,
    Source(String),
    /// There is something, and it is not a template.
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
