//! Bundles from folders and from memory: what is taken, what is refused and in which words.

use inferenceguard_bundle::{Bundle, BundleError, Manifest, SettingValue};
use std::{collections::BTreeMap, fs, path::Path};

const MANIFEST: &str = r#"
name = "example"
version = "1.0.0"
task = "reward"

[policy]
component = "policy.wasm"
settings = { candidates = 8, penalty = 2.5, words = ["a"] }

[tracker]
component = "parts/tracker.wasm"

[costs.harm]
component = "cost.wasm"

[costs.reward]
component = "cost.wasm"

[[constraints]]
name = "harm"
cost = "harm"
budget = 10

[limits]
fuel = 1000000
"#;

const CONSTRAINT: &str = "[[constraints]]\nname = \"harm\"\ncost = \"harm\"\nbudget = 10\n";

fn folder(manifest: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("parts")).unwrap();
    fs::write(dir.path().join("bundle.toml"), manifest).unwrap();
    for file in ["policy.wasm", "parts/tracker.wasm", "cost.wasm"] {
        fs::write(dir.path().join(file), file).unwrap();
    }
    dir
}

fn refused(manifest: &str) -> String {
    Bundle::open(folder(manifest).path()).unwrap_err().to_string()
}

#[test]
fn a_folder_and_its_parts_are_the_same_bundle() {
    let dir = folder(MANIFEST);
    let opened = Bundle::open(dir.path()).unwrap();
    let files = ["policy.wasm", "parts/tracker.wasm", "cost.wasm", "unused"];
    let files: BTreeMap<_, _> = files.into_iter().map(|f| (f.to_owned(), f.as_bytes().to_vec())).collect();
    let made = Bundle::from_parts(MANIFEST, &files).unwrap();

    assert_eq!(opened.digest(), made.digest());
    assert_eq!(opened.digests().len(), 4);
    assert_eq!(made.file("cost.wasm"), Some(&b"cost.wasm"[..]));
    assert_eq!(made.file("unused"), None);
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let config = manifest.search_config();
    let harm = &config.constraints[0];
    assert_eq!((harm.constraint.gamma, harm.constraint.budget, config.max_tokens), (0.999, 10.0, 128));
    assert_eq!(manifest.limits.fuel, 1_000_000);
    assert_eq!(manifest.limits.deadline_ms, 2_000);
    assert_eq!(manifest.roles().len(), 4);
}

#[test]
fn every_byte_counts_for_the_digest() {
    let dir = folder(MANIFEST);
    let before = Bundle::open(dir.path()).unwrap().digest();
    fs::write(dir.path().join("cost.wasm"), "cost.wasn").unwrap();
    let other_file = Bundle::open(dir.path()).unwrap().digest();
    fs::write(dir.path().join("cost.wasm"), "cost.wasm").unwrap();
    fs::write(dir.path().join("bundle.toml"), format!("{MANIFEST}\n# a remark\n")).unwrap();
    let other_manifest = Bundle::open(dir.path()).unwrap().digest();
    assert!(before != other_file && before != other_manifest && other_file != other_manifest);
}

#[test]
fn unknown_keys_and_wrong_types_name_file_line_and_key() {
    let message = refused(&MANIFEST.replace("fuel = 1000000", "fule = 1000000"));
    assert!(message.contains("bundle.toml, line 25, key `fule`: unknown field `fule`, expected"), "{message}");
    let message = refused(&MANIFEST.replace("budget = 10", "budget = \"much\""));
    assert!(message.contains("line 22, key `budget`") && message.contains("f64"), "{message}");
    let message = refused(&MANIFEST.replace("version = \"1.0.0\"", ""));
    assert!(message.contains("missing field `version`"), "{message}");
    let message = refused("name = ");
    assert!(message.contains("bundle.toml, line 1, key `name`"), "{message}");
}

#[test]
fn values_out_of_range_name_key_found_and_expected() {
    let cases = [
        ("budget = 10", "budget = 0", "key `constraints[0].budget`: found 0; expected a finite number above 0"),
        ("budget = 10", "budget = inf", "key `constraints[0].budget`: found inf"),
        ("budget = 10", "budget = nan", "key `constraints[0].budget`: found NaN"),
        ("budget = 10", "budget = 10\ngamma = 1.5", "key `constraints[0].gamma`: found 1.5"),
        ("cost = \"harm\"", "cost = \"rain\"", "key `constraints[0].cost`: found `rain`; expected a key of `[costs]`"),
        ("task = \"reward\"", "task = \"fun\"", "key `task`: found `fun`"),
        ("task = \"reward\"", "max_tokens = 0", "key `max_tokens`: found 0"),
        ("fuel = 1000000", "fuel = 1", "key `limits`"),
        ("task = \"reward\"", "unguarded = true", "key `unguarded`: found true, beside constraints"),
        (CONSTRAINT, "", "key `constraints`: found none; expected at least one; or `unguarded = true`"),
    ];
    for (good, bad, expected) in cases {
        let message = refused(&MANIFEST.replace(good, bad));
        assert!(message.contains(expected), "{bad}: {message}");
    }
}

#[test]
fn a_bundle_guards_nothing_only_where_it_says_so() {
    let unguarded = MANIFEST.replace("task = \"reward\"", "unguarded = true").replace(CONSTRAINT, "");
    let opened = Bundle::open(folder(&unguarded).path()).unwrap();
    assert!(opened.manifest().unguarded && opened.manifest().search_config().constraints.is_empty());
    let text = toml::to_string(opened.manifest()).unwrap();
    assert_eq!(&Manifest::parse(&text).unwrap(), opened.manifest());
}

#[test]
fn paths_stay_inside() {
    for path in ["../policy.wasm", "/etc/passwd", "parts/../../x", "", "a\\\\b", "c:x", "bundle.toml"] {
        let manifest = MANIFEST.replace("\"policy.wasm\"", &format!("\"{path}\""));
        let error = Bundle::open(folder(&manifest).path()).unwrap_err();
        assert!(matches!(error, BundleError::Path { .. }), "{path}: {error}");
        assert!(Bundle::from_parts(&manifest, &BTreeMap::new()).is_err());
    }
    let error = Bundle::open(folder(&MANIFEST.replace("policy.wasm", "gone.wasm")).path()).unwrap_err();
    assert!(matches!(error, BundleError::Missing { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn links_may_not_lead_out() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    let dir = folder(MANIFEST);
    let link = dir.path().join("policy.wasm");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(outside.path(), &link).unwrap();
    let error = Bundle::open(dir.path()).unwrap_err();
    assert!(matches!(error, BundleError::Path { .. }), "{error}");

    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("cost.wasm", &link).unwrap();
    assert!(Bundle::open(dir.path()).is_ok(), "a link inside is a file inside");
}

#[test]
fn large_files_and_absent_folders_are_refused() {
    let dir = folder(&MANIFEST.replace("fuel = 1000000", "component = 1024"));
    fs::write(dir.path().join("cost.wasm"), vec![0; 1025]).unwrap();
    let error = Bundle::open(dir.path()).unwrap_err();
    assert!(matches!(error, BundleError::TooLarge { found: 1025, limit: 1024, .. }), "{error}");
    let error = Bundle::open(Path::new("/no/such/folder")).unwrap_err();
    assert!(error.to_string().contains("/no/such/folder"), "{error}");
}

#[test]
fn given_files_fill_gaps_and_keep_the_limits() {
    let dir = folder(&MANIFEST.replace("fuel = 1000000", "component = 1024"));
    fs::remove_file(dir.path().join("cost.wasm")).unwrap();
    assert!(matches!(Bundle::open(dir.path()).unwrap_err(), BundleError::Missing { .. }));
    let given = |size: usize| Bundle::open_with(dir.path(), move |file| (file == "cost.wasm").then(|| vec![7; size]));
    assert_eq!(given(1024).unwrap().file("cost.wasm"), Some(&[7; 1024][..]));
    assert!(matches!(given(1025).unwrap_err(), BundleError::TooLarge { found: 1025, limit: 1024, .. }));
    // A file that is there is never replaced.
    let theirs = Bundle::open_with(dir.path(), |_| Some(vec![7; 1])).unwrap();
    assert_ne!(theirs.file("policy.wasm"), Some(&[7_u8][..]));
    let mut files = theirs.files().clone();
    files.insert("cost.wasm".to_owned(), vec![7; 1025]);
    let manifest = MANIFEST.replace("fuel = 1000000", "component = 1024");
    assert!(matches!(Bundle::from_parts(&manifest, &files).unwrap_err(), BundleError::TooLarge { .. }));
}

#[test]
fn values_that_are_no_settings_name_the_setting_and_what_is_allowed() {
    for (value, words) in [
        ("2026-01-01", "found a table or a date; expected true or false, a number, a text"),
        ("{ a = \"b\" }", "found a table or a date"),
        ("{ a = { b = 1 } }", "found a table or a date"),
        ("{ a = [1] }", "such as { a = 1.0 }"),
        ("[\"a\", 1]", "expected a text, or a text and its weight"),
        ("[[\"a\", \"b\"]]", "expected a text and its weight"),
        ("[[\"a\"]]", "expected a text and its weight"),
        ("[[\"a\", 1, 2]]", "expected"),
        ("[\"a\", [\"b\", 1]]", "texts with and without weights"),
        ("[[[]]]", "expected"),
    ] {
        let message = refused(&MANIFEST.replace("penalty = 2.5", &format!("penalty = {value}")));
        assert!(message.contains("setting `penalty`: ") && message.contains(words), "{value}: {message}");
        assert!(!message.contains("untagged") && !message.contains("SettingValue"), "{value}: {message}");
        let message = refused(&format!("{MANIFEST}\n[methods.args]\nsettings = {{ k = {value} }}"));
        assert!(message.contains("setting `k`: ") && message.contains(words), "{value}: {message}");
    }
}

/// The manifest with a list for its cost, and that file.
fn listed(list: &[u8]) -> Result<Bundle, BundleError> {
    let text = MANIFEST.replacen("[costs.harm]\n", "[costs.harm]\nlists = { words = \"words.txt\" }\n", 1);
    let dir = folder(&text);
    fs::write(dir.path().join("words.txt"), list).unwrap();
    Bundle::open(dir.path())
}

#[test]
fn a_list_in_a_file_is_a_setting_and_part_of_the_digest() {
    let opened = listed("\u{feff}# a remark\r\n#\r\nknife\r\n\r\n  step*\r\n#tag\r\n".as_bytes()).unwrap();
    let texts = |bundle: &Bundle| bundle.settings(&bundle.manifest().costs["harm"])["words"].clone();
    assert_eq!(texts(&opened), SettingValue::Texts(["knife", "step*", "#tag"].map(str::to_owned).to_vec()));
    assert_eq!(opened.settings(&opened.manifest().policy).len(), 3, "entries without lists have their settings");
    let weighted = listed(b"knife\t2.5\nstep").unwrap();
    assert_eq!(texts(&weighted), SettingValue::Weighted(vec![("knife".to_owned(), 2.5), ("step".to_owned(), 1.0)]));
    assert_ne!(opened.digest(), weighted.digest());
    let packed = Bundle::unpack(&opened.pack().unwrap()).unwrap();
    assert_eq!((texts(&packed), packed.digest()), (texts(&opened), opened.digest()));
}

#[test]
fn odd_lists_are_refused_by_file_and_line() {
    let message = listed(b"knife\nstep\tmuch").unwrap_err().to_string();
    assert!(message.contains("words.txt, line 2, key `step`: found the weight \"much\""), "{message}");
    assert!(listed(b"a\tNaN").is_err() && listed(b"a\t").is_err());
    let message = listed(b"knife\n\t5").unwrap_err().to_string();
    assert!(message.contains("words.txt, line 2") && message.contains("no text before the tab"), "{message}");
    assert!(listed(b"\xff").unwrap_err().to_string().contains("words.txt"));
    let twice = MANIFEST.replacen("words = [\"a\"] }", "words = [\"a\"] }\nlists = { words = \"words.txt\" }", 1);
    assert!(
        refused(&twice).contains("key `policy.lists`: found `words`, which `settings` has too"),
        "{}",
        refused(&twice)
    );
    let large = listed(&vec![b'a'; (16 << 20) + 1]).unwrap_err();
    assert!(matches!(large, BundleError::TooLarge { limit, .. } if limit == 16 << 20), "{large}");
}

#[test]
fn a_manifest_in_place_of_its_folder_is_refused_with_the_folder() {
    let dir = folder(MANIFEST);
    let error = Bundle::open(&dir.path().join("bundle.toml")).unwrap_err();
    assert!(matches!(&error, BundleError::ManifestNamed { folder, .. } if folder == dir.path()), "{error}");
    assert!(error.to_string().ends_with(&format!("expected its folder, `{}`", dir.path().display())), "{error}");
}

#[test]
fn a_key_is_found_in_the_text_of_people_and_not_of_programs() {
    let bundle = Bundle::open(folder(MANIFEST).path()).unwrap();
    let line = MANIFEST.lines().position(|line| line.starts_with("[policy]")).unwrap() + 1;
    assert_eq!(bundle.place(&["policy"]), Some(format!("bundle.toml, line {line}, key `policy`")));
    assert_eq!(bundle.place(&["policy", "none"]), None);
    let written = toml::to_string(bundle.manifest()).unwrap();
    let written = Bundle::from_parts(&written, bundle.files()).unwrap();
    assert_eq!(written.place(&["policy"]), None);
}
