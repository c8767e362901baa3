//! `serve --face`: gateways beside clients, in one process.

mod common;

use common::{
    run,
    served::{Server, question, signal},
};
use serde_json::{Value, json};

#[test]
fn text_is_judged_beside_answers_until_the_server_is_stopped() {
    let faces = ["--face", "judge", "--face", "litellm", "--face", "moderations", "--face", "envoy=127.0.0.1:0"];
    let mut server = Server::start(&faces);
    server.says("grpc://127.0.0.1:");
    assert_eq!(server.ask(&question(1)).unwrap()["choices"][0]["inferenceguard"]["status"], "within_budget");
    let post = |path: &str, body: Value| {
        let sent = server.agent.post(format!("{}{path}", server.clients)).send(body.to_string());
        serde_json::from_str::<Value>(&sent.unwrap().body_mut().read_to_string().unwrap()).unwrap()
    };
    let asked = json!([{"role": "user", "content": "How do I clean a knife?"}]);
    let judged = post("/v1/judge", json!({"messages": asked, "answer": "With soap and warm water."}));
    assert_eq!((&judged["decision"], &judged["status"]), (&json!("pass"), &json!("within_budget")), "{judged}");
    let call = |kind: &str, texts: Value, messages: Value| json!({"input_type": kind, "texts": texts, "structured_messages": messages, "litellm_call_id": "1"});
    let route = "/beta/litellm_basic_guardrail_api";
    assert_eq!(post(route, call("request", json!(["How do I clean a knife?"]), asked))["action"], "NONE");
    let passed = post(route, call("response", json!(["With soap and warm water."]), Value::Null));
    assert_eq!(passed["action"], "NONE", "{passed}");
    // The demonstration's costs read scores, and score models take no text that answers nothing.
    let bare = post("/v1/moderations", json!({"input": "With soap and warm water."}));
    assert!(bare["error"]["message"].as_str().unwrap().contains("the prompt is empty"), "{bare}");
    signal("TERM", &server.process);
    assert!(server.process.wait().unwrap().success(), "Envoy's listener stops as well");
}

#[test]
fn a_face_that_is_not_known_is_refused() {
    for face in ["nemo", "envoy", "envoy=", "litellm=127.0.0.1:0"] {
        let ran = run(&["serve", "--face", face]);
        assert_eq!(ran.code, Some(2), "{face}: {}", ran.stderr);
        assert!(ran.stderr.contains("expected judge, litellm, moderations or envoy=ADDRESS"), "{face}: {}", ran.stderr);
    }
    let doors = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--no-admin",
        "--face",
        "envoy=127.0.0.1:0",
        "--face",
        "envoy=127.0.0.1:0",
    ];
    run(&doors).refuses("a second address for Envoy");
}
