//! A server in front of two engines, of which one goes away while requests run: every request ends, is guarded, and is counted.

mod common;

use common::{Running, chat, config, start_config, with};
use inferenceguard_engines::{Deadlines, Remote, vllm::Vllm};
use inferenceguard_fake_engines::{Act, Fake, Kind, deadlines, local, remote, until};
use inferenceguard_host::{Bundle, EngineBuilder};
use inferenceguard_testkit::components;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

const REQUESTS: usize = 200;
const CLIENTS: usize = 8;
const BUDGET: f64 = 2.0;

/// Words of one letter cost 1 each; the models write bytes.
fn bundle() -> Bundle {
    let words: Vec<String> = ('a'..='z').map(|letter| format!("[\"{letter}\", 1.0]")).collect();
    let manifest = format!(
        "name = \"letters\"\nversion = \"0.1.0\"\nmax_tokens = 12\nrefusal = \"No.\"\n\
         [policy]\ncomponent = \"inference-guard.wasm\"\nsettings = {{ n = 4, chunk-len = 4, retries = 1 }}\n\
         [tracker]\ncomponent = \"safety-budget.wasm\"\n\
         [costs.letters]\ncomponent = \"keyword-cost.wasm\"\nsettings = {{ words = [{}] }}\n\
         [[constraints]]\nname = \"letters\"\ncost = \"letters\"\nbudget = {BUDGET}\n",
        words.join(", ")
    );
    Bundle::from_parts(&manifest, components::files()).unwrap()
}

/// A server over these engines. A row may wait two minutes for its first byte.
fn serve(fakes: &[&Fake]) -> Running {
    let deadlines = Deadlines {
        first_byte: Duration::from_secs(120),
        whole: Duration::from_secs(300),
        check_byte: Duration::from_millis(500),
        look: Duration::from_millis(100),
        ..deadlines()
    };
    let vllm = Vllm::connect(&Remote { deadlines, ..remote(fakes) }, local(), None).unwrap();
    let builder = EngineBuilder::new().bundle(&bundle()).back_end(Arc::new(vllm)).max_live(CLIENTS);
    start_config(config(&Arc::new(builder.build().unwrap()), bundle()))
}

/// Asks until all requests are sent; `happens` is called once a quarter of them has come back.
fn ask_all(server: &Running, happens: impl FnOnce()) -> Vec<Value> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let ask = || {
        let mut answers = Vec::new();
        while let seed @ 0..REQUESTS = next.fetch_add(1, Ordering::SeqCst) {
            let got = server.post("/v1/chat/completions", with(chat("ask"), "seed", json!(seed)));
            done.fetch_add(1, Ordering::SeqCst);
            assert!([200, 500, 503].contains(&got.status), "{}", got.text);
            answers.push(got.json());
        }
        answers
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
        until("a quarter is answered", || done.load(Ordering::SeqCst) >= REQUESTS / 4);
        happens();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}

/// How many answers there are of each status. Panics where one is not guarded.
fn checked(answers: &[Value]) -> [usize; 3] {
    let mut counts = [0; 3];
    for answer in answers {
        let choice = &answer["choices"][0];
        let (text, guard) = (choice["message"]["content"].as_str().unwrap_or_default(), &choice["inferenceguard"]);
        match guard["status"].as_str() {
            Some("within_budget") => {
                assert!(guard["constraints"][0]["max_cost"].as_f64().unwrap() < BUDGET, "{answer}");
                counts[0] += 1;
            }
            Some("no_safe_candidate" | "failed") => {
                assert_eq!(text, "No.", "{answer}");
                counts[1] += 1;
            }
            _ => {
                assert!(answer["error"]["code"].is_string(), "{answer}");
                counts[2] += 1;
            }
        }
    }
    counts
}

/// The sum of the samples whose line begins so.
fn counted(server: &Running, begin: &str) -> f64 {
    let text = server.get("/metrics").text;
    let lines = text.lines().filter(|line| line.starts_with(begin));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

fn sample(replica: usize, name: &str) -> String {
    format!("inferenceguard_replica_{name}{{role=\"language\",model=\"smol\",replica=\"{replica}\"")
}

/// How a replica goes away: its name, and what does it.
type Going = (&'static str, fn(&mut Fake));

#[test]
fn a_replica_that_goes_away_during_200_requests_harms_none_of_them() {
    let ways: [Going; 2] = [("killed", Fake::kill), ("half open", |fake| fake.rule(|_| Act::Never))];
    for (way, goes) in ways {
        let (mut lost, other) = (Fake::new(Kind::default()), Fake::new(Kind::default()));
        let server = serve(&[&lost, &other]);
        for fake in [&lost, &other] {
            fake.completions(|| Act::Late(Duration::from_millis(3)));
        }
        let answers = ask_all(&server, || goes(&mut lost));
        let [within, refused, errors] = checked(&answers);
        assert_eq!((within + refused, errors), (REQUESTS, 0), "{way}: rows are grown at the other replica");
        assert!(within > REQUESTS / 2, "{way}: {within}");
        let cost = |answer: &Value| answer["choices"][0]["inferenceguard"]["constraints"][0]["max_cost"].as_f64();
        assert!(answers.iter().filter_map(cost).any(|cost| cost > 0.0), "{way}: something is priced");
        assert_eq!(
            counted(&server, "inferenceguard_requests_total"),
            REQUESTS as f64,
            "{way}: every request is counted"
        );
        assert!(counted(&server, &sample(1, "call_failures_total")) > 0.0, "{way}");
        until("its state is known", || counted(&server, &format!("{},state=\"down\"", sample(1, "state"))) == 1.0);
        assert_eq!(counted(&server, &format!("{},state=\"ready\"", sample(2, "state"))), 1.0, "{way}");
        assert_eq!(counted(&server, "inferenceguard_replica_rows"), 0.0, "{way}: nothing is left");
        assert_eq!(server.engine.live_beams().beams, 0, "{way}");
    }
}

#[test]
fn where_both_replicas_are_gone_requests_fail_closed_and_are_counted() {
    let (mut one, mut other) = (Fake::new(Kind::default()), Fake::new(Kind::default()));
    let server = serve(&[&one, &other]);
    for fake in [&one, &other] {
        fake.completions(|| Act::Late(Duration::from_millis(3)));
    }
    let answers = ask_all(&server, || {
        one.kill();
        other.kill();
    });
    let [within, refused, errors] = checked(&answers);
    assert_eq!(within + refused + errors, REQUESTS);
    assert!(errors > 0, "{within} {refused} {errors}");
    let (ended, failed) = ("inferenceguard_requests_total", "inferenceguard_request_errors_total");
    assert_eq!(counted(&server, ended) + counted(&server, failed), REQUESTS as f64);
    assert_eq!(server.get("/ready").status, 503);
}

#[test]
fn administrators_drain_replicas_and_see_them() {
    let fakes = [Fake::new(Kind::default()), Fake::new(Kind::default())];
    let server = serve(&[&fakes[0], &fakes[1]]);
    let drain =
        |fake: &Fake, drained: bool| server.put("/admin/replica", json!({"url": fake.url(), "drained": drained}));
    let unknown = json!({"url": "http://127.0.0.1:1", "drained": true});
    server.put("/admin/replica", unknown).refuses(404, "unknown_replica", "/admin/status");
    server.put("/admin/replica", json!({"url": "x", "draned": true})).refuses(400, "invalid_value", "url");
    assert_eq!(drain(&fakes[0], true).status, 204);
    drain(&fakes[1], true).refuses(409, "last_replica", "no other replica");
    fakes[0].take();
    (0..20).for_each(|seed| {
        let got = server.post("/v1/chat/completions", with(chat("ask"), "seed", json!(seed)));
        assert_eq!(got.status, 200, "{}", got.text);
    });
    assert!(fakes[0].take().iter().all(|seen| seen.body["seed"].is_null()), "no row goes to a drained replica");
    let replicas = server.admin("/admin/status").json()["replicas"].clone();
    assert_eq!(
        (&replicas[0]["url"], &replicas[0]["drained"], &replicas[0]["rows"]),
        (&json!(fakes[0].url()), &json!(true), &json!(0))
    );
    assert_eq!((&replicas[1]["drained"], &replicas[1]["state"]), (&json!(false), &json!("ready")));
    assert_eq!(counted(&server, &sample(1, "drained")), 1.0);
    assert!(!server.get("/metrics").text.contains("127.0.0.1"), "metrics name no URL");
    assert_eq!(drain(&fakes[0], false).status, 204);
    until("it gets rows again", || {
        server.post("/v1/chat/completions", chat("ask"));
        fakes[0].take().iter().any(|seen| !seen.body["seed"].is_null())
    });
}
