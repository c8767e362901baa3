//! A steering that misbehaves, and that can return a tensor.

wit_bindgen::generate!({ path: "../../../wit/v0.1", world: "steering-component", generate_all });

const NAME: &str = "rogue-steering";
const ROLE: Role = Role::Steering;

#[path = "../../rogue.rs"]
mod rogue;

use exports::inferenceguard::guard::steering::{Edit, Guest, Steered};
use inferenceguard::guard::batch::Batch;
use inferenceguard::guard::dense;
use inferenceguard::guard::types::LatentSelector;
use rogue::*;

fn needs(_: &str) -> Vec<Need> {
    vec![Need::Latents(LatentSelector::FinalNorm)]
}

fn any_edits(bytes: &mut Bytes) -> Steered {
    let edit = |bytes: &mut Bytes| Edit { row: bytes.number(), latent: bytes.several(|bytes| bytes.float() as f32) };
    if bytes.flag() { Steered::Unchanged } else { Steered::Rows(bytes.several(edit)) }
}

impl Guest for Rogue {
    fn steer(rows: &Batch) -> Result<Steered, RoleError> {
        misdeed()?;
        if let Some(mut bytes) = Bytes::of_mode() {
            return bytes.or_error(any_edits);
        }
        Ok(match mode().as_str() {
            "nan" => Steered::Rows(vec![Edit { row: 0, latent: vec![f32::NAN; 4] }]),
            "unknown-row" => Steered::Rows(vec![Edit { row: rows.len(), latent: vec![0.0; 4] }]),
            "counter" => Steered::Rows(vec![Edit { row: 0, latent: vec![calls() as f32; 4] }]),
            "short" => Steered::Rows(vec![Edit { row: 0, latent: vec![] }]),
            "tensor" => {
                let latents = dense::latents(rows).map_err(|error| RoleError::Failed(format!("{error:?}")))?;
                let doubled = latents.add_scaled(&latents, 1.0);
                Steered::All(doubled.map_err(|error| RoleError::Failed(format!("{error:?}")))?)
            }
            _ => Steered::Unchanged,
        })
    }
}

export!(Rogue);
