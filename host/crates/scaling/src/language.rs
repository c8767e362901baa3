//! A language replica: in each step all its rows get one token; rows join between two steps.

use crate::{Language, meter::Meter, times::at};
use std::collections::VecDeque;

/// Rows of one request that one replica grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group {
    /// The place of the request.
    pub(crate) request: usize,
    pub(crate) rows: usize,
    /// Tokens that its rows still get.
    pub(crate) left: usize,
    /// Tokens that are read before.
    pub(crate) unread: usize,
}

/// One replica.
#[derive(Debug, Default)]
pub(crate) struct LanguageReplica {
    growing: Vec<Group>,
    waiting: VecDeque<Group>,
    stepping: bool,
}

impl LanguageReplica {
    /// Takes rows; the seconds of the step that begins now, if none is running.
    pub(crate) fn take(&mut self, group: Group, times: &Language, now: f64, meter: &mut Meter) -> Option<f64> {
        self.waiting.push_back(group);
        if self.stepping { None } else { self.step(times, now, meter) }
    }

    /// A step is over: the requests whose rows are grown, and the seconds of the next step.
    pub(crate) fn stepped(&mut self, times: &Language, now: f64, meter: &mut Meter) -> (Vec<usize>, Option<f64>) {
        self.stepping = false;
        meter.end(now);
        self.growing.iter_mut().for_each(|group| group.left -= 1);
        let done = self.growing.iter().filter(|group| group.left == 0).map(|group| group.request).collect();
        self.growing.retain(|group| group.left > 0);
        (done, self.step(times, now, meter))
    }

    fn step(&mut self, times: &Language, now: f64, meter: &mut Meter) -> Option<f64> {
        let unread = self.join(times.rows);
        let rows: usize = self.growing.iter().map(|group| group.rows).sum();
        if rows == 0 {
            return None;
        }
        self.stepping = true;
        meter.begin(now);
        Some(at(&times.step, rows) + times.prompt_token * unread as f64)
    }

    /// Lets groups join as long as there is room, and at least one; the tokens that are read for them.
    fn join(&mut self, most: usize) -> usize {
        let (mut unread, mut rows) = (0, self.growing.iter().map(|group| group.rows).sum::<usize>());
        while let Some(next) = self.waiting.front() {
            if rows > 0 && rows + next.rows > most {
                break;
            }
            rows += next.rows;
            unread += next.unread;
            self.growing.extend(self.waiting.pop_front());
        }
        unread
    }
}
