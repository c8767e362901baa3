//! The host's resources seen through the traits that tests implement too.

use crate::bindings::common::{batch::Batch, dense as host};
use crate::{BatchView, BudgetState, Constraint, Dense, DenseError, Estimate, LatentSelector};
use crate::{Network, ReadError, Tensor, Token};

/// The host's batch.
pub(crate) struct HostBatch<'a>(pub(crate) &'a Batch);

impl BatchView for HostBatch<'_> {
    fn len(&self) -> u32 {
        self.0.len()
    }
    fn chunk(&self) -> u32 {
        self.0.chunk()
    }
    fn attempt(&self) -> u32 {
        self.0.attempt()
    }
    fn depth(&self) -> u32 {
        self.0.depth()
    }
    fn max_depth(&self) -> u32 {
        self.0.max_depth()
    }
    fn last(&self) -> bool {
        self.0.last()
    }
    fn has_task(&self) -> bool {
        self.0.has_task()
    }
    fn constraints(&self) -> Vec<Constraint> {
        self.0.constraints().into_iter().map(Constraint::from).collect()
    }
    fn prompt(&self) -> Result<String, ReadError> {
        Ok(self.0.prompt()?)
    }
    fn id(&self, row: u32) -> Result<u64, ReadError> {
        Ok(self.0.id(row)?)
    }
    fn parent(&self, row: u32) -> Result<u64, ReadError> {
        Ok(self.0.parent(row)?)
    }
    fn finished(&self, row: u32) -> Result<bool, ReadError> {
        Ok(self.0.finished(row)?)
    }
    fn length(&self, row: u32) -> Result<u32, ReadError> {
        Ok(self.0.length(row)?)
    }
    fn tokens(&self, row: u32) -> Result<Vec<Token>, ReadError> {
        Ok(self.0.tokens(row)?)
    }
    fn text(&self, row: u32) -> Result<String, ReadError> {
        Ok(self.0.text(row)?)
    }
    fn text_ends(&self, row: u32) -> Result<Vec<u32>, ReadError> {
        Ok(self.0.text_ends(row)?)
    }
    fn lookback(&self, row: u32) -> Result<String, ReadError> {
        Ok(self.0.lookback(row)?)
    }
    fn logprobs(&self, row: u32) -> Result<Vec<f32>, ReadError> {
        Ok(self.0.logprobs(row)?)
    }
    fn top_k(&self, row: u32) -> Result<Vec<(Token, f32)>, ReadError> {
        Ok(self.0.top_k(row)?)
    }
    fn logits(&self, row: u32) -> Result<Vec<f32>, ReadError> {
        Ok(self.0.logits(row)?)
    }
    fn latent(&self, row: u32) -> Result<Vec<f32>, ReadError> {
        Ok(self.0.latent(row)?)
    }
    fn scores(&self, row: u32, model: &str) -> Result<Vec<f32>, ReadError> {
        Ok(self.0.scores(row, model)?)
    }
    fn end_score(&self, row: u32, model: &str) -> Result<f32, ReadError> {
        Ok(self.0.end_score(row, model)?)
    }
    fn priced(&self, row: u32) -> Result<bool, ReadError> {
        Ok(self.0.priced(row)?)
    }
    fn safe(&self, row: u32) -> Result<bool, ReadError> {
        Ok(self.0.safe(row)?)
    }
    fn budget(&self, row: u32, constraint: u32) -> Result<BudgetState, ReadError> {
        Ok(self.0.budget(row, constraint)?.into())
    }
    fn margin(&self, row: u32, constraint: u32) -> Result<f64, ReadError> {
        Ok(self.0.margin(row, constraint)?)
    }
    fn spent(&self, row: u32, constraint: u32) -> Result<f64, ReadError> {
        Ok(self.0.spent(row, constraint)?)
    }
    fn task_cost(&self, row: u32) -> Result<Option<f64>, ReadError> {
        Ok(self.0.task_cost(row)?)
    }
    fn logprob(&self, row: u32) -> Result<f64, ReadError> {
        Ok(self.0.logprob(row)?)
    }
    fn expansion_logit(&self, row: u32) -> Result<Option<f32>, ReadError> {
        Ok(self.0.expansion_logit(row)?)
    }
    fn estimate(&self, row: u32) -> Result<Option<Estimate>, ReadError> {
        Ok(self.0.estimate(row)?.map(Estimate::from))
    }
}

/// Declares that the latents of every new token of this place are read. Only while needs are asked for.
pub(crate) fn declare_token_latents(place: LatentSelector) {
    host::declare_token_latents(place.into());
}

/// The host's device, for the rows of one call.
pub(crate) struct HostDense<'a>(pub(crate) &'a Batch);

impl Dense for HostDense<'_> {
    fn latents(&self) -> Result<Tensor, DenseError> {
        Ok(Tensor::on_device(host::latents(self.0)?))
    }

    fn token_latents(&self) -> Result<Tensor, DenseError> {
        Ok(Tensor::on_device(host::token_latents(self.0)?))
    }

    fn tensor(&self, shape: &[u32], data: &[f32]) -> Result<Tensor, DenseError> {
        Ok(Tensor::on_device(host::Tensor::create(shape, data)?))
    }

    fn network(&self, name: &str) -> Result<Network, DenseError> {
        Ok(Network::on_device(host::Network::open(name)?))
    }
}
