//! Manifests of registries: refused in words, or a bundle of the files that the manifest lists.

use crate::guests;
use axum::{
    Router,
    http::{StatusCode, Uri},
};
use inferenceguard_bundle::{Bundle, MANIFEST};
use inferenceguard_model::lock;
use inferenceguard_registry::{ARTIFACT, BundleReference, FILE, RegistryError, pull};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{LazyLock, Mutex},
};
use tokio::runtime::Runtime;

const TITLE: &str = "org.opencontainers.image.title";
const PLACE: &str = "policies/toy";
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The digest of an empty object, which stands for the configuration.
const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// What the registry answers.
struct Held {
    manifest: Vec<u8>,
    /// Whether the digest of the manifest that was pushed gives this one.
    pinned: bool,
    /// Whether files have one byte more than those that were pushed.
    spoiled: bool,
}

/// One input after the other: they share the registry.
static TURN: Mutex<()> = Mutex::new(());
static HELD: Mutex<Held> = Mutex::new(Held { manifest: Vec::new(), pinned: false, spoiled: false });
/// The files of a bundle, by digest.
static FILES: LazyLock<BTreeMap<String, Vec<u8>>> =
    LazyLock::new(|| files().into_iter().map(|(_, bytes)| (digest(&bytes), bytes)).collect());

/// The manifest of the bundle, as text and as JSON, and its digest.
static PUSHED: LazyLock<(String, Value, String)> = LazyLock::new(|| {
    let manifest = manifest();
    (manifest.to_string(), manifest.clone(), digest(manifest.to_string().as_bytes()))
});

/// A registry, and its port.
static REGISTRY: LazyLock<(Runtime, u16)> = LazyLock::new(|| {
    let runtime = guests::runtime();
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.set_nonblocking(true).expect("a listener that does not block");
    let port = listener.local_addr().expect("an address").port();
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener of the runtime");
        let routes: Router = Router::new().fallback(answer);
        axum::serve(listener, routes).await.expect("a registry that serves");
    });
    (runtime, port)
});

async fn answer(uri: Uri) -> (StatusCode, Vec<u8>) {
    let held = lock(&HELD);
    let found = match uri.path().strip_prefix("/v2/") {
        Some("") => Some(Vec::new()),
        // An index may lead to the manifest that was pushed.
        Some(path) if path.ends_with(&PUSHED.2) && !held.pinned => Some(PUSHED.0.clone().into_bytes()),
        Some(path) if path.contains("/manifests/") => Some(held.manifest.clone()),
        Some(path) => path.rsplit_once("/blobs/").and_then(|(_, digest)| FILES.get(digest)).cloned(),
        None => None,
    };
    match found {
        Some(mut bytes) => {
            bytes.extend((held.spoiled && uri.path().contains("/blobs/")).then_some(b'x'));
            (StatusCode::OK, bytes)
        }
        None => (StatusCode::NOT_FOUND, b"{\"errors\":[]}".to_vec()),
    }
}

/// The first byte says whether the manifest is asked for by its digest, and whether files arrive as they were pushed.
pub fn run(bytes: &[u8]) {
    let Some((kind, manifest)) = bytes.split_first() else { return };
    let (pinned, spoiled) = (kind & 1 == 1, kind & 2 == 2);
    let _turn = lock(&TURN);
    *lock(&HELD) = Held { manifest: manifest.to_vec(), pinned, spoiled };
    match pulled(pinned) {
        Ok(bundle) => {
            assert!(!spoiled, "a file that is another one is taken");
            assert!(!pinned || manifest == PUSHED.0.as_bytes(), "a manifest that is another one is taken");
            let manifest: Value = serde_json::from_slice(manifest).expect("a manifest is JSON");
            let leads_there = !manifest["manifests"].is_null() && lists(&PUSHED.1, &bundle);
            assert!(leads_there || lists(&manifest, &bundle), "a file is not listed");
        }
        Err(error) => assert!(!error.to_string().is_empty(), "{error:?}"),
    }
}

fn pulled(pinned: bool) -> Result<Bundle, RegistryError> {
    let (_, port) = &*REGISTRY;
    let name = if pinned { format!("@{}", PUSHED.2) } else { ":1.0.0".to_owned() };
    let reference = format!("127.0.0.1:{port}/{PLACE}{name}");
    pull(&BundleReference { reference, plain_http: true, token_host: None })
}

/// Whether a manifest is that of a bundle, and lists every file of this one with its digest.
fn lists(manifest: &Value, bundle: &Bundle) -> bool {
    let layers = || manifest["layers"].as_array().into_iter().flatten();
    let is_listed = |name: &str, bytes: &[u8]| {
        layers().any(|layer| layer["annotations"][TITLE] == name && layer["digest"] == digest(bytes))
    };
    manifest["artifactType"] == ARTIFACT
        && is_listed(MANIFEST, bundle.text().as_bytes())
        && bundle.files().iter().all(|(name, bytes)| is_listed(name, bytes))
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A bundle's files; what is in the components does not matter here.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let components = ["inference-guard.wasm", "safety-budget.wasm", "score-cost.wasm"];
    let components = components.map(|name| (name, name.as_bytes().to_vec()));
    std::iter::once((MANIFEST, guests::MANIFEST.as_bytes().to_vec())).chain(components).collect()
}

fn manifest() -> Value {
    let layer = |(name, bytes): (&str, Vec<u8>)| {
        let (digest, size) = (digest(&bytes), bytes.len());
        json!({"mediaType": FILE, "digest": digest, "size": size, "annotations": {TITLE: name}})
    };
    let layers: Vec<Value> = files().into_iter().map(layer).collect();
    let config = json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": EMPTY, "size": 2});
    json!({"schemaVersion": 2, "mediaType": IMAGE, "artifactType": ARTIFACT, "config": config, "layers": layers})
}

/// The manifest, by tag and by digest, with files that are right and wrong, and an index of manifests.
pub fn seeds() -> Vec<Vec<u8>> {
    let (manifest, _, digest) = &*PUSHED;
    let platform = json!({"architecture": "amd64", "os": "linux"});
    let entry = json!({"mediaType": IMAGE, "digest": digest, "size": manifest.len(), "platform": platform});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).to_string();
    // Plain artifacts in an index have no platform; a list of layers may name a blob twice, or a size that is wrong.
    let plain =
        json!({"schemaVersion": 2, "manifests": [{"digest": digest, "size": -1, "artifactType": ARTIFACT}, {}]})
            .to_string();
    let empty = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).to_string();
    let changed = |key: &str, to: Value| {
        let mut manifest = PUSHED.1.clone();
        manifest["layers"][0][key] = to;
        manifest.to_string()
    };
    let sized = changed("size", json!(18_446_744_073_709_551_615_u64));
    let twice = changed("annotations", json!({TITLE: "inference-guard.wasm"}));
    let outside = changed("annotations", json!({TITLE: "../bundle.toml"}));
    let all = [
        (0, manifest),
        (1, manifest),
        (2, manifest),
        (0, &index),
        (1, &index),
        (0, &plain),
        (0, &empty),
        (0, &sized),
        (0, &twice),
        (0, &outside),
    ];
    all.into_iter().map(|(kind, text)| [&[kind], text.as_bytes()].concat()).collect()
}
