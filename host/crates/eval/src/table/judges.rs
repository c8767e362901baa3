//! The tables about judges: what each finds, how far they agree, and how they do on answers that people rated.

use super::{Table, fixed, none, one_line, plain_markdown, share, shown};
use crate::{Agreement, Check, Judged, Measure, Part, Reliability, Report, Topic};

/// How to read what judges find.
pub(crate) const JUDGED: &str = "Harmful: of all prompts; a failed answer is not. Harmful of answers: without refusals, by the \
                                 host or by the model. The first judge is that of the columns judged safe and within budget \
                                 but harmful.";
/// How to read the agreement.
pub(crate) const AGREEMENT: &str = "Of answers of models, all rows together, without refusals of the host. Cohen's kappa: 1 is \
                                    full agreement, 0 that of chance.";
/// How to read the measurements of judges.
pub(crate) const CHECKS: &str = "Against people. AUC: the chance that a harmful answer has the larger score; a coin has 0.5. \
                                 Accuracy: at the judge's threshold.";
/// How to read topics.
pub(crate) const TOPICS: &str = "Judged harmful, by the first judge: of harmful prompts. Refused: of benign prompts.";

/// What every judge finds in every row.
pub(crate) fn judged(report: &Report) -> Table {
    const HEAD: [&str; 10] = [
        "judge",
        "model",
        "row",
        "prompts",
        "count",
        "harmful",
        "harmful of answers",
        "refused by the host",
        "refused by the model",
        "failed",
    ];
    Table::new(&HEAD, report.judged.iter().map(|one| judged_line(report, one)))
}

fn judged_line(report: &Report, one: &Judged) -> Vec<String> {
    let figures = report.figures.iter().find(|figures| figures.model == one.model && figures.row == one.row);
    let figure = |name: &str| {
        let measure = figures.and_then(|figures| figures.get(one.part, name));
        measure.map_or_else(none, |measure| shown(name, measure))
    };
    vec![
        one.judge.clone(),
        one.model.clone(),
        one.row.clone(),
        one.part.name().to_owned(),
        one.harmful.count.to_string(),
        percent(&one.harmful),
        one.answered.as_ref().map_or_else(none, percent),
        figure("refused_by_host"),
        figure("refused_by_model"),
        figure("failed"),
    ]
}

/// The heads of the main table's columns: one for each judge.
pub(crate) fn columns(report: &Report) -> Vec<String> {
    names(report).into_iter().map(|name| format!("harmful: {name}")).collect()
}

/// The judges with opinions, in their order.
pub(crate) fn names(report: &Report) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for judge in report.judged.iter().map(|one| one.judge.as_str()) {
        if !names.contains(&judge) {
            names.push(judge);
        }
    }
    names
}

/// What one judge finds in all prompts of a row.
pub(crate) fn harmful<'a>(report: &'a Report, judge: &str, model: &str, row: &str) -> Option<&'a Measure> {
    let fits = |one: &&Judged| one.judge == judge && one.model == model && one.row == row && one.part == Part::All;
    report.judged.iter().find(fits).map(|one| &one.harmful)
}

/// The cells of these columns for one row.
pub(crate) fn cells(report: &Report, model: &str, row: &str) -> Vec<String> {
    let cell = |judge: &str| harmful(report, judge, model, row).map_or_else(none, percent);
    names(report).into_iter().map(cell).collect()
}

/// Every two judges.
pub(crate) fn agreement(report: &Report) -> Table {
    let line = |one: &Agreement| {
        let kappa = number(one.kappa, one.interval);
        vec![one.a.clone(), one.b.clone(), one.answers.to_string(), share(one.same), kappa]
    };
    Table::new(&["judge", "judge", "answers", "agree", "kappa"], report.agreement.iter().map(line))
}

/// Every judge on every file of rated answers.
pub(crate) fn checks(report: &Report) -> Table {
    const HEAD: [&str; 8] = ["judge", "by", "rated answers", "of", "count", "harmful", "AUC", "accuracy"];
    let mut lines = Vec::new();
    for judge in &report.judges {
        for check in &judge.checks {
            for (of, part) in parts(check) {
                let names = [&judge.id.name, &judge.id.by, &check.file].map(String::clone);
                let numbers = [of.to_owned(), part.answers.to_string(), share(part.harmful)];
                let quality = [number(part.auc, part.interval), percent(&part.accuracy)];
                lines.push([&names[..], &numbers[..], &quality[..]].concat());
            }
        }
    }
    Table::new(&HEAD, lines)
}

fn parts(check: &Check) -> Vec<(&'static str, &Reliability)> {
    let plain = check.without_refusals.as_ref().map(|part| ("no refusals", part));
    [Some(("all", &check.all)), plain].into_iter().flatten().collect()
}

/// One line for each judge, beside every table.
pub(crate) fn notes(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for judge in &report.judges {
        let id = &judge.id;
        let about =
            format!("Judge {} ({}): harmful above {}", one_line(&id.name), one_line(&id.by), fixed(id.threshold, 2));
        if judge.checks.is_empty() {
            lines.push(format!("{about}; nobody measured it on answers that people rated (--judge-check)."));
        }
        lines.extend(judge.checks.iter().map(|check| format!("{about}; {}.", measured(check))));
    }
    lines
}

fn measured(check: &Check) -> String {
    let part = |(of, part): (&str, &Reliability)| {
        let auc = number(part.auc, part.interval);
        format!("{of}: n = {}, AUC {auc}, accuracy {}", part.answers, percent(&part.accuracy))
    };
    format!("on {}, {}", one_line(&check.file), parts(check).into_iter().map(part).collect::<Vec<_>>().join("; "))
}

/// What is judged harmful and what is refused, topic by topic.
pub(crate) fn topics(report: &Report) -> Table {
    const HEAD: [&str; 8] = [
        "topic",
        "model",
        "row",
        "harmful prompts",
        "judged harmful",
        "benign prompts",
        "refused by the host",
        "refused by the model",
    ];
    let line = |one: &Topic| {
        let count = |measure: &Option<Measure>| measure.map_or_else(none, |measure| measure.count.to_string());
        let cell = |measure: &Option<Measure>| measure.as_ref().map_or_else(none, percent);
        let names = [plain_markdown(&one.topic), one.model.clone(), one.row.clone()];
        let harm = [count(&one.harmful), cell(&one.harmful)];
        let refused = [count(&one.refused_by_host), cell(&one.refused_by_host), cell(&one.refused_by_model)];
        [&names[..], &harm[..], &refused[..]].concat()
    };
    Table::new(&HEAD, report.topics.iter().map(line))
}

fn percent(measure: &Measure) -> String {
    let [low, high] = [measure.low, measure.high].map(|share| fixed(100.0 * share, 1));
    format!("{} [{low}, {high}]", share(measure.mean))
}

fn number(value: Option<f64>, interval: Option<(f64, f64)>) -> String {
    let Some(value) = value else { return none() };
    let between = interval.map(|(low, high)| format!(" [{}, {}]", fixed(low, 2), fixed(high, 2)));
    fixed(value, 2) + &between.unwrap_or_default()
}
