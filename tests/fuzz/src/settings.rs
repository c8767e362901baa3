//! Files that operators keep beside a server: `server.toml`, and probes of engines. Refused in words, or they do what they say.

use crate::{
    guests::{TOY, Toy},
    request,
};
use axum::http::{Method, StatusCode};
use inferenceguard_engines::Probe;
use inferenceguard_server::{Server, ServerConfig, Settings, SettingsError, Tenant};
use serde_json::Value;
use std::sync::Arc;
use toml::Table;

/// A key that no table has.
const UNKNOWN: &str = "no_such_key";

/// The first byte chooses the kind of file.
pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 2 {
        0 => server(&String::from_utf8_lossy(rest)),
        _ => probe(rest),
    }
}

fn server(text: &str) {
    let Ok(settings) = toml::from_str::<Settings>(text) else { return };
    has_no_other_keys(text);
    match settings.validate() {
        Ok(()) => serves(settings),
        Err(error) => names(&error),
    }
}

/// A key that is not known is refused in every table.
fn has_no_other_keys(text: &str) {
    let table: Table = toml::from_str(text).expect("settings are a table");
    let tenants = table.get("tenants").and_then(toml::Value::as_table).into_iter().flat_map(Table::keys);
    let tenants = tenants.map(|name| vec!["tenants", name.as_str()]);
    let places = [vec![], vec!["judge"], vec!["canary"], vec!["overload"]].into_iter().chain(tenants);
    for place in places {
        let mut other = table.clone();
        let Some(inner) = inner(&mut other, &place) else { continue };
        inner.insert(UNKNOWN.to_owned(), true.into());
        assert!(other.try_into::<Settings>().is_err(), "an unknown key in {place:?} is accepted");
    }
}

/// The table at this place.
fn inner<'t>(table: &'t mut Table, place: &[&str]) -> Option<&'t mut Table> {
    place.iter().try_fold(table, |table, key| table.get_mut(*key)?.as_table_mut())
}

/// An error names the key and what was found, and shows no secret.
fn names(error: &SettingsError) {
    assert!(!error.key.is_empty() && !error.found.is_empty(), "{error:?}");
    if error.expected.contains("SHA-256") {
        let count = error.found.strip_suffix(" characters").and_then(|count| count.parse::<usize>().ok());
        assert!(count.is_some(), "an error shows a secret: {error:?}");
    }
}

/// A server takes settings that are valid; where clients have keys, nobody is served without one.
fn serves(settings: Settings) {
    let Toy { runtime, engine, bundle } = &*TOY;
    // Files of this machine are no part of the input, and compiling a bundle for the reduced mode takes long.
    let mut settings = Settings { trust: None, overload: None, ..settings };
    settings.tenants.values_mut().for_each(|tenant| tenant.layer = None);
    let open = settings.tenants.is_empty();
    let config = ServerConfig { settings, ..ServerConfig::new(Arc::clone(engine), bundle.clone()) };
    // The bundle may not have a tenant's constraint.
    let Ok(server) = Server::new(config) else { return };
    let (status, _) = request::answered(runtime, &server.router(), (&Method::GET, "/v1/models"), b"");
    assert_eq!(status, if open { StatusCode::OK } else { StatusCode::UNAUTHORIZED });
}

/// A probe is read again as it was written, and has no other keys.
fn probe(bytes: &[u8]) {
    let Ok(probe) = Probe::parse(bytes) else { return };
    let again = Probe::parse(probe.to_json().as_bytes()).expect("a probe that was written");
    assert_eq!((again.digest(), &again), (probe.digest(), &probe));
    let value: Value = serde_json::from_slice(bytes).expect("a probe is JSON");
    for place in ["", "/tolerance", "/sequences/0"] {
        let mut other = value.clone();
        let Some(inner) = other.pointer_mut(place).and_then(Value::as_object_mut) else { continue };
        inner.insert(UNKNOWN.to_owned(), true.into());
        assert!(Probe::parse(other.to_string().as_bytes()).is_err(), "an unknown key in `{place}` is accepted");
    }
}

/// Settings with every table, wrong ones, and probes.
pub fn seeds() -> Vec<Vec<u8>> {
    let key = Tenant::with_key("one").key_sha256;
    let every = format!(
        "model = \"toy\"\nmax_body = 65536\nmax_waiting = 16\nmax_connections = 64\nmax_choices = 4\nmax_top_logprobs = 0\n\
         read_seconds = 5\nwrite_seconds = 5\nstop_seconds = 5\nrelease = {{ commit = 2 }}\nbudget_per = \"answer\"\n\
         in_flight = \"migrate\"\nadmin_hosts = [\"guard.example\"]\ntrust = \"trust.toml\"\ntrace_content = false\nwhy = true\n\n\
         [overload]\nwaiting = 4\nn = 2\n\n[canary]\nleast = 10\nmore_failures = 0.5\nmore_refusals = 0.25\n\n[judge]\n\
         on_unsafe = \"replace\"\nprompts = \"screen\"\ndeadline_ms = 1000\nmax_texts = 4\nmax_prompts = 8\n\
         max_prompt_chars = 4096\nprompt_seconds = 60\nstream_chars = 50\nchat_paths = [\"/v1/chat/completions\"]\n\
         open_paths = [\"/v1/models\"]\n\n[tenants.one]\nkey_sha256 = \"{key}\"\nper_minute = 60\nat_once = 4\n\
         budgets = {{ harm = 1.5 }}\nlayer = \"layers/one\"\n"
    );
    let twice = format!("[tenants.a]\nkey_sha256 = \"{key}\"\n\n[tenants.b]\nkey_sha256 = \"{key}\"\n");
    let short = "admin_token_sha256 = \"no digest\"\n".to_owned();
    let few = "release = \"agreement\"\nmax_choices = 1\n".to_owned();
    let plain = r#"{"model":"m","precision":"f32","sequences":[{"prompt":[1],"tokens":[2],"values":[-1.5]}]}"#;
    let whole = r#"{"model":"m","precision":"bf16","base":"sha256:00","tolerance":{"each":0.2,"mean":0.05},
        "sequences":[{"prompt":[1,2],"tokens":[3,4],"values":[-0.25,-1.5]},{"prompt":[5],"tokens":[6],"values":[0.5,1e-3]}]}"#;
    let settings = [every, twice, short, few].map(|text| [b"\0", text.as_bytes()].concat());
    let probes = [plain, whole].map(|text| [b"\x01", text.as_bytes()].concat());
    settings.into_iter().chain(probes).collect()
}
