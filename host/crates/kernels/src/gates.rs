//! The gates of feed-forward layers.

use super::exp;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::marker::PhantomData;

/// The root of 2 / π.
const ROOT: f32 = 0.797_884_6;
/// The weight of the cube.
const CUBE: f32 = 0.044_715;

/// `silu(gate) * up`, number by number; as long as the shorter of the two.
#[must_use]
pub fn gate(gate: &[f32], up: &[f32]) -> Vec<f32> {
    gated::<Silu>(gate, up)
}

/// `gelu(gate) * up`, number by number; as long as the shorter of the two. GELU in its tangent form: x / 2 (1 + tanh u) with
/// u = √(2 / π) (x + 0.044715 x³), which is x / (1 + e^−2u).
#[must_use]
pub fn gelu_gate(gate: &[f32], up: &[f32]) -> Vec<f32> {
    gated::<Gelu>(gate, up)
}

/// What a gate does to its number.
trait Activation {
    fn of<S: Simd>(x: f32) -> f32;
}

struct Silu;

impl Activation for Silu {
    #[inline(always)]
    fn of<S: Simd>(x: f32) -> f32 {
        x / (1.0 + exp::<S>(-x))
    }
}

struct Gelu;

impl Activation for Gelu {
    #[inline(always)]
    fn of<S: Simd>(x: f32) -> f32 {
        let twice = 2.0 * ROOT * (x + CUBE * (x * x * x));
        x / (1.0 + exp::<S>(-twice))
    }
}

fn gated<A: Activation>(gate: &[f32], up: &[f32]) -> Vec<f32> {
    /// Numbers that are worth a second thread.
    const PART: usize = 1 << 14;
    let (mut out, arch) = (gate.to_vec(), Arch::new());
    out.truncate(up.len());
    let parts = out.par_chunks_mut(PART).zip(up.par_chunks(PART));
    parts.for_each(|(gate, up)| arch.dispatch(Gate::<A> { gate, up, by: PhantomData }));
    out
}

struct Gate<'a, A> {
    gate: &'a mut [f32],
    up: &'a [f32],
    by: PhantomData<A>,
}

impl<A: Activation> WithSimd for Gate<'_, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (gate, up) in self.gate.iter_mut().zip(self.up) {
            *gate = A::of::<S>(*gate) * up;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the definition has it, in f64.
    fn expected(x: f64) -> f64 {
        let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
        0.5 * x * (1.0 + u.tanh())
    }

    #[test]
    fn it_is_the_tangent_form() {
        let x: Vec<f32> = (-800..=800).map(|n| n as f32 / 50.0).collect();
        let up: Vec<f32> = (0..x.len()).map(|n| (n % 7) as f32 - 3.0).collect();
        for ((found, x), up) in gelu_gate(&x, &up).into_iter().zip(x).zip(up) {
            let expected = expected(f64::from(x)) * f64::from(up);
            assert!(
                (f64::from(found) - expected).abs() <= 1e-6 * (1.0 + expected.abs()),
                "{x}: {found} for {expected}"
            );
        }
    }

    #[test]
    fn silu_is_a_number_times_its_sigmoid() {
        for x in (-800..=800).map(|n| n as f32 / 50.0) {
            let (found, wide) = (gate(&[x], &[-3.0])[0], f64::from(x));
            let expected = -3.0 * wide / (1.0 + (-wide).exp());
            assert!((f64::from(found) - expected).abs() <= 1e-6 * (1.0 + expected.abs()), "{x}: {found}, {expected}");
        }
    }

    #[test]
    fn far_numbers_stay_finite() {
        let far = [1e4, -1e4, 3e12, -3e12, 0.0, -0.0];
        let found = gelu_gate(&far, &[1.0; 6]);
        assert!(found.iter().all(|number| number.is_finite()), "{found:?}");
        assert_eq!((found[0], found[2], found[4]), (1e4, 3e12, 0.0));
        assert!(found[1].abs() < 1e-30);
    }

    #[test]
    fn a_number_does_not_depend_on_its_place() {
        let (x, up) = ([0.37, -1.25, 2.5], [1.5, -0.5, 0.25]);
        for by in [gate, gelu_gate] {
            let one = by(&x, &up);
            let many = by(&x.repeat(20_001), &up.repeat(20_001));
            assert!(many.chunks(3).all(|part| part == one));
            assert_eq!(by(&x, &up[..2]), one[..2]);
        }
    }
}
