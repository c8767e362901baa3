//! The block formats of GGUF files: how numbers lie in a block.
//!
//! Every format comes apart into parts of 32 numbers: `scale * q - min`, with q one byte, a scale for each half of 16,
//! and one min. What is computed on them knows no format.

use half::f16;

/// Numbers in a part.
pub(super) const PART: usize = 32;

/// A block, taken apart: up to eight parts.
#[derive(Clone, Copy)]
pub(super) struct Parts<const N: usize> {
    pub(super) q: [[i8; PART]; N],
    pub(super) scales: [[f32; 2]; N],
    /// All 0 in formats without.
    pub(super) mins: [f32; N],
}

impl<const N: usize> Parts<N> {
    #[inline(always)]
    fn zero() -> Self {
        Self { q: [[0; PART]; N], scales: [[0.0; 2]; N], mins: [0.0; N] }
    }

    /// The numbers of part `p`.
    #[inline(always)]
    pub(super) fn numbers(&self, p: usize) -> [f32; PART] {
        std::array::from_fn(|i| self.scales[p][i / 16] * f32::from(self.q[p][i]) - self.mins[p])
    }
}

/// A format with `N` parts in a block.
pub(super) trait Blocks<const N: usize> {
    /// Bytes of a block.
    const BYTES: usize;
    /// Whether parts have a min.
    const MINS: bool = false;
    /// Takes a block of `BYTES` bytes apart.
    fn parts(block: &[u8]) -> Parts<N>;
}

/// Which format, when it is known only at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Q8_0,
    Q4_0,
    Q5_0,
    Q4K,
    Q5K,
    Q6K,
}

impl Format {
    /// Numbers in a block.
    pub(crate) fn span(self) -> usize {
        match self {
            Self::Q8_0 | Self::Q4_0 | Self::Q5_0 => PART,
            Self::Q4K | Self::Q5K | Self::Q6K => 8 * PART,
        }
    }

    /// Bytes of a block.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Q8_0 => Q8_0::BYTES,
            Self::Q4_0 => Q4_0::BYTES,
            Self::Q5_0 => Q5_0::BYTES,
            Self::Q4K => Q4K::BYTES,
            Self::Q5K => Q5K::BYTES,
            Self::Q6K => Q6K::BYTES,
        }
    }

    /// Where the half floats of a block are: every other field is finite whatever its bits.
    fn halves(self) -> &'static [usize] {
        match self {
            Self::Q8_0 | Self::Q4_0 | Self::Q5_0 => &[0],
            Self::Q4K | Self::Q5K => &[0, 2],
            Self::Q6K => &[208],
        }
    }

    /// The first scale that is NaN or infinite, with its block.
    pub(crate) fn not_finite(self, data: &[u8]) -> Option<(usize, f32)> {
        let broken = |block: &[u8]| {
            let scales = self.halves().iter().map(|at| f16::from_le_bytes([block[*at], block[*at + 1]]));
            scales.into_iter().find(|scale| !scale.is_finite())
        };
        let mut blocks = data.chunks_exact(self.bytes()).enumerate();
        blocks.find_map(|(i, block)| broken(block).map(|scale| (i, scale.to_f32())))
    }
}

/// A finite half float as f32, exactly; without a branch, and without asking what the machine can do.
#[inline(always)]
fn half(block: &[u8], at: usize) -> f32 {
    let bits = u32::from(u16::from_le_bytes([block[at], block[at + 1]]));
    let size = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    f32::from_bits(size.to_bits() | (bits & 0x8000) << 16)
}

/// 32 bytes; one scale.
pub(super) struct Q8_0;

impl Blocks<1> for Q8_0 {
    const BYTES: usize = 34;

    #[inline(always)]
    fn parts(block: &[u8]) -> Parts<1> {
        let (block, mut parts) = (&block[..Self::BYTES], Parts::zero());
        parts.scales[0] = [half(block, 0); 2];
        parts.q[0] = std::array::from_fn(|i| block[2 + i] as i8);
        parts
    }
}

/// 32 numbers of 4 bits, 8 stands for zero; one scale.
pub(super) struct Q4_0;

impl Blocks<1> for Q4_0 {
    const BYTES: usize = 18;

    #[inline(always)]
    fn parts(block: &[u8]) -> Parts<1> {
        let (block, mut parts) = (&block[..Self::BYTES], Parts::zero());
        parts.scales[0] = [half(block, 0); 2];
        for i in 0..16 {
            parts.q[0][i] = (block[2 + i] & 15) as i8 - 8;
            parts.q[0][i + 16] = (block[2 + i] >> 4) as i8 - 8;
        }
        parts
    }
}

/// As Q4_0, with a fifth bit apart; 16 stands for zero.
pub(super) struct Q5_0;

impl Blocks<1> for Q5_0 {
    const BYTES: usize = 22;

    #[inline(always)]
    fn parts(block: &[u8]) -> Parts<1> {
        let (block, mut parts) = (&block[..Self::BYTES], Parts::zero());
        parts.scales[0] = [half(block, 0); 2];
        let high = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
        for i in 0..16 {
            let bit = |i: usize| (high >> i & 1) as u8 * 16;
            parts.q[0][i] = (block[6 + i] & 15 | bit(i)) as i8 - 16;
            parts.q[0][i + 16] = (block[6 + i] >> 4 | bit(i + 16)) as i8 - 16;
        }
        parts
    }
}

/// The scales and mins of Q4_K and Q5_K: six bits each, packed into 12 bytes from `block[4]` on.
#[inline(always)]
fn six_bits(block: &[u8], parts: &mut Parts<8>) {
    let (scale, min) = (half(block, 0), half(block, 2));
    let packed = &block[4..16];
    for p in 0..4 {
        let (low, high) = (packed[p], packed[p + 4]);
        let both = packed[p + 8];
        parts.scales[p] = [scale * f32::from(low & 63); 2];
        parts.mins[p] = min * f32::from(high & 63);
        parts.scales[p + 4] = [scale * f32::from(both & 15 | low >> 6 << 4); 2];
        parts.mins[p + 4] = min * f32::from(both >> 4 | high >> 6 << 4);
    }
}

/// 256 numbers of 4 bits; eight scales and mins.
pub(super) struct Q4K;

impl Blocks<8> for Q4K {
    const BYTES: usize = 144;
    const MINS: bool = true;

    #[inline(always)]
    fn parts(block: &[u8]) -> Parts<8> {
        let (block, mut parts) = (&block[..Self::BYTES], Parts::zero());
        six_bits(block, &mut parts);
        for pair in 0..4 {
            let bytes = &block[16 + pair * PART..16 + (pair + 1) * PART];
            for i in 0..PART {
                parts.q[2 * pair][i] = (bytes[i] & 15) as i8;
                parts.q[2 * pair + 1][i] = (bytes[i] >> 4) as i8;
            }
        }
        parts
    }
}

/// As Q4_K, with a fifth bit apart.
pub(super) struct Q5K;

impl Blocks<8> for Q5K {
    const BYTES: usize = 176;
    const MINS: bool = true;

    #[inline(always)]
    fn parts(block: &[u8]) -> Parts<8> {
        let (block, mut parts) = (&block[..Self::BYTES], Parts::zero());
        six_bits(block, &mut parts);
        let high = &block[16..16 + PART];
        for pair in 0..4 {
            let bytes = &block[48 + pair * PART..48 + (pair + 1) * PART];
            for i in 0..PART {
                parts.q[2 * pair][i] = (bytes[i] & 15 | (high[i] >> (2 * pair) & 1) << 4) as i8;
                parts.q[2 * pair + 1][i] = (bytes[i] >> 4 | (high[i] >> (2 * pair + 1) & 1) << 4) as i8;
            }
        }
        parts
    }
}

/// 256 numbers of 6 bits, 32 stands for zero; a scale for each 16.
pub(super) struct Q6K;

impl Blocks<8> for Q6K {
    const BYTES: usize = 210;

    #[inline(always)]
    fn parts(block: &[u8]) -> Parts<8> {
        let (block, mut parts) = (&block[..Self::BYTES], Parts::zero());
        let scale = half(block, 208);
        for p in 0..8 {
            parts.scales[p] = [0, 1].map(|h| scale * f32::from(block[192 + 2 * p + h] as i8));
            // Each half of the block: two times 32 bytes of low bits, 32 bytes of high bits.
            let (side, quarter) = (p / 4, p % 4);
            let low = &block[side * 64 + quarter % 2 * PART..][..PART];
            let high = &block[128 + side * PART..][..PART];
            for i in 0..PART {
                let q = low[i] >> (quarter / 2 * 4) & 15 | (high[i] >> (2 * quarter) & 3) << 4;
                parts.q[p][i] = q as i8 - 32;
            }
        }
        parts
    }
}
