//! Whatever bytes are given as a packed bundle: refused in words, or a bundle that packs to the same bundle again.
#![no_main]

use inferenceguard_bundle::{Bundle, Trust};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bundle) = Bundle::unpack(bytes) {
        let packed = bundle.pack().expect("its paths came out of a tar file");
        let again = Bundle::unpack(&packed).expect("what was packed");
        assert_eq!(again.digest(), bundle.digest());
        let trust = Trust { require_signature: true, ..Trust::default() };
        assert!(trust.check(&bundle, 0).is_err(), "nobody is trusted");
    }
});
