//! The formats with 32 numbers in a block.

use super::blocks::{Blocks, PART, Scales, half};

/// The one scale of a block of 32, in front.
#[inline(always)]
fn one(block: &[u8]) -> Scales<1> {
    Scales { each: [[half(block, 0); 2]], mins: [0.0] }
}

/// 32 bytes; one scale.
pub(super) struct Q8_0;

impl Q8_0 {
    /// Bytes of a block.
    pub(super) const SIZE: usize = 34;
}

impl Blocks<1> for Q8_0 {
    const BYTES: usize = Self::SIZE;

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales<1> {
        one(block)
    }

    #[inline(always)]
    fn bytes(block: &[u8]) -> [[i8; PART]; 1] {
        let bytes = &block[2..Self::BYTES];
        [std::array::from_fn(|i| bytes[i] as i8)]
    }
}

/// Scale and min of a block of 32, in front; the file holds what is added, not what is taken away.
#[inline(always)]
fn with_min(block: &[u8]) -> Scales<1> {
    Scales { each: [[half(block, 0); 2]], mins: [-half(block, 2)] }
}

/// The low four bits of 16 bytes, then the high ones.
#[inline(always)]
pub(super) fn nibbles(bytes: &[u8]) -> [u8; PART] {
    let mut q = [0; PART];
    for i in 0..16 {
        q[i] = bytes[i] & 15;
        q[i + 16] = bytes[i] >> 4;
    }
    q
}

/// 32 numbers of 4 bits, 8 stands for zero; one scale.
pub(super) struct Q4_0;

impl Blocks<1> for Q4_0 {
    const BYTES: usize = 18;

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales<1> {
        one(block)
    }

    #[inline(always)]
    fn bytes(block: &[u8]) -> [[i8; PART]; 1] {
        [nibbles(&block[2..Self::BYTES]).map(|q| q as i8 - 8)]
    }
}

/// 32 numbers of 4 bits; one scale, one min.
pub(super) struct Q4_1;

impl Blocks<1> for Q4_1 {
    const BYTES: usize = 20;
    const MINS: bool = true;

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales<1> {
        with_min(block)
    }

    #[inline(always)]
    fn bytes(block: &[u8]) -> [[i8; PART]; 1] {
        [nibbles(&block[4..Self::BYTES]).map(|q| q as i8)]
    }
}

/// What the four bits of IQ4_NL and IQ4_XS stand for.
pub(super) const UNEVEN: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// 32 numbers of 4 bits, which stand for unevenly spaced bytes; one scale.
pub(super) struct IQ4NL;

impl Blocks<1> for IQ4NL {
    const BYTES: usize = 18;

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales<1> {
        one(block)
    }

    #[inline(always)]
    fn bytes(block: &[u8]) -> [[i8; PART]; 1] {
        [nibbles(&block[2..Self::BYTES]).map(|q| UNEVEN[usize::from(q)])]
    }
}

/// 16 for each bit that is set, without a loop.
#[inline(always)]
fn sixteens(bits: u8) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let apart = (u64::from(bits) * ONES) & 0x8040_2010_0804_0201;
    // The top bit of each byte that is not 0; no byte carries into the next.
    (((apart + 0x7f * ONES) & (0x80 * ONES)) >> 3).to_le_bytes()
}

/// As Q4_0, with a fifth bit apart; 16 stands for zero.
pub(super) struct Q5_0;

impl Blocks<1> for Q5_0 {
    const BYTES: usize = 22;

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales<1> {
        one(block)
    }

    #[inline(always)]
    fn bytes(block: &[u8]) -> [[i8; PART]; 1] {
        [with_fifth(&block[2..Self::BYTES]).map(|q| q.wrapping_sub(16) as i8)]
    }
}

/// Four bytes of fifth bits, then four bits of each number.
#[inline(always)]
fn with_fifth(bytes: &[u8]) -> [u8; PART] {
    let (mut high, mut q) = ([[0; 8]; 4], nibbles(&bytes[4..20]));
    for (high, bits) in high.iter_mut().zip(&bytes[..4]) {
        *high = sixteens(*bits);
    }
    for (q, high) in q.iter_mut().zip(high.as_flattened()) {
        *q |= high;
    }
    q
}

/// As Q4_1, with a fifth bit apart.
pub(super) struct Q5_1;

impl Blocks<1> for Q5_1 {
    const BYTES: usize = 24;
    const MINS: bool = true;

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales<1> {
        with_min(block)
    }

    #[inline(always)]
    fn bytes(block: &[u8]) -> [[i8; PART]; 1] {
        [with_fifth(&block[4..Self::BYTES]).map(|q| q as i8)]
    }
}
