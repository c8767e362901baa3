//! Writes networks after training. The same network always gives the same bytes, so that a bundle that is built twice has
//! the same digest.

use super::{ACTIVATIONS, Network};
use safetensors::{Dtype, SafeTensorError, tensor::TensorView};
use std::collections::BTreeMap;

/// Why a network could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A layer's numbers do not fit its shape.
    #[error("layer {layer} has {weights} weights for {outputs} outputs; expected a multiple of the outputs")]
    Shape {
        /// The layer, from 0.
        layer: usize,
        /// Its weights.
        weights: usize,
        /// Its outputs.
        outputs: usize,
    },
    /// The format refused it.
    #[error("the file cannot be written: {0}; expected a header of less than 100 MB")]
    Format(#[from] SafeTensorError),
    /// The metadata could not be written.
    #[error("the metadata cannot be written: {0}; expected texts")]
    Metadata(#[from] serde_json::Error),
    /// There is nothing to write.
    #[error("the network has no layer; expected at least one")]
    NoLayers,
}

/// One tensor before it is written.
struct Raw {
    name: String,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Raw {
    fn view(&self) -> Result<(&str, TensorView<'_>), SafeTensorError> {
        Ok((&self.name, TensorView::new(Dtype::F32, self.shape.clone(), &self.data)?))
    }
}

impl Network {
    /// The bytes of a file that [`Network::parse`] reads, in f32.
    ///
    /// # Errors
    /// [`WriteError`] for layers without a shape.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WriteError> {
        if self.layers.is_empty() {
            return Err(WriteError::NoLayers);
        }
        let mut tensors = Vec::with_capacity(2 * self.layers.len());
        for (n, layer) in self.layers.iter().enumerate() {
            let (weights, outputs) = (layer.weights.len(), layer.bias.len());
            if outputs == 0 || !weights.is_multiple_of(outputs) {
                return Err(WriteError::Shape { layer: n, weights, outputs });
            }
            let shape = vec![outputs, weights / outputs];
            tensors.push(Raw { name: format!("layers.{n}.weight"), shape, data: little_endian(&layer.weights) });
            let (name, shape) = (format!("layers.{n}.bias"), vec![outputs]);
            tensors.push(Raw { name, shape, data: little_endian(&layer.bias) });
        }
        let views = tensors.iter().map(Raw::view).collect::<Result<Vec<_>, SafeTensorError>>()?;
        // The library writes metadata in the order of a hash map, which differs from run to run.
        with_metadata(&safetensors::serialize(views, None)?, &self.all_metadata())
    }

    fn all_metadata(&self) -> BTreeMap<String, String> {
        let activations: Vec<&str> = self.layers.iter().map(|layer| layer.activation.name()).collect();
        let mut metadata = self.metadata.clone();
        metadata.insert(ACTIVATIONS.to_owned(), activations.join(","));
        metadata
    }
}

/// Puts metadata into a header without any: a length in eight bytes, then JSON, padded to a multiple of eight.
fn with_metadata(file: &[u8], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>, WriteError> {
    let (length, rest) = file.split_first_chunk::<8>().ok_or(SafeTensorError::HeaderTooSmall)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| SafeTensorError::HeaderTooLarge)?;
    let (header, data) = rest.split_at_checked(length).ok_or(SafeTensorError::InvalidHeaderLength)?;
    let mut header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header)?;
    header.insert("__metadata__".to_owned(), serde_json::to_value(metadata)?);
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok([&(header.len() as u64).to_le_bytes()[..], &header, data].concat())
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
