//! Servers that do one thing after the other, in the order in which work comes: the controller's cores, a score replica.

use crate::meter::Meter;
use std::collections::VecDeque;

/// Work for a request, and its seconds.
pub(crate) type Work = (usize, f64);

/// Equal servers with one queue.
#[derive(Debug, Default)]
pub(crate) struct Station {
    free: usize,
    waiting: VecDeque<Work>,
    /// What is being done, oldest first. Only a station with one server looks here: it ends its work in this order.
    doing: VecDeque<usize>,
}

impl Station {
    pub(crate) fn new(servers: usize) -> Self {
        Self { free: servers, ..Self::default() }
    }

    /// Takes work; the work that begins now, if a server is free.
    pub(crate) fn take(&mut self, work: Work, now: f64, meter: &mut Meter) -> Option<Work> {
        self.waiting.push_back(work);
        self.begin(now, meter)
    }

    fn begin(&mut self, now: f64, meter: &mut Meter) -> Option<Work> {
        if self.free == 0 {
            return None;
        }
        let work = self.waiting.pop_front()?;
        self.free -= 1;
        self.doing.push_back(work.0);
        meter.begin(now);
        Some(work)
    }

    /// A server has ended: the oldest work that was done, and the work that begins now.
    pub(crate) fn end(&mut self, now: f64, meter: &mut Meter) -> (Option<usize>, Option<Work>) {
        self.free += 1;
        meter.end(now);
        (self.doing.pop_front(), self.begin(now, meter))
    }
}
