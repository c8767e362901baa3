//! A component's way: new, build, check, inspect.

mod common;

use common::{run, text};
use std::{fs, path::Path};

fn sdk() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../guest").to_str().unwrap().to_owned()
}

#[test]
fn a_new_component_builds_and_passes_its_check() {
    let dir = tempfile::tempdir().unwrap();
    let crate_dir = dir.path().join("no-shouting");
    let crate_dir = text(&crate_dir);
    let made = run(&["component", "new", "no-shouting", "--role", "cost", "--dir", crate_dir, "--sdk", &sdk()]);
    assert_eq!((made.code, made.stdout.trim()), (Some(0), crate_dir), "{}", made.stderr);
    // What it says of itself clears the screen, turns text round, and looks like a line of the program.
    let source = dir.path().join("no-shouting/src/lib.rs");
    let rude = "describe!(\"\\u{1b}[2J\\u{202e}\\rHarmless.\\nasked by nobody";
    let text_of = fs::read_to_string(&source).unwrap();
    assert!(text_of.contains("describe!(\""));
    fs::write(&source, text_of.replacen("describe!(\"", rude, 1)).unwrap();
    let built = run(&["component", "build", crate_dir]);
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    let file = built.stdout.trim();
    assert!(file.ends_with("no-shouting/no-shouting.wasm") && Path::new(file).is_file(), "{file}");
    // Another compiler's core module becomes a component in the same way.
    let core = dir.path().join("no-shouting/target/wasm32-unknown-unknown/release/no_shouting.wasm");
    let again = dir.path().join("again.wasm");
    let encoded = run(&["component", "encode", text(&core), "--out", text(&again)]);
    assert_eq!((encoded.code, encoded.stdout.trim()), (Some(0), text(&again)), "{}", encoded.stderr);
    assert_eq!(fs::read(&again).unwrap(), fs::read(file).unwrap());
    run(&["component", "encode", file, "--out", text(&again)]).refuses("a component already");
    let checked = run(&["component", "check", file]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let head = checked.stdout.lines().next().unwrap();
    assert!(head.contains("\\u{1b}[2J\\u{202e}\\rHarmless.\\nasked by nobody"), "{head}");
    let json = run(&["component", "check", file, "--json"]);
    for shown in [&checked.stdout, &json.stdout] {
        assert!(!shown.contains(['\u{1b}', '\r', '\u{202e}']), "{shown:?}");
    }
    assert!(json.json()["description"]["summary"].as_str().unwrap().starts_with("\u{1b}[2J\u{202e}\rHarmless.\n"));
    run(&["component", "check", file, "--limit", "fuel=10000"]).refuses("out of fuel: 10000 ");
    run(&["component", "check", file, "--limit", "core-instances=1"]).refuses("raise the limit `core-instances`");
    run(&["component", "check", file, "--limit", "petrol=1"]).refuses("unknown field `petrol`");
    run(&["component", "check", file, "--limit", "fuel"]).refuses("expected NAME=VALUE");
    let about = run(&["component", "inspect", file, "--json"]).json();
    assert_eq!((&about["role"], &about["contract"]), (&"cost".into(), &"0.1.0".into()));
    let foreign = |import: &serde_json::Value| !import.as_str().unwrap().starts_with("inferenceguard:guard/");
    assert!(!about["imports"].as_array().unwrap().iter().any(foreign), "{about}");

    run(&["component", "new", "no-shouting", "--role", "cost", "--dir", crate_dir, "--sdk", &sdk()]).refuses("exists");
    fs::write(dir.path().join("no-shouting/src/lib.rs"), "fn f() -> u32 { \"no\" }").unwrap();
    run(&["component", "build", crate_dir]).refuses("mismatched types");
}

#[test]
fn a_component_that_answers_differently_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let crate_dir = dir.path().join("moody");
    run(&["component", "new", "moody", "--role", "cost", "--dir", text(&crate_dir), "--sdk", &sdk()]);
    let source = crate_dir.join("src/lib.rs");
    let remembers =
        "static MOOD: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);\n\nimpl Cost for";
    let moody = fs::read_to_string(&source).unwrap().replacen("impl Cost for", remembers, 1);
    let rising = "self.weight * f64::from(MOOD.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) *";
    fs::write(&source, moody.replacen("self.weight *", rising, 1).replace("== '!'", "!= '!'")).unwrap();
    let built = run(&["component", "build", text(&crate_dir)]);
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    run(&["component", "check", built.stdout.trim()]).refuses("answers `price` differently when asked again");
}

#[test]
fn first_party_components_are_known_by_name() {
    let about = run(&["component", "inspect", "base", "--json"]).json();
    assert_eq!(about["role"], "policy");
}

#[test]
fn what_is_no_component_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.wasm");
    for (bytes, words) in [(&b"text"[..], "not WebAssembly"), (b"\0asm\x01\0\0\0", "core WebAssembly module")] {
        fs::write(&path, bytes).unwrap();
        for command in ["check", "inspect"] {
            run(&["component", command, text(&path)]).refuses(words);
        }
    }
    // Names of strangers are quoted, and do not control the terminal.
    let rude = wat::parse_str("(component (import \"a\\1b[2J\\0d\\e2\\80\\ae\" (func)))");
    if let Ok(bytes) = rude {
        fs::write(&path, bytes).unwrap();
        for command in ["check", "inspect"] {
            let ran = run(&["component", command, text(&path)]);
            assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(['\u{1b}', '\r', '\u{202e}']), "{}", ran.stderr);
        }
    }
    // A core module of no world.
    fs::write(&path, b"\0asm\x01\0\0\0").unwrap();
    let out = dir.path().join("out.wasm");
    run(&["component", "encode", text(&path), "--out", text(&out)]).refuses("x.wasm");
    assert!(!out.exists(), "nothing is written");
    run(&["component", "check", "/no/such/file.wasm"]).refuses("no such file");
    run(&["component", "new", "x", "--role", "judge"]).refuses("no role `judge`");
    run(&["component", "new", "Not A Name", "--role", "cost", "--sdk", &sdk()]).refuses("cannot be a component's name");
    run(&["component", "build", text(dir.path())]).refuses("Cargo.toml");
}
