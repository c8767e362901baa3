//! The interface as a program in C sees it: compiled by the machine's C compiler, linked with the library.

use inferenceguard_testkit::components;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

const MANIFEST: &str = r#"
name = "words"
version = "1.0.0"

[policy]
component = "base.wasm"

[tracker]
component = "safety-budget.wasm"

[costs.words]
component = "keyword-cost.wasm"
settings = { words = ["damn", "bloody hell"] }

[[constraints]]
name = "words"
cost = "words"
budget = 1.5
"#;

/// A bundle in a folder, with all its files.
fn bundle(manifest: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bundle.toml"), manifest).unwrap();
    for (file, bytes) in components::files() {
        fs::write(dir.path().join(file), bytes).unwrap();
    }
    dir
}

/// The program, compiled against the library that cargo made for this test.
fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let library = env::current_exe().unwrap().parent().unwrap().to_owned();
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guard");
        let mut cc = Command::new(env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
        cc.args(["-Wall", "-Wextra", "-Werror", "-std=c11", "-o"]).arg(&out).arg(here.join("tests/guard.c"));
        cc.arg("-I").arg(here.join("include")).arg("-L").arg(&library).args(["-linferenceguard", "-lm"]);
        cc.arg(format!("-Wl,-rpath,{}", library.display()));
        let done = cc.output().expect("a C compiler");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        out
    };
    PROGRAM.get_or_init(make).clone()
}

/// A bundle with a cost that does what this mode says.
fn rogue(mode: &str) -> tempfile::TempDir {
    let settings = "{ words = [\"damn\", \"bloody hell\"] }";
    assert!(MANIFEST.contains(settings));
    let manifest = MANIFEST.replace(settings, &format!("{{ mode = \"{mode}\" }}"));
    let dir = bundle(&manifest.replace("keyword-cost.wasm", "rogue-cost.wasm"));
    fs::write(dir.path().join("rogue-cost.wasm"), &components::guests()["rogue-cost"]).unwrap();
    dir
}

fn run(bundle: &Path, words: &[&str]) -> (Option<i32>, String) {
    run_with(bundle, words, &[])
}

/// Runs the program with these variables.
fn run_with(bundle: &Path, words: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut program = Command::new(program());
    program.arg(bundle).args(words).envs(variables.iter().copied());
    let Output { status, stdout, .. } = program.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap())
}

#[test]
fn words_beyond_the_budget_are_replaced() {
    let dir = bundle(MANIFEST);
    let (code, printed) = run(dir.path(), &["damn", "this", "damn", "thing", "DAMN"]);
    assert_eq!(code, Some(0), "{printed}");
    assert_eq!(printed, " damn:0.5 this:0.5 fine:0.5 thing:0.5 fine:0.5\nfailures: 0, constraints: 1\n");
}

#[test]
fn phrases_count_across_tokens() {
    let dir = bundle(&MANIFEST.replace("budget = 1.5", "budget = 0.5"));
    let (_, printed) = run(dir.path(), &["bloody", "hell", "bloody", "day"]);
    assert!(printed.starts_with(" bloody:0.5 fine:0.5 bloody:0.5 day:0.5"), "{printed}");
}

#[test]
fn a_cost_on_log_probabilities_takes_no_token_without_one() {
    let dir = rogue("read-logprobs");
    let (code, printed) = run(dir.path(), &["so", "so"]);
    assert!(code == Some(0) && printed.starts_with(" fine:unsafe:-inf fine:unsafe:-inf\n"), "{printed}");
    assert!(!printed.contains("failures: 0"), "the failure is named: {printed}");
    let (_, printed) = run_with(dir.path(), &["so", "so"], &[("LOGPROB", "-3.5")]);
    assert_eq!(printed, " so:1.0 so:0.5\nfailures: 0, constraints: 1\n");
    let (_, printed) = run_with(dir.path(), &["so"], &[("LOGPROB", "-inf")]);
    assert!(printed.starts_with(" fine:unsafe:-inf\n"), "{printed}");
}

#[test]
fn a_prompt_is_left_out_only_where_no_cost_reads_it() {
    let without = [("PROMPTLESS", "1")];
    let (code, printed) = run_with(bundle(MANIFEST).path(), &["this"], &without);
    assert_eq!((code, printed.as_str()), (Some(0), " this:1.5\nfailures: 0, constraints: 1\n"));
    let dir = rogue("read-text");
    let (code, printed) = run_with(dir.path(), &["this"], &without);
    assert!(code == Some(1) && printed.contains("`prompt` is NULL"), "{printed}");
    assert!(printed.contains("the cost `words` reads it"), "{printed}");
    assert_eq!(run(dir.path(), &["this"]).0, Some(0));
}

#[test]
fn what_cannot_be_enforced_here_is_refused_in_words() {
    let dir = bundle(
        &MANIFEST
            .replace("keyword-cost.wasm", "score-cost.wasm")
            .replace("{ words = [\"damn\", \"bloody hell\"] }", "{ model = \"cost\" }"),
    );
    let (code, printed) = run(dir.path(), &["x"]);
    assert_eq!(code, Some(1));
    assert!(
        printed.contains("scores of a score model") && printed.contains("another engine gives nothing else"),
        "{printed}"
    );
    for (key, more) in [("stop", "stop = [\"END\"]\n"), ("granularity", "granularity = \"terminal\"\n")] {
        let manifest = if key == "stop" { format!("{more}{MANIFEST}") } else { format!("{MANIFEST}{more}") };
        let (code, printed) = run(bundle(&manifest).path(), &["x"]);
        assert!(code == Some(1) && printed.contains(key) && printed.contains("cannot be enforced"), "{printed}");
    }
    let (code, printed) = run(Path::new("/no/such/bundle"), &[]);
    assert!(code == Some(1) && printed.contains("/no/such/bundle"), "{printed}");
}
