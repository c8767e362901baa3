//! What a server leaves for the next one, `active.json` and `swaps.jsonl`: refused in words, or the next one goes on from there.

use crate::{
    guests::{TOY, Toy},
    request, scratch,
};
use axum::http::{Method, StatusCode};
use inferenceguard_model::ModelIdentity;
use inferenceguard_server::{SavedState, Server, ServerConfig, Store, StoreError};
use serde_json::Value;
use std::{fs, path::Path, sync::Arc};

/// The first byte chooses the file.
pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 2 {
        0 => state(rest),
        _ => history(rest),
    }
}

fn state(bytes: &[u8]) {
    let path = scratch::file("state/active.json", bytes);
    let store = opened(&path);
    match store.state() {
        Ok(Some(state)) => goes_on(&store, &path, state),
        Err(StoreError::Damaged { problem, .. }) => assert!(!problem.is_empty(), "no words"),
        Ok(None) => panic!("a file that is there is not seen"),
        Err(error) => panic!("{error}"),
    }
}

/// A state is read again as it was written, gives no number twice, and names no bundle that is another one.
fn goes_on(store: &Store, path: &Path, state: SavedState) {
    fs::write(path, serde_json::to_vec(&state).expect("a state")).expect("a file in the temporary folder");
    assert_eq!(store.state().expect("a state that was written").as_ref(), Some(&state));
    let (next, bundle) = (state.next_number(), state.bundle.clone());
    assert!(next > state.newest && next > state.generation, "{state:?}");
    let model = ModelIdentity { fingerprint: "sha256:01".into(), ..ModelIdentity::default() };
    let here = state.for_model(&model);
    assert!(here.knows(&model) && here.next_number() >= next, "{here:?}");
    if let Ok(found) = store.bundle(&bundle) {
        assert_eq!(found.digest().to_string(), bundle);
    }
}

/// Whatever a history holds, the next attempt is added to it, and what was read before stays.
fn history(bytes: &[u8]) {
    let path = scratch::file("swaps/swaps.jsonl", bytes);
    let before = {
        let server = server(&path);
        let before = listed(&server);
        let (runtime, admin) = (&TOY.runtime, server.admin_router());
        let wrong = br#"{"path":"/there/is/no/bundle"}"#;
        let (status, _) = request::answered(runtime, &admin, (&Method::PUT, "/admin/bundle"), wrong);
        assert!(status.is_client_error(), "{status}");
        before
    };
    let after = listed(&server(&path));
    let (newest, rest) = after.split_first().expect("the attempt that was added");
    assert!(newest["change"] == "activate" && newest["error"].is_string(), "{newest}");
    assert!(rest.iter().zip(&before).all(|(now, then)| now == then), "{before:?} {after:?}");
}

fn listed(server: &Server) -> Vec<Value> {
    let swaps = (&Method::GET, "/admin/swaps");
    let (status, answer) = request::answered(&TOY.runtime, &server.admin_router(), swaps, b"");
    assert_eq!(status, StatusCode::OK);
    serde_json::from_slice(&answer).expect("a list")
}

fn server(path: &Path) -> Server {
    let Toy { engine, bundle, .. } = &*TOY;
    let store = Some(opened(path));
    Server::new(ServerConfig { store, ..ServerConfig::new(Arc::clone(engine), bundle.clone()) }).expect("a server")
}

/// The store whose folder has this file.
fn opened(path: &Path) -> Store {
    Store::open(path.parent().expect("a folder")).expect("nobody else has it open")
}

/// States of every format, and histories that a kill cut off or a disk damaged.
pub fn seeds() -> Vec<Vec<u8>> {
    let first = r#"{"format":1,"generation":3,"bundle":"sha256:00","previous":[],"denied":null}"#;
    let last = r#"{"format":3,"generation":7,"newest":9,"model":"sha256:01","base":"sha256:02","scores":{"cost":"sha256:03"},
        "bundle":"sha256:00","previous":["sha256:04","../../up"],"begun":"sha256:00","watched":null,"denied":"a leak",
        "other_models":{"sha256:05":{"bundle":"sha256:06","previous":[],"begun":null,"watched":"sha256:06"}}}"#;
    let full = first.replace("\"generation\":3", "\"generation\":18446744073709551615");
    let newer = first.replace("\"format\":1", "\"format\":4");
    let line = |change: &str, error: &str| {
        format!("{{\"at\":1900000000,\"change\":\"{change}\",\"seconds\":0.5,\"generation\":null,\"error\":{error}}}\n")
    };
    let whole = line("activate", "\"it took long\"") + &line("roll_back", "null") + &line("layers", "null");
    let cut = &whole[..whole.len() - 20];
    let damaged = [b"\xff\xfe\n", whole.as_bytes(), b"\0\0\0"].concat();
    let states = [first, last, &full, &newer].map(|text| [b"\0", text.as_bytes()].concat());
    let histories = [whole.as_bytes(), cut.as_bytes(), &damaged, b""].map(|text| [b"\x01", text].concat());
    states.into_iter().chain(histories).collect()
}
