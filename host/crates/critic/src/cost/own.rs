//! The model's own answers to prompts that ask for nothing harmful: harmless answers for a cost to learn from.
//!
//! Labelled answers often answer harmful questions only, and a cost that is learnt from them alone takes every plain answer for
//! harm. Nobody looks at the answers here: that they are harmless is assumed, so they are written to a file for reading.
//!
//! The answers of a batch of prompts are sampled together and written as one file before the next batch begins. Draws depend on the
//! seed and the prompt's place alone, so a run that was stopped goes on with the same answers.

use super::{
    labelled::{Labels, parse},
    unit::{Labelled, Unit},
};
use crate::{
    error::{CriticError, Result},
    files::{self, Setting, hex},
};
use indicatif::ProgressBar;
use inferenceguard_dice::Dice;
use inferenceguard_eval::{Dataset, Intent};
use inferenceguard_model::{BeamId, Generator, GrowRow, GrowingText, Growth, Message, ModelError, Pick, Token};
use inferenceguard_search::Sampling;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

/// Prompts answered at once, and kept in one file.
const BATCH: usize = 16;

/// The folder of the answers, in that of a run.
const FOLDER: &str = "own";
/// All own answers of a run, as JSON lines that `--data` takes.
pub const OWN: &str = "own.jsonl";

/// What the answers were made with.
const SETTING: &str = "setting.json";

/// A file of prompts, and how many of them are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HarmlessPrompts {
    /// As [`Dataset::read`] takes it.
    pub path: PathBuf,
    /// The most prompts, spread evenly over all; all if `None`.
    pub limit: Option<usize>,
}

impl FromStr for HarmlessPrompts {
    type Err = CriticError;

    /// `FILE`, or `FILE:N`.
    fn from_str(text: &str) -> Result<Self> {
        let limited = text.rsplit_once(':').and_then(|(path, limit)| Some((path, limit.parse().ok()?)));
        match limited {
            Some((_, 0)) => Err(CriticError::option("harmless-prompts", text, "FILE, or FILE:N with an N above 0")),
            Some((path, limit)) => Ok(Self { path: path.into(), limit: Some(limit) }),
            None => Ok(Self { path: text.into(), limit: None }),
        }
    }
}

impl HarmlessPrompts {
    /// The prompts, without those whose `intent` is `harmful`, each once.
    ///
    /// # Errors
    /// A file that cannot be read; [`CriticError::Option`] if every prompt asks for harm.
    pub fn read(&self) -> Result<Vec<String>> {
        let mut dataset = Dataset::read(&self.path)?;
        let found = dataset.prompts.len();
        let mut seen = BTreeSet::new();
        dataset.prompts.retain(|prompt| prompt.intent != Intent::Harmful && seen.insert(prompt.text.clone()));
        if dataset.prompts.is_empty() {
            let expected = "prompts whose `intent` is not `harmful`";
            return Err(CriticError::option("harmless-prompts", format!("{found} harmful prompts"), expected));
        }
        let dataset = dataset.limited(self.limit.unwrap_or(usize::MAX))?;
        Ok(dataset.prompts.into_iter().map(|prompt| prompt.text).collect())
    }
}

/// How the model answers.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnOptions {
    /// The folder of the run; answers go to `own/` and `own.jsonl` there.
    pub out: PathBuf,
    /// What it is asked.
    pub prompts: Vec<String>,
    /// How it is sampled.
    pub sampling: Sampling,
    /// The most tokens of an answer.
    pub max_tokens: usize,
    /// The seed of all draws.
    pub seed: u64,
    /// How much an answer counts, above 0.
    pub weight: f64,
}

/// The answers of the model as harmless ones; those that are there already are read. Prompts that leave no room for an answer are
/// left out. The progress counts prompts.
///
/// # Errors
/// [`CriticError::Sampling`] names the prompts that failed; written answers stay. [`CriticError::OtherSetting`] for answers of
/// another model or other options, [`CriticError::Damaged`] for files that were changed.
pub fn own_answers(model: &mut dyn Generator, options: &OwnOptions, progress: &ProgressBar) -> Result<Vec<Unit>> {
    options.check()?;
    let folder = options.out.join(FOLDER);
    files::folder(&folder)?;
    keep(&options.setting(model), &folder)?;
    progress.set_message("own answers");
    progress.set_length(options.prompts.len() as u64);
    progress.set_position(0);
    let prompts: Vec<(usize, &str)> = options.prompts.iter().map(String::as_str).enumerate().collect();
    let (mut units, mut all) = (Vec::new(), Vec::new());
    for (index, batch) in prompts.chunks(BATCH).enumerate() {
        let path = folder.join(format!("{index:05}.jsonl"));
        let mut asked = Asked { model, options };
        let due = asked.due(batch)?;
        let bytes = match files::read(&path)? {
            Some(bytes) => bytes,
            None => {
                let bytes = asked.answer(&due)?;
                files::write(&path, &bytes)?;
                bytes
            }
        };
        units.extend(parsed(&bytes, &due, options.weight).map_err(|found| damaged(&path, found))?);
        all.extend(bytes);
        progress.inc(batch.len() as u64);
    }
    files::write(&options.out.join(OWN), &all)?;
    Ok(units)
}

impl OwnOptions {
    fn check(&self) -> Result<()> {
        if self.max_tokens == 0 {
            return Err(CriticError::option("max-tokens", 0, "at least 1"));
        }
        if !(self.weight > 0.0 && self.weight.is_finite()) {
            return Err(CriticError::option("harmless-weight", self.weight, "a number above 0"));
        }
        match self.sampling.out_of_range() {
            None => Ok(()),
            Some(wrong) => Err(CriticError::option(wrong.field, wrong.found, wrong.expected)),
        }
    }

    fn setting(&self, model: &dyn Generator) -> Setting {
        let mut digest = Sha256::new();
        for prompt in &self.prompts {
            digest.update((prompt.len() as u64).to_le_bytes());
            digest.update(prompt);
        }
        Setting::new([
            ("format", "inferenceguard own answers 1".to_owned()),
            ("model", model.info().base().to_owned()),
            ("template", model.templates().chosen.unwrap_or_default()),
            ("prompts", format!("{} with sha256:{}", self.prompts.len(), hex(digest))),
            ("sampling", format!("{:?}", self.sampling)),
            ("max-tokens", self.max_tokens.to_string()),
            ("seed", self.seed.to_string()),
        ])
    }
}

/// Writes the setting beside the answers of a folder; refuses a folder whose answers were made with anything else.
fn keep(setting: &Setting, folder: &Path) -> Result<()> {
    let path = folder.join(SETTING);
    let Some(bytes) = files::read(&path)? else {
        let first = folder.join("00000.jsonl");
        if files::read(&first)?.is_some() {
            return Err(damaged(&first, format!("answers without {SETTING}")));
        }
        let written: BTreeMap<String, String> = setting.metadata().into_iter().collect();
        return files::write(&path, format!("{:#}\n", serde_json::json!(written)).as_bytes());
    };
    let found: HashMap<String, String> =
        serde_json::from_slice(&bytes).map_err(|error| damaged(&path, error.to_string()))?;
    setting.check(&path, Some(&found))
}

fn damaged(path: &Path, found: String) -> CriticError {
    CriticError::Damaged { path: path.to_owned(), found, expected: "the answers as the model gave them".to_owned() }
}

/// The answers of a file: one to each of these prompts, in their order.
fn parsed(bytes: &[u8], due: &[Due<'_>], weight: f64) -> std::result::Result<Vec<Unit>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let (mut units, mut missing) = (Vec::new(), due.iter());
    for line in text.lines() {
        for unit in parse(line, weight, "", Labels::Harm)? {
            let Unit::Single(answer) = unit else { return Err("a pair".to_owned()) };
            let asked = answer.turns.first().map_or("", |turn| turn.content.as_str());
            match missing.next() {
                Some(one) if one.text == asked => {}
                Some(one) => return Err(format!("an answer to `{asked}` in the place of one to `{}`", one.text)),
                None => return Err(format!("an answer to `{asked}`, which was not asked")),
            }
            units.push(Unit::Single(Labelled { own: true, ..answer }));
        }
    }
    missing.next().map_or(Ok(units), |one| Err(format!("no answer to `{}`", one.text)))
}

/// A prompt that leaves room for an answer.
struct Due<'p> {
    place: usize,
    text: &'p str,
    tokens: Vec<Token>,
}

/// A batch of prompts on its way.
struct Asked<'m> {
    model: &'m mut dyn Generator,
    options: &'m OwnOptions,
}

impl Asked<'_> {
    /// The prompts of a batch that are answered; the others leave no room.
    fn due<'p>(&self, batch: &[(usize, &'p str)]) -> Result<Vec<Due<'p>>> {
        let (most, mut due) = (self.model.info().context, Vec::new());
        for &(place, text) in batch {
            let tokens = self.model.encode_chat(&[Message::user(text)]);
            let tokens = tokens.map_err(|source| CriticError::Sampling { first: place, last: place, source })?;
            if tokens.len() + self.options.max_tokens <= most {
                due.push(Due { place, text, tokens });
            }
        }
        Ok(due)
    }

    /// The lines of the answers to these prompts.
    fn answer(&mut self, due: &[Due<'_>]) -> Result<Vec<u8>> {
        let (Some(first), Some(last)) = (due.first(), due.last()) else { return Ok(Vec::new()) };
        let mut held = Vec::new();
        let failed = |source| CriticError::Sampling { first: first.place, last: last.place, source };
        let answers = self.grow(due, &mut held).map_err(failed);
        self.model.release(&held);
        let line = |(prompt, response): &(&str, String)| {
            let line = serde_json::json!({ "prompt": prompt, "response": response, "harmful": false });
            format!("{line}\n")
        };
        Ok(answers?.iter().map(line).collect::<String>().into_bytes())
    }

    /// Prompts with the texts of their answers.
    fn grow<'p>(
        &mut self,
        due: &[Due<'p>],
        held: &mut Vec<BeamId>,
    ) -> std::result::Result<Vec<(&'p str, String)>, ModelError> {
        let mut opened: Vec<(usize, &'p str, BeamId, Arc<[Token]>)> = Vec::new();
        for Due { place, text, tokens } in due {
            let beam = self.model.open(tokens)?;
            held.push(beam);
            let tokens = tokens.iter().copied().collect::<BTreeSet<Token>>().into_iter().collect();
            opened.push((*place, *text, beam, tokens));
        }
        // A call has one prompt whose tokens are penalised.
        let together = if self.options.sampling.repetition_penalty == 1.0 { opened.len().max(1) } else { 1 };
        let mut answers = Vec::new();
        for rows in opened.chunks(together) {
            let growth = self.growth(&rows[0].3);
            let asked = rows.iter().map(|(place, _, beam, _)| self.row(*place, *beam)).collect();
            let grown = self.model.grow(&growth, asked)?;
            held.extend(grown.iter().flatten().map(|(beam, _)| *beam));
            if grown.len() != rows.len() {
                let (expected, found) = (format!("{} answers", rows.len()), grown.len().to_string());
                return Err(ModelError::Shape { what: "grown rows", expected, found });
            }
            let tokenizer = self.model.tokenizer();
            for ((_, text, ..), grown) in rows.iter().zip(grown) {
                let answer = GrowingText::continued(&*tokenizer).with(&*tokenizer, &grown?.1.tokens)?;
                answers.push((*text, answer.into_whole()));
            }
        }
        Ok(answers)
    }

    fn growth(&self, prompt: &Arc<[Token]>) -> Growth {
        Growth {
            max_tokens: u32::try_from(self.options.max_tokens).unwrap_or(u32::MAX),
            sampling: self.options.sampling.request(|| 0.0, 0, prompt, &[]),
            penalties: Vec::new(),
            end: self.model.info().eos.clone(),
            stop: Vec::new(),
        }
    }

    fn row(&self, place: usize, beam: BeamId) -> GrowRow {
        let mut dice = Dice::new(self.options.seed, &[68, place as u64]);
        let seed = (dice.unit() * 2f64.powi(53)) as u64;
        let greedy = self.options.sampling.temperature == 0.0;
        let pick = |_| if greedy { Pick::Rank(0) } else { Pick::Draw(dice.unit()) };
        let picks = (0..self.options.max_tokens).map(pick).collect();
        GrowRow { parent: beam, picks, seed, repeated: Vec::new(), text: GrowingText::default() }
    }
}
