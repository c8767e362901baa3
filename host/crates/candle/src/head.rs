//! What sits on the decoder: the LM head or a score head.

use crate::{
    CandleError,
    config::{Head, Normalizer},
    decoder::Decoder,
    device::Rounded,
    linear::Linear,
    loader::{Format, Loader},
    weights::Weights,
};
use candle_core::{DType, Result, Tensor};

/// Latents to logits.
pub(crate) struct LanguageHead {
    linear: Linear,
    dtype: DType,
}

impl LanguageHead {
    pub(crate) fn load(decoder: &Decoder, weights: &Weights) -> std::result::Result<Self, CandleError> {
        let (config, format) = (&decoder.config, decoder.format);
        let dtype = format.dtype;
        if config.tied {
            return Ok(Self { linear: decoder.embedding().head(format.direct)?, dtype });
        }
        let loader = Loader { weights, device: &decoder.device, format };
        Ok(Self { linear: loader.linear("lm_head", config.hidden, config.vocab, false)?, dtype })
    }

    /// `[n, hidden]` to `[n, vocab]`, f32.
    pub(crate) fn forward(&self, latents: &Tensor) -> Result<Tensor> {
        self.linear.forward(&latents.to_dtype(self.dtype)?)?.to_dtype(DType::F32)
    }
}

/// Latents to scores, always in f32.
pub(crate) struct ScoreHead {
    linear: Linear,
    mean: f64,
    std: f64,
}

impl ScoreHead {
    /// `None` for language models.
    pub(crate) fn load(decoder: &Decoder, weights: &Weights) -> std::result::Result<Option<Self>, CandleError> {
        let format = Format { dtype: DType::F32, rounded: Rounded::No, ..decoder.format };
        let loader = Loader { weights, device: &decoder.device, format };
        let hidden = decoder.config.hidden;
        let (linear, normalizer) = match decoder.config.head {
            Head::Language => return Ok(None),
            Head::Classification => (loader.linear("score", hidden, 1, false)?, Normalizer::Identity),
            Head::Score(normalizer) => {
                let bias = weights.has("score_head.bias");
                (loader.linear("score_head", hidden, 1, bias)?, normalizer)
            }
        };
        let statistic = |name: &str| Ok::<_, CandleError>(f64::from(weights.values(name, &[1])?[0]));
        let (mean, std) = match normalizer {
            Normalizer::Identity => (0.0, 1.0),
            Normalizer::Scale => (0.0, statistic("normalizer.var")?.sqrt()),
            Normalizer::Affine => (statistic("normalizer.mean")?, statistic("normalizer.var")?.sqrt()),
        };
        Ok(Some(Self { linear, mean, std }))
    }

    /// `[n, hidden]` to n scores.
    pub(crate) fn forward(&self, latents: &Tensor) -> Result<Vec<f32>> {
        let raw = self.linear.forward(latents)?.squeeze(1)?.to_vec1::<f32>()?;
        if self.mean == 0.0 && self.std == 1.0 {
            return Ok(raw);
        }
        Ok(raw.into_iter().map(|score| ((f64::from(score) - self.mean) / self.std) as f32).collect())
    }
}
