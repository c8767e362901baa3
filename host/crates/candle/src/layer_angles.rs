//! Rotary angles by kind of layer: a family may have another base for the layers with a window.

use crate::{DecoderConfig, rope};
use candle_core::{DType, Device, Result};

/// Cosines and sines of the tokens of a pass.
pub(crate) struct Angles {
    all: rope::Angles,
    /// Of layers with a window, where these differ.
    windowed: Option<rope::Angles>,
}

impl Angles {
    /// The angles for a layer with this window.
    pub(crate) fn of(&self, window: Option<usize>) -> &rope::Angles {
        self.windowed.as_ref().filter(|_| window.is_some()).unwrap_or(&self.all)
    }
}

/// Cosines and sines, computed once per position and kept.
pub(crate) struct Table {
    all: rope::Table,
    windowed: Option<rope::Table>,
}

impl Table {
    pub(crate) fn new(config: &DecoderConfig) -> Self {
        let windowed = config.gemma.as_ref().map(|gemma| rope::Table::new(gemma.local.clone()));
        Self { all: rope::Table::new(config.rope.clone()), windowed }
    }

    /// Angles of positions of a prompt of `length` tokens.
    pub(crate) fn of_prompt(
        &mut self,
        positions: &[usize],
        length: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Angles> {
        self.each(|table| table.of_prompt(positions, length, dtype, device))
    }

    /// Angles of tokens that are each the newest of their text.
    pub(crate) fn of_steps(&mut self, positions: &[usize], dtype: DType, device: &Device) -> Result<Angles> {
        self.each(|table| table.of_steps(positions, dtype, device))
    }

    fn each(&mut self, angles: impl Fn(&mut rope::Table) -> Result<rope::Angles>) -> Result<Angles> {
        Ok(Angles { all: angles(&mut self.all)?, windowed: self.windowed.as_mut().map(angles).transpose()? })
    }
}
