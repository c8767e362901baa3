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
        unit(self.numbers(seed, offset, attempt).next_u64())
    }

    /// The numbers of all offsets from 0 on. One after the other they cost far less.
    pub(crate) fn draws(self, seed: u64, attempt: u32) -> impl Iterator<Item = f64> {
        let mut rng = self.numbers(seed, 0, attempt);
        std::iter::from_fn(move || {
            let number = unit(rng.next_u64());
            // Each offset has a block of 16 words, of which a number takes two.
            for _ in 2..WORDS {
                rng.next_u32();
            }
            Some(number)
        })
    }

    fn numbers(self, seed: u64, offset: u32, attempt: u32) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(self.0);
        rng.set_word_pos((u128::from(attempt) << 36) | (u128::from(offset) * WORDS));
        rng
    }

    /// The seed of the whole chunk, for engines that draw by themselves. Under one seed and attempt, two lineages never share it.
    pub(crate) fn seed(self, seed: u64, attempt: u32) -> u64 {
        mix(self.0 ^ mix(seed ^ mix(u64::from(attempt).wrapping_add(0xD1B5_4A32_D192_ED03))))
    }
}

/// Words of a block of the generator.
const WORDS: u128 = 16;

/// A number of [0, 1) from 53 of these bits.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// The finaliser of SplitMix64: a bijection that spreads every bit.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::Lineage;

    #[test]
    fn draws_in_a_row_are_those_of_their_offsets() {
        for (chunk, index, attempt) in [(0, 0, 0), (3, 17, 2), (9, 1, u32::MAX)] {
            let lineage = Lineage::default().child(chunk, index);
            let row: Vec<f64> = lineage.draws(7, attempt).take(100).collect();
            let each: Vec<f64> = (0..100).map(|offset| lineage.draw(7, offset, attempt)).collect();
            assert_eq!(row, each, "{chunk} {index} {attempt}");
        }
    }
}
