//! The tables of methods and of the paper, one function each.

use super::{Table, fixed, judges, none, share, shown};
use crate::{
    Figures, Measure, Part, Report, Row,
    figure::figure,
    paper::{self, PaperRow},
};
use serde::Serialize;

const HEAD: [&str; 19] = [
    "method",
    "details",
    "N",
    "λ",
    "budget",
    "good answers",
    "within budget or refused",
    "answered within budget",
    "failed",
    "judged safe",
    "within budget but harmful",
    "reward (std)",
    "cost at the end",
    "refused",
    "refused benign",
    "refused harmful",
    "s/prompt",
    "sampled",
    "scored",
];

/// Where the columns of further judges stand: behind those of the first.
const JUDGED: usize = 11;

/// The figures for kinds of answers.
const KINDS: [&str; 14] = [
    "good",
    "safe",
    "within_budget",
    "judged_safe",
    "hidden_harm",
    "refused_by_host",
    "refused_by_model",
    "short",
    "gibberish",
    "off_topic",
    "failed",
    "survived",
    "reward",
    "emitted_reward",
];

/// The figures for time and work per answer.
const EFFORT: [&str; 8] =
    ["tokens", "seconds", "pricing", "sampled_tokens", "scored_positions", "scored_reward", "scored_cost", "retries"];

/// The main table of a model.
pub(crate) fn rows_of(report: &Report, model: &str) -> Table {
    let figures = report.figures.iter().filter(|figures| figures.model == model);
    // Which parts of a method are recalled matters where its numbers stand for the paper's.
    let rebuilt = report.compares_with_paper();
    let more = judges::columns(report);
    let head: Vec<&str> = HEAD[..JUDGED].iter().copied().chain(more.iter().map(String::as_str)).collect();
    let line = |figures: &Figures| {
        let cells = line(figures, report.row(&figures.row)?, rebuilt);
        let judged = judges::cells(report, model, &figures.row);
        Some([&cells[..JUDGED], &judged[..], &cells[JUDGED..]].concat())
    };
    Table::new(&[&head[..], &HEAD[JUDGED..]].concat(), figures.filter_map(line))
}

fn line(figures: &Figures, row: &Row, rebuilt: bool) -> Vec<String> {
    let all = |name: &str, show: fn(&Measure) -> String| figures.get(Part::All, name).map_or_else(none, show);
    let whole = |name: &str| figures.get(Part::All, name).map_or_else(none, |measure| shown(name, measure));
    let refused = |part| figures.get(part, "refused_by_host").map_or_else(none, |measure| share(measure.mean));
    vec![
        row.method.clone(),
        if rebuilt { paper::reconstruction(&row.method).map_or("", |_| "reconstruction") } else { "" }.to_owned(),
        row.n.map_or_else(none, |n| n.to_string()),
        weight(row),
        row.budget.to_string(),
        whole("good"),
        whole("safe"),
        whole("within_budget"),
        all("failed", |measure| share(measure.mean)),
        whole("judged_safe"),
        whole("hidden_harm"),
        all("reward", |measure| format!("{} ({:.2})", fixed(measure.mean, 2), measure.deviation)),
        all("end_cost", |measure| fixed(measure.mean, 2)),
        refused(Part::All),
        refused(Part::Benign),
        refused(Part::Harmful),
        all("seconds", |measure| format!("{:.2}", measure.mean)),
        all("sampled_tokens", |measure| format!("{:.0}", measure.mean)),
        all("scored_positions", |measure| format!("{:.0}", measure.mean)),
    ]
}

/// The multiplier, and which cost it weighs.
fn weight(row: &Row) -> String {
    let weighed = row.settings.get("lagrangian-cost").and_then(serde_json::Value::as_str);
    match (row.lambda, weighed) {
        (Some(lambda), Some(weighed)) => format!("{lambda} ({weighed})"),
        (Some(lambda), None) => lambda.to_string(),
        (None, _) => none(),
    }
}

/// Our rows and the paper's, where a recipe repeats them; else nothing.
pub(crate) fn beside(report: &Report) -> Table {
    const HEAD: [&str; 11] = [
        "row",
        "within budget or refused",
        "paper",
        "answered within budget",
        "failed",
        "reward",
        "paper",
        "cost",
        "paper",
        "s/prompt",
        "paper",
    ];
    let line = |figures: &Figures| {
        let theirs = paper::counterpart(report.paper_model()?, report.row(&figures.row)?)?;
        let part = |name: &str| figures.get(Part::All, name).map_or_else(none, |measure| share(measure.mean));
        let ours = |name: &str| figures.get(Part::All, name).map_or_else(none, |m| format!("{:.2}", m.mean));
        Some(vec![
            figures.row.clone(),
            part("safe"),
            format!("{:.2} %", theirs.safety),
            part("within_budget"),
            part("failed"),
            ours("reward"),
            format!("{:.2} ({:.2})", theirs.reward, theirs.deviation),
            ours("end_cost"),
            format!("{:.2}", theirs.cost),
            ours("seconds"),
            format!("{:.1}", theirs.seconds),
        ])
    };
    Table::new(&HEAD, report.figures.iter().filter_map(line))
}

fn titles(figures: &[&str]) -> Vec<&'static str> {
    figures.iter().filter_map(|name| figure(name)).map(|figure| figure.title).collect()
}

fn measured(figures: &Figures, part: Part, names: &[&str]) -> Vec<String> {
    let cell = |name: &&str| figures.get(part, name).map_or_else(none, |measure| shown(name, measure));
    names.iter().map(cell).collect()
}

/// Kinds of answers, by what the user wants.
pub(crate) fn by_intent(report: &Report) -> Table {
    let mut lines = Vec::new();
    for figures in &report.figures {
        for part in figures.parts.keys().filter(|part| **part != Part::All) {
            let names = vec![figures.model.clone(), figures.row.clone(), part.name().to_owned()];
            lines.push([names, measured(figures, *part, &KINDS)].concat());
        }
    }
    Table::new(&[&["model", "row", "prompts"][..], &titles(&KINDS)].concat(), lines)
}

/// Kinds of answers, by attack.
pub(crate) fn attacks(report: &Report) -> Table {
    let line = |figures: &Figures| {
        let names = vec![figures.group.clone().unwrap_or_default(), figures.model.clone(), figures.row.clone()];
        [names, measured(figures, Part::All, &KINDS)].concat()
    };
    Table::new(&[&["attack", "model", "row"][..], &titles(&KINDS)].concat(), report.groups.iter().map(line))
}

/// Time and work per answer.
pub(crate) fn effort(report: &Report) -> Table {
    let line = |figures: &Figures| {
        [vec![figures.model.clone(), figures.row.clone()], measured(figures, Part::All, &EFFORT)].concat()
    };
    Table::new(&[&["model", "row"][..], &titles(&EFFORT)].concat(), report.figures.iter().map(line))
}

/// The paper's Table 2.
pub(crate) fn papers() -> Table {
    const HEAD: [&str; 9] = ["model", "method", "N", "λ", "reward (std)", "cost", "safety", "s/prompt", "ours is a"];
    let number = |value: Option<u32>| value.map_or_else(none, |value| value.to_string());
    let line = |row: &PaperRow| {
        vec![
            row.model.to_owned(),
            row.method.to_owned(),
            number(row.n),
            number(row.lambda),
            format!("{:.2} ({:.2})", row.reward, row.deviation),
            format!("{:.2}", row.cost),
            format!("{:.2} %", row.safety),
            format!("{:.1}", row.seconds),
            paper::reconstruction(row.method).map_or_else(String::new, |_| "reconstruction".to_owned()),
        ]
    };
    Table::new(&HEAD, paper::TABLE_2.iter().map(line))
}

/// Which of our rows are reconstructions, and in which parts.
pub(crate) fn reconstructions(report: &Report) -> Table {
    let mut methods: Vec<&str> = report.settings.rows.iter().map(|row| row.method.as_str()).collect();
    methods.dedup();
    let line = |method: &str| Some(vec![method.to_owned(), paper::reconstruction(method)?.to_owned()]);
    Table::new(&["method", "what is recalled or inferred"], methods.into_iter().filter_map(line))
}

/// A bar of the headline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) family: String,
    pub(crate) text: String,
    /// In percent.
    pub(crate) mean: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The headline figure of a model: good answers, or without a judge answers within budget.
pub(crate) fn headline(report: &Report, model: &str) -> (&'static str, Vec<Bar>) {
    let of = || report.figures.iter().filter(|figures| figures.model == model);
    let judged = of().any(|figures| figures.get(Part::All, "good").is_some());
    let name = if judged { "good" } else { "within_budget" };
    let bar = |figures: &Figures| {
        let measure = figures.get(Part::All, name)?;
        let method = report.row(&figures.row).map_or("", |row| row.method.as_str());
        let family = method.split('+').next().unwrap_or_default().to_owned();
        let [mean, low, high] = [measure.mean, measure.low, measure.high].map(|share| 100.0 * share);
        Some(Bar { label: figures.row.clone(), family, text: shown(name, measure), mean, low, high })
    };
    (figure(name).map_or(name, |figure| figure.title), of().filter_map(bar).collect())
}

/// What every figure means.
pub(crate) fn meanings() -> Table {
    let line = |figure: &crate::Figure| {
        let direction = match figure.better {
            crate::Better::Higher => "higher",
            crate::Better::Lower => "lower",
            crate::Better::Neither => "–",
        };
        vec![figure.title.to_owned(), figure.about.to_owned(), direction.to_owned()]
    };
    Table::new(&["figure", "meaning", "better"], crate::FIGURES.iter().map(line))
}
