//! The target `chat_template`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("chat_template"), |bytes: &[u8]| inferenceguard_fuzz::chat_template::run(bytes));
