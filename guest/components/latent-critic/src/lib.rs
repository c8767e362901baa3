//! The critic `latent-critic`: a network foresees from the latent whether a beam stays safe, and what it will cost.
//! Paper: the critic of section 4.
//!
//! Layout, for those who train the network, with H numbers per latent and C constraints in the deployment's order:
//!
//! | input | |
//! |---|---|
//! | 0 .. H | the latent at the newest position, as the setting `latent` says |
//! | H .. H + C | per constraint z / budget, z being the tracker's state *before* the chunk that ends at that position: at this point of a request the chunk's tokens are not priced yet |
//!
//! | output | |
//! |---|---|
//! | 0 .. C | per constraint the logit of P(safe to the end); the sigmoid is taken here |
//! | C | the task cost of the finished answer: the component gives cost-scale · output + cost-shift |
//!
//! Input and output may be standardised by the first and the last layer themselves; then scale and shift stay as they
//! are.

use inferenceguard_guest::{
    BatchView, Critic, Dense, Description, Estimate, LatentSelector, Need, RoleError, Settings,
};
use inferenceguard_guest::{Setup, Tensor, Value, describe, register_critic};

/// What the operator chose.
#[derive(Debug)]
pub struct LatentCritic {
    network: String,
    latent: LatentSelector,
    scale: f64,
    shift: f64,
}

impl Setup for LatentCritic {
    fn describe() -> Description {
        let network =
            "The network: latent and z / budget per constraint in; a logit per constraint and the task cost out.";
        describe!("Foresees safety and task cost from latents and budgets, by a network.")
            .setting("network", Value::Text("critic".to_owned()), network)
            .setting("latent", Value::Text("final-norm".to_owned()), "Which latent: `final-norm`, or `layer:N`.")
            .setting("cost-scale", Value::Number(1.0), "What the network's task cost is multiplied by.")
            .setting("cost-shift", Value::Number(0.0), "What is added to the scaled task cost.")
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            network: settings.text("network")?.to_owned(),
            latent: settings.latent("latent")?,
            scale: settings.number("cost-scale", ..)?,
            shift: settings.number("cost-shift", ..)?,
        })
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Latents(self.latent), Need::Network(self.network.clone())]
    }
}

impl Critic for LatentCritic {
    fn estimate(&self, rows: &dyn BatchView, dense: &dyn Dense) -> Result<Vec<Estimate>, RoleError> {
        let (network, inputs) = (dense.network(&self.network)?, inputs(rows, dense)?);
        let expected = (inputs.shape()[1], rows.constraints().len() as u32 + 1);
        let found = (network.inputs(), network.outputs());
        if found != expected {
            let (name, (a, b), (c, d)) = (&self.network, found, expected);
            let found =
                format!("the network `{name}` maps {a} numbers to {b}; expected {c} (latent and budgets) to {d}");
            return Err(RoleError::InvalidInput(found));
        }
        let outputs = network.forward(&inputs)?.to_vec()?;
        (0..).zip(outputs.chunks_exact(expected.1 as usize)).map(|(row, outputs)| self.foresee(row, outputs)).collect()
    }
}

impl LatentCritic {
    fn foresee(&self, row: u32, outputs: &[f32]) -> Result<Estimate, RoleError> {
        let (cost, logits) = outputs.split_last().unwrap_or((&f32::NAN, &[]));
        let safe: Vec<f64> = logits.iter().map(|logit| 1.0 / (1.0 + f64::from(-logit).exp())).collect();
        let cost_to_go = f64::from(*cost) * self.scale + self.shift;
        if cost_to_go.is_finite() && safe.iter().all(|probability| !probability.is_nan()) {
            return Ok(Estimate { safe, cost_to_go });
        }
        let found = format!("the network `{}` gives {outputs:?} for row {row}; expected numbers", self.network);
        Err(RoleError::InvalidInput(found))
    }
}

/// Latent and budgets of every row: \[rows, H + C\].
fn inputs(rows: &dyn BatchView, dense: &dyn Dense) -> Result<Tensor, RoleError> {
    let latents = dense.latents()?;
    let (hidden, budgets) = (latents.shape().last().copied().unwrap_or(0), rows.constraints());
    let (latents, mut inputs) = (latents.to_vec()?, Vec::new());
    for row in 0..rows.len() {
        let start = row as usize * hidden as usize;
        inputs.extend_from_slice(latents.get(start..start + hidden as usize).unwrap_or_default());
        for (at, constraint) in (0..).zip(&budgets) {
            inputs.push((rows.budget(row, at)?.z / constraint.budget) as f32);
        }
    }
    Ok(dense.tensor(&[rows.len(), hidden + budgets.len() as u32], &inputs)?)
}

register_critic!(LatentCritic);
