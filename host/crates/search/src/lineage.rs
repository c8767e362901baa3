//! Counter-based randomness: a draw depends on the seed, the beam's lineage, the offset and the attempt, and on nothing else,
//! so neither batching nor scheduling can change a sample.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// Where a beam comes from: the ranks by which it and its ancestors were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Lineage(u64);

impl Lineage {
    /// The lineage of the `index`-th candidate of this beam in this chunk.
    pub(crate) fn child(self, chunk: u32, index: u32) -> Self {
        let place = (u64::from(chunk) << 32) | u64::from(index);
        Self(mix(self.0 ^ mix(place.wrapping_add(0x9E37_79B9_7F4A_7C15))))
    }

    /// A number of [0, 1) for the token at `offset` of the chunk.
    pub(crate) fn draw(self, seed: u64, offset: u32, attempt: u32) -> f64 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(self.0);
        rng.set_word_pos((u128::from(attempt) << 36) | (u128::from(offset) << 4));
        (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The seed of the whole chunk, for engines that draw by themselves. Under one seed and attempt, two lineages never share it.
    pub(crate) fn seed(self, seed: u64, attempt: u32) -> u64 {
        mix(self.0 ^ mix(seed ^ mix(u64::from(attempt).wrapping_add(0xD1B5_4A32_D192_ED03))))
    }
}

/// The finaliser of SplitMix64: a bijection that spreads every bit.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
