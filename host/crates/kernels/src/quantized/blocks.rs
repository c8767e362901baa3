//! The block formats of GGUF files: how numbers lie in a block.
//!
//! Every format comes apart into parts of 32 numbers: `scale * q - min`, with q one byte, a scale for each half of 16,
//! and one min. What is computed on them knows no format.

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
fn single(block: &[u8]) -> f32 {
    f32::from_le_bytes([block[0], block[1], block[2], block[3]])
}

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
fn nibbles(bytes: &[u8]) -> [u8; PART] {
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
const UNEVEN: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

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
