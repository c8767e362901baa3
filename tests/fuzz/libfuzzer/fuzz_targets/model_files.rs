//! The target `model_files`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("model_files"), |bytes: &[u8]| inferenceguard_fuzz::model_files::run(bytes));
