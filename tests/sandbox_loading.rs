//! Bytes that are not a component of the contract are refused with a reason, before anything runs; no bytes panic the host.

#[path = "sandbox_support/mod.rs"]
mod support;

use inferenceguard_sandbox::{Limits, Sandbox, SandboxError};
use inferenceguard_search::FailureKind;
use proptest::prelude::*;
use std::collections::BTreeMap;
use support::{constraint, guest, limits, mode, sandbox};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

fn refusal(bytes: &[u8]) -> SandboxError {
    sandbox().load("stranger", bytes).expect_err("a refusal")
}

fn wat_refusal(text: &str) -> String {
    refusal(&wat::parse_str(text).expect("wat")).to_string()
}

/// A component of the contract's tracker world, from a core module written by hand.
fn by_hand(module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/v0.1");
    let (package, _) = resolve.push_dir(wit).expect("the contract");
    let world = resolve.select_world(&[package], Some("tracker-component")).expect("the world");
    let mut module = wat::parse_str(module).expect("wat");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    inferenceguard_componentize::encode(&module).expect("a component")
}

/// A tracker whose `start` runs `body`.
fn tracker_by_hand(memory_pages: u32, body: &str) -> Vec<u8> {
    by_hand(&format!(
        r#"(module
            (memory (export "memory") {memory_pages})
            (table $t 1 funcref)
            (data (i32.const 64) "\50\00\00\00\01\00\00\00\50\00\00\00\01\00\00\00\01\00\00\00\50\00\00\00\01\00\00\00")
            (data (i32.const 80) "x")
            (data (i32.const 100) "\5b\00\00\00")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
            (func (export "inferenceguard:guard/setup@0.1.0#describe") (result i32) i32.const 200)
            (data (i32.const 200) "\b4\00\00\00\01\00\00\00\b4\00\00\00\01\00\00\00\01\00\00\00\b4\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00")
            (data (i32.const 180) "x")
            (func (export "inferenceguard:guard/setup@0.1.0#configure") (param i32 i32) (result i32) i32.const 512)
            (func (export "inferenceguard:guard/setup@0.1.0#needs") (result i32) i32.const 512)
            (func (export "inferenceguard:guard/tracker@0.1.0#start")
                (param i32 i32 f64 f64 i32 i32) (result i32) {body} i32.const 512)
            (func (export "inferenceguard:guard/tracker@0.1.0#advance")
                (param i32 i32 f64 f64 i32 i32 i32 i32) (result i32) i32.const 512)
        )"#
    ))
}

fn start(bytes: &[u8]) -> Result<f64, FailureKind> {
    let active = sandbox().load("by-hand", bytes).unwrap().activate(&BTreeMap::new()).unwrap();
    active.tracker().unwrap().start(&constraint()).map(|state| state.z).map_err(|failure| failure.kind)
}

#[test]
fn a_component_written_by_hand_works() {
    assert_eq!(start(&tracker_by_hand(1, "")), Ok(0.0));
}

#[test]
fn a_growing_table_is_denied() {
    let grow = "ref.null func i32.const 10000000 table.grow $t drop";
    assert_eq!(start(&tracker_by_hand(1, grow)), Err(FailureKind::Memory { limit: limits().memory }));
}

#[test]
fn a_memory_too_large_from_the_start_is_denied() {
    let error = refusal(&tracker_by_hand(1000, ""));
    assert!(matches!(&error, SandboxError::OverLimit { limit: "memory", .. }), "{error}");
}

/// The same component with this many more instances of another core module.
fn with_more(component: &[u8], module: &str, times: usize) -> Vec<u8> {
    fn leb(mut number: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number > 0x7f {
            bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }
    let section = |id: u8, content: &[u8]| [&[id][..], &leb(content.len()), content].concat();
    // Core modules of the component itself: its sections of the kind 1.
    let (mut at, mut modules) = (8, 0);
    while at < component.len() {
        modules += usize::from(component[at] == 1);
        let (mut size, mut shift) = (0, 0);
        loop {
            at += 1;
            size |= usize::from(component[at] & 0x7f) << shift;
            shift += 7;
            if component[at] & 0x80 == 0 {
                break;
            }
        }
        at += 1 + size;
    }
    let instances = (0..times).flat_map(|_| [&[0][..], &leb(modules), &[0]].concat());
    let instances: Vec<u8> = leb(times).into_iter().chain(instances).collect();
    [component, &section(1, &wat::parse_str(module).unwrap()), &section(2, &instances)].concat()
}

#[test]
fn components_of_many_parts_run() {
    let simple = tracker_by_hand(1, "");
    assert_eq!(start(&with_more(&simple, "(module)", 40)), Ok(0.0), "as many as those of scripting languages");
    assert_eq!(start(&with_more(&simple, "(module (memory 1) (table 1 funcref))", 2)), Ok(0.0), "composed ones");
}

#[test]
fn a_part_too_many_names_its_limit() {
    let simple = tracker_by_hand(2, "");
    let more = |module: &str| with_more(&simple, module, 3);
    for (limits, bytes, limit) in [
        (Limits { core_instances: 3, ..limits() }, more("(module)"), "core-instances"),
        (Limits { memories: 3, ..limits() }, more("(module (memory 1))"), "memories"),
        (Limits { tables: 3, ..limits() }, more("(module (table 1 funcref))"), "tables"),
        (Limits { memory: 65_536, ..limits() }, simple.clone(), "memory"),
        (Limits { table_elements: 10, ..limits() }, more("(module (table 11 funcref))"), "table-elements"),
    ] {
        let error = Sandbox::new(limits, None).unwrap().load("parts", &bytes).unwrap_err();
        assert!(matches!(&error, SandboxError::OverLimit { limit: found, .. } if *found == limit), "{limit}: {error}");
        assert!(!error.to_string().contains("SDK"), "{error}");
    }
}

#[test]
fn deep_recursion_is_a_stack_overflow() {
    let recursion = "local.get 0 local.get 1 local.get 2 local.get 3 local.get 4 local.get 5 call 4 drop";
    let FailureKind::Trap(text) = start(&tracker_by_hand(1, recursion)).unwrap_err() else { panic!("no trap") };
    assert!(text.contains("stack overflow"), "{text}");
}

#[test]
fn what_is_no_component_is_called_so() {
    assert!(refusal(b"").to_string().contains("expected a WebAssembly component"));
    assert!(refusal(b"\x7fELF and more").to_string().contains("is broken"));
    let module = wat_refusal("(module)");
    assert!(
        module.starts_with("`stranger` is a core WebAssembly module; expected a WebAssembly component"),
        "{module}"
    );
    assert_eq!(
        wat_refusal("(component)"),
        "`stranger` exports nothing; expected `inferenceguard:guard/setup` and one role"
    );
}

#[test]
fn a_truncated_component_is_refused() {
    let bytes = guest("rogue-tracker");
    for length in (0..bytes.len()).step_by(bytes.len() / 40) {
        refusal(&bytes[..length]);
    }
}

#[test]
fn foreign_imports_are_named() {
    let wasi = wat_refusal(r#"(component (import "wasi:io/poll@0.2.0" (instance)))"#);
    assert!(wasi.contains("imports `wasi:io/poll@0.2.0`"), "{wasi}");
    let env = wat_refusal(r#"(component (import "now" (func (result u64))))"#);
    assert!(env.contains("imports `now`"), "{env}");
    let ours = wat_refusal(r#"(component (import "inferenceguard:guard/clock@0.1.0" (instance)))"#);
    assert!(ours.contains("imports `inferenceguard:guard/clock@0.1.0`"), "{ours}");
}

#[test]
fn another_contract_version_is_named() {
    let bytes = guest("rogue-cost");
    for version in ["0.2.0", "1.1.0"] {
        let expected = format!(
            "`stranger` was built for contract version {version}; this host supports 0.1.x: build it for one of these"
        );
        assert_eq!(refusal(&replaced(&bytes, b"@0.1.0", format!("@{version}").as_bytes())).to_string(), expected);
    }
}

#[test]
fn a_later_patch_of_the_contract_is_taken() {
    let bytes = replaced(&guest("rogue-cost"), b"@0.1.0", b"@0.1.7");
    assert!(sandbox().load("newer", &bytes).unwrap().activate(&mode("ok")).unwrap().cost().is_ok());
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let found: Vec<usize> =
        bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from).map(|(at, _)| at).collect();
    assert!(!found.is_empty());
    found.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
    bytes
}

#[test]
fn a_description_of_another_role_is_refused() {
    let error = refusal(&guest("liar")).to_string();
    assert_eq!(error, "`stranger` describes the role policy; expected cost, the role it exports");
}

#[test]
fn a_trap_while_it_describes_itself_is_typed() {
    let SandboxError::Failed { function: "describe", kind: FailureKind::Trap(text), .. } = refusal(&guest("mute"))
    else {
        panic!("no trap")
    };
    assert!(text.contains("no comment"), "{text}");
}

#[test]
fn a_file_too_large_is_refused() {
    let sandbox = Sandbox::new(Limits { component: 2048, ..limits() }, None).unwrap();
    let error = sandbox.load("big", &guest("rogue-cost")).err().unwrap();
    assert!(matches!(error, SandboxError::TooLarge { limit: 2048, .. }), "{error}");
}

#[test]
fn precompiled_code_is_never_taken() {
    let error = refusal(b"\x7fELF\x02\x01\x01\xc8wasmtime");
    assert!(matches!(error, SandboxError::NotAComponent { .. }), "{error}");
}

#[test]
fn check_reports_every_function_and_its_fuel() {
    for (name, functions) in [
        ("rogue-policy", vec!["plan", "select"]),
        ("rogue-tracker", vec!["start", "advance"]),
        ("rogue-cost", vec!["price"]),
    ] {
        let report = sandbox().check(name, &guest(name), &mode("ok")).unwrap();
        assert_eq!(report.calls.iter().map(|call| call.function).collect::<Vec<_>>(), functions);
        assert!(report.passed() && report.calls.iter().all(|call| call.fuel > 0), "{report:?}");
        assert!(report.bytes > 1000);
    }
}

#[test]
fn check_refuses_a_component_that_answers_differently() {
    for (name, moody, expected) in [
        ("rogue-cost", "counter", "price"),
        ("rogue-cost", "moody-describe", "describe"),
        ("rogue-cost", "moody-needs", "needs"),
        ("rogue-cost", "moody-kind", "kind"),
        ("rogue-cost", "moody-grain", "grain"),
        ("rogue-tracker", "counter", "start"),
        ("rogue-tracker", "counter-advance", "advance"),
        ("rogue-critic", "counter", "estimate"),
        ("rogue-steering", "counter", "steer"),
    ] {
        let error = sandbox().check("fickle", &guest(name), &mode(moody)).unwrap_err();
        let SandboxError::NotDeterministic { function, first, second, .. } = error else { panic!("{moody}: {error}") };
        assert_eq!(function, expected, "{name}, {moody}");
        assert_ne!(first, second);
    }
    // A policy may remember what it did before in its own request.
    assert!(sandbox().check("policy", &guest("rogue-policy"), &mode("remember")).unwrap().passed());
}

#[test]
fn check_holds_a_component_to_the_rules_of_a_search() {
    for (name, misdeed, words) in [
        ("rogue-cost", "nan", "the price NaN"),
        ("rogue-cost", "infinite", "the price inf"),
        ("rogue-cost", "short", "0 prices for a row"),
        ("rogue-cost", "no-rows", "0 rows"),
        ("rogue-policy", "option", "the options"),
        ("rogue-policy", "unknown-row", "row 10"),
        ("rogue-policy", "twice", "row 0 twice"),
        ("rogue-policy", "nan-retry", "a retry with penalty NaN"),
        ("rogue-tracker", "nan", "z NaN"),
        ("rogue-tracker", "short", "a trace of 0"),
        ("rogue-tracker", "hoard", "1000 numbers beside z"),
        ("rogue-critic", "nan", "the probability NaN"),
        ("rogue-critic", "short", "0 rows"),
        ("rogue-steering", "unknown-row", "a latent for row 3"),
        ("rogue-steering", "short", "0 numbers"),
    ] {
        let report = sandbox().check("rogue", &guest(name), &mode(misdeed)).unwrap();
        let failed = report.calls.iter().find(|call| call.is_failed()).unwrap_or_else(|| panic!("{name}, {misdeed}"));
        assert!(failed.result.contains(words), "{name}, {misdeed}: {failed:?}");
    }
}

#[test]
fn check_reports_failures_in_words() {
    let report = sandbox().check("nervous", &guest("rogue-cost"), &mode("panic")).unwrap();
    assert!(!report.passed());
    assert!(report.calls[0].result.contains("lost its nerve"), "{report:?}");
    assert!(sandbox().check("sulky", &guest("rogue-cost"), &mode("error")).unwrap().passed());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), headed in any::<bool>()) {
        let mut file = if headed { b"\0asm\x0d\0\x01\0".to_vec() } else { Vec::new() };
        file.extend(bytes);
        prop_assert!(sandbox().load("noise", &file).is_err());
    }

    #[test]
    fn a_changed_component_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), late in any::<bool>()) {
        let mut bytes = guest("rogue-tracker");
        let at = if late { bytes.len() - 1 - at.index(bytes.len().min(8000)) } else { at.index(bytes.len()) };
        bytes[at] = byte;
        // Any outcome but a panic: many bytes are names, padding or constants.
        if let Ok(component) = sandbox().load("mutant", &bytes)
            && let Ok(active) = component.activate(&BTreeMap::new())
                && let Ok(mut tracker) = active.tracker() {
                    drop(tracker.start(&constraint()));
                }
    }
}
