//! Products of quantised weights: against the tensor library, llama.cpp and each other.

use super::*;
use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QTensor},
};

const FORMATS: [(Format, GgmlDType); 11] = [
    (Format::Q8_0, GgmlDType::Q8_0),
    (Format::Q4_0, GgmlDType::Q4_0),
    (Format::Q4_1, GgmlDType::Q4_1),
    (Format::Q5_0, GgmlDType::Q5_0),
    (Format::Q5_1, GgmlDType::Q5_1),
    (Format::Q2K, GgmlDType::Q2K),
    (Format::Q3K, GgmlDType::Q3K),
    (Format::Q8K, GgmlDType::Q8K),
    (Format::Q4K, GgmlDType::Q4K),
    (Format::Q5K, GgmlDType::Q5K),
    (Format::Q6K, GgmlDType::Q6K),
];

fn number(i: usize) -> f32 {
    ((i * 7919) % 1013) as f32 / 506.0 - 1.0
}

fn numbers(outputs: usize, inputs: usize) -> Tensor {
    let numbers: Vec<f32> = (0..outputs * inputs).map(|i| number(i) * (1.0 + (i % 5) as f32)).collect();
    Tensor::from_vec(numbers, (outputs, inputs), &Device::Cpu).unwrap()
}

/// Quantised by the tensor library, and what it reads back.
fn matrix(format: Format, dtype: GgmlDType, outputs: usize, inputs: usize) -> (Quantized, Vec<f32>) {
    let tensor = QTensor::quantize(&numbers(outputs, inputs), dtype).unwrap();
    let plain = tensor.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    (Quantized::new(tensor.data().unwrap().into_owned(), format, outputs, inputs).unwrap(), plain)
}

#[test]
fn rows_are_read_as_the_tensor_library_reads_them() {
    for (format, dtype) in FORMATS {
        let (weights, plain) = matrix(format, dtype, 7, 512);
        let mut rows = Vec::new();
        (0..7).for_each(|row| weights.push_row(row, &mut rows));
        assert_eq!(rows, plain, "{format:?}");
    }
}

#[test]
fn blocks_are_read_as_llama_cpp_reads_them() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/golden/gguf/golden.safetensors");
    let all = candle_core::safetensors::load(golden, &Device::Cpu).unwrap();
    let formats = [(Format::IQ4NL, "IQ4_NL"), (Format::IQ4XS, "IQ4_XS"), (Format::Q2K, "Q2_K"), (Format::Q3K, "Q3_K")];
    let more = [(Format::Q4_0, "Q4_0"), (Format::Q4_1, "Q4_1"), (Format::Q5_0, "Q5_0"), (Format::Q5_1, "Q5_1")];
    let last = [(Format::Q4K, "Q4_K"), (Format::Q5K, "Q5_K"), (Format::Q6K, "Q6_K"), (Format::Q8K, "Q8_K")];
    for (format, name) in formats.into_iter().chain(more).chain(last).chain([(Format::Q8_0, "Q8_0")]) {
        let bytes: Vec<u8> = all[&format!("{name}.bytes")].flatten_all().unwrap().to_vec1().unwrap();
        let expected: Vec<f32> = all[&format!("{name}.values")].flatten_all().unwrap().to_vec1().unwrap();
        let weights = Quantized::new(bytes, format, 2, 256).unwrap();
        let mut found = Vec::new();
        (0..2).for_each(|row| weights.push_row(row, &mut found));
        let close = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1e-3));
        assert!(close && found.len() == expected.len(), "{name}");
        // And their products, to what rounding x does.
        let x: Vec<f32> = (0..256).map(|i| number(i + 3)).collect();
        check(&weights.forward(&x, &[2], None)[0], &x, &expected, &[0.0; 2]);
    }
}

#[test]
fn products_match_the_definition_and_ignore_the_batch() {
    for (format, dtype) in FORMATS {
        for (rows, inputs, outputs) in [(1, 256, 3), (7, 512, 50), (40, 768, 130)] {
            let (weights, plain) = matrix(format, dtype, outputs, inputs);
            let x: Vec<f32> = (0..rows * inputs).map(|i| number(i + 3)).collect();
            let bias: Vec<f32> = (0..outputs).map(number).collect();
            let y = weights.forward(&x, &[outputs], Some(&bias)).remove(0);
            for (r, x) in x.chunks(inputs).enumerate() {
                let alone = weights.forward(x, &[outputs], Some(&bias)).remove(0);
                assert_eq!(y[r * outputs..(r + 1) * outputs], alone, "{format:?}: a row depends on others");
                check(&alone, x, &plain, &bias);
            }
        }
    }
}

#[test]
fn both_ways_to_hold_q8_0_agree() {
    for (rows, inputs, outputs) in [(1, 96, 3), (9, 256, 50), (33, 768, 130)] {
        let (weights, _) = matrix(Format::Q8_0, GgmlDType::Q8_0, outputs, inputs);
        let data = QTensor::quantize(&numbers(outputs, inputs), GgmlDType::Q8_0).unwrap();
        let data = Data::Rows(data.data().unwrap().into_owned());
        let as_stored = Quantized { data, format: Format::Q8_0, inputs, outputs };
        let x: Vec<f32> = (0..rows * inputs).map(|i| number(i + 3)).collect();
        let (one, other) =
            (weights.forward(&x, &[outputs], None).remove(0), as_stored.forward(&x, &[outputs], None).remove(0));
        let scale = one.iter().fold(0.0f32, |most, y| most.max(y.abs()));
        assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() <= 1e-5 * scale));
        for row in 0..outputs {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            weights.push_row(row, &mut one);
            as_stored.push_row(row, &mut other);
            assert_eq!(one, other);
        }
    }
}

/// Within what rounding x to bytes can do: half a step for each number.
fn check(y: &[f32], x: &[f32], weights: &[f32], bias: &[f32]) {
    for (o, found) in y.iter().enumerate() {
        let weights = &weights[o * x.len()..(o + 1) * x.len()];
        let exact: f64 = x.iter().zip(weights).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let most: f64 = weights.iter().map(|w| f64::from(w.abs()) * 0.51 / 127.0).sum();
        let off = (f64::from(*found) - exact - f64::from(bias[o])).abs();
        assert!(off <= most, "{off} > {most}");
    }
}

#[test]
fn all_kinds_of_instructions_agree() {
    use super::{
        blocks::PART,
        machine::{Machine, Plain},
    };
    let bytes = |seed: usize| std::array::from_fn::<i8, PART, _>(|i| ((i + seed) * 37 % 256) as u8 as i8);
    for seed in 0..256 {
        let (w, x) = (bytes(seed), bytes(3 * seed + 1).map(|b| b.max(-127)));
        let plain = Plain.fours(&w, &x);
        #[cfg(target_arch = "x86_64")]
        if let Some(v3) = pulp::x86::V3::try_new() {
            assert_eq!(plain, pulp::bytemuck::cast::<_, [i32; 8]>(v3.fours(&w, &x)));
            let (lowest, small) = ([-128; PART], w.map(|b| b & 63));
            let lowest_four: [i32; 8] = pulp::bytemuck::cast(v3.fours(&lowest, &[-127; PART]));
            assert_eq!(Plain.fours(&lowest, &[-127; PART]), lowest_four);
            let small_four: [i32; 8] = pulp::bytemuck::cast(v3.fours_of_positive(&small, &x));
            assert_eq!(Plain.fours(&small, &x), small_four);
        }
        let sum: i32 = w.iter().zip(&x).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        assert_eq!(plain.iter().sum::<i32>(), sum);
    }
}

#[test]
fn matrices_side_by_side_give_what_each_gives_alone() {
    let (rows, inputs) = (5, 256);
    let x: Vec<f32> = (0..rows * inputs).map(|i| number(i + 3)).collect();
    let bias: Vec<f32> = (0..53).map(number).collect();
    for (format, dtype) in FORMATS {
        let matrices = || [16, 32, 5].map(|outputs| matrix(format, dtype, outputs, inputs).0);
        let mut together = matrix(format, dtype, 16, inputs).0;
        assert!(matrices()[1..].iter().all(|one| together.append(one)), "{format:?}");
        let found = together.forward(&x, &[16, 32, 5], Some(&bias));
        let mut from = 0;
        for (one, found) in matrices().iter().zip(found) {
            let own = from..from + one.outputs();
            assert_eq!(found, one.forward(&x, &[one.outputs()], Some(&bias[own.clone()])).remove(0), "{format:?}");
            from = own.end;
        }
    }
    let mut q8 = matrix(Format::Q8_0, GgmlDType::Q8_0, 16, inputs).0;
    assert!(!q8.append(&matrix(Format::Q4K, GgmlDType::Q4K, 16, inputs).0), "formats do not mix");
}

#[test]
fn no_rows_give_none() {
    for (format, dtype) in FORMATS {
        let (weights, _) = matrix(format, dtype, 20, 256);
        assert_eq!(weights.forward(&[], &[16, 4], None), [Vec::new(), Vec::new()] as [Vec<f32>; 2], "{format:?}");
    }
}

#[test]
fn numbers_that_are_not_finite_do_not_vanish() {
    let (weights, _) = matrix(Format::Q4K, GgmlDType::Q4K, 4, 256);
    for bad in [f32::NAN, f32::INFINITY] {
        let mut x = vec![0.5; 256];
        x[77] = bad;
        assert!(weights.forward(&x, &[4], None)[0].iter().all(|y| y.is_nan()));
    }
    assert_eq!(weights.forward(&[0.0; 256], &[4], None)[0], [0.0; 4]);
}

#[test]
fn sizes_that_do_not_fit_are_no_matrix() {
    assert!(Quantized::new(vec![0; 34], Format::Q8_0, 1, 32).is_some());
    assert!(Quantized::new(vec![0; 34], Format::Q8_0, 1, 33).is_none());
    assert!(Quantized::new(vec![0; 33], Format::Q8_0, 1, 32).is_none());
    assert!(Quantized::new(Vec::new(), Format::Q8_0, 1, 0).is_none());
    assert!(Quantized::new(Vec::new(), Format::Q6K, usize::MAX, 256).is_none());
}
