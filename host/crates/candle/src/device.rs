//! Where a model runs, and in which number format.

use crate::CandleError;
use candle_core::{DType, Device};
use std::str::FromStr;

/// A device, as written by users: `cpu`, `cuda` or `cuda:1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The processor.
    #[default]
    Cpu,
    /// The n-th NVIDIA GPU.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = CandleError;

    fn from_str(text: &str) -> Result<Self, CandleError> {
        let number = match text.split_once(':') {
            None if text == "cpu" => return Ok(Self::Cpu),
            None if text == "cuda" => Some(0),
            Some(("cuda", n)) => n.parse().ok(),
            _ => None,
        };
        number.map(Self::Cuda).ok_or_else(|| CandleError::Device {
            device: text.into(),
            message: "unknown; write cpu, cuda or cuda:N".into(),
        })
    }
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

/// The number format of weights and KV cache on the device. Scores, softmax and norms are always f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32 bits: the default.
    #[default]
    F32,
    /// 8 bits and a scale for 32 numbers, as in GGUF files: on the CPU, where matrices are rounded as they are loaded.
    /// Norms, score heads, keys and values are f32.
    Q8_0,
    /// 16 bits, IEEE.
    F16,
    /// 16 bits, brain float. On the CPU matrices and the rows that they multiply are rounded to it; sums, norms, score heads, keys
    /// and values are f32.
    BF16,
}

/// What matrices become as they are loaded, where our own kernels compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounded {
    /// They stay f32.
    No,
    Q8_0,
    BF16,
}

/// What computes on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kernels {
    /// Our own kernels: fast for small models, and the same to the last bit whatever the batch.
    #[default]
    Direct,
    /// The tensor library, as on a GPU: for comparison. On the CPU all weights become f32 for it; it rounds none.
    Tensors,
}

impl Precision {
    /// The tensor library's type for weights that are not quantised, and on a GPU for all tensors.
    pub(crate) fn dtype(self) -> DType {
        match self {
            Self::F32 | Self::Q8_0 => DType::F32,
            Self::F16 => DType::F16,
            Self::BF16 => DType::BF16,
        }
    }

    /// The type for the tensors of a model on this device: f32 on the CPU, where our own kernels hold matrices in other formats.
    pub(crate) fn dtype_on(self, device: &Device) -> DType {
        if device.is_cpu() { DType::F32 } else { self.dtype() }
    }

    /// What our own kernels round matrices to.
    pub(crate) fn rounded(self) -> Rounded {
        match self {
            Self::F32 | Self::F16 => Rounded::No,
            Self::Q8_0 => Rounded::Q8_0,
            Self::BF16 => Rounded::BF16,
        }
    }
}

impl DeviceChoice {
    /// The first GPU, if this build supports GPUs and there is one; else the processor.
    #[must_use]
    pub fn best() -> Self {
        open_cuda(0).map_or(Self::Cpu, |_| Self::Cuda(0))
    }

    /// Opens the device.
    ///
    /// # Errors
    /// [`CandleError::Device`] when GPUs were not compiled in, none is there, or it does not take this format.
    pub fn open(self, precision: Precision) -> Result<Device, CandleError> {
        let refused = |message: &str| Err(CandleError::Device { device: self.to_string(), message: message.into() });
        match (self, precision) {
            (Self::Cpu, Precision::F16) => refused("f16 is for GPUs; choose f32, bf16 or q8_0"),
            (Self::Cpu, _) => Ok(Device::Cpu),
            (Self::Cuda(_), Precision::Q8_0) => refused("q8_0 is for the CPU; choose f32, f16 or bf16"),
            (Self::Cuda(n), _) => open_cuda(n),
        }
    }
}

#[cfg(feature = "cuda")]
fn open_cuda(n: usize) -> Result<Device, CandleError> {
    let failed = |message: String| CandleError::Device { device: format!("cuda:{n}"), message };
    // The loader below candle panics when a driver library is missing.
    match std::panic::catch_unwind(|| Device::new_cuda(n)) {
        Ok(device) => device.map_err(|e| failed(format!("cannot be opened: {e}; use --device cpu"))),
        Err(_) => Err(failed("no usable NVIDIA driver or CUDA library was found; use --device cpu".into())),
    }
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(n: usize) -> Result<Device, CandleError> {
    Err(CandleError::Device {
        device: format!("cuda:{n}"),
        message: "this build has no GPU support; build with --features cuda, or use --device cpu".into(),
    })
}
