//! The target `component`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("component"), |bytes: &[u8]| inferenceguard_fuzz::component::run(bytes));
