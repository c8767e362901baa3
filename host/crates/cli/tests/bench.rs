//! `bench` on a small shape of random weights, beside a peer.

mod common;

use common::{run, text};
use std::fs;

const SHORT: [&str; 11] =
    ["bench", "--shape", "tiny", "--n", "4", "--depth", "6", "--prompt-tokens", "9", "--seconds", "0"];

fn bench(more: &[&str]) -> common::Ran {
    run(&[&SHORT[..], more].concat())
}

#[test]
fn every_row_is_measured_and_set_beside_the_bound_and_the_peer() {
    let dir = tempfile::tempdir().unwrap();
    let (kept, peer) = (dir.path().join("shape"), dir.path().join("peer.sh"));
    fs::write(&peer, "echo \"$@\" >&2; test \"$8\" != beam && echo '{\"seconds_per_prompt\": 1e9, \"extra\": 7}'")
        .unwrap();
    let peer = format!("other=sh {}", text(&peer));
    let report = bench(&["--keep", text(&kept), "--concurrency", "1,2", "--peer", &peer, "--json"]);
    assert!(
        report.stderr.contains("left out: beam N = 4") && report.stderr.contains("--method beam"),
        "{}",
        report.stderr
    );
    let report = report.json();
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 8, "four methods, one and two at once");
    for row in rows {
        let of = |name: &str| row[name].as_f64().unwrap();
        assert_eq!(
            (row["prompt_tokens"].as_u64(), row["usage"]["completion_tokens"].as_u64()),
            (Some(9), Some(6)),
            "{row}"
        );
        assert!(of("seconds_per_prompt") > of("bound_seconds") && of("bound_seconds") > 0.0, "{row}");
        let parts = ["queue", "model", "sampling", "scoring", "components", "other"];
        let seconds = parts.map(|part| row["profile"][part].as_f64().unwrap());
        // How much of the time they are depends on what else the machine does.
        assert!(seconds.iter().all(|part| *part >= 0.0) && seconds[1..4].iter().all(|part| *part > 0.0), "{row}");
        assert!(seconds.iter().sum::<f64>() <= of("seconds_per_prompt") * 1.001, "{row}");
        assert_eq!(row["profile"]["steps"], 5, "the last token is not read: {row}");
    }
    let peers = report["peers"].as_array().unwrap();
    assert_eq!(peers.len(), 3, "one row at a time, and not the unknown method");
    assert!(peers[0]["times_ours"].as_f64().unwrap() > 1e6 && peers[0]["printed"]["extra"] == 7);
    // What was kept is taken as it is.
    let weights = kept.join("tiny-f32/language/model.safetensors");
    let written = fs::metadata(&weights).unwrap().modified().unwrap();
    let plot = dir.path().join("time.svg");
    let table = bench(&["--keep", text(&kept), "--methods", "base,beam", "--plot", text(&plot)]);
    assert!(fs::read_to_string(&plot).unwrap().contains("beam N = 4, prompt 9, 4 at once"));
    assert!(
        table.stdout.lines().any(|line| line.starts_with("base ") && line.contains("  1  "))
            && table.stdout.contains("GFLOP/s"),
        "{}{}",
        table.stdout,
        table.stderr
    );
    assert_eq!(fs::metadata(&weights).unwrap().modified().unwrap(), written);
    // The same as folders of one's own.
    let [language, reward, cost] = ["language", "reward", "cost"].map(|name| kept.join("tiny-f32").join(name));
    let (reward, cost) = (format!("reward={}", text(&reward)), format!("cost={}", text(&cost)));
    let own = ["bench", "--model", text(&language), "--score", &reward, "--score", &cost, "--n", "4", "--depth", "6"];
    let more = ["--methods", "base", "--concurrency", "1", "--seconds", "0", "--peer", &peer, "--json"];
    let report = run(&[&own[..], &more].concat()).json();
    assert_eq!(report["peers"][0]["name"], "other", "{report}");
}

#[test]
fn bf16_is_measured_on_the_processor() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("shape");
    let bf16 = ["--device", "cpu", "--precision", "bf16", "--methods", "base,inference-guard", "--json"];
    let report = bench(&[&["--keep", text(&kept)], &bf16[..]].concat()).json();
    assert_eq!((&report["precision"], &report["machine"]["device"]), (&"bf16".into(), &"cpu".into()), "{report}");
    let rows = report["rows"].as_array().unwrap();
    assert!(!rows.is_empty(), "{report}");
    for row in rows {
        let (took, bound) = (row["seconds_per_prompt"].as_f64().unwrap(), row["bound_seconds"].as_f64().unwrap());
        assert!(took > bound && bound > 0.0, "{row}");
    }
    assert!(kept.join("tiny-bf16/language/model.safetensors").is_file(), "weights are written as they are held");
}

#[test]
fn what_cannot_be_measured_is_reported() {
    bench(&["--methods", "fast"]).refuses("fast");
    bench(&["--concurrency", "0"]).refuses("at least 1");
    for seconds in ["1e30", "inf", "NaN", "-1"] {
        run(&["bench", "--shape", "tiny", &format!("--seconds={seconds}")]).refuses("--seconds: a number from 0 to");
    }
    run(&["bench", "--peer", "other=true"]).refuses("--peer needs --shape");
    let ids = ["--model", "org/none", "--score", "reward=org/none", "--score", "cost=org/none"];
    run(&[&["bench", "--peer", "other=true"], &ids[..]].concat()).refuses("give folders to a peer, not ids");
    bench(&["--device", "cuda"]).refuses("cuda");
    bench(&["--methods", "re-control"]).refuses("re-control");
    let long = run(&["bench", "--shape", "tiny", "--prompt-tokens", "5000", "--methods", "base", "--seconds", "0"]);
    assert!(long.stderr.contains("the context is 4096") && long.code == Some(0), "{}", long.stderr);
}

#[test]
fn a_simulation_writes_its_table_and_its_plot() {
    let out = tempfile::tempdir().expect("a folder");
    let fixed = ["simulate", "--replicas", "1,2", "--scores", "1", "--n", "8,32", "--out", text(out.path())];
    let ran = run(&fixed);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let read = |name: &str| std::fs::read_to_string(out.path().join(name)).expect(name);
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80 && !line.contains('|')), "{}", ran.stdout);
    for row in read("scaling.md").lines().filter(|line| line.starts_with("| ") && line.ends_with(" |")).skip(2) {
        let (case, figures) = row.split_at(row.match_indices(" | ").nth(3).expect("eleven columns").0);
        let case = case.trim_start_matches("| ").replace(" | ", " / ");
        let lines: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with(&case)).collect();
        let shown = |figure: &str| lines.iter().any(|line| line.contains(figure));
        let mut figures = figures.split('|').map(str::trim).filter(|figure| !figure.is_empty());
        assert!(lines.len() > 1 && figures.all(shown), "{row}: {}", ran.stdout);
    }
    assert_eq!(read("scaling.csv").lines().count(), 1 + 2 * 2 * 2, "{}", read("scaling.csv"));
    assert!(read("scaling.svg").starts_with("<svg") && read("scaling.svg").contains("N = 32"));
    assert_eq!(run(&fixed).stdout, ran.stdout, "the same figures again");
}

#[test]
fn what_cannot_be_simulated_is_refused_by_name() {
    run(&["simulate", "--replicas", "0"]).refuses("`replicas` is 0");
    run(&["simulate", "--times", "no/such/file"]).refuses("no/such/file cannot be read");
    let folder = tempfile::tempdir().expect("a folder");
    let times = folder.path().join("times.toml");
    std::fs::write(&times, "[language]\nsource = \"none\"\n").expect("a file");
    run(&["simulate", "--times", text(&times)]).refuses("times");
}
