//! Which layers see a sliding window of positions, as config.json says it.

use crate::{CandleError, Family, fields::Fields, gemma};
use serde_json::Value;

impl Fields<'_> {
    /// The window of each layer; `None` sees all.
    pub(crate) fn windows(&self, family: Family, layers: usize) -> Result<Vec<Option<usize>>, CandleError> {
        let on = match family {
            Family::Llama => false,
            // A missing key means the 4096 of the first Mistral; an explicit null means none.
            Family::Mistral => self.get("sliding_window").is_some() || !self.map.contains_key("sliding_window"),
            Family::Qwen2 | Family::Qwen3 => self.flag_or("use_sliding_window", false)?,
            Family::Gemma3 => true,
        };
        if !on {
            return Ok(vec![None; layers]);
        }
        let window = if family == Family::Mistral {
            self.size_or("sliding_window", 4096)?
        } else {
            self.size("sliding_window")?
        };
        let slides = self.sliding_layers(family, layers)?;
        Ok(slides.into_iter().map(|slide| slide.then_some(window)).collect())
    }

    /// Which layers slide: `layer_types` where it is written, else those from `max_window_layers` on.
    fn sliding_layers(&self, family: Family, layers: usize) -> Result<Vec<bool>, CandleError> {
        if family == Family::Mistral {
            return Ok(vec![true; layers]);
        }
        let Some(types) = self.get("layer_types") else {
            if family == Family::Gemma3 {
                return gemma::pattern(self, layers);
            }
            let first = self.get("max_window_layers").and_then(Value::as_u64).unwrap_or(28);
            return Ok((0..layers as u64).map(|layer| layer >= first).collect());
        };
        let names = types.as_array().filter(|names| names.len() == layers);
        let names = names.ok_or_else(|| self.wrong("layer_types", types, format!("a list of {layers} names")))?;
        let slides = |name: &Value| match name.as_str() {
            Some("sliding_attention") => Ok(true),
            Some("full_attention") => Ok(false),
            _ => Err(self.wrong("layer_types", name, "sliding_attention or full_attention")),
        };
        names.iter().map(slides).collect()
    }
}
