//! Linear algebra that the host computes, for costs, critics and steering; the weights belong to the deployment.
//!
//! In wasm a [`Tensor`] is a handle to numbers that the host holds in its memory; networks run on its device. In tests it is a
//! plain list, and a network is one linear layer made by hand.

use crate::{RoleError, bindings::common::dense as host};

/// Why an operation did not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DenseError {
    /// Shapes do not fit.
    #[error("shapes do not fit: {0}")]
    Shape(String),
    /// There is no network of this name.
    #[error("there is no network `{0}`; name a network of the deployment")]
    NoNetwork(String),
    /// A latent was read, or a network opened, that was not declared.
    #[error("{0} was read but not declared; add it to `needs`")]
    Undeclared(String),
    /// The request's tensors would take more memory than allowed.
    #[error("too much memory for tensors: {0}")]
    Memory(String),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(String),
}

impl From<DenseError> for RoleError {
    fn from(error: DenseError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<host::DenseError> for DenseError {
    fn from(error: host::DenseError) -> Self {
        match error {
            host::DenseError::Shape(text) => Self::Shape(text),
            host::DenseError::NoNetwork(text) => Self::NoNetwork(text),
            host::DenseError::Undeclared(text) => Self::Undeclared(text),
            host::DenseError::Memory(text) => Self::Memory(text),
            host::DenseError::Device(text) => Self::Device(text),
        }
    }
}

/// Where tensors and networks come from, for one call.
#[expect(clippy::missing_errors_doc, reason = "each fails as DenseError says")]
pub trait Dense {
    /// The declared latents of all rows: \[rows, hidden\].
    fn latents(&self) -> Result<Tensor, DenseError>;
    /// The declared latents of every new token, row after row: \[new tokens of all rows, sum of the widths\].
    fn token_latents(&self) -> Result<Tensor, DenseError>;
    /// A tensor of this shape from its values, row by row.
    fn tensor(&self, shape: &[u32], data: &[f32]) -> Result<Tensor, DenseError>;
    /// A network by the name the deployment gives it. Need: `Network`.
    fn network(&self, name: &str) -> Result<Network, DenseError>;
}

/// f32 numbers, row-major.
#[derive(Debug)]
pub struct Tensor(Numbers);

#[derive(Debug)]
enum Numbers {
    Device(host::Tensor),
    Plain { shape: Vec<u32>, data: Vec<f32> },
}

impl Tensor {
    /// A tensor in plain memory, as tests use it.
    ///
    /// # Errors
    /// When the count of values is not the product of the shape.
    pub fn plain(shape: &[u32], data: Vec<f32>) -> Result<Self, DenseError> {
        let count: u64 = shape.iter().map(|&side| u64::from(side)).product();
        if count != data.len() as u64 {
            return Err(DenseError::Shape(format!("{shape:?} holds {count} values, but {} were given", data.len())));
        }
        Ok(Self(Numbers::Plain { shape: shape.to_vec(), data }))
    }

    pub(crate) fn on_device(tensor: host::Tensor) -> Self {
        Self(Numbers::Device(tensor))
    }

    /// The handle, uploading a plain tensor first.
    pub(crate) fn into_device(self) -> Result<host::Tensor, DenseError> {
        match self.0 {
            Numbers::Device(tensor) => Ok(tensor),
            Numbers::Plain { shape, data } => Ok(host::Tensor::create(&shape, &data)?),
        }
    }

    /// The shape.
    #[must_use]
    pub fn shape(&self) -> Vec<u32> {
        match &self.0 {
            Numbers::Device(tensor) => tensor.shape(),
            Numbers::Plain { shape, .. } => shape.clone(),
        }
    }

    /// The values, row by row.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_vec(&self) -> Result<Vec<f32>, DenseError> {
        match &self.0 {
            Numbers::Device(tensor) => Ok(tensor.to_list()?),
            Numbers::Plain { data, .. } => Ok(data.clone()),
        }
    }

    /// A new tensor: self + factor · other.
    ///
    /// # Errors
    /// When the shapes differ, or the device fails.
    pub fn add_scaled(&self, other: &Self, factor: f32) -> Result<Self, DenseError> {
        if let (Numbers::Device(left), Numbers::Device(right)) = (&self.0, &other.0) {
            return Ok(Self::on_device(left.add_scaled(right, factor)?));
        }
        let (shape, others) = (self.shape(), other.shape());
        if shape != others {
            return Err(DenseError::Shape(format!("{shape:?} and {others:?} differ")));
        }
        let sum = self.to_vec()?.iter().zip(other.to_vec()?).map(|(left, right)| left + factor * right).collect();
        Self::plain(&shape, sum)
    }
}

/// A stack of layers.
#[derive(Debug)]
pub struct Network(Layers);

#[derive(Debug)]
enum Layers {
    Device(host::Network),
    Linear(LinearDouble),
}

/// One linear layer made by hand: outputs = weights · input + bias.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearDouble {
    /// One row of weights per output, each as wide as the input.
    pub weights: Vec<Vec<f32>>,
    /// One number per output.
    pub bias: Vec<f32>,
}

impl Network {
    pub(crate) fn on_device(network: host::Network) -> Self {
        Self(Layers::Device(network))
    }

    /// Width of one input row.
    #[must_use]
    pub fn inputs(&self) -> u32 {
        match &self.0 {
            Layers::Device(network) => network.inputs(),
            Layers::Linear(layer) => layer.weights.first().map_or(0, Vec::len) as u32,
        }
    }

    /// Width of one output row.
    #[must_use]
    pub fn outputs(&self) -> u32 {
        match &self.0 {
            Layers::Device(network) => network.outputs(),
            Layers::Linear(layer) => layer.weights.len() as u32,
        }
    }

    /// \[rows, inputs\] to \[rows, outputs\].
    ///
    /// # Errors
    /// When the shapes do not fit, or the device fails.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor, DenseError> {
        match (&self.0, &input.0) {
            (Layers::Device(network), Numbers::Device(input)) => Ok(Tensor::on_device(network.forward(input)?)),
            (Layers::Linear(layer), Numbers::Plain { .. }) => layer.forward(input),
            _ => Err(mixed()),
        }
    }

    /// The outputs, and the gradient of their sum by the input: \[rows, outputs\] and \[rows, inputs\].
    ///
    /// # Errors
    /// When the shapes do not fit, or the device fails.
    pub fn value_and_gradient(&self, input: &Tensor) -> Result<(Tensor, Tensor), DenseError> {
        match (&self.0, &input.0) {
            (Layers::Device(network), Numbers::Device(input)) => {
                let (value, gradient) = network.value_and_gradient(input)?;
                Ok((Tensor::on_device(value), Tensor::on_device(gradient)))
            }
            (Layers::Linear(layer), Numbers::Plain { .. }) => Ok((layer.forward(input)?, layer.gradient(input)?)),
            _ => Err(mixed()),
        }
    }
}

fn mixed() -> DenseError {
    DenseError::Device("a network and a tensor of different places; make tensors with `Dense`".to_owned())
}

impl LinearDouble {
    fn forward(&self, input: &Tensor) -> Result<Tensor, DenseError> {
        let (width, data) = (self.weights.first().map_or(0, Vec::len), input.to_vec()?);
        let rows = input.shape().first().copied().unwrap_or(0);
        if input.shape() != [rows, width as u32] {
            return Err(DenseError::Shape(format!("the input is {:?}, expected [rows, {width}]", input.shape())));
        }
        let outputs = data.chunks(width.max(1)).flat_map(|row| {
            let dot = move |weights: &Vec<f32>| weights.iter().zip(row).map(|(weight, x)| weight * x).sum::<f32>();
            self.weights.iter().zip(&self.bias).map(move |(weights, bias)| dot(weights) + bias)
        });
        Tensor::plain(&[rows, self.weights.len() as u32], outputs.collect())
    }

    fn gradient(&self, input: &Tensor) -> Result<Tensor, DenseError> {
        let width = self.weights.first().map_or(0, Vec::len);
        let column: Vec<f32> =
            (0..width).map(|i| self.weights.iter().filter_map(|row| row.get(i)).sum::<f32>()).collect();
        let rows = input.shape().first().copied().unwrap_or(0);
        Tensor::plain(&[rows, width as u32], column.repeat(rows as usize))
    }
}

/// Latents and networks made by hand, for tests.
#[derive(Debug, Clone, Default)]
pub struct DenseDouble {
    /// The declared latents, one per row.
    pub latents: Vec<Vec<f32>>,
    /// The declared latents of every new token, one per token, row after row.
    pub token_latents: Vec<Vec<f32>>,
    /// Networks by name.
    pub networks: Vec<(String, LinearDouble)>,
}

impl Dense for DenseDouble {
    fn latents(&self) -> Result<Tensor, DenseError> {
        table(&self.latents)
    }

    fn token_latents(&self) -> Result<Tensor, DenseError> {
        table(&self.token_latents)
    }

    fn tensor(&self, shape: &[u32], data: &[f32]) -> Result<Tensor, DenseError> {
        Tensor::plain(shape, data.to_vec())
    }

    fn network(&self, name: &str) -> Result<Network, DenseError> {
        let found = self.networks.iter().find(|(known, _)| known == name);
        let (_, layer) = found.ok_or_else(|| DenseError::NoNetwork(name.to_owned()))?;
        Ok(Network(Layers::Linear(layer.clone())))
    }
}

/// These rows as a tensor.
fn table(rows: &[Vec<f32>]) -> Result<Tensor, DenseError> {
    let width = rows.first().map_or(0, Vec::len);
    Tensor::plain(&[rows.len() as u32, width as u32], rows.concat())
}
