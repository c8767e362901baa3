//! The commands of the page `host/QUICKSTART.md`, one after the other, with a small model in place of the reader's.

mod common;

use common::{golden, served};
use served::Server;
use std::{
    env, fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

const PAGE: &str = include_str!("../../../QUICKSTART.md");

/// The commands of the page, without comments.
fn commands() -> Vec<String> {
    let blocks = PAGE.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let lines = blocks.flat_map(str::lines).map(|line| line.split("   #").next().unwrap_or_default().trim().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// Runs a command of the page in a folder, as the reader's shell would.
fn shell(dir: &Path, line: &str, input: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_inferguard")).parent().unwrap();
    let path = format!("{}:{}", program.display(), env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-ec", line]).current_dir(dir).env("PATH", path).env("MODEL", "model").env("HF_HUB_OFFLINE", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn succeeds(dir: &Path, line: &str, input: &str) -> String {
    let output = shell(dir, line, input);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{line}\n{out}\n{err}");
    format!("{out}\n{err}")
}

/// Starts the server of the page on free ports.
fn serves(dir: &Path, line: &str) -> Server {
    let arguments: Vec<&str> =
        line.split_whitespace().skip(2).map(|word| word.replace("$MODEL", "model").leak() as &str).collect();
    Server::of(served::serve(&arguments).current_dir(dir).spawn().unwrap())
}

/// The body that `curl -d` sends.
fn body(line: &str) -> serde_json::Value {
    serde_json::from_str(line.split('\'').nth(1).unwrap()).unwrap()
}

#[test]
fn the_commands_of_the_page_work_from_the_first_to_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(golden("llama1")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    let (mut server, mut answers, mut shown): (Option<Server>, _, _) = (None, Vec::new(), String::new());
    for line in commands() {
        match line.split_whitespace().next().unwrap() {
            word if word.starts_with("MODEL=") => {}
            "curl" => answers.push(server.as_ref().expect("a server").ask(&body(&line)).expect("an answer")),
            "inferguard" if line.starts_with("inferguard serve") => server = Some(serves(dir.path(), &line)),
            "inferguard" if line.starts_with("inferguard chat") => {
                shown = succeeds(dir.path(), &line, "Hello there\n/why\n/budget 2\n/method base\nAnd you?\n/bye\n");
                assert!(shown.contains("guarded by mine 1.0.0") && shown.contains("chunk 1: "), "{shown}");
            }
            "inferguard" => {
                let of_server =
                    line.starts_with("inferguard bundle activate") || line.starts_with("inferguard bundle rollback");
                let admin = || format!(" --server {}", server.as_ref().expect("a server").admin);
                shown = succeeds(dir.path(), &format!("{line}{}", if of_server { admin() } else { String::new() }), "");
            }
            _ => drop(succeeds(dir.path(), &line, "")),
        }
        if line.contains("bundle price") {
            assert!(shown.contains("budget exceeded") && shown.contains("bomb*") && shown.contains("kill*"), "{shown}");
        }
    }
    let generation = |at: usize| answers[at]["choices"][0]["inferenceguard"]["generations"].clone();
    assert_eq!((generation(0), generation(1)), (serde_json::json!([1]), serde_json::json!([2])), "{answers:?}");
    assert!(shown.contains("record 2: ") && shown.contains("words: "), "the explanation: {shown}");
    let manifest = fs::read_to_string(dir.path().join("mine/bundle.toml")).unwrap();
    assert!(manifest.contains("\"film*\" = 5.0"), "the page's edit changes the bundle: {manifest}");
}
