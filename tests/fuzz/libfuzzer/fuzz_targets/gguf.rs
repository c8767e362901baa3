//! The target `gguf`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("gguf"), |bytes: &[u8]| inferenceguard_fuzz::gguf::run(bytes));
