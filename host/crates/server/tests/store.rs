//! The store that outlives a server, and the trust file.

mod common;

use common::{MANIFEST, SCRIPT, bundle, chat, config, start, start_stored, start_stored_with};
use inferenceguard_bundle::{Bundle, NewKey, SigningKey, Statement};
use inferenceguard_server::{DeployError, OpenError, Server, ServerConfig, Settings, Store, StoreError};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

fn manifest(budget: u32) -> String {
    MANIFEST.replace("budget = 4", &format!("budget = {budget}"))
}

fn budget(server: &common::Running) -> (f64, u64) {
    let answer = server.post("/v1/chat/completions", chat("ask")).json();
    let guard = &answer["choices"][0]["inferenceguard"];
    (guard["constraints"][0]["budget"].as_f64().unwrap(), guard["generations"][0].as_u64().unwrap())
}

#[test]
fn the_next_server_continues_with_the_bundle_and_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let first = start_stored(dir.path());
    assert_eq!(budget(&first), (4.0, 1));
    for wanted in [3, 2] {
        assert_eq!(first.put("/admin/bundle", json!({"manifest": manifest(wanted)})).status, 200);
    }
    assert_eq!(first.put("/admin/bundle", json!({"manifest": "name = 5"})).status, 422);
    drop(first);

    let second = start_stored(dir.path());
    assert_eq!(budget(&second), (2.0, 3));
    let swaps = second.admin("/admin/swaps").json();
    assert_eq!(swaps.as_array().unwrap().len(), 3, "the history is saved: {swaps}");
    assert_eq!(second.admin_post("/admin/rollback").status, 200);
    assert_eq!(budget(&second), (3.0, 4));
    assert_eq!(second.put("/admin/denial", json!({"reason": "a leak"})).status, 204);
    drop(second);

    let third = start_stored(dir.path());
    third.post("/v1/chat/completions", chat("ask")).refuses(503, "denied", "a leak");
    assert_eq!(third.admin_delete("/admin/denial").status, 204);
    assert_eq!(budget(&third), (3.0, 4));
    assert_eq!(third.admin_post("/admin/rollback").status, 200);
    assert_eq!(budget(&third).0, 4.0);
    let kept = fs::read_dir(dir.path().join("bundles")).unwrap().count();
    assert_eq!(kept, 3, "every bundle that decided is kept, for the records that name it");
}

#[test]
fn no_number_of_a_generation_is_given_twice() {
    let dir = tempfile::tempdir().unwrap();
    let first = start_stored(dir.path());
    let canary = first.put("/admin/canary", json!({"manifest": manifest(3), "share": 0.5})).json();
    let shadow = first.put("/admin/shadow", json!({"manifest": manifest(3), "share": 0.5})).json();
    let given = [canary, shadow].map(|one| one["number"].as_u64().unwrap());
    drop(first);

    let second = start_stored(dir.path());
    assert_eq!(budget(&second), (4.0, 1), "a canary does not outlive its server");
    assert_eq!(second.put("/admin/bundle", json!({"manifest": manifest(2)})).status, 200);
    let (_, next) = budget(&second);
    assert!(given.iter().all(|one| next > *one), "{next} was given before: {given:?}");
}

#[test]
fn a_model_comes_back_with_the_bundle_it_ran_with() {
    let dir = tempfile::tempdir().unwrap();
    let other = format!("{SCRIPT}\nafter ask : good 1");
    let activate = |server: &common::Running, budget| {
        assert_eq!(server.put("/admin/bundle", json!({"manifest": manifest(budget)})).status, 200);
    };
    let old = start_stored(dir.path());
    activate(&old, 3);
    assert_eq!(budget(&old), (3.0, 2));
    drop(old);

    let new = start_stored_with(dir.path(), &other, None);
    assert_eq!(budget(&new), (3.0, 2), "a model that is new here continues with the active bundle");
    new.admin_post("/admin/rollback").refuses(409, "nothing_before", "there is no earlier bundle to go back to");
    activate(&new, 2);
    drop(new);

    let old = start_stored(dir.path());
    let (found, number) = budget(&old);
    assert!(found == 3.0 && number > 3, "{found} {number}");
    let swaps = old.admin("/admin/swaps").json();
    assert_eq!((&swaps[0]["change"], &swaps[0]["generation"]["number"]), (&json!("begin"), &json!(number)));
    assert_eq!(old.admin_post("/admin/rollback").status, 200);
    assert_eq!(budget(&old).0, 4.0);
    drop(old);
    assert_eq!(budget(&start_stored_with(dir.path(), &other, None)).0, 2.0);
}

#[test]
fn a_server_that_begins_with_another_bundle_can_roll_back_to_the_saved_one() {
    let dir = tempfile::tempdir().unwrap();
    let other = format!("{SCRIPT}\nafter ask : good 1");
    assert_eq!(budget(&start_stored(dir.path())), (4.0, 1));
    let fresh = start_stored_with(dir.path(), SCRIPT, Some(bundle(&manifest(3))));
    assert_eq!(budget(&fresh), (3.0, 2));
    assert_eq!(fresh.admin_post("/admin/rollback").status, 200);
    assert_eq!(budget(&fresh), (4.0, 3));
    drop(fresh);

    let new = start_stored_with(dir.path(), &other, Some(bundle(&manifest(2))));
    assert_eq!(budget(&new), (2.0, 4));
    new.admin_post("/admin/rollback").refuses(409, "nothing_before", "there is no earlier bundle to go back to");
    let text = new.admin("/metrics").text;
    assert!(text.contains("policy_swaps_total{change=\"begin\",result=\"done\"} 1"), "{text}");
    assert_eq!(new.put("/admin/denial", json!({"reason": "a leak"})).status, 204);
    drop(new);
    start_stored(dir.path()).post("/v1/chat/completions", chat("ask")).refuses(503, "denied", "a leak");
}

/// A server that begins with another bundle than the saved one, under this number.
fn with_another(store: Store, active: Bundle, number: u64) -> ServerConfig {
    let engine = common::engine_with(1, &active, number);
    ServerConfig { store: Some(store), ..ServerConfig::new(engine, active) }
}

#[test]
fn a_server_that_could_not_begin_has_changed_nothing() {
    let dir = tempfile::tempdir().unwrap();
    drop(start_stored(dir.path()));
    let before = fs::read(dir.path().join("active.json")).unwrap();
    let wanted = bundle(&manifest(1000));
    let settings = format!("[tenants.a]\nkey_sha256 = \"{}\"\nlayer = \"/no/such/layer\"", common::sha256("k"));
    let settings = toml::from_str(&settings).unwrap();
    let config = ServerConfig { settings, ..with_another(Store::open(dir.path()).unwrap(), wanted, 2) };
    assert!(Server::new(config).unwrap_err().to_string().contains("a tenant is refused"));
    assert_eq!(fs::read(dir.path().join("active.json")).unwrap(), before);
    assert_eq!(budget(&start_stored(dir.path())), (4.0, 1));
    assert!(fs::read_to_string(dir.path().join("swaps.jsonl")).is_err(), "nothing happened");
}

/// How many bundles a store holds.
fn saved_bundles(dir: &Path) -> usize {
    fs::read_dir(dir.join("bundles")).unwrap().count()
}

#[test]
fn bundles_of_lanes_are_saved_when_a_server_begins_and_not_before() {
    let (dir, layer) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(start_stored(dir.path()));
    assert_eq!(saved_bundles(dir.path()), 1);
    fs::write(layer.path().join("layer.toml"), "name = \"kitchen\"\nmax_tokens = 3\n").unwrap();
    let good = format!(
        "overload = {{ waiting = 1, n = 2 }}\n[tenants.a]\nkey_sha256 = \"{}\"\nlayer = {:?}\n",
        common::sha256("a"),
        layer.path()
    );
    let bad = format!("{good}[tenants.b]\nkey_sha256 = \"{}\"\nlayer = \"/no/such/layer\"", common::sha256("b"));
    let server = |settings: &str| {
        let settings = toml::from_str(settings).unwrap();
        Server::new(ServerConfig { settings, ..with_another(Store::open(dir.path()).unwrap(), bundle(MANIFEST), 1) })
    };
    assert!(server(&bad).unwrap_err().to_string().contains("a tenant is refused"));
    assert_eq!(saved_bundles(dir.path()), 1, "a refused server saves no layer");
    let begins = server(&good).unwrap();
    assert_eq!(saved_bundles(dir.path()), 1, "it has not begun");
    begins.begin().unwrap();
    assert_eq!(saved_bundles(dir.path()), 3, "the layer's and the reduced bundle");
}

#[test]
fn a_damaged_bundle_stops_a_server_unless_it_begins_with_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_stored(dir.path());
    assert_eq!(running.put("/admin/bundle", json!({"manifest": manifest(3)})).status, 200);
    drop(running);
    for file in fs::read_dir(dir.path().join("bundles")).unwrap() {
        fs::write(file.unwrap().path(), "no archive").unwrap();
    }
    let store = Store::open(dir.path()).unwrap();
    let digest = store.state().unwrap().unwrap().bundle;
    assert!(store.bundle(&digest).unwrap_err().to_string().contains("begin with another bundle"));
    Server::new(with_another(store, bundle(&manifest(2)), 3)).unwrap().begin().unwrap();
    let found = Store::open(dir.path()).unwrap().state().unwrap().unwrap();
    assert_eq!((found.generation, found.previous.len()), (3, 0));
    assert_eq!(found.started_with, Some(found.bundle));
}

#[test]
fn older_formats_are_read_and_newer_ones_refused() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_stored(dir.path());
    assert_eq!(running.put("/admin/bundle", json!({"manifest": manifest(3)})).status, 200);
    drop(running);
    let file = dir.path().join("active.json");
    let found = Store::open(dir.path()).unwrap().state().unwrap().unwrap();
    let first = |format: u32| {
        let digests = (&found.bundle, &found.previous);
        json!({"format": format, "generation": 7, "bundle": digests.0, "previous": digests.1, "denied": null})
            .to_string()
    };
    fs::write(&file, first(1)).unwrap();
    let running = start_stored(dir.path());
    assert_eq!(budget(&running), (3.0, 7));
    assert_eq!(running.admin_post("/admin/rollback").status, 200);
    assert_eq!(budget(&running), (4.0, 8));
    drop(running);
    for format in [0, 4] {
        fs::write(&file, first(format)).unwrap();
        let message = Store::open(dir.path()).unwrap().state().unwrap_err().to_string();
        assert!(message.contains(&format!("found the format {format}")), "{message}");
    }
}

#[test]
fn one_server_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Store::open(dir.path()).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Busy { .. })));
}

#[test]
fn a_damaged_store_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    drop(start_stored(dir.path()));
    let store = || Store::open(dir.path()).unwrap();
    let found = store().state().unwrap().unwrap();
    let file = fs::read_dir(dir.path().join("bundles")).unwrap().next().unwrap().unwrap().path();
    let packed = fs::read(&file).unwrap();

    let other = bundle(&manifest(3)).pack().unwrap();
    fs::write(&file, other).unwrap();
    let message = store().bundle(&found.bundle).unwrap_err().to_string();
    assert!(message.contains("expected sha256:"), "{message}");
    fs::write(&file, &packed[..packed.len() / 2]).unwrap();
    assert!(matches!(store().bundle(&found.bundle), Err(StoreError::Bundle { .. })));

    fs::write(dir.path().join("active.json"), "{").unwrap();
    let message = store().state().unwrap_err().to_string();
    assert!(message.contains("active.json") && message.contains("move the folder away"), "{message}");
}

/// Makes every write of the state fail: a folder in place of the file cannot be replaced, even by root.
fn break_store(dir: &Path) {
    fs::remove_file(dir.join("active.json")).unwrap();
    fs::create_dir_all(dir.join("active.json/x")).unwrap();
}

#[test]
fn a_roll_back_or_promotion_that_cannot_be_saved_does_not_happen() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_stored(dir.path());
    assert_eq!(running.put("/admin/bundle", json!({"manifest": manifest(3)})).status, 200);
    assert_eq!(running.put("/admin/canary", json!({"manifest": manifest(2), "share": 0.0})).status, 200);
    break_store(dir.path());
    for change in ["/admin/rollback", "/admin/canary/promote"] {
        running.admin_post(change).refuses(500, "store_error", "active.json");
    }
    assert_eq!(budget(&running), (3.0, 2));
    assert_eq!(running.admin("/admin/status").json()["canary"]["share"], 0.0, "the canary continues");
}

#[test]
fn an_activation_that_cannot_be_saved_does_not_happen() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_stored(dir.path());
    break_store(dir.path());
    // The server's fault, and not the bundle's.
    running.put("/admin/bundle", json!({"manifest": manifest(3)})).refuses(500, "store_error", "active.json");
    assert_eq!(budget(&running), (4.0, 1));
    let trial = json!({"manifest": manifest(3), "share": 1.0});
    for door in ["/admin/canary", "/admin/shadow"] {
        running.put(door, trial.clone()).refuses(500, "store_error", "active.json");
    }
    running.put("/admin/denial", json!({"reason": "a leak"})).refuses(500, "store_error", "active.json");
    running.put("/admin/bundle", json!({"manifest": "name = 5"})).refuses(422, "bundle_refused", "the old one stays");
    let status = running.admin("/admin/status").json();
    assert!(status["canary"].is_null() && status["shadow"].is_null(), "{status}");
    assert_eq!((&status["denied"], &status["generation"]["number"]), (&json!("a leak"), &json!(1)), "a denial holds");
}

#[test]
fn an_embedder_gets_the_kind_of_a_failed_activation() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let server = Server::new(with_another(store, bundle(MANIFEST), 1)).unwrap();
    let error = server.activate(Path::new("/any")).unwrap_err();
    assert!(matches!(error, DeployError::Unreadable(_)) && error.to_string().contains("opens no bundles"), "{error}");
    let error = server.activate_opened(Err(OpenError::new("it is gone"))).unwrap_err();
    assert!(matches!(error, DeployError::Unreadable(_)) && error.to_string() == "it is gone", "{error}");
    server.begin().unwrap();
    break_store(dir.path());
    let error = server.activate_opened(Ok(bundle(&manifest(3)))).unwrap_err();
    assert!(matches!(error, DeployError::Store(StoreError::File { .. })), "{error}");
    assert_eq!(server.active_digest(), bundle(MANIFEST).digest().to_string(), "the old bundle stays");
}

/// A folder with a signed bundle; its components come from the lender.
fn signed(budget: u32, key: &NewKey, expires: Option<u64>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let made = bundle(&manifest(budget));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let statement = Statement::of(&made, now, expires).unwrap();
    let signature = SigningKey::parse(&key.secret, None).unwrap().sign(&statement).unwrap();
    fs::write(dir.path().join("bundle.toml"), manifest(budget)).unwrap();
    for (name, text) in signature.files() {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn trust(path: &Path, key: &NewKey, more: &str) {
    let line = key.public.lines().nth(1).unwrap();
    fs::write(path, format!("{more}\n[keys]\nalice = \"{line}\"\n")).unwrap();
}

#[test]
fn only_trusted_bundles_are_activated_and_trust_changes_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trust.toml");
    let (alice, mallory) = (NewKey::generate(None).unwrap(), NewKey::generate(None).unwrap());
    trust(&file, &alice, "require_signature = false");
    let running = start(&format!("trust = {:?}", file.to_str().unwrap()));
    let put = |dir: &tempfile::TempDir| running.put("/admin/bundle", json!({"path": dir.path()}));

    trust(&file, &alice, "require_signature = true");
    running.put("/admin/bundle", json!({"manifest": manifest(3)})).refuses(422, "bundle_refused", "is not signed");
    put(&signed(3, &mallory, None)).refuses(422, "bundle_refused", "none of the 1 that are trusted");
    put(&signed(3, &alice, Some(1))).refuses(422, "bundle_refused", "expired");
    assert_eq!(budget(&running), (4.0, 1));
    assert_eq!(put(&signed(3, &alice, None)).status, 200);
    assert_eq!(budget(&running).0, 3.0);

    trust(&file, &alice, "require_signature = true\nminimum_versions = { toy = \"0.2.0\" }");
    put(&signed(2, &alice, None)).refuses(422, "bundle_refused", "nothing older than 0.2.0");
    trust(&file, &mallory, "require_signature = true");
    put(&signed(2, &alice, None)).refuses(422, "bundle_refused", "none of the 1 that are trusted");
    fs::remove_file(&file).unwrap();
    put(&signed(2, &alice, None)).refuses(500, "trust_error", "trust.toml");
    fs::write(&file, "keys = 1").unwrap();
    put(&signed(2, &alice, None)).refuses(500, "trust_error", "the old one stays");
    assert_eq!(budget(&running).0, 3.0);
}

#[test]
fn a_canary_is_promoted_only_while_it_is_trusted_and_continues_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trust.toml");
    let (alice, mallory) = (NewKey::generate(None).unwrap(), NewKey::generate(None).unwrap());
    trust(&file, &alice, "require_signature = false");
    let running = start(&format!("trust = {:?}", file.to_str().unwrap()));
    let canary = signed(3, &alice, None);
    assert_eq!(running.put("/admin/canary", json!({"path": canary.path(), "share": 1.0})).status, 200);
    trust(&file, &mallory, "require_signature = true");
    running.admin_post("/admin/canary/promote").refuses(422, "bundle_refused", "none of the 1 that are trusted");
    assert_eq!(running.admin("/admin/status").json()["generation"]["number"], 1);
    assert_eq!(running.admin("/admin/status").json()["canary"]["share"], 1.0);
    assert_eq!(budget(&running), (3.0, 2), "its lane is still there");
    trust(&file, &alice, "require_signature = true");
    assert_eq!(running.admin_post("/admin/canary/promote").json()["number"], 2);
    assert!(running.admin("/admin/status").json()["canary"].is_null());
}

#[test]
fn promoted_bundles_can_be_rolled_back_like_others() {
    let running = start("");
    for turn in 0..7 {
        assert_eq!(running.put("/admin/canary", json!({"manifest": manifest(4 + turn), "share": 0.0})).status, 200);
        assert_eq!(running.admin_post("/admin/canary/promote").status, 200);
    }
    for _ in 0..5 {
        assert_eq!(running.admin_post("/admin/rollback").status, 200);
    }
    running.admin_post("/admin/rollback").refuses(409, "nothing_before", "there is no earlier bundle to go back to");
}

#[test]
fn a_server_does_not_begin_with_a_bundle_it_does_not_trust() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trust.toml");
    trust(&file, &NewKey::generate(None).unwrap(), "require_signature = true");
    let settings = Settings { trust: Some(file), ..Settings::default() };
    let config = ServerConfig { settings, ..config(&common::engine(1), bundle(MANIFEST)) };
    let error = Server::new(config).unwrap_err().to_string();
    assert!(error.contains("the first bundle is refused") && error.contains("is not signed"), "{error}");
}

#[test]
fn a_history_that_a_kill_cut_off_and_a_disk_damaged_goes_on_on_a_line_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = || json!({"path": "/there/is/no/bundle"});
    let first = start_stored(dir.path());
    assert_eq!(first.put("/admin/bundle", wrong()).status, 422);
    drop(first);
    let path = dir.path().join("swaps.jsonl");
    let bytes = [&b"\xff\n"[..], &fs::read(&path).unwrap(), b"{\"at\":1,\"chan"].concat();
    fs::write(&path, bytes).unwrap();
    let second = start_stored(dir.path());
    assert_eq!(second.put("/admin/bundle", wrong()).status, 422);
    drop(second);
    let swaps = start_stored(dir.path()).admin("/admin/swaps").json();
    assert_eq!(swaps.as_array().unwrap().len(), 2, "{swaps}");
}

#[test]
fn a_state_behind_whose_generation_no_number_is_left_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(start_stored(dir.path()));
    let path = dir.path().join("active.json");
    let mut state: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    state["newest"] = json!(u64::MAX);
    fs::write(&path, state.to_string()).unwrap();
    let error = Store::open(dir.path()).unwrap().state().unwrap_err().to_string();
    assert!(error.contains("found the generation 18446744073709551615; expected at most"), "{error}");
}
