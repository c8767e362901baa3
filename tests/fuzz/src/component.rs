//! Modules and components: refused in words or loaded, and the builder refuses what the sandbox refuses.

use crate::guests;
use inferenceguard_componentize::{encode, inspect};
use inferenceguard_sandbox::{Limits, Sandbox};
use std::sync::LazyLock;

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new(Limits::default(), None).expect("a sandbox"));

/// The file.
pub fn run(bytes: &[u8]) {
    let _ = encode(bytes);
    let looks_right = inspect(bytes).is_ok();
    let loads = SANDBOX.load("fuzzed", bytes).is_ok();
    assert!(looks_right || !loads, "the sandbox loads what the builder refuses");
}

/// The smallest modules and components, and one of the contract.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "(module)",
        "(component)",
        "(module (memory (export \"memory\") 1) (func (export \"f\") (result i32) i32.const 1))",
        "(component (import \"inferenceguard:guard/log@0.1.0\" (instance)))",
        "(component (core module (func (export \"f\") unreachable)))",
        // A start that never ends, two memories, a memory and a table as large as there are, more instances than usual, and types
        // that other compilers write.
        "(module (func $f (loop $l (br $l))) (start $f))",
        "(module (memory 1) (memory 1))",
        "(module (memory 65536 65536) (table 4294967295 funcref))",
        "(component (core module $m) (core instance (instantiate $m)) (core instance (instantiate $m)))",
        "(component (component $c) (instance (instantiate $c)))",
        "(module (type (struct (field i32))) (tag (param i32)))",
        "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func (param i32 i32 i32 i32) (result i32))))",
        "(component (import \"wasi:cli/environment@0.2.0\" (instance)))",
    ];
    let built = texts.iter().map(|text| wat::parse_str(text).expect("text of a module"));
    built.chain([guests::rogue("mute").to_vec()]).collect()
}
