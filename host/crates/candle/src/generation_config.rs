//! generation_config.json: how the authors of a model sample from it, and where answers end.

use crate::{CandleError, ModelFiles, facts::Facts, fields::Fields};
use inferenceguard_model::{REPETITION_PENALTIES, SamplingSettings};
use std::ops::RangeInclusive;

/// Its name.
pub(crate) const GENERATION_CONFIG: &str = "generation_config.json";

/// What generation_config.json says; every part may be absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GenerationConfig {
    /// Tokens that end an answer; empty if it does not say.
    pub eos: Vec<u32>,
    /// How the authors sample. `do_sample: false` is a temperature of 0, and then what would truncate draws says nothing.
    pub sampling: SamplingSettings,
}

impl GenerationConfig {
    /// Reads generation_config.json; a missing file says nothing.
    ///
    /// # Errors
    /// When the file cannot be read, is malformed, or a setting is out of its range. A `top_k` of -1 is 0, all tokens, as
    /// in other programs.
    pub fn read(files: &ModelFiles) -> Result<Self, CandleError> {
        Self::read_for(files, true, &mut Facts::default())
    }

    /// The settings of a model that samples, or of a score model, which needs none for it. Settings that would change
    /// answers and are not honoured become warnings.
    pub(crate) fn read_for(files: &ModelFiles, samples: bool, facts: &mut Facts) -> Result<Self, CandleError> {
        if !files.has(GENERATION_CONFIG) {
            return Ok(Self::default());
        }
        let value = files.json(GENERATION_CONFIG, "generation settings")?;
        let fields = Fields::new(&files.path().join(GENERATION_CONFIG), &value)?;
        let eos = fields.token_ids("eos_token_id")?;
        if !samples {
            return Ok(Self { eos, ..Self::default() });
        }
        let sampling = sampling(&fields)?;
        lines(&sampling).into_iter().for_each(|setting| facts.take("sampling", setting, GENERATION_CONFIG));
        for key in fields.keys().filter(|key| !UNDERSTOOD.contains(key)) {
            facts.warn(format!("{GENERATION_CONFIG}: {key:?} is not honoured"));
        }
        Ok(Self { eos, sampling })
    }
}

/// Keys that are honoured, and those that change no answer here.
const UNDERSTOOD: [&str; 17] = [
    "eos_token_id",
    "do_sample",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repetition_penalty",
    "bos_token_id",
    "pad_token_id",
    "decoder_start_token_id",
    "max_length",
    "max_new_tokens",
    "transformers_version",
    "_from_model_config",
    "use_cache",
    "cache_implementation",
    "return_dict_in_generate",
];

fn lines(sampling: &SamplingSettings) -> Vec<String> {
    let SamplingSettings { temperature, top_k, top_p, min_p, repetition_penalty } = sampling;
    let numbers =
        [("temperature", temperature), ("top_p", top_p), ("min_p", min_p), ("repetition_penalty", repetition_penalty)];
    let numbers = numbers.into_iter().filter_map(|(key, number)| Some(format!("{key} {}", number.as_ref()?)));
    numbers.chain(top_k.map(|count| format!("top_k {count}"))).collect()
}

fn sampling(fields: &Fields<'_>) -> Result<SamplingSettings, CandleError> {
    let repetition_penalty = number(fields, "repetition_penalty", REPETITION_PENALTIES, "a number from 0.01 to 100")?;
    if !fields.flag_or("do_sample", true)? {
        return Ok(SamplingSettings { temperature: Some(0.0), repetition_penalty, ..SamplingSettings::default() });
    }
    Ok(SamplingSettings {
        temperature: number(fields, "temperature", 0.0..=f32::MAX, "a number, 0 or above")?,
        top_k: top_k(fields)?,
        top_p: number(fields, "top_p", f32::from_bits(1)..=1.0, "a number above 0, at most 1")?,
        min_p: number(fields, "min_p", 0.0..=1.0, "a number from 0 to 1")?,
        repetition_penalty,
    })
}

fn number(
    fields: &Fields<'_>,
    key: &str,
    range: RangeInclusive<f32>,
    expected: &str,
) -> Result<Option<f32>, CandleError> {
    let Some(found) = fields.get(key) else { return Ok(None) };
    let number = found.as_f64().map(|number| number as f32).filter(|number| range.contains(number));
    number.map(Some).ok_or_else(|| fields.wrong(key, found, expected))
}

fn top_k(fields: &Fields<'_>) -> Result<Option<u32>, CandleError> {
    let Some(found) = fields.get("top_k") else { return Ok(None) };
    let count = found.as_f64().filter(|count| count.fract() == 0.0 && (-1.0..=f64::from(u32::MAX)).contains(count));
    let count = count.ok_or_else(|| fields.wrong("top_k", found, "a whole number, or 0 or -1 for all tokens"))?;
    Ok(Some(count.max(0.0) as u32))
}
