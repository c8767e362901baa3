//! Evaluation: prompts x models x methods x seeds, and the figures of the answers.
//!
//! 1. A [`Dataset`] of prompts: [`Dataset::read`] for files, [`attacked`](Dataset::attacked) for attacks on them.
//! 2. [`Settings`] say what is run. A [`Journal`] keeps every answer as it comes, so that a killed run goes on.
//! 3. [`evaluate`] asks each [`Method`], prices and judges its answers, and tells a callback after each.
//! 4. [`Report::new`] counts: [`Figures`] with intervals by part of the prompts, [`Pair`]s of methods, pictures.
//! 5. [`Grader`]s judge the answers once more, and are themselves measured on [`RatedAnswers`]; [`Verdicts`] keeps what they say.
//! 6. [`Report`] as Markdown, CSV and JSON, [`html`] for people, [`Baseline`] against getting worse.
//!
//! The crate knows no engine and no judge: the caller brings both ([`Method`], [`Judge`]). How safe an answer is, the host says
//! ([`Status`]).
//!
//! **Invariant**: a failed answer is counted and shown, never left out of the figures.
//!
//! **Invariant**: the same answers give the same report, byte for byte; intervals come from a fixed seed.

mod answer;
mod any_number;
mod baseline;
mod bootstrap;
mod calibrate;
mod costs;
mod csv_table;
mod dataset;
mod error;
mod figure;
mod figures;
pub mod html;
mod journal;
mod judge_problem;
mod judges;
mod pairs;
pub mod paper;
pub mod plots;
mod ranking;
mod report;
mod run;
mod sample;
mod settings;
mod shown;
mod table;

pub use answer::{Answer, Graded, Opinion, Priced, Verdict, begins_like_a_refusal};
pub use baseline::{Baseline, Change};
pub use bootstrap::{Measure, Resamples};
pub use calibrate::{Curve, CurvePoint, Ending, Tried};
pub use costs::CostSpread;
pub use dataset::{ATTACKS, Attack, Dataset, Intent, PLAIN, Prompt};
pub use error::EvalError;
pub use figure::{Better, FIGURES, Figure, Kind};
pub use figures::{Figures, Part};
pub use inferenceguard_search::Status;
pub use journal::Journal;
pub use judge_problem::JudgeProblem;
pub use judges::{
    Agreement, Check, Finding, Grader, JudgeId, JudgeReport, Judged, Judging, Keep, Question, RatedAnswers,
    Reliability, Replies, Topic, Verdicts, judge_answers, question_lines,
};
pub use pairs::{Basis, Pair};
pub use ranking::auc;
pub use report::Report;
pub use run::{Contestant, Judge, Method, Progress, evaluate};
pub use settings::{DatasetId, ModelId, Origin, Row, Settings, Skipped};
