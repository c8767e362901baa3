//! The decoder: one implementation for Llama, Mistral, Qwen 2, Qwen 3 and Gemma 3, with options.
//!
//! Two ways in: [`Decoder::prefill`] runs a prompt and keeps its keys and values as a prefix, [`Decoder::extend`]
//! brings new tokens to any number of beams in one pass. Both return a [`Pass`]: the last hidden state after the final
//! norm, f32, and what the layers gave on the way.

mod extend;
mod prompt;

pub(crate) use prompt::{Keep, Prompt};

use crate::{
    CandleError, DecoderConfig,
    direct::Heads,
    inner::Inner,
    kv::{self, Cache},
    layer_angles::{Angles, Table},
    layers::{Block, Embedding, Norm, Qkv},
    loader::{Format, Loader},
    recent::{PromptCache, Recent},
    weights::Weights,
};
use candle_core::{DType, Device, Result, Tensor};
use inferenceguard_model::{ModelError, Token};

/// How many tokens of a prompt, or of all beams, are run at once: bounds the size of masks, scores and what lies between layers.
const BLOCK: usize = 256;

/// The body of a model.
pub(crate) struct Decoder {
    pub(crate) config: DecoderConfig,
    pub(crate) device: Device,
    pub(crate) format: Format,
    embedding: Embedding,
    blocks: Vec<Block>,
    norm: Norm,
    angles: Table,
    /// Recent prompts. A prompt of the same tenant that begins with the tokens of one of them is computed from there on.
    recent: Recent,
    /// The kinds of windows among the layers.
    windows: Vec<Option<usize>>,
}

/// The result of a pass.
pub(crate) struct Pass {
    /// `[tokens, hidden]`, f32: the last hidden state after the final norm.
    pub(crate) latents: Tensor,
    /// The outputs of all layers for the same tokens; of a prompt, for its last one.
    pub(crate) inner: Inner,
}

impl Pass {
    /// Joins passes: the latents of their tokens, in order.
    fn join(passes: Vec<Self>) -> Result<Self> {
        let (latents, inner): (Vec<_>, Vec<_>) = passes.into_iter().map(|pass| (pass.latents, pass.inner)).unzip();
        Ok(Self { latents: Tensor::cat(&latents, 0)?, inner: Inner::join(&inner)? })
    }
}

impl Decoder {
    pub(crate) fn load(
        config: DecoderConfig,
        weights: &Weights,
        device: &Device,
        format: Format,
    ) -> std::result::Result<Self, CandleError> {
        let loader = Loader { weights, device, format };
        let embedding = Embedding::load(&loader, &config)?;
        let blocks = (0..config.layers).map(|layer| Block::load(&loader, &config, layer));
        let blocks = blocks.collect::<std::result::Result<_, _>>()?;
        let norm = Norm::load(&loader, "model.norm", &config)?;
        let mut windows = config.windows.clone();
        windows.sort_unstable();
        windows.dedup();
        let (angles, recent) = (Table::new(&config), Recent::default());
        Ok(Self { config, device: device.clone(), format, embedding, blocks, norm, angles, recent, windows })
    }

    /// Keeps keys and values of recent prompts, for prompts that begin in the same way.
    pub(crate) fn keep_prompts(&mut self, cache: PromptCache) {
        self.recent = Recent::new(cache);
    }

    /// The embedding, `[vocab, hidden]`: the LM head of tied models.
    pub(crate) fn embedding(&self) -> &Embedding {
        &self.embedding
    }

    /// An empty cache of this decoder's sizes.
    pub(crate) fn cache(&self) -> Cache {
        Cache::new(self.shape())
    }

    fn shape(&self) -> kv::Shape {
        kv::Shape {
            layers: self.config.layers,
            kv_heads: self.config.kv_heads,
            head_dim: self.config.head_dim,
            dtype: self.format.dtype,
            device: self.device.clone(),
        }
    }

    /// Refuses tokens outside the vocabulary, and texts longer than the context.
    pub(crate) fn check(&self, tokens: &[Token], length: usize) -> std::result::Result<(), ModelError> {
        let limit = self.config.context;
        if length > limit {
            return Err(ModelError::ContextExceeded { found: length, limit });
        }
        let vocab = self.config.vocab;
        match tokens.iter().find(|token| **token as usize >= vocab) {
            Some(&token) => Err(ModelError::UnknownToken { token, vocab }),
            None => Ok(()),
        }
    }

    fn heads(&self) -> Heads {
        Heads { queries: self.config.heads, keys: self.config.kv_heads, dim: self.config.head_dim }
    }

    /// All blocks: the output of each, `[tokens, hidden]`, before any norm.
    fn run(
        &self,
        tokens: &[Token],
        angles: &Angles,
        mut attend: impl FnMut(usize, Qkv) -> Result<Tensor>,
    ) -> Result<Vec<Tensor>> {
        let mut stream = self.embedding.stream(tokens, &self.config, &self.device)?;
        let mut streams = Vec::with_capacity(self.blocks.len());
        for (layer, block) in self.blocks.iter().enumerate() {
            let angles = angles.of(self.config.windows[layer]);
            let attended = attend(layer, block.qkv(&stream, angles)?)?;
            stream = block.finish(&stream, &attended)?;
            streams.push(stream.clone());
        }
        Ok(streams)
    }

    fn latents(&self, stream: &Tensor) -> Result<Tensor> {
        self.norm.forward(stream)?.to_dtype(DType::F32)
    }
}

/// The output of the last layer.
fn top(streams: &[Tensor]) -> Result<&Tensor> {
    streams.last().ok_or_else(|| candle_core::Error::Msg("the model has no layers".into()))
}
