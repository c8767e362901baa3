//! The weights of a demo model as trainable variables, and their safetensors form.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};

use super::LlamaConfig;
use crate::error::{Error, Result};
use inferenceguard_dice::Dice;

/// Name of the score head, as safe-rlhf saves it.
pub const SCORE_HEAD: &str = "score_head.weight";

/// Variables by Hugging Face name.
#[derive(Debug, Clone)]
pub struct Weights {
    config: LlamaConfig,
    vars: BTreeMap<String, Var>,
}

impl Weights {
    /// Random weights: norms one, matrices normal with deviation 0.02 for the embedding and
    /// `1 / sqrt(inputs)` elsewhere, less where a matrix writes into the residual stream.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn random(config: &LlamaConfig, seed: u64) -> Result<Self> {
        let depth = (2.0 * config.num_hidden_layers as f64).sqrt();
        let mut vars = BTreeMap::new();
        for (place, (name, shape)) in config.shapes().into_iter().enumerate() {
            let deviation = match shape.as_slice() {
                [_] => None,
                _ if name.contains("embed") => Some(0.02),
                [_, inputs] if name.contains("o_proj") || name.contains("down_proj") => {
                    Some(1.0 / (*inputs as f64).sqrt() / depth)
                }
                shape => Some(1.0 / (shape[1] as f64).sqrt()),
            };
            let mut dice = Dice::new(seed, &[20, place as u64]);
            let count = shape.iter().product();
            let draw = |_| deviation.map_or(1.0, |d| (d * dice.normal()) as f32);
            let values: Vec<f32> = (0..count).map(draw).collect();
            vars.insert(name, Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu)?)?);
        }
        Ok(Self { config: config.clone(), vars })
    }

    /// A copy that can be trained on its own.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn copy(&self) -> Result<Self> {
        let copy = |(name, var): (&String, &Var)| Ok((name.clone(), Var::from_tensor(&var.as_tensor().copy()?)?));
        let vars = self.vars.iter().map(copy).collect::<Result<_>>()?;
        Ok(Self { config: self.config.clone(), vars })
    }

    /// A copy of the body with a fresh score head.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn with_score_head(&self, seed: u64) -> Result<Self> {
        let Self { config, mut vars } = self.copy()?;
        let mut dice = Dice::new(seed, &[21]);
        let head = (0..config.hidden_size).map(|_| 0.02 * dice.normal() as f32);
        let head = Tensor::from_iter(head, &Device::Cpu)?.reshape((1, ()))?;
        vars.insert(SCORE_HEAD.to_owned(), Var::from_tensor(&head)?);
        Ok(Self { config, vars })
    }

    /// The shape.
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// One variable.
    ///
    /// # Errors
    /// When no weight has this name.
    pub fn get(&self, name: &str) -> candle_core::Result<&Var> {
        let missing = || candle_core::Error::Msg(format!("no weight is called {name}"));
        self.vars.get(name).ok_or_else(missing)
    }

    /// All variables, in the order of their names.
    pub fn vars(&self) -> Vec<Var> {
        self.vars.values().cloned().collect()
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.vars.values().map(|var| var.elem_count()).sum()
    }

    /// Multiplies the score head.
    ///
    /// # Errors
    /// When there is no score head, or a tensor operation fails.
    pub fn scale_score_head(&self, factor: f64) -> Result<()> {
        let head = self.get(SCORE_HEAD)?;
        Ok(head.set(&(head.as_tensor() * factor)?)?)
    }

    /// Rounds every weight to what f16 can hold, so that measurements are those of the saved model.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn round_to_half(&self) -> Result<()> {
        for var in self.vars.values() {
            var.set(&var.to_dtype(DType::F16)?.to_dtype(DType::F32)?)?;
        }
        Ok(())
    }

    /// Writes all weights in f16.
    ///
    /// # Errors
    /// When a tensor operation fails, or the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors = HashMap::new();
        for (name, var) in &self.vars {
            tensors.insert(name.clone(), var.to_dtype(DType::F16)?);
        }
        // "format" is what Hugging Face's loader insists on.
        let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let bytes = safetensors::serialize(tensors.iter(), Some(format))
            .map_err(|error| Error::Tensor(candle_core::Error::SafeTensor(error)))?;
        std::fs::write(path, bytes).map_err(Error::file("write", path))
    }

    /// Reads the weights of a language model of this shape back into f32.
    ///
    /// # Errors
    /// When the file cannot be read, or lacks a weight of this shape.
    pub fn load(config: &LlamaConfig, path: &Path) -> Result<Self> {
        let found = candle_core::safetensors::load(path, &Device::Cpu)?;
        let mut vars = BTreeMap::new();
        for (name, shape) in config.shapes() {
            let tensor = found.get(&name).filter(|t| t.dims() == shape.as_slice());
            let tensor = tensor.ok_or_else(|| Error::Content {
                path: path.to_owned(),
                found: format!("no {name} of shape {shape:?}"),
                expected: "the weights of the demo model".to_owned(),
            })?;
            vars.insert(name, Var::from_tensor(&tensor.to_dtype(DType::F32)?)?);
        }
        Ok(Self { config: config.clone(), vars })
    }
}
