//! The steering `{name}`: one step uphill on a network of the deployment, for every latent.

use inferenceguard_guest::{
    BatchView, Dense, Description, LatentSelector, Need, RoleError, Settings, Setup, Steered, Steering, Value, describe,
};

/// What the operator chose.
#[derive(Debug)]
pub struct Uphill {
    network: String,
    rate: f64,
}

impl Setup for Uphill {
    fn describe() -> Description {
        describe!("Moves latents towards a higher value.")
            .setting("network", Value::Text("value".to_owned()), "The network whose output grows.")
            .setting("rate", Value::Number(0.1), "How far one step goes, at least 0.")
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        Ok(Self { network: settings.text("network")?.to_owned(), rate: settings.number("rate", 0.0..)? })
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Latents(LatentSelector::FinalNorm), Need::Network(self.network.clone())]
    }
}

impl Steering for Uphill {
    fn steer(&self, _: &dyn BatchView, dense: &dyn Dense) -> Result<Steered, RoleError> {
        let latents = dense.latents()?;
        let (_, gradient) = dense.network(&self.network)?.value_and_gradient(&latents)?;
        Ok(Steered::All(latents.add_scaled(&gradient, self.rate as f32)?))
    }
}

inferenceguard_guest::register_steering!(Uphill);

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_guest::{BatchDouble, DenseDouble, LinearDouble, RowDouble};

    #[test]
    fn follows_the_gradient() {
        let layer = LinearDouble { weights: vec![vec![1.0, -2.0]], bias: vec![0.0] };
        let networks = vec![("value".to_owned(), layer)];
        let dense = DenseDouble { latents: vec![vec![1.0, 1.0]], networks, ..DenseDouble::default() };
        let steering = Uphill::with_settings(&[("rate", Value::Number(0.5))]).unwrap();
        let steered = steering.steer(&BatchDouble::of([RowDouble::default()]), &dense).unwrap();
        let Steered::All(latents) = steered else { panic!("expected all rows") };
        assert_eq!(latents.to_vec().unwrap(), [1.5, 0.0]);
    }
}
