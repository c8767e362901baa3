//! What a network learns from trajectories, and the rows that it reads.

use super::{
    collect::{LatentRows, Trajectories},
    error::Result,
    reading::Reading,
    targets::{self, BudgetSeen, Spending, charged},
};
use inferenceguard_dice::Dice;
use inferenceguard_search::PricedConstraint;

/// What a network learns.
#[derive(Debug, Clone, PartialEq)]
pub enum Objective {
    /// A critic: P(safe to the end) per constraint, and the task cost of the finished answer.
    Critic(CriticObjective),
    /// The value of RE-Control: the reward of the finished answer, less `lambda` times its safety cost.
    Value {
        /// 0 for the reward alone.
        lambda: f64,
        /// Which cost `lambda` weighs.
        weighed: Weighed,
    },
}

/// The safety cost of a finished answer as the Lagrangian policies weigh it: neither discounted nor clipped, added up over
/// the constraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weighed {
    /// The cost at the last token: for costs that are scores, the score of the answer.
    End,
    /// The costs of all tokens.
    Sum,
}

impl Weighed {
    /// The safety cost of an answer with these costs, per constraint one per token.
    #[must_use]
    pub fn of(self, costs: &[Vec<f64>]) -> f64 {
        match self {
            Self::End => costs.iter().filter_map(|costs| costs.last()).sum(),
            Self::Sum => costs.iter().flatten().sum(),
        }
    }

    /// As the policies' setting and a network's metadata have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Sum => "sum",
        }
    }
}

/// What a critic learns.
#[derive(Debug, Clone, PartialEq)]
pub struct CriticObjective {
    /// The constraints, with the budgets of the deployment.
    pub constraints: Vec<PricedConstraint>,
    /// Per constraint, the range that budgets are drawn from: lowest and highest, above 0.
    pub budgets: Vec<(f64, f64)>,
    /// Which costs are charged when the critic is asked.
    pub seen: BudgetSeen,
    /// Tokens of a chunk.
    pub chunk: usize,
    /// Whether the task cost is scaled by γ^T (γ of the first constraint), as in the paper's formula. Off by default:
    /// it makes longer good answers look slightly worse.
    pub discount: bool,
}

impl CriticObjective {
    /// The budgets of the deployment.
    #[must_use]
    pub fn own_budgets(&self) -> Vec<f64> {
        self.constraints.iter().map(|priced| priced.constraint.budget).collect()
    }

    /// A budget for each constraint: every factor between lowest and highest is as likely as any other.
    pub(super) fn draw(&self, dice: &mut Dice) -> Vec<f64> {
        self.budgets.iter().map(|(low, high)| low * (high / low).powf(dice.unit())).collect()
    }
}

/// One position to learn from or to predict.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The answer it belongs to.
    pub answer: usize,
    /// Its row in the tables of latents.
    pub row: usize,
    /// Answer tokens before it.
    pub position: usize,
    /// z / d per constraint; empty for a value.
    pub z: Vec<f32>,
    /// 1 for safe to the end, per constraint; empty for a value.
    pub safe: Vec<f32>,
    /// The task cost, or the value.
    pub value: f64,
}

/// Which positions of an answer are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// All kept positions: for training.
    All,
    /// The positions where the host asks the network: the ends of chunks for a critic, all positions for a value.
    Asked,
}

impl Objective {
    /// The number of logits.
    #[must_use]
    pub fn logits(&self) -> usize {
        match self {
            Self::Critic(critic) => critic.constraints.len(),
            Self::Value { .. } => 0,
        }
    }

    /// The name of its network's file, without ending.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Critic(_) => "critic",
            Self::Value { lambda, .. } if *lambda == 0.0 => "value",
            Self::Value { .. } => "value-lagrangian",
        }
    }

    /// Budgets drawn for one answer; none for a value.
    pub(super) fn draw(&self, dice: &mut Dice) -> Vec<f64> {
        match self {
            Self::Critic(critic) => critic.draw(dice),
            Self::Value { .. } => Vec::new(),
        }
    }

    /// The examples of one answer under these budgets.
    #[must_use]
    pub fn examples(&self, data: &Trajectories, answer: usize, budgets: &[f64], which: Positions) -> Vec<Example> {
        let (trajectory, first) = (&data.all[answer], data.first_rows[answer]);
        let rows = trajectory.positions.iter().enumerate().map(|(at, position)| (first + at, *position));
        match self {
            Self::Value { lambda, weighed } => {
                let value = -trajectory.task_cost - lambda * weighed.of(&trajectory.costs);
                let (z, safe) = (Vec::new(), Vec::new());
                rows.map(|(row, position)| Example { answer, row, position, z: z.clone(), safe: safe.clone(), value })
                    .collect()
            }
            Self::Critic(critic) => {
                let spending = critic.spending(&trajectory.costs);
                let end = trajectory.tokens.len();
                let asked = |position: usize| which == Positions::All || position.is_multiple_of(critic.chunk);
                let inside = rows.filter(|(_, position)| *position > 0 && *position < end && asked(*position));
                let value = trajectory.task_cost * critic.factor(end);
                inside
                    .filter_map(|(row, position)| critic.example(answer, row, position, &spending, budgets, value))
                    .collect()
            }
        }
    }
}

impl CriticObjective {
    fn spending(&self, costs: &[Vec<f64>]) -> Vec<Spending> {
        let one = |(priced, costs): (&PricedConstraint, &Vec<f64>)| {
            Spending::new(&priced.constraint, &charged(costs, priced.granularity, self.chunk))
        };
        self.constraints.iter().zip(costs).map(one).collect()
    }

    fn factor(&self, tokens: usize) -> f64 {
        let gamma = self.constraints.first().map_or(1.0, |priced| priced.constraint.gamma);
        if self.discount { gamma.powf(tokens as f64) } else { 1.0 }
    }

    fn example(
        &self,
        answer: usize,
        row: usize,
        position: usize,
        spending: &[Spending],
        budgets: &[f64],
        value: f64,
    ) -> Option<Example> {
        let target = targets::target(spending, budgets, self.seen.charged(position, self.chunk))?;
        let z = target.z.into_iter().map(|z| z as f32).collect();
        let safe = target.safe.into_iter().map(|safe| f32::from(u8::from(safe))).collect();
        Some(Example { answer, row, position, z, safe, value })
    }
}

/// Makes the rows that a network reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inputs<'a> {
    table: Option<&'a LatentRows>,
    extra: usize,
    longest: usize,
}

impl<'a> Inputs<'a> {
    /// The inputs of networks with this reading; `longest` is the most answer tokens. The control reads z / d and the length.
    pub(super) fn new(data: &'a Trajectories, reading: Reading, objective: &Objective, longest: usize) -> Self {
        let table = reading.latent().and_then(|selector| data.table(selector));
        Self { table, extra: objective.logits(), longest }
    }

    /// Numbers per row.
    pub(super) fn width(&self) -> usize {
        self.extra + self.table.map_or(1, LatentRows::width)
    }

    /// Appends the row of an example.
    pub(super) fn write(&self, example: &Example, out: &mut Vec<f32>) -> Result<()> {
        if let Some(table) = self.table {
            table.write(example.row..example.row + 1, out)?;
        }
        out.extend(&example.z);
        if self.table.is_none() {
            out.push(example.position as f32 / self.longest as f32);
        }
        Ok(())
    }
}
