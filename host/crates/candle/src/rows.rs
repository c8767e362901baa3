//! Tensors as [`Rows`]: plain numbers for the CPU, a handle for a GPU.

use crate::error::backend;
use candle_core::{Device, Result, Tensor};
use inferenceguard_model::{DeviceRows, ModelError, Rows};
use std::any::Any;

/// `[rows, width]`, f32, on a GPU.
struct TensorRows(Tensor);

impl DeviceRows for TensorRows {
    fn to_host(&self) -> std::result::Result<Vec<f32>, ModelError> {
        flat(&self.0).map_err(backend)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn flat(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// A table `[rows, width]` as rows, where it is.
pub(crate) fn to_rows(tensor: &Tensor) -> std::result::Result<Rows, ModelError> {
    let (rows, width) = tensor.dims2().map_err(backend)?;
    match tensor.device() {
        Device::Cpu => Rows::host(rows, width, flat(tensor).map_err(backend)?),
        _ => Ok(Rows::device(rows, width, Box::new(TensorRows(tensor.clone())))),
    }
}

/// The table, if it is on a device.
pub(crate) fn as_tensor(rows: &Rows) -> Option<&Tensor> {
    rows.as_device()?.downcast_ref().map(|TensorRows(tensor)| tensor)
}

/// Rows of either kind as a table on `device`.
pub(crate) fn to_tensor(rows: &Rows, device: &Device) -> std::result::Result<Tensor, ModelError> {
    if let Some(tensor) = as_tensor(rows) {
        return Ok(tensor.clone());
    }
    let data = rows.to_host()?;
    Tensor::from_slice(&data, (rows.len(), rows.width()), device).map_err(backend)
}

/// Rows picked from several tables: `(table, row)`.
pub(crate) fn gather(
    tables: &[&Rows],
    picks: &[(usize, usize)],
    device: &Device,
) -> std::result::Result<Rows, ModelError> {
    let mut starts = Vec::with_capacity(tables.len());
    let mut total = 0;
    for table in tables {
        starts.push(total);
        total += table.len();
    }
    let wrong = |&(table, row): &(usize, usize)| tables.get(table).is_none_or(|t| row >= t.len());
    if let Some(pick) = picks.iter().find(|pick| wrong(pick)) {
        let expected = format!("rows of {} tables", tables.len());
        return Err(ModelError::Shape { what: "picked row", expected, found: format!("{pick:?}") });
    }
    let index: Vec<u32> = picks.iter().map(|&(table, row)| (starts[table] + row) as u32).collect();
    let width = tables.first().map_or(0, |table| table.width());
    if index.is_empty() {
        return Rows::host(0, width, Vec::new());
    }
    let tensors = tables.iter().map(|t| to_tensor(t, device)).collect::<std::result::Result<Vec<_>, _>>()?;
    let picked = Tensor::cat(&tensors, 0).and_then(|all| all.index_select(&Tensor::new(index, device)?, 0));
    to_rows(&picked.map_err(backend)?)
}
