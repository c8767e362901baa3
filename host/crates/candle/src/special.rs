//! The special tokens of a model: their names, from every file that spells them, and which of them end an answer.

use crate::{
    CandleError, DecoderConfig, GenerationConfig, Head, HfTokenizer, ModelFiles, facts::Facts, fields::Fields,
    generation_config::GENERATION_CONFIG, gguf::Gguf,
};
use inferenceguard_model::{ModelError, Token};
use serde_json::Value;

/// Files that spell special tokens; where they differ, the first one counts.
const SPELLED: [&str; 2] = ["tokenizer_config.json", "special_tokens_map.json"];

/// Keys of those files, and of the metadata of GGUF files.
const KEYS: [(&str, &str); 7] = [
    ("bos_token", "bos_token_id"),
    ("eos_token", "eos_token_id"),
    ("unk_token", "unknown_token_id"),
    ("pad_token", "padding_token_id"),
    ("sep_token", "seperator_token_id"),
    ("cls_token", "cls_token_id"),
    ("mask_token", "mask_token_id"),
];

/// How one source spells one special token.
struct Spelled {
    key: &'static str,
    token: String,
    from: String,
}

/// The special tokens of a model.
pub(crate) struct Special {
    spelled: Vec<Spelled>,
    /// Tokens that end an answer.
    pub(crate) ends: Vec<Token>,
}

/// What a configuration says, as far as tokens depend on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Basics<'a> {
    /// Tokens of the model.
    pub(crate) vocab: usize,
    /// Ids that end an answer.
    pub(crate) eos: &'a [Token],
    /// Whether it is a language model.
    pub(crate) generates: bool,
}

impl<'a> From<&'a DecoderConfig> for Basics<'a> {
    fn from(config: &'a DecoderConfig) -> Self {
        Self { vocab: config.vocab, eos: &config.eos, generates: config.head == Head::Language }
    }
}

impl Special {
    /// Reads every source.
    ///
    /// # Errors
    /// [`CandleError::Field`] for a value of another type, names of the beginning token that contradict each other, and
    /// ends that the model does not have.
    pub(crate) fn read(
        files: &ModelFiles,
        gguf: Option<&Gguf>,
        tokenizer: &HfTokenizer,
        known: (Basics<'_>, &GenerationConfig),
        facts: &mut Facts,
    ) -> Result<Self, CandleError> {
        let mut spelled = Vec::new();
        for file in SPELLED.into_iter().filter(|file| files.has(file)) {
            spelled.append(&mut names(files, file)?);
        }
        spelled.extend(gguf.into_iter().flat_map(|gguf| in_metadata(gguf, tokenizer)));
        let mut special = Self { spelled, ends: Vec::new() };
        special.compare(files, tokenizer, facts)?;
        special.ends = special.ends(files, gguf, tokenizer, known, facts)?;
        special.compare_frame(files, tokenizer, facts)?;
        Ok(special)
    }

    /// Notes where tokenizer_config.json asks for another token before or behind a text than tokenizer.json puts there.
    fn compare_frame(&self, files: &ModelFiles, tokenizer: &HfTokenizer, facts: &mut Facts) -> Result<(), CandleError> {
        const FILE: &str = SPELLED[0];
        if !files.has(FILE) {
            return Ok(());
        }
        let value = files.json(FILE, "the names of special tokens")?;
        let fields = Fields::new(&files.path().join(FILE), &value)?;
        let frame = tokenizer.encode_framed("", true).map_err(ModelError::from)?;
        let is = |key: &str, found: Option<&Token>| {
            found.is_some_and(|found| self.of(key).any(|one| tokenizer.id(&one.token) == Some(*found)))
        };
        let begins = is("bos_token", frame.first());
        // A tokenizer may have one token for both.
        let ends = is("eos_token", frame[usize::from(begins)..].last());
        for (flag, is_there) in [("add_bos_token", begins), ("add_eos_token", ends)] {
            if fields.flag_or(flag, is_there)? != is_there {
                let done =
                    if is_there { "puts it there" } else { "does not put it there, and neither does this program" };
                facts.warn(format!("{FILE}: `{flag}` is {}, and the tokenizer {done}", !is_there));
            }
        }
        Ok(())
    }

    /// How a special token is spelled: `bos_token`, `eos_token` and so on.
    pub(crate) fn name(&self, key: &str) -> Option<String> {
        self.of(key).next().map(|spelled| spelled.token.clone())
    }

    fn of(&self, key: &str) -> impl Iterator<Item = &Spelled> {
        self.spelled.iter().filter(move |spelled| spelled.key == key)
    }

    /// Notes what was taken. A beginning token with two names is an error: prompts would begin with one or the other.
    /// Several ends are joined; of the others, which only templates use, the first counts.
    fn compare(&self, files: &ModelFiles, tokenizer: &HfTokenizer, facts: &mut Facts) -> Result<(), CandleError> {
        for (key, _) in KEYS {
            let Some(first) = self.of(key).next() else { continue };
            for other in self.of(key).filter(|other| other.token != first.token && key != "eos_token") {
                let (path, found) = (files.path().join(&other.from), format!("{:?}", other.token));
                let expected = format!("{:?}, as {} says", first.token, first.from);
                match key {
                    "bos_token" => return Err(CandleError::Field { path, field: key.into(), found, expected }),
                    _ => facts.warn(format!("{}: `{key}` is {found}; taken is {expected}", other.from)),
                }
            }
            if tokenizer.id(&first.token).is_none() && key != "eos_token" {
                facts.warn(format!("{}: `{key}` is {:?}, which the tokenizer does not know", first.from, first.token));
            }
            let same = self.of(key).filter(|other| other.token == first.token);
            same.for_each(|one| facts.take(key, shown(&one.token, tokenizer.id(&one.token)), &one.from));
        }
        Ok(())
    }

    /// The tokens that end an answer: those of all sources.
    fn ends(
        &self,
        files: &ModelFiles,
        gguf: Option<&Gguf>,
        tokenizer: &HfTokenizer,
        (config, generation): (Basics<'_>, &GenerationConfig),
        facts: &mut Facts,
    ) -> Result<Vec<Token>, CandleError> {
        let settings = gguf.map_or_else(|| Ok("config.json".to_owned()), |gguf| gguf.settings(files))?;
        let mut found: Vec<(Token, &str, String)> = Vec::new();
        found.extend(generation.eos.iter().map(|id| (*id, "eos_token_id", GENERATION_CONFIG.to_owned())));
        found.extend(config.eos.iter().map(|id| (*id, "eos_token_id", settings.clone())));
        // Those of a GGUF file are ids, below.
        for spelled in self.of("eos_token").filter(|spelled| SPELLED.contains(&spelled.from.as_str())) {
            found.push((self.known(files, tokenizer, spelled)?, "eos_token", spelled.from.clone()));
        }
        let metadata = gguf.map(Gguf::ends).transpose()?.unwrap_or_default();
        found.extend(metadata.into_iter().map(|(id, key)| (id, key, gguf_name(gguf))));
        let mut ends = Vec::new();
        for (id, key, from) in found {
            inside(files, id, config.vocab, key, &from)?;
            facts.take("end token", shown(&tokenizer.spelling(id).unwrap_or_default(), Some(id)), &from);
            if !ends.contains(&id) {
                ends.push(id);
            }
        }
        if ends.is_empty() && config.generates {
            facts.assume("end token", "none");
            facts.warn("no file names an end token: every answer goes on to its most tokens".to_owned());
        }
        Ok(ends)
    }

    /// The id of an end token's name.
    fn known(&self, files: &ModelFiles, tokenizer: &HfTokenizer, spelled: &Spelled) -> Result<Token, CandleError> {
        tokenizer.id(&spelled.token).ok_or_else(|| CandleError::Field {
            path: files.path().join(&spelled.from),
            field: spelled.key.into(),
            found: format!("{:?}", spelled.token),
            expected: "a token that the tokenizer knows".into(),
        })
    }
}

fn gguf_name(gguf: Option<&Gguf>) -> String {
    gguf.map(Gguf::name).unwrap_or_default()
}

fn shown(token: &str, id: Option<Token>) -> String {
    id.map_or_else(|| format!("{token:?}"), |id| format!("{token:?} ({id})"))
}

fn inside(files: &ModelFiles, id: Token, vocab: usize, key: &str, from: &str) -> Result<(), CandleError> {
    if (id as usize) < vocab {
        return Ok(());
    }
    let expected = format!("a token of the model, below {vocab}");
    Err(CandleError::Field { path: files.path().join(from), field: key.into(), found: id.to_string(), expected })
}

/// What one JSON file spells. A token is a text, or an object with its text as `content`; null and an empty text say
/// nothing.
fn names(files: &ModelFiles, file: &str) -> Result<Vec<Spelled>, CandleError> {
    let value = files.json(file, "the names of special tokens")?;
    let fields = Fields::new(&files.path().join(file), &value)?;
    let mut spelled = Vec::new();
    for (key, _) in KEYS {
        let Some(found) = fields.get(key) else { continue };
        let token = found.as_str().or_else(|| found.get("content").and_then(Value::as_str));
        let token = token.ok_or_else(|| fields.wrong(key, found, "a text, or an object with `content`"))?;
        if !token.is_empty() {
            spelled.push(Spelled { key, token: token.to_owned(), from: file.to_owned() });
        }
    }
    Ok(spelled)
}

/// What the metadata of a GGUF file name by id.
fn in_metadata(gguf: &Gguf, tokenizer: &HfTokenizer) -> Vec<Spelled> {
    let spell = |id| tokenizer.spelling(id).or_else(|| gguf.token(id).map(str::to_owned));
    let named = KEYS.into_iter().filter_map(|(key, id)| Some((key, spell(gguf.token_id(id)?)?)));
    named.map(|(key, token)| Spelled { key, token, from: gguf.name() }).collect()
}
