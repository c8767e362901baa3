//! Canaries: answers that fail half way, denials during a request, and the end of a canary. Shadows: under whose terms they judge.

mod common;

use common::{MANIFEST, Running, SCRIPT, bundle, chat, engine_of, sha256, start_config, start_with, with};
use inferenceguard_host::EngineBuilder;
use inferenceguard_model::{
    Model, ModelError, ScoreModel, SpellState, Token, Tokenizer, TokenizerError,
    toy::{ToyModel, ToyScript},
};
use inferenceguard_server::ServerConfig;
use inferenceguard_testkit::{
    hooked::{Hooked, Hooks},
    hooked_score::HookedScore,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// A server with a score model `short` for canaries. It scores this many calls; later ones fail, as for an answer that is too long.
/// Each call sends a message on the first channel and waits for one on the second.
fn server(mut calls: usize, settings: &str) -> (Running, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let toy = ToyScript::parse(&format!("{SCRIPT}\nscore short: bad 5")).unwrap();
    let ((began, begins), (goes, go)) = (mpsc::channel(), mpsc::channel());
    let mut builder = EngineBuilder::new().model(Box::new(toy.model())).bundle(&bundle(MANIFEST)).max_live(4);
    let mut scores = toy.scores();
    let inner = scores.remove(scores.iter().position(|score| score.info().name == "short").unwrap());
    for score in scores {
        builder = builder.score_model(Box::new(score));
    }
    let short = HookedScore::before(inner, move || {
        began.send(()).unwrap_or(());
        go.recv().unwrap_or(());
        calls = calls.checked_sub(1).ok_or(ModelError::ContextExceeded { found: 65, limit: 64 })?;
        Ok(())
    });
    let engine = builder.score_model(Box::new(short)).build().unwrap();
    (start_with(Arc::new(engine), toml::from_str(settings).unwrap()), begins, goes)
}

fn canary(server: &Running) {
    let manifest = MANIFEST.replace("model = \"cost\"", "model = \"short\"").replace("chunk-len = 4", "chunk-len = 1");
    assert_eq!(server.put("/admin/canary", json!({"manifest": manifest, "share": 1.0})).status, 200);
}

fn content(event: &Value) -> &str {
    event["choices"][0]["delta"]["content"].as_str().unwrap_or_default()
}

#[test]
fn text_of_a_failed_canary_is_not_sent_again_by_the_active_bundle() {
    let (server, _begins, go) = server(4, "");
    drop(go);
    canary(&server);
    let body = with(with(chat("ask"), "stream", json!(true)), "inferenceguard", json!({"release": {"commit": 1}}));
    let got = server.post("/v1/chat/completions", body.clone());
    let events = got.events();
    let text: String = events.iter().map(content).collect();
    assert!(!text.is_empty(), "it fails after some text: {}", got.text);
    assert_eq!(events.last().unwrap()["error"]["code"], "invalid_value", "{}", got.text);
    assert!(!got.text.contains("[DONE]") && !got.text.contains("finish_reason\":\"stop"), "{}", got.text);
    let metrics = server.get("/metrics").text;
    let sampled = metrics.lines().find_map(|line| line.strip_prefix("inferenceguard_tokens_total{kind=\"sampled\"} "));
    assert!(sampled.is_some_and(|count| count != "0"), "what was cut off took work too: {metrics}");
    // Now it fails before any text, and the active bundle answers.
    let events = server.post("/v1/chat/completions", body).events();
    assert_eq!(events.last().unwrap()["choices"][0]["inferenceguard"]["generations"], json!([1]));
}

#[test]
fn a_request_that_a_denial_cancels_is_neither_refused_nor_answered() {
    let (server, begins, go) = server(usize::MAX, "[canary]\nleast = 1");
    canary(&server);
    thread::scope(|scope| {
        let answer = scope.spawn(|| server.post("/v1/chat/completions", chat("ask")));
        begins.recv().unwrap();
        assert_eq!(server.put("/admin/denial", json!({"reason": "a leak"})).status, 204);
        drop(go);
        answer.join().unwrap().refuses(503, "denied", "a leak");
    });
    let status = server.admin("/admin/status").json();
    assert_eq!(status["canary"]["canary"], json!({"requests": 0, "refused": 0, "failed": 0}), "{status}");
    let metrics = server.get("/metrics").text;
    assert!(metrics.contains("inferenceguard_request_errors_total{kind=\"denied\"} 1"), "{metrics}");
    assert!(!metrics.contains("inferenceguard_requests_total{"), "it ended once: {metrics}");
    assert!(!metrics.contains("budget_remaining_ratios_count{"), "it has spent no budget: {metrics}");
}

#[test]
fn a_stream_that_a_denial_cuts_off_ends_with_that() {
    let (server, begins, go) = server(usize::MAX, "");
    canary(&server);
    let body = with(with(chat("ask"), "stream", json!(true)), "inferenceguard", json!({"release": {"commit": 1}}));
    thread::scope(|scope| {
        let answer = scope.spawn(|| server.post("/v1/chat/completions", body));
        begins.recv().unwrap();
        assert_eq!(server.put("/admin/denial", json!({"reason": "a leak"})).status, 204);
        drop(go);
        let got = answer.join().unwrap();
        assert_eq!(got.events().last().unwrap()["error"]["code"], "denied", "{}", got.text);
        assert!(!got.text.contains("[DONE]") && !got.text.contains("content_filter"), "{}", got.text);
    });
}

#[test]
fn a_failure_of_the_active_bundle_is_not_the_canarys() {
    let engine = engine_of(&format!("{SCRIPT}\nfault step 1: error"), 4, &bundle(MANIFEST), 1);
    let server = start_with(engine, toml::from_str("[canary]\nleast = 1").unwrap());
    // The canary does not know the constraint that the request names, so the active bundle decides; its model fails.
    let renamed = MANIFEST.replace("name = \"harm\"", "name = \"hurt\"");
    assert_eq!(server.put("/admin/canary", json!({"manifest": renamed, "share": 1.0})).status, 200);
    let body = with(chat("ask"), "inferenceguard", json!({"budgets": {"harm": 4.0}}));
    server.post("/v1/chat/completions", body).refuses(500, "engine_error", "the server's log says why");
    let status = server.admin("/admin/status").json();
    assert_eq!(status["canary"]["canary"], json!({"requests": 0, "refused": 0, "failed": 0}), "{status}");
    assert_eq!(status["canary"]["others"], json!({"requests": 1, "refused": 0, "failed": 1}), "{status}");
}

/// A tokenizer that panics while it is armed.
struct Armed {
    inner: Arc<dyn Tokenizer>,
    armed: Arc<AtomicBool>,
}

impl Tokenizer for Armed {
    fn encode(&self, text: &str) -> Result<Vec<Token>, TokenizerError> {
        self.inner.encode(text)
    }

    fn spell(&self, state: &mut SpellState, token: Token, bytes: &mut Vec<u8>) -> Result<(), TokenizerError> {
        assert!(!self.armed.load(Ordering::SeqCst), "it is armed");
        self.inner.spell(state, token, bytes)
    }

    fn continued(&self) -> SpellState {
        self.inner.continued()
    }

    fn encode_continued(&self, text: &str) -> Result<Vec<Token>, TokenizerError> {
        self.inner.encode_continued(text)
    }

    fn is_control(&self, token: Token) -> bool {
        self.inner.is_control(token)
    }

    fn fingerprint(&self) -> String {
        self.inner.fingerprint()
    }
}

struct Panics(Arc<AtomicBool>);

impl Hooks for Panics {
    fn tokenizer(&self, model: &ToyModel) -> Arc<dyn Tokenizer> {
        Arc::new(Armed { inner: model.tokenizer(), armed: Arc::clone(&self.0) })
    }
}

#[test]
fn a_choice_that_panics_counts_against_the_canary_that_decided_it() {
    let (toy, armed) = (ToyScript::parse(SCRIPT).unwrap(), Arc::new(AtomicBool::new(false)));
    let model = Hooked::new(toy.model(), Panics(Arc::clone(&armed)));
    let builder = EngineBuilder::new().model(Box::new(model)).bundle(&bundle(MANIFEST)).max_live(4);
    let builder = toy.scores().into_iter().fold(builder, |builder, score| builder.score_model(Box::new(score)));
    let server = start_with(Arc::new(builder.build().unwrap()), toml::from_str("[canary]\nleast = 1").unwrap());
    let other = MANIFEST.replace("budget = 4", "budget = 3");
    assert_eq!(server.put("/admin/canary", json!({"manifest": other, "share": 1.0})).status, 200);
    armed.store(true, Ordering::SeqCst);
    server.post("/v1/chat/completions", chat("ask")).refuses(500, "engine_error", "a request was lost");
    let history = server.admin("/admin/swaps").json();
    assert_eq!(history[0]["change"], "roll_back", "{history}");
    armed.store(false, Ordering::SeqCst);
    assert_eq!(server.post("/v1/chat/completions", chat("ask")).status, 200);
}

#[test]
fn trials_end_when_another_bundle_is_activated() {
    let server = start_with(common::engine(4), toml::from_str("").unwrap());
    let manifest = |budget: &str| json!({"manifest": MANIFEST.replace("budget = 4", budget), "share": 1.0});
    let generation = |server: &Running| {
        let answer = server.post("/v1/chat/completions", chat("ask")).json();
        answer["choices"][0]["inferenceguard"]["constraints"][0]["budget"].as_f64().unwrap()
    };
    for change in ["activate", "rollback"] {
        assert_eq!(server.put("/admin/canary", manifest("budget = 9")).status, 200);
        assert_eq!(server.put("/admin/shadow", manifest("budget = 8")).status, 200);
        assert_eq!(generation(&server), 9.0);
        let wanted = match change {
            "activate" => {
                let tight = json!({"manifest": MANIFEST.replace("budget = 4", "budget = 1")});
                assert_eq!(server.put("/admin/bundle", tight).status, 200);
                1.0
            }
            _ => {
                assert_eq!(server.admin_post("/admin/rollback").status, 200);
                4.0
            }
        };
        assert_eq!(generation(&server), wanted, "{change}: the canary decides no more");
        let status = server.admin("/admin/status").json();
        assert!(status["canary"].is_null() && status["shadow"].is_null(), "{change}: {status}");
    }
}

/// A bundle that answers whatever it costs, and this much may be spent.
fn lenient(budget: u32) -> String {
    let manifest = MANIFEST.replace("refusal = ", "on_exhausted = \"least_violation\"\nrefusal = ");
    manifest.replace("budget = 4", &format!("budget = {budget}"))
}

/// A server that such a bundle decides in.
fn lenient_server(budget: u32, settings: &str) -> Running {
    let active = bundle(&lenient(budget));
    let engine = common::engine_with(4, &active, 1);
    start_config(ServerConfig { settings: toml::from_str(settings).unwrap(), ..common::config(&engine, active) })
}

fn shadow(server: &Running, budget: u32) {
    let got = server.put("/admin/shadow", json!({"manifest": lenient(budget), "share": 1.0}));
    assert_eq!(got.status, 200, "{}", got.text);
}

/// How often the shadow agreed, was stricter, was looser and failed, once it has judged this many answers.
fn verdicts(server: &Running, answers: u64) -> [u64; 4] {
    let now = || {
        let shadow = server.admin("/admin/status").json()["shadow"].clone();
        ["agrees", "stricter", "looser", "failed"].map(|key| shadow[key].as_u64().unwrap())
    };
    for _ in 0..200 {
        if now().iter().sum::<u64>() == answers {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    now()
}

fn status(server: &Running, key: &str, body: Value) -> String {
    let answer = server.post_as(key, "/v1/chat/completions", body).json();
    answer["choices"][0]["inferenceguard"]["status"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// The settings of a tenant `a` with its own key, and what else is its own.
fn tenant(own: &str) -> String {
    format!("[tenants.a]\nkey_sha256 = \"{}\"\n{own}\n", sha256("a"))
}

fn write_layer(folder: &Path, budget: u32) {
    fs::write(folder.join("layer.toml"), format!("name = \"a\"\nbudgets = {{ harm = {budget}.0 }}\n")).unwrap();
}

#[test]
fn the_bundle_that_decides_agrees_with_itself_as_a_shadow_under_every_term() {
    let layer = tempfile::tempdir().unwrap();
    write_layer(layer.path(), 4);
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    let spent = json!({"messages": [turn("user", "ask"), turn("assistant", "bad"), turn("user", "ask")], "seed": 1});
    for (settings, budget, body, decided) in [
        (String::new(), 1000, chat("doomed"), "within_budget"),
        ("budget_per = \"conversation\"".to_owned(), 4, spent, "budget_exceeded"),
        (tenant("budgets = { harm = 4.0 }"), 1000, chat("doomed"), "budget_exceeded"),
        (tenant(&format!("layer = {:?}", layer.path())), 1000, chat("doomed"), "budget_exceeded"),
    ] {
        let server = lenient_server(budget, &settings);
        shadow(&server, budget);
        let key = if settings.contains("tenants") { "a" } else { "" };
        assert_eq!(status(&server, key, body.clone()), decided, "{settings}");
        assert_eq!(status(&server, key, with(body, "seed", json!(2))), decided, "{settings}");
        assert_eq!(verdicts(&server, 2), [2, 0, 0, 0], "{settings}");
    }
}

#[test]
fn a_changed_layer_holds_for_the_shadow_and_ends_a_shadow_that_it_does_not_fit() {
    let layer = tempfile::tempdir().unwrap();
    write_layer(layer.path(), 4);
    let server = lenient_server(1000, &tenant(&format!("layer = {:?}", layer.path())));
    shadow(&server, 900);
    write_layer(layer.path(), 800);
    server.server.reload_layers().unwrap();
    assert_eq!(status(&server, "a", chat("doomed")), "within_budget");
    assert_eq!(verdicts(&server, 1), [1, 0, 0, 0]);
    // Alone, as a watched layer changes.
    write_layer(layer.path(), 4);
    server.server.activate_layer("a", server.server.open_layer("a")).unwrap();
    assert_eq!(status(&server, "a", chat("doomed")), "budget_exceeded");
    assert_eq!(verdicts(&server, 2), [2, 0, 0, 0]);
    write_layer(layer.path(), 950);
    server.server.reload_layers().unwrap();
    assert!(server.admin("/admin/status").json()["shadow"].is_null(), "it allows 900, the layer 950");
    let got = server.put("/admin/shadow", json!({"manifest": lenient(900), "share": 1.0}));
    got.refuses(422, "bundle_refused", "at most 900");
}

#[test]
fn a_shadow_without_a_constraint_that_a_tenant_has_a_budget_for_is_refused() {
    let server = lenient_server(4, &tenant("budgets = { harm = 2.0 }"));
    let renamed = lenient(4).replace("name = \"harm\"", "name = \"injury\"");
    let got = server.put("/admin/shadow", json!({"manifest": renamed, "share": 1.0}));
    got.refuses(422, "bundle_refused", "tenant a has a budget for `harm`");
}
