//! The instructions that a product of quantised weights needs: eight sums side by side.

use super::blocks::PART;

/// Instructions on eight lanes of f32.
pub(super) trait Machine: Copy {
    /// Eight sums.
    type Lanes: Copy;
    /// Eight sums of four products, i32.
    type Fours: pulp::bytemuck::Pod;

    /// Eight zeros.
    fn zero(self) -> Self::Lanes;

    /// The scale of each half of a part, for the lanes of its half.
    fn scales(self, scales: [f32; 2]) -> Self::Lanes;

    /// The products of 32 bytes with 32 others, by fours: exact, so that every machine gets the same. `w` is any byte,
    /// `x` from -127 to 127.
    fn fours(self, w: &[i8; PART], x: &[i8; PART]) -> Self::Fours;

    /// As `fours`, of weights from 0 to 63: less work on some machines.
    #[inline(always)]
    fn fours_of_positive(self, w: &[i8; PART], x: &[i8; PART]) -> Self::Fours {
        self.fours(w, x)
    }

    /// `sums + scales * scale * fours`.
    fn add(self, sums: Self::Lanes, fours: Self::Fours, scales: Self::Lanes, scale: f32) -> Self::Lanes;

    /// `sums - mins * x`, lane by lane.
    fn less(self, sums: Self::Lanes, mins: &[f32; 8], x: &[f32; 8]) -> Self::Lanes;

    /// All lanes.
    fn total(self, sums: Self::Lanes) -> f32;
}

/// Any machine: what the compiler makes of it.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Machine for Plain {
    type Lanes = [f32; 8];
    type Fours = [i32; 8];

    #[inline(always)]
    fn zero(self) -> [f32; 8] {
        [0.0; 8]
    }

    #[inline(always)]
    fn scales(self, scales: [f32; 2]) -> [f32; 8] {
        std::array::from_fn(|lane| scales[lane / 4])
    }

    #[inline(always)]
    fn fours(self, w: &[i8; PART], x: &[i8; PART]) -> [i32; 8] {
        std::array::from_fn(|lane| (4 * lane..4 * lane + 4).map(|i| i32::from(w[i]) * i32::from(x[i])).sum())
    }

    #[inline(always)]
    fn add(self, sums: [f32; 8], fours: [i32; 8], scales: [f32; 8], scale: f32) -> [f32; 8] {
        std::array::from_fn(|lane| sums[lane] + fours[lane] as f32 * (scales[lane] * scale))
    }

    #[inline(always)]
    fn less(self, sums: [f32; 8], mins: &[f32; 8], x: &[f32; 8]) -> [f32; 8] {
        std::array::from_fn(|lane| sums[lane] - mins[lane] * x[lane])
    }

    #[inline(always)]
    fn total(self, [a, b, c, d, e, f, g, h]: [f32; 8]) -> f32 {
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Machine, PART, Plain};
    use pulp::{bytemuck::cast, f32x8, i8x32, i32x8, x86::V3};

    /// The left bytes count without sign; pairs must stay below 2^15.
    #[inline(always)]
    fn multiplied(v3: V3, w: i8x32, x: i8x32) -> i32x8 {
        let pairs = v3.multiply_saturating_add_adjacent_i8x32(w, x);
        v3.multiply_wrapping_add_adjacent_i16x16(pairs, v3.splat_i16x16(1))
    }

    impl Machine for V3 {
        type Lanes = f32x8;
        type Fours = i32x8;

        #[inline(always)]
        fn zero(self) -> f32x8 {
            self.splat_f32x8(0.0)
        }

        #[inline(always)]
        fn scales(self, [a, b]: [f32; 2]) -> f32x8 {
            cast([a, a, a, a, b, b, b, b])
        }

        #[inline(always)]
        fn fours(self, w: &[i8; PART], x: &[i8; PART]) -> i32x8 {
            let (w, x): (i8x32, i8x32) = (cast(*w), cast(*x));
            // The signs go over to the right.
            multiplied(self, self.unsigned_abs_i8x32(w), self.apply_sign_i8x32(x, w))
        }

        #[inline(always)]
        fn fours_of_positive(self, w: &[i8; PART], x: &[i8; PART]) -> i32x8 {
            multiplied(self, cast(*w), cast(*x))
        }

        #[inline(always)]
        fn add(self, sums: f32x8, fours: i32x8, scales: f32x8, scale: f32) -> f32x8 {
            let scales = self.mul_f32x8(scales, self.splat_f32x8(scale));
            self.mul_add_f32x8(self.convert_i32x8_to_f32x8(fours), scales, sums)
        }

        #[inline(always)]
        fn less(self, sums: f32x8, mins: &[f32; 8], x: &[f32; 8]) -> f32x8 {
            self.negate_mul_add_f32x8(cast(*mins), cast(*x), sums)
        }

        #[inline(always)]
        fn total(self, sums: f32x8) -> f32 {
            Plain.total(cast(sums))
        }
    }
}
