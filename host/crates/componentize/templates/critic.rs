//! The critic `{name}`: a network of the deployment estimates from the latent how likely a beam stays safe.

use inferenceguard_guest::{
    BatchView, Critic, Dense, Description, Estimate, LatentSelector, Need, RoleError, Settings, Setup, Value, describe,
};

/// What the operator chose.
#[derive(Debug)]
pub struct Foresight {
    network: String,
}

impl Setup for Foresight {
    fn describe() -> Description {
        describe!("Foresees safety and task cost from the latent.").setting(
            "network",
            Value::Text("critic".to_owned()),
            "The network: one output per constraint (a logit), then the task cost to go.",
        )
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        Ok(Self { network: settings.text("network")?.to_owned() })
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Latents(LatentSelector::FinalNorm), Need::Network(self.network.clone())]
    }
}

impl Critic for Foresight {
    fn estimate(&self, rows: &dyn BatchView, dense: &dyn Dense) -> Result<Vec<Estimate>, RoleError> {
        let network = dense.network(&self.network)?;
        let (found, expected) = (network.outputs() as usize, rows.constraints().len() + 1);
        if found != expected {
            return Err(RoleError::InvalidInput(format!("the network has {found} outputs; expected {expected}")));
        }
        let outputs = network.forward(&dense.latents()?)?.to_vec()?;
        let sigmoid = |logit: &f32| 1.0 / (1.0 + f64::from(-logit).exp());
        let estimate = |row: &[f32]| {
            let (cost, logits) = row.split_last()?;
            Some(Estimate { safe: logits.iter().map(sigmoid).collect(), cost_to_go: f64::from(*cost) })
        };
        Ok(outputs.chunks(expected).filter_map(estimate).collect())
    }
}

inferenceguard_guest::register_critic!(Foresight);

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_guest::{BatchDouble, Constraint, DenseDouble, LinearDouble, RowDouble};

    #[test]
    fn splits_the_outputs() {
        let layer = LinearDouble { weights: vec![vec![0.0], vec![2.0]], bias: vec![0.0, 1.0] };
        let networks = vec![("critic".to_owned(), layer)];
        let dense = DenseDouble { latents: vec![vec![3.0]], networks, ..DenseDouble::default() };
        let rows =
            BatchDouble { constraints: vec![Constraint::of("c", 1.0)], ..BatchDouble::of([RowDouble::default()]) };
        let estimates = Foresight::with_settings(&[]).unwrap().estimate(&rows, &dense).unwrap();
        assert_eq!(estimates, [Estimate { safe: vec![0.5], cost_to_go: 7.0 }]);
    }
}
