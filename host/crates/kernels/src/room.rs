//! Room for sums that a thread keeps from product to product: new memory takes longer than a small product.

use std::cell::Cell;

/// Numbers that a thread keeps room for: 16 MiB.
const KEPT: usize = 1 << 22;

thread_local! {
    static ROOM: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Calls `work` with room for `len` numbers. **They may be any**: `work` writes each before it reads it.
pub(crate) fn with_room<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    // Where a thread works on a second product while it waits for the first, that one finds none and makes its own.
    let mut room = ROOM.take();
    room.resize(room.len().max(len), 0.0);
    let result = work(&mut room[..len]);
    if room.len() <= KEPT {
        ROOM.set(room);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_product_has_as_much_room_as_it_asks_for() {
        for len in [3, 0, 1000, 7, KEPT + 1, 7] {
            let found = with_room(len, |outer| {
                outer.fill(1.0);
                let inner = with_room(len, |inner| {
                    inner.fill(2.0);
                    inner.len()
                });
                (inner, outer.iter().sum::<f32>())
            });
            assert_eq!(found, (len, len as f32));
        }
    }

    #[test]
    fn a_thread_keeps_no_more_than_it_may() {
        with_room(KEPT + 1, |_| ());
        let kept = ROOM.take();
        assert!(kept.len() <= KEPT);
        with_room(100, |_| ());
        let kept = ROOM.take();
        assert_eq!(kept.len(), 100);
    }
}
