//! Bundles that change while the server runs: activations, roll backs, canaries, shadows, denials, tenants' layers.

mod common;

use common::{MANIFEST, chat, start, start_opening};
use inferenceguard_host::{CancelToken, EngineBuilder, Event, OWN_METHOD, Request, Terms};
use inferenceguard_record::{Body, Deciders};
use inferenceguard_server::OpenError;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

#[test]
fn a_constraint_tightens_without_a_restart() {
    let server = start("");
    let budget = || {
        let answer = server.post("/v1/chat/completions", chat("ask")).json();
        let guard = answer["choices"][0]["inferenceguard"].clone();
        (guard["constraints"][0]["budget"].clone(), guard["generations"].clone())
    };
    assert_eq!(budget(), (json!(4.0), json!([1])));
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bundle.toml"), MANIFEST.replace("budget = 4", "budget = 3")).unwrap();
    let activated = server.put("/admin/bundle", json!({"path": dir.path()})).json();
    assert_eq!((&activated["number"], &activated["bundle"]["name"]), (&json!(2), &json!("toy")));
    assert_eq!(budget(), (json!(3.0), json!([2])));
    let manifest = MANIFEST.replace("budget = 4", "budget = 2");
    assert_eq!(server.put("/admin/bundle", json!({"manifest": manifest})).json()["number"], 3);
    assert_eq!(budget(), (json!(2.0), json!([3])));

    for (body, status, words) in [
        (json!({"manifest": "name = 5"}), 422, "the old one stays"),
        (json!({"manifest": manifest.replace("model = \"cost\"", "model = \"absent\"")}), 422, "`absent`"),
        (json!({"path": "/no/such/folder"}), 422, "/no/such/folder"),
        (json!({"file": "x"}), 400, "expected"),
    ] {
        let got = server.put("/admin/bundle", body);
        assert_eq!(got.status, status, "{}", got.text);
        assert!(got.json()["error"]["message"].as_str().unwrap().contains(words), "{}", got.text);
    }
    assert_eq!(budget(), (json!(2.0), json!([3])));
    let swaps = server.admin("/admin/swaps").json();
    assert_eq!(swaps.as_array().unwrap().len(), 5, "{swaps}");
    assert!(swaps[0]["error"].as_str().unwrap().contains("/no/such/folder"));
}

#[test]
fn swaps_under_load_drop_nothing() {
    let server = start("");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 0..8 {
            let (server, done) = (&server, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let answer =
                        server.post("/v1/chat/completions", common::with(chat("ask"), "seed", json!(seed))).json();
                    let guard = &answer["choices"][0]["inferenceguard"];
                    let generation = guard["generations"][0].as_u64().unwrap();
                    let expected = if generation % 2 == 1 { 4.0 } else { 3.0 };
                    assert_eq!(
                        (&guard["constraints"][0]["budget"], guard["generations"].as_array().unwrap().len()),
                        (&json!(expected), 1)
                    );
                }
            });
        }
        for swap in 0..60 {
            let manifest =
                if swap % 2 == 0 { MANIFEST.replace("budget = 4", "budget = 3") } else { MANIFEST.to_owned() };
            assert_eq!(server.put("/admin/bundle", json!({"manifest": manifest})).json()["number"], swap + 2);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn requests_errors_and_activations_are_counted() {
    let server = start("");
    server.post("/v1/chat/completions", chat("ask"));
    server.post("/v1/chat/completions", chat("doomed"));
    server.post("/v1/chat/completions", chat("unheard"));
    server.put("/admin/bundle", json!({"manifest": "x"}));
    let text = server.get("/metrics").text;
    for line in [
        "inferenceguard_requests_total{status=\"no_safe_candidate\",finish=\"refused\"} 1",
        "inferenceguard_request_errors_total{kind=\"bad_request\"} 1",
        "inferenceguard_policy_swaps_total{change=\"activate\",result=\"refused\"} 1",
        "inferenceguard_policy_generation 1",
        "inferenceguard_requests_running 0",
        "inferenceguard_policy_bundle_info{name=\"toy\",version=\"0.1.0\"",
        "inferenceguard_safety_budget_remaining_ratios_count{constraint=\"harm\"}",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(server.admin("/admin/").text.contains("<title>InferenceGuard</title>"));
}

#[test]
fn the_page_says_what_its_figures_are_and_that_there_are_none_yet() {
    let server = start("");
    server.post("/v1/chat/completions", chat("ask"));
    assert_eq!(server.post("/v1/embeddings", json!({})).status, 404);
    let read = || server.admin("/admin/status").json()["totals"].clone();
    // An end may be counted a moment after its answer.
    let counted = (0..500).any(|_| {
        thread::sleep(std::time::Duration::from_millis(10));
        let totals = read();
        totals["ends"]["answered"] == 1 && totals["ends"]["not_found"] == 1
    });
    let totals = read();
    let page = server.admin("/admin/").text;
    // The page names ends and finishes as the status has them.
    assert!(counted, "{totals}");
    let reason = totals["last"][0]["reason"].as_str().unwrap();
    assert!(page.contains(&format!("{reason}: \"")), "the page has no words for {reason}");
    for part in ["end !== \"not_found\"", "<main id=\"data\" hidden>", "No request yet.", "\"near\"", "data-title"] {
        assert!(page.contains(part), "{part}");
    }
}

fn path_of(manifest: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bundle.toml"), manifest).unwrap();
    dir
}

/// The generation that decided an answer, and its object `inferenceguard`.
fn ask(server: &common::Running) -> (u64, serde_json::Value) {
    let answer = server.post("/v1/chat/completions", chat("ask")).json();
    let guard = answer["choices"][0]["inferenceguard"].clone();
    (guard["generations"][0].as_u64().unwrap(), guard)
}

#[test]
fn a_roll_back_can_be_repeated() {
    let server = start("");
    server.admin_post("/admin/rollback").refuses(409, "nothing_before", "there is no earlier bundle to go back to");
    // Activating the same bundle again adds nothing to roll back to.
    for budget in [3, 2, 2] {
        let dir = path_of(&MANIFEST.replace("budget = 4", &format!("budget = {budget}")));
        assert_eq!(server.put("/admin/bundle", json!({"path": dir.path()})).status, 200);
    }
    let budget = || ask(&server).1["constraints"][0]["budget"].clone();
    assert_eq!(budget(), 2.0);
    assert_eq!(server.admin_post("/admin/rollback").status, 200);
    assert_eq!(budget(), 3.0);
    assert_eq!(server.admin_post("/admin/rollback").status, 200);
    assert_eq!(budget(), 4.0);
    server.admin_post("/admin/rollback").refuses(409, "nothing_before", "there is no earlier bundle to go back to");
}

#[test]
fn a_canary_takes_its_share_and_can_be_promoted() {
    let server = start("");
    server.admin_post("/admin/canary/promote").refuses(404, "no_trial", "no canary is running");
    let manifest = MANIFEST.replace("budget = 4", "budget = 3");
    for (share, words) in [(json!(1.5), "a number from 0 to 1"), (json!("x"), "share")] {
        let got = server.put("/admin/canary", json!({"manifest": manifest, "share": share}));
        assert!(got.status == 400 && got.text.contains(words), "{}", got.text);
    }
    assert_eq!(server.put("/admin/canary", json!({"manifest": manifest, "share": 0.5})).status, 200);
    let canaries = (0..40).filter(|_| ask(&server).0 == 2).count();
    assert!((18..=22).contains(&canaries), "{canaries}");
    let status = server.admin("/admin/status").json();
    assert_eq!(status["canary"]["canary"]["requests"], canaries);
    assert_eq!(status["generation"]["number"], 1);
    assert_eq!(server.admin_post("/admin/canary/promote").json()["number"], 2);
    assert!((0..10).all(|_| ask(&server).0 == 2));
    assert!(server.admin("/admin/status").json()["canary"].is_null());
}

#[test]
fn a_canary_that_refuses_more_is_rolled_back() {
    let server = start("[canary]\nleast = 5");
    let loose = MANIFEST.replace("budget = 4", "budget = 1000");
    assert_eq!(server.put("/admin/bundle", json!({"manifest": loose})).status, 200);
    assert_eq!(server.put("/admin/canary", json!({"manifest": MANIFEST, "share": 0.5})).status, 200);
    for _ in 0..30 {
        server.post("/v1/chat/completions", chat("doomed"));
    }
    let swaps = server.admin("/admin/swaps").json();
    assert!(swaps[0]["error"].as_str().unwrap_or_default().contains("refusals, against 0.0 %"), "{swaps}");
    assert!(server.admin("/admin/status").json()["canary"].is_null());
    assert!((0..10).all(|_| ask(&server).0 == 2));
}

#[test]
fn a_shadow_judges_and_changes_nothing() {
    let server = start("");
    let before: Vec<_> = (0..10).map(|_| ask(&server).1).collect();
    let manifest = MANIFEST.replace("budget = 4", "budget = 0.5").replace("model = \"cost\"", "model = \"reward\"");
    assert_eq!(server.put("/admin/shadow", json!({"manifest": manifest, "share": 1.0})).json()["number"], 2);
    let after: Vec<_> = (0..10).map(|_| ask(&server).1).collect();
    assert_eq!(before, after);
    let verdicts = || {
        let shadow = server.admin("/admin/status").json()["shadow"].clone();
        ["agrees", "stricter", "looser", "failed"].map(|key| shadow[key].as_u64().unwrap())
    };
    // The shadow judges after the answer has gone out.
    for _ in 0..100 {
        if verdicts().iter().sum::<u64>() == 10 {
            break;
        }
        thread::sleep(std::time::Duration::from_millis(50));
    }
    let [agrees, stricter, looser, failed] = verdicts();
    assert_eq!((agrees + stricter, looser, failed), (10, 0, 0), "{:?}", verdicts());
    assert!(stricter > 0, "a stricter bundle would have refused some of them");
    assert!(server.get("/metrics").text.contains("inferenceguard_shadow_answers_total{result=\"stricter\"}"));
    assert_eq!(server.admin_delete("/admin/shadow").status, 204);
    server.admin_delete("/admin/shadow").refuses(404, "no_trial", "no shadow");
}

#[test]
fn denied_requests_get_no_answer_until_they_are_allowed() {
    let server = start("");
    assert_eq!(server.put("/admin/denial", json!({"reason": "a leak"})).status, 204);
    server.post("/v1/chat/completions", chat("ask")).refuses(503, "denied", "a leak");
    assert_eq!(server.admin("/admin/status").json()["denied"], "a leak");
    server.get("/ready").refuses(503, "denied", "a leak");
    assert_eq!(server.admin_delete("/admin/denial").status, 204);
    assert_eq!(server.post("/v1/chat/completions", chat("ask")).status, 200);
    assert_eq!(server.get("/ready").text, "ready\n");
}

#[test]
fn neither_requests_nor_a_denial_wait_for_an_activation() {
    let (entered, opening) = mpsc::channel();
    let (go, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let server = start_opening(Box::new(move |_: &Path| {
        entered.send(()).unwrap_or(());
        held.lock().unwrap().recv().unwrap_or(());
        Err(OpenError::new("it took long"))
    }));
    thread::scope(|scope| {
        let activation = scope.spawn(|| server.put("/admin/bundle", json!({"path": "slow"})));
        opening.recv().unwrap();
        assert_eq!(server.post("/v1/chat/completions", chat("ask")).status, 200);
        assert_eq!(server.admin("/admin/status").json()["generation"]["number"], 1);
        assert_eq!(server.put("/admin/denial", json!({"reason": "a leak"})).status, 204);
        server.post("/v1/chat/completions", chat("ask")).refuses(503, "denied", "a leak");
        assert_eq!(server.admin_delete("/admin/denial").status, 204);
        drop(go);
        activation.join().unwrap().refuses(422, "bundle_refused", "it took long");
    });
}

#[test]
fn a_bundle_without_a_constraint_that_a_tenant_has_a_budget_for_is_refused() {
    let server = start(&format!("[tenants.a]\nkey_sha256 = \"{}\"\nbudgets = {{ harm = 2.0 }}", common::sha256("a")));
    let renamed = MANIFEST.replace("name = \"harm\"", "name = \"injury\"");
    let got = server.put("/admin/bundle", json!({"manifest": renamed}));
    got.refuses(422, "bundle_refused", "tenant a has a budget for `harm`");
    assert_eq!(server.post_as("a", "/v1/chat/completions", chat("ask")).status, 200);
}

#[test]
fn a_layer_holds_for_its_tenant_only() {
    let layer = tempfile::tempdir().unwrap();
    let write = |budget: f64| {
        let text = format!("name = \"kitchen\"\nbudgets = {{ harm = {budget} }}\n");
        fs::write(layer.path().join("layer.toml"), text).unwrap();
    };
    write(3.0);
    let (kitchen, garden) = (common::sha256("k"), common::sha256("g"));
    let settings = format!(
        "[tenants.kitchen]\nkey_sha256 = \"{kitchen}\"\nlayer = {:?}\n[tenants.garden]\nkey_sha256 = \"{garden}\"\n",
        layer.path().to_str().unwrap()
    );
    let server = start(&settings);
    let budget = |key: &str| {
        let answer = server.post_as(key, "/v1/chat/completions", chat("ask")).json();
        answer["choices"][0]["inferenceguard"]["constraints"][0]["budget"].as_f64().unwrap()
    };
    assert_eq!((budget("k"), budget("g")), (3.0, 4.0));
    // Another bundle and a changed layer both hold once the activation is acknowledged.
    write(1.0);
    let dir = path_of(&MANIFEST.replace("budget = 4", "budget = 2"));
    assert_eq!(server.put("/admin/bundle", json!({"path": dir.path()})).status, 200);
    assert_eq!((budget("k"), budget("g")), (1.0, 2.0));
    // A changed layer alone holds once it was read again.
    write(0.75);
    assert_eq!(budget("k"), 1.0);
    assert_eq!(server.server.reload_layers().unwrap().number, server.engine.generation().number);
    assert_eq!((budget("k"), budget("g")), (0.75, 2.0));
    write(5.0);
    assert!(server.server.reload_layers().unwrap_err().to_string().contains("at most 2"));
    assert_eq!((budget("k"), budget("g")), (0.75, 2.0), "the old layer stays");
    let swaps = server.admin("/admin/swaps").json();
    assert_eq!((&swaps[0]["change"], &swaps[1]["error"]), (&json!("layers"), &Value::Null), "{swaps}");
    write(1.0);
    // A bundle that the layer would loosen is refused.
    let dir = path_of(&MANIFEST.replace("budget = 4", "budget = 0.5"));
    let got = server.put("/admin/bundle", json!({"path": dir.path()}));
    got.refuses(422, "bundle_refused", "at most 0.5");
    assert_eq!((budget("k"), budget("g")), (0.75, 2.0));
}

#[test]
fn one_layer_changes_alone_and_what_is_broken_changes_nothing() {
    let layers = tempfile::tempdir().unwrap();
    let folder = |tenant: &str| layers.path().join(tenant);
    let write = |tenant: &str, budget: f64| {
        fs::create_dir_all(folder(tenant)).unwrap();
        let text = format!("name = \"{tenant}\"\nbudgets = {{ harm = {budget} }}\n");
        fs::write(folder(tenant).join("layer.toml"), text).unwrap();
    };
    let tenant = |name: &str| {
        let (key, layer) = (common::sha256(name), folder(name));
        format!("[tenants.{name}]\nkey_sha256 = \"{key}\"\nlayer = {layer:?}\n")
    };
    write("kitchen", 3.0);
    write("garden", 3.0);
    let running = start(&format!("{}{}", tenant("kitchen"), tenant("garden")));
    let (server, all) = (&running.server, ["kitchen", "garden"]);
    let budgets = || {
        all.map(|key| {
            let answer = running.post_as(key, "/v1/chat/completions", chat("ask")).json();
            answer["choices"][0]["inferenceguard"]["constraints"][0]["budget"].as_f64().unwrap()
        })
    };
    for name in all {
        assert_eq!(server.active_layer(name), Some(server.open_layer(name).unwrap().digest()), "{name}");
    }
    // One is broken, and the other one changes.
    fs::write(folder("garden").join("layer.toml"), "name = 5").unwrap();
    write("kitchen", 2.0);
    let opened = server.open_layer("kitchen").unwrap();
    assert_ne!(server.active_layer("kitchen"), Some(opened.digest()));
    let digest = opened.digest();
    assert_eq!(server.activate_layer("kitchen", Ok(opened)).unwrap().number, 1, "the bundle stays");
    assert_eq!((server.active_layer("kitchen"), budgets()), (Some(digest), [2.0, 3.0]));
    write("kitchen", 5.0);
    for _ in 0..2 {
        for (name, words) in [("kitchen", "at most 4"), ("garden", "tenant garden")] {
            let refused = server.activate_layer(name, server.open_layer(name)).unwrap_err().to_string();
            assert!(refused.contains(words), "{refused}");
        }
    }
    assert_eq!((server.active_layer("kitchen"), budgets()), (Some(digest), [2.0, 3.0]));
    assert!(server.open_layer("cellar").unwrap_err().to_string().contains("tenant cellar has no layer"));
    assert_eq!(server.active_layer("cellar"), None);
    // All are counted, and what failed in the same way as before stands in the history once.
    let counted = "inferenceguard_policy_swaps_total{change=\"layers\",result=\"refused\"} 4";
    let metrics = running.admin("/metrics").text;
    assert!(metrics.contains(counted), "{metrics}");
    let swaps = running.admin("/admin/swaps").json();
    let errors: Vec<bool> = swaps.as_array().unwrap().iter().map(|one| one["error"].is_string()).collect();
    assert_eq!(errors, [true, true, false], "{swaps}");
}

#[test]
fn a_stream_under_way_is_tightened_where_requests_migrate() {
    let engine = common::engine(4);
    let (loose, tight) =
        (MANIFEST.replace("budget = 4", "budget = 1000"), MANIFEST.replace("chunk-len = 4", "chunk-len = 1"));
    let loose = loose.replace("chunk-len = 4", "chunk-len = 1");
    let roles = |manifest: &str| {
        let builder = EngineBuilder::new().bundle(&common::bundle(manifest));
        builder.build_roles(OWN_METHOD).unwrap().open().unwrap()
    };
    let mut seen = 0;
    for seed in 0..20 {
        engine.activate(&common::bundle(&loose)).unwrap();
        let terms = Terms { migrate: true, ..Terms::default() };
        let request = Request { seed: Some(seed), record: true, ..Request::new("ask") };
        let mut due = true;
        let change = |event| {
            if matches!(event, Event::Progress(_)) && std::mem::take(&mut due) {
                engine.activate(&common::bundle(&tight)).unwrap();
            }
        };
        let output = engine.under(&terms).stream(request, &CancelToken::new(), change).unwrap();
        if output.generations.len() == 2 {
            seen += 1;
            assert_eq!(output.constraints.len(), 2);
            // The record adds up under both bundles, and a wrong cost of the second is found.
            let body = Body::of(&output).unwrap();
            body.verify().unwrap();
            let mut lie = body.clone();
            lie.outcome.constraints[1].max_cost += 0.5;
            assert!(output.tokens.is_empty() || lie.verify().is_err());
            // Replayed, both decide the same again.
            let number = output.migrations[0].number;
            assert_eq!(output.generations[1], number);
            let later = BTreeMap::from([(number, roles(&tight))]);
            let replayed = body.replay(&mut Deciders { later, ..roles(&loose).into() }).unwrap();
            assert!(replayed.same > 5 && replayed.skipped == 0, "{replayed:?}");
            let first_only = body.replay(&mut Deciders::from(roles(&loose)));
            assert!(first_only.unwrap_err().to_string().contains("it is not in this bundle"));
        }
    }
    assert!(seen > 5, "{seen}");
    let settings: inferenceguard_server::Settings = toml::from_str("in_flight = \"migrate\"").unwrap();
    assert_eq!(settings.in_flight, inferenceguard_server::InFlight::Migrate);
}

#[test]
fn requests_that_come_while_many_wait_get_fewer_candidates_and_say_so() {
    let engine = common::engine(1);
    let settings = "[overload]\nwaiting = 1\nn = 2\n";
    let server = common::start_with(std::sync::Arc::clone(&engine), toml::from_str(settings).unwrap());
    let alone = ask(&server).1;
    assert!(alone["lane"].is_null(), "{alone}");
    // One request runs until `go` is dropped, others wait, and then one more comes.
    let (go, held) = mpsc::channel::<()>();
    let crowded = thread::scope(|scope| {
        let (engine, server) = (&engine, &server);
        let hold = move |_| held.recv().unwrap_or(());
        scope.spawn(move || engine.stream(Request::new("ask"), &CancelToken::new(), hold).unwrap());
        server.becomes(1, 0);
        // The first one counts as running: the server does not know the engine's own request.
        for waiting in [1, 2] {
            scope.spawn(|| ask(server));
            server.becomes(1, waiting);
        }
        let crowded = scope.spawn(|| ask(server).1);
        server.becomes(1, 3);
        drop(go);
        crowded.join().unwrap()
    });
    assert_eq!(crowded["lane"], "reduced", "{crowded}");
    assert_ne!(crowded["bundle"]["digest"], alone["bundle"]["digest"], "it has a digest of its own");
    assert!(crowded["sampled_tokens"].as_u64() <= alone["sampled_tokens"].as_u64(), "{crowded}");
}

#[test]
fn the_active_bundle_answers_what_a_canary_cannot_and_the_canary_is_rolled_back() {
    let server = start("[canary]\nleast = 5");
    // Clients tighten a constraint by a name that the canary does not have.
    let manifest = MANIFEST.replace("name = \"harm\"", "name = \"injury\"");
    assert_eq!(server.put("/admin/canary", json!({"manifest": manifest, "share": 1.0})).status, 200);
    for _ in 0..8 {
        let tightened = common::with(chat("ask"), "inferenceguard", json!({"budgets": {"harm": 2.0}}));
        let answer = server.post("/v1/chat/completions", tightened);
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()["choices"][0]["inferenceguard"]["constraints"][0]["budget"], 2.0);
    }
    let swaps = server.admin("/admin/swaps").json();
    assert!(swaps[0]["error"].as_str().unwrap_or_default().contains("100.0 % failures"), "{swaps}");
}
