//! What a step costs with quantised weights, against f32 and against the tensor library's own quantised products.
//!
//! `cargo bench -p inferenceguard-candle --bench quantized` measures a random Llama of 110 million weights;
//! `-- --test` runs a small one once.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

#[path = "../tests/common/gguf.rs"]
mod made;

use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QMatMul, QTensor},
};
use inferenceguard_candle::{CandleModel, LoadOptions};
use inferenceguard_model::{Model, Token};
use made::{Kind, Parts, SMALL, Sizes, mixed, random, with_weights};
use std::{path::Path, time::Instant};

const LARGE: Sizes = Sizes { vocab: 32_000, layers: 12, hidden: 768, intermediate: 2048, heads: 12, kv_heads: 12 };

/// Milliseconds per step and for the projection.
fn steps(model: &mut CandleModel, beams: usize, steps: usize) -> (f64, f64) {
    let prompt: Vec<Token> = (0..32).map(|i| 3 + i * 7 % 300).collect();
    let (root, _) = model.prefill(&prompt).expect("prefill");
    let ids = model.fork(&vec![root; beams]).expect("fork");
    let (mut step, mut project) = (f64::MAX, f64::MAX);
    for t in 0..steps {
        let rows: Vec<_> = ids.iter().enumerate().map(|(i, id)| (*id, (3 + i * 5 + t) as Token % 300)).collect();
        let start = Instant::now();
        let latents = model.step(&rows).expect("step");
        step = step.min(start.elapsed().as_secs_f64() * 1e3);
        let start = Instant::now();
        model.project(&latents).expect("project");
        project = project.min(start.elapsed().as_secs_f64() * 1e3);
    }
    model.release(&ids);
    model.release(&[root]);
    (step, project)
}

/// Milliseconds for the products of a step, by the tensor library.
fn library(parts: &Parts, kind: GgmlDType, beams: usize, steps: usize) -> f64 {
    let matrix = |(name, tensor): (&String, &Tensor)| {
        let wanted = tensor.rank() == 2 && name.starts_with("blk.");
        wanted.then(|| QMatMul::from_qtensor(QTensor::quantize(tensor, kind).expect("fits")).expect("a matrix"))
    };
    let weights: Vec<QMatMul> = parts.tensors.iter().filter_map(matrix).collect();
    let inputs = |weight: &QMatMul| match weight {
        QMatMul::QTensor(tensor) => tensor.shape().dims()[1],
        QMatMul::Tensor(tensor) | QMatMul::TensorF16(tensor) => tensor.dims()[1],
    };
    let row = |width| Tensor::randn(0f32, 1.0, (beams, width), &Device::Cpu).expect("numbers");
    let work: Vec<_> = weights.into_iter().map(|weight| (row(inputs(&weight)), weight)).collect();
    let run = || {
        let start = Instant::now();
        for (x, weight) in &work {
            candle_core::Module::forward(weight, x).expect("a product");
        }
        start.elapsed().as_secs_f64() * 1e3
    };
    (0..steps).map(|_| run()).fold(f64::MAX, f64::min)
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    let (sizes, rounds) = if quick { (SMALL, 1) } else { (LARGE, 12) };
    let (config, tensors) = random(&sizes);
    let parts = Parts::new(&config, 512, tensors);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/golden/llama1");
    let kinds: [(&str, Kind); 4] =
        [("F32", |_| GgmlDType::F32), ("Q8_0", |_| GgmlDType::Q8_0), ("Q4_0", |_| GgmlDType::Q4_0), ("Q4_K_M", mixed)];
    for (name, kind) in kinds {
        let bytes = parts.bytes(kind);
        let size = bytes.len() as f64 / 1e6;
        let files = with_weights(&golden, bytes, false);
        let mut model = CandleModel::load_files(&files, &LoadOptions::default()).expect("the model");
        drop(files);
        for beams in [1, 8, 32] {
            let (step, project) = steps(&mut model, beams, rounds);
            println!("{name:6} ({size:.0} MB) {beams:3} beams: step {step:.2} ms, project {project:.2} ms");
        }
    }
    for (name, kind) in [("Q8_0", GgmlDType::Q8_0), ("Q4_K", GgmlDType::Q4K)] {
        for beams in [1, 8, 32] {
            let took = library(&parts, kind, beams, rounds);
            println!("tensor library, {name}, {beams:3} beams: products of a step {took:.2} ms");
        }
    }
}
