//! Where a model runs, as the operator names it.

use crate::{Deadlines, Endpoint, Fault, Key, Probe, Tolerance, fleet::Setting};

/// Where a model runs, and what the operator says about it.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Its replicas: the same model each.
    pub endpoints: Vec<Endpoint>,
    /// The name under which it is served; if not given, the server must serve a single model.
    pub model: Option<String>,
    /// The key of all replicas.
    pub key: Option<Key>,
    /// The number format that it computes in, such as `bf16`: how close it must come to the probe.
    pub precision: String,
    /// By what it is recognised.
    pub probe: Option<Probe>,
    /// The most rows in flight at one replica; at most the engine's `--max-num-seqs`, else its queue grows.
    pub places: usize,
    /// How long it may take.
    pub deadlines: Deadlines,
    /// Whether versions that were not tested are accepted.
    pub any_version: bool,
}

impl Remote {
    /// The model at these URLs, with the defaults: no key, no probe, bf16, 256 rows per replica.
    #[must_use]
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        Self {
            endpoints,
            model: None,
            key: None,
            precision: "bf16".into(),
            probe: None,
            places: 256,
            deadlines: Deadlines::default(),
            any_version: false,
        }
    }

    /// The probe, which must have `width` values for each token, and how close this engine must come to it.
    pub(crate) fn probe_for(&self, width: usize, vocab: usize) -> Result<Option<(Probe, Tolerance)>, Fault> {
        let Some(probe) = &self.probe else { return Ok(None) };
        let fits = probe.fits(width, vocab).and_then(|()| probe.tolerance_for(&self.precision));
        let tolerance = fits.map_err(|error| Fault::Setup { reason: error.to_string() })?;
        Ok(Some((probe.clone(), tolerance)))
    }

    pub(crate) fn setting(&self) -> Setting {
        let Self { endpoints, key, deadlines, places, .. } = self;
        Setting { endpoints: endpoints.clone(), key: key.clone(), deadlines: *deadlines, places: *places }
    }
}
