//! Requests at once on one model of the demonstration: the scheduler, and threads that take turns at a lock, in one run.
//!
//! A request reads a prompt and grows three chunks of 32 tokens with eight candidates, of which one goes on.
//! `cargo bench -p inferenceguard-candle --bench callers` measures; `-- --test` runs each case once.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use inferenceguard_candle::{CandleModel, LoadOptions, Precision};
use inferenceguard_model::{
    BeamId, Caller, Generator, GrowRow, GrowingText, Growth, Model, ModelError, Pick, SampleRequest, Token,
};
use inferenceguard_schedule::{Limits, Scheduler};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, MutexGuard},
    thread,
};

const CALLERS: [u64; 3] = [1, 4, 16];
const PROMPT: Token = 64;
const CHUNKS: u64 = 3;
const CHUNK: u32 = 32;
const CANDIDATES: u64 = 8;

fn language() -> Box<dyn Model> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/weak");
    let options = LoadOptions { precision: Precision::Q8_0, ..LoadOptions::default() };
    Box::new(CandleModel::load(&folder, &options).expect("the demonstration's model"))
}

fn prompt(caller: u64) -> Vec<Token> {
    (0..PROMPT).map(|i| 3 + (i * 7 + caller as Token) % 300).collect()
}

fn draw(caller: u64, chunk: u64, row: u64, offset: u32) -> Pick {
    Pick::Draw(((caller * 31 + chunk * 17 + row * 53 + u64::from(offset) * 61) % 997) as f64 / 997.0)
}

fn hold(model: &Mutex<Box<dyn Model>>) -> MutexGuard<'_, Box<dyn Model>> {
    model.lock().expect("no panic")
}

/// A request token by token, as threads that take turns at a model do.
fn by_token(model: &Mutex<Box<dyn Model>>, caller: u64) -> Result<Vec<Token>, ModelError> {
    let (mut parent, mut latent) = hold(model).prefill(&prompt(caller))?;
    let mut answer = Vec::new();
    for chunk in 0..CHUNKS {
        let request = |row, offset| SampleRequest::plain(draw(caller, chunk, row, offset));
        let logits = hold(model).project(&latent)?;
        let first: Vec<_> = (0..CANDIDATES).map(|row| (0, request(row, 0))).collect();
        let mut tokens: Vec<Token> = hold(model).sample(&logits, &first)?.iter().map(|one| one.token).collect();
        let beams = hold(model).fork(&[parent; CANDIDATES as usize])?;
        answer.push(tokens[0]);
        for offset in 1..CHUNK {
            let rows: Vec<(BeamId, Token)> = beams.iter().copied().zip(tokens).collect();
            let latents = hold(model).step(&rows)?;
            let logits = hold(model).project(&latents)?;
            let asked: Vec<_> = (0..CANDIDATES).map(|row| (row as usize, request(row, offset))).collect();
            tokens = hold(model).sample(&logits, &asked)?.iter().map(|one| one.token).collect();
            answer.push(tokens[0]);
        }
        latent = hold(model).step(&[(beams[0], tokens[0])])?;
        hold(model).release(&beams[1..]);
        hold(model).release(&[parent]);
        parent = beams[0];
    }
    hold(model).release(&[parent]);
    Ok(answer)
}

/// The same request by chunks.
fn by_chunk(handle: &mut dyn Generator, caller: u64) -> Result<Vec<Token>, ModelError> {
    let mut parent = handle.open(&prompt(caller))?;
    let sampling = SampleRequest::plain(Pick::Rank(0));
    let growth = Growth { max_tokens: CHUNK, sampling, penalties: Vec::new(), end: Vec::new(), stop: Vec::new() };
    let mut answer = Vec::new();
    for chunk in 0..CHUNKS {
        let row = |row| {
            let picks = (0..CHUNK).map(|offset| draw(caller, chunk, row, offset)).collect();
            GrowRow { parent, picks, seed: row, repeated: Vec::new(), text: GrowingText::default() }
        };
        let grown = handle.grow(&growth, (0..CANDIDATES).map(row).collect())?;
        let mut grown = grown.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (beam, first) = grown.remove(0);
        let rest: Vec<BeamId> = grown.iter().map(|(beam, _)| *beam).chain([parent]).collect();
        let last = first.tokens.last().copied().unwrap_or_default();
        answer.extend(first.tokens);
        handle.append(&[(beam, last)])?;
        handle.release(&rest);
        parent = beam;
    }
    handle.release(&[parent]);
    Ok(answer)
}

/// All callers at once; their answers.
fn at_once(callers: u64, ask: impl Fn(u64) -> Vec<Token> + Sync) -> Vec<Vec<Token>> {
    thread::scope(|scope| {
        let ask = &ask;
        let threads: Vec<_> = (0..callers).map(|caller| scope.spawn(move || ask(caller))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

fn callers(c: &mut Criterion) {
    let shared = Mutex::new(language());
    let scheduler = Scheduler::start(Some(language()), BTreeMap::new(), Limits::default()).expect("a thread");
    let back_end = scheduler.back_end().expect("a language model");
    let locked = |caller| by_token(&shared, caller).expect("an answer");
    let scheduled = |caller| by_chunk(back_end.handle(&Caller::default()).as_mut(), caller).expect("an answer");
    assert_eq!(at_once(4, locked), at_once(4, scheduled), "both draw the same");
    let mut group = c.benchmark_group("requests at once");
    group.sample_size(10);
    for count in CALLERS {
        group.throughput(Throughput::Elements(count * CHUNKS * u64::from(CHUNK) * CANDIDATES));
        group.bench_with_input(BenchmarkId::new("threads that take turns", count), &count, |b, count| {
            b.iter(|| at_once(*count, locked));
        });
        group.bench_with_input(BenchmarkId::new("scheduler", count), &count, |b, count| {
            b.iter(|| at_once(*count, scheduled));
        });
    }
    group.finish();
}

criterion_group!(benches, callers);
criterion_main!(benches);
