//! Words about a file that is fetched from the hub.

use crate::Note;
use hf_hub::api::Progress;
use std::time::{Duration, Instant};

/// How long there is no word.
const SILENCE: Duration = Duration::from_secs(10);
const MEGABYTE: usize = 1_000_000;

/// Names the file, and every ten seconds how much of it is here.
pub(super) struct Fetching {
    note: Note,
    file: String,
    here: usize,
    whole: usize,
    last: Instant,
}

impl Fetching {
    pub(super) fn new(note: Note) -> Self {
        Self { note, file: String::new(), here: 0, whole: 0, last: Instant::now() }
    }
}

impl Progress for Fetching {
    fn init(&mut self, size: usize, file: &str) {
        (self.whole, self.here, self.file) = (size, 0, file.to_owned());
        (self.note)(&format!("fetching {file}, {} MB", size.div_ceil(MEGABYTE)));
    }

    fn update(&mut self, size: usize) {
        self.here += size;
        if self.last.elapsed() >= SILENCE {
            self.last = Instant::now();
            let (here, whole) = (self.here / MEGABYTE, self.whole.div_ceil(MEGABYTE));
            (self.note)(&format!("fetching {}: {here} of {whole} MB", self.file));
        }
    }

    fn finish(&mut self) {}
}
