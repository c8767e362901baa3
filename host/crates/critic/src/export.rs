//! A trained network as a bundle's network: layers, and what they were made for.

use super::{
    error::{CriticError, Result},
    objective::{CriticObjective, Objective},
    reading::Reading,
    targets::BudgetSeen,
};
use inferenceguard_bundle::network::{Layer, Network};
use inferenceguard_model::ModelInfo;
use inferenceguard_search::Constraint;
use std::collections::BTreeMap;

/// The network with its metadata, ready for [`Network::to_bytes`].
///
/// A critic's input row is the latent, then z / d per constraint; its output row a logit of P(safe to the end) per
/// constraint, then the task cost of the finished answer. A value's input row is the latent, its output one number.
///
/// # Errors
/// For the control, which reads no latent: no component can use it.
pub fn network(layers: Vec<Layer>, reading: Reading, model: &ModelInfo, objective: &Objective) -> Result<Network> {
    if reading == Reading::Nothing {
        return Err(CriticError::option("latents", reading, "a latent; the control is no critic"));
    }
    let mut metadata = vec![
        ("model", model.base().to_owned()),
        ("model-name", model.name.clone()),
        ("latent", reading.to_string()),
        ("hidden", model.hidden.to_string()),
    ];
    match objective {
        Objective::Critic(critic) => metadata.extend(of_constraints(critic)),
        Objective::Value { lambda, weighed } => {
            metadata.extend([("lambda", lambda.to_string()), ("lagrangian-cost", weighed.name().to_owned())]);
        }
    }
    let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value));
    Ok(Network { layers: layers.into(), metadata: metadata.collect::<BTreeMap<_, _>>() })
}

fn of_constraints(critic: &CriticObjective) -> [(&'static str, String); 8] {
    let list = |write: fn(&Constraint) -> String| {
        let texts = critic.constraints.iter().map(|priced| write(&priced.constraint));
        texts.collect::<Vec<_>>().join(",")
    };
    let ranges = critic.budgets.iter().map(|(low, high)| format!("{low}..{high}"));
    let seen = match critic.seen {
        BudgetSeen::ChunkStart => "chunk-start",
        BudgetSeen::Newest => "newest",
    };
    [
        ("constraints", list(|one| one.name.clone())),
        ("gamma", list(|one| one.gamma.to_string())),
        ("clip", list(|one| one.clip.name().to_owned())),
        ("mode", list(|one| one.mode.name().to_owned())),
        ("budgets", ranges.collect::<Vec<_>>().join(",")),
        ("z", seen.to_owned()),
        ("chunk-len", critic.chunk.to_string()),
        ("cost", if critic.discount { "discounted" } else { "raw" }.to_owned()),
    ]
}
