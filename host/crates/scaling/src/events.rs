//! What happens when: a queue of events by time, and in the order of their coming at the same time.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The request in this place begins.
    Begin(usize),
    /// A step of this language replica is over.
    Stepped(usize),
    /// This score replica has ended a call.
    Scored(usize),
    /// The controller has decided about a chunk of the request in this place.
    Decided(usize),
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    time: f64,
    number: u64,
    event: Event,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.time.total_cmp(&other.time).then(self.number.cmp(&other.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

/// Events to come.
#[derive(Debug, Default)]
pub(crate) struct Events {
    queue: BinaryHeap<Reverse<Entry>>,
    number: u64,
}

impl Events {
    pub(crate) fn at(&mut self, time: f64, event: Event) {
        self.number += 1;
        self.queue.push(Reverse(Entry { time, number: self.number, event }));
    }

    pub(crate) fn next(&mut self) -> Option<(f64, Event)> {
        self.queue.pop().map(|Reverse(entry)| (entry.time, entry.event))
    }
}
