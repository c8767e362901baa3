//! Training on a toy whose answer is known: what is learnt, what is written, what it says about itself.

mod toy;

use indicatif::ProgressBar;
use inferenceguard_bundle::Network;
use inferenceguard_critic::{
    CriticError, CriticOptions, Reading, network_path,
    objective::{Objective, Weighed},
    report::Report,
    train,
};
use inferenceguard_model::{LatentSelector, Model};
use std::{fs, path::Path};
use toy::{BAD, GOOD, Labels, SCRIPT, critic, model, names, options, prompts};

const READING: Reading = Reading::Latent(LatentSelector::FinalNorm);

fn run(options: &CriticOptions) -> Result<Report, CriticError> {
    let (mut model, mut labels) = (model(SCRIPT), Labels::default());
    train(options, &mut model, &mut labels, &prompts(), &names(), &ProgressBar::hidden())
}

/// The network's outputs by plain arithmetic.
fn evaluate(network: &Network, row: &[f64]) -> Vec<f64> {
    network.layers.iter().fold(row.to_vec(), |row, layer| {
        let weights = layer.weights.chunks_exact(row.len());
        let line = |(weights, bias): (&[f32], &f32)| {
            let sum = weights.iter().zip(&row).map(|(w, x)| f64::from(*w) * x).sum::<f64>() + f64::from(*bias);
            match layer.activation.name() {
                "silu" => sum / (1.0 + (-sum).exp()),
                "identity" => sum,
                other => panic!("an activation nobody asked for: {other}"),
            }
        };
        weights.zip(&layer.bias).map(line).collect()
    })
}

/// The latent after a token, as the toy gives it.
fn latent(token: u32) -> Vec<f64> {
    let mut model = model(SCRIPT);
    let (beam, _) = model.prefill(&[1]).unwrap();
    let latents = model.step(&[(beam, token)]).unwrap();
    latents.to_host().unwrap().iter().map(|value| f64::from(*value)).collect()
}

fn read(out: &Path, objective: &Objective) -> Network {
    Network::parse(&fs::read(network_path(out, READING, objective)).unwrap()).unwrap()
}

#[test]
fn a_critic_learns_what_the_latent_tells() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), critic());
    let report = run(&options).unwrap();
    let [with, without] = report.networks.as_slice() else { panic!("{report:?}") };
    let (head, control) = (&with.heads[0], &without.heads[0]);
    // The toy changes its mind once in thirty words, so nobody can know it all.
    assert!(head.overall.auc.unwrap() > 0.93, "{report}");
    assert!(head.overall.brier < 0.12 && head.overall.calibration_error < 0.12, "{report}");
    assert!(with.r_squared.unwrap() > 0.5, "{report}");
    assert!(control.overall.auc.unwrap() < head.overall.auc.unwrap() - 0.05, "the control sees no latent: {report}");
    assert_eq!((with.reading.as_str(), without.reading.as_str()), ("final-norm", "none"));
    assert_eq!(head.by_budget.iter().map(|(budget, _)| *budget).collect::<Vec<_>>(), [5.0, 6.0, 7.0]);
    assert_eq!(head.by_position.iter().map(|(from, _)| *from).collect::<Vec<_>>(), [4, 8]);
    let (train, validation, test) = report.prompts;
    assert_eq!((train, validation, test), (32, 13, 19));

    let network = read(folder.path(), &options.objective);
    let hidden = latent(GOOD).len();
    assert_eq!((network.inputs(), network.layers.last().unwrap().bias.len()), (hidden + 1, 2));
    let ask = |token, z: f64| evaluate(&network, &[latent(token), vec![z]].concat());
    let (good, bad) = (ask(GOOD, 1.0), ask(BAD, 0.5));
    assert!(good[0] > 1.0 && bad[0] < -1.0, "logits: {good:?} {bad:?}");
    assert!(good[1] < bad[1] - 3.0, "task cost, lower is better: {good:?} {bad:?}");
    let svg = fs::read_to_string(folder.path().join("final-norm/reliability-harm.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("predicted P(safe to the end)"));
    assert!(folder.path().join("critic.json").is_file() && !folder.path().join("none/critic.safetensors").exists());
}

#[test]
fn a_network_says_what_it_was_made_for() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), critic());
    run(&options).unwrap();
    let metadata = read(folder.path(), &options.objective).metadata;
    let value_of = |key: &str| metadata.get(key).map(String::as_str);
    assert_eq!(value_of("model"), Some(model(SCRIPT).info().fingerprint.as_str()));
    let expected = [
        ("hidden", "7"),
        ("latent", "final-norm"),
        ("constraints", "harm"),
        ("gamma", "0.999"),
        ("clip", "capped"),
        ("mode", "anytime"),
        ("budgets", "5..7"),
        ("z", "chunk-start"),
    ];
    for (key, value) in expected {
        assert_eq!(value_of(key), Some(value), "{key}");
    }
}

#[test]
fn value_networks_learn_the_reward_and_its_price() {
    let folder = tempfile::tempdir().unwrap();
    let mut plain = options(folder.path(), Objective::Value { lambda: 0.0, weighed: Weighed::Sum });
    plain.readings = vec![READING];
    let mut priced = plain.clone();
    priced.objective = Objective::Value { lambda: 2.0, weighed: Weighed::Sum };
    for options in [&plain, &priced] {
        let report = run(options).unwrap();
        assert!(report.networks[0].heads.is_empty() && report.networks[0].r_squared.unwrap() > 0.3, "{report}");
    }
    let value = |options: &CriticOptions, token| {
        let network = read(folder.path(), &options.objective);
        assert_eq!((network.inputs(), network.layers.last().unwrap().bias.len()), (7, 1));
        assert_eq!(
            network.metadata.keys().collect::<Vec<_>>(),
            ["hidden", "lagrangian-cost", "lambda", "latent", "model", "model-name"]
        );
        evaluate(&network, &latent(token))[0]
    };
    let gap = |options| value(options, GOOD) - value(options, BAD);
    assert!(gap(&plain) > 2.0, "higher is better");
    assert!(gap(&priced) > gap(&plain) + 4.0, "each `bad` is also worth two less: {} {}", gap(&priced), gap(&plain));
}

#[test]
fn latents_that_stay_in_their_files_give_the_same_networks() {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, memory: usize| {
        let out = folder.path().join(name);
        let mut options = options(&out, critic());
        options.collect.memory = memory;
        let report = run(&options).unwrap();
        (report, fs::read(network_path(&out, READING, &options.objective)).unwrap())
    };
    let expected = written("all", usize::MAX);
    // The latents of ten prompts are some 4 kB: the first file fits into 6,000 bytes, and the second one does not.
    assert!(written("some", 6000) == expected && written("none", 0) == expected, "{}", expected.0);
}

#[test]
fn the_same_run_writes_the_same_bytes_and_a_finished_one_is_not_repeated() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bytes = |folder: &Path| {
        let options = options(folder, critic());
        let report = run(&options).unwrap();
        (report.networks, fs::read(network_path(folder, READING, &options.objective)).unwrap())
    };
    let first = bytes(one.path());
    assert_eq!(first, bytes(two.path()));
    let mut other = options(one.path(), critic());
    other.recipe.seed = 4;
    assert_ne!(run(&other).unwrap().networks, first.0, "another seed");
    assert_eq!(bytes(one.path()), first, "from the checkpoint of the first run");
    let checkpoints = fs::read_dir(one.path().join("final-norm"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("checkpoint-"));
    assert_eq!(checkpoints.count(), 2, "one for each seed");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    type Change = fn(&mut CriticOptions);
    let changed: [(&str, Change); 8] = [
        ("latents", |o| o.readings.clear()),
        ("latents", |o| o.readings.push(Reading::Nothing)),
        ("epochs", |o| o.recipe.epochs = 0),
        ("rate", |o| o.recipe.rate = f64::NAN),
        ("validation", |o| o.shares.validation = 0.0),
        ("validation", |o| o.shares.test = 0.9),
        ("chunk-len", |o| o.collect.spacing = 3),
        ("chunk-len", |o| o.collect.max_tokens = 4),
    ];
    for (expected, change) in changed {
        let mut options = options(folder.path(), critic());
        change(&mut options);
        let error = run(&options).unwrap_err();
        assert!(matches!(error, CriticError::Option { name, .. } if name == expected), "{expected}: {error}");
    }
    let mut diverging = options(folder.path(), critic());
    diverging.recipe.rate = 1e30;
    assert!(matches!(run(&diverging), Err(CriticError::Diverged { .. })));
}
