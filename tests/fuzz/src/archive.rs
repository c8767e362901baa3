//! Packed bundles: refused in words, or a bundle that packs to the same bundle again.

use crate::guests;
use flate2::{Compression, write::GzEncoder};
use inferenceguard_bundle::{Bundle, Trust};
use inferenceguard_testkit::components;
use std::io::Write;

/// The archive.
pub fn run(bytes: &[u8]) {
    let Ok(bundle) = Bundle::unpack(bytes) else { return };
    let packed = bundle.pack().expect("its paths came out of an archive");
    let again = Bundle::unpack(&packed).expect("the bundle was packed");
    assert_eq!(again.digest(), bundle.digest());
    let trust = Trust { require_signature: true, ..Trust::default() };
    assert!(trust.check(&bundle, 0).is_err(), "nobody is trusted");
}

/// A small bundle, packed as the product packs and as other tools do.
pub fn seeds() -> Vec<Vec<u8>> {
    let files = components::files().keys().map(|name| (name.clone(), b"wasm".to_vec())).collect();
    let bundle = Bundle::from_parts(guests::MANIFEST, &files).expect("a bundle");
    let packed = bundle.pack().expect("an archive");
    vec![compressed(&packed), renamed(&packed), [&packed[..], &[0; 1024]].concat(), packed]
}

/// Tools compress archives.
fn compressed(packed: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(packed).expect("memory takes bytes");
    encoder.finish().expect("memory takes bytes")
}

/// The first entry as `./NAME`. Its name is in the first 100 bytes, and the sum of the header's bytes from byte 148 on.
fn renamed(packed: &[u8]) -> Vec<u8> {
    let (mut packed, length) = (packed.to_vec(), 100);
    packed.copy_within(..length - 2, 2);
    packed[..2].copy_from_slice(b"./");
    packed[148..156].fill(b' ');
    let sum: u32 = packed[..512].iter().map(|byte| u32::from(*byte)).sum();
    packed[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    packed
}
