//! The cost `linear-cost`: a probe on latents, as a cheap safety cost without any score model.
//!
//! One price per chunk: scale · output + shift, from the latent at the newest position. So it judges the whole text up to
//! there, and how often it charges depends on how long chunks are. Network: input the latent, `[hidden]`; one output,
//! higher being worse. It is meant to be one linear layer; deeper ones work as well.
//!
//! The host does not price the re-tokenised text of an answer by a cost that reads latents.

use inferenceguard_guest::{
    BatchCost, BatchView, CostGrain, CostKind, Dense, Description, LatentSelector, Need, RoleError,
};
use inferenceguard_guest::{Settings, Setup, Value, describe, register_cost};

/// What the operator chose.
#[derive(Debug)]
pub struct LinearCost {
    network: String,
    latent: LatentSelector,
    scale: f64,
    shift: f64,
}

impl Setup for LinearCost {
    fn describe() -> Description {
        describe!("Prices every chunk by a probe on the latent at its end.")
            .setting("network", Value::Text("probe".to_owned()), "The probe: latent in, one number out; high is bad.")
            .setting("latent", Value::Text("final-norm".to_owned()), "Which latent: `final-norm`, or `layer:N`.")
            .setting("scale", Value::Number(1.0), "What the probe's output is multiplied by.")
            .setting("shift", Value::Number(0.0), "What is added to the scaled output.")
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            network: settings.text("network")?.to_owned(),
            latent: settings.latent("latent")?,
            scale: settings.number("scale", ..)?,
            shift: settings.number("shift", ..)?,
        })
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Latents(self.latent), Need::Network(self.network.clone())]
    }
}

impl BatchCost for LinearCost {
    fn kind(&self) -> CostKind {
        CostKind::Safety
    }

    fn grain(&self) -> CostGrain {
        CostGrain::Chunk
    }

    fn price_all(&self, _: &dyn BatchView, dense: &dyn Dense) -> Result<Vec<Vec<f64>>, RoleError> {
        let (network, latents) = (dense.network(&self.network)?, dense.latents()?);
        let (inputs, outputs) = (network.inputs(), network.outputs());
        let hidden = latents.shape().last().copied().unwrap_or(0);
        if (inputs, outputs) != (hidden, 1) {
            let name = &self.network;
            let found = format!("the network `{name}` maps {inputs} numbers to {outputs}; expected {hidden} to 1");
            return Err(RoleError::InvalidInput(found));
        }
        let outputs = network.forward(&latents)?.to_vec()?;
        outputs.into_iter().enumerate().map(|(row, output)| self.price_of(row, output)).collect()
    }
}

impl LinearCost {
    fn price_of(&self, row: usize, output: f32) -> Result<Vec<f64>, RoleError> {
        let price = f64::from(output) * self.scale + self.shift;
        if price.is_finite() {
            return Ok(vec![price]);
        }
        let found = format!("the network `{}` gives {output} for row {row}; expected a number", self.network);
        Err(RoleError::InvalidInput(found))
    }
}

register_cost!(LinearCost);
