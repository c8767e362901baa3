//! The identity of the models: in answers, in the status, in metrics, and from one start of a server to the next.

mod common;

use common::{MANIFEST, SCRIPT, bundle, chat, start, start_stored, start_stored_in, start_stored_with};
use inferenceguard_server::{ServerError, Store, StoreError};
use serde_json::json;
use std::fs;

/// The same language model beside a cost model that finds nothing.
fn blind() -> String {
    SCRIPT.replace("score cost: bad 5", "score cost: bad 0")
}

#[test]
fn answers_status_page_and_metrics_name_every_model() {
    let running = start("");
    let models = running.engine.models();
    let (model, cost) = (&models.model.fingerprint, &models.scores["cost"].fingerprint);
    let answer = running.post("/v1/chat/completions", chat("ask")).json();
    let named = &answer["choices"][0]["inferenceguard"]["models"];
    assert_eq!((&named["model"], &named["scores"]["cost"]), (&json!(model), &json!(cost)));
    assert!(named["scores"]["reward"].is_string(), "{named}");
    let status = running.admin("/admin/status").json();
    assert_eq!(status["models"]["scores"]["cost"]["fingerprint"], json!(cost));
    assert_eq!(status["models"]["model"]["fingerprint"], json!(model));
    let text = running.admin("/metrics").text;
    for (role, name, print) in [("language", "toy", model), ("score", "cost", cost)] {
        let line = format!("inferenceguard_model_info{{role=\"{role}\",name=\"{name}\",fingerprint=\"{print}\"}} 1");
        assert!(text.contains(&line), "{line}: {text}");
    }
    assert!(running.admin("/admin/").text.contains("status.models"), "the page shows them");
}

#[test]
fn a_score_model_that_was_exchanged_between_two_starts_is_refused_unless_it_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    drop(start_stored(dir.path()));
    let before = fs::read(dir.path().join("active.json")).unwrap();
    let open = || Store::open(dir.path()).unwrap();
    let error = start_stored_in(open(), &blind(), None).err().expect("another cost model");
    let message = error.to_string();
    assert!(
        matches!(error, ServerError::Store(StoreError::OtherScoreModel { ref name, .. }) if name == "cost"),
        "{message}"
    );
    assert!(message.contains("`cost`") && message.contains("--accept-models"), "{message}");
    assert_eq!(fs::read(dir.path().join("active.json")).unwrap(), before, "nothing has changed");
    // Neither a new bundle nor another language model makes it the same.
    assert!(start_stored_in(open(), &blind(), Some(bundle(&MANIFEST.replace("budget = 4", "budget = 3")))).is_err());
    assert!(start_stored_in(open(), &format!("{}\nafter ask : good 1", blind()), None).is_err());

    let accepted = start_stored_in(open().accepting_models(), &blind(), None).unwrap();
    assert_eq!(accepted.post("/v1/chat/completions", chat("ask")).status, 200);
    drop(accepted);
    drop(start_stored_with(dir.path(), &blind(), None));
    assert!(start_stored_in(open(), SCRIPT, None).is_err(), "from then on the new model is the last one");
}

#[test]
fn a_score_model_that_was_away_for_a_while_is_still_known() {
    let dir = tempfile::tempdir().unwrap();
    let more = format!("{SCRIPT}\nscore spare: bad 1");
    drop(start_stored_with(dir.path(), &more, None));
    drop(start_stored(dir.path()));
    let other = more.replace("spare: bad 1", "spare: bad 2");
    let error = start_stored_in(Store::open(dir.path()).unwrap(), &other, None).err().expect("another spare model");
    assert!(error.to_string().contains("`spare`"), "{error}");
}

#[test]
fn a_store_of_an_earlier_version_goes_on_and_names_its_models_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    drop(start_stored(dir.path()));
    let file = dir.path().join("active.json");
    let mut found: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(found["format"], 3);
    found["format"] = json!(2);
    found.as_object_mut().unwrap().remove("scores");
    fs::write(&file, found.to_string()).unwrap();
    drop(start_stored_with(dir.path(), &blind(), None));
    let open = || Store::open(dir.path()).unwrap();
    assert!(start_stored_in(open(), SCRIPT, None).is_err());
    drop(start_stored_in(open(), &blind(), None).unwrap());
}

#[test]
fn a_running_server_refuses_a_bundle_that_was_made_for_other_models() {
    let running = start("");
    let made_for = |cost: &str| format!("{MANIFEST}\n[scores.cost]\nfingerprint = \"{cost}\"\n");
    for door in ["/admin/bundle", "/admin/canary", "/admin/shadow"] {
        let mut body = json!({"manifest": made_for("sha256:another")});
        if door != "/admin/bundle" {
            body["share"] = json!(1.0);
        }
        running.put(door, body).refuses(422, "bundle_refused", "`[scores.cost] fingerprint` is sha256:another");
    }
    assert_eq!(running.admin("/admin/status").json()["generation"]["number"], 1);
    let own = running.engine.models().scores["cost"].fingerprint.clone();
    assert_eq!(running.put("/admin/bundle", json!({"manifest": made_for(&own)})).status, 200);
}
