//! Packed bundles: refused in words, or a bundle that packs to the same bundle again.

use crate::guests;
use inferenceguard_bundle::{Bundle, Trust};
use inferenceguard_testkit::components;

/// The archive.
pub fn run(bytes: &[u8]) {
    let Ok(bundle) = Bundle::unpack(bytes) else { return };
    let packed = bundle.pack().expect("its paths came out of an archive");
    let again = Bundle::unpack(&packed).expect("the bundle was packed");
    assert_eq!(again.digest(), bundle.digest());
    let trust = Trust { require_signature: true, ..Trust::default() };
    assert!(trust.check(&bundle, 0).is_err(), "nobody is trusted");
}

/// A small bundle.
pub fn seeds() -> Vec<Vec<u8>> {
    let files = components::files().keys().map(|name| (name.clone(), b"wasm".to_vec())).collect();
    let bundle = Bundle::from_parts(guests::MANIFEST, &files).expect("a bundle");
    vec![bundle.pack().expect("an archive")]
}
