//! What each role sees: batches, with only the declared columns filled.

use super::{Phase, Session};
use crate::{Batch, BatchRow, Moment, Needs, RowScores, beam::Beam, text};

impl Session {
    fn moment(&self, rows: &[&Beam]) -> Moment {
        let depth = rows.iter().map(|b| b.tokens.len()).max().unwrap_or(0) as u32;
        let last = matches!(self.phase, Phase::Select) && rows.iter().all(|b| b.finished());
        // Without candidates there is nothing to sample again: all attempts are spent.
        let spent = matches!(self.phase, Phase::Select) && self.candidates == 0;
        let attempt = if spent { self.config.limits.retries.max(self.attempt) } else { self.attempt };
        let unranked = self.config.task.is_none() && self.config.revision >= 2;
        Moment { chunk: self.chunk, attempt, depth, max_depth: self.config.max_tokens, last, unranked }
    }

    /// With `tails`, the scores include withheld tokens whose tail was scored.
    fn batch(&self, needs: &Needs, beams: &[(&Beam, usize, usize)], tails: bool) -> Batch {
        let rows = beams.iter().map(|(b, from, to)| self.row(needs, b, *from, *to, tails)).collect();
        let bare: Vec<&Beam> = beams.iter().map(|(b, ..)| *b).collect();
        Batch {
            moment: self.moment(&bare),
            constraints: self.constraints.clone(),
            prompt: if needs.prompt { self.prompt.clone() } else { "".into() },
            needs: needs.clone(),
            rows,
        }
    }

    fn row(&self, needs: &Needs, beam: &Beam, from: usize, to: usize, tails: bool) -> BatchRow {
        let read = needs.text || needs.lookback > 0;
        let piece = read.then(|| text::piece(&beam.text, from, to, needs.lookback));
        let (text, text_ends, lookback) = piece.map(|p| (p.text, p.ends, p.before)).unwrap_or_default();
        BatchRow {
            id: beam.key,
            parent: beam.parent,
            finished: beam.finished(),
            length: to as u32,
            tokens: beam.tokens[from..to].to_vec(),
            text,
            text_ends,
            lookback,
            logprobs: if needs.logprobs { beam.logprobs[from..to].to_vec() } else { Vec::new() },
            scores: row_scores(needs, beam, from, to, tails),
            priced: beam.priced,
            safe: beam.safe(&self.constraints),
            budgets: beam.ledgers.iter().map(|l| l.state.clone()).collect(),
            margins: beam.ledgers.iter().zip(self.constraints.iter()).map(|(l, c)| l.audit.margin(c)).collect(),
            spent: beam.ledgers.iter().map(|l| l.audit.raw + l.tail).collect(),
            task_cost: beam.task_cost,
            logprob: beam.logprob,
            expansion_logit: beam.expansion_logit,
            estimate: beam.estimate.clone(),
            ..BatchRow::default()
        }
    }

    pub(super) fn plan_batch(&self) -> Batch {
        let rows: Vec<_> = self.live.iter().map(|b| (b, b.born, b.tokens.len())).collect();
        let mut needs = self.roles.policy.clone();
        // Between chunks the newest token may not have been stepped yet: latents belong to `select`.
        (needs.top_k, needs.logits, needs.latents) = (0, false, None);
        needs.token_latents.clear();
        self.batch(&needs, &rows, true)
    }

    pub(super) fn steer_batch(&self, rows: &[usize], parents: bool) -> Batch {
        let beams = if parents { &self.live } else { &self.rows };
        let rows: Vec<_> = rows.iter().map(|i| (&beams[*i], beams[*i].born, beams[*i].tokens.len())).collect();
        self.batch(&self.roles.steering.clone().unwrap_or_default(), &rows, false)
    }

    pub(super) fn estimate_batch(&self) -> Batch {
        let row = |i: &usize| (&self.rows[*i], self.rows[*i].born, self.rows[*i].tokens.len());
        let rows: Vec<_> = self.estimating().iter().map(row).collect();
        self.batch(&self.roles.critic.clone().unwrap_or_default(), &rows, false)
    }

    pub(super) fn price_batch(&self, cost: &str, ranges: &[(usize, usize, usize)], tails: bool) -> Batch {
        let needs = self.roles.costs.get(cost).map(|c| c.needs.clone()).unwrap_or_default();
        let rows: Vec<_> = ranges.iter().map(|(i, from, to)| (&self.rows[*i], *from, *to)).collect();
        self.batch(&needs, &rows, tails)
    }

    pub(super) fn select_batch(&self) -> Batch {
        let rows: Vec<_> = self.rows.iter().map(|b| (b, b.born, b.tokens.len())).collect();
        self.batch(&self.roles.policy, &rows, true)
    }
}

fn row_scores(
    needs: &Needs,
    beam: &Beam,
    from: usize,
    to: usize,
    tails: bool,
) -> std::collections::BTreeMap<String, RowScores> {
    let column = |model: &String| {
        let track = beam.scores.get(model)?;
        let (known, end) = if tails { track.with_tail() } else { (track.tokens.clone(), track.end) };
        let tokens = known.get(from..to.min(known.len())).unwrap_or_default().to_vec();
        Some((model.clone(), RowScores { tokens, end }))
    };
    needs.scores.iter().filter_map(column).collect()
}
