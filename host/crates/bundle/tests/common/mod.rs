//! A bundle for tests: its components are no components, which nobody looks at here.
#![allow(dead_code, reason = "every test file uses another part")]

use inferenceguard_bundle::Bundle;
use std::collections::BTreeMap;

pub(crate) fn manifest(version: &str) -> String {
    format!(
        r#"
name = "example"
version = "{version}"
unguarded = true

[policy]
component = "policy.wasm"

[tracker]
component = "parts/tracker.wasm"
"#
    )
}

pub(crate) fn files() -> BTreeMap<String, Vec<u8>> {
    let files = ["policy.wasm", "parts/tracker.wasm"];
    files.into_iter().map(|file| (file.to_owned(), file.repeat(100).into_bytes())).collect()
}

pub(crate) fn bundle(version: &str) -> Bundle {
    Bundle::from_parts(&manifest(version), &files()).unwrap()
}
