//! Roles that fail, lie, or answer at random.

use crate::native::failure;
use inferenceguard_guarantee_tests::Dice;
use inferenceguard_guest::RoleError;
use inferenceguard_model::LatentSelector;
use inferenceguard_search::*;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum How {
    /// It answers with an error.
    Refuses,
    /// A number is not one.
    Nan,
    /// A row is missing.
    Short,
    /// There is a row too many.
    Long,
}

impl How {
    pub(crate) const ALL: [Self; 4] = [Self::Refuses, Self::Nan, Self::Short, Self::Long];

    fn spoil<T: Clone>(self, role: Role, rows: Vec<T>, nan: impl Fn(&mut T)) -> Result<Vec<T>, RoleFailure> {
        let mut rows = rows;
        match self {
            Self::Refuses => return Err(failure(role, RoleError::Failed("on purpose".into()))),
            Self::Nan => rows.iter_mut().for_each(nan),
            Self::Short => drop(rows.pop()),
            Self::Long => rows.extend(rows.last().cloned()),
        }
        Ok(rows)
    }
}

/// A role that goes wrong at its n-th call, counted from 0.
pub(crate) struct Faulty<R> {
    pub(crate) inner: R,
    pub(crate) call: u32,
    pub(crate) how: How,
}

impl<R> Faulty<R> {
    fn strikes(&mut self) -> bool {
        let now = self.call == 0;
        self.call = self.call.wrapping_sub(1);
        now
    }
}

impl Tracker for Faulty<Box<dyn Tracker>> {
    fn start(&mut self, constraint: &Constraint) -> Result<BudgetState, RoleFailure> {
        self.inner.start(constraint)
    }

    fn advance(&mut self, constraint: &Constraint, rows: &[Tracked]) -> Result<Vec<Advanced>, RoleFailure> {
        let out = self.inner.advance(constraint, rows)?;
        if !self.strikes() {
            return Ok(out);
        }
        self.how.spoil(Role::Tracker, out, |row| row.state.z = f64::NAN)
    }
}

impl Cost for Faulty<Box<dyn Cost>> {
    inferenceguard_testkit::described_by!(inner);

    fn price(&mut self, rows: &Batch) -> Result<Vec<Vec<f64>>, RoleFailure> {
        let out = self.inner.price(rows)?;
        if !self.strikes() {
            return Ok(out);
        }
        self.how.spoil(Role::Cost, out, |row| row.fill(f64::NAN))
    }
}

impl Critic for Faulty<Box<dyn Critic>> {
    fn needs(&self) -> &Needs {
        self.inner.needs()
    }

    fn estimate(&mut self, rows: &Batch) -> Result<Vec<Estimate>, RoleFailure> {
        let out = self.inner.estimate(rows)?;
        if !self.strikes() {
            return Ok(out);
        }
        self.how.spoil(Role::Critic, out, |row| row.cost_to_go = f64::NAN)
    }
}

impl Policy for Faulty<Box<dyn Policy>> {
    fn needs(&self) -> &Needs {
        self.inner.needs()
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        self.inner.plan(rows)
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        let decision = self.inner.select(rows)?;
        let beyond = rows.rows.len() as u32;
        Ok(match (self.strikes(), self.how) {
            (false, _) => decision,
            (true, How::Refuses) => return Err(failure(Role::Policy, RoleError::Failed("on purpose".into()))),
            (true, How::Nan) => Decision::Retry(Retry { penalty: f32::NAN, max_mass: 0.5 }),
            (true, How::Short) => Decision::Keep(Vec::new()),
            (true, How::Long) => Decision::Answer(beyond),
        })
    }
}

/// Says that everything is safe.
pub(crate) struct Liar;

impl Tracker for Liar {
    fn start(&mut self, constraint: &Constraint) -> Result<BudgetState, RoleFailure> {
        Ok(BudgetState { z: constraint.budget, memory: Vec::new() })
    }

    fn advance(&mut self, constraint: &Constraint, rows: &[Tracked]) -> Result<Vec<Advanced>, RoleFailure> {
        let lie = |row: &Tracked| {
            let state = BudgetState { z: constraint.budget, memory: Vec::new() };
            Advanced { state, safe: true, trace: vec![constraint.budget; row.costs.len()] }
        };
        Ok(rows.iter().map(lie).collect())
    }
}

/// Foresees at random, or the same of everything.
pub(crate) struct Guess {
    pub(crate) needs: Needs,
    pub(crate) dice: Dice,
    pub(crate) always: Option<f64>,
}

impl Critic for Guess {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn estimate(&mut self, rows: &Batch) -> Result<Vec<Estimate>, RoleFailure> {
        let dice = &mut self.dice;
        let always = self.always;
        let mut safe = || always.unwrap_or_else(|| dice.share());
        let constraints = rows.constraints.len();
        Ok(rows
            .rows
            .iter()
            .map(|_| Estimate { safe: (0..constraints).map(|_| safe()).collect(), cost_to_go: safe() })
            .collect())
    }
}

/// Pushes latents about; the toy's latents are its logits.
pub(crate) struct Nudge {
    needs: Needs,
    dice: Dice,
    fails_at: u32,
}

impl Nudge {
    pub(crate) fn new(dice: Dice, fails_at: u32) -> Self {
        let needs = Needs { latents: Some(LatentSelector::FinalNorm), ..Needs::default() };
        Self { needs, dice, fails_at }
    }
}

impl Steering for Nudge {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn steer(&mut self, rows: &Batch) -> Result<Steered, RoleFailure> {
        self.fails_at = self.fails_at.wrapping_sub(1);
        if self.fails_at == u32::MAX {
            return Ok(Steered::All(vec![f32::NAN; 3]));
        }
        let latents = rows.rows.iter().flat_map(|row| row.latent.iter().flat_map(|latent| latent.to_vec()));
        Ok(Steered::All(latents.map(|value| value + self.dice.within(-2.0, 2.0) as f32).collect()))
    }
}
