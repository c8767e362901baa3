//! The files of the demo. Folders are written beside their place and moved there whole.

use std::path::Path;

use serde_json::{Value, json};

use super::calibrate::GAMMA;
use super::{Models, Report};
use crate::error::{Error, Result};
use crate::llama::Weights;
use crate::tokenizer::DemoTokenizer;
use crate::world::record::records;
use crate::world::{INTENTS, Split, TOPICS, World};

pub(super) fn write_models(out: &Path, models: &Models) -> Result<()> {
    write_base(out, &models.tokenizer, &models.weak)?;
    write_model(out, "tuned", &models.tokenizer, &models.tuned, models.tuned.config().causal_json())?;
    for (name, weights) in [("reward", &models.reward), ("cost", &models.cost)] {
        write_model(out, name, &models.tokenizer, weights, weights.config().score_json(name))?;
    }
    Ok(())
}

pub(super) fn write_base(out: &Path, tokenizer: &DemoTokenizer, weak: &Weights) -> Result<()> {
    write_model(out, "weak", tokenizer, weak, weak.config().causal_json())
}

fn write_model(out: &Path, name: &str, tokenizer: &DemoTokenizer, weights: &Weights, config: Value) -> Result<()> {
    std::fs::create_dir_all(out).map_err(Error::file("write", out))?;
    let fresh = tempfile::Builder::new().prefix(".new-").tempdir_in(out);
    let fresh = fresh.map_err(Error::file("write", out))?;
    let generation = json!({
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "do_sample": true,
        "temperature": 1.0,
        "max_new_tokens": 128,
    });
    write_text(&fresh.path().join("config.json"), &format!("{config:#}\n"))?;
    write_text(&fresh.path().join("generation_config.json"), &format!("{generation:#}\n"))?;
    tokenizer.save(fresh.path())?;
    weights.save(&fresh.path().join("model.safetensors"))?;
    replace(&fresh.keep(), &out.join(name))
}

/// Moves a finished folder over an older one; the older one is put aside until that worked.
fn replace(fresh: &Path, place: &Path) -> Result<()> {
    let old = place.with_extension("old");
    if place.exists() {
        std::fs::rename(place, &old).map_err(Error::file("rename", place))?;
    }
    std::fs::rename(fresh, place).map_err(Error::file("rename", fresh))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A temporary folder is private; a model folder need not be.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(place, open).map_err(Error::file("write", place))?;
    }
    if old.exists() {
        std::fs::remove_dir_all(&old).map_err(Error::file("write", &old))?;
    }
    Ok(())
}

fn write_text(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text).map_err(Error::file("write", &fresh))?;
    std::fs::rename(&fresh, path).map_err(Error::file("rename", path))
}

/// `prompts.jsonl`: the test prompts with `text`, `intent`, `topic`, `category`, `safe_chance`.
///
/// # Errors
/// When the file cannot be written.
pub fn write_prompts(out: &Path, world: &World) -> Result<()> {
    let line = |prompt: &crate::world::Prompt| {
        let intent = if prompt.is_harmful() { "harmful" } else { "benign" };
        json!({
            "text": prompt.text,
            "intent": intent,
            "wish": INTENTS[prompt.intent].name,
            "topic": TOPICS[prompt.topic].name,
            "category": prompt.category().name(),
            "safe_chance": prompt.safe_chance,
        })
    };
    let lines = world.split(Split::Test).into_iter().map(|p| format!("{}\n", line(p)));
    write_text(&out.join("prompts.jsonl"), &lines.collect::<String>())
}

/// `train.jsonl`, `validation.jsonl` and `test.jsonl`: PKU-SafeRLHF records of the world.
///
/// # Errors
/// When the folder cannot be made, or a file cannot be written.
pub fn write_data(out: &Path, world: &World) -> Result<()> {
    std::fs::create_dir_all(out).map_err(Error::file("write", out))?;
    let splits = [("train.jsonl", Split::Train), ("validation.jsonl", Split::Validation), ("test.jsonl", Split::Test)];
    for (name, split) in splits {
        let lines = records(world, split).into_iter();
        let text: String = lines.map(|record| format!("{}\n", json!(record))).collect();
        write_text(&out.join(name), &text)?;
    }
    Ok(())
}

/// `report.json` with everything, and `world.toml` with what is frozen.
pub(super) fn write_report(out: &Path, report: &Report) -> Result<()> {
    let value = json!(report);
    write_text(&out.join("report.json"), &format!("{value:#}\n"))?;
    let frozen = toml::toml! {
        [constraint]
        clip = "capped"
    };
    let mut frozen = frozen;
    frozen.insert("seed".to_owned(), toml::Value::Integer(report.world_seed as i64));
    frozen.insert("cost_scale".to_owned(), toml::Value::Float(report.cost_scale));
    if let Some(constraint) = frozen.get_mut("constraint").and_then(|c| c.as_table_mut()) {
        constraint.insert("budget".to_owned(), toml::Value::Float(report.budget));
        constraint.insert("gamma".to_owned(), toml::Value::Float(GAMMA));
    }
    if let Ok(noise) = toml::Value::try_from(report.label_noise) {
        frozen.insert("label_noise".to_owned(), noise);
    }
    let head = "# The demo world, frozen before any method was tuned on it.\n";
    write_text(&out.join("world.toml"), &format!("{head}{frozen}"))
}
