//! The steering `re-control`: before every token, the latent takes a few steps uphill on a value network. Baseline of the
//! paper (section 5, table 1: 30 steps of size 0.5).
//!
//! Network: input the latent after the final norm, `[hidden]`; one output, the value to raise (a predicted reward; for
//! the Lagrangian variant a predicted reward less lambda times the cost). Each step adds step-size · gradient. Only the
//! latent of the newest position changes, not the model's memory of the text: an edit acts through the token it leads to.
//!
//! The host holds the numbers and computes; the component only names what is added to what.

use inferenceguard_guest::{BatchView, Dense, Description, LatentSelector, Need, RoleError, Settings, Setup};
use inferenceguard_guest::{Steered, Steering, Value, describe, register_steering};

/// What the operator chose.
#[derive(Debug)]
pub struct ReControl {
    network: String,
    steps: u32,
    step_size: f32,
}

impl Setup for ReControl {
    fn describe() -> Description {
        describe!("Moves latents uphill on a value network before every token.")
            .setting("network", Value::Text("value".to_owned()), "The value network: latent in, one value out.")
            .setting("steps", Value::Integer(30), "Gradient steps per token; 0 to 1000.")
            .setting("step-size", Value::Number(0.5), "What the gradient is multiplied by in a step; 0 to 1000.")
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            network: settings.text("network")?.to_owned(),
            steps: settings.integer("steps", 0..=1000)?,
            step_size: settings.number("step-size", 0.0..=1000.0)? as f32,
        })
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Latents(LatentSelector::FinalNorm), Need::Network(self.network.clone())]
    }
}

impl Steering for ReControl {
    fn steer(&self, _: &dyn BatchView, dense: &dyn Dense) -> Result<Steered, RoleError> {
        let (network, mut latents) = (dense.network(&self.network)?, dense.latents()?);
        let (inputs, outputs) = (network.inputs(), network.outputs());
        let hidden = latents.shape().last().copied().unwrap_or(0);
        if (inputs, outputs) != (hidden, 1) {
            let name = &self.network;
            let found = format!("the network `{name}` maps {inputs} numbers to {outputs}; expected {hidden} to 1");
            return Err(RoleError::InvalidInput(found));
        }
        for _ in 0..self.steps {
            let (_, gradient) = network.value_and_gradient(&latents)?;
            latents = latents.add_scaled(&gradient, self.step_size)?;
        }
        Ok(if self.steps == 0 { Steered::Unchanged } else { Steered::All(latents) })
    }
}

register_steering!(ReControl);
