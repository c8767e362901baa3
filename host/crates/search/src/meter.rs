//! Prices text that another engine writes: the costs, the tracker and the audit, without a search.

use crate::{
    Advanced, Audit, Batch, BatchRow, Constraint, Cost, CostGrain, EPSILON, FailureKind, Metered, Moment, Needs, Piece,
    PricedConstraint, Role, RoleFailure, SearchConfig, SearchError, Tracked, Tracker, beam::Ledger, check::Check,
    meterable, session::spread, text,
};
use inferenceguard_model::ByteText;
use std::{collections::BTreeMap, sync::Arc};

/// The budgets of one answer that another engine writes. An answer that this calls safe kept them; it says nothing of what
/// the engine could have written instead. A piece after the end of the answer, or beyond its most tokens, is unsafe.
pub struct Meter {
    constraints: Vec<PricedConstraint>,
    bare: Arc<[Constraint]>,
    tracker: Box<dyn Tracker>,
    costs: BTreeMap<String, Box<dyn Cost>>,
    /// The part of `1 + budget` that must be left of each budget.
    margins: Vec<f64>,
    ledgers: Vec<Ledger>,
    prompt: Arc<str>,
    text: ByteText,
    /// The sum of the log-probabilities of what was accepted; negative infinity if one is not known.
    logprob: f64,
    length: u32,
    max_tokens: u32,
    ended: bool,
    failures: Vec<RoleFailure>,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Meter {
    /// For an answer to this prompt, under the constraints of `config`.
    ///
    /// # Errors
    /// [`SearchError::Config`] if a cost reads what only an engine of ours gives: scores, latents or logits; or if a price
    /// is due at the end of an answer, when another engine has appended it already; or if a budget is no larger than its margin:
    /// 3 % of 1 + the budget for costs on log-probabilities, which another engine may compute in bf16.
    pub fn new(
        config: &SearchConfig,
        tracker: Box<dyn Tracker>,
        costs: BTreeMap<String, Box<dyn Cost>>,
        prompt: &str,
    ) -> Result<Self, SearchError> {
        let mut margins = Vec::new();
        for priced in &config.constraints {
            margins.push(meterable::margin(priced, costs.get(&priced.cost).map(|cost| cost.needs()), config.margin)?);
        }
        let bare: Arc<[Constraint]> = config.constraints.iter().map(|priced| priced.constraint.clone()).collect();
        let mut meter = Self {
            constraints: config.constraints.clone(),
            bare,
            tracker,
            costs,
            margins,
            ledgers: Vec::new(),
            prompt: prompt.into(),
            text: ByteText::default(),
            logprob: 0.0,
            length: 0,
            max_tokens: config.max_tokens,
            ended: false,
            failures: Vec::new(),
        };
        meter.ledgers = (0..meter.constraints.len()).map(|at| meter.start(at)).collect();
        Ok(meter)
    }

    /// What each of these would do, each alone after what was accepted. Nothing is accepted.
    pub fn weigh(&mut self, pieces: &[Piece]) -> Vec<Metered> {
        let weighed = self.charged(pieces);
        weighed.iter().map(|ledgers| self.metered(ledgers)).collect()
    }

    /// Charges this piece: it is part of the answer now, whatever it costs.
    pub fn accept(&mut self, piece: &Piece) -> Metered {
        if let Some(ledgers) = self.charged(std::slice::from_ref(piece)).pop() {
            self.ledgers = ledgers;
        }
        self.text.push(&piece.bytes);
        self.logprob += piece.logprob_in_sum();
        self.length += 1;
        self.ended |= piece.ended;
        self.metered(&self.ledgers)
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Metered {
        self.metered(&self.ledgers)
    }

    /// The constraints, in the order of all margins.
    #[must_use]
    pub fn constraints(&self) -> &[Constraint] {
        &self.bare
    }

    /// Components that failed: what they should have priced counts as unsafe. Of each kind of failure of a component, the
    /// first.
    #[must_use]
    pub fn failures(&self) -> &[RoleFailure] {
        &self.failures
    }

    fn start(&mut self, at: usize) -> Ledger {
        let check = Check { role: Role::Tracker, component: "tracker" };
        let started = self.tracker.start(&self.bare[at]).and_then(|state| check.start(state));
        started.map(|state| Ledger::new(state, self.margins[at])).unwrap_or_else(|failure| {
            self.remember(failure);
            broken(&self.bare[at])
        })
    }

    /// The ledgers after each piece alone.
    fn charged(&mut self, pieces: &[Piece]) -> Vec<Vec<Ledger>> {
        if self.ended || self.length >= self.max_tokens {
            return vec![self.bare.iter().map(broken).collect(); pieces.len()];
        }
        let mut after: Vec<Vec<Ledger>> = vec![self.ledgers.clone(); pieces.len()];
        for at in 0..self.constraints.len() {
            // What is broken stays broken, and no tracker has a state for it.
            if is_broken(&self.ledgers[at]) {
                continue;
            }
            let column = after.iter_mut().map(|ledgers| &mut ledgers[at]).zip(pieces);
            let (known, unknown): (Vec<_>, Vec<_>) = column.partition(|(_, piece)| self.is_known(at, piece));
            for (ledger, piece) in unknown {
                *ledger = broken(&self.bare[at]);
                self.remember(unpriceable(&self.constraints[at].cost, piece));
            }
            let (ledgers, pieces): (Vec<_>, Vec<&Piece>) = known.into_iter().unzip();
            self.charge_all(at, ledgers, &pieces);
        }
        after
    }

    /// Whether a piece has all that the cost of this constraint reads of it.
    fn is_known(&self, at: usize, piece: &Piece) -> bool {
        let reads = self.costs.get(&self.constraints[at].cost).is_some_and(|cost| cost.needs().logprobs);
        !reads || piece.known_logprob().is_some()
    }

    /// Charges each of these ledgers of one constraint for its piece.
    fn charge_all(&mut self, at: usize, ledgers: Vec<&mut Ledger>, pieces: &[&Piece]) {
        if pieces.is_empty() {
            return;
        }
        match self.price(at, pieces).and_then(|costs| self.advance(at, pieces, costs)) {
            Ok(charged) => ledgers.into_iter().zip(charged).for_each(|(ledger, (costs, advanced))| {
                if let Err(failure) = charge(ledger, &self.bare[at], &costs, advanced) {
                    *ledger = broken(&self.bare[at]);
                    self.remember(failure);
                }
            }),
            Err(failure) => {
                ledgers.into_iter().for_each(|ledger| *ledger = broken(&self.bare[at]));
                self.remember(failure);
            }
        }
    }

    /// One cost per piece.
    fn price(&mut self, at: usize, pieces: &[&Piece]) -> Result<Vec<Vec<f64>>, RoleFailure> {
        let PricedConstraint { cost: name, granularity, .. } = &self.constraints[at];
        let batch = self.batch(at, pieces);
        let cost = self
            .costs
            .get_mut(name)
            .ok_or_else(|| RoleFailure::bad_output(Role::Cost, name, "nothing".to_owned(), "a cost"))?;
        let grain: CostGrain = cost.grain();
        let check = Check { role: Role::Cost, component: name };
        let prices = cost.price(&batch).and_then(|prices| check.prices(prices, &vec![1; pieces.len()], grain))?;
        Ok(prices.into_iter().map(|price| spread(price, 1, *granularity)).collect())
    }

    fn advance(
        &mut self,
        at: usize,
        pieces: &[&Piece],
        costs: Vec<Vec<f64>>,
    ) -> Result<Vec<(Vec<f64>, Advanced)>, RoleFailure> {
        let state = &self.ledgers[at].state;
        let row = |(costs, piece): (&Vec<f64>, &&Piece)| Tracked {
            state: state.clone(),
            costs: costs.clone(),
            ended: piece.ended,
        };
        let rows: Vec<Tracked> = costs.iter().zip(pieces).map(row).collect();
        let check = Check { role: Role::Tracker, component: "tracker" };
        let advanced = self.tracker.advance(&self.bare[at], &rows).and_then(|out| check.advanced(out, &rows))?;
        Ok(costs.into_iter().zip(advanced).collect())
    }

    fn batch(&self, at: usize, pieces: &[&Piece]) -> Batch {
        let needs = self.costs.get(&self.constraints[at].cost).map(|cost| cost.needs().clone()).unwrap_or_default();
        let rows = pieces.iter().zip(1..).map(|(piece, id)| self.row(&needs, piece, id)).collect();
        Batch {
            moment: Moment { depth: self.length + 1, max_depth: u32::MAX, ..Moment::default() },
            constraints: Arc::clone(&self.bare),
            prompt: if needs.prompt { Arc::clone(&self.prompt) } else { "".into() },
            needs,
            rows,
        }
    }

    fn row(&self, needs: &Needs, piece: &Piece, id: u64) -> BatchRow {
        // Only the bytes that wait for the rest of their character are copied, however long the answer is.
        let mut new = ByteText::default();
        new.push(self.text.pending());
        new.push(&piece.bytes);
        let text = if needs.text || needs.lookback > 0 { new.text().to_owned() } else { String::new() };
        let ends = if text.is_empty() && !needs.text { Vec::new() } else { vec![text.chars().count() as u32] };
        BatchRow {
            id,
            finished: piece.ended,
            length: self.length + 1,
            tokens: vec![piece.token],
            text_ends: ends,
            text,
            lookback: text::tail(self.text.text(), needs.lookback as usize).to_owned(),
            // A piece without one is not priced by a cost that needs it.
            logprobs: piece.logprob.filter(|_| needs.logprobs).into_iter().collect(),
            logprob: self.logprob + piece.logprob_in_sum(),
            ..BatchRow::default()
        }
    }

    fn remember(&mut self, failure: RoleFailure) {
        let kind = |one: &RoleFailure| (one.role, one.kind.name());
        let same = |one: &RoleFailure| kind(one) == kind(&failure) && one.component == failure.component;
        if !self.failures.iter().any(same) {
            self.failures.push(failure);
        }
    }

    fn metered(&self, ledgers: &[Ledger]) -> Metered {
        let pairs = || ledgers.iter().zip(self.bare.iter());
        Metered {
            safe: pairs().all(|(ledger, one)| ledger.tracker_safe && ledger.audit.holds(one)),
            margins: pairs().map(|(ledger, one)| ledger.audit.margin(one)).collect(),
        }
    }
}

/// Charges one piece. No trace of z is kept: an answer of another engine is as long as it likes.
fn charge(ledger: &mut Ledger, constraint: &Constraint, costs: &[f64], advanced: Advanced) -> Result<(), RoleFailure> {
    let charged = ledger.charge(constraint, costs, advanced);
    ledger.z.clear();
    charged
}

/// The failure of a cost that reads log-probabilities at a piece without one.
fn unpriceable(cost: &str, piece: &Piece) -> RoleFailure {
    let found =
        piece.logprob.map_or_else(|| "no log-probability".to_owned(), |given| format!("the log-probability {given}"));
    let expected = format!("a finite log-probability of token {}, at most 0, because this cost reads it", piece.token);
    RoleFailure { role: Role::Cost, component: cost.to_owned(), kind: FailureKind::Given { found, expected } }
}

fn is_broken(ledger: &Ledger) -> bool {
    ledger.state.z == f64::NEG_INFINITY
}

/// Unsafe, whatever comes.
fn broken(constraint: &Constraint) -> Ledger {
    let mut audit = Audit::default();
    audit.charge(constraint, &[f64::INFINITY]);
    let state = crate::BudgetState { z: f64::NEG_INFINITY, memory: Vec::new() };
    Ledger { audit, tracker_safe: false, ..Ledger::new(state, EPSILON) }
}
