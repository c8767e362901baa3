//! Products of weights of bf16: against the definition, on every machine.

use super::*;
use half::bf16;

fn number(i: usize) -> f32 {
    ((i * 7919) % 1013) as f32 / 506.0 - 1.0
}

fn rounded(x: f32) -> f64 {
    bf16::from_f32(x).to_f64()
}

fn alike(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Checks every kind of instructions: a row alone gives what it gives among others, and what the definition says of numbers that
/// were rounded to bf16. Each addition rounds by at most half a unit in the last place, 2^-24 of all sizes together.
fn check(rows: usize, inputs: usize, outputs: usize) {
    let weight: Vec<f32> = (0..outputs * inputs).map(number).collect();
    let bias: Vec<f32> = (0..outputs).map(number).collect();
    let x: Vec<f32> = (0..rows * inputs).map(|i| number(i + 3)).collect();
    let matrix = Bf16::new(&weight, outputs, inputs);
    for machine in Machine::all() {
        let forward = |x: &[f32]| matrix.forward_on(*machine, x, &[outputs], Some(&bias)).remove(0);
        let y = forward(&x);
        for (row, x) in x.chunks(inputs).enumerate() {
            let alone = forward(x);
            assert!(alike(&y[row * outputs..(row + 1) * outputs], &alone), "{rows}, {inputs}, {outputs}: row {row}");
            for (o, found) in alone.iter().enumerate() {
                let terms = x.iter().zip(&weight[o * inputs..]).map(|(a, b)| rounded(*a) * rounded(*b));
                let (sum, size) = terms.fold((0.0, 1.0), |(sum, size), term| (sum + term, size + term.abs()));
                let expected = sum + f64::from(bias[o]);
                let most = size * (inputs + 2) as f64 * f64::exp2(-24.0);
                assert!((f64::from(*found) - expected).abs() < most, "{found} and {expected}");
            }
        }
    }
}

#[test]
fn products_match_the_definition_and_ignore_the_batch() {
    for rows in 1..=40 {
        for (inputs, outputs) in [(1, 1), (5, 3), (31, 16), (32, 17), (33, 50), (64, 64), (95, 130)] {
            check(rows, inputs, outputs);
        }
    }
}

#[test]
fn large_products_match_the_definition_and_ignore_the_batch() {
    // More rows than one block has, more inputs than one pass reads, and enough work for several threads.
    for (rows, inputs, outputs) in [(300, 48, 70), (3, 2 * TILES * DEPTH + 100, 20), (130, TILES * DEPTH + 1, 33)] {
        check(rows, inputs, outputs);
    }
    check(2, 600, 500);
    // As many numbers as several threads take out of the panels.
    check(220, 48, 320);
}

/// Integers that are exact as bf16, with sums that are exact as f32: nothing is rounded, so nothing may differ.
#[test]
fn sums_that_need_no_rounding_are_exact_on_every_machine() {
    for (rows, inputs, outputs) in [(1, 40, 20), (4, 2100, 64), (16, 64, 33), (17, 576, 16), (32, 96, 100), (39, 33, 5)]
    {
        let integer = |i: usize| ((i * 7919) % 129) as i32 - 64;
        let weight: Vec<f32> = (0..outputs * inputs).map(|i| integer(i) as f32).collect();
        let x: Vec<f32> = (0..rows * inputs).map(|i| integer(i + 5) as f32).collect();
        let sum = |row: usize, o: usize| -> i32 {
            (0..inputs).map(|i| integer(o * inputs + i) * integer(row * inputs + i + 5)).sum()
        };
        let expected: Vec<f32> = (0..rows * outputs).map(|i| sum(i / outputs, i % outputs) as f32).collect();
        let matrix = Bf16::new(&weight, outputs, inputs);
        for machine in Machine::all() {
            assert_eq!(matrix.forward_on(*machine, &x, &[outputs], None), [expected.as_slice()]);
        }
    }
}

#[test]
fn any_machine_computes_the_same_but_for_rounding() {
    let (rows, inputs, outputs) = (37, 700, 90);
    let x: Vec<f32> = (0..rows * inputs).map(|i| number(i + 3)).collect();
    let weight: Vec<f32> = (0..outputs * inputs).map(number).collect();
    let matrix = Bf16::new(&weight, outputs, inputs);
    let plain = matrix.forward_on(Machine::Plain, &x, &[outputs], None).remove(0);
    let scale = plain.iter().fold(0.0f32, |most, y| most.max(y.abs()));
    assert!(scale > 1.0);
    for machine in Machine::all() {
        let found = matrix.forward_on(*machine, &x, &[outputs], None).remove(0);
        assert!(found.iter().zip(&plain).all(|(a, b)| (a - b).abs() <= 1e-5 * scale));
    }
    assert!(alike(
        &matrix.forward(&x, &[outputs], None)[0],
        &matrix.forward_on(Machine::all()[0], &x, &[outputs], None)[0]
    ));
}

#[test]
fn rows_are_read_as_they_were_rounded() {
    for (inputs, outputs) in [(1, 1), (33, 20), (64, 16)] {
        let weight: Vec<f32> = (0..outputs * inputs).map(number).collect();
        let matrix = Bf16::new(&weight, outputs, inputs);
        let mut rows = Vec::new();
        (0..outputs).for_each(|row| matrix.push_row(row, &mut rows));
        let expected: Vec<f32> = weight.iter().map(|x| bf16::from_f32(*x).to_f32()).collect();
        assert_eq!(rows, expected);
        // Of numbers that are bf16 nothing is lost.
        let again = Bf16::new(&rows, outputs, inputs);
        let mut same = Vec::new();
        (0..outputs).for_each(|row| again.push_row(row, &mut same));
        assert_eq!(rows, same);
        assert_eq!((matrix.inputs(), matrix.outputs()), (inputs, outputs));
    }
}

#[test]
fn matrices_side_by_side_give_what_each_gives_alone() {
    let (rows, inputs) = (5, 70);
    let x: Vec<f32> = (0..rows * inputs).map(|i| number(i + 3)).collect();
    let bias: Vec<f32> = (0..53).map(number).collect();
    let one = |outputs: usize| {
        Bf16::new(&(0..outputs * inputs).map(|i| number(i + outputs)).collect::<Vec<_>>(), outputs, inputs)
    };
    let mut together = one(16);
    assert!(together.append(&one(32)) && together.append(&one(5)));
    let found = together.forward(&x, &[16, 32, 5], Some(&bias));
    for ((outputs, from), found) in [(16, 0), (32, 16), (5, 48)].into_iter().zip(found) {
        let alone = one(outputs).forward(&x, &[outputs], Some(&bias[from..from + outputs])).remove(0);
        assert!(alike(&found, &alone), "{outputs} outputs");
    }
    assert!(!together.append(&one(16)), "what follows 53 outputs would not begin a panel");
    assert!(!one(16).append(&Bf16::new(&[1.0; 32], 1, 32)), "other inputs");
}

#[test]
fn no_rows_give_none() {
    let matrix = Bf16::new(&[1.0; 20 * 33], 20, 33);
    for machine in Machine::all() {
        assert_eq!(matrix.forward_on(*machine, &[], &[16, 4], None), [Vec::new(), Vec::new()] as [Vec<f32>; 2]);
    }
}

#[test]
fn numbers_that_are_not_finite_do_not_vanish() {
    let matrix = Bf16::new(&[0.5; 20 * 70], 20, 70);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
        let mut x = vec![0.5; 3 * 70];
        x[70 + 66] = bad;
        for machine in Machine::all() {
            let y = matrix.forward_on(*machine, &x, &[20], None).remove(0);
            let finite = |row: usize| y[row * 20..(row + 1) * 20].iter().filter(|y| y.is_finite()).count();
            assert_eq!([0, 1, 2].map(finite), [20, 0, 20], "{bad}");
        }
    }
}
