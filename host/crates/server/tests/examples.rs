//! The example serves its own page and guarded answers beside it.

#[path = "../examples/in_axum.rs"]
#[allow(dead_code, reason = "`main` is for the command line")]
mod in_axum;

use inferenceguard_testkit::{manifest, toy};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::{net::TcpListener, runtime::Runtime};

#[test]
fn the_server_answers_inside_another_program() {
    let bundle = toy::bundle(manifest!(max_tokens: 12, chunk_len: 4, budget: 4, head: "", tail: ""));
    let app = in_axum::app(Arc::new(in_axum::engine(&bundle).unwrap()), bundle).unwrap();
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async { axum::serve(listener, app).await });

    let page = ureq::get(format!("http://{address}/about")).call().unwrap().body_mut().read_to_string().unwrap();
    assert_eq!(page, "Answers are guarded.\n");
    let asked = json!({"messages": [{"role": "user", "content": "good"}], "seed": 1});
    let mut answered = ureq::post(format!("http://{address}/v1/chat/completions")).send_json(asked).unwrap();
    let answer: Value = answered.body_mut().read_json().unwrap();
    assert_eq!(answer["choices"][0]["inferenceguard"]["status"], "within_budget", "{answer}");
}
