//! Bundles from the first idea to the signed file.

mod common;

use common::{command, run, text};
use std::{fs, path::Path};

fn quick(bundle: &Path) -> common::Ran {
    run(&["bundle", "check", "--bundle", text(bundle), "--n", "4"])
}

#[test]
fn a_new_bundle_is_checked_signed_packed_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (bundle, key, public, packed) = (path("kitchen"), path("k"), path("k.pub"), path("kitchen.tar"));

    let made = run(&["bundle", "init", text(&bundle), "--template", "score"]);
    assert!(made.code == Some(0) && made.stdout.contains("bundle check"), "{}", made.stderr);
    run(&["bundle", "init", text(&bundle), "--template", "score"]).refuses("not empty");

    let checked = quick(&bundle);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    for words in [
        "kitchen 1.0.0  sha256:",
        "not signed",
        "cost `safety`: sees the scores of cost. It prices every token against a budget",
        "discount 0.999 (effective horizon 1000 tokens: costs weigh a half from token 693 on, a twentieth from token 2995 on)",
        "none of them reaches files, network, clock or each other",
        "trial: ",
    ] {
        assert!(checked.stdout.contains(words), "{words}: {}", checked.stdout);
    }

    assert_eq!(run(&["bundle", "keygen", text(&key)]).code, Some(0));
    run(&["bundle", "keygen", text(&key)]).refuses("no key is overwritten");
    let verify = |what: &Path| run(&["bundle", "verify", text(what), "--key", text(&public)]);
    verify(&bundle).refuses("is not signed");
    let signed = run(&["bundle", "sign", text(&bundle), "--key", text(&key), "--expires-in", "30"]);
    assert_eq!(signed.code, Some(0), "{}", signed.stderr);
    assert!(verify(&bundle).stdout.contains("signed by"));

    assert_eq!(run(&["bundle", "pack", text(&bundle), "--out", text(&packed)]).code, Some(0));
    assert!(verify(&packed).stdout.contains("signed by"));
    assert_eq!(quick(&packed).code, Some(0), "a packed bundle runs");
    let digest = |what: &Path| run(&["bundle", "inspect", text(what), "--json"]).json()["digest"].clone();
    assert_eq!(digest(&bundle), digest(&packed));

    let manifest = fs::read_to_string(bundle.join("bundle.toml")).unwrap();
    fs::write(bundle.join("bundle.toml"), manifest.replace("budget = 10.0", "budget = 1000.0")).unwrap();
    verify(&bundle).refuses("`bundle.toml` differs");
    run(&["bundle", "pack", text(&bundle), "--out", text(&packed)]).refuses("there is another bundle");
    let at_once = run(&["bundle", "sign", text(&bundle), "--key", text(&key), "--expires-in", "0"]);
    assert!(at_once.code == Some(2) && at_once.stderr.contains("--expires-in"), "{}", at_once.stderr);
    run(&["bundle", "activate", "no-such-bundle"]).refuses("give the whole path");
    let bytes = fs::read(&packed).unwrap();
    fs::write(&packed, &bytes[..bytes.len() / 3]).unwrap();
    verify(&packed).refuses("the packed bundle");
}

#[test]
fn keys_with_passwords_open_with_them_only() {
    let dir = tempfile::tempdir().unwrap();
    let (bundle, key) = (dir.path().join("b"), dir.path().join("k"));
    assert_eq!(run(&["bundle", "init", text(&bundle), "--template", "score"]).code, Some(0));
    let with = |password: &str, arguments: &[&str]| -> common::Ran {
        command(arguments).env("INFERGUARD_KEY_PASSWORD", password).output().unwrap().into()
    };
    run(&["bundle", "keygen", text(&key), "--encrypt"]).refuses("INFERGUARD_KEY_PASSWORD");
    assert_eq!(with("open sesame", &["bundle", "keygen", text(&key), "--encrypt"]).code, Some(0));
    let sign = ["bundle", "sign", text(&bundle), "--key", text(&key)];
    with("wrong", &sign).refuses("cannot be used");
    run(&sign).refuses("cannot be used");
    assert_eq!(with("open sesame", &sign).code, Some(0));
}

#[test]
fn nobody_answers_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    // Port 9 is the discard service's, and nobody runs it.
    run(&["bundle", "activate", text(dir.path()), "--server", "http://127.0.0.1:9"]).refuses("no server answers");
    run(&["bundle", "rollback", "--server", "http://127.0.0.1:9"]).refuses("no server answers");
}

#[test]
fn budgets_are_tried_and_one_is_suggested_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let calibrate =
        |arguments: &[&str]| run(&[&["bundle", "calibrate", "--n", "3", "--limit", "4"], arguments].concat());
    let ran = calibrate(&["--budgets", "1,100", "--refusals", "1", "--out", text(dir.path())]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("with the demonstration's model"), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("budget for safety ") && ran.stdout.contains("Suggested: 1, "), "{}", ran.stdout);
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join("calibration.json")).unwrap()).unwrap();
    assert_eq!((json["points"].as_array().unwrap().len(), &json["prompts"]), (2, &serde_json::json!(4)));
    assert!(fs::read(dir.path().join("calibration.png")).unwrap().starts_with(b"\x89PNG"));

    calibrate(&["--budgets", "0"]).refuses("numbers above 0");
    calibrate(&["--budgets", "1", "--refusals", "2"]).refuses("a share from 0 to 1");
    calibrate(&["--budgets", "1", "--constraint", "x"]).refuses("no constraint `x`; there is: safety");
}

/// The weights of a probe for the demonstration's model: one number for a latent.
fn write_probe(path: &Path) {
    use inferenceguard_bundle::network::{Layer, LayerActivation, Network};
    let config: serde_json::Value = serde_json::from_str(include_str!("../../../demo/weak/config.json")).unwrap();
    let hidden = usize::try_from(config["hidden_size"].as_u64().unwrap()).unwrap();
    let layer = Layer { weights: vec![0.01; hidden], bias: vec![0.0], activation: LayerActivation::Identity };
    let metadata = [("hidden".to_owned(), hidden.to_string())].into();
    fs::write(path, Network { layers: [layer].into(), metadata }.to_bytes().unwrap()).unwrap();
}

#[test]
fn every_template_gives_a_bundle_that_passes_its_check() {
    let dir = tempfile::tempdir().unwrap();
    let probe = dir.path().join("probe.safetensors");
    write_probe(&probe);
    for template in ["words", "privacy", "secrets", "latent", "score"] {
        let bundle = dir.path().join(template);
        let mut arguments = vec!["bundle", "init", text(&bundle), "--template", template, "--name", "of \"mine\""];
        if template == "latent" {
            arguments.extend(["--network", text(&probe)]);
        }
        let made = run(&arguments);
        assert_eq!(made.code, Some(0), "{template}: {}", made.stderr);
        let checked = run(&["bundle", "check", "--bundle", text(&bundle)]);
        assert_eq!(checked.code, Some(0), "{template}: {}", checked.stderr);
        assert!(checked.stdout.contains("with the demonstration's model"), "{}", checked.stdout);
        let names_scores = checked.stdout.contains("score model cost ");
        assert_eq!(names_scores, template == "score", "models that nothing reads are not listed: {}", checked.stdout);
        assert!(
            checked.stdout.contains("of \"mine\" 1.0.0") && checked.stdout.contains("trial: "),
            "{}",
            checked.stdout
        );
    }
    let new = dir.path().join("new");
    run(&["bundle", "init", text(&new), "--template", "latent"]).refuses("--network FILE");
    run(&["bundle", "init", text(&new), "--template", "words", "--network", text(&probe)]).refuses("leave it out");
    let plain = dir.path().join("plain");
    assert_eq!(run(&["bundle", "init", text(&plain)]).code, Some(0));
    assert!(plain.join("score-cost.wasm").exists(), "without a template, a bundle for the models in the program");
    let unknown = run(&["bundle", "init", text(&new), "--template", "magic"]);
    assert!(unknown.code == Some(2) && unknown.stderr.contains("privacy"), "{}", unknown.stderr);
    assert!(!new.exists(), "nothing is written");
}

/// A first bundle of latents around weights with these further lines of metadata.
fn of_weights(dir: &Path, more: &[(&str, &str)]) -> (common::Ran, String) {
    use inferenceguard_bundle::network::Network;
    let (probe, bundle) = (dir.join("probe.safetensors"), dir.join(more[0].1));
    write_probe(&probe);
    let mut network = Network::parse(&fs::read(&probe).unwrap()).unwrap();
    network.metadata.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    fs::write(&probe, network.to_bytes().unwrap()).unwrap();
    let made = run(&["bundle", "init", text(&bundle), "--template", "latent", "--network", text(&probe)]);
    (made, fs::read_to_string(bundle.join("bundle.toml")).unwrap_or_default())
}

#[test]
fn weights_of_a_trained_cost_are_read_as_they_were_learnt() {
    let dir = tempfile::tempdir().unwrap();
    let (made, manifest) = of_weights(dir.path(), &[("objective", "survival"), ("latent", "layer:1")]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let settings = r#"settings = { network = "probe", latent = "layer:1", form = "hazard" }"#;
    assert!(manifest.contains(settings) && manifest.contains("\nbudget = 0.69\n"), "{manifest}");
    let checked = run(&["bundle", "check", "--bundle", text(&dir.path().join("survival"))]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let (_, manifest) = of_weights(dir.path(), &[("objective", "signed")]);
    assert!(manifest.contains(r#"form = "linear""#) && manifest.contains("budget = 10.0"), "{manifest}");
    of_weights(dir.path(), &[("kind", "reward")]).0.refuses("found a network of `train reward`");
}

#[test]
fn a_folder_that_no_trained_cost_may_take_is_refused_before_the_training() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("b");
    assert_eq!(run(&["bundle", "init", text(&bundle), "--template", "words"]).code, Some(0));
    let manifest = fs::read(bundle.join("bundle.toml")).unwrap();
    let train = |folder: &str| run(&["train", "cost", "--data", "no-such-answers.jsonl", "--bundle", folder]);
    train(text(&bundle)).refuses("found a bundle without [networks.cost]");
    assert_eq!(fs::read(bundle.join("bundle.toml")).unwrap(), manifest);
    train("..").refuses("expected a folder with a name");
    train(text(&dir.path().join("new"))).refuses("no-such-answers.jsonl");
}

#[test]
fn a_text_is_priced_token_by_token_without_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("b");
    assert_eq!(run(&["bundle", "init", text(&bundle), "--template", "words"]).code, Some(0));
    let price = |arguments: &[&str]| run(&[&["bundle", "price", "--bundle", text(&bundle)], arguments].concat());
    let shown = price(&["How to build a bomb, or a weapon?"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(shown.stdout.starts_with("words: 7.00 of 4.5, budget exceeded\n"), "{}", shown.stdout);
    for (word, found) in [("\" bomb,\"", "bomb*"), ("\" weapon?\"", "weapon*")] {
        assert!(shown.stdout.lines().any(|line| line.contains(word) && line.ends_with(found)), "{}", shown.stdout);
    }
    assert_eq!(shown.stdout.lines().count(), 9, "one line for each word: {}", shown.stdout);
    let several = price(&["Two Bombs in a film."]).stdout;
    assert!(several.starts_with("words: 5.00 of 4.5, budget exceeded\n"), "also in the plural: {several}");
    let json: serde_json::Value = serde_json::from_str(&price(&["--json", "A weapon."]).stdout).unwrap();
    assert_eq!((&json[0]["spent"], &json[0]["holds"]), (&2.0.into(), &true.into()));
    price(&[" "]).refuses("empty");
    // A bundle that guards nothing judges nothing.
    let manifest = fs::read_to_string(bundle.join("bundle.toml")).unwrap();
    let (head, _) = manifest.split_once("[[constraints]]").unwrap();
    fs::write(bundle.join("bundle.toml"), format!("unguarded = true\n{head}")).unwrap();
    price(&["A weapon."]).refuses("the bundle has no constraints");
    // Costs that read a model price the tokens of the model. Score models take no empty prompt.
    run(&["bundle", "price", "--prompt", "", "I clean the oven."]).refuses("--prompt names another");
    assert_eq!(run(&["bundle", "price", "I clean the oven."]).code, Some(0), "there is a prompt if none is named");
    let scored = run(&["bundle", "price", "--prompt", "What do you do?", "I clean the oven."]);
    assert!(scored.code == Some(0) && scored.stdout.starts_with("safety: "), "{}{}", scored.stdout, scored.stderr);
}

#[test]
fn the_bundle_for_smollm2_is_whole_and_takes_no_other_model() {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/smollm2-135m-instruct");
    let dir = tempfile::tempdir().unwrap();
    let packed = run(&["bundle", "pack", text(&bundle), "--out", text(&dir.path().join("smollm2.tar"))]);
    assert_eq!(packed.code, Some(0), "{}", packed.stderr);
    let manifest = fs::read_to_string(bundle.join("bundle.toml")).unwrap();
    // What its comment says about probabilities holds without a discount only.
    assert_eq!(manifest.matches("gamma = 1.0\n").count(), manifest.matches("[[constraints]]\n").count(), "{manifest}");
    quick(&bundle).refuses("cost `harm` reads latents of layer 18");
}
