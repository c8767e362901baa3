//! The phases of a session, and which of them may follow each other.

/// What a session asks for next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    Prefill,
    Start,
    Plan,
    StepParents,
    StepCandidates,
    StepNewest,
    Steer {
        rows: Vec<usize>,
        parents: bool,
        then: Box<Phase>,
    },
    Sample,
    Grow,
    Expand,
    Estimate,
    /// The scores that a cost reads.
    Score(usize),
    Price(usize),
    /// The scores that score models withhold until the next token, read as if the text ended here.
    PriceTail(usize),
    Advance(usize),
    Select,
    Done,
}

impl Phase {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Start => "start",
            Self::Plan => "plan",
            Self::StepParents => "step-parents",
            Self::StepCandidates => "step-candidates",
            Self::StepNewest => "step-newest",
            Self::Steer { .. } => "steer",
            Self::Sample => "sample",
            Self::Grow => "grow",
            Self::Expand => "expand",
            Self::Estimate => "estimate",
            Self::Score(_) => "score",
            Self::Price(_) => "price",
            Self::PriceTail(_) => "price-tail",
            Self::Advance(_) => "advance",
            Self::Select => "select",
            Self::Done => "done",
        }
    }
}

/// Every step that a session can take: the phase, the need that was answered (or the call), and the phases that may follow.
///
/// Two events are not here because they can come in more than one phase: `release`, which changes no phase, and a
/// cancellation, after which every phase is `done`.
pub const TRANSITIONS: &[(&str, &str, &[&str])] = &[
    ("prefill", "prefill", &["start", "steer", "plan"]),
    // One constraint after the other; `done` where the tracker fails.
    ("start", "start", &["start", "steer", "plan", "done"]),
    // Between chunks: constraints that come while the session runs start like the first ones.
    ("plan", "tighten", &["start", "plan"]),
    // Parents whose newest token the model has not seen yet are stepped first.
    ("plan", "plan", &["step-parents", "grow", "sample", "expand", "done"]),
    ("step-parents", "step", &["grow", "steer", "sample", "expand"]),
    // A chunk; `done` where no row of it is left.
    ("grow", "grow", &["step-newest", "score", "price", "select", "done"]),
    // Only token by token: where there is a steering role, and in replays of older traces.
    ("step-candidates", "step", &["steer", "sample"]),
    // Only where a role reads latents, logits or the most likely tokens.
    ("step-newest", "step", &["steer", "estimate", "score", "price", "select"]),
    ("steer", "steer", &["plan", "sample", "expand", "estimate", "score", "price", "select", "done"]),
    ("sample", "sample", &["step-candidates", "step-newest", "score", "price", "select"]),
    ("expand", "expand", &["step-newest", "score", "price", "select"]),
    ("estimate", "estimate", &["score", "price", "select"]),
    // Per cost: scores, prices, the tracker, then what a score model withholds.
    ("score", "score", &["score", "price", "price-tail", "select"]),
    ("price", "price", &["advance", "score", "price", "price-tail", "select"]),
    ("advance", "advance", &["price-tail", "score", "price", "select"]),
    ("price-tail", "price-tail", &["score", "price", "price-tail", "select"]),
    // Keep, price, retry, check the answer, step back to the runners-up, or end.
    ("select", "select", &["plan", "grow", "sample", "score", "price", "select", "done"]),
];
