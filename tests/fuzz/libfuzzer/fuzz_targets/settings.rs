//! The target `settings`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("settings"), |bytes: &[u8]| inferenceguard_fuzz::settings::run(bytes));
