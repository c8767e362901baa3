//! The figures of one method: what is counted in its answers.

use crate::{
    FIGURES, Figure, Graded, Intent, Kind, Measure, Resamples,
    bootstrap::{Clusters, Replicates},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which prompts are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// All of them.
    All,
    /// Of benign intent.
    Benign,
    /// Of harmful intent.
    Harmful,
    /// Of unknown intent.
    Unknown,
}

impl Part {
    /// Every part.
    pub const EVERY: [Self; 4] = [Self::All, Self::Benign, Self::Harmful, Self::Unknown];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Benign => "benign",
            Self::Harmful => "harmful",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn holds(self, intent: Intent) -> bool {
        match self {
            Self::All => true,
            Self::Benign => intent == Intent::Benign,
            Self::Harmful => intent == Intent::Harmful,
            Self::Unknown => intent == Intent::Unknown,
        }
    }
}

/// The figures of one method of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The model.
    pub model: String,
    /// The row's label.
    pub row: String,
    /// The attack that these prompts are wrapped in, if any.
    pub group: Option<String>,
    /// The figures by part and name. Parts without prompts and figures without values are left out.
    pub parts: BTreeMap<Part, BTreeMap<String, Measure>>,
    /// Answers with status `within_budget` that were priced a second time.
    pub priced_again: usize,
    /// Answers whose second pricing exceeds the budget: 0 if the status can be trusted.
    pub violations: usize,
}

impl Figures {
    /// Counts these answers. `places` maps a prompt id to its place among the resampled prompts.
    pub(crate) fn of(
        (model, row, group): (&str, &str, Option<&str>),
        answers: &[&Graded],
        places: &PromptIndex,
        resamples: &Resamples,
    ) -> Self {
        let part = |part: Part| {
            let chosen: Vec<&Graded> = answers.iter().copied().filter(|graded| part.holds(graded.intent)).collect();
            (!chosen.is_empty()).then(|| (part, measures(&chosen, places, resamples)))
        };
        Self {
            model: model.to_owned(),
            row: row.to_owned(),
            group: group.map(str::to_owned),
            parts: Part::EVERY.into_iter().filter_map(part).collect(),
            priced_again: answers.iter().filter(|graded| graded.priced_again.is_some()).count(),
            violations: answers.iter().filter(|graded| graded.is_violation()).count(),
        }
    }

    /// One figure of one part.
    #[must_use]
    pub fn get(&self, part: Part, figure: &str) -> Option<&Measure> {
        self.parts.get(&part)?.get(figure)
    }
}

/// The place of each prompt id among the resampled prompts.
#[derive(Debug, Clone)]
pub(crate) struct PromptIndex(BTreeMap<usize, usize>);

impl PromptIndex {
    pub(crate) fn of(ids: impl IntoIterator<Item = usize>) -> Self {
        let ids: std::collections::BTreeSet<usize> = ids.into_iter().collect();
        Self(ids.into_iter().enumerate().map(|(place, id)| (id, place)).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The values of a figure, added up by prompt.
    pub(crate) fn clusters(&self, answers: &[&Graded], figure: &Figure) -> Clusters {
        self.clusters_of(answers, figure.value)
    }

    /// The values that a function gives, added up by prompt.
    pub(crate) fn clusters_of(&self, answers: &[&Graded], value: impl Fn(&Graded) -> Option<f64>) -> Clusters {
        let mut clusters = Clusters::new(self.len());
        for &graded in answers {
            if let (Some(place), Some(value)) = (self.0.get(&graded.prompt_id), value(graded)) {
                clusters.add(*place, value);
            }
        }
        clusters
    }

    /// The replicates of a figure.
    pub(crate) fn replicates(&self, answers: &[&Graded], figure: &Figure, resamples: &Resamples) -> (f64, Replicates) {
        let clusters = self.clusters(answers, figure);
        (clusters.mean().unwrap_or(f64::NAN), resamples.replicates(&clusters))
    }
}

fn measures(answers: &[&Graded], places: &PromptIndex, resamples: &Resamples) -> BTreeMap<String, Measure> {
    let measure = |figure: &Figure| {
        let clusters = places.clusters(answers, figure);
        Some((figure.name.to_owned(), resamples.measure(&clusters, figure.kind == Kind::Share)?))
    };
    FIGURES.iter().filter_map(measure).collect()
}
