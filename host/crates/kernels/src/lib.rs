//! The processor's own kernels: matrix products and attention, with weights of f32, of bf16 and quantised. No tensor library.
//!
//! The tensor library's CPU products cost tens of microseconds to start, more than a small model's whole layer, and re-pack
//! weights every time. These are plain loops that the compiler vectorizes for the machine at hand.
//!
//! # Key types
//! - [`Packed`]: a weight matrix of f32.
//! - [`Bf16`]: a weight matrix of bf16.
//! - [`Quantized`]: a weight matrix as GGUF files hold it, in one [`Format`].
//! - [`attend`]: attention of tokens to keys and values where they are.
//! - [`gate`], [`gelu_gate`]: the gates of feed-forward layers.
//!
//! **Invariant**: every number of a row is computed in the same order whatever other rows there are. So a row of a product
//! does not depend on the batch, to the last bit.
//!
//! Three unsafe spots (`quantized/vnni.rs`, `bf16/avx512.rs`, `bf16/amx.rs`): instructions that this crate uses only where the
//! machine reports them, and where its system allows them if they need that.

mod attention;
mod bf16;
mod gates;
mod pieces;
mod product;
mod quantized;
mod room;

pub use attention::{Seen, attend};
pub use bf16::Bf16;
pub use gates::{gate, gelu_gate};
pub use product::Packed;
pub use quantized::{Format, Quantized};

use pulp::Simd;

/// `a * b + c`, fused wherever the machine fuses it; elsewhere a fused one would be a library call.
#[inline(always)]
fn fused<S: Simd>(a: f32, b: f32, c: f32) -> f32 {
    if S::IS_SCALAR { a * b + c } else { a.mul_add(b, c) }
}

/// e^x for |x| up to 87, beyond that the value there, to about two units in the last place: 2^n times a polynomial on the
/// remainder.
#[inline(always)]
fn exp<S: Simd>(x: f32) -> f32 {
    let x = x.clamp(-87.0, 87.0);
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    let r = fused::<S>(n, -0.693_359_4, x);
    let r = fused::<S>(n, 2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4f32;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = fused::<S>(p, r, c);
    }
    let p = fused::<S>(r * r, p, r) + 1.0;
    p * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close() {
        for i in -100_000..100_000 {
            let x = i as f32 * 8.7e-4;
            let expected = f64::from(x).exp();
            assert!((f64::from(exp::<pulp::Scalar>(x)) / expected - 1.0).abs() < 3e-7, "at {x}");
        }
        assert_eq!(exp::<pulp::Scalar>(0.0), 1.0);
    }

    #[test]
    fn a_gate_is_as_long_as_the_shorter_side() {
        let (x, up) = ([0.5, -1.5, 2.0], [1.0, 3.0, -2.0]);
        let all = gate(&x, &up);
        for (found, (x, up)) in all.iter().zip(x.iter().zip(up)) {
            assert!((found - x / (1.0 + (-x).exp()) * up).abs() < 1e-6, "{all:?}");
        }
        assert_eq!(all.len(), 3);
        assert_eq!((gate(&x, &up[..2]), gate(&x[..2], &up)), (all[..2].to_vec(), all[..2].to_vec()));
    }
}
