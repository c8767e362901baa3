//! The outputs of the layers at the newest position of each beam.
//!
//! A pass computes them anyway; they are kept until their beams go on, and copied only when somebody reads them.

use crate::{
    error::backend,
    kv::Key,
    rows::{gather, to_rows},
};
use candle_core::{DType, Device, Result, Tensor};
use inferenceguard_model::{BeamId, ModelError, Rows};
use std::{collections::HashMap, sync::Arc};

/// The outputs of all layers in one pass, `[rows, hidden]` each, before any norm.
#[derive(Default)]
pub(crate) struct Inner {
    streams: Vec<Tensor>,
    /// The caller's rows among the rows of the pass, if they lie in another order.
    order: Option<Tensor>,
}

impl Inner {
    pub(crate) fn new(streams: Vec<Tensor>, order: Option<Tensor>) -> Self {
        Self { streams, order }
    }

    /// The outputs for the last row only; those for other rows are freed.
    pub(crate) fn last(streams: &[Tensor]) -> Result<Self> {
        let last = |stream: &Tensor| stream.narrow(0, stream.dim(0)? - 1, 1)?.force_contiguous();
        Ok(Self { streams: streams.iter().map(last).collect::<Result<_>>()?, order: None })
    }

    /// Joins the outputs of several passes, one after the other; each pass has them in the caller's order.
    pub(crate) fn join(passes: &[Self]) -> Result<Self> {
        let layers = passes.iter().map(|pass| pass.streams.len()).min().unwrap_or(0);
        let layer = |layer| Tensor::cat(&passes.iter().map(|pass| &pass.streams[layer]).collect::<Vec<_>>(), 0);
        Ok(Self { streams: (0..layers).map(layer).collect::<Result<_>>()?, order: None })
    }

    /// One layer's rows in the caller's order, f32.
    fn rows(&self, layer: usize) -> std::result::Result<Rows, ModelError> {
        let read = || {
            let Some(stream) = self.streams.get(layer) else { candle_core::bail!("layer {layer} was not kept") };
            let stream = stream.to_dtype(DType::F32)?;
            self.order.as_ref().map_or(Ok(stream.clone()), |order| stream.index_select(order, 0))
        };
        to_rows(&read().map_err(backend)?)
    }
}

/// Where the newest position of each beam was computed.
#[derive(Default)]
pub(crate) struct Newest(HashMap<Key, (Arc<Inner>, usize)>);

impl Newest {
    /// These beams, in order, are the rows of this pass.
    pub(crate) fn set(&mut self, keys: impl IntoIterator<Item = Key>, inner: Inner) {
        let inner = Arc::new(inner);
        self.0.extend(keys.into_iter().enumerate().map(|(row, key)| (key, (Arc::clone(&inner), row))));
    }

    /// Children begin where their parents are.
    pub(crate) fn fork(&mut self, parents: &[Key], children: &[Key]) {
        for (parent, child) in parents.iter().zip(children) {
            if let Some(place) = self.0.get(parent).cloned() {
                self.0.insert(*child, place);
            }
        }
    }

    pub(crate) fn release(&mut self, keys: &[Key]) {
        for key in keys {
            self.0.remove(key);
        }
    }

    /// The outputs of one layer for these beams, `[beams, hidden]`, f32.
    pub(crate) fn read(&self, keys: &[Key], layer: usize, device: &Device) -> std::result::Result<Rows, ModelError> {
        let (mut passes, mut picks): (Vec<&Arc<Inner>>, _) = (Vec::new(), Vec::with_capacity(keys.len()));
        for key in keys {
            let (inner, row) = self.0.get(key).ok_or(ModelError::UnknownBeam(BeamId(*key)))?;
            let known = passes.iter().position(|pass| Arc::ptr_eq(pass, inner));
            let table = known.unwrap_or_else(|| {
                passes.push(inner);
                passes.len() - 1
            });
            picks.push((table, *row));
        }
        let tables = passes.iter().map(|pass| pass.rows(layer)).collect::<std::result::Result<Vec<_>, _>>()?;
        gather(&tables.iter().collect::<Vec<_>>(), &picks, device)
    }
}
