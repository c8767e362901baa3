//! What the hardware allows: how fast it reads memory and multiplies, and how much of both a model asks for.

use crate::{CandleError, DecoderConfig, DeviceChoice, Head, ModelFiles, Precision, linear::quantize};
use candle_core::{Device, Tensor};
use inferenceguard_kernels::{Bf16, Format, Packed};
use rayon::prelude::*;
use std::time::Instant;

/// Measured limits of a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roofline {
    /// Bytes read per second, in order, by all cores or the whole GPU.
    pub bytes: f64,
    /// Floating point operations per second in matrix products (a multiply-add is two).
    pub flops: f64,
}

/// What one model asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Bytes of weights that a pass of the body reads, the embedding left out.
    pub body_bytes: u64,
    /// Floating point operations of the body per position, attention left out.
    pub body_flops: u64,
    /// Bytes of the head.
    pub head_bytes: u64,
    /// Floating point operations of the head per row.
    pub head_flops: u64,
}

/// Far above any cache.
const STREAM: usize = 64 << 20;
/// Rows and sides of the matrices that are multiplied.
const ROWS: usize = 192;
const SIDE: usize = 2048;
const REPEATS: usize = 5;

impl Roofline {
    /// Measures it; takes about a second.
    ///
    /// # Errors
    /// [`CandleError::Device`] if the device cannot be opened.
    pub fn measure(device: DeviceChoice, precision: Precision) -> Result<Self, CandleError> {
        match device.open(precision)? {
            Device::Cpu => Ok(Self { bytes: cpu_bytes(), flops: cpu_flops(precision)? }),
            other => gpu(&other, precision),
        }
    }

    /// The least seconds for these bytes and operations: the larger of the two times.
    #[must_use]
    pub fn seconds(&self, bytes: f64, flops: f64) -> f64 {
        (bytes / self.bytes).max(flops / self.flops)
    }
}

impl Demand {
    /// What the model in these files asks for. Its weights are held in this number format, or as a GGUF file has them.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn of(files: &ModelFiles, precision: Precision) -> Result<Self, CandleError> {
        let c = DecoderConfig::read(files)?;
        let (wide, narrow) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let block = c.hidden * (2 * wide + 2 * narrow + 3 * c.intermediate);
        let head = if c.head == Head::Language { c.hidden * c.vocab } else { c.hidden };
        let all = c.layers * block + head + if c.tied { 0 } else { c.hidden * c.vocab };
        let each = match files.gguf()? {
            // The mean of a file with several formats.
            Some(name) => files.open(&name)?.len() as f64 / all as f64,
            None if precision == Precision::Q8_0 => Format::Q8_0.bytes() as f64 / Format::Q8_0.span() as f64,
            None => precision.dtype().size_in_bytes() as f64,
        };
        let bytes = |weights: usize| (weights as f64 * each) as u64;
        Ok(Self {
            body_bytes: bytes(c.layers * block),
            body_flops: 2 * (c.layers * block) as u64,
            head_bytes: bytes(head),
            head_flops: 2 * head as u64,
        })
    }
}

/// The best of several tries, in units per second.
fn best(units: f64, mut work: impl FnMut()) -> f64 {
    let once = |()| {
        let start = Instant::now();
        work();
        units / start.elapsed().as_secs_f64()
    };
    std::iter::repeat_n((), REPEATS).map(once).fold(0.0, f64::max)
}

fn cpu_bytes() -> f64 {
    let numbers = vec![1.0f32; STREAM];
    best((STREAM * size_of::<f32>()) as f64, || {
        let sum = |part: &[f32]| {
            let (chunks, _) = part.as_chunks::<64>();
            let mut lanes = [0.0f32; 64];
            for chunk in chunks {
                lanes.iter_mut().zip(chunk).for_each(|(lane, number)| *lane += number);
            }
            lanes.iter().sum::<f32>()
        };
        std::hint::black_box(numbers.par_chunks(1 << 20).map(sum).sum::<f32>());
    })
}

fn cpu_flops(precision: Precision) -> Result<f64, CandleError> {
    let (weight, x) = (vec![0.5f32; SIDE * SIDE], vec![0.25f32; ROWS * SIDE]);
    match precision {
        Precision::Q8_0 => {
            let weights = quantize(weight, SIDE, SIDE)?;
            Ok(products(|| weights.as_ref().map(|weights| weights.forward(&x, &[SIDE], None))))
        }
        Precision::BF16 => {
            let weights = Bf16::new(&weight, SIDE, SIDE);
            Ok(products(|| weights.forward(&x, &[SIDE], None)))
        }
        Precision::F32 | Precision::F16 => {
            let weights = Packed::new(&weight, SIDE, SIDE);
            Ok(products(|| weights.forward(&x, &[SIDE], None)))
        }
    }
}

/// Operations per second in products of the measured size.
fn products<T>(product: impl Fn() -> T) -> f64 {
    best((2 * ROWS * SIDE * SIDE) as f64, || drop(std::hint::black_box(product())))
}

fn gpu(device: &Device, precision: Precision) -> Result<Roofline, CandleError> {
    const BIG: usize = 8192;
    let dtype = precision.dtype();
    let a = Tensor::ones((BIG, BIG), dtype, device)?;
    let moved = (2 * BIG * BIG * dtype.size_in_bytes()) as f64;
    let run = |units: f64, work: &dyn Fn() -> candle_core::Result<Tensor>| {
        work()?;
        device.synchronize()?;
        let mut failed = None;
        let rate = best(units * REPEATS as f64, || {
            let all = (0..REPEATS).try_for_each(|_| work().map(drop)).and_then(|()| device.synchronize());
            failed = all.err();
        });
        failed.map_or(Ok(rate), Err)
    };
    Ok(Roofline { bytes: run(moved, &|| a.copy())?, flops: run(2.0 * (BIG as f64).powi(3), &|| a.matmul(&a))? })
}
