//! Products and attention by themselves, by rows: weights of f32, of bf16 and quantised, 768 inputs and 2048 outputs.
//!
//! `cargo bench -p inferenceguard-kernels` measures, and compares with the run before; `-- --test` runs each once.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use inferenceguard_kernels::{Bf16, Format, Packed, Quantized, attend};

const ROWS: [usize; 4] = [1, 8, 32, 128];
const INPUTS: usize = 768;
const OUTPUTS: usize = 2048;

/// From -1 to 1, without a pattern that a format could use.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 7919 % 1013) as f32 / 506.0 - 1.0).collect()
}

/// Weights whose bytes are all the same; zero as a half float, so that products stay finite.
fn quantized(format: Format) -> Quantized {
    let bytes = OUTPUTS * INPUTS / format.span() * format.bytes();
    Quantized::new(vec![0; bytes], format, OUTPUTS, INPUTS).expect("whole blocks")
}

fn products(c: &mut Criterion) {
    let numbers_of_weights = numbers(OUTPUTS * INPUTS);
    let packed = Packed::new(&numbers_of_weights, OUTPUTS, INPUTS);
    let bf16 = Bf16::new(&numbers_of_weights, OUTPUTS, INPUTS);
    let mut group = c.benchmark_group("products");
    for rows in ROWS {
        let x = numbers(rows * INPUTS);
        group.throughput(Throughput::Elements((rows * INPUTS * OUTPUTS) as u64));
        group.bench_function(BenchmarkId::new("f32", rows), |b| b.iter(|| packed.forward(&x, &[OUTPUTS], None)));
        group.bench_function(BenchmarkId::new("bf16", rows), |b| b.iter(|| bf16.forward(&x, &[OUTPUTS], None)));
        for format in [Format::Q8_0, Format::Q4K, Format::Q6K] {
            let weights = quantized(format);
            let id = BenchmarkId::new(format!("{format:?}"), rows);
            group.bench_function(id, |b| b.iter(|| weights.forward(&x, &[OUTPUTS], None)));
        }
    }
}

/// Each row attends to 512 tokens with 12 heads of 64.
fn attention(c: &mut Criterion) {
    const HEADS: usize = 12;
    const DIM: usize = 64;
    const SEEN: usize = 512;
    let (keys, values) = (numbers(SEEN * DIM), numbers(SEEN * DIM));
    let mut group = c.benchmark_group("attention");
    for rows in ROWS {
        let queries = numbers(rows * HEADS * DIM);
        group.throughput(Throughput::Elements((rows * HEADS * SEEN) as u64));
        group.bench_function(BenchmarkId::from_parameter(rows), |b| {
            b.iter(|| attend(&queries, HEADS, HEADS, DIM, |_, _| [(&keys, &values), (&[], &[])]));
        });
    }
}

criterion_group!(kernels, products, attention);
criterion_main!(kernels);
