//! Rotary positions: how fast each pair of a head turns, plain or scaled.
//!
//! A head's numbers `i` and `i + head_dim / 2` form a pair; at position `p` pair `i` is turned by `p * speed[i]`.

use crate::{CandleError, fields::Fields};
use candle_core::{DType, Device, Tensor};

/// How the speeds are stretched for long contexts.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// As trained.
    Default,
    /// All speeds divided by a factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// The base grows with the length of the text once it passes the trained context ("NTK").
    ///
    /// A prompt is turned by its whole length, each later token by the length it makes. So the keys of a text depend
    /// on where the prompt ended, as they do in the reference implementation.
    Dynamic {
        /// The factor.
        factor: f64,
        /// The trained context.
        original: usize,
    },
    /// Llama 3: slow pairs divided by a factor, fast ones kept, those between blended.
    Llama3 {
        /// The factor.
        factor: f64,
        /// Wavelengths above `original / low` are divided.
        low: f64,
        /// Wavelengths below `original / high` are kept.
        high: f64,
        /// The trained context.
        original: usize,
    },
    /// Each pair's speed divided by its own factor: how GGUF files write the scaling of Llama 3. One factor above 0 for
    /// each pair.
    Factors(Vec<f64>),
}

/// The rotary embedding of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// The base of the speeds.
    pub theta: f64,
    /// The stretch.
    pub scaling: RopeScaling,
    /// Numbers per head.
    pub head_dim: usize,
}

impl Rope {
    pub(crate) fn parse(fields: &Fields<'_>, head_dim: usize, max_positions: usize) -> Result<Self, CandleError> {
        let outer_theta = fields.number_or("rope_theta", 10_000.0)?;
        refuse_partial(fields)?;
        let read = |inner: &Fields<'_>, theta: f64| Self::of(inner, theta, head_dim, max_positions);
        let (new, old) = (fields.inside("rope_parameters")?, fields.inside("rope_scaling")?);
        let Some(inner) = new.as_ref().or(old.as_ref()) else {
            return Ok(Self { theta: outer_theta, scaling: RopeScaling::Default, head_dim });
        };
        let rope = read(inner, outer_theta)?;
        // Two names of one thing: the older one may leave the base to the newer.
        let other = old.filter(|_| new.is_some()).map(|old| read(&old, rope.theta)).transpose()?;
        match other.filter(|other| *other != rope) {
            Some(other) => {
                Err(fields.wrong("rope_scaling", other.shown(), format!("{}, as in rope_parameters", rope.shown())))
            }
            None => Ok(rope),
        }
    }

    /// Reads the object that holds base and stretch; `theta` is the base where it names none.
    pub(crate) fn of(
        inner: &Fields<'_>,
        theta: f64,
        head_dim: usize,
        max_positions: usize,
    ) -> Result<Self, CandleError> {
        refuse_partial(inner)?;
        let theta = inner.number_or("rope_theta", theta)?;
        Ok(Self { theta, scaling: parse_scaling(inner, max_positions)?, head_dim })
    }

    fn shown(&self) -> String {
        format!("base {} and {:?}", self.theta, self.scaling)
    }

    /// The most positions, given `max_position_embeddings`.
    pub(crate) fn context(&self, max_positions: usize) -> usize {
        match self.scaling {
            RopeScaling::Default | RopeScaling::Llama3 { .. } | RopeScaling::Factors(_) => max_positions,
            RopeScaling::Linear { factor } | RopeScaling::Dynamic { factor, .. } => {
                (max_positions as f64 * factor) as usize
            }
        }
    }

    /// The positions up to which the speeds do not depend on the length of the text.
    pub(crate) fn fixed_up_to(&self) -> usize {
        match self.scaling {
            RopeScaling::Dynamic { original, .. } => original,
            _ => usize::MAX,
        }
    }

    /// The speed of each pair in a text of `length` tokens, `head_dim / 2` numbers, in radians per position.
    pub(crate) fn speeds(&self, length: usize) -> Vec<f64> {
        let theta = self.base(length);
        let dim = self.head_dim as f64;
        let plain = (0..self.head_dim / 2).map(|i| theta.powf(-2.0 * i as f64 / dim));
        plain.enumerate().map(|(pair, speed)| self.stretched(pair, speed)).collect()
    }

    fn base(&self, length: usize) -> f64 {
        let RopeScaling::Dynamic { factor, original } = self.scaling else { return self.theta };
        if length <= original {
            return self.theta;
        }
        let (length, original, dim) = (length as f64, original as f64, self.head_dim as f64);
        let growth = factor * length / original - (factor - 1.0);
        self.theta * growth.powf(dim / (dim - 2.0))
    }

    fn stretched(&self, pair: usize, speed: f64) -> f64 {
        match &self.scaling {
            RopeScaling::Default | RopeScaling::Dynamic { .. } => speed,
            RopeScaling::Linear { factor } => speed / factor,
            RopeScaling::Factors(factors) => speed / factors.get(pair).copied().unwrap_or(1.0),
            RopeScaling::Llama3 { factor, low, high, original } => {
                let turns = *original as f64 * speed / std::f64::consts::TAU;
                let keep = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                keep * speed + (1.0 - keep) * speed / factor
            }
        }
    }
}

fn refuse_partial(fields: &Fields<'_>) -> Result<(), CandleError> {
    let partial = fields.number_or("partial_rotary_factor", 1.0)?;
    if (partial - 1.0).abs() < 1e-9 {
        return Ok(());
    }
    Err(fields.wrong("partial_rotary_factor", partial, "1 (whole heads turn)"))
}

fn parse_scaling(inner: &Fields<'_>, max_positions: usize) -> Result<RopeScaling, CandleError> {
    let named = inner.get("rope_type").or_else(|| inner.get("type"));
    let kind = named.map_or(Some("default"), |v| v.as_str()).unwrap_or("not a string");
    match kind {
        "default" => Ok(RopeScaling::Default),
        "linear" => Ok(RopeScaling::Linear { factor: inner.number("factor")? }),
        "dynamic" => Ok(RopeScaling::Dynamic {
            factor: inner.number("factor")?,
            original: inner.size_or("original_max_position_embeddings", max_positions)?,
        }),
        "llama3" => parse_llama3(inner),
        other => Err(inner.wrong("rope_type", other, "default, linear, dynamic or llama3")),
    }
}

fn parse_llama3(inner: &Fields<'_>) -> Result<RopeScaling, CandleError> {
    let (low, high) = (inner.number("low_freq_factor")?, inner.number("high_freq_factor")?);
    if low >= high {
        return Err(inner.wrong("low_freq_factor", low, format!("less than high_freq_factor = {high}")));
    }
    let original = inner.size("original_max_position_embeddings")?;
    Ok(RopeScaling::Llama3 { factor: inner.number("factor")?, low, high, original })
}

/// Cosines and sines of positions, `[n, 1, head_dim / 2]`.
pub(crate) struct Angles {
    pub(crate) cos: Tensor,
    pub(crate) sin: Tensor,
}

/// Cosines and sines, computed once per position and kept.
pub(crate) struct Table {
    rope: Rope,
    /// `[positions, head_dim / 2]`, row by row.
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Table {
    pub(crate) fn new(rope: Rope) -> Self {
        Self { rope, cos: Vec::new(), sin: Vec::new() }
    }

    /// Angles of positions of a prompt of `length` tokens.
    pub(crate) fn of_prompt(
        &mut self,
        positions: &[usize],
        length: usize,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Angles> {
        self.angles(positions, |_| length, dtype, device)
    }

    /// Angles of tokens that are each the newest of their text.
    pub(crate) fn of_steps(
        &mut self,
        positions: &[usize],
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Angles> {
        self.angles(positions, |position| position + 1, dtype, device)
    }

    fn angles(
        &mut self,
        positions: &[usize],
        length: impl Fn(usize) -> usize,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Angles> {
        let half = self.rope.head_dim / 2;
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for &position in positions {
            if length(position) > self.rope.fixed_up_to() {
                push_angles(&self.rope.speeds(length(position)), position, &mut cos, &mut sin);
                continue;
            }
            self.grow(position + 1);
            cos.extend_from_slice(&self.cos[position * half..(position + 1) * half]);
            sin.extend_from_slice(&self.sin[position * half..(position + 1) * half]);
        }
        let tensor = |v: Vec<f32>| Tensor::from_vec(v, (positions.len(), 1, half), device)?.to_dtype(dtype);
        Ok(Angles { cos: tensor(cos)?, sin: tensor(sin)? })
    }

    fn grow(&mut self, positions: usize) {
        let half = self.rope.head_dim / 2;
        let known = self.cos.len() / half;
        if positions <= known {
            return;
        }
        let speeds = self.rope.speeds(1);
        for position in known..positions.next_power_of_two() {
            push_angles(&speeds, position, &mut self.cos, &mut self.sin);
        }
    }
}

/// Appends the cosines and sines of one position. It computes in f32, as the reference implementation does, so that far positions
/// round alike.
fn push_angles(speeds: &[f64], position: usize, cos: &mut Vec<f32>, sin: &mut Vec<f32>) {
    for speed in speeds {
        let angle = position as f32 * *speed as f32;
        cos.push(angle.cos());
        sin.push(angle.sin());
    }
}
