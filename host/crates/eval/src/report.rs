//! What an evaluation found.

use crate::{
    Agreement, CostSpread, Figures, Graded, Journal, JudgeReport, Judged, Origin, Pair, Resamples, Row, Settings,
    Topic, costs,
    figures::PromptIndex,
    judges,
    pairs::{Side, pairs},
    paper,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// What an evaluation found. Its JSON holds the answers only if they are put in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What was run.
    pub settings: Settings,
    /// Where the answers come from.
    pub origin: Origin,
    /// How many prompts.
    pub prompts: usize,
    /// How many answers there are, and how many there will be.
    pub progress: (usize, usize),
    /// One entry per model and row.
    pub figures: Vec<Figures>,
    /// The same for each group of prompts, if they are dressed in attacks.
    pub groups: Vec<Figures>,
    /// Every two rows of a model.
    pub pairs: Vec<Pair>,
    /// The judges and how they do on rated answers, if there are others than the demonstration's, or rated answers. The caller
    /// sets them: [`Report::new`] knows only what they say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub judges: Vec<JudgeReport>,
    /// What each judge finds in each row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<Judged>,
    /// Every two judges.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agreement: Vec<Agreement>,
    /// Each row by topic, where the prompts have topics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<Topic>,
    /// Where the costs of each row's answers lie, the budget being the end of the scale.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub costs: Vec<CostSpread>,
    /// Every answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Graded>,
}

impl Report {
    /// Counts what the journal holds.
    #[must_use]
    pub fn new(settings: &Settings, journal: &Journal) -> Self {
        Self::with_draws(settings, journal, Resamples::DRAWS)
    }

    /// As [`Report::new`], with another number of draws for the intervals.
    #[must_use]
    pub fn with_draws(settings: &Settings, journal: &Journal, draws: usize) -> Self {
        let answers = journal.answers();
        let places = PromptIndex::of(answers.iter().map(|graded| graded.prompt_id));
        let resamples = Resamples::new(places.len(), draws, Resamples::SEED);
        let apart = [true, false].into_iter().all(|attack| answers.iter().any(|one| one.group.is_some() == attack));
        let count = Counting { answers, places: &places, resamples: &resamples, apart };
        let due = settings.dataset.prompts * settings.seeds.len() * settings.rows.len() * settings.models.len();
        let missing = journal.origin().skipped.len() * settings.dataset.prompts * settings.seeds.len();
        Self {
            settings: settings.clone(),
            origin: journal.origin().clone(),
            prompts: settings.dataset.prompts,
            progress: (answers.len(), due.saturating_sub(missing)),
            figures: count.figures(settings, None),
            groups: count.groups().into_iter().flat_map(|group| count.figures(settings, Some(&group))).collect(),
            pairs: settings.models.iter().flat_map(|model| count.pairs(&model.name, &settings.rows)).collect(),
            judges: Vec::new(),
            judged: count.by_row(settings, judges::judged),
            agreement: judges::agreements(answers, &places, &resamples),
            topics: count.by_row(settings, judges::topics),
            costs: count.by_row(settings, costs::spread),
            answers: answers.to_vec(),
        }
    }

    /// Answers with status `within_budget` that a second pricing does not confirm, over all methods.
    #[must_use]
    pub fn violations(&self) -> usize {
        self.figures.iter().map(|figures| figures.violations).sum()
    }

    /// The row of this label.
    #[must_use]
    pub fn row(&self, label: &str) -> Option<&Row> {
        self.settings.rows.iter().find(|row| row.label == label)
    }

    /// Whether this is the demonstration: its numbers must not be read beside the paper's.
    #[must_use]
    pub fn is_demo(&self) -> bool {
        self.settings.judge.is_some()
    }

    /// Whether the paper's numbers stand beside these.
    pub(crate) fn compares_with_paper(&self) -> bool {
        self.is_demo() || self.paper_model().is_some()
    }

    /// The paper's base model that this evaluation repeats, if it follows a recipe.
    #[must_use]
    pub fn paper_model(&self) -> Option<&'static str> {
        match self.settings.recipe.as_deref() {
            Some("paper-alpaca") => Some(paper::MODELS[0]),
            Some("paper-beaver") => Some(paper::MODELS[1]),
            _ => None,
        }
    }
}

/// Finds something in the answers of one row of one model.
type Find<T> = fn((&str, &str), &[&Graded], &PromptIndex, &Resamples) -> Vec<T>;

/// Answers, and the draws that all figures share.
struct Counting<'a> {
    answers: &'a [Graded],
    places: &'a PromptIndex,
    resamples: &'a Resamples,
    /// Whether some prompts are attacks and others are not. The figures of all prompts then leave the attacks out.
    apart: bool,
}

impl Counting<'_> {
    fn groups(&self) -> Vec<String> {
        let mut groups: Vec<String> = Vec::new();
        let named = self.answers.iter().filter_map(|graded| graded.group.as_ref());
        for group in named {
            if !groups.contains(group) {
                groups.push(group.clone());
            }
        }
        groups
    }

    fn of(&self, model: &str, row: &str, group: Option<&str>) -> Vec<&Graded> {
        let in_group = |graded: &Graded| match group {
            Some(_) => graded.group.as_deref() == group,
            None => !(self.apart && graded.group.is_some()),
        };
        let fits = |graded: &&Graded| graded.model == model && graded.row == row && in_group(graded);
        self.answers.iter().filter(fits).collect()
    }

    fn figures(&self, settings: &Settings, group: Option<&str>) -> Vec<Figures> {
        let mut all = Vec::new();
        for (model, row) in settings.models.iter().flat_map(|model| settings.rows.iter().map(move |row| (model, row))) {
            let answers = self.of(&model.name, &row.label, group);
            if !answers.is_empty() {
                all.push(Figures::of((&model.name, &row.label, group), &answers, self.places, self.resamples));
            }
        }
        all
    }

    /// What a function finds in the answers of every row.
    fn by_row<T>(&self, settings: &Settings, find: Find<T>) -> Vec<T> {
        let mut all = Vec::new();
        for (model, row) in settings.models.iter().flat_map(|model| settings.rows.iter().map(move |row| (model, row))) {
            let answers = self.of(&model.name, &row.label, None);
            all.extend(find((&model.name, &row.label), &answers, self.places, self.resamples));
        }
        all
    }

    fn pairs(&self, model: &str, rows: &[Row]) -> Vec<Pair> {
        let side = |row| Side { row, answers: self.of(model, &row.label, None) };
        let sides: Vec<Side<'_>> = rows.iter().map(side).filter(|side| !side.answers.is_empty()).collect();
        // Only prompts that every row answered can be paired.
        let ids = |side: &Side<'_>| side.answers.iter().map(|graded| graded.prompt_id).collect::<BTreeSet<_>>();
        let common = sides.iter().map(ids).reduce(|a, b| &a & &b).unwrap_or_default();
        let kept = |graded: &&Graded| common.contains(&graded.prompt_id);
        let sides: Vec<Side<'_>> = sides
            .into_iter()
            .map(|side| Side { row: side.row, answers: side.answers.into_iter().filter(kept).collect() })
            .collect();
        pairs(model, &sides, self.places, self.resamples)
    }
}
