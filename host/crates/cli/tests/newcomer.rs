//! What people know from other programs: standard input, chats, completions, manual pages, options of servers.

mod common;

use common::{command, golden, run, served::Server, text};
use serde_json::json;
use std::{fs, io::Write, net::TcpListener, path::Path, process::Stdio};

/// Runs the program with a text on its standard input.
fn with_input(arguments: &[&str], input: &str) -> common::Ran {
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

const QUICK: [&str; 5] = ["run", "--n", "4", "--max-tokens", "24"];

#[test]
fn a_dash_is_a_prompt_from_the_standard_input() {
    let given = run(&[&QUICK[..], &["--json", "How do I clean a knife?"]].concat()).json();
    let read = with_input(&[&QUICK[..], &["--json", "-"]].concat(), "How do I clean a knife?\n").json();
    assert_eq!((&given["tokens"], given["status"].is_string()), (&read["tokens"], true));
    with_input(&[&QUICK[..], &["-"]].concat(), " \n").refuses("the prompt is empty");
}

#[test]
fn sampling_can_be_chosen_and_is_checked() {
    let ask = |more: &[&str]| run(&[&QUICK[..], &["--json"], more, &["How do I clean a knife?"]].concat());
    let [one, other] = ["1", "2"].map(|seed| ask(&["--temperature", "0", "--seed", seed]).json());
    assert_eq!(one["tokens"], other["tokens"], "the likeliest tokens follow from no seed");
    ask(&["--temperature=-1"]).refuses("temperature");
    ask(&["--top-p", "2"]).refuses("top_p");
}

#[test]
fn models_without_score_models_are_shown_the_way() {
    let ran = run(&["run", "--model", text(&golden("llama1")), "Hello"]);
    ran.refuses("bundle init mine --template words");
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("mine");
    assert_eq!(run(&["bundle", "init", text(&bundle), "--template", "words"]).code, Some(0));
    let model = golden("llama1");
    let arguments = ["run", "--model", text(&model), "--bundle", text(&bundle), "--max-tokens", "24"];
    let answer = run(&[&arguments[..], &["--json", "Hello"]].concat()).json();
    assert_eq!(answer["status"], "within_budget", "{answer}");
    // Nothing is at risk, so each token of the answer was sampled once.
    assert_eq!(answer["usage"]["sampled_tokens"], answer["usage"]["completion_tokens"], "{answer}");
}

#[test]
fn a_chat_keeps_its_turns_and_takes_commands() {
    let lines = "How do I clean a knife?\n/why\n/budget 0.0001\nHow do I clean a pan?\n/method magic\n/hello\n/new\n/bye\nnot read\n";
    let ran = with_input(&["chat", "--n", "4", "--max-tokens", "24"], lines);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for words in ["guarded by household-demo", "[within budget; ", "left]", "chunk 1: ", "there are: ", "/bye"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    assert!(!ran.stdout.contains('[') && ran.stdout.lines().count() >= 2, "answers alone: {}", ran.stdout);
    let ran = with_input(&["chat", "--method", "base", "--n", "4"], "/budget 999\n/budget harm=1\n/bye\n");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for words in ["/budget: found 999 for `safety`; expected a number above 0", "no constraint `harm`"] {
        assert!(ran.stderr.contains(words), "at once, not at the next question: {}", ran.stderr);
    }
    run(&["chat", "--method", "magic", "--n", "4"]).refuses("no method `magic`");
}

#[test]
fn shells_and_manuals_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert!(script.code == Some(0) && script.stdout.contains("calibrate"), "{shell}: {}", script.stderr);
    }
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(&["man", text(dir.path())]).code, Some(0));
    for page in ["inferguard.1", "inferguard-bundle-init.1", "inferguard-chat.1"] {
        assert!(dir.path().join(page).is_file(), "{page}");
    }
}

#[test]
fn components_are_listed_shown_and_exported() {
    let listed = run(&["component", "list"]);
    assert!(
        listed.stdout.lines().any(|line| line.starts_with("keyword-cost ") && line.contains(" cost ")),
        "{}",
        listed.stdout
    );
    let shown = run(&["component", "inspect", "keyword-cost"]).stdout;
    for words in
        ["words = {}", "reads the text of new tokens", "[costs.keyword-cost]", "component = \"keyword-cost.wasm\""]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let dir = tempfile::tempdir().unwrap();
    let all = dir.path().join("all");
    assert_eq!(run(&["component", "export", "--all", text(&all)]).code, Some(0));
    assert_eq!(fs::read_dir(&all).unwrap().count(), listed.stdout.lines().count());
    assert_eq!(run(&["component", "export", "base", text(&all)]).code, Some(0), "the same file may be there");
    fs::write(all.join("base.wasm"), "another").unwrap();
    run(&["component", "export", "base", text(&all)]).refuses("there is another file");
    run(&["component", "export", "none", text(&all)]).refuses("no first-party component");
}

/// What a key opens.
fn status_with(server: &Server, key: Option<&str>) -> u16 {
    let mut request = server.agent.post(format!("{}/v1/chat/completions", server.clients));
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let body = json!({"model": "kitchen", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4});
    request.send(body.to_string()).unwrap().status().as_u16()
}

#[test]
fn a_server_has_the_name_and_the_key_of_its_options() {
    let server = Server::start(&["--served-model-name", "kitchen", "--api-key", "open sesame", "--verbose"]);
    assert_eq!(status_with(&server, None), 401);
    assert_eq!(status_with(&server, Some("wrong")), 401);
    assert_eq!(status_with(&server, Some("open sesame")), 200);
    server.says("inferenceguard::requests: answered status=\"within_budget\"");
    let status = server.status();
    assert_eq!((&status["model"], &status["totals"]["ends"]["unauthorized"]), (&"kitchen".into(), &2.into()));
    assert_eq!(status["totals"]["last"][0]["end"], "answered", "{status}");
}

fn serve(arguments: &[&str]) -> common::Ran {
    run(&[&["serve", "--n", "4", "--no-admin"], arguments].concat())
}

#[test]
fn wrong_options_of_a_server_are_refused_before_a_model_is_loaded() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    // There is no such model: what is reported is found before it is looked for.
    let model = ["--model", "/no/such/model"];
    serve(&[&["--port", &port][..], &model].concat()).refuses("choose another address with --port or --listen");
    serve(&[&["--listen", "8000"][..], &model].concat()).refuses("--listen");
    serve(&["--port", "0", "--api-key", " "]).refuses("the key is empty");
    let both = serve(&["--listen", "127.0.0.1:0", "--port", "0"]);
    assert_eq!(both.code, Some(2), "{}", both.stderr);
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("server.toml");
    fs::write(&config, format!("[tenants.a]\nkey_sha256 = \"{}\"\n", "0".repeat(64))).unwrap();
    serve(&["--port", "0", "--api-key", "x", "--config", text(&config)]).refuses("leave out one of them");
}

#[test]
fn models_of_the_hub_are_listed_and_removed() {
    let home = tempfile::tempdir().unwrap();
    let model = |arguments: &[&str]| -> common::Ran {
        command(&[&["model"], arguments].concat()).env("HF_HOME", home.path()).output().unwrap().into()
    };
    let listed = model(&["list"]);
    assert!(
        listed.code == Some(0) && listed.stdout.is_empty() && listed.stderr.contains("model pull"),
        "{}",
        listed.stderr
    );
    let blobs = home.path().join("hub/models--org--name/blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join("0"), vec![0; 1_500_000]).unwrap();
    assert!(model(&["list"]).stdout.contains("1.5 MB  org/name"));
    model(&["remove", "../name"]).refuses("no id of a model");
    assert!(model(&["remove", "org/name"]).stdout.contains("org/name removed, 1.5 MB"));
    assert!(!Path::new(&blobs).exists());
    model(&["remove", "org/name"]).refuses("not in the cache");
    model(&["pull", "org/name"]).refuses("HF_HUB_OFFLINE");
}

/// The commands that a page of help lists.
fn listed(help: &str) -> Vec<String> {
    let commands = help.split_once("\nCommands:\n").map(|(_, rest)| rest).unwrap_or_default();
    let lines = commands.lines().take_while(|line| line.starts_with("  ")).filter(|line| !line.starts_with("   "));
    let names = lines.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

/// The pages of help below a command, each with the words that lead there.
fn pages(path: &[String], found: &mut Vec<(String, String)>) {
    let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let ran = run(&words);
    assert_eq!(ran.code, Some(0), "{words:?}: {}", ran.stderr);
    found.push((path.join(" "), ran.stdout.clone()));
    for name in listed(&ran.stdout) {
        pages(&[path, &[name]].concat(), found);
    }
}

/// The options of a page of help that have no text.
fn silent(help: &str) -> Vec<&str> {
    let lines: Vec<&str> = help.lines().collect();
    // Values of an option stand further to the right.
    let is_option = |line: &str| line.trim_start().starts_with('-') && (2..=6).contains(&line.find('-').unwrap_or(0));
    let says = |line: &str| line.trim_start().contains("  ");
    let below =
        |at: usize| lines.get(at + 1).is_some_and(|next| next.starts_with("          ") && !next.trim().is_empty());
    let all = lines.iter().enumerate().filter(|(_, line)| is_option(line));
    all.filter(|(at, line)| !says(line) && !below(*at)).map(|(_, line)| *line).collect()
}

#[test]
fn every_command_explains_itself_in_words_of_the_glossary() {
    let mut found = Vec::new();
    pages(&[], &mut found);
    let names: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    for expected in ["", "run", "serve", "bundle init", "bundle calibrate", "train cost", "model remove"] {
        assert!(names.contains(&expected), "{expected:?} is not in {names:?}");
    }
    for (path, help) in &found {
        assert_eq!(silent(help), [""; 0], "{path} --help");
        // Methods and trainings of the paper are for those who look for them.
        let research = ["eval", "train", "bench", "simulate"].iter().any(|command| path.starts_with(command));
        for word in ["Lagrangian", "RE-Control", "the paper", "trajector", "z-score"] {
            assert!(research || !help.contains(word), "{path} --help says {word:?}");
        }
    }
    let glossary = found[0].1.split_once("Words of this help:").map(|(_, rest)| rest).unwrap_or_default();
    for word in ["bundle", "constraint", "candidate", "chunk", "method", "component", "score model", "latent", "critic"]
    {
        assert!(glossary.contains(&format!("\n  {word} ")), "{word} is not explained in {glossary}");
        assert!(found[1..].iter().any(|(_, help)| help.contains(word)), "no command says {word}");
    }
}

#[test]
fn options_that_a_command_does_not_take_are_refused() {
    for arguments in [
        &["bundle", "pin", "--n", "4"][..],
        &["bundle", "price", "--n", "4", "text"],
        &["bundle", "diff", "--bundle", "a", "--records", "r", "old", "new"],
    ] {
        let ran = run(arguments);
        assert!(ran.code == Some(2) && ran.stderr.contains("does not take it"), "{arguments:?}: {}", ran.stderr);
    }
    let [long, other] =
        ["--n", "--candidates"].map(|name| run(&["run", name, "2", "--json", "--max-tokens", "8", "Hello"]));
    assert_eq!(long.json()["tokens"], other.json()["tokens"]);
}

#[test]
fn a_mistake_in_a_bundle_is_named_by_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("mine");
    assert_eq!(run(&["bundle", "init", text(&bundle), "--template", "words"]).code, Some(0));
    let manifest = bundle.join("bundle.toml");
    let wrong = fs::read_to_string(&manifest).unwrap().replace("{ words = {", "{ wrods = {");
    fs::write(&manifest, &wrong).unwrap();
    let line = wrong.lines().position(|line| line.contains("wrods")).unwrap() + 1;
    let place = format!("bundle.toml, line {line}, key `costs.words.settings.wrods`: ");
    let price = |bundle: &Path| run(&["bundle", "price", "--bundle", text(bundle), "They kill time."]);
    price(&bundle).refuses(&format!("{place}`words` has no setting `wrods`; it has `words`"));
    price(&manifest).refuses("expected its folder");
}
