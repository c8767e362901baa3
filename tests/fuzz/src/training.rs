//! Files that a training goes on from, shards and checkpoints: refused in words, or what they hold fits together.

use half::f16;
use inferenceguard_critic::{
    CriticError, Progress, Result,
    collect::{LatentTable, Shard, Trajectory},
};
use inferenceguard_model::LatentSelector;
use std::{collections::HashMap, path::Path};

/// What a critic reads, and how many constraints it has; a cost that is trained has answers without prices.
const LATENTS: [LatentSelector; 2] = [LatentSelector::FinalNorm, LatentSelector::Layer(1)];
const CONSTRAINTS: usize = 2;
/// The parts of a checkpoint, and the weights of each layer.
const PARTS: [&str; 2] = ["now", "best"];
const SIZES: [usize; 2] = [6, 2];
const FILE: &str = "a file";

/// The first byte chooses the kind of file.
pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => shard(rest, &LATENTS, CONSTRAINTS),
        1 => shard(rest, &LATENTS[..1], 0),
        _ => checkpoint(rest),
    }
}

fn shard(bytes: &[u8], latents: &[LatentSelector], constraints: usize) {
    let read = |bytes: &[u8]| Shard::parse(bytes, latents, constraints, Path::new(FILE));
    let Some(shard) = whole(read(bytes)) else { return };
    shard.trajectories.iter().for_each(|one| fits(one, constraints));
    let rows: usize = shard.trajectories.iter().map(|one| one.positions.len()).sum();
    assert_eq!(shard.tables.len(), latents.len());
    assert!(shard.tables.iter().all(|table| table.data.len() == rows * table.width), "latents without an answer");
    let write = |shard: &Shard| shard.to_bytes(latents, constraints, HashMap::new()).expect("a small file");
    let again = whole(read(&write(&shard))).expect("a shard that was written");
    assert_eq!(write(&again), write(&shard));
}

/// Every token has its price, and latents ascend within the answer.
fn fits(one: &Trajectory, constraints: usize) {
    assert_eq!(one.costs.len(), constraints);
    assert!(one.costs.iter().all(|costs| costs.len() == one.tokens.len()), "{one:?}");
    assert!(one.costs.iter().flatten().chain([&one.task_cost]).all(|cost| cost.is_finite()), "{one:?}");
    assert!(one.positions.is_sorted() && one.positions.iter().all(|at| *at <= one.tokens.len()), "{one:?}");
}

fn checkpoint(bytes: &[u8]) {
    let read = |bytes: &[u8]| Progress::parse(bytes, &PARTS, &SIZES, Path::new(FILE));
    let Some(progress) = whole(read(bytes)) else { return };
    for part in &progress.parts {
        assert!(part.iter().map(Vec::len).eq(SIZES), "weights of another network");
    }
    let write = |progress: &Progress<2>| progress.to_bytes(&PARTS, HashMap::new()).expect("a small file");
    let again = whole(read(&write(&progress))).expect("a checkpoint that was written");
    assert_eq!(write(&again), write(&progress));
}

/// What was read, if the file is whole and fits; an error says what was found and what was expected.
fn whole<T>(read: Result<Option<T>>) -> Option<T> {
    match read {
        Ok(found) => found,
        Err(CriticError::Damaged { found, expected, .. }) => {
            assert!(!found.is_empty() && !expected.is_empty(), "no words");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Two answers with prices and latents, answers without prices, and a training after two epochs.
pub fn seeds() -> Vec<Vec<u8>> {
    let answer = |tokens: &[u32], costs: Vec<Vec<f64>>, positions: &[usize]| Trajectory {
        prompt: 1,
        tokens: tokens.to_vec(),
        costs,
        task_cost: -0.5,
        positions: positions.to_vec(),
    };
    let table = |rows: usize| LatentTable { width: 3, data: vec![f16::from_f32(0.25); 3 * rows] };
    let priced = Shard {
        trajectories: vec![
            answer(&[2, 3, 0], vec![vec![0.0, 5.0, 0.0], vec![0.5; 3]], &[0, 2, 3]),
            answer(&[4], vec![vec![-1.0], vec![1e308]], &[0, 1]),
        ],
        tables: vec![table(5), table(5)],
        skipped: vec![0],
    };
    let bare = Shard { trajectories: vec![answer(&[2, 3], vec![], &[1, 2])], tables: vec![table(2)], skipped: vec![] };
    let made_with = || HashMap::from([("model".to_owned(), "toy".to_owned())]);
    let layers = || vec![vec![0.5; SIZES[0]], vec![-0.25; SIZES[1]]];
    let progress = Progress { parts: [layers(), layers()], history: vec![(0.75, 0.5), (0.25, f64::INFINITY)] };
    let files = [
        priced.to_bytes(&LATENTS, CONSTRAINTS, made_with()),
        bare.to_bytes(&LATENTS[..1], 0, made_with()),
        progress.to_bytes(&PARTS, made_with()),
    ];
    files.into_iter().zip(0_u8..).map(|(file, kind)| [vec![kind], file.expect("a small file")].concat()).collect()
}
