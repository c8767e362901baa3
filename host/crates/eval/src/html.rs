//! The report as one self-contained page: without network and scripts.

use crate::{
    EvalError, Graded, ModelId, Origin, Report, Settings,
    plots::{self, Picture},
    table::{self, Table},
};
use minijinja::{Environment, value::Serde};
use serde::Serialize;

/// The template's name. Its ending makes the engine escape values.
const PAGE: &str = "report.html";
const TEMPLATE: &str = include_str!("report.html");
/// The ink and the background of a picture's file, as the plotting library writes them.
const INK: &str = "\"#1F2328\"";
const WHITE: &str = "\"#FFFFFF\"";

/// The page's part about one model.
#[derive(Serialize)]
struct Model {
    name: String,
    fingerprint: String,
    headline: &'static str,
    bars: Vec<table::Bar>,
    rows: Table,
    pictures: Vec<Drawn>,
    answers: Vec<Shown>,
    prompt: Option<String>,
    matrices: Vec<table::Matrix>,
}

/// A picture, prepared for the page.
#[derive(Serialize)]
struct Drawn {
    name: String,
    caption: String,
    svg: String,
}

/// One answer of Figure 4.
#[derive(Serialize)]
struct Shown {
    row: String,
    verdict: String,
    text: String,
}

/// Everything the template reads.
#[derive(Serialize)]
struct Page<'a> {
    heading: &'static str,
    demo: bool,
    models: Vec<Model>,
    notes: Vec<String>,
    beside: Table,
    intents: Table,
    judged: Table,
    judged_note: &'static str,
    agreement: Table,
    agreement_note: &'static str,
    checks: Table,
    checks_note: &'static str,
    topics: Table,
    topics_note: &'static str,
    quality: Table,
    quality_note: &'static str,
    costs: Table,
    costs_note: &'static str,
    attacks: Table,
    effort: Table,
    equal: Table,
    pairs_note: &'static str,
    papers: Table,
    reconstructions: Table,
    meanings: Table,
    settings: &'a Settings,
    settings_text: String,
    origin: &'a Origin,
}

/// The page.
///
/// # Errors
/// [`EvalError::Page`], [`EvalError::Json`].
pub fn page(report: &Report, pictures: &[Picture]) -> Result<String, EvalError> {
    let mut environment = Environment::new();
    environment.add_template(PAGE, TEMPLATE)?;
    let compares = report.compares_with_paper();
    let page = Page {
        heading: if report.is_demo() { table::NOT_COMPARABLE } else { table::MEASURED },
        demo: report.is_demo(),
        models: report.settings.models.iter().map(|one| model(report, one, pictures)).collect(),
        notes: table::foot(report),
        beside: table::beside(report),
        intents: table::by_intent(report),
        judged: table::judged(report),
        judged_note: table::JUDGED,
        agreement: table::agreement(report),
        agreement_note: table::AGREEMENT,
        checks: table::checks(report),
        checks_note: table::CHECKS,
        topics: table::topics(report),
        topics_note: table::TOPICS,
        quality: table::quality(report),
        quality_note: table::QUALITY,
        costs: table::costs(report),
        costs_note: table::COSTS,
        attacks: table::attacks(report),
        effort: table::effort(report),
        equal: table::equal(report),
        pairs_note: table::PAIRS,
        papers: if compares { table::papers() } else { Table::new(&[], []) },
        reconstructions: if compares { table::reconstructions(report) } else { Table::new(&[], []) },
        meanings: table::meanings(),
        settings: &report.settings,
        settings_text: serde_json::to_string_pretty(&report.settings)?,
        origin: &report.origin,
    };
    Ok(environment.get_template(PAGE)?.render(Serde(&page))?)
}

fn model(report: &Report, id: &ModelId, pictures: &[Picture]) -> Model {
    let name = id.name.as_str();
    let (headline, bars) = table::headline(report, name);
    let answers: Vec<&Graded> = report.answers.iter().filter(|graded| graded.model == name).collect();
    let sample = plots::sample(report, &answers).unwrap_or_default();
    let figures = [("good", false), ("good", true), ("safe", false), ("within_budget", false), ("judged_safe", false)];
    Model {
        name: name.to_owned(),
        fingerprint: id.fingerprint.clone(),
        headline,
        bars,
        rows: table::rows_of(report, name).without_empty(),
        pictures: pictures.iter().filter(|picture| picture.model == name && !picture.is_text).map(drawn).collect(),
        prompt: sample.first().map(|graded| graded.prompt.clone()),
        answers: sample.iter().map(|graded| shown(graded)).collect(),
        matrices: figures
            .into_iter()
            .filter_map(|(figure, fails)| table::matrix(report, name, figure, fails))
            .collect(),
    }
}

/// Gives a picture the page's colours for ink and background, so that it is readable in light and dark mode.
fn drawn(picture: &Picture) -> Drawn {
    let svg = picture.svg.replace(INK, "\"currentColor\"").replace(WHITE, "\"none\"");
    Drawn { name: picture.name.clone(), caption: picture.caption.clone(), svg }
}

fn shown(graded: &Graded) -> Shown {
    let (row, verdict) = (graded.row.clone(), plots::verdict_text(graded));
    Shown { row, verdict, text: graded.answer.text.clone() }
}
