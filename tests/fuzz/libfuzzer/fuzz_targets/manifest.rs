//! The target `manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("manifest"), |bytes: &[u8]| inferenceguard_fuzz::manifest::run(bytes));
