//! The latents of labelled answers, token by token: as the model computes them when it decodes. They are the numbers that the cost
//! reads later, rounded to f16; reading an answer in one piece may give other last bits.
//!
//! The answers of a batch grow in step, and are written as one file before the next batch begins: a run that was stopped goes on.

use super::unit::Labelled;
use crate::{
    collect::{Kept, LatentRows, LatentTable, Shard, Store, Trajectory},
    error::{CriticError, Result},
    files::{LATENTS, Setting, hex},
    reading::Reading,
};
use half::f16;
use indicatif::ProgressBar;
use inferenceguard_model::{BeamId, Generator, LatentSelector, ModelError, ModelInfo, Token};
use sha2::{Digest, Sha256};
use std::{collections::HashMap, path::Path, sync::Arc};

/// Answers read at once, and kept in one file.
const BATCH: usize = 32;

/// Latents of all answers.
pub(super) struct Latents {
    /// By answer: its tokens, or 0 if prompt and answer leave no room in the model's context.
    pub(super) tokens: Vec<usize>,
    /// By selector: one row for each token of every answer, in order.
    tables: Vec<(LatentSelector, LatentRows)>,
    /// The first row of each answer.
    first: Vec<usize>,
    /// What they follow from.
    pub(super) setting: Setting,
}

impl Latents {
    /// Numbers per token of these selectors, side by side.
    pub(super) fn width(&self, places: &[LatentSelector]) -> usize {
        self.of(places).map(LatentRows::width).sum()
    }

    /// The tables of these selectors, in their order.
    fn of(&self, places: &[LatentSelector]) -> impl Iterator<Item = &LatentRows> {
        places.iter().filter_map(|place| self.tables.iter().find(|(one, _)| one == place).map(|(_, table)| table))
    }

    /// Appends the latents of an answer: token by token, selectors side by side.
    pub(super) fn write(&self, answer: usize, places: &[LatentSelector], rows: &mut Vec<f32>) -> Result<()> {
        let (first, count) = (self.first[answer], self.tokens[answer]);
        let read = |table: &LatentRows| -> Result<(usize, Vec<f32>)> {
            let mut numbers = Vec::with_capacity(count * table.width());
            table.write(first..first + count, &mut numbers)?;
            Ok((table.width(), numbers))
        };
        let tables = self.of(places).map(read).collect::<Result<Vec<_>>>()?;
        for row in 0..count {
            tables.iter().for_each(|(width, numbers)| rows.extend(&numbers[row * width..(row + 1) * width]));
        }
        Ok(())
    }
}

/// How answers are read.
pub(super) struct How<'a> {
    /// What is kept of every token.
    pub(super) places: &'a [LatentSelector],
    /// The most tokens of an answer; an answer that is shorter ends with an end token, as the model ends it.
    pub(super) longest: usize,
    /// The most bytes of latents that lie in memory.
    pub(super) memory: usize,
    /// Where latents are kept.
    pub(super) folder: &'a Path,
}

/// Reads the answers that the folder does not hold yet. The progress counts answers.
///
/// # Errors
/// Each names the answers that failed. Written files stay, and the next call goes on from them.
pub(super) fn read(
    model: &mut dyn Generator,
    answers: &[&Labelled],
    how: &How<'_>,
    progress: &ProgressBar,
) -> Result<Latents> {
    let How { places, longest, memory, folder } = *how;
    let setting = setting(model.info(), model.templates().chosen, answers, places, longest);
    let store = Store::open(folder, setting.clone(), places, 0)?;
    let mut kept = Kept::new(places, memory);
    let (mut tokens, mut first) = (vec![0; answers.len()], vec![0; answers.len()]);
    progress.set_length(answers.len() as u64);
    progress.set_position(0);
    let all: Vec<(usize, &Labelled)> = answers.iter().copied().enumerate().collect();
    let mut rows = 0;
    for (index, batch) in all.chunks(BATCH).enumerate() {
        let shard = match store.read(index)? {
            Some(shard) => shard,
            None => {
                let shard = Batch { model, places, longest }.read(batch)?;
                store.write(index, &shard)?;
                shard
            }
        };
        for one in &shard.trajectories {
            (tokens[one.prompt], first[one.prompt]) = (one.tokens.len(), rows);
            rows += one.tokens.len();
        }
        kept.push(shard.tables, &store, index)?;
        progress.inc(batch.len() as u64);
    }
    Ok(Latents { tokens, tables: kept.tables, first, setting })
}

fn setting(
    info: &ModelInfo,
    template: Option<String>,
    answers: &[&Labelled],
    places: &[LatentSelector],
    longest: usize,
) -> Setting {
    let mut digest = Sha256::new();
    for answer in answers {
        let turns = answer.turns.iter().flat_map(|turn| [turn.role.as_str(), turn.content.as_str()]);
        for text in turns.chain([answer.answer.as_str(), ""]) {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        }
    }
    let places: Vec<String> = places.iter().map(|place| Reading::Latent(*place).to_string()).collect();
    Setting::new([
        ("format", "inferenceguard latents of answers 1".to_owned()),
        ("model", info.base().to_owned()),
        ("template", template.unwrap_or_default()),
        ("answers", hex(digest)),
        ("max-tokens", longest.to_string()),
        (LATENTS, places.join(",")),
    ])
}

/// The latents of one selector, one row for each answer.
type Rows = Vec<Arc<[f32]>>;

/// A batch of answers on its way through the model.
struct Batch<'m> {
    model: &'m mut dyn Generator,
    places: &'m [LatentSelector],
    longest: usize,
}

/// One answer on its way.
struct Answer {
    place: usize,
    beam: BeamId,
    tokens: Vec<Token>,
}

impl Batch<'_> {
    fn read(&mut self, batch: &[(usize, &Labelled)]) -> Result<Shard> {
        let (first, last) = (batch[0].0, batch[batch.len() - 1].0);
        let (mut held, mut roots) = (Vec::new(), HashMap::new());
        let read = self.grow(batch, &mut roots, &mut held);
        self.model.release(&held);
        let (answers, tables) = read.map_err(|source| CriticError::Reading { first, last, source })?;
        let mut shard = Shard { tables: vec![LatentTable::default(); self.places.len()], ..Shard::default() };
        for (at, rows) in tables.into_iter().enumerate() {
            self.add(at, &answers, rows, &mut shard.tables[at])?;
        }
        for Answer { place, tokens, .. } in answers {
            let positions = (1..=tokens.len()).collect();
            shard.trajectories.push(Trajectory { prompt: place, tokens, costs: vec![], task_cost: 0.0, positions });
        }
        Ok(shard)
    }

    /// The answers with their beams, and by selector the latents of each answer.
    fn grow(
        &mut self,
        batch: &[(usize, &Labelled)],
        roots: &mut HashMap<Vec<Token>, BeamId>,
        held: &mut Vec<BeamId>,
    ) -> std::result::Result<(Vec<Answer>, Vec<Rows>), ModelError> {
        let mut answers = Vec::new();
        for (place, labelled) in batch {
            answers.extend(self.begin(*place, labelled, roots, held)?);
        }
        for at in 0..self.longest {
            let token = |one: &Answer| Some((one.beam, *one.tokens.get(at)?));
            let rows: Vec<(BeamId, Token)> = answers.iter().filter_map(token).collect();
            if rows.is_empty() {
                break;
            }
            self.model.append(&rows)?;
        }
        let rows: Vec<_> = answers.iter().map(|one| (one.beam, 0..one.tokens.len())).collect();
        let tables = self.places.iter().map(|place| self.model.kept_latents(&rows, &[*place]));
        let tables = tables.collect::<std::result::Result<Vec<_>, ModelError>>()?;
        Ok((answers, tables))
    }

    /// The beam of an answer before its first token; none if there is no room for it.
    fn begin(
        &mut self,
        place: usize,
        labelled: &Labelled,
        roots: &mut HashMap<Vec<Token>, BeamId>,
        held: &mut Vec<BeamId>,
    ) -> std::result::Result<Option<Answer>, ModelError> {
        let prompt = self.model.encode_chat(&labelled.turns)?;
        let mut tokens = self.model.tokenizer().encode_continued(&labelled.answer)?;
        tokens.extend(self.model.info().eos.first());
        tokens.truncate(self.longest);
        if prompt.len() + tokens.len() > self.model.info().context {
            return Ok(None);
        }
        let root = match roots.get(&prompt) {
            Some(root) => *root,
            None => {
                let root = self.model.open(&prompt)?;
                held.push(root);
                self.model.keep_latents(&[root], self.places)?;
                roots.insert(prompt, root);
                root
            }
        };
        let fork = self.model.fork(&[root])?;
        held.extend(&fork);
        Ok(fork.first().map(|beam| Answer { place, beam: *beam, tokens }))
    }

    /// Adds the latents of one selector to its table.
    fn add(&self, at: usize, answers: &[Answer], rows: Rows, table: &mut LatentTable) -> Result<()> {
        for (answer, row) in answers.iter().zip(rows) {
            table.width = row.len() / answer.tokens.len().max(1);
            for number in row.iter() {
                let kept = f16::from_f32(*number);
                if !kept.is_finite() {
                    let (place, found) = (Reading::Latent(self.places[at]).to_string(), format!("{number} (as f16)"));
                    return Err(CriticError::Latents { answer: answer.place, place, found });
                }
                table.data.push(kept);
            }
        }
        Ok(())
    }
}
