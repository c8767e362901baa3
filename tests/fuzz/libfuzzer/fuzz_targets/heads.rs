//! The target `heads`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("heads"), |bytes: &[u8]| inferenceguard_fuzz::heads::run(bytes));
