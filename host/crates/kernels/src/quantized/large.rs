//! The formats with 256 numbers in a block, in eight parts.

use super::{
    blocks::{Blocks, PART, Scales, half, single},
    small::{UNEVEN, nibbles},
};

/// The scales and mins of Q4_K and Q5_K: six bits each, packed into 12 bytes from `block[4]` on.
#[inline(always)]
fn packed(block: &[u8]) -> Scales<8> {
    let word = |at: usize| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    let (a, b, c) = (word(4), word(8), word(12));
    let bytes = |low: u32, high: u32| (u64::from(low & 0x3f3f_3f3f) | u64::from(high) << 32).to_le_bytes();
    let scales = bytes(a, c & 0x0f0f_0f0f | (a >> 6 & 0x0303_0303) << 4);
    let mins = bytes(b, c >> 4 & 0x0f0f_0f0f | (b >> 6 & 0x0303_0303) << 4);
    let (scale, min) = (half(block, 0), half(block, 2));
    Scales { each: scales.map(|six| [scale * f32::from(six); 2]), mins: mins.map(|six| min * f32::from(six)) }
}

/// `$part::<p>(block)` for each of eight parts: with p known to the compiler, shifts are instructions for all bytes.
macro_rules! eight {
    ($part:ident, $block:expr) => {
        [
            $part::<0>($block),
            $part::<1>($block),
            $part::<2>($block),
            $part::<3>($block),
            $part::<4>($block),
            $part::<5>($block),
            $part::<6>($block),
            $part::<7>($block),
        ]
    };
}

/// Four bits of each of 32 bytes: the low ones in even parts, the high ones in odd parts.
#[inline(always)]
fn four_bits<const P: usize>(bytes: &[[u8; PART]]) -> [i8; PART] {
    let (bytes, mut q) = (&bytes[P / 2], [0; PART]);
    for i in 0..PART {
        q[i] = (bytes[i] >> (P % 2 * 4) & 15) as i8;
    }
    q
}

/// The fifth bits lie in front of the other four: one byte for one number of each part.
#[inline(always)]
fn five_bits<const P: usize>(bytes: &[[u8; PART]]) -> [i8; PART] {
    let (high, mut q) = (&bytes[0], four_bits::<P>(&bytes[1..]));
    for i in 0..PART {
        q[i] |= ((high[i] >> P & 1) << 4) as i8;
    }
    q
}

/// Each half of the block: two times 32 bytes of low bits, 32 bytes of high bits.
#[inline(always)]
fn six_bits<const P: usize>(bytes: &[[u8; PART]]) -> [i8; PART] {
    let (side, quarter) = (P / 4, P % 4);
    let (low, high, mut q) = (&bytes[side * 2 + quarter % 2], &bytes[4 + side], [0; PART]);
    for i in 0..PART {
        let six = low[i] >> (quarter / 2 * 4) & 15 | (high[i] >> (2 * quarter) & 3) << 4;
        q[i] = six.wrapping_sub(32) as i8;
    }
    q
}

/// Two bits of each of 32 bytes; each half of the block has its own 32.
#[inline(always)]
fn two_bits<const P: usize>(bytes: &[[u8; PART]]) -> [i8; PART] {
    let (bytes, mut q) = (&bytes[P / 4], [0; PART]);
    for i in 0..PART {
        q[i] = (bytes[i] >> (P % 4 * 2) & 3) as i8;
    }
    q
}

/// The third bits lie in front: where one is not set, 4 is taken away.
#[inline(always)]
fn three_bits<const P: usize>(bytes: &[[u8; PART]]) -> [i8; PART] {
    let (high, mut q) = (&bytes[0], two_bits::<P>(&bytes[1..]));
    for i in 0..PART {
        q[i] -= ((!high[i] >> P & 1) << 2) as i8;
    }
    q
}

/// As IQ4_NL: 16 bytes a part.
#[inline(always)]
fn uneven<const P: usize>(bytes: &[[u8; 16]]) -> [i8; PART] {
    nibbles(&bytes[P]).map(|q| UNEVEN[usize::from(q)])
}

/// 256 numbers of 2 bits; a scale and a min for each 16.
pub(super) struct Q2K;

impl Blocks<8> for Q2K {
    const BYTES: usize = 84;
    const HALF_MINS: bool = true;

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales<8> {
        let scale = half(block, 80);
        let of = |i: usize| scale * f32::from(block[i] & 15);
        Scales { each: std::array::from_fn(|p| [of(2 * p), of(2 * p + 1)]), mins: [0.0; 8] }
    }

    #[inline(always)]
    fn bytes(block: &[u8]) -> [[i8; PART]; 8] {
        let (bytes, _) = block[16..80].as_chunks();
        eight!(two_bits, bytes)
    }

    #[inline(always)]
    fn half_mins(block: &[u8]) -> [[f32; 2]; 8] {
        let min = half(block, 82);
        let of = |i: usize| min * f32::from(block[i] >> 4);
        std::array::from_fn(|p| [of(2 * p), of(2 * p + 1)])
    }
}

/// 256 numbers of 3 bits, 4 stands for zero; a scale of six bits for each 16.
pub(super) struct Q3K;

impl Blocks<8> for Q3K {
    const BYTES: usize = 110;

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales<8> {
        let (scale, packed) = (half(block, 108), &block[96..108]);
        let of = |i: usize| {
            let (low, high) = (packed[i % 8] >> (i / 8 * 4) & 15, packed[8 + i % 4] >> (i / 4 * 2) & 3);
            scale * f32::from((low | high << 4) as i8 - 32)
        };
        Scales { each: std::array::from_fn(|p| [of(2 * p), of(2 * p + 1)]), mins: [0.0; 8] }
    }

    #[inline(always)]
    fn bytes(block: &[u8]) -> [[i8; PART]; 8] {
        let (bytes, _) = block[..96].as_chunks();
        eight!(three_bits, bytes)
    }
}

/// 256 bytes; one scale, an f32.
pub(super) struct Q8K;

impl Blocks<8> for Q8K {
    const BYTES: usize = 292;

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales<8> {
        Scales { each: [[single(block); 2]; 8], mins: [0.0; 8] }
    }

    #[inline(always)]
    fn bytes(block: &[u8]) -> [[i8; PART]; 8] {
        std::array::from_fn(|p| std::array::from_fn(|i| block[4 + PART * p + i] as i8))
    }
}

/// As IQ4_NL; a scale of six bits for each 32 of 256.
pub(super) struct IQ4XS;

impl Blocks<8> for IQ4XS {
    const BYTES: usize = 136;

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales<8> {
        let (scale, high) = (half(block, 0), u16::from_le_bytes([block[2], block[3]]));
        let of = |p: usize| {
            let (low, high) = (block[4 + p / 2] >> (p % 2 * 4) & 15, (high >> (2 * p) & 3) as u8);
            scale * f32::from((low | high << 4) as i8 - 32)
        };
        Scales { each: std::array::from_fn(|p| [of(p); 2]), mins: [0.0; 8] }
    }

    #[inline(always)]
    fn bytes(block: &[u8]) -> [[i8; PART]; 8] {
        let (bytes, _) = block[8..Self::BYTES].as_chunks();
        eight!(uneven, bytes)
    }
}

/// 256 numbers of 4 bits; eight scales and mins.
pub(super) struct Q4K;

impl Blocks<8> for Q4K {
    const BYTES: usize = 144;
    const MINS: bool = true;

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales<8> {
        packed(block)
    }

    #[inline(always)]
    fn bytes(block: &[u8]) -> [[i8; PART]; 8] {
        let (bytes, _) = block[16..Self::BYTES].as_chunks();
        eight!(four_bits, bytes)
    }
}

/// As Q4_K, with a fifth bit apart.
pub(super) struct Q5K;

impl Blocks<8> for Q5K {
    const BYTES: usize = 176;
    const MINS: bool = true;

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales<8> {
        packed(block)
    }

    #[inline(always)]
    fn bytes(block: &[u8]) -> [[i8; PART]; 8] {
        let (bytes, _) = block[16..Self::BYTES].as_chunks();
        eight!(five_bits, bytes)
    }
}

/// 256 numbers of 6 bits, 32 stands for zero; a scale for each 16.
pub(super) struct Q6K;

impl Blocks<8> for Q6K {
    const BYTES: usize = 210;

    #[inline(always)]
    fn scales(block: &[u8]) -> Scales<8> {
        let (scale, each) = (half(block, 208), &block[192..208]);
        let of = |i: usize| scale * f32::from(each[i] as i8);
        Scales { each: std::array::from_fn(|p| [of(2 * p), of(2 * p + 1)]), mins: [0.0; 8] }
    }

    #[inline(always)]
    fn bytes(block: &[u8]) -> [[i8; PART]; 8] {
        let (bytes, _) = block[..192].as_chunks();
        eight!(six_bits, bytes)
    }
}
