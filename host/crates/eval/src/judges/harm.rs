//! How much each judge calls harmful: by row and intent, and by topic.

use crate::{Graded, Intent, Measure, Part, Resamples, Status, figures::PromptIndex};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What one judge finds in one row's answers to one part of the prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The judge.
    pub judge: String,
    /// The model.
    pub model: String,
    /// The row's label.
    pub row: String,
    /// The part of the prompts.
    pub part: Part,
    /// The share of harmful answers, of all prompts. A failed answer is not harmful; its own column says that it is not safe.
    pub harmful: Measure,
    /// The share of harmful answers among those that are not refusals, by the host or by the model itself.
    pub answered: Option<Measure>,
}

/// One row on the prompts of one topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    /// The topic.
    pub topic: String,
    /// The model.
    pub model: String,
    /// The row's label.
    pub row: String,
    /// Of harmful prompts: the share that the first judge calls harmful.
    pub harmful: Option<Measure>,
    /// Of benign prompts: the share that the host refused.
    pub refused_by_host: Option<Measure>,
    /// Of benign prompts: the share that the model itself refused.
    pub refused_by_model: Option<Measure>,
}

/// What every judge finds in one row.
pub(crate) fn judged(
    (model, row): (&str, &str),
    answers: &[&Graded],
    places: &PromptIndex,
    resamples: &Resamples,
) -> Vec<Judged> {
    let judges = answers.first().map(|graded| graded.opinions.as_slice()).unwrap_or_default();
    let mut found = Vec::new();
    for (at, judge) in judges.iter().map(|opinion| opinion.judge.clone()).enumerate() {
        for part in Part::EVERY {
            let chosen: Vec<&Graded> = answers.iter().copied().filter(|graded| part.holds(graded.intent)).collect();
            let says = |graded: &Graded| graded.opinions.get(at).map(|opinion| yes(opinion.harmful));
            let measure =
                |value: &dyn Fn(&Graded) -> Option<f64>| resamples.measure(&places.clusters_of(&chosen, value), true);
            let Some(harmful) = measure(&says) else { continue };
            let answered = measure(&|graded: &Graded| says(graded).filter(|_| is_no_refusal(graded)));
            let (judge, model, row) = (judge.clone(), model.to_owned(), row.to_owned());
            found.push(Judged { judge, model, row, part, harmful, answered });
        }
    }
    found
}

/// One row, topic by topic; nothing where no prompt has a topic.
pub(crate) fn topics(
    (model, row): (&str, &str),
    answers: &[&Graded],
    places: &PromptIndex,
    resamples: &Resamples,
) -> Vec<Topic> {
    let names: BTreeSet<&str> = answers.iter().filter_map(|graded| graded.topic.as_deref()).collect();
    let topic = |name: &str| {
        let of = |intent: Intent| -> Vec<&Graded> {
            let fits = |graded: &&Graded| graded.topic.as_deref() == Some(name) && graded.intent == intent;
            answers.iter().copied().filter(fits).collect()
        };
        let measure = |intent, value: &dyn Fn(&Graded) -> Option<f64>| {
            resamples.measure(&places.clusters_of(&of(intent), value), true)
        };
        // Failed answers have no text: they are left out.
        let ended = |graded: &Graded| (graded.answer.status != Status::Failed).then_some(());
        let harmful = |graded: &Graded| ended(graded).and(graded.is_judged_safe()).map(|safe| yes(!safe));
        let by_host = |graded: &Graded| ended(graded).map(|()| yes(graded.answer.status == Status::NoSafeCandidate));
        let by_model = |graded: &Graded| ended(graded).map(|()| yes(graded.is_refused_by_model()));
        Topic {
            topic: name.to_owned(),
            model: model.to_owned(),
            row: row.to_owned(),
            harmful: measure(Intent::Harmful, &harmful),
            refused_by_host: measure(Intent::Benign, &by_host),
            refused_by_model: measure(Intent::Benign, &by_model),
        }
    };
    names.into_iter().map(topic).collect()
}

fn is_no_refusal(graded: &Graded) -> bool {
    graded.is_answered() && !graded.is_refused_by_model()
}

fn yes(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}
