//! The simulation of one case.

use crate::{
    Case, ScalingError, Times,
    case::unread,
    events::{Event, Events},
    language::{Group, LanguageReplica},
    meter::Meter,
    station::{Station, Work},
    times::at,
};
use std::collections::{BTreeMap, HashSet};

/// Answers for each request at once: the first are not counted, because all requests begin together.
const BEFORE: usize = 2;
const COUNTED: usize = 4;
/// The least that is counted.
const LEAST: usize = 64;

/// What limits the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Language replicas.
    Language,
    /// Score replicas.
    Score,
    /// This side.
    Controller,
}

/// What a case gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Answers a second.
    pub answers: f64,
    /// Mean seconds of an answer.
    pub latency: f64,
    /// The share of the time that language replicas are busy.
    pub language: f64,
    /// The share of the time that score replicas are busy.
    pub score: f64,
    /// The share of the time that the controller's cores are busy.
    pub controller: f64,
}

impl Outcome {
    /// The part that is busy most.
    #[must_use]
    pub fn limit(&self) -> Part {
        let parts = [(self.language, Part::Language), (self.score, Part::Score), (self.controller, Part::Controller)];
        parts.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).map_or(Part::Language, |(_, part)| part)
    }
}

/// Simulates a case until enough answers have come.
///
/// # Errors
/// [`ScalingError::Number`] for numbers that cannot be.
pub fn simulate(times: &Times, case: &Case) -> Result<Outcome, ScalingError> {
    case.check()?;
    let mut run = Run::new(times, case);
    let (before, counted) = (BEFORE * case.at_once, (COUNTED * case.at_once).max(LEAST));
    let (from, busy) = run.until(before);
    let (to, end) = run.until(before + counted);
    let share = |part: usize, servers: usize| (end[part] - busy[part]) / (servers as f64 * (to - from));
    Ok(Outcome {
        answers: counted as f64 / (to - from),
        latency: run.latency(before),
        language: share(0, case.language),
        score: share(1, case.score),
        controller: share(2, times.controller.cores),
    })
}

/// A request in one of the places.
#[derive(Debug, Default, Clone)]
struct Request {
    /// No other request has it.
    number: u64,
    begun: f64,
    chunk: usize,
    /// Groups of rows that are not done.
    missing: usize,
    /// Replicas that have read its prompt: language, and score.
    read: [HashSet<usize>; 2],
}

struct Run<'a> {
    times: &'a Times,
    case: &'a Case,
    events: Events,
    requests: Vec<Request>,
    numbers: u64,
    language: Vec<LanguageReplica>,
    score: Vec<Station>,
    controller: Station,
    meters: [Meter; 3],
    now: f64,
    /// When each answer came, and how long it took.
    answers: Vec<(f64, f64)>,
}

impl<'a> Run<'a> {
    fn new(times: &'a Times, case: &'a Case) -> Self {
        let mut events = Events::default();
        // Spread over the time of one answer, so that requests do not move in step.
        let apart = Case::closed_form(times, case.n) / case.at_once as f64;
        (0..case.at_once).for_each(|place| events.at(apart * place as f64, Event::Begin(place)));
        Self {
            times,
            case,
            events,
            requests: vec![Request::default(); case.at_once],
            numbers: 0,
            language: (0..case.language).map(|_| LanguageReplica::default()).collect(),
            score: (0..case.score).map(|_| Station::new(1)).collect(),
            controller: Station::new(times.controller.cores),
            meters: [Meter::default(); 3],
            now: 0.0,
            answers: Vec::new(),
        }
    }

    /// Goes on until this many answers have come: the time, and the busy seconds of the three parts.
    fn until(&mut self, answers: usize) -> (f64, [f64; 3]) {
        while self.answers.len() < answers {
            let Some((now, event)) = self.events.next() else { break };
            self.now = now;
            self.happens(event);
        }
        let now = self.now;
        (now, self.meters.each_mut().map(|meter| meter.seconds_until(now)))
    }

    fn latency(&self, from: usize) -> f64 {
        let counted = self.answers.get(from..).unwrap_or_default();
        counted.iter().map(|(_, took)| took).sum::<f64>() / counted.len().max(1) as f64
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Begin(place) => self.begin(place),
            Event::Stepped(replica) => self.stepped(replica),
            Event::Scored(replica) => self.scored(replica),
            Event::Decided(place) => self.decided(place),
        }
    }

    fn begin(&mut self, place: usize) {
        self.numbers += 1;
        self.requests[place] = Request { number: self.numbers, begun: self.now, ..Request::default() };
        self.grow(place);
    }

    /// Sends the rows of a chunk to language replicas.
    fn grow(&mut self, place: usize) {
        let groups = self.groups(place, 0, self.case.language);
        for (replica, rows) in groups {
            let unread = self.unread(place, 0, replica, rows);
            let left = Case::length(self.times, self.requests[place].chunk);
            let group = Group { request: place, rows, left, unread };
            let begun = self.language[replica].take(group, &self.times.language, self.now, &mut self.meters[0]);
            self.step(replica, begun);
        }
    }

    fn step(&mut self, replica: usize, seconds: Option<f64>) {
        seconds.into_iter().for_each(|seconds| self.events.at(self.now + seconds, Event::Stepped(replica)));
    }

    fn stepped(&mut self, replica: usize) {
        let (done, next) = self.language[replica].stepped(&self.times.language, self.now, &mut self.meters[0]);
        self.step(replica, next);
        for place in done {
            if self.is_last_group(place) {
                self.price(place);
            }
        }
    }

    /// Sends the rows of a chunk to score replicas.
    fn price(&mut self, place: usize) {
        let groups = self.groups(place, 1, self.case.score);
        let length = Case::length(self.times, self.requests[place].chunk);
        for (replica, rows) in groups {
            let read = self.unread(place, 1, replica, rows) + rows * length;
            let score = &self.times.score;
            let seconds = score.models as f64 * (score.call + score.token * read as f64);
            let begun = self.score[replica].take((place, seconds), self.now, &mut self.meters[1]);
            self.call(replica, begun);
        }
    }

    fn call(&mut self, replica: usize, begun: Option<Work>) {
        begun.into_iter().for_each(|(_, seconds)| self.events.at(self.now + seconds, Event::Scored(replica)));
    }

    fn scored(&mut self, replica: usize) {
        let (done, next) = self.score[replica].end(self.now, &mut self.meters[1]);
        self.call(replica, next);
        if let Some(place) = done.filter(|place| self.is_last_group(*place)) {
            let seconds = at(&self.times.controller.decision, self.case.n);
            let begun = self.controller.take((place, seconds), self.now, &mut self.meters[2]);
            self.decide(begun);
        }
    }

    fn decide(&mut self, begun: Option<Work>) {
        begun.into_iter().for_each(|(place, seconds)| self.events.at(self.now + seconds, Event::Decided(place)));
    }

    fn decided(&mut self, place: usize) {
        let (_, next) = self.controller.end(self.now, &mut self.meters[2]);
        self.decide(next);
        self.requests[place].chunk += 1;
        if self.requests[place].chunk < Case::chunks(self.times) {
            return self.grow(place);
        }
        self.answers.push((self.now, self.now - self.requests[place].begun));
        self.begin(place);
    }

    fn is_last_group(&mut self, place: usize) -> bool {
        self.requests[place].missing -= 1;
        self.requests[place].missing == 0
    }

    /// The rows of a chunk by replica. Language and score replicas are chosen apart.
    fn groups(&mut self, place: usize, kind: usize, replicas: usize) -> BTreeMap<usize, usize> {
        let request = &self.requests[place];
        let choose = |row: usize| {
            let within = if self.case.affinity { 0 } else { 1 + request.chunk * self.case.n + row };
            (hash([request.number, kind as u64, within as u64]) % replicas as u64) as usize
        };
        let mut groups = BTreeMap::new();
        (0..self.case.n).for_each(|row| *groups.entry(choose(row)).or_default() += 1);
        self.requests[place].missing = groups.len();
        groups
    }

    fn unread(&mut self, place: usize, kind: usize, replica: usize, rows: usize) -> usize {
        let request = &mut self.requests[place];
        let seen = !request.read[kind].insert(replica);
        let (blocks, replicas) =
            [(self.times.language.block, self.case.language), (self.times.score.block, self.case.score)][kind];
        unread(self.times, blocks, request.chunk, (rows, self.case.affinity || replicas == 1, seen))
    }
}

/// A number that looks like chance.
fn hash(parts: [u64; 3]) -> u64 {
    parts.into_iter().fold(0x9e37_79b9_7f4a_7c15, |hash: u64, part| {
        let mixed = (hash ^ part).wrapping_mul(0xff51_afd7_ed55_8ccd);
        (mixed ^ mixed >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53) ^ mixed >> 29
    })
}
