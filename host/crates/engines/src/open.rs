//! Where a model runs, as the operator names it.

use crate::{
    Authority, Deadlines, Endpoint, Fault, Key, Probe, ProbeError, Sequence, Tolerance, fleet::Setting,
    measure::Measure,
};

/// Where a model runs, and what the operator says about it.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Its replicas: the same model each.
    pub endpoints: Vec<Endpoint>,
    /// The name under which it is served; if not given, the server must serve a single model.
    pub model: Option<String>,
    /// The key of all replicas.
    pub key: Option<Key>,
    /// Whose certificates are believed at URLs of `https`; the system's if not given.
    pub authority: Option<Authority>,
    /// The number format that it computes in, such as `bf16`: how close it must come to the probe.
    pub precision: String,
    /// The probe that its model must match.
    pub probe: Option<Probe>,
    /// The most rows in flight at one replica; at most the engine's `--max-num-seqs`, else its queue grows.
    pub places: usize,
    /// How long it may take.
    pub deadlines: Deadlines,
    /// Whether versions that were not tested are accepted.
    pub any_version: bool,
}

/// A probe, and how close an engine must come to it.
pub(crate) struct Likeness {
    pub(crate) probe: Probe,
    pub(crate) measure: Measure,
    tolerance: Tolerance,
    unit: f32,
}

impl Likeness {
    /// The sequence that a short look compares.
    pub(crate) fn first(&self) -> &[Sequence] {
        self.probe.sequences.get(..1).unwrap_or_default()
    }

    /// What is compared of one sequence.
    pub(crate) fn pairs(&self, found: &[f32], expected: &[f32]) -> Vec<(f32, f32)> {
        self.measure.pairs(self.unit, found, expected)
    }

    /// Whether all that was compared is near enough.
    pub(crate) fn judge(&self, pairs: &[(f32, f32)]) -> Result<(), Fault> {
        self.tolerance.exceeded(pairs).map_or(Ok(()), |difference| Err(Fault::Probe { difference }))
    }
}

impl Remote {
    /// The model at these URLs, with the defaults: no key, no probe, bf16, 256 rows per replica.
    #[must_use]
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        Self {
            endpoints,
            model: None,
            key: None,
            authority: None,
            precision: "bf16".into(),
            probe: None,
            places: 256,
            deadlines: Deadlines::default(),
            any_version: false,
        }
    }

    /// The probe, which must hold what is measured, and how close this engine must come to it.
    pub(crate) fn probe_for(&self, measure: Measure, vocab: usize) -> Result<Option<Likeness>, Fault> {
        let Some(probe) = &self.probe else { return Ok(None) };
        let likeness = || -> Result<Likeness, ProbeError> {
            probe.fits(measure.width(), vocab)?;
            let tolerance = probe.tolerance_for(measure, &self.precision)?;
            Ok(Likeness { probe: probe.clone(), measure, tolerance, unit: measure.unit(probe)? })
        };
        likeness().map(Some).map_err(|error| Fault::Setup { reason: error.to_string() })
    }

    pub(crate) fn setting(&self) -> Setting {
        let Self { endpoints, key, authority, deadlines, places, .. } = self.clone();
        Setting { endpoints, key, authority, deadlines, places }
    }
}
