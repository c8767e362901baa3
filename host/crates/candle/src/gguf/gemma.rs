//! What the metadata of a Gemma 3 say beside those of every decoder.

use super::{Gguf, Value};
use crate::{CandleError, DecoderConfig};
use serde_json::{Map, Value as Json};

/// What `general.architecture` calls the family.
pub(super) const NAME: &str = "gemma3";
/// Keys that are read beside those of every architecture.
pub(super) const UNDERSTOOD: [&str; 5] = [WINDOW, PERIOD, LOCAL_BASE, CAPS[0], CAPS[1]];

const WINDOW: &str = "attention.sliding_window";
/// Of this many layers the last one has no window.
const PERIOD: &str = "attention.sliding_window_pattern";
/// The base of the layers with a window.
const LOCAL_BASE: &str = "rope.freq_base_swa";
const CAPS: [&str; 2] = ["attn_logit_softcapping", "final_logit_softcapping"];
/// The layers of the 27B model. It alone divides queries by the root of its width per head, and no key says so.
const LARGEST: usize = 62;

/// Writes what only this family has as the fields of a config.json.
pub(super) fn tell(gguf: &Gguf, fields: &mut Map<String, Json>) -> Result<(), CandleError> {
    fields.insert("sliding_window".into(), gguf.needed(WINDOW)?.into());
    if let Some(period) = gguf.optional(PERIOD)? {
        fields.insert("sliding_window_pattern".into(), period.into());
    }
    if gguf.value(&gguf.key(LOCAL_BASE)).is_some() {
        fields.insert("rope_local_base_freq".into(), gguf.above_zero(LOCAL_BASE)?.into());
    }
    refuse_caps(gguf)?;
    let (heads, head_dim) = (gguf.needed("attention.head_count")?, fields.get("head_dim").cloned());
    let scalar = match gguf.needed("block_count")? {
        LARGEST => Some((gguf.needed("embedding_length")? / heads).into()),
        _ => head_dim,
    };
    fields.extend(scalar.map(|scalar| ("query_pre_attn_scalar".to_owned(), scalar)));
    Ok(())
}

fn refuse_caps(gguf: &Gguf) -> Result<(), CandleError> {
    // Zero is how a file says that there is none.
    let caps = |key: &&str| gguf.value(&gguf.key(key)).is_some_and(|value| !is_zero(value));
    match CAPS.into_iter().find(caps) {
        Some(key) => Err(gguf.wrong(&gguf.key(key), "absent: scores and logits without a cap")),
        None => Ok(()),
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Whole(number) => *number == 0,
        Value::Number(number) => *number == 0.0,
        _ => false,
    }
}

/// Whether config.json has the same windows on the same layers, the same base of the layers with a window, and no caps.
pub(super) fn agrees(gguf: &Gguf, config: &DecoderConfig) -> Result<(), CandleError> {
    let Some(gemma) = &config.gemma else { return Ok(()) };
    refuse_caps(gguf)?;
    if let Some(window) = config.windows.iter().flatten().next() {
        gguf.agree(WINDOW, "sliding_window", *window as f64)?;
    }
    gguf.agree(LOCAL_BASE, "rope_local_base_freq", gemma.local.theta)?;
    let Some(period) = gguf.optional(PERIOD)? else { return Ok(()) };
    let agrees = |(layer, window): (usize, &Option<usize>)| window.is_none() == (layer + 1).is_multiple_of(period);
    if config.windows.iter().enumerate().all(agrees) {
        return Ok(());
    }
    Err(gguf.disagreement(&gguf.key(PERIOD), period.to_string(), "layer_types", format!("{:?}", config.windows)))
}
