//! The cost `linear-cost`: a network on the model's own latents, as a cheap safety cost or reward without any score model.
//!
//! By default it prices every new token by the latent after that token, so that chunks of any length are charged the same. With
//! `per = "chunk"` it prices whole chunks by the latent at their end, and what an answer costs depends on how long chunks are.
//!
//! x = scale · output + shift. The price is x, or with `form = "hazard"` −ln(1 − h) for the hazard h = 1 / (1 + e^−x), which is
//! ln(1 + e^x): never negative. The sum over an answer is then −ln of the probability that no token was harmful, so a budget d
//! holds the modelled probability of harm below 1 − e^−d.
//!
//! With `kind = "task"` x is a reward: the price is −x, read from the newest latent alone, and ranks answers.
//!
//! Network: input the latent, or several latents side by side; one output, higher being worse. One linear layer will do; deeper
//! networks work as well.
//!
//! The host also prices the ids that the text of an answer tokenises to, where they are others: the language model reads them once
//! more. It does not with `per = "chunk"`.

use inferenceguard_guest::{
    BatchCost, BatchView, CostGrain, CostKind, Dense, Description, LatentSelector, Need, RoleError, Tensor,
};
use inferenceguard_guest::{Settings, Setup, Value, describe, register_cost};

/// What the operator chose.
#[derive(Debug)]
pub struct LinearCost {
    network: String,
    places: Vec<LatentSelector>,
    kind: CostKind,
    grain: CostGrain,
    form: Form,
    scale: f64,
    shift: f64,
}

/// How a price follows from x.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Linear,
    Hazard,
}

impl Setup for LinearCost {
    fn describe() -> Description {
        describe!("Prices every token, or every chunk, by a network on the model's latents.")
            .setting("network", Value::Text("probe".to_owned()), "The network: latent in, one number out; high is bad.")
            .setting(
                "latent",
                Value::Text("final-norm".to_owned()),
                "Which latent: `final-norm`, or `layer:N`; several joined by `+`.",
            )
            .setting(
                "kind",
                Value::Text("safety".to_owned()),
                "`safety` (x is a cost) or `task` (x is a reward; its price is -x).",
            )
            .setting(
                "per",
                Value::Text("auto".to_owned()),
                "What a price is for: `token`, `chunk` (its last token), or `auto`: token for safety, chunk for task.",
            )
            .setting(
                "form",
                Value::Text("linear".to_owned()),
                "The price of x: `linear` (x), or `hazard` (ln(1 + e^x)).",
            )
            .setting(
                "scale",
                Value::Number(1.0),
                "What the network's output is multiplied by: x = scale · output + shift.",
            )
            .setting("shift", Value::Number(0.0), "What is added to the scaled output.")
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        let kind = settings.choice("kind", &[("safety", CostKind::Safety), ("task", CostKind::Task)])?;
        let cost = Self {
            network: settings.text("network")?.to_owned(),
            places: settings.latents("latent")?,
            kind,
            grain: grain(settings, kind)?,
            form: settings.choice("form", &[("linear", Form::Linear), ("hazard", Form::Hazard)])?,
            scale: settings.number("scale", ..)?,
            shift: settings.number("shift", ..)?,
        };
        if (kind, cost.form) == (CostKind::Task, Form::Hazard) {
            return Err("setting `form` is `hazard`; a reward is no hazard, so expected `linear`".to_owned());
        }
        match (cost.grain, kind, cost.places.len()) {
            (CostGrain::Chunk, CostKind::Safety, 2..) => {
                Err("setting `latent` names several latents; expected one, or `per` = `token`".to_owned())
            }
            (CostGrain::Chunk, CostKind::Task, 2..) => {
                Err("setting `latent` names several latents; expected one, because a reward reads one".to_owned())
            }
            _ => Ok(cost),
        }
    }

    fn needs(&self) -> Vec<Need> {
        let place = |place: &LatentSelector| match self.grain {
            CostGrain::Token => Need::TokenLatents(*place),
            CostGrain::Chunk => Need::Latents(*place),
        };
        self.places.iter().map(place).chain([Need::Network(self.network.clone())]).collect()
    }
}

/// What the prices are for.
fn grain(settings: &Settings, kind: CostKind) -> Result<CostGrain, String> {
    let grains = [("auto", None), ("token", Some(CostGrain::Token)), ("chunk", Some(CostGrain::Chunk))];
    match (kind, settings.choice("per", &grains)?) {
        (CostKind::Task, Some(CostGrain::Token)) => {
            Err("setting `per` is `token`; a reward judges the whole answer, so expected `chunk`".to_owned())
        }
        (CostKind::Task, _) => Ok(CostGrain::Chunk),
        (CostKind::Safety, grain) => Ok(grain.unwrap_or(CostGrain::Token)),
    }
}

impl BatchCost for LinearCost {
    fn kind(&self) -> CostKind {
        self.kind
    }

    fn grain(&self) -> CostGrain {
        self.grain
    }

    fn price_all(&self, rows: &dyn BatchView, dense: &dyn Dense) -> Result<Vec<Vec<f64>>, RoleError> {
        let due = |row| match self.grain {
            CostGrain::Token => Ok(rows.tokens(row)?.len()),
            CostGrain::Chunk => Ok(1),
        };
        let due = (0..rows.len()).map(due).collect::<Result<Vec<usize>, RoleError>>()?;
        if due.iter().sum::<usize>() == 0 {
            return Ok(vec![Vec::new(); due.len()]);
        }
        let latents = if self.grain == CostGrain::Token { dense.token_latents()? } else { dense.latents()? };
        let mut outputs = self.outputs(&latents, dense)?.into_iter();
        due.into_iter().enumerate().map(|(row, due)| self.prices(row, outputs.by_ref().take(due))).collect()
    }
}

impl LinearCost {
    /// One number for each row of the latents.
    fn outputs(&self, latents: &Tensor, dense: &dyn Dense) -> Result<Vec<f32>, RoleError> {
        let network = dense.network(&self.network)?;
        let (inputs, outputs) = (network.inputs(), network.outputs());
        let width = latents.shape().last().copied().unwrap_or(0);
        if (inputs, outputs) != (width, 1) {
            let name = &self.network;
            let found = format!("the network `{name}` maps {inputs} numbers to {outputs}; expected {width} to 1");
            return Err(RoleError::InvalidInput(found));
        }
        Ok(network.forward(latents)?.to_vec()?)
    }

    fn prices(&self, row: usize, outputs: impl Iterator<Item = f32>) -> Result<Vec<f64>, RoleError> {
        outputs.map(|output| self.price(row, output)).collect()
    }

    fn price(&self, row: usize, output: f32) -> Result<f64, RoleError> {
        let x = f64::from(output) * self.scale + self.shift;
        let price = match self.form {
            Form::Linear => x,
            Form::Hazard => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        };
        if price.is_finite() {
            return Ok(if self.kind == CostKind::Task { -price } else { price });
        }
        let found = format!("the network `{}` gives {output} for row {row}; expected a number", self.network);
        Err(RoleError::InvalidInput(found))
    }
}

register_cost!(LinearCost);
