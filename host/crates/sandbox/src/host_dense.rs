//! The contract's `dense`: shapes and memory are checked here, the arithmetic is the network's.

use crate::{
    bindings::inferenceguard::guard::{
        dense::{DenseError, Host, HostNetwork, HostTensor},
        types,
    },
    convert,
    dense_state::{OpenNetwork, Tensor},
    state::{BatchHandle, State},
};
use inferenceguard_model::dense::Network;
use inferenceguard_search::{Batch, Needs};
use std::sync::Arc;
use wasmtime::{Result as Trapped, Trap, component::Resource};

type Dense<T> = Trapped<Result<T, DenseError>>;

/// What a handle costs beside its numbers.
const HANDLE: u64 = 128;

/// Multiply-adds that cost as much as one unit of fuel.
const PER_FUEL: u64 = 8;

/// Ends the function with an error for the component.
macro_rules! attempt {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}

fn bytes(numbers: usize) -> u64 {
    (numbers as u64).saturating_mul(4)
}

fn shape_error(found: impl std::fmt::Display, expected: impl std::fmt::Display) -> DenseError {
    DenseError::Shape(format!("found {found}; expected {expected}"))
}

impl State {
    /// Counts what the host computes for the component against its fuel, before it is computed: a network is no way
    /// around the limit. The arithmetic of one call may cost as much as its instructions, and not more.
    fn charge(&mut self, rows: u32, multiply_adds: u64) -> Trapped<()> {
        let cost = u64::from(rows).saturating_mul(multiply_adds) / PER_FUEL;
        self.dense.work = self.dense.work.saturating_add(cost.max(1));
        if self.dense.work <= self.limits.fuel { Ok(()) } else { Err(Trap::OutOfFuel.into()) }
    }

    /// Whether this many numbers more would fit.
    fn room(&self, numbers: usize) -> Result<(), DenseError> {
        let wanted = self.dense.used.saturating_add(HANDLE).saturating_add(bytes(numbers));
        if wanted <= self.limits.tensors {
            return Ok(());
        }
        let limit = self.limits.tensors;
        Err(DenseError::Memory(format!("the tensors would take {wanted} bytes; {limit} are allowed")))
    }

    fn keep(&mut self, shape: Vec<u32>, data: Vec<f32>) -> Dense<Resource<Tensor>> {
        attempt!(self.room(data.len()));
        self.dense.used += HANDLE + bytes(data.len());
        Ok(Ok(self.dense.table.push(Tensor { shape, data })?))
    }

    /// Takes a tensor out of the table.
    pub(crate) fn take_tensor(&mut self, handle: Resource<Tensor>) -> Trapped<Tensor> {
        let tensor = self.dense.table.delete(handle)?;
        self.dense.used = self.dense.used.saturating_sub(HANDLE + bytes(tensor.data.len()));
        Ok(tensor)
    }

    fn network(&self, handle: &Resource<OpenNetwork>) -> Trapped<Arc<dyn Network>> {
        Ok(Arc::clone(&self.dense.table.get(handle)?.0))
    }
}

/// The rows of an input that fits the network.
fn rows_for(network: &dyn Network, input: &Tensor) -> Result<u32, DenseError> {
    match input.shape.as_slice() {
        [rows, width] if *width as usize == network.inputs() => Ok(*rows),
        other => Err(shape_error(format!("{other:?}"), format!("[rows, {}]", network.inputs()))),
    }
}

fn narrow(width: usize) -> u32 {
    u32::try_from(width).unwrap_or(u32::MAX)
}

impl Host for State {
    fn latents(&mut self, _: Resource<BatchHandle>) -> Dense<Resource<Tensor>> {
        self.stacked(stack_latents)
    }

    fn declare_token_latents(&mut self, place: types::LatentSelector) -> Trapped<()> {
        match &mut self.declared {
            // More than are allowed are found to be too many afterwards.
            Some(places) if places.len() <= Needs::PLACES => places.push(convert::our_selector(place)),
            Some(_) => {}
            None => self.note_read("`declare-token-latents` outside of `needs`".to_owned()),
        }
        Ok(())
    }

    fn token_latents(&mut self, _: Resource<BatchHandle>) -> Dense<Resource<Tensor>> {
        self.stacked(stack_token_latents)
    }
}

/// A tensor before it is counted.
type Stacked = (Vec<u32>, Vec<f32>);

impl State {
    /// A tensor of the batch at hand; what is missing counts as a bad read.
    fn stacked(&mut self, stack: fn(&Batch) -> Result<Stacked, String>) -> Dense<Resource<Tensor>> {
        let Some(batch) = &self.batch else { return Err(wasmtime::Error::msg("no batch outside a call")) };
        match stack(batch) {
            Ok((shape, data)) => self.keep(shape, data),
            Err(found) => {
                self.note_read(found.clone());
                Ok(Err(DenseError::Undeclared(found)))
            }
        }
    }
}

fn stack_latents(batch: &Batch) -> Result<Stacked, String> {
    if batch.needs.latents.is_none() {
        return Err("`latents`, which is not declared".to_owned());
    }
    let width = batch.rows.first().and_then(|row| row.latent.as_ref()).map_or(0, |latent| latent.len());
    let mut data = Vec::with_capacity(width * batch.rows.len());
    for (n, row) in batch.rows.iter().enumerate() {
        match &row.latent {
            Some(latent) if latent.len() == width => data.extend_from_slice(latent),
            _ => return Err(format!("`latents` of row {n}, which is not available")),
        }
    }
    Ok((vec![narrow(batch.rows.len()), narrow(width)], data))
}

fn stack_token_latents(batch: &Batch) -> Result<Stacked, String> {
    if batch.needs.token_latents.is_empty() {
        return Err("`token-latents`, which is not declared".to_owned());
    }
    let count: usize = batch.rows.iter().map(|row| row.tokens.len()).sum();
    let first = batch.rows.iter().find(|row| !row.tokens.is_empty());
    let width = first.and_then(|row| Some(row.token_latents.as_ref()?.len() / row.tokens.len())).unwrap_or(0);
    let mut data = Vec::with_capacity(width * count);
    for (n, row) in batch.rows.iter().enumerate() {
        match &row.token_latents {
            Some(latents) if latents.len() == width * row.tokens.len() => data.extend_from_slice(latents),
            _ => return Err(format!("`token-latents` of row {n}, which is not available")),
        }
    }
    Ok((vec![narrow(count), narrow(width)], data))
}

impl HostTensor for State {
    fn create(&mut self, shape: Vec<u32>, data: Vec<f32>) -> Dense<Resource<Tensor>> {
        let count = shape.iter().try_fold(1_u64, |count, n| count.checked_mul(u64::from(*n)));
        if shape.len() > 8 || count != Some(data.len() as u64) {
            return Ok(Err(shape_error(
                format!("{} values for {shape:?}", data.len()),
                "their product, at most 8 axes",
            )));
        }
        self.keep(shape, data)
    }

    fn shape(&mut self, tensor: Resource<Tensor>) -> Trapped<Vec<u32>> {
        Ok(self.dense.table.get(&tensor)?.shape.clone())
    }

    fn to_list(&mut self, tensor: Resource<Tensor>) -> Dense<Vec<f32>> {
        Ok(Ok(self.dense.table.get(&tensor)?.data.clone()))
    }

    fn add_scaled(
        &mut self,
        tensor: Resource<Tensor>,
        other: Resource<Tensor>,
        factor: f32,
    ) -> Dense<Resource<Tensor>> {
        let (left, right) = (self.dense.table.get(&tensor)?, self.dense.table.get(&other)?);
        if left.shape != right.shape {
            return Ok(Err(shape_error(format!("{:?}", right.shape), format!("{:?}", left.shape))));
        }
        let (room, numbers) = (self.room(left.data.len()), left.data.len() as u64);
        attempt!(room);
        self.charge(1, numbers)?;
        let (left, right) = (self.dense.table.get(&tensor)?, self.dense.table.get(&other)?);
        let data = left.data.iter().zip(&right.data).map(|(a, b)| a + factor * b).collect();
        self.keep(left.shape.clone(), data)
    }

    fn drop(&mut self, tensor: Resource<Tensor>) -> Trapped<()> {
        self.take_tensor(tensor).map(drop)
    }
}

impl HostNetwork for State {
    fn open(&mut self, name: String) -> Dense<Resource<OpenNetwork>> {
        if !self.batch.as_ref().is_some_and(|batch| batch.needs.networks.contains(&name)) {
            let found = format!("`network({name})`, which is not declared");
            self.note_read(found.clone());
            return Ok(Err(DenseError::Undeclared(found)));
        }
        let Some(network) = self.dense.networks.get(&name).cloned() else {
            return Ok(Err(DenseError::NoNetwork(name)));
        };
        attempt!(self.room(0));
        self.dense.used += HANDLE;
        Ok(Ok(self.dense.table.push(OpenNetwork(network))?))
    }

    fn inputs(&mut self, network: Resource<OpenNetwork>) -> Trapped<u32> {
        Ok(narrow(self.network(&network)?.inputs()))
    }

    fn outputs(&mut self, network: Resource<OpenNetwork>) -> Trapped<u32> {
        Ok(narrow(self.network(&network)?.outputs()))
    }

    fn forward(&mut self, network: Resource<OpenNetwork>, input: Resource<Tensor>) -> Dense<Resource<Tensor>> {
        let network = self.network(&network)?;
        let rows = attempt!(rows_for(&*network, self.dense.table.get(&input)?));
        attempt!(self.room((rows as usize).saturating_mul(network.outputs())));
        self.charge(rows, network.multiply_adds())?;
        let input = self.dense.table.get(&input)?;
        let output = attempt!(network.forward(&input.data).map_err(DenseError::Device));
        self.keep(vec![rows, narrow(network.outputs())], output)
    }

    fn value_and_gradient(
        &mut self,
        network: Resource<OpenNetwork>,
        input: Resource<Tensor>,
    ) -> Dense<(Resource<Tensor>, Resource<Tensor>)> {
        let network = self.network(&network)?;
        let rows = attempt!(rows_for(&*network, self.dense.table.get(&input)?));
        let numbers = (rows as usize).saturating_mul(network.outputs() + network.inputs());
        attempt!(self.room(numbers.saturating_add(HANDLE as usize)));
        self.charge(rows, network.multiply_adds().saturating_mul(2))?;
        let input = self.dense.table.get(&input)?;
        let (value, gradient) = attempt!(network.value_and_gradient(&input.data).map_err(DenseError::Device));
        let value = attempt!(self.keep(vec![rows, narrow(network.outputs())], value)?);
        let gradient = attempt!(self.keep(vec![rows, narrow(network.inputs())], gradient)?);
        Ok(Ok((value, gradient)))
    }

    fn drop(&mut self, network: Resource<OpenNetwork>) -> Trapped<()> {
        self.dense.table.delete(network)?;
        self.dense.used = self.dense.used.saturating_sub(HANDLE);
        Ok(())
    }
}
