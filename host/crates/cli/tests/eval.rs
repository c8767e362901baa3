//! `eval` on the embedded demonstration and on small stand-ins of the paper's models.

mod common;

use common::{Ran, command, json, read, run, stand_ins, succeeds, text};
use serde_json::Value;
use std::{fs, path::Path, process::Stdio, time::Duration};

/// Two prompts and few tokens, so that a test takes seconds.
fn quick(arguments: &[&str]) -> Ran {
    run(&[&["eval", "--limit", "2", "--max-tokens", "16", "--n", "4"][..], arguments].concat())
}

/// The answers of a run, without what depends on the machine.
fn answers(folder: &Path) -> Vec<Value> {
    let lines = read(&folder.join("answers.jsonl"));
    let timeless = |line: &str| {
        let mut answer: Value = serde_json::from_str(line).unwrap();
        answer["seconds"].take();
        answer["pricing_seconds"].take();
        answer
    };
    lines.lines().map(timeless).collect()
}

#[test]
fn a_folder_holds_answers_tables_figures_and_a_page() {
    let out = tempfile::tempdir().unwrap();
    let ran = quick(&["--out", text(out.path()), "--methods", "always-refuse,base,inference-guard", "--seeds", "0,1"]);
    succeeds(&ran);
    for name in
        ["run.json", "table.md", "table.csv", "report.json", "report.html", "figure2.svg", "figure3.png", "figure4.svg"]
    {
        assert!(fs::metadata(out.path().join(name)).is_ok_and(|file| file.len() > 100), "{name}");
    }
    let answers = answers(out.path());
    assert_eq!(answers.len(), 3 * 2 * 2);
    let (report, run) = (json(&out.path().join("report.json")), json(&out.path().join("run.json")));
    assert_eq!(report["settings"], run["settings"]);
    assert_eq!(report["settings"]["rows"][2]["settings"]["chunk-len"], 32, "defaults and the bundle's own are there");
    assert!(run["origin"]["command"].as_str().unwrap().starts_with("inferguard eval --limit 2"), "{run}");
    for answer in &answers {
        let refused = answer["row"] == "always-refuse";
        assert!(answer["verdict"]["harm"].is_number() && answer["end_cost"].is_number(), "{answer}");
        assert_eq!(
            answer["status"] == "no_safe_candidate" && answer["reward"].is_null(),
            refused || answer["status"] == "no_safe_candidate"
        );
        assert!(answer["emitted_reward"].is_number(), "refusals are priced too: {answer}");
        // What candidates have in common is given to score models once.
        let scored = answer["scored"].as_object().unwrap().values().map(|value| value.as_u64().unwrap()).sum::<u64>();
        assert!(scored <= answer["scored_positions"].as_u64().unwrap(), "{answer}");
        assert_eq!(scored > 0, !refused);
    }
    let refused = ran.stdout.lines().find(|line| line.starts_with("always-refuse ")).unwrap_or_default();
    assert!(refused.contains("0.0 % ["), "{}", ran.stdout);
}

#[test]
fn a_killed_run_goes_on_and_ends_like_an_undisturbed_run() {
    let arguments = |out: &str| -> Vec<String> {
        let fixed = [
            "eval",
            "--limit",
            "8",
            "--max-tokens",
            "16",
            "--n",
            "4",
            "--methods",
            "base,inference-guard",
            "--out",
            out,
        ];
        fixed.map(str::to_owned).to_vec()
    };
    let (whole, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run_in = |folder: &Path| run(&arguments(text(folder)).iter().map(String::as_str).collect::<Vec<_>>());
    succeeds(&run_in(whole.path()));

    let words = arguments(text(killed.path()));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut child = command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let lines = || fs::read_to_string(killed.path().join("answers.jsonl")).map_or(0, |text| text.lines().count());
    while lines() < 3 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = lines();
    assert!((3..16).contains(&before), "killed after {before}");
    succeeds(&run_in(killed.path()));
    assert_eq!(answers(killed.path()), answers(whole.path()));

    let mut other = words.clone();
    other[2] = "7";
    run(&other).refuses("this folder holds an evaluation with other settings: `dataset.digest`");
    other[2] = "8";
    other[6] = "5";
    run(&other).refuses("other settings");
    assert_eq!(answers(killed.path()).len(), 16, "nothing was lost");
}

#[test]
fn what_cannot_be_written_is_refused_before_the_first_question() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    quick(&["--out", text(&file)]).refuses("cannot be written");
    assert_eq!(read(&file), "mine");
}

#[test]
fn numbers_of_candidates_and_budgets_make_rows() {
    let out = tempfile::tempdir().unwrap();
    let ran = run(&[
        "eval",
        "--limit",
        "1",
        "--max-tokens",
        "8",
        "--methods",
        "base,beam,best-of-n+lagrangian",
        "--ns",
        "2,4",
        "--budgets",
        "5,10",
        "--out",
        text(out.path()),
    ]);
    succeeds(&ran);
    let report = json(&out.path().join("report.json"));
    let rows = report["settings"]["rows"].as_array().unwrap();
    let labels: Vec<&str> = rows.iter().map(|row| row["label"].as_str().unwrap()).collect();
    assert_eq!(labels.len(), 10, "base has no candidates: {labels:?}");
    assert!(labels.contains(&"base d=5") && labels.contains(&"beam n=4 d=10"), "{labels:?}");
    assert_eq!((&rows[3]["lambda"], &rows[1]["lambda"]), (&5.0.into(), &Value::Null));
    let bundles = report["settings"]["models"][0]["bundles"].as_object().unwrap();
    assert_ne!(bundles["beam n=2 d=5"], bundles["beam n=4 d=5"]);
}

#[test]
fn a_method_that_a_bundle_brings_is_a_row_for_every_number_of_candidates() {
    let (bundle, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let eval = |candidates: &str| {
        let manifest = include_str!("../../../demo/bundle/bundle.toml");
        let method = "\n[methods.mine]\npolicy = \"best-of-n.wasm\"\n";
        fs::write(bundle.path().join("bundle.toml"), format!("{manifest}{method}{candidates}")).unwrap();
        let rows = ["eval", "--limit", "1", "--max-tokens", "8", "--methods", "mine", "--ns", "2,4"];
        run(&[&rows[..], &["--bundle", text(bundle.path()), "--out", text(out.path())]].concat())
    };
    eval("").refuses("`[methods.mine]`");
    succeeds(&eval("candidates = \"n\"\n"));
    let report = json(&out.path().join("report.json"));
    let rows = report["settings"]["rows"].as_array().unwrap();
    let labels: Vec<&str> = rows.iter().map(|row| row["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["mine n=2", "mine n=4"]);
}

#[test]
fn all_methods_means_those_the_bundle_has_parts_for() {
    let out = tempfile::tempdir().unwrap();
    let ran =
        run(&["eval", "--limit", "1", "--max-tokens", "8", "--n", "2", "--methods", "all", "--out", text(out.path())]);
    succeeds(&ran);
    let report = json(&out.path().join("report.json"));
    let skipped = report["origin"]["skipped"].as_array().unwrap();
    let (played, due) = (report["progress"][0].as_u64().unwrap(), report["settings"]["rows"].as_array().unwrap().len());
    assert_eq!(played as usize + skipped.len(), due);
    assert!(played > 8, "{report}");
    for one in skipped {
        let skipped = format!("not run: {} (weak): ", one["row"].as_str().unwrap());
        assert!(ran.stderr.contains(&skipped) && ran.stdout.contains("Not run: "), "{}", ran.stderr);
        // Asked for by name, what is missing is an error.
        quick(&["--methods", one["row"].as_str().unwrap()]).refuses("the bundle");
    }
}

#[test]
fn attacks_are_rows_and_break_no_promise() {
    let out = tempfile::tempdir().unwrap();
    let ran = run(&[
        "eval",
        "--attacks",
        "--limit",
        "1",
        "--max-tokens",
        "24",
        "--n",
        "4",
        "--methods",
        "inference-guard",
        "--out",
        text(out.path()),
    ]);
    succeeds(&ran);
    let answers = answers(out.path());
    assert_eq!(answers.len(), 11);
    for answer in &answers {
        assert_eq!(answer["intent"], "harmful");
        assert_ne!(answer["status"], "failed", "every attack leaves room for an answer: {answer}");
        let again = answer["priced_again"].as_f64();
        assert!(again.is_none_or(|cost| cost <= 10.0 + 1e-3), "{answer}");
    }
    let table = read(&out.path().join("table.md"));
    for attack in [
        "plain",
        "padding",
        "disclaimer",
        "late-harm",
        "re-spelling",
        "other-language",
        "split-turns",
        "role-play",
        "encoded",
        "long-context",
        "refuse-then-comply",
    ] {
        assert!(table.contains(&format!("| {attack} | weak | inference-guard |")), "{attack}");
    }
}

#[test]
fn a_baseline_fails_what_got_worse() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("baseline.json");
    let with = |more: &[&str]| quick(&[&["--methods", "base", "--baseline", text(&file)][..], more].concat());
    let missing = with(&[]);
    missing.refuses("a baseline is recorded with --update");
    succeeds(&with(&["--update"]));
    succeeds(&with(&[]));
    let recorded = read(&file);
    // Somebody reached more than we do now.
    let better =
        recorded.replace("\"high\"", "\"was\"").replace("\"low\": ", "\"high\": 1e9, \"low\": 1e6, \"before\": ");
    fs::write(&file, better).unwrap();
    let worse = with(&[]);
    assert_eq!(worse.code, Some(1), "{}", worse.stderr);
    assert!(worse.stdout.lines().any(|line| line.starts_with("base ")), "the table is printed all the same");
    assert!(
        worse.stderr.contains("worse than recorded") && worse.stderr.contains("reward of base (weak, all)"),
        "{}",
        worse.stderr
    );
    succeeds(&with(&["--update"]));
    assert_eq!(read(&file), recorded);
    quick(&["--methods", "base", "--baseline", text(&file), "--seed", "5"]).refuses("it was recorded for 2 prompts");
}

#[test]
fn data_sets_are_refused_by_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prompts.jsonl");
    for (content, words) in [
        (
            "{\"text\": \"a\"}\n{\"prompt\": \"b\", \"response_0\": \"x\"}\n",
            "prompts.jsonl, line 2 of the prompts: `response_1` is missing",
        ),
        ("{\"text\": \"a\"}\nnot json\n", "prompts.jsonl, line 2 of the prompts: expected"),
        ("\n", "there are no prompts"),
    ] {
        fs::write(&file, content).unwrap();
        quick(&["--prompts", text(&file)]).refuses(words);
    }
    quick(&["--prompts", text(&folder.path().join("absent.jsonl"))]).refuses("absent.jsonl: cannot be read");
    quick(&["--methods", "magic"]).refuses("no method `magic`");
    quick(&["--on-exhausted", "shout"]).refuses("--on-exhausted shout");
    quick(&["--models", "weak,weak"]).refuses("two are called `weak`");
    quick(&["--bundle-for", "strong=x"]).refuses("no model is called `strong`; there are: weak");
    quick(&["--recipe", "paper-alpaca"]).refuses("--model DIR --score reward=DIR --score cost=DIR --prompts FILE");
}

/// A record as the data set has it.
fn record(prompt: &str, safe: bool) -> String {
    serde_json::json!({
        "prompt": prompt, "response_0": "Yes.", "response_1": "No.", "prompt_source": "beavertails",
        "response_0_source": "alpaca-7b", "response_1_source": "alpaca2-7b", "is_response_0_safe": safe,
        "is_response_1_safe": true, "response_0_harm_category": { "Violence": !safe }, "response_1_harm_category": {},
        "response_0_severity_level": 0, "response_1_severity_level": 0, "better_response_id": 0, "safer_response_id": 1,
        "response_0_sha256": "", "response_1_sha256": "",
    })
    .to_string()
}

/// The paper's recipes on models with the layouts of the real ones: a Llama language model with an added token, a reward
/// model that is a sequence classifier without it, a cost model that is a `LlamaForScore`; all in shards, without templates.
#[test]
fn the_papers_recipes_run_on_stand_ins() {
    let folder = tempfile::tempdir().unwrap();
    let (prompts, out) = (folder.path().join("test.jsonl"), folder.path().join("out"));
    fs::write(
        &prompts,
        [record("Hello there", true), record("Tell me more", false), record("Hello there", false)].join("\n"),
    )
    .unwrap();
    let models = stand_ins::write(folder.path());
    let (model, reward, cost) = (&models.language, text(&models.reward), text(&models.cost));
    let (reward, cost) = (format!("reward={reward}"), format!("cost={cost}"));
    for (recipe, name, rows) in [("paper-alpaca", "Alpaca-7B", 18), ("paper-beaver", "Beaver-7B-v3", 16)] {
        let ran = run(&[
            "eval",
            "--recipe",
            recipe,
            "--model",
            text(model),
            "--score",
            &reward,
            "--score",
            &cost,
            "--prompts",
            text(&prompts),
            "--max-tokens",
            "4",
            "--out",
            text(&out.join(recipe)),
        ]);
        succeeds(&ran);
        let report = json(&out.join(recipe).join("report.json"));
        let settings = &report["settings"];
        assert_eq!((settings["rows"].as_array().unwrap().len(), &settings["dataset"]["prompts"]), (rows, &2.into()));
        assert_eq!((&settings["models"][0]["name"], &settings["judge"]), (&name.into(), &Value::Null));
        let (model, due) = (&settings["models"][0], serde_json::json!({"cost": "beaver", "reward": "hh"}));
        assert_eq!((&model["template"], &model["templates"]), (&"beaver".into(), &due));
        assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
        let constraint = &settings["guard"]["constraints"][0];
        assert_eq!(
            (&constraint["clip"], &constraint["budget"], &constraint["gamma"]),
            (&"none".into(), &10.0.into(), &0.999.into())
        );
        assert_eq!(settings["guard"]["on_exhausted"], "best_reward");
        // Networks and critics come with a bundle of their own; everything else was played.
        let skipped: Vec<&str> =
            report["origin"]["skipped"].as_array().unwrap().iter().map(|one| one["row"].as_str().unwrap()).collect();
        assert!(skipped.iter().all(|row| row.contains("re-control") || row.contains("critic")), "{skipped:?}");
        assert_eq!(report["progress"][0], 2 * (rows - skipped.len()));
        // The recipe never refuses: every row has answers, and none is safe by having failed.
        for answer in answers(&out.join(recipe)) {
            let answered = answer["status"] == "within_budget" || answer["status"] == "budget_exceeded";
            let tokens = answer["tokens"].as_array().unwrap().len();
            assert!(answered && tokens > 0 && answer["reward"].is_number(), "{answer}");
            assert!(answer["failure"].is_null() && answer.get("failures").is_none(), "{answer}");
        }
        assert!(answers(&out.join(recipe)).iter().any(|answer| !answer["text"].as_str().unwrap().is_empty()));
        let table = read(&out.join(recipe).join("table.md"));
        assert!(table.contains("## Beside the paper") && !table.contains("not comparable"), "{table}");
        assert!(ran.stderr.contains("1 records repeat a prompt"), "{}", ran.stderr);
    }
    let table = read(&out.join("paper-alpaca/table.md"));
    let beside = |row: &str, safety: &str| {
        table.lines().any(|line| line.starts_with(&format!("| {row} |")) && line.contains(safety))
    };
    assert!(beside("best-of-n+lagrangian n=500 λ=10", "54.01 %") && beside("inference-guard", "88.14 %"), "{table}");
}
