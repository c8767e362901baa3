//! The target `tokenizer`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("tokenizer"), |bytes: &[u8]| inferenceguard_fuzz::tokenizer::run(bytes));
