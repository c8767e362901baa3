//! Reads choices from the bytes of an input. After the end it reads zeros, so every input is complete.

/// Numbers at the limits of their types, which random bytes seldom hit.
const NUMBERS: [u32; 8] = [0, 1, 2, 7, 1 << 16, i32::MAX as u32, u32::MAX - 1, u32::MAX];
const PRICES: [f64; 12] =
    [0.0, -0.0, 1.0, -1.0, 5.0, 1e-300, 1e300, f64::MAX, f64::MIN, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

/// What is left of an input.
pub(crate) struct Bytes<'a> {
    left: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(left: &'a [u8]) -> Self {
        Self { left }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.left.split_first() {
            Some((first, rest)) => {
                self.left = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number: often a small one, sometimes one at a limit.
    pub(crate) fn number(&mut self) -> u32 {
        match self.byte() {
            byte @ 0..=199 => u32::from(byte % 12),
            byte => NUMBERS[usize::from(byte) % NUMBERS.len()],
        }
    }

    /// A price: often an ordinary one, sometimes one at a limit or no number.
    pub(crate) fn price(&mut self) -> f64 {
        match self.byte() {
            byte @ 0..=199 => (f64::from(byte) - 100.0) / 20.0,
            byte => PRICES[usize::from(byte) % PRICES.len()],
        }
    }

    /// At most eleven values.
    pub(crate) fn several<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.byte() % 12;
        (0..count).map(|_| one(self)).collect()
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }
}

/// The parts of an input that zeros separate, at most `N`; missing ones are empty.
pub(crate) fn parts<const N: usize>(bytes: &[u8]) -> [&[u8]; N] {
    let mut parts = bytes.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}
