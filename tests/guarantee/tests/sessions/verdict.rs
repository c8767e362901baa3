//! Plays one case and compares its output with the cost of its ids.

use crate::{
    case::{Case, Fault, PROMPT, Player},
    is_guarded,
    reprice::Pricer,
};
use inferenceguard_guarantee_tests::closed_form;
use inferenceguard_host::{CancelToken, Engine, EngineError, Event, LiveBeams, Output, Request};
use inferenceguard_search::{Finish, Granularity, OnExhausted, PricedConstraint, Status};
use std::collections::BTreeMap;

/// How often what happened.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    /// Plays a case natively and checks it.
    pub(crate) fn add(&mut self, case: &Case) {
        if let Err(error) = self.play(case, &case.engine()) {
            assert!(case.breaks_back_end(), "{error}\n{case:#?}");
            self.more("no answer", 1);
        }
    }

    /// Plays a case on this engine and checks it.
    pub(crate) fn play(&mut self, case: &Case, engine: &Engine) -> Result<Output, EngineError> {
        let (output, released) = played(case, engine)?;
        let verdict = Verdict { case, output: &output, pricer: Pricer::new(case) };
        verdict.check();
        verdict.released(&released);
        self.count(case, &output, released.len());
        Ok(output)
    }

    fn count(&mut self, case: &Case, output: &Output, pieces: usize) {
        self.more("trajectories", output.usage.priced_beams);
        self.more("retried", output.usage.retries.min(1));
        self.more("stepped back", output.usage.backtracks.min(1));
        self.more("failed", u64::from(!output.failures.is_empty()));
        self.more("lied to", u64::from(matches!(case.fault, Some(Fault::Lie))));
        self.more("released early", u64::from(pieces > 1));
        self.more("plainly released early", u64::from(pieces > 1 && case.is_plain()));
        let status = match output.status {
            Status::WithinBudget => "within",
            Status::BudgetExceeded => "exceeded",
            Status::NoSafeCandidate => "refused",
            Status::Failed => "withheld",
            Status::Unguarded => "unguarded",
        };
        let finish = match output.finish {
            Finish::Eos => "eos",
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::Refused => "no fit",
            Finish::Failed => "no verdict",
            Finish::Cancelled => "cancelled",
        };
        self.more(status, 1);
        self.more(finish, 1);
    }

    fn more(&mut self, what: &'static str, by: u64) {
        *self.0.entry(what).or_default() += by;
    }

    /// Otherwise the cases would prove little: each of these things must have happened this often.
    pub(crate) fn demand(&self, least: &[(&str, u64)]) {
        for (what, count) in least {
            let found = self.0.get(what).copied().unwrap_or(0);
            assert!(found >= *count, "`{what}` happened {found} times, expected {count}: {self:?}");
        }
    }
}

/// Plays to the end; checks that nothing leaks. The pieces of text as they were released.
fn played(case: &Case, engine: &Engine) -> Result<(Output, Vec<String>), EngineError> {
    let cancel = CancelToken::new();
    let (mut released, mut decisions) = (Vec::new(), 0);
    let request = Request { max_tokens: Some(case.config.max_tokens), ..Request::new(PROMPT) };
    let output = engine.stream(request, &cancel, |event| match event {
        Event::Released { text } => released.push(text),
        Event::Progress(_) => {
            decisions += 1;
            if case.cancel.is_some_and(|after| decisions >= after) {
                cancel.cancel();
            }
        }
        _ => {}
    });
    assert_eq!(engine.live_beams(), LiveBeams::default(), "beams leak\n{case:#?}");
    Ok((output?, released))
}

/// What must hold of an output.
struct Verdict<'a> {
    case: &'a Case,
    output: &'a Output,
    pricer: Pricer<'a>,
}

impl Verdict<'_> {
    fn require(&self, holds: bool, what: impl FnOnce() -> String) {
        assert!(holds, "{}\n{:#?}\n{:#?}", what(), self.output, self.case);
    }

    fn check(&self) {
        for (at, priced) in self.case.config.constraints.iter().enumerate() {
            if self.output.status == Status::WithinBudget {
                self.within(priced);
            }
            if !self.output.tokens.is_empty() && self.case.fault.is_none() {
                self.reported(at, priced);
            }
        }
        self.require(self.output.tokens.len() <= self.case.config.max_tokens as usize, || "too long".into());
        let failed = self.output.finish == Finish::Failed;
        self.require(failed == (self.output.status == Status::Failed), || "half a failure".into());
        let refused = matches!(self.output.finish, Finish::Refused | Finish::Cancelled);
        let status = self.output.status == Status::NoSafeCandidate;
        self.require(refused == status, || "half a refusal".into());
        // A refusal that hides a failure would be counted as caution.
        let hidden = self.output.finish == Finish::Refused && !self.output.failures.is_empty();
        self.require(!hidden, || "a failure is called a refusal".into());
        self.require(!failed || !self.output.failures.is_empty(), || "a failure without a reason".into());
        let refused = refused || failed;
        self.require(refused == self.output.tokens.is_empty(), || "tokens of what was withheld".into());
        if !refused {
            self.text();
        }
        let guarded = matches!(self.case.player, Player::Method(name) if is_guarded(name));
        let refuses = self.case.config.on_exhausted == OnExhausted::Refuse;
        let exceeded = self.output.status == Status::BudgetExceeded;
        self.require(!(guarded && refuses && exceeded), || "a guarded method was to refuse".into());
    }

    /// The promise: the generated ids and those of the emitted text, priced again from scratch, keep the budget.
    fn within(&self, priced: &PricedConstraint) {
        let tokens = &self.output.tokens;
        let spent = self.pricer.counted(priced, tokens, self.case.planned_chunk() as usize);
        let (name, budget) = (&priced.constraint.name, priced.constraint.budget);
        self.require(spent < budget, || format!("`{name}`: the ids cost {spent} of {budget}"));
        let mut again = self.pricer.encode(&self.output.text);
        again.extend(self.pricer.end(tokens));
        if again != *tokens && !again.is_empty() {
            let spent = self.pricer.counted(priced, &again, again.len());
            self.require(spent < budget, || format!("`{name}`: the text's ids {again:?} cost {spent} of {budget}"));
        }
    }

    /// The report: what was counted on the way is what the ids cost, and z is that of the closed form. A word that only
    /// seemed to end where a chunk did was charged all the same, so words may cost less in hindsight.
    fn reported(&self, at: usize, priced: &PricedConstraint) {
        let report = &self.output.constraints[at];
        let charges = self.pricer.charges(priced, &self.output.tokens, self.case.planned_chunk() as usize);
        let sums = closed_form::sums(&priced.constraint, &charges);
        let most = sums.iter().copied().fold(0.0, f64::max);
        let room = 1e-9 * closed_form::scale(&priced.constraint, &charges);
        self.require(most <= report.max_cost + room, || format!("`{}` reports too little: {most}", report.name));
        self.require(report.z.len() == self.output.tokens.len() + 1, || "z for every token".into());
        if priced.cost == "words" {
            return;
        }
        let last = sums.last().copied().unwrap_or(0.0);
        let near = |a: f64, b: f64| (a - b).abs() <= room;
        self.require(near(most, report.max_cost) && near(last, report.cost), || {
            format!("`{}`: the ids cost {last}, at most {most}", report.name)
        });
        for (k, (found, due)) in report.z[1..].iter().zip(closed_form::z(&priced.constraint, &charges)).enumerate() {
            let scaled = priced.constraint.gamma.powi(k as i32 + 1) * (found - due);
            self.require(scaled.abs() <= room, || format!("`{}`: z after {k} is {found}, not {due}", report.name));
        }
    }

    /// Nothing is taken back, and what is released early keeps the budget on its own. That can be checked where a text has
    /// one spelling and every token its own charge.
    fn released(&self, pieces: &[String]) {
        self.require(pieces.concat() == self.output.text, || format!("released: {pieces:?}"));
        let early = |count: usize| pieces[..count].concat();
        for priced in self.case.config.constraints.iter().filter(|one| self.is_plain(one)) {
            for text in (1..pieces.len()).map(early) {
                let spent = self.pricer.counted(priced, &self.pricer.encode(&text), 1);
                let budget = priced.constraint.budget;
                self.require(spent < budget, || format!("`{text}` was released, and costs {spent} of {budget}"));
            }
        }
    }

    fn is_plain(&self, priced: &PricedConstraint) -> bool {
        self.case.is_plain() && priced.cost == "harm" && priced.granularity == Granularity::Token
    }

    fn text(&self) {
        let whole = self.pricer.decode(&self.output.tokens);
        let stop = self.case.config.stop.iter().filter_map(|stop| whole.find(stop.as_str())).min();
        let due = &whole[..stop.unwrap_or(whole.len())];
        self.require(self.output.text == due, || format!("the text should be {due:?}"));
        self.require(stop.is_some() == (self.output.finish == Finish::Stop), || "a stop text was missed".into());
    }
}
