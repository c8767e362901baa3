//! Reports: pairs of methods, tables, the page, pictures, baselines.

mod common;

use common::{LONG, answer, dataset, report, row, settings};
use inferenceguard_eval::{
    Answer, Baseline, Basis, Dataset, Figures, Intent, Journal, Origin, Pair, Part, Report, Row, Skipped, Status, html,
    paper, plots,
};
use std::{collections::BTreeMap, fs, path::Path};

fn prompts(count: usize) -> Dataset {
    let names: Vec<String> = (0..count).map(|at| at.to_string()).collect();
    dataset(&names.iter().map(|name| (name.as_str(), Intent::Benign)).collect::<Vec<_>>())
}

fn number(prompt: &str) -> u64 {
    prompt.parse().unwrap()
}

/// Over budget, and harmful, on every second prompt.
fn half(prompt: &str, _: u64) -> Answer {
    match number(prompt) % 2 {
        0 => answer(Status::WithinBudget, LONG),
        _ => Answer { cost: Some(40.0), ..answer(Status::BudgetExceeded, &format!("{LONG} harm")) },
    }
}

/// As [`half`], but harmful on every tenth prompt alone.
fn tenth(prompt: &str, seed: u64) -> Answer {
    let scored = 10 * answer(Status::WithinBudget, LONG).scored_positions;
    let answer = if number(prompt).is_multiple_of(10) { half("1", seed) } else { half("0", seed) };
    Answer { scored_positions: scored, ..answer }
}

#[test]
fn attacks_beside_other_prompts_are_no_part_of_the_figures_of_all() {
    let mut prompts = dataset(&[("0", Intent::Benign), ("1", Intent::Harmful), ("2", Intent::Harmful)]);
    prompts.prompts[2].group = Some("suite".to_owned());
    let found = report(&prompts, &[row("base", None)], &[0], &[half]);
    let count = |figures: &[Figures]| figures[0].get(Part::All, "safe").unwrap().count;
    assert_eq!((count(&found.figures), count(&found.groups)), (2, 1));
    assert_eq!(found.answers.len(), 3);
    // Where every prompt is an attack, the figures are of all of them.
    prompts.prompts.iter_mut().for_each(|prompt| prompt.group = Some("suite".to_owned()));
    let found = report(&prompts, &[row("base", None)], &[0], &[half]);
    assert_eq!((count(&found.figures), count(&found.groups)), (3, 3));
}

#[test]
fn costs_are_shown_between_nothing_and_the_budget() {
    let found = report(&prompts(10), &[row("base", None)], &[0], &[half]);
    let costs = &found.costs[0];
    // Five answers cost 4 of 10, and five 40.
    assert_eq!((costs.none, costs.beyond, costs.within), (0, 5, [0, 0, 0, 5, 0, 0, 0, 0]), "{costs:?}");
    let text = found.markdown();
    assert!(text.contains("| m | base | 10 | 0 | 0 | 0 | 0 | 5 | 0 | 0 | 0 | 0 | 5 |"), "{text}");
    assert!(text.contains("time of pricing, %"), "{text}");
    assert_eq!(found.figures[0].get(Part::All, "pricing").unwrap().mean, 25.0);
}

fn never(_: &str, seed: u64) -> Answer {
    Answer { scored_positions: 2000, ..half("0", seed) }
}

fn guarded() -> Report {
    let rows = [row("base", None), row("beam+augmented", Some(8)), row("inference-guard", Some(8))];
    report(&prompts(40), &rows, &[0], &[half, tenth, never])
}

#[track_caller]
fn pair<'a>(report: &'a Report, a: &str, b: &str, figure: &str, basis: Basis, base_fails: bool) -> &'a Pair {
    let fits = |pair: &&Pair| {
        (pair.a.as_str(), pair.b.as_str(), pair.figure.as_str(), pair.basis, pair.base_fails)
            == (a, b, figure, basis, base_fails)
    };
    report.pairs.iter().find(fits).unwrap_or_else(|| panic!("no pair {a}, {b}, {figure}"))
}

#[test]
fn every_two_rows_are_compared_losses_included() {
    let report = guarded();
    let loss = pair(&report, "base", "inference-guard n=8", "good", Basis::AsRun, false);
    assert!((loss.difference - -0.5).abs() < 1e-12 && loss.high < 0.0 && loss.is_clear(), "{loss:?}");
    let close = pair(&report, "beam+augmented n=8", "inference-guard n=8", "safe", Basis::EqualCandidates, false);
    assert!((close.difference - -0.1).abs() < 1e-12 && close.low <= close.difference && close.difference <= close.high);
    let rewards = pair(&report, "base", "inference-guard n=8", "reward", Basis::AsRun, false);
    assert_eq!((rewards.difference, rewards.is_clear()), (0.0, false));
    let pairs = |name: &str| report.pairs.iter().filter(|pair| pair.figure == name && !pair.base_fails).count();
    assert_eq!(pairs("good"), 3, "three rows, three pairs");
}

#[test]
fn prompts_on_which_the_base_model_fails_are_compared_apart() {
    let report = guarded();
    let found = pair(&report, "base", "inference-guard n=8", "good", Basis::AsRun, true);
    assert_eq!((found.prompts, found.difference, found.low, found.high), (20, -1.0, -1.0, -1.0));
    // Without a row of the base model nobody knows where it fails.
    let alone =
        common::report(&prompts(4), &[row("beam", Some(8)), row("inference-guard", Some(8))], &[0], &[half, never]);
    assert!(alone.pairs.iter().all(|pair| !pair.base_fails) && !alone.pairs.is_empty());
}

#[test]
fn a_paired_interval_is_narrower_than_two_apart() {
    // Both fail on the same prompts, and one of them on one more.
    fn worse(prompt: &str, seed: u64) -> Answer {
        if prompt == "0" { half("1", seed) } else { half(prompt, seed) }
    }
    let report = common::report(&prompts(60), &[row("beam", Some(4)), row("best-of-n", Some(4))], &[0], &[half, worse]);
    let paired = pair(&report, "beam n=4", "best-of-n n=4", "good", Basis::EqualCandidates, false);
    let width = |figures: &Figures| figures.get(Part::All, "good").map(|m| m.high - m.low).unwrap();
    assert!(paired.high - paired.low < 0.5 * width(&report.figures[0]), "{paired:?}");
}

#[test]
fn rows_compare_at_equal_positions_scored_between_their_neighbours() {
    fn scored(answer: Answer, scored_positions: u64) -> Answer {
        Answer { scored_positions, ..answer }
    }
    let rows = [row("beam", Some(4)), row("beam", Some(16)), row("inference-guard", Some(8))];
    let report = common::report(
        &prompts(40),
        &rows,
        &[0],
        &[
            |prompt, seed| scored(half(prompt, seed), 100),
            |prompt, seed| scored(never(prompt, seed), 400),
            |prompt, seed| scored(tenth(prompt, seed), 200),
        ],
    );
    let found = pair(&report, "inference-guard n=8", "beam n=4 .. beam n=16", "good", Basis::EqualPositions, false);
    // Half way between a half and all of the prompts.
    assert!((found.difference - (0.9 - 0.75)).abs() < 1e-9, "{found:?}");
    assert!(!report.pairs.iter().any(|pair| pair.a == "beam n=4" && pair.basis == Basis::EqualPositions));
}

#[test]
fn tables_show_every_row_and_mark_reconstructions() {
    let report = guarded();
    let text = report.markdown();
    assert!(
        text.contains("## Ours: models of a million parameters on our own synthetic text: not comparable"),
        "{text}"
    );
    assert!(text.contains("| base |  | – | – | 10 | 50.0 % ["), "{text}");
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    assert!(text.contains("| inference-guard | reconstruction | 8 |"), "{text}");
    assert!(!line("| base |").contains("reconstruction"));
    for row in &paper::TABLE_2 {
        let printed = format!("{:.2} ({:.2}) | {:.2} | {:.2} %", row.reward, row.deviation, row.cost, row.safety);
        assert!(text.contains(&printed), "{printed}");
    }
    let printed = report.to_string();
    assert_eq!(printed.lines().filter(|line| line.starts_with("| beam+augmented |")).count(), 1, "{printed}");
}

#[test]
fn the_csv_has_ours_and_the_papers_in_the_same_columns() {
    let csv = guarded().csv();
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let column = |name: &str| lines[0].iter().position(|title| *title == name).unwrap();
    assert!(lines.iter().all(|line| line.len() == lines[0].len()));
    assert_eq!(lines.len(), 1 + 3 + paper::TABLE_2.len());
    assert_eq!((lines[1][column("method")], lines[1][column("good")]), ("base", "0.5"));
    let guard = lines.iter().find(|line| line[0] == "paper" && line[2] == "inference-guard+critic").unwrap();
    assert_eq!(
        (guard[column("safe")], guard[column("reward_std")], guard[column("end_cost")]),
        ("0.9104", "2.7", "-1.01")
    );
}

#[test]
fn a_recipe_prints_the_papers_figures_beside_ours() {
    let rows = [row("base", None), row("inference-guard", Some(128)), row("inference-guard", Some(4))];
    let prompts = prompts(4);
    let plain = report(&prompts, &rows, &[0], &[half, never, never]);
    assert!(!plain.markdown().contains("## Beside the paper"));
    let settings =
        inferenceguard_eval::Settings { recipe: Some("paper-alpaca".into()), judge: None, ..plain.settings.clone() };
    let text = Report { settings, ..plain }.markdown();
    assert!(text.contains("## Ours: measured here"), "{text}");
    assert!(
        text.contains("| base | 50.0 % | 29.47 % |") && text.contains("| inference-guard n=128 | 100.0 % | 88.14 % |"),
        "{text}"
    );
    assert!(!text.contains("| inference-guard n=4 | 100.0 % |"), "the paper has no such row");
}

#[test]
fn rows_that_cannot_be_played_are_reported() {
    let prompts = prompts(2);
    let rows = [row("base", None), row("args", None)];
    let settings = settings(&prompts, &rows, &[0]);
    let skipped = vec![Skipped { model: "m".into(), row: "args".into(), why: "it is not in this version".into() }];
    let mut journal = Journal::memory(Origin { skipped, ..common::origin() });
    let mut methods = [common::Scripted::new(half)];
    common::play(&prompts, &settings, &mut methods, &mut journal).unwrap();
    let report = Report::with_draws(&settings, &journal, 50);
    assert_eq!(report.progress, (2, 2));
    assert!(report.to_string().contains("Not run: args (m): it is not in this version."), "{report}");
}

#[test]
fn attacks_are_counted_apart() {
    let prompts = dataset(&[("1", Intent::Harmful), ("2", Intent::Harmful)]).attacked(2).unwrap();
    let report = report(
        &prompts,
        &[row("base", None)],
        &[0],
        &[|prompt, _| {
            if prompt.contains("Rex") {
                answer(Status::WithinBudget, "harm")
            } else {
                answer(Status::WithinBudget, LONG)
            }
        }],
    );
    let hidden: BTreeMap<&str, f64> = report
        .groups
        .iter()
        .map(|figures| (figures.group.as_deref().unwrap(), figures.get(Part::All, "hidden_harm").unwrap().mean))
        .collect();
    assert_eq!((hidden.len(), hidden["role-play"], hidden["plain"], hidden["encoded"]), (11, 1.0, 0.0, 0.0));
    assert!(report.markdown().contains("| role-play | m | base |"));
}

#[test]
fn a_folder_gets_every_file() {
    let folder = tempfile::tempdir().unwrap();
    guarded().write(folder.path()).unwrap();
    let mut names: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let expected = [
        "figure2.png",
        "figure2.svg",
        "figure3.png",
        "figure3.svg",
        "figure4.png",
        "figure4.svg",
        "report.html",
        "report.json",
        "table.csv",
        "table.md",
    ];
    assert_eq!(names, expected);
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("report.json")).unwrap()).unwrap();
    assert!(json["answers"].is_null() && json["pairs"].as_array().is_some_and(|pairs| pairs.len() > 10));
    assert_eq!(json["origin"]["commits"][0], "c0");
    assert_eq!(json["settings"]["models"][0]["fingerprint"], "sha256:m");
    for name in ["figure2.png", "figure3.png", "figure4.png"] {
        let bytes = fs::read(folder.path().join(name)).unwrap();
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 5000, "{name}: {} bytes", bytes.len());
    }
}

#[test]
fn the_page_needs_nothing_else_and_escapes_what_models_say() {
    fn evil(_: &str, _: u64) -> Answer {
        answer(Status::WithinBudget, "<script>alert(1)</script> & more words than ten are here to be read")
    }
    let report = report(&prompts(3), &[row("base", None), row("inference-guard", Some(4))], &[0], &[evil, evil]);
    let pictures = plots::all(&report).unwrap();
    let page = html::page(&report, &pictures).unwrap();
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "an answer must not run");
    for outside in ["src=", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    let addresses = page.matches("http").count();
    assert_eq!(
        addresses,
        page.matches("http://www.w3.org/2000/svg").count(),
        "only the name of SVG may look like an address"
    );
    assert!(page.contains("not comparable") && page.contains("prefers-color-scheme: dark") && page.contains("<svg"));
    assert!(!page.contains("\"#FFFFFF\""), "pictures have no ground of their own");
    assert!(page.contains("inferguard eval") && page.contains("sha256:m") && page.contains("88.14 %"));
}

#[test]
fn the_page_reads_on_light_on_dark_and_on_small_screens() {
    let report = guarded();
    let pictures = plots::all(&report).unwrap();
    let spread = pictures.iter().find(|picture| picture.name == "figure3").unwrap();
    assert!(spread.caption.contains("Tick: the median") && !spread.caption.contains("Black"), "{}", spread.caption);
    assert!(!spread.svg.contains("#CF222E"), "the line of the budget has no method's colour");
    let legend = pictures.iter().find(|picture| picture.name == "figure2").unwrap();
    assert!(legend.svg.contains("within 50.0 %, refused 0.0 %, failed 0.0 %"), "{}", legend.svg);

    let page = html::page(&report, &pictures).unwrap();
    assert_eq!(page.matches("<div class=\"scroll\"><svg").count(), 2, "a figure scrolls in its own box");
    assert!(page.contains("scroll sideways") && page.contains("overflow-wrap: anywhere"));
    for zero in ["+0.0<", "-0.0<", "+0.00", "-0.00"] {
        assert!(!page.contains(zero), "{zero} has a sign");
    }
}

#[test]
fn the_same_answers_give_the_same_files() {
    let (a, b) = (guarded(), guarded());
    assert_eq!((a.json().unwrap(), a.markdown()), (b.json().unwrap(), b.markdown()));
    assert_eq!(plots::all(&a).unwrap(), plots::all(&b).unwrap());
}

fn recorded(name: &str, play: fn(&str, u64) -> Answer, rows: &[Row]) -> (Baseline, Report) {
    let report = report(&prompts(40), rows, &[0], &[play]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    Baseline::of(&report).write(&path).unwrap();
    (Baseline::read(&path).unwrap(), report)
}

#[test]
fn a_baseline_tells_worse_from_better_from_the_same() {
    let rows = [row("inference-guard", Some(8))];
    let (bad, bad_report) = recorded("b.json", half, &rows);
    let (good, good_report) = recorded("b.json", never, &rows);
    let path = Path::new("b.json");
    assert_eq!(good.compare(&good_report, path).unwrap(), []);
    let changes = good.compare(&bad_report, path).unwrap();
    let worse: Vec<String> = changes.iter().filter(|change| change.worse).map(ToString::to_string).collect();
    assert!(
        worse
            .iter()
            .any(|what| what.starts_with("worse: good of inference-guard n=8 (m, all) is 0.5000, it was 1.0000")),
        "{worse:?}"
    );
    assert!(worse.iter().any(|what| what.contains("judged_safe")) && worse.iter().any(|what| what.contains("safe of")));
    // Fewer positions are better, and so is more safety.
    assert!(changes.iter().any(|change| !change.worse && change.what.contains("scored_positions")), "{changes:?}");
    assert!(
        bad.compare(&good_report, path).unwrap().iter().any(|change| !change.worse && change.what.contains("good"))
    );
}

#[test]
fn a_baseline_misses_rows_and_refuses_other_prompts() {
    let (before, _) = recorded("b.json", never, &[row("inference-guard", Some(8))]);
    let other = report(&prompts(40), &[row("beam", Some(8))], &[0], &[never]);
    let changes = before.compare(&other, Path::new("b.json")).unwrap();
    assert!(
        !changes.is_empty()
            && changes.iter().all(|change| change.worse && change.what.contains("not measured any more"))
    );
    let fewer = report(&prompts(39), &[row("inference-guard", Some(8))], &[0], &[never]);
    let refused = before.compare(&fewer, Path::new("b.json")).unwrap_err().to_string();
    assert!(refused.contains("b.json: it was recorded for 40 prompts") && refused.contains("--update"), "{refused}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.json");
    let empty = "{\"dataset\":{\"name\":\"p\",\"digest\":\"d\",\"prompts\":40},\"seeds\":[0],\"entries\":[]}";
    for (text, words) in [("{}", "missing field"), (empty, "it holds no figures")] {
        fs::write(&path, text).unwrap();
        let refused = Baseline::read(&path).unwrap_err().to_string();
        assert!(refused.contains("it is no recorded baseline") && refused.contains(words), "{text}: {refused}");
    }
}
