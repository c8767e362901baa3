//! What stands behind the interface: a bundle that is ready, and the budgets of one answer.

use crate::{
    features::enforceable,
    pointers::{Pieces, Reason},
};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{EngineBuilder, OWN_METHOD, RolesFactory};
use inferenceguard_search::{Meter, Metered, SearchConfig};
use std::{path::Path, sync::Arc};

/// A bundle, compiled and configured.
#[allow(non_camel_case_types, reason = "the name of the C interface")]
pub struct ig_bundle {
    roles: Arc<dyn RolesFactory>,
    config: SearchConfig,
}

/// One answer under it.
#[allow(non_camel_case_types, reason = "the name of the C interface")]
pub struct ig_answer {
    meter: Meter,
}

impl ig_bundle {
    pub(crate) fn open(path: &str) -> Result<Self, Reason> {
        let bundle = Bundle::open(Path::new(path))?;
        enforceable(bundle.manifest())?;
        let roles = EngineBuilder::new().bundle(&bundle).build_roles(OWN_METHOD)?;
        let opened = Self { roles, config: bundle.manifest().search_config() };
        // What no answer can be begun with is refused now.
        begin(Some(&opened), "")?;
        Ok(opened)
    }

    pub(crate) fn constraints(&self) -> usize {
        self.config.constraints.len()
    }
}

/// Begins an answer.
pub(crate) fn begin(bundle: Option<&ig_bundle>, prompt: &str) -> Result<ig_answer, Reason> {
    let bundle = bundle.ok_or("`bundle` is NULL")?;
    let roles = bundle.roles.open()?;
    let meter = Meter::new(&bundle.config, roles.tracker, roles.costs, prompt)?;
    Ok(ig_answer { meter })
}

impl ig_answer {
    pub(crate) fn weigh(&mut self, pieces: &Pieces) -> Vec<Metered> {
        self.meter.weigh(&pieces.0)
    }

    pub(crate) fn accept(&mut self, pieces: &Pieces) -> Vec<Metered> {
        pieces.0.iter().map(|piece| self.meter.accept(piece)).collect()
    }

    pub(crate) fn failures(&self) -> String {
        self.meter.failures().iter().map(|failure| format!("{failure}\n")).collect()
    }
}
