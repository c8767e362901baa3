//! A cost that misbehaves, and reads what the benches measure.

wit_bindgen::generate!({ path: "../../../wit/v0.1", world: "cost-component", generate_all });

const NAME: &str = "rogue-cost";
const ROLE: Role = Role::Cost;

#[path = "../../rogue.rs"]
mod rogue;

use exports::inferenceguard::guard::cost::{CostGrain, CostKind, Guest};
use inferenceguard::guard::batch::Batch;
use inferenceguard::guard::dense::declare_token_latents;
use inferenceguard::guard::types::LatentSelector;
use rogue::*;

fn needs(mode: &str) -> Vec<Need> {
    let declared = match mode {
        "declare-twice" => [0, 0].to_vec(),
        "declare-many" => (0..1000).collect(),
        _ => vec![],
    };
    declared.into_iter().for_each(|layer| declare_token_latents(LatentSelector::Layer(layer)));
    match mode {
        "read-text" => vec![Need::Text, Need::Prompt, Need::Lookback(16)],
        "read-logprobs" => vec![Need::Logprobs],
        "read-top-k" | "row" => vec![Need::TopK(64)],
        "read-latents" => vec![Need::Latents(LatentSelector::FinalNorm)],
        "read-scores" => vec![Need::Scores("harm".into())],
        "two-latents" => vec![Need::Latents(LatentSelector::FinalNorm), Need::Latents(LatentSelector::Layer(1))],
        _ => vec![],
    }
}

impl Guest for Rogue {
    fn kind() -> CostKind {
        let task = mode() == "task-per-token" || (mode() == "moody-kind" && calls() > 0);
        if task { CostKind::Task } else { CostKind::Safety }
    }

    fn grain() -> CostGrain {
        let once = matches!(mode().as_str(), "read-top-k" | "read-latents") || (mode() == "moody-grain" && calls() > 0);
        if once { CostGrain::Chunk } else { CostGrain::Token }
    }

    fn price(rows: &Batch) -> Result<Vec<Vec<f64>>, RoleError> {
        misdeed()?;
        if let Some(mut bytes) = Bytes::of_mode() {
            return bytes.or_error(|bytes| bytes.several(|bytes| bytes.several(Bytes::float)));
        }
        let read = |error| RoleError::Read(format!("{error:?}"));
        let each = |price: f64| -> Result<Vec<Vec<f64>>, RoleError> {
            (0..rows.len()).map(|row| Ok(vec![price; rows.tokens(row).map_err(read)?.len()])).collect()
        };
        match mode().as_str() {
            "nan" => each(f64::NAN),
            // A rehearsal has several rows, a judgement has one.
            "nan-of-one" => each(if rows.len() == 1 { f64::NAN } else { 1.0 }),
            "infinite" => each(f64::INFINITY),
            "short" => Ok((0..rows.len()).map(|_| vec![]).collect()),
            "no-rows" => Ok(vec![]),
            "huge" => Ok(vec![vec![0.0; (1 << 20) + 1]]),
            "many-rows" => Ok(vec![vec![]; 500_000]),
            "declare-late" => {
                declare_token_latents(LatentSelector::FinalNorm);
                each(0.0)
            }
            "undeclared" => rows.text(0).map_err(read).map(|_| vec![]),
            "swallow" => {
                let _ = rows.text(0);
                each(0.0)
            }
            "undeclared-score" => rows.scores(0, "harm").map_err(read).map(|_| vec![]),
            "unwrap-read" => Ok(vec![vec![rows.text(0).expect("the text").len() as f64]]),
            "row" => rows.top_k(rows.len()).map_err(read).map(|_| vec![]),
            "constraint" => rows.margin(0, 99).map_err(read).map(|_| vec![]),
            "counter" => each(f64::from(calls())),
            "read-text" => (0..rows.len())
                .map(|row| {
                    let length = rows.text(row).map_err(read)?.len() + rows.lookback(row).map_err(read)?.len();
                    let length = length + rows.prompt().map_err(read)?.len();
                    Ok(vec![length as f64; rows.text_ends(row).map_err(read)?.len()])
                })
                .collect(),
            // A NaN would cost nothing.
            "read-logprobs" => (0..rows.len())
                .map(|row| {
                    let logprobs = rows.logprobs(row).map_err(read)?;
                    Ok(logprobs.into_iter().map(|one| f64::from(-one - 3.0).max(0.0)).collect())
                })
                .collect(),
            "read-top-k" => (0..rows.len())
                .map(|row| Ok(vec![rows.top_k(row).map_err(read)?.iter().map(|(_, p)| f64::from(*p)).sum()]))
                .collect(),
            "read-latents" => {
                (0..rows.len()).map(|row| Ok(vec![f64::from(rows.latent(row).map_err(read)?[0])])).collect()
            }
            "read-scores" => (0..rows.len())
                .map(|row| Ok(rows.scores(row, "harm").map_err(read)?.into_iter().map(f64::from).collect()))
                .collect(),
            _ => each(1.0),
        }
    }
}

export!(Rogue);
