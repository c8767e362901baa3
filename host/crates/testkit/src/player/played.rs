//! Plays sessions whose back end grows rows in another way than asked.

use super::{Player, Stage, draws};
use inferenceguard_model::{Grown, Growth, SampleRequest};
use inferenceguard_search::*;

/// A session that was played: its outcome, its trace, and the requests of every draw.
pub struct Played {
    /// How it ended.
    pub outcome: Outcome,
    /// Its needs and answers.
    pub trace: Trace,
    /// The requests of every draw.
    pub draws: Vec<Vec<SampleRequest>>,
}

/// What is made of each row that was grown: the number of the answer, that of the row, and the row.
pub type Damage = dyn Fn(usize, usize, Grown) -> Result<Grown, FailureKind>;

/// Plays a session; what its rows were grown by is damaged first.
pub fn play(player: &mut Player, mut session: Session, damage: &Damage) -> Played {
    session.record();
    let (mut stage, mut asked, mut answers) = (player.stage(), Vec::new(), 0);
    let mut spoil = |stage: &mut Stage, need: &Need, mut answer: Answer| {
        asked.extend(draws(need, &answer));
        if let (Need::Grow { rows, .. }, Answer::Grown(grown)) = (need, &mut answer) {
            for (row, (need, one)) in rows.iter().zip(grown).enumerate() {
                *one = std::mem::replace(one, Err(FailureKind::Dead)).and_then(|grown| damage(answers, row, grown));
                if one.is_err() {
                    stage.lose(need.beam);
                }
            }
            answers += 1;
        }
        answer
    };
    while player.turn(&mut session, &mut stage, &mut spoil) {}
    stage.assert_empty();
    let trace = session.trace().expect("a trace").clone();
    Played { outcome: session.outcome().expect("an outcome").clone(), trace, draws: asked }
}

/// What was asked of each chunk.
#[must_use]
pub fn chunks(trace: &Trace) -> Vec<(&Growth, &[GrowNeed])> {
    let mut chunks = Vec::new();
    for (need, _) in &trace.events {
        if let Need::Grow { growth, rows } = need {
            chunks.push((growth, rows.as_slice()));
        }
    }
    chunks
}
