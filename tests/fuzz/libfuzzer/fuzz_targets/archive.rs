//! The target `archive`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("archive"), |bytes: &[u8]| inferenceguard_fuzz::archive::run(bytes));
