//! Which slot reads what.

use super::CHECKS;
use inferenceguard_model::{Token, lock};
use std::sync::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The slots of a server that rows may have, each with the tokens that it read last.
pub(crate) struct Slots {
    /// From the one after [`CHECKS`] on. `None` while a row runs there.
    read: Mutex<Vec<Option<Vec<Token>>>>,
    free: Semaphore,
}

/// A slot that one row has for itself.
pub(crate) struct Slot<'a> {
    slots: &'a Slots,
    pub(crate) number: usize,
    /// What it has read.
    read: Vec<Token>,
    _place: SemaphorePermit<'a>,
}

impl Slots {
    pub(crate) fn new(count: usize) -> Self {
        Self { read: Mutex::new(vec![Some(Vec::new()); count]), free: Semaphore::new(count) }
    }

    fn read(&self) -> std::sync::MutexGuard<'_, Vec<Option<Vec<Token>>>> {
        lock(&self.read)
    }

    /// A free slot, that in which most of the beginning of these tokens lies; waits for one.
    pub(crate) async fn take(&self, tokens: &[Token]) -> Option<Slot<'_>> {
        let place = self.free.acquire().await.ok()?;
        let mut all = self.read();
        let best = all.iter().enumerate().filter_map(|(at, read)| Some((at, read.as_ref()?)));
        // Ties: the slot that holds the fewest tokens.
        let (at, _) = best.max_by_key(|(_, read)| (common(read, tokens), std::cmp::Reverse(read.len())))?;
        let read = all[at].take()?;
        drop(all);
        Some(Slot { slots: self, number: CHECKS + 1 + at, read, _place: place })
    }
}

impl Slot<'_> {
    /// How many of these tokens it has read, from the first on.
    pub(crate) fn common(&self, tokens: &[Token]) -> usize {
        common(&self.read, tokens)
    }

    /// It has read these tokens now.
    pub(crate) fn has_read(&mut self, tokens: Vec<Token>) {
        self.read = tokens;
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.slots.read()[self.number - CHECKS - 1] = Some(std::mem::take(&mut self.read));
    }
}

fn common(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::Builder;

    #[test]
    fn a_row_gets_the_slot_with_most_of_its_beginning() {
        Builder::new_current_thread().build().unwrap().block_on(async {
            let slots = Slots::new(3);
            let mut one = slots.take(&[1]).await.unwrap();
            let mut other = slots.take(&[1]).await.unwrap();
            assert_ne!(one.number, other.number);
            assert!(one.number != CHECKS && other.number != CHECKS);
            one.has_read(vec![1, 2, 3]);
            other.has_read(vec![7, 8]);
            let (first, second) = (one.number, other.number);
            drop((one, other));
            let again = slots.take(&[1, 2, 9]).await.unwrap();
            assert_eq!((again.number, again.common(&[1, 2, 9])), (first, 2));
            let new = slots.take(&[5]).await.unwrap();
            assert_ne!(new.number, second, "an empty slot loses least");
            assert_eq!(slots.take(&[5]).await.unwrap().number, second);
            drop(again);
            assert_eq!(slots.take(&[9]).await.unwrap().number, second, "a shorter one loses less");
        });
    }
}
