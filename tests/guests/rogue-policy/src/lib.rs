//! A policy that misbehaves.

wit_bindgen::generate!({ path: "../../../wit/v0.1", world: "policy-component", generate_all });

const NAME: &str = "rogue-policy";
const ROLE: Role = Role::Policy;

#[path = "../../rogue.rs"]
mod rogue;

use exports::inferenceguard::guard::policy::{ChunkPlan, Decision, Guest, Pricing, Retry, Source};
use inferenceguard::guard::batch::Batch;
use rogue::*;

fn needs(_: &str) -> Vec<Need> {
    vec![]
}

fn any_plan(bytes: &mut Bytes) -> ChunkPlan {
    ChunkPlan {
        candidates: bytes.several(Bytes::number),
        chunk_len: bytes.number(),
        source: if bytes.flag() { Source::Expand(bytes.number()) } else { Source::Sample },
        pricing: if bytes.flag() { Pricing::OnDemand } else { Pricing::All },
        task_cost: bytes.flag(),
        estimate: bytes.flag(),
        options: bytes.several(|bytes| (bytes.option_name(), bytes.value())),
    }
}

fn any_decision(bytes: &mut Bytes) -> Decision {
    match bytes.byte() % 5 {
        0 => Decision::Keep(bytes.several(Bytes::number)),
        1 => Decision::Price(bytes.several(Bytes::number)),
        2 => Decision::Retry(Retry { penalty: bytes.float() as f32, max_mass: bytes.float() as f32 }),
        3 => Decision::Answer(bytes.number()),
        _ => Decision::Exhausted,
    }
}

impl Guest for Rogue {
    fn plan(rows: &Batch) -> Result<ChunkPlan, RoleError> {
        misdeed()?;
        if let Some(mut bytes) = Bytes::of_mode() {
            return bytes.or_error(any_plan);
        }
        let options = match mode().as_str() {
            "option" => vec![("warp-speed".into(), Value::Flag(true))],
            _ => vec![],
        };
        Ok(ChunkPlan {
            candidates: vec![2; rows.len() as usize],
            chunk_len: 4,
            source: Source::Sample,
            pricing: Pricing::All,
            task_cost: true,
            estimate: false,
            options,
        })
    }

    fn select(rows: &Batch) -> Result<Decision, RoleError> {
        misdeed()?;
        if let Some(mut bytes) = Bytes::of_mode() {
            return bytes.or_error(any_decision);
        }
        Ok(match mode().as_str() {
            "unknown-row" => Decision::Keep(vec![rows.len() + 7]),
            "twice" => Decision::Keep(vec![0, 0]),
            "nan-retry" => Decision::Retry(Retry { penalty: f32::NAN, max_mass: 0.5 }),
            "remember" => {
                if calls() == 0 {
                    Decision::Exhausted
                } else {
                    Decision::Answer(0)
                }
            }
            _ => Decision::Keep((0..rows.len()).collect()),
        })
    }
}

export!(Rogue);
