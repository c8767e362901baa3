//! Every target over its seeds, over mutations of them, and over everything that fuzzing found.

use inferenceguard_fuzz::{TARGETS, Target};
use std::{fs, panic::catch_unwind, path::Path};

/// Mutations of each seed. They are the same in every run.
const MUTATIONS: u64 = 48;

/// A generator that is small and the same everywhere (splitmix64).
struct Draws(u64);

impl Draws {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % below.max(1) as u64) as usize
    }
}

/// One to four changes: a byte that is another, a piece that is missing or comes twice, an end that is cut off.
fn mutated(seed: &[u8], draws: &mut Draws) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=draws.next(4) {
        if bytes.len() < 2 {
            break;
        }
        let (from, length) = (draws.next(bytes.len()), 1 + draws.next(16));
        let to = (from + length).min(bytes.len());
        match draws.next(4) {
            0 => bytes[from] = draws.next(256) as u8,
            1 => drop(bytes.drain(from..to)),
            2 => {
                let piece = bytes[from..to].to_vec();
                let at = draws.next(bytes.len());
                bytes.splice(at..at, piece);
            }
            _ => bytes.truncate(from.max(bytes.len() / 2)),
        }
    }
    bytes
}

/// The inputs that fuzzing found and that were mended: `finds/TARGET/NAME`.
fn finds(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("finds").join(target.name);
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

fn tried(target: &Target, bytes: &[u8]) {
    if catch_unwind(|| (target.run)(bytes)).is_err() {
        panic!("the target `{}` fails on {:?}", target.name, String::from_utf8_lossy(bytes));
    }
}

fn replayed(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of this name");
    for seed in (target.seeds)() {
        tried(target, &seed);
        let mut draws = Draws(seed.len() as u64);
        (0..MUTATIONS).for_each(|_| tried(target, &mutated(&seed, &mut draws)));
    }
    finds(target).iter().for_each(|bytes| tried(target, bytes));
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            replayed(stringify!($name));
        })*

        #[test]
        fn no_target_is_forgotten() {
            let tested = [$(stringify!($name)),*];
            assert_eq!(TARGETS.map(|target| target.name).to_vec(), tested);
        }
    };
}

targets!(
    archive,
    chat_template,
    component,
    data,
    engine,
    gateway,
    gguf,
    heads,
    lists,
    manifest,
    model_files,
    record,
    registry,
    request,
    returned,
    search,
    settings,
    state,
    times,
    tokenizer,
    training,
    weights
);
