//! The rules that a compiler does not check: where files lie, which crates depend on which, how a file begins.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[path = "tidy_support/cycles.rs"]
mod cycles;
#[path = "tidy_support/edges.rs"]
mod edges;
#[path = "tidy_support/scripts.rs"]
mod scripts;
#[path = "tidy_support/sizes.rs"]
mod sizes;
#[path = "tidy_support/words.rs"]
mod words;

/// Everything that may lie in the root folder.
const TOP: [&str; 15] = [
    ".ci",
    ".clippy.toml",
    ".deny.toml",
    ".dockerignore",
    ".gitignore",
    ".rustfmt.toml",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "guest",
    "host",
    "rust-toolchain.toml",
    "tests",
];

/// The folder of the contract.
const CONTRACT: &str = "wit";

/// Which of our crates may name which. The CLI and the tests may name all.
const EDGES: &[(&str, &[&str])] = &[
    ("inferenceguard-model", &[]),
    ("inferenceguard-search", &["inferenceguard-model"]),
    ("inferenceguard-schedule", &["inferenceguard-model"]),
    ("inferenceguard-engines", &["inferenceguard-model"]),
    // For tests: the other side of its connections.
    ("inferenceguard-fake-engines", &["inferenceguard-engines", "inferenceguard-model"]),
    ("inferenceguard-kernels", &[]),
    ("inferenceguard-candle", &["inferenceguard-kernels", "inferenceguard-model"]),
    // The manifest's types are the search's own (constraints, sampling), so that they are written once.
    ("inferenceguard-bundle", &["inferenceguard-model", "inferenceguard-search"]),
    // Limits and settings are data of the manifest.
    ("inferenceguard-sandbox", &["inferenceguard-bundle", "inferenceguard-model", "inferenceguard-search"]),
    // An engine is built from a bundle: the embedder should not have to take it apart.
    (
        "inferenceguard-host",
        &[
            "inferenceguard-bundle",
            "inferenceguard-model",
            "inferenceguard-sandbox",
            "inferenceguard-schedule",
            "inferenceguard-search",
        ],
    ),
    ("inferenceguard-dice", &[]),
    ("inferenceguard-demo", &["inferenceguard-dice"]),
    // A critic is trained through the traits of any back end, by the host's own arithmetic of budgets, on prices of a bundle's
    // components, and written as a bundle's network; its plots are drawn where all plots are.
    (
        "inferenceguard-critic",
        &[
            "inferenceguard-bundle",
            "inferenceguard-candle",
            "inferenceguard-dice",
            "inferenceguard-eval",
            "inferenceguard-model",
            "inferenceguard-sandbox",
            "inferenceguard-search",
        ],
    ),
    // How safe an answer is, is the host's to say.
    ("inferenceguard-eval", &["inferenceguard-search"]),
    // Plots are drawn where all plots are.
    ("inferenceguard-scaling", &["inferenceguard-eval"]),
    // A name stands for a model, a bundle or a component; an engine is made of all three.
    (
        "inferenceguard-catalog",
        &[
            "inferenceguard-bundle",
            "inferenceguard-candle",
            "inferenceguard-componentize",
            "inferenceguard-engines",
            "inferenceguard-host",
            "inferenceguard-model",
            "inferenceguard-record",
            "inferenceguard-sandbox",
            "inferenceguard-search",
        ],
    ),
    // Words for people, about everything that the layers below have.
    (
        "inferenceguard-console",
        &[
            "inferenceguard-bundle",
            "inferenceguard-componentize",
            "inferenceguard-host",
            "inferenceguard-model",
            "inferenceguard-record",
            "inferenceguard-sandbox",
            "inferenceguard-search",
        ],
    ),
    ("inferenceguard-telemetry", &["inferenceguard-console", "inferenceguard-model"]),
    ("inferenceguard-registry", &["inferenceguard-bundle"]),
    // Records are decided again by engines, and found by the names of bundles and models.
    (
        "inferenceguard-replay",
        &[
            "inferenceguard-bundle",
            "inferenceguard-catalog",
            "inferenceguard-host",
            "inferenceguard-model",
            "inferenceguard-record",
            "inferenceguard-sandbox",
            "inferenceguard-search",
        ],
    ),
    // A conversation opens its model and its bundle by name, records its answers, and explains them in words.
    (
        "inferenceguard-chat",
        &[
            "inferenceguard-bundle",
            "inferenceguard-catalog",
            "inferenceguard-console",
            "inferenceguard-host",
            "inferenceguard-model",
            "inferenceguard-record",
            "inferenceguard-search",
        ],
    ),
    // Bundles and components are named, made, tried and put into words.
    (
        "inferenceguard-workshop",
        &[
            "inferenceguard-bundle",
            "inferenceguard-catalog",
            "inferenceguard-componentize",
            "inferenceguard-console",
            "inferenceguard-host",
            "inferenceguard-model",
            "inferenceguard-sandbox",
            "inferenceguard-search",
        ],
    ),
    // Gateways' messages are plain data; Envoy's need gRPC.
    ("inferenceguard-gateways", &["inferenceguard-model"]),
    ("inferenceguard-envoy", &["inferenceguard-gateways"]),
    // The server as a process: its models and bundles by name, its state, its spans.
    (
        "inferenceguard-service",
        &[
            "inferenceguard-bundle",
            "inferenceguard-catalog",
            "inferenceguard-envoy",
            "inferenceguard-gateways",
            "inferenceguard-host",
            "inferenceguard-model",
            "inferenceguard-server",
            "inferenceguard-telemetry",
        ],
    ),
    // Engines are built, asked and measured; the demonstration's world has the prompts and the judge.
    (
        "inferenceguard-trials",
        &[
            "inferenceguard-bundle",
            "inferenceguard-candle",
            "inferenceguard-catalog",
            "inferenceguard-demo",
            "inferenceguard-eval",
            "inferenceguard-host",
            "inferenceguard-model",
            "inferenceguard-sandbox",
            "inferenceguard-search",
        ],
    ),
    // What is trained is named; the paper's settings are those of its evaluation.
    (
        "inferenceguard-training",
        &[
            "inferenceguard-bundle",
            "inferenceguard-candle",
            "inferenceguard-catalog",
            "inferenceguard-critic",
            "inferenceguard-demo",
            "inferenceguard-eval",
            "inferenceguard-host",
            "inferenceguard-model",
            "inferenceguard-sandbox",
            "inferenceguard-search",
            "inferenceguard-trials",
        ],
    ),
    ("inferenceguard-ffi", &["inferenceguard-bundle", "inferenceguard-host", "inferenceguard-search"]),
    // One kind of key signs bundles and records. Checking a record needs no engine; the tests of records do.
    ("inferenceguard-record", &["inferenceguard-bundle", "inferenceguard-model", "inferenceguard-search"]),
    // Messages, sampling and release are types of the crates that define them.
    (
        "inferenceguard-server",
        &[
            "inferenceguard-bundle",
            "inferenceguard-gateways",
            "inferenceguard-host",
            "inferenceguard-model",
            "inferenceguard-record",
            "inferenceguard-search",
        ],
    ),
    ("inferenceguard-componentize", &[]),
    ("inferenceguard-guest", &[]),
    (
        TESTKIT,
        &[
            "inferenceguard-bundle",
            "inferenceguard-componentize",
            "inferenceguard-host",
            "inferenceguard-model",
            "inferenceguard-search",
        ],
    ),
];

/// Any crate's tests may use it, and nothing but tests.
const TESTKIT: &str = "inferenceguard-testkit";

/// The crates of which the tests alone may use another one of ours beside the test kit: records are made by an engine; an
/// example embeds a model from disk; a bench measures the scheduler on real models; a server is tested in front of engines that go
/// away.
const FOR_TESTS: &[(&str, &str)] = &[
    ("inferenceguard-record", "inferenceguard-host"),
    ("inferenceguard-host", "inferenceguard-candle"),
    ("inferenceguard-candle", "inferenceguard-schedule"),
    ("inferenceguard-engines", "inferenceguard-fake-engines"),
    ("inferenceguard-server", "inferenceguard-engines"),
    ("inferenceguard-server", "inferenceguard-fake-engines"),
];

/// The crates that the program is made of, and that print nothing themselves.
const PROGRAM: [&str; 11] = [
    "catalog",
    "chat",
    "cli",
    "console",
    "registry",
    "replay",
    "service",
    "telemetry",
    "training",
    "trials",
    "workshop",
];

/// Writes log lines to the standard error, each with control characters escaped.
const TELEMETRY_WRITER: &str = "host/crates/telemetry/src/lib.rs";

/// Crates that a verifier builds, and what they must not bring along.
const LIGHT: [&str; 2] = ["inferenceguard-bundle", "inferenceguard-record"];
const ENGINES: [&str; 4] = ["wasmtime", "candle-core", "candle-nn", "inferenceguard-host"];

/// Packages that may depend on every crate.
const TOGETHER: [&str; 4] = ["inferenceguard", "inferenceguard-tests", "inferenceguard-guarantee-tests", FUZZ];

/// A library, because fuzzers and tests call it; no other crate depends on it.
const FUZZ: &str = "inferenceguard-fuzz";

/// Heavy dependencies, and the only crates of ours that may name them outside of tests.
const HOMES: &[(&str, &[&str])] = &[
    ("wasmtime", &["inferenceguard-sandbox"]),
    ("candle-core", &["inferenceguard-candle", "inferenceguard-critic", "inferenceguard-demo"]),
    ("candle-nn", &["inferenceguard-candle", "inferenceguard-critic", "inferenceguard-demo"]),
    ("wit-bindgen", &["inferenceguard-guest"]),
    // The network.
    ("hf-hub", &["inferenceguard-catalog"]),
    ("ureq", &["inferenceguard-registry", "inferenceguard-service"]),
    ("oci-client", &["inferenceguard-registry"]),
    ("reqwest", &["inferenceguard-engines"]),
    // Async.
    ("tonic", &["inferenceguard-envoy"]),
    (
        "tokio",
        &[
            "inferenceguard-engines",
            "inferenceguard-envoy",
            "inferenceguard-fake-engines",
            "inferenceguard-registry",
            "inferenceguard-server",
            "inferenceguard-service",
        ],
    ),
    ("axum", &["inferenceguard-fake-engines", "inferenceguard-server"]),
    // The command line and its errors.
    ("clap", &["inferenceguard"]),
    ("anyhow", &["inferenceguard"]),
];

/// Files that may contain unsafe code, and why.
const UNSAFE_SPOTS: &[(&str, &str)] = &[
    ("host/crates/candle/src/files.rs", "maps weights into memory"),
    ("host/crates/kernels/src/quantized/vnni.rs", "calls instructions that the machine reports to have"),
    ("host/crates/kernels/src/bf16/avx512.rs", "calls instructions that the machine reports to have"),
    ("host/crates/kernels/src/bf16/amx.rs", "instructions that the machine has and its system allows"),
    ("host/crates/ffi/src/lib.rs", "the C interface"),
    ("host/crates/ffi/src/pointers.rs", "between pointers and values"),
    ("host/crates/sandbox/src/bindings.rs", "generated from the contract"),
    ("guest/src/bindings.rs", "generated from the contract"),
    ("host/crates/componentize/tests/build.rs", "inside the text of a crate that must be refused"),
    ("tests/tidy.rs", "inside the texts of the test of this rule"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The tracked files that exist, relative to the root; without git, all files outside of build folders.
fn files() -> Vec<String> {
    let git = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let mut found: Vec<String> = match git {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            String::from_utf8(output.stdout).unwrap().split_terminator('\0').map(str::to_owned).collect()
        }
        _ => {
            let mut found = Vec::new();
            walk(&root(), "", &mut found);
            found
        }
    };
    found.retain(|path| root().join(path).is_file());
    assert!(found.len() > 50, "only {} files found", found.len());
    found
}

fn walk(dir: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        if entry.file_type().unwrap().is_file() {
            found.push(path);
        } else if name != "target" && name != ".git" {
            walk(&entry.path(), &format!("{path}/"), found);
        }
    }
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rust_files() -> Vec<(String, String)> {
    let rust = files().into_iter().filter(|path| path.ends_with(".rs"));
    rust.map(|path| (path.clone(), text(&path))).collect()
}

fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn the_root_folder_holds_what_it_should() {
    let found: BTreeSet<String> =
        files().iter().map(|path| path.split('/').next().unwrap_or(path).to_owned()).collect();
    let expected: BTreeSet<String> = TOP.iter().chain([&CONTRACT]).map(|&name| name.to_owned()).collect();
    let extra: Vec<_> = found.difference(&expected).collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    assert!(extra.is_empty() && missing.is_empty(), "in the root: too much {extra:?}, missing {missing:?}");
}

#[test]
fn every_rust_file_opens_with_a_header() {
    let silent = rust_files().into_iter().filter(|(_, text)| !text.starts_with("//! "));
    none(silent.map(|(path, _)| format!("{path}: open with `//!` and one sentence about the file")).collect());
}

#[test]
fn no_line_ends_in_a_space() {
    const TEXT: [&str; 6] = [".rs", ".md", ".wit", ".toml", ".py", ".yml"];
    let mut complaints = Vec::new();
    for path in files().into_iter().filter(|path| TEXT.iter().any(|end| path.ends_with(end))) {
        for (i, line) in text(&path).split('\n').enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                complaints.push(format!("{path}:{}: white space at the end of the line", i + 1));
            }
        }
    }
    none(complaints);
}

#[test]
fn decisions_and_back_end_traits_deny_clocks_threads_and_files() {
    for path in ["host/crates/search/src/lib.rs", "host/crates/model/src/lib.rs"] {
        assert!(text(path).contains("#![deny(clippy::disallowed_methods)]"), "{path} lost its lint");
    }
}

/// True for a line of code that turns the compiler's checks off.
fn turns_checks_off(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or(line);
    let keyword = code.match_indices("unsafe").any(|(at, word)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].trim_start();
        let follows = ["{", "fn ", "impl ", "extern ", "trait "];
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_') && follows.iter().any(|f| after.starts_with(f))
    });
    let attribute = ["allow(unsafe_code", "expect(unsafe_code"].iter().any(|a| code.contains(a));
    keyword || attribute || code.trim() == "unsafe_code,"
}

#[test]
fn unchecked_code_has_named_spots() {
    // Guests that misbehave on purpose run in the sandbox only.
    let files = rust_files().into_iter().filter(|(path, _)| !path.starts_with("tests/guests/"));
    let found: BTreeSet<String> =
        files.filter(|(_, text)| text.lines().any(turns_checks_off)).map(|(path, _)| path).collect();
    let named: BTreeSet<String> = UNSAFE_SPOTS.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(found, named, "found on the left, named in UNSAFE_SPOTS on the right");
}

#[test]
fn the_search_for_unchecked_code_finds_it() {
    for line in ["unsafe { x }", "    pub unsafe fn f() {}", "#[expect(unsafe_code, reason = \"r\")]", "(unsafe {})"] {
        assert!(turns_checks_off(line), "{line}");
    }
    for line in ["// unsafe { x }", "let unsafe_rows = 1;", "\"counts as unsafe\"", "is_unsafe {"] {
        assert!(!turns_checks_off(line), "{line}");
    }
}

#[test]
fn the_program_prints_in_one_place() {
    // What is printed elsewhere may quote strangers, whose text a terminal would obey.
    let allowed = ["host/crates/cli/src/output.rs", TELEMETRY_WRITER];
    let in_program = |path: &str| PROGRAM.iter().any(|name| path.starts_with(&format!("host/crates/{name}/src/")));
    let program: Vec<(String, String)> = rust_files().into_iter().filter(|(path, _)| in_program(path)).collect();
    for name in PROGRAM {
        let prefix = format!("host/crates/{name}/src/");
        assert!(program.iter().any(|(path, _)| path.starts_with(&prefix)), "{prefix} is gone: mend PROGRAM");
    }
    let prints = |(_, text): &(String, String)| {
        ["stdout()", "stderr()", "io::stderr", "println!", "print!"].iter().any(|w| text.contains(w))
    };
    let others = program.into_iter().filter(prints).filter(|(path, _)| !allowed.contains(&path.as_str()));
    none(others.map(|(path, _)| format!("{path}: prints; leave that to `output`")).collect());
}

#[test]
fn no_file_names_a_machine() {
    // In two parts each, so that this file does not find itself.
    let names = [["/wo", "rk/"], ["/far", "m/"], ["far", "m-"], ["/tmp/", "team"], ["/ro", "ot/"], ["/home", "/"]];
    let names = names.map(|parts| parts.concat());
    let mut complaints = Vec::new();
    for path in files() {
        let bytes = fs::read(root().join(&path)).unwrap();
        let Ok(text) = String::from_utf8(bytes) else { continue };
        for (i, line) in text.lines().enumerate() {
            if let Some(name) = names.iter().find(|name| line.contains(name.as_str())) {
                complaints.push(format!("{path}:{}: names a machine or its folders: {name}", i + 1));
            }
        }
    }
    none(complaints);
}

/// The folders in a folder that hold a crate.
fn crates_in(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let crates = entries.filter(|path| path.join("Cargo.toml").is_file());
    crates.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_component_is_named_by_a_test_that_runs_it() {
    let tests: Vec<(String, String)> =
        rust_files().into_iter().filter(|(path, _)| is_test_of_components(path)).collect();
    let unnamed = |name: &String| !tests.iter().any(|(_, text)| text.contains(&format!("\"{name}\"")));
    for folder in ["tests/guests", "guest/components"] {
        let crates = crates_in(folder);
        assert!(crates.len() > 5, "{folder} holds {crates:?}");
        none(
            crates
                .into_iter()
                .filter(unnamed)
                .map(|name| format!("{folder}/{name}: no test of tests/ runs it"))
                .collect(),
        );
    }
}

/// True for the tests in the folder `tests` itself; this file and folders of helpers list names without running anything.
fn is_test_of_components(path: &str) -> bool {
    path.strip_prefix("tests/").is_some_and(|file| !file.contains('/') && file != "tidy.rs")
}

#[test]
fn the_commands_of_the_readme_are_those_of_the_checks() {
    let (readme, checks) = (text("README.md"), text(".ci/run"));
    let commands =
        ["cargo run --release -- run \"How do I clean a kitchen knife?\"", "cargo test --release --workspace"];
    for command in commands {
        for (file, text) in [("README.md", &readme), (".ci/run", &checks)] {
            assert!(text.lines().any(|line| line.trim() == command), "{file} has no line `{command}`");
        }
    }
}
