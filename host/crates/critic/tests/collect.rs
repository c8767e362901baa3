//! Trajectories: what is kept, what survives a kill, what is refused.

mod toy;

use indicatif::ProgressBar;
use inferenceguard_critic::{
    CriticError,
    collect::{CollectOptions, Trajectories, collect},
};
use inferenceguard_model::{LatentSelector, Model, toy::ToyModel};
use std::{collections::BTreeSet, fs, path::Path};
use toy::{BAD, Labels, SCRIPT, collect_options, model, names, prompts};

fn run(
    model: &mut ToyModel,
    labels: &mut Labels,
    options: &CollectOptions,
    folder: &Path,
) -> Result<Trajectories, CriticError> {
    collect(model, labels, &prompts(), &names(), options, folder, &ProgressBar::hidden())
}

fn files(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn same(a: &Trajectories, b: &Trajectories) {
    assert_eq!(a.all, b.all);
    assert_eq!(a.tables, b.tables);
}

#[test]
fn answers_are_kept_with_costs_and_latents() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = model(SCRIPT);
    let found = run(&mut model, &mut Labels::default(), &collect_options(), folder.path()).unwrap();
    assert_eq!((found.all.len(), model.live_beams()), (64 * 4, 0));
    let table = found.table(LatentSelector::FinalNorm).unwrap();
    let mut row = 0;
    let mut lengths = BTreeSet::new();
    for one in &found.all {
        let end = one.tokens.len();
        lengths.insert(end);
        let mut expected: Vec<usize> = (0..=end).filter(|at| at % 2 == 0 || *at == end).collect();
        expected.dedup();
        assert_eq!(one.positions, expected);
        assert!(end == 12 || one.tokens.last() == Some(&0), "{:?}", one.tokens);
        for position in &one.positions {
            let mut latent = Vec::new();
            table.write(row..row + 1, &mut latent).unwrap();
            // The toy's latent is the logits of the next token: `bad` is likely after `bad` alone.
            let bad = latent[BAD as usize];
            match position.checked_sub(1).map(|at| one.tokens[at]) {
                None => assert_eq!(bad, 0.0),
                Some(BAD) => assert!((bad - 30f32.ln()).abs() < 1e-2),
                Some(_) => assert!(bad <= 0.0),
            }
            row += 1;
        }
        let bad = one.tokens.iter().filter(|token| **token == BAD).count() as f64;
        assert_eq!(one.costs[0].iter().sum::<f64>(), bad);
    }
    assert_eq!((row, row), (table.count(), table.in_memory()));
    assert!(lengths.len() > 3, "answers of several lengths: {lengths:?}");
    let first: BTreeSet<&[u32]> = found.all[..4].iter().map(|one| one.tokens.as_slice()).collect();
    assert!(first.len() > 1, "answers to one prompt differ");
}

#[test]
fn a_killed_run_goes_on_and_ends_the_same() {
    let (whole, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = run(&mut model(SCRIPT), &mut Labels::default(), &collect_options(), whole.path()).unwrap();
    let mut dying = Labels { refuse_at: Some(35), ..Labels::default() };
    let mut language = model(SCRIPT);
    let error = run(&mut language, &mut dying, &collect_options(), killed.path()).unwrap_err();
    assert!(matches!(error, CriticError::Labels { prompt: 34, .. }), "{error}");
    assert_eq!((files(killed.path()).len(), language.live_beams()), (3, 0), "three batches of ten were done");

    let mut rest = Labels::default();
    same(&run(&mut model(SCRIPT), &mut rest, &collect_options(), killed.path()).unwrap(), &expected);
    assert_eq!(rest.calls, 34, "what was done is not done again");
    let mut nothing = Labels::default();
    same(&run(&mut model(SCRIPT), &mut nothing, &collect_options(), killed.path()).unwrap(), &expected);
    assert_eq!(nothing.calls, 0);
}

#[test]
fn only_as_many_latents_as_were_allowed_lie_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let with = |memory: usize| {
        let options = CollectOptions { memory, ..collect_options() };
        run(&mut model(SCRIPT), &mut Labels::default(), &options, folder.path()).unwrap()
    };
    let rows = |found: &Trajectories| found.table(LatentSelector::FinalNorm).unwrap().clone();
    let all = rows(&with(usize::MAX));
    let width = all.width();
    for memory in [0, 6000, 2 * width * all.count() - 1, 2 * width * all.count()] {
        let some = rows(&with(memory));
        assert!(2 * width * some.in_memory() <= memory, "{memory}");
        assert_eq!(some.in_memory() == all.count(), memory >= 2 * width * all.count(), "{memory}");
        let read = |table: &inferenceguard_critic::collect::LatentRows| {
            let mut numbers = Vec::new();
            table.write(0..all.count(), &mut numbers).unwrap();
            numbers
        };
        assert_eq!(read(&some), read(&all), "{memory}");
    }
    let some = rows(&with(0));
    fs::remove_file(folder.path().join("00003.safetensors")).unwrap();
    let error = some.write(0..all.count(), &mut Vec::new()).unwrap_err();
    assert!(matches!(error, CriticError::File { action: "read", .. }), "a file that is gone is named: {error}");
}

#[test]
fn a_torn_file_is_dropped_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let expected = run(&mut model(SCRIPT), &mut Labels::default(), &collect_options(), folder.path()).unwrap();
    let last = folder.path().join("00006.safetensors");
    let bytes = fs::read(&last).unwrap();
    for length in [0, 5, 200, bytes.len() - 1] {
        fs::write(&last, &bytes[..length]).unwrap();
        let mut labels = Labels::default();
        same(&run(&mut model(SCRIPT), &mut labels, &collect_options(), folder.path()).unwrap(), &expected);
        assert_eq!(labels.calls, 4, "torn to {length} bytes");
    }
}

#[test]
fn files_of_another_model_or_setting_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    run(&mut model(SCRIPT), &mut Labels::default(), &collect_options(), folder.path()).unwrap();
    let other = SCRIPT.replace("good 30", "good 20");
    let error = run(&mut model(&other), &mut Labels::default(), &collect_options(), folder.path()).unwrap_err();
    assert!(matches!(&error, CriticError::OtherSetting { name, .. } if name == "model"), "{error}");
    assert!(error.to_string().contains("write to another folder"), "{error}");
    type Change = fn(&mut CollectOptions);
    let changed: [(&str, Change); 4] = [
        ("seed", |o| o.seed = 8),
        ("every", |o| o.spacing = 3),
        ("temperature", |o| o.sampling.temperature = 0.5),
        ("answers", |o| o.answers = 3),
    ];
    for (expected, change) in changed {
        let mut options = collect_options();
        change(&mut options);
        let error = run(&mut model(SCRIPT), &mut Labels::default(), &options, folder.path()).unwrap_err();
        assert!(matches!(&error, CriticError::OtherSetting { name, .. } if name == expected), "{error}");
    }
    assert_eq!(files(folder.path()).len(), 7, "nothing was removed");
    let fewer = CollectOptions { latents: Vec::new(), ..collect_options() };
    let found = run(&mut model(SCRIPT), &mut Labels::default(), &fewer, folder.path()).unwrap();
    assert!(found.tables.is_empty() && found.all.len() == 256, "a file may hold more latents than are asked for");
}

#[test]
fn bad_numbers_are_refused_with_their_record() {
    type Spoil = fn(&mut inferenceguard_critic::labels::Label);
    let spoilers: [(Spoil, &str); 4] = [
        (|label| label.task_cost = f64::NAN, "the task cost (the negative reward) is NaN, expected a finite number"),
        (|label| label.costs[0][0] = f64::INFINITY, "the cost of token 0 for constraint 0 is inf"),
        (|label| label.costs[0].push(0.0), "expected one per token"),
        (|label| label.costs.clear(), "the number of costs is 0, expected one list per constraint"),
    ];
    for (spoil, words) in spoilers {
        let folder = tempfile::tempdir().unwrap();
        let mut labels = Labels { spoil: Some(spoil), spoil_at: 13, ..Labels::default() };
        let error = run(&mut model(SCRIPT), &mut labels, &collect_options(), folder.path()).unwrap_err();
        assert!(matches!(error, CriticError::Record { prompt: 12, answer: 1, .. }), "{error}");
        let message = error.to_string();
        assert!(message.starts_with("prompt 12 (`a d a`), answer 1: ") && message.contains(words), "{message}");
        assert_eq!(files(folder.path()).len(), 1, "only the batch before it was written");
    }
}

#[test]
fn what_cannot_be_sampled_is_refused_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |prompts: &[&str], options: &CollectOptions, script: &str, name: &str| {
        let prompts: Vec<String> = prompts.iter().map(|prompt| (*prompt).to_owned()).collect();
        let folder = folder.path().join(name);
        collect(
            &mut model(script),
            &mut Labels::default(),
            &prompts,
            &names(),
            options,
            &folder,
            &ProgressBar::hidden(),
        )
    };
    let long = "a ".repeat(13);
    let found = ask(&["a b", &long, "c"], &collect_options(), SCRIPT, "long").unwrap();
    assert_eq!((found.skipped, found.all.len()), (1, 8), "no room for twelve tokens after thirteen of 24");
    assert!(matches!(ask(&[], &collect_options(), SCRIPT, "none"), Err(CriticError::TooFew { .. })));
    assert!(matches!(ask(&["a", " "], &collect_options(), SCRIPT, "blank"), Err(CriticError::Option { .. })));
    let layers = CollectOptions { latents: vec![LatentSelector::Layer(1)], ..collect_options() };
    let error = ask(&["a"], &layers, SCRIPT, "layer").unwrap_err();
    assert!(matches!(error, CriticError::Sampling { first: 0, last: 0, .. }), "{error}");
    let error = ask(&["a"], &collect_options(), &format!("{SCRIPT}\nfault step 3: nan"), "nan").unwrap_err();
    assert!(matches!(error, CriticError::Sampling { .. }), "{error}");
    let none = CollectOptions { answers: 0, ..collect_options() };
    assert!(matches!(ask(&["a"], &none, SCRIPT, "zero"), Err(CriticError::Option { name: "answers", .. })));
}
