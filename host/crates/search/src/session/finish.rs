//! Endings: what is released, the outcome, and which beams can go.

use super::{Phase, Session};
use crate::{
    BeamKey, ConstraintMode, ConstraintReport, Finish, Granularity, Need, Outcome, Release, RoleFailure, SearchError,
    Status,
    beam::{Beam, ROOT},
    text,
};
use inferenceguard_model::{GrowingText, Token};
use std::collections::BTreeSet;

/// How many tokens may be held back because a cut within a word is spelled in another way.
const REACH: usize = 16;

impl Session {
    /// Releases the text on which all kept beams agree, as far as every constraint has priced it and held.
    pub(super) fn release_agreed(&mut self) -> Result<(), SearchError> {
        let early = |c: &crate::PricedConstraint| {
            c.constraint.mode == ConstraintMode::Anytime && c.granularity != Granularity::Terminal
        };
        let beams: Vec<&Beam> = self.live.iter().chain(&self.pool).collect();
        let safe = beams.iter().all(|b| b.safe(&self.constraints));
        let (Some(first), true, true) = (beams.first(), safe, self.config.constraints.iter().all(early)) else {
            return Ok(());
        };
        if self.config.release == Release::AtEnd {
            return Ok(());
        }
        let charged = |b: &&Beam| b.ledgers.iter().map(|l| l.charged).min().unwrap_or(b.tokens.len());
        let mut len = beams.iter().map(charged).min().unwrap_or(0);
        for beam in &beams {
            let same = first.tokens.iter().zip(&beam.tokens).take_while(|(a, b)| a == b).count();
            len = len.min(same);
        }
        let text = first.text.of_first(self.spelled_alike(&first.tokens[..len])?);
        let text = &text[..first.text_len.unwrap_or(text.len()).min(text.len())];
        let text = text::before_partial_stop(text, &self.config.stop);
        if text.len() > self.released.len() && text.starts_with(&self.released) {
            self.released = text.to_owned();
        }
        Ok(())
    }

    /// How many of the first `tokens` have a text that, going on from the prompt, is cut into the same tokens again: what
    /// is released is then priced in both spellings. 0 if there are none within the last [`REACH`] tokens.
    fn spelled_alike(&self, tokens: &[Token]) -> Result<usize, SearchError> {
        if self.constraints.is_empty() {
            return Ok(tokens.len());
        }
        let end = tokens.iter().position(|token| self.vocabulary.eos.contains(token)).unwrap_or(tokens.len());
        for len in (end.saturating_sub(REACH)..=end).rev() {
            if self.is_cut_alike(&tokens[..len])? {
                return Ok(len);
            }
        }
        Ok(0)
    }

    /// Whether the text of these tokens is cut into the same tokens again. A control token with a text of its own, such as
    /// `<think>`, counts as spelled by itself, since words never become it. A control token without a text does not: the text
    /// around it may be cut across it.
    fn is_cut_alike(&self, tokens: &[Token]) -> Result<bool, SearchError> {
        let tokenizer = self.tokenizer.as_ref();
        let spelled = |tokens: &[Token]| GrowingText::continued(tokenizer).with(tokenizer, tokens);
        let apart =
            |token: &Token| tokenizer.is_control(*token) && spelled(&[*token]).is_ok_and(|it| !it.text().is_empty());
        for stretch in tokens.split(apart) {
            if tokenizer.encode_continued(spelled(stretch)?.text())? != stretch {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends with this beam as the answer.
    pub(super) fn emit(&mut self, beam: &Beam) -> Result<(), SearchError> {
        let text = beam.answer_text().to_owned();
        if !text.starts_with(&self.released) {
            let same = self.released.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
            return Err(SearchError::Released { released: self.released.len(), answer: text.len(), same });
        }
        let status = self.standing(beam);
        self.released.clone_from(&text);
        self.end(Some(beam), text, status, beam.finish.unwrap_or(Finish::Length));
        Ok(())
    }

    /// How safe this beam is. Before revision 2, an answer without constraints counted as within budget.
    fn standing(&self, beam: &Beam) -> Status {
        if self.constraints.is_empty() && self.config.revision >= 2 {
            return Status::Unguarded;
        }
        if beam.safe(&self.constraints) { Status::WithinBudget } else { Status::BudgetExceeded }
    }

    /// Ends with the refusal text, after what was already released. If a component failed in this request, or the newest attempt
    /// lost rows, the request failed: whether anything was fit is not known.
    pub(super) fn refuse(&mut self) -> Result<(), SearchError> {
        let gap = if self.released.is_empty() { "" } else { "\n" };
        let text = format!("{}{gap}{}", self.released, self.config.refusal);
        self.released.clone_from(&text);
        let (status, finish) = match self.failures.is_empty() {
            true => (Status::NoSafeCandidate, Finish::Refused),
            false => (Status::Failed, Finish::Failed),
        };
        self.end(None, text, status, finish);
        Ok(())
    }

    /// Ends because a component, or the language model, failed that the session cannot continue without.
    pub(super) fn abandon(&mut self, failure: RoleFailure) -> Result<(), SearchError> {
        self.fail(failure);
        self.refuse()
    }

    /// Ends the request now; what was released stays the answer.
    pub fn cancel(&mut self) {
        if self.outcome.is_none() {
            self.asked = None;
            let text = self.released.clone();
            self.end(None, text, Status::NoSafeCandidate, Finish::Cancelled);
        }
    }

    /// Ends the request now because of an error outside of the session; what was released stays the answer.
    pub fn cut_off(&mut self, failure: RoleFailure) {
        if self.outcome.is_none() {
            self.asked = None;
            self.fail(failure);
            let text = self.released.clone();
            self.end(None, text, Status::Failed, Finish::Failed);
        }
    }

    fn end(&mut self, beam: Option<&Beam>, text: String, status: Status, finish: Finish) {
        let tokens = beam.map(|b| b.tokens.clone()).unwrap_or_default();
        let logprobs = beam.map(|b| b.logprobs.clone()).unwrap_or_default();
        self.usage.completion_tokens = tokens.len() as u64;
        self.outcome = Some(Outcome {
            text,
            tokens,
            logprobs,
            status,
            finish,
            constraints: self.reports(beam),
            task_cost: beam.and_then(|b| b.task_cost),
            logprob: beam.map_or(0.0, |b| b.logprob),
            usage: self.usage,
            failures: self.failures.clone(),
        });
        self.phase = Phase::Done;
        for beams in [&mut self.live, &mut self.rows, &mut self.pool, &mut self.runners_up] {
            beams.clear();
        }
    }

    fn reports(&self, beam: Option<&Beam>) -> Vec<ConstraintReport> {
        let report = |(i, c): (usize, &crate::Constraint)| {
            let ledger = beam.and_then(|b| b.ledgers.get(i));
            ConstraintReport {
                name: c.name.clone(),
                budget: c.budget,
                cost: ledger.map_or(0.0, |l| l.audit.sum),
                max_cost: ledger.map_or(0.0, |l| l.audit.max),
                z: ledger.map(|l| l.z.clone()).unwrap_or_default(),
                whole: beam.and_then(|b| b.whole.get(i).copied().flatten()),
            }
        };
        self.constraints.iter().enumerate().map(report).collect()
    }

    /// Frees beams that are not reachable any more. Checked only in phases in which beams are dropped.
    pub(super) fn garbage(&mut self) -> Option<Need> {
        let retried = self.phase == Phase::Grow || (self.phase == Phase::Sample && self.offset == 0);
        if !(retried || matches!(self.phase, Phase::Plan | Phase::Done)) {
            return None;
        }
        let (mut beams, mut scored) = (BTreeSet::new(), BTreeSet::new());
        let rows = if self.phase == Phase::Plan { [].iter() } else { self.rows.iter() };
        for beam in self.live.iter().chain(&self.pool).chain(&self.runners_up).chain(rows) {
            beams.insert(if beam.held { beam.key } else { beam.parent });
            scored.extend(beam.scores.values().map(|t| t.anchor));
        }
        if self.phase != Phase::Done {
            scored.insert(ROOT);
        }
        let beams = drop_all_but(&mut self.held, &beams);
        let scored = drop_all_but(&mut self.scored, &scored);
        (!beams.is_empty() || !scored.is_empty()).then_some(Need::Release { beams, scored })
    }
}

fn drop_all_but(held: &mut Vec<BeamKey>, used: &BTreeSet<BeamKey>) -> Vec<BeamKey> {
    let (kept, dropped) = std::mem::take(held).into_iter().partition(|k| used.contains(k));
    *held = kept;
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RolesInfo, SearchConfig, Vocabulary};
    use inferenceguard_model::toy::ToyScript;

    fn session() -> Session {
        let tokenizer = ToyScript::parse("vocab: <eos>* good bad\nafter : good 1").expect("parses").tokenizer();
        let config = SearchConfig { max_tokens: 4, release: Release::Agreement, ..SearchConfig::default() };
        Session::new(config, RolesInfo::default(), Vocabulary::default(), "ask", vec![1], tokenizer).expect("valid")
    }

    #[test]
    fn an_answer_that_takes_back_what_was_released_is_an_error() {
        for (released, fits) in [("", true), ("goo", true), ("good", true), ("good bad", false), ("bad", false)] {
            let mut session = session();
            let mut beam = Beam::root(Vec::new(), crate::EPSILON);
            beam.push(session.tokenizer.as_ref(), 1, 0.0).expect("known");
            session.released = released.to_owned();
            let emitted = session.emit(&beam);
            assert_eq!(emitted.is_ok(), fits, "{released}");
            if let Err(error) = emitted {
                assert!(
                    matches!(error, SearchError::Released { .. }) && error.to_string().contains("already"),
                    "{error}"
                );
                assert_eq!(session.released(), released, "it stays what it was");
            }
        }
    }
}
