//! A critic that misbehaves, and that can use the host's networks.

wit_bindgen::generate!({ path: "../../../wit/v0.1", world: "critic-component", generate_all });

const NAME: &str = "rogue-critic";
const ROLE: Role = Role::Critic;

#[path = "../../rogue.rs"]
mod rogue;

use exports::inferenceguard::guard::critic::{Guest, Outlook};
use inferenceguard::guard::batch::Batch;
use inferenceguard::guard::dense::{self, DenseError, Network, Tensor};
use inferenceguard::guard::types::LatentSelector;
use rogue::*;

fn needs(mode: &str) -> Vec<Need> {
    match mode {
        "undeclared" => vec![],
        "network" => vec![Need::Latents(LatentSelector::FinalNorm), Need::Network("value".to_owned())],
        _ => vec![Need::Latents(LatentSelector::FinalNorm)],
    }
}

fn failed(error: DenseError) -> RoleError {
    RoleError::Failed(format!("{error:?}"))
}

fn by_network(rows: &Batch) -> Result<Vec<Outlook>, DenseError> {
    let network = Network::open("value")?;
    let (value, gradient) = network.value_and_gradient(&dense::latents(rows)?)?;
    let moved = gradient.add_scaled(&gradient, 1.0)?;
    let (value, moved) = (value.to_list()?, moved.to_list()?);
    let width = network.inputs() as usize;
    let outlook = |(row, value): (usize, &f32)| Outlook {
        safe: vec![f64::from(*value)],
        cost_to_go: f64::from(moved[row * width]),
    };
    Ok(value.iter().enumerate().map(outlook).collect())
}

fn any_outlook(bytes: &mut Bytes) -> Outlook {
    Outlook { safe: bytes.several(Bytes::float), cost_to_go: bytes.float() }
}

impl Guest for Rogue {
    fn estimate(rows: &Batch) -> Result<Vec<Outlook>, RoleError> {
        misdeed()?;
        if let Some(mut bytes) = Bytes::of_mode() {
            return bytes.or_error(|bytes| bytes.several(any_outlook));
        }
        let same = |p: f64| (0..rows.len()).map(|_| Outlook { safe: vec![p], cost_to_go: 0.5 }).collect();
        match mode().as_str() {
            "nan" => Ok(same(f64::NAN)),
            "short" => Ok(vec![]),
            "counter" => Ok(same(f64::from(calls()))),
            "network" | "undeclared-network" => by_network(rows).map_err(failed),
            "undeclared" => {
                let _ = dense::latents(rows);
                Ok(same(0.5))
            }
            "tensors" => {
                let mut kept = Vec::new();
                loop {
                    kept.push(Tensor::create(&[1 << 18], &vec![0.0; 1 << 18]).map_err(failed)?);
                }
            }
            "shape" => Tensor::create(&[3, 3], &[0.0; 8]).map_err(failed).map(|_| vec![]),
            _ => Ok(same(0.5)),
        }
    }
}

export!(Rogue);
