//! The block formats of GGUF files: how numbers lie in a block.
//!
//! Every format comes apart into parts of 32 numbers: `scale * q - min`, with q one byte, a scale for each half of 16,
//! and one min. What is computed on them knows no format.

use super::{
    large::{IQ4XS, Q2K, Q3K, Q4K, Q5K, Q6K, Q8K},
    small::{IQ4NL, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0},
};
use half::f16;

/// Numbers in a part.
pub(super) const PART: usize = 32;

/// What the bytes of a block's parts are multiplied with.
#[derive(Clone, Copy)]
pub(super) struct Scales<const N: usize> {
    /// Of each part: one for each half.
    pub(super) each: [[f32; 2]; N],
    /// All 0 in formats without.
    pub(super) mins: [f32; N],
}

/// A format with `N` parts in a block.
pub(super) trait Blocks<const N: usize> {
    /// Bytes of a block.
    const BYTES: usize;
    /// Whether parts have a min; then their bytes are from 0 to 63. `N` is at most 8.
    const MINS: bool = false;
    /// Whether each half of a part has a min of its own; then bytes are from 0 to 63.
    const HALF_MINS: bool = false;
    /// Scales and mins of a block of `BYTES` bytes.
    fn scales(block: &[u8]) -> Scales<N>;
    /// The bytes of each part.
    fn bytes(block: &[u8]) -> [[i8; PART]; N];
    /// The min of each half of a part, where they have one.
    #[inline(always)]
    fn half_mins(_block: &[u8]) -> [[f32; 2]; N] {
        [[0.0; 2]; N]
    }
}

/// Which format, when it is known only at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of GGUF files")]
pub enum Format {
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    IQ4NL,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    Q8K,
    IQ4XS,
}

impl Format {
    /// Numbers in a block.
    #[must_use]
    pub fn span(self) -> usize {
        match self {
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::IQ4NL => PART,
            Self::Q2K | Self::Q3K | Self::Q4K | Self::Q5K | Self::Q6K | Self::Q8K | Self::IQ4XS => 8 * PART,
        }
    }

    /// Bytes of a block.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Q8_0 => Q8_0::BYTES,
            Self::Q4_0 => Q4_0::BYTES,
            Self::Q4_1 => Q4_1::BYTES,
            Self::Q5_0 => Q5_0::BYTES,
            Self::Q5_1 => Q5_1::BYTES,
            Self::IQ4NL => IQ4NL::BYTES,
            Self::Q2K => Q2K::BYTES,
            Self::Q3K => Q3K::BYTES,
            Self::Q4K => Q4K::BYTES,
            Self::Q5K => Q5K::BYTES,
            Self::Q6K => Q6K::BYTES,
            Self::Q8K => Q8K::BYTES,
            Self::IQ4XS => IQ4XS::BYTES,
        }
    }

    /// Where the half floats of a block are: every other field is finite whatever its bits, but the f32 of Q8_K.
    fn halves(self) -> &'static [usize] {
        match self {
            Self::Q8_0 | Self::Q4_0 | Self::Q5_0 | Self::IQ4NL | Self::IQ4XS => &[0],
            Self::Q4_1 | Self::Q5_1 | Self::Q4K | Self::Q5K => &[0, 2],
            Self::Q2K => &[80, 82],
            Self::Q3K => &[108],
            Self::Q6K => &[208],
            Self::Q8K => &[],
        }
    }

    /// The first scale that is NaN or infinite, with its block.
    #[must_use]
    pub fn not_finite(self, data: &[u8]) -> Option<(usize, f32)> {
        let broken = |block: &[u8]| {
            let halves = self.halves().iter().map(|at| f16::from_le_bytes([block[*at], block[*at + 1]]).to_f32());
            let single = (self == Self::Q8K).then(|| single(block));
            halves.chain(single).find(|scale| !scale.is_finite())
        };
        let mut blocks = data.chunks_exact(self.bytes()).enumerate();
        blocks.find_map(|(i, block)| broken(block).map(|scale| (i, scale)))
    }
}

/// A finite half float as f32, exactly; without a branch, and without asking what the machine can do.
#[inline(always)]
pub(super) fn half(block: &[u8], at: usize) -> f32 {
    // The sign fills what lies above exponent and mantissa; one bit of it stays.
    let bits = i32::from(i16::from_le_bytes([block[at], block[at + 1]])) << 13;
    f32::from_bits(bits as u32 & 0x8fff_e000) * f32::from_bits((127 + 112) << 23)
}

/// The f32 in front of a block.
#[inline(always)]
pub(super) fn single(block: &[u8]) -> f32 {
    f32::from_le_bytes([block[0], block[1], block[2], block[3]])
}
