//! Products, attention and draws by themselves.

use crate::{Work, compute_here};
use inferenceguard_kernels::{Bf16, Format, Packed, Quantized, attend};
use inferenceguard_model::{Pick, SampleRequest, sample_row};
use std::hint::black_box;

const INPUTS: usize = 256;
const OUTPUTS: usize = 512;

/// From -1 to 1, without a pattern that a format could use.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 7919 % 1013) as f32 / 506.0 - 1.0).collect()
}

pub(crate) fn product_f32(rows: usize) -> Work {
    compute_here();
    let packed = Packed::new(&numbers(OUTPUTS * INPUTS), OUTPUTS, INPUTS);
    let x = numbers(rows * INPUTS);
    Box::new(move || drop(black_box(packed.forward(black_box(&x), &[OUTPUTS], None))))
}

pub(crate) fn product_bf16(rows: usize) -> Work {
    compute_here();
    let weights = Bf16::new(&numbers(OUTPUTS * INPUTS), OUTPUTS, INPUTS);
    let x = numbers(rows * INPUTS);
    Box::new(move || drop(black_box(weights.forward(black_box(&x), &[OUTPUTS], None))))
}

pub(crate) fn product_q8_0(rows: usize) -> Work {
    product(Format::Q8_0, rows)
}

pub(crate) fn product_q4_k() -> Work {
    product(Format::Q4K, 8)
}

/// Bytes that are all zero: no instruction depends on them.
fn product(format: Format, rows: usize) -> Work {
    compute_here();
    let bytes = OUTPUTS * INPUTS / format.span() * format.bytes();
    let weights = Quantized::new(vec![0; bytes], format, OUTPUTS, INPUTS).expect("whole blocks");
    let x = numbers(rows * INPUTS);
    Box::new(move || drop(black_box(weights.forward(black_box(&x), &[OUTPUTS], None))))
}

/// Eight rows attend to 256 tokens with four heads of 64.
pub(crate) fn attention() -> Work {
    const HEADS: usize = 4;
    const DIM: usize = 64;
    const SEEN: usize = 256;
    compute_here();
    let (keys, values) = (numbers(SEEN * DIM), numbers(SEEN * DIM));
    let queries = numbers(8 * HEADS * DIM);
    Box::new(move || {
        let out = attend(black_box(&queries), HEADS, HEADS, DIM, |_, _| [(&keys, &values), (&[], &[])]);
        drop(black_box(out));
    })
}

/// A draw from the likeliest tokens of 32,000 that hold 95 %.
pub(crate) fn draw() -> Work {
    let logits: Vec<f32> = numbers(32_000).into_iter().map(|logit| 8.0 * logit).collect();
    let request = SampleRequest { temperature: 0.8, top_k: 50, top_p: 0.95, ..SampleRequest::plain(Pick::Draw(0.4)) };
    Box::new(move || {
        black_box(sample_row(black_box(&logits), &request).expect("a token"));
    })
}
