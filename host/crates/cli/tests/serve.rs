//! The server as a process: bundles under it, and kills.

mod common;

use common::{
    command, run,
    served::{MANIFEST, Server, question, signal},
    text,
};
use opentelemetry_proto::tonic::{collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span};
use prost::Message;
use serde_json::json;
use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

#[test]
fn bundles_are_activated_tried_and_rolled_back_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("kitchen");
    assert_eq!(run(&["bundle", "init", text(&bundle), "--template", "score"]).code, Some(0));
    let server = Server::start(&[]);
    let tell = |arguments: &[&str]| run(&[&["bundle"], arguments, &["--server", &server.admin]].concat());
    let ran = tell(&["activate", text(&bundle)]);
    assert!(ran.stdout.starts_with("generation 2: kitchen 1.0.0  sha256:"), "{}{}", ran.stdout, ran.stderr);
    assert!(tell(&["activate", text(&bundle), "--canary", "0.5"]).stdout.starts_with("canary, generation 3"));
    assert!(tell(&["activate", text(&bundle), "--shadow", "0.5"]).stdout.starts_with("shadow, generation 4"));
    tell(&["activate", text(&bundle), "--canary", "5"]).refuses("a number from 0 to 1");
    tell(&["activate", "/no/such/bundle"]).refuses("/no/such/bundle");
    assert!(tell(&["rollback"]).stdout.starts_with("generation 5: household-demo"));
    tell(&["rollback"]).refuses("there is no earlier bundle to go back to");
}

#[test]
fn the_command_line_names_the_variable_of_the_administrators_token() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("server.toml");
    fs::write(&config, format!("admin_token_sha256 = \"{}\"\n", "0".repeat(64))).unwrap();
    let server = Server::start(&["--config", text(&config)]);
    run(&["bundle", "rollback", "--server", &server.admin]).refuses("INFERGUARD_ADMIN_TOKEN");
}

/// The block of `OPERATIONS.md` in this language that begins so.
fn block_of_the_page(language: &str, begins: &str) -> String {
    const PAGE: &str = include_str!("../../../OPERATIONS.md");
    let opening = format!("```{language}\n");
    let mut blocks = PAGE.split(opening.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.find(|block| block.starts_with(begins)).expect("the page has the block").to_owned()
}

/// Starts a server with these settings as its only options, and ends it once it listens.
fn starts_with_settings(config: &Path) {
    let doors = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--config", text(config)];
    let server = Server::of(command(&doors).stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!(server.generation(), 1);
}

#[test]
fn a_server_starts_with_the_settings_that_the_page_of_operations_shows() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("server.toml");
    fs::write(&config, block_of_the_page("toml", "max_waiting")).unwrap();
    starts_with_settings(&config);
}

#[test]
fn a_server_starts_with_all_lines_of_the_page_once_digests_files_and_the_layer_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("server.toml");
    let block = block_of_the_page("toml", "max_waiting");
    let lines: Vec<&str> = block.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
    assert!(lines.contains(&"[tenants.kitchen]"), "{block}");
    // The token stays out: with one, the test could not ask for the status.
    let settings = lines.join("\n").replace('…', &"0".repeat(64)).replace("admin_token_sha256", "# admin_token_sha256");
    fs::write(&config, settings).unwrap();
    let trust = block_of_the_page("toml", "require_signature").replace("= true", "= false");
    fs::write(dir.path().join("trust.toml"), trust).unwrap();
    fs::create_dir(dir.path().join("kitchen-layer")).unwrap();
    let layer = block_of_the_page("toml", "name = \"kitchen\"\nmax_tokens");
    fs::write(dir.path().join("kitchen-layer/layer.toml"), layer).unwrap();
    starts_with_settings(&config);
}

#[test]
fn limits_of_a_bundle_that_is_activated_hold_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let make = |name: &str, more: &str| {
        assert_eq!(run(&["bundle", "init", text(&path(name)), "--template", "score"]).code, Some(0));
        let file = path(name).join("bundle.toml");
        let manifest = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{manifest}\n{more}")).unwrap();
    };
    let words = "[costs.words]\ncomponent = \"keyword-cost.wasm\"\nlists = { words = \"words.txt\" }\n";
    make("base", "[limits]\nfuel = 50000000\n");
    make("low", "[limits]\nfuel = 10000\n");
    make("high", &format!("{words}\n[limits]\nfuel = 5000000000\ndeadline-ms = 60000\n"));
    let letters = "abcdefghijklmnoprstu";
    let pairs = letters.chars().flat_map(|a| letters.chars().map(move |b| format!("{a}{b}")));
    let words: Vec<String> = pairs.flat_map(|pair| letters.chars().map(move |c| format!("x{pair}{c}q"))).collect();
    fs::write(path("high").join("words.txt"), words.join("\n")).unwrap();

    let state = path("state");
    let arguments = ["--bundle", text(&path("base")), "--state", text(&state)].map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let server = Server::start(&arguments);
    let tell = |server: &Server, name: &str| run(&["bundle", "activate", text(&path(name)), "--server", &server.admin]);
    let high = tell(&server, "high");
    assert!(high.stdout.starts_with("generation 2: high"), "{}{}", high.stdout, high.stderr);
    tell(&server, "low").refuses("out of fuel: 10000 units");
    // The words take more than the first bundle allows.
    let poor =
        fs::read_to_string(path("high").join("bundle.toml")).unwrap().replace("fuel = 5000000000", "fuel = 50000000");
    fs::write(path("high").join("bundle.toml"), poor).unwrap();
    tell(&server, "high").refuses("out of fuel: 50000000 units");
    let answered =
        |server: &Server| server.ask(&question(1)).unwrap()["choices"][0]["inferenceguard"]["status"].clone();
    assert_eq!(answered(&server), "within_budget");
    drop(server);
    let server = Server::start(&arguments);
    assert_eq!(server.status()["generation"]["bundle"]["name"], "high");
    assert_eq!(answered(&server), "within_budget");
}

/// Takes one OTLP export and answers it; gives its spans.
fn collected(listener: &TcpListener) -> Vec<Span> {
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line).unwrap() > 2 {
        let lower = line.to_lowercase();
        length = lower.strip_prefix("content-length:").map_or(length, |number| number.trim().parse().unwrap());
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    let export = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    export.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    Some(format!("{:?}", found.value.as_ref()?.value.as_ref()?))
}

#[cfg(unix)]
#[test]
fn a_collector_hears_of_every_request_and_of_no_text_unless_the_operator_says_so() {
    let (listener, dir) = (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    let collector = format!("http://{}", listener.local_addr().unwrap());
    let config = dir.path().join("server.toml");
    fs::write(&config, "trace_content = true").unwrap();
    for content in [false, true] {
        let mut arguments = vec!["--otlp", &collector];
        arguments.extend(if content { vec!["--config", text(&config)] } else { Vec::new() });
        let mut server = Server::start(&arguments);
        let asked = server.agent.post(format!("{}/v1/chat/completions", server.clients));
        // The last two digits: whether the caller wants its trace kept. It is not the caller's to say.
        let parent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0{}", u8::from(!content));
        let answer = asked.header("traceparent", &parent).send(question(1).to_string()).unwrap();
        assert_eq!(answer.status(), 200);
        signal("TERM", &server.process);
        let spans = collected(&listener);
        server.process.wait().unwrap();
        let span = spans.iter().find(|span| span.name.starts_with("chat ")).expect("a span of the request");
        assert_eq!(attribute(span, "gen_ai.operation.name").unwrap(), "StringValue(\"chat\")");
        assert!(attribute(span, "inferenceguard.status").unwrap().contains("within_budget"));
        assert!(attribute(span, "gen_ai.response.finish_reasons").unwrap().starts_with("ArrayValue"));
        assert!(attribute(span, "gen_ai.usage.output_tokens").unwrap().starts_with("IntValue"));
        assert_eq!((span.trace_id[..2].to_vec(), span.parent_span_id[0]), (vec![0x0a, 0xf7], 0xb7));
        let found = format!("{spans:?}").contains("clean a knife");
        assert_eq!((found, attribute(span, "gen_ai.output.messages").is_some()), (content, content));
    }
}

#[test]
fn every_bundle_that_decided_is_there_for_the_records_that_name_it() {
    let dir = tempfile::tempdir().unwrap();
    let (state, records, bundle) =
        (dir.path().join("state"), dir.path().join("records.jsonl"), dir.path().join("kitchen"));
    assert_eq!(run(&["bundle", "init", text(&bundle), "--template", "score"]).code, Some(0));
    let server = Server::start(&["--state", text(&state), "--records", text(&records)]);
    let tell = |arguments: &[&str]| {
        let ran = run(&[&["bundle"], arguments, &["--server", &server.admin]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    };
    server.ask(&question(1)).unwrap();
    tell(&["activate", text(&bundle)]);
    server.ask(&question(2)).unwrap();
    tell(&["rollback"]);
    let other = fs::read_to_string(bundle.join("bundle.toml")).unwrap().replace("budget = 10.0", "budget = 7.0");
    fs::write(bundle.join("bundle.toml"), other).unwrap();
    tell(&["activate", text(&bundle), "--canary", "1"]);
    server.ask(&question(3)).unwrap();
    drop(server);
    let replayed = run(&["replay", text(&records), "--state", text(&state), "--with-model"]);
    assert!(replayed.stdout.contains("3 records decided again"), "{}{}", replayed.stdout, replayed.stderr);
}

#[test]
fn the_saved_bundle_decides_unless_a_server_begins_fresh() {
    let dir = tempfile::tempdir().unwrap();
    let (state, bundle) = (dir.path().join("state"), dir.path().join("kitchen"));
    assert_eq!(run(&["bundle", "init", text(&bundle), "--template", "score"]).code, Some(0));
    let active = |more: &[&str]| {
        let server = Server::start(&[&["--state", text(&state)], more].concat());
        let generation = server.status()["generation"].clone();
        (generation["bundle"]["name"].clone(), generation["number"].clone(), server)
    };
    let first = active(&[]);
    assert_eq!((first.0, first.1), (json!("household-demo"), json!(1)));
    drop(first.2);
    assert_eq!(active(&["--bundle", text(&bundle)]).0, "household-demo");
    let fresh = active(&["--bundle", text(&bundle), "--fresh"]);
    assert_eq!((fresh.0, fresh.1), (json!("kitchen"), json!(2)));
    let rolled = run(&["bundle", "rollback", "--server", &fresh.2.admin]);
    assert!(rolled.stdout.starts_with("generation 3: household-demo"), "{}{}", rolled.stdout, rolled.stderr);
    drop(fresh.2);
    let again = active(&["--bundle", text(&bundle), "--anew"]);
    assert_eq!((again.0, again.1), (json!("household-demo"), json!(3)), "what was activated since is not undone");
    drop(again.2);
    let alone = run(&["serve", "--state", text(&state), "--fresh"]);
    assert!(alone.code == Some(2) && alone.stderr.contains("--bundle"), "{}", alone.stderr);
}

#[test]
fn files_that_the_settings_name_lie_beside_them() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("server.toml");
    fs::write(&config, "trust = \"trust.toml\"").unwrap();
    fs::write(dir.path().join("trust.toml"), "require_signature = true").unwrap();
    run(&["serve", "--config", text(&config)]).refuses("is not signed");
}

#[test]
fn a_refused_server_leaves_damaged_records_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let (records, config) = (dir.path().join("records.jsonl"), dir.path().join("server.toml"));
    fs::write(&config, "trust = \"trust.toml\"").unwrap();
    fs::write(dir.path().join("trust.toml"), "require_signature = true").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let refusals =
        [(["--config", text(&config)], "is not signed"), (["--listen", taken.as_str()], "cannot listen there")];
    let ran = run(&["run", "--n", "4", "--max-tokens", "4", "--record", text(&records), "How do I clean a knife?"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let whole = fs::read_to_string(&records).unwrap();
    let (broken, torn) = (format!("no record\n{whole}"), format!("{whole}{{\"torn\": "));
    for damaged in [&torn, &broken] {
        fs::write(&records, damaged).unwrap();
        let before = files(dir.path());
        for (arguments, words) in &refusals {
            let ran = run(&[&["serve", "--n", "4", "--records", text(&records)], &arguments[..]].concat());
            assert!(ran.code == Some(1) && ran.stderr.contains(words), "{words}: {}", ran.stderr);
            assert_eq!(fs::read_to_string(&records).unwrap(), *damaged, "{arguments:?}");
            assert_eq!(files(dir.path()), before, "{arguments:?}");
        }
    }
    drop(Server::start(&["--records", text(&records)]));
    let aside = fs::read_to_string(dir.path().join("records.jsonl.damaged-1")).unwrap();
    assert_eq!(aside, broken, "a server that starts sets them aside");
}

/// The names of the files in a folder.
fn files(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn models_come_back_with_their_bundles() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
    let part = |name: &str| demo.join(name).to_str().unwrap().to_owned();
    let scores = ["reward", "cost"].map(|name| format!("--score={name}={}", part(name)));
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let with = |model: &str, more: &[String]| {
        let own = [format!("--model={}", part(model)), format!("--state={}", text(&state))];
        let all: Vec<String> = own.iter().chain(&scores).chain(more).cloned().collect();
        all
    };
    let active = |model: &str, more: &[String]| {
        let arguments = with(model, more);
        let server = Server::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        server.status()["generation"]["bundle"]["name"].as_str().unwrap().to_owned()
    };
    let bundle = |model: &str| format!("--bundle={}", part(&format!("bundle-{model}")));
    assert_eq!(active("weak", &[bundle("weak")]), "household-demo-weak");
    let refused = [&["serve".to_owned()][..], &with("tuned", &[])].concat();
    let refused = run(&refused.iter().map(String::as_str).collect::<Vec<_>>());
    let words = ["new model", "--bundle BUNDLE --fresh begins with another", "was made for model"];
    assert!(refused.code == Some(1) && words.iter().all(|one| refused.stderr.contains(one)), "{}", refused.stderr);
    assert_eq!(active("tuned", &[bundle("tuned"), "--fresh".to_owned()]), "household-demo-tuned");
    assert_eq!(active("weak", &[]), "household-demo-weak");
    assert_eq!(active("tuned", &[]), "household-demo-tuned");
}

#[cfg(unix)]
#[test]
fn a_watched_bundle_is_activated_when_it_changes_and_on_hangup() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bundle.toml"), MANIFEST).unwrap();
    let server = Server::start(&["--watch", "--bundle", text(dir.path())]);
    let becomes = |number: u64| {
        let there = (0..150).any(|_| {
            thread::sleep(Duration::from_millis(100));
            server.status()["generation"]["number"] == number
        });
        assert!(there, "{}", server.status());
    };
    fs::write(dir.path().join("bundle.toml"), MANIFEST.replace("budget = 10.0", "budget = 5.0")).unwrap();
    becomes(2);
    signal("HUP", &server.process);
    becomes(3);
    let answer = server.ask(&question(1)).unwrap();
    assert_eq!(answer["choices"][0]["inferenceguard"]["constraints"][0]["budget"], 5.0);
    fs::write(dir.path().join("bundle.toml"), "name = 5").unwrap();
    thread::sleep(Duration::from_secs(4));
    assert_eq!(server.status()["generation"]["number"], 3, "what does not fit is not activated");
}

/// Kills the server while bundles are activated and records are written. `INFERGUARD_KILLS` says how often.
#[cfg(unix)]
#[test]
fn whenever_it_is_killed_what_was_acknowledged_is_there() {
    let kills: u64 = env::var("INFERGUARD_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let dir = tempfile::tempdir().unwrap();
    let (state, records) = (dir.path().join("state"), dir.path().join("records.jsonl"));
    let acknowledged = AtomicU64::new(1);
    let mut written = 0;
    for round in 0..kills {
        let mut server = Server::start(&["--state", text(&state), "--records", text(&records)]);
        let number = server.status()["generation"]["number"].as_u64().unwrap();
        assert!(number >= acknowledged.load(Ordering::Relaxed), "round {round}: {number}");
        let verified = run(&["verify", text(&records)]);
        assert_eq!(verified.code, Some(0), "round {round}: {}", verified.stderr);
        let count = lines(&records);
        assert!(count >= written, "round {round}");
        written = count;
        let killed = AtomicBool::new(false);
        thread::scope(|scope| {
            let (server, killed, acknowledged) = (&server, &killed, &acknowledged);
            scope.spawn(move || {
                for turn in 0.. {
                    let manifest = MANIFEST.replace("budget = 10.0", &format!("budget = {}.5", 5 + turn % 4));
                    match server.activate(&manifest) {
                        Some(done) => acknowledged.store(done["number"].as_u64().unwrap(), Ordering::Relaxed),
                        None => break,
                    }
                }
            });
            scope.spawn(move || {
                (0..).take_while(|_| !killed.load(Ordering::Relaxed)).for_each(|seed| {
                    server.ask(&question(seed));
                })
            });
            // On a slow machine too, something is acknowledged first; then anywhere in what it does.
            for _ in 0..2000 {
                if acknowledged.load(Ordering::Relaxed) > number && lines(&records) > written {
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
            thread::sleep(Duration::from_millis(round * 37 % 160));
            signal("KILL", &server.process);
            killed.store(true, Ordering::Relaxed);
        });
        server.process.wait().unwrap();
    }
    assert!(acknowledged.load(Ordering::Relaxed) > kills, "bundles were activated");
    assert!(written > 0, "records were written");
}

fn lines(path: &Path) -> usize {
    fs::read(path).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count()
}

#[test]
fn a_model_comes_back_with_the_template_of_its_own_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let demo = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo").join(name);
    let [reward, cost] = ["reward", "cost"].map(|name| format!("{name}={}", text(&demo(name))));
    let bundle = |name: &str, template: &str| {
        let path = dir.path().join(name);
        assert_eq!(run(&["bundle", "init", text(&path), "--template", "score"]).code, Some(0));
        let manifest = fs::read_to_string(path.join("bundle.toml")).unwrap();
        fs::write(path.join("bundle.toml"), format!("{manifest}\n[model]\ntemplate = \"{template}\"\n")).unwrap();
        path
    };
    let (first, second) = (bundle("first", "beaver"), bundle("second", "plain"));
    let decides = |model: &str, more: &[&str]| {
        let model = demo(model);
        let own = ["--state", text(&state), "--model", text(&model), "--score", &reward, "--score", &cost];
        Server::start(&[&own[..], more].concat()).status()["generation"]["bundle"]["name"].clone()
    };
    assert_eq!(decides("weak", &["--bundle", text(&first)]), "first");
    assert_eq!(decides("tuned", &["--bundle", text(&second), "--fresh"]), "second");
    assert_eq!(decides("weak", &[]), "first", "not that of the model that ran last");
}
