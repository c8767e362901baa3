//! What stands behind the interface: a bundle that is ready, and the budgets of one answer.

use crate::{
    features::enforceable,
    pointers::{Pieces, Reason},
};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{EngineBuilder, OWN_METHOD, RolesFactory};
use inferenceguard_search::{Cost, Meter, Metered, SearchConfig};
use std::{collections::BTreeMap, path::Path, sync::Arc};

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
        begin(Some(&opened), Some(""))?;
        Ok(opened)
    }

    pub(crate) fn constraints(&self) -> usize {
        self.config.constraints.len()
    }
}

/// Begins an answer; without a prompt only where no cost reads it.
pub(crate) fn begin(bundle: Option<&ig_bundle>, prompt: Option<&str>) -> Result<ig_answer, Reason> {
    let bundle = bundle.ok_or("`bundle` is NULL")?;
    let roles = bundle.roles.open()?;
    if prompt.is_none() {
        prompt_unread(&bundle.config, &roles.costs)?;
    }
    let meter = Meter::new(&bundle.config, roles.tracker, roles.costs, prompt.unwrap_or_default())?;
    Ok(ig_answer { meter })
}

/// Whether no constraint's cost reads the prompt; an error names the first whose cost does.
fn prompt_unread(config: &SearchConfig, costs: &BTreeMap<String, Box<dyn Cost>>) -> Result<(), Reason> {
    let reads = |name: &str| costs.get(name).is_some_and(|cost| cost.needs().prompt);
    let reader = config.constraints.iter().map(|priced| &priced.cost).find(|name| reads(name));
    reader.map_or(Ok(()), |name| {
        Err(format!("`prompt` is NULL; expected the prompt, because the cost `{name}` reads it").into())
    })
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
