//! Reads networks. Every number is checked, so that a bad file is refused when the bundle is opened.

use super::{ACTIVATIONS, Network};
use half::{bf16, f16};
use inferenceguard_model::dense::{Layer, LayerActivation};
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use std::collections::{BTreeMap, BTreeSet};

/// Why a network's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// It is no safetensors file.
    #[error("{0}; expected a whole safetensors file")]
    Broken(#[from] SafeTensorError),
    /// Nothing says which activations there are.
    #[error("the metadata has no `activations`; add one name per layer, with commas between: {}", names())]
    NoActivations,
    /// An activation is not known.
    #[error("found the activation `{found}` of layer {layer}; expected one of: {}", names())]
    UnknownActivation {
        /// The layer, from 0.
        layer: usize,
        /// The name.
        found: String,
    },
    /// A tensor is missing.
    #[error(
        "there is no tensor `{tensor}`; expected weight and bias of each of the {layers} layers with an activation"
    )]
    MissingTensor {
        /// The tensor.
        tensor: String,
        /// How many layers there should be.
        layers: usize,
    },
    /// A tensor is there that belongs to no layer.
    #[error(
        "found the tensor `{tensor}`; expected only `layers.N.weight` and `layers.N.bias` of the {layers} layers with an activation"
    )]
    UnknownTensor {
        /// The tensor.
        tensor: String,
        /// How many layers there should be.
        layers: usize,
    },
    /// A tensor has another shape.
    #[error("the tensor `{tensor}` has the shape {found:?}; expected {expected}")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// What fits.
        expected: String,
    },
    /// A tensor has a format that is not read.
    #[error("the tensor `{tensor}` has the format {found}; expected F32, F16 or BF16")]
    Format {
        /// The tensor.
        tensor: String,
        /// Its format.
        found: String,
    },
    /// A tensor holds something that is no number.
    #[error("the tensor `{tensor}` holds {value} at {index}; expected finite numbers: train it again")]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// Where, in storage order.
        index: usize,
        /// What.
        value: f32,
    },
}

fn names() -> String {
    LayerActivation::ALL.map(LayerActivation::name).join(", ")
}

impl Network {
    /// Reads the bytes of a file; the format is described at [`crate::network`].
    ///
    /// # Errors
    /// [`NetworkError`]: what was found and what was expected.
    pub fn parse(bytes: &[u8]) -> Result<Self, NetworkError> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let mut metadata: BTreeMap<String, String> =
            header.metadata().clone().unwrap_or_default().into_iter().collect();
        let activations = activations(&metadata.remove(ACTIVATIONS).ok_or(NetworkError::NoActivations)?)?;
        let reader = Reader { tensors: SafeTensors::deserialize(bytes)?, layers: activations.len() };
        reader.check_names()?;
        let mut layers: Vec<Layer> = Vec::with_capacity(activations.len());
        for (n, activation) in activations.into_iter().enumerate() {
            let width = layers.last().map(|layer| layer.bias.len());
            layers.push(reader.layer(n, width, activation)?);
        }
        Ok(Self { layers: layers.into(), metadata })
    }
}

fn activations(text: &str) -> Result<Vec<LayerActivation>, NetworkError> {
    let one = |(layer, name): (usize, &str)| {
        let found = name.trim();
        let unknown = || NetworkError::UnknownActivation { layer, found: found.to_owned() };
        LayerActivation::from_name(found).ok_or_else(unknown)
    };
    text.split(',').enumerate().map(one).collect()
}

struct Reader<'a> {
    tensors: SafeTensors<'a>,
    layers: usize,
}

impl Reader<'_> {
    fn check_names(&self) -> Result<(), NetworkError> {
        let known: BTreeSet<String> = (0..self.layers).flat_map(|n| [name(n, "weight"), name(n, "bias")]).collect();
        let found: BTreeSet<String> = self.tensors.names().into_iter().map(str::to_owned).collect();
        if let Some(tensor) = known.difference(&found).next() {
            return Err(NetworkError::MissingTensor { tensor: tensor.clone(), layers: self.layers });
        }
        match found.difference(&known).next() {
            Some(tensor) => Err(NetworkError::UnknownTensor { tensor: tensor.clone(), layers: self.layers }),
            None => Ok(()),
        }
    }

    fn layer(&self, n: usize, inputs: Option<usize>, activation: LayerActivation) -> Result<Layer, NetworkError> {
        let (weight, shape) = self.values(&name(n, "weight"))?;
        let fits = matches!(shape[..], [outputs, width]
            if outputs > 0 && width > 0 && inputs.is_none_or(|inputs| inputs == width));
        if !fits {
            let width = inputs.map_or("inputs".to_owned(), |inputs| inputs.to_string());
            let expected = format!("[outputs, {width}], both above 0");
            return Err(NetworkError::Shape { tensor: name(n, "weight"), found: shape, expected });
        }
        let (bias, found) = self.values(&name(n, "bias"))?;
        if found != shape[..1] {
            let expected = format!("[{}], one number per output of its weight", shape[0]);
            return Err(NetworkError::Shape { tensor: name(n, "bias"), found, expected });
        }
        Ok(Layer { weights: weight, bias, activation })
    }

    fn values(&self, name: &str) -> Result<(Vec<f32>, Vec<usize>), NetworkError> {
        let tensor = self.tensors.tensor(name)?;
        let values = match tensor.dtype() {
            Dtype::F32 => decode::<4>(tensor.data(), f32::from_le_bytes),
            Dtype::F16 => decode::<2>(tensor.data(), |bytes| f16::from_le_bytes(bytes).to_f32()),
            Dtype::BF16 => decode::<2>(tensor.data(), |bytes| bf16::from_le_bytes(bytes).to_f32()),
            other => return Err(NetworkError::Format { tensor: name.to_owned(), found: format!("{other:?}") }),
        };
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(NetworkError::NotFinite { tensor: name.to_owned(), index, value: values[index] }),
            None => Ok((values, tensor.shape().to_vec())),
        }
    }
}

fn name(layer: usize, part: &str) -> String {
    format!("layers.{layer}.{part}")
}

fn decode<const N: usize>(data: &[u8], one: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    data.as_chunks::<N>().0.iter().map(|chunk| one(*chunk)).collect()
}
