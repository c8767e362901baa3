//! The TOML that operators and tenants write, keys and signatures: refused in words, or it does what it says.

use crate::{bytes::parts, guests, scratch};
use inferenceguard_bundle::{Bundle, LAYER, Layer, Manifest, Signature, SigningKey, Statement, Trust, VerifyingKey};
use std::{collections::BTreeMap, sync::LazyLock};

/// The first byte chooses the kind of file; parts are separated by zeros.
pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => manifest(&String::from_utf8_lossy(rest)),
        1 => layer(rest),
        _ => trust(rest),
    }
}

fn manifest(text: &str) {
    let Ok(manifest) = Manifest::parse(text) else { return };
    let _ = manifest.search_config();
    assert!(Bundle::from_parts(text, &BTreeMap::new()).is_err(), "a bundle without its policy's file");
    let files = manifest.files().into_iter().map(|(_, file)| (file.to_owned(), b"wasm".to_vec())).collect();
    let Ok(bundle) = Bundle::from_parts(text, &files) else { return };
    let packed = bundle.pack().expect("its paths were checked");
    assert_eq!(Bundle::unpack(&packed).expect("the bundle was packed").digest(), bundle.digest());
}

/// A layer only tightens.
fn layer(text: &[u8]) {
    static PLATFORM: LazyLock<Bundle> = LazyLock::new(guests::bundle);
    let path = scratch::file(&format!("layer/{LAYER}"), text);
    let folder = path.parent().expect("a folder");
    let Ok(layer) = Layer::open_with(folder, |_| Some(b"wasm".to_vec())) else { return };
    let Ok(over) = layer.over(&PLATFORM) else { return };
    let (before, after) = (PLATFORM.manifest(), over.manifest());
    assert_eq!((&after.policy, &after.tracker, &after.task), (&before.policy, &before.tracker, &before.task));
    assert!(after.max_tokens <= before.max_tokens);
    for own in &before.constraints {
        let now = after.constraints.iter().find(|one| one.name == own.name).expect("the platform's constraint stays");
        assert!(now.budget <= own.budget && now.cost == own.cost, "{now:?}");
    }
}

/// The text of `trust.toml`, a statement and its signature.
fn trust(bytes: &[u8]) {
    let [trust, statement, signature] = parts::<3>(bytes).map(|part| String::from_utf8_lossy(part).into_owned());
    let _ = (VerifyingKey::parse(&trust), SigningKey::parse(&trust, None));
    let Ok(trust) = Trust::parse(&trust) else { return };
    let bundle = guests::bundle().with_signature(Some(Signature { statement, signature }));
    if let Ok(Some(signer)) = trust.check(&bundle, 2_000_000_000) {
        assert!(trust.keys.contains_key(&signer.name), "a signer without a key");
        assert!(!trust.revoked.contains(&signer.key), "a revoked key signs");
    }
}

/// A bundle with every table, a layer, and a trusted signature.
pub fn seeds() -> Vec<Vec<u8>> {
    let layer = "name = \"kitchen\"\nmax_tokens = 8\nstop = [\"\\n\\n\"]\nbudgets = { harm = 2.0 }\n\n[costs.words]\n\
                 component = \"keyword-cost.wasm\"\nsettings = { words = [\"knife\"] }\n\n[[constraints]]\nname = \"words\"\n\
                 cost = \"words\"\nbudget = 0.5\n";
    let more = "[[constraints]]\nname = \"late\"\ncost = \"harm\"\nbudget = 9.5\ngamma = 0.99\nclip = \"capped\"\n\
                mode = \"terminal\"\ngranularity = \"chunk\"\n\n[limits]\nfuel = 1000\nmemory = 1048576\n\n[sampling]\n\
                temperature = 0.5\ntop_p = 0.9\ntop_k = 40\n\n[methods.base]\npolicy = { n = 1 }\n";
    let parts = signed();
    let joined = parts.join(&0);
    // Names with marks, ends of lines of other systems, numbers of another kind, a key twice, and a layer that takes a cost over.
    let quoted = guests::MANIFEST.replace("\"harm\"\ncost", "'ha\"rm\\ {x} \u{7f}'\ncost");
    let windows = format!("\u{feff}{}", guests::MANIFEST.replace('\n', "\r\n").replace("budget = 4", "budget = 4.0"));
    let numbers = guests::MANIFEST.replace("n = 4", "n = 4.0").replace("12", "18446744073709551616");
    let twice = guests::MANIFEST.replace("budget = 4", "budget = 4\nbudget = 1e308");
    let taking = layer.replace("costs.words", "costs.harm").replace("max_tokens = 8", "max_tokens = 4096");
    // Settings of shapes that none has, paths with two spellings, limits that are too low and too high, and names with dots.
    let shapes =
        guests::MANIFEST.replace("{ model = \"cost\" }", "{ model = 2026-01-01, a = { b = 1 }, c = [\"x\", 1, nan] }");
    let paths = guests::MANIFEST.replacen("inference-guard.wasm", "sub//./../inference-guard.wasm", 1);
    let limits = format!("{}\n[limits]\nfuel = 10000\nmemory = 9223372036854775807\ninstances = 0\n", guests::MANIFEST);
    let dots = guests::MANIFEST
        .replace("[costs.harm]", "[costs.\"kitchen.words\"]")
        .replace("cost = \"harm\"", "cost = \"kitchen.words\"");
    let budgets = guests::MANIFEST.replace("budget = 4", "budget = 5e-324\ngamma = 1e-300\nclip = \"none\"");
    let crlf = parts.map(|part| String::from_utf8_lossy(&part).replace('\n', "\r\n").into_bytes()).join(&0);
    let loose = "name = \"kitchen\"\nbudgets = { harm = inf, rain = 1 }\n\n[limits]\nfuel = 1\n";
    [(0, guests::MANIFEST.as_bytes()), (0, more.as_bytes()), (1, layer.as_bytes()), (2, &joined)]
        .into_iter()
        .chain([&quoted, &windows, &numbers, &twice].map(|text| (0, text.as_bytes())))
        .chain([&shapes, &paths, &limits, &dots, &budgets].map(|text| (0, text.as_bytes())))
        .chain([(1, taking.as_bytes()), (1, loose.as_bytes()), (2, &crlf)])
        .map(|(kind, text)| [&[kind], text].concat())
        .chain([[&[0], guests::MANIFEST.as_bytes(), more.as_bytes()].concat()])
        .collect()
}

/// A trust file, a statement and its signature that belong together.
fn signed() -> [Vec<u8>; 3] {
    /// A key for tests; nothing else trusts it.
    const SECRET: &str = include_str!("../seeds/signing.key");
    const PUBLIC: &str = include_str!("../seeds/signing.pub");
    let key = SigningKey::parse(SECRET, None).expect("the key of the seeds");
    let statement = Statement::of(&guests::bundle(), 1_900_000_000, None).expect("a statement");
    let Signature { statement, signature } = key.sign(&statement).expect("a signature");
    let public = PUBLIC.lines().last().expect("a line of base64");
    let trust = format!("require_signature = true\n\n[keys]\nseeds = \"{public}\"\n");
    [trust.into_bytes(), statement.into_bytes(), signature.into_bytes()]
}
