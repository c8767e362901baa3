//! Lanes beside the active bundle: one for each tenant with a layer, and the reduced one for requests that come while many wait.

use super::{deployer::Deployer, error::DeployError, history::Change, source::OpenError};
use crate::settings::Tenant;
use inferenceguard_bundle::{Bundle, BundleError, Digest, Layer, SettingValue};
use inferenceguard_host::{Generation, Prepared, methods::Methods};
use inferenceguard_model::lock;
use std::path::Path;

/// The lane of requests that come while many wait.
pub(crate) const REDUCED_LANE: &str = "reduced";

/// A lane, and the bundle that will decide in it: as a store saves it, and compiled.
pub(super) struct PreparedLane {
    lane: String,
    pub(super) bundle: Bundle,
    prepared: Prepared,
    /// The tenant and the digest of its layer; none for the reduced lane.
    layer: Option<(String, Digest)>,
}

impl PreparedLane {
    /// The lane, and what judges answers that were decided in it.
    pub(super) fn into_judge(self) -> (String, Prepared) {
        (self.lane, self.prepared)
    }
}

impl Deployer {
    /// Installs the lanes over the active bundle. [`Deployer::begin`] saves their bundles.
    pub(crate) fn begin_layers(&self) -> Result<(), DeployError> {
        let layers = self.prepare_layers(&self.active())?;
        self.save_at_begin(&layers);
        self.install_layers(layers);
        Ok(())
    }

    /// Reads the tenants' layers again, and lays them over the active bundle.
    pub(crate) fn reload_layers(&self) -> Result<Generation, DeployError> {
        let bundles = self.lock_bundles();
        self.history.attempt(Change::Layers, || {
            let layers = self.prepare_layers(&bundles.active)?;
            self.replace_layers(layers, |shadow| self.prepare_tenants(shadow))
        })
    }

    /// Lays one tenant's layer, which was opened before, over the active bundle. The other lanes stay.
    pub(crate) fn activate_layer(
        &self,
        tenant: &str,
        opened: Result<Layer, OpenError>,
    ) -> Result<Generation, DeployError> {
        let bundles = self.lock_bundles();
        // A watched layer is retried again and again.
        self.history.retry(Change::Layers, || {
            let layer = opened?;
            let over = |bundle: &Bundle| self.prepare_layer(tenant, &layer, bundle).map(|layer| vec![layer]);
            self.replace_layers(over(&bundles.active)?, over)
        })
    }

    /// Saves lanes over the active bundle, then installs them. `over` prepares the same layers over the shadow's bundle.
    fn replace_layers(
        &self,
        layers: Vec<PreparedLane>,
        over: impl FnOnce(&Bundle) -> Result<Vec<PreparedLane>, DeployError>,
    ) -> Result<Generation, DeployError> {
        layers.iter().try_for_each(|layer| self.save_bundle(&layer.bundle))?;
        let beside = self.shadow_bundle().map(|bundle| over(&bundle));
        self.save_numbers()?;
        self.install_layers(layers);
        beside.into_iter().for_each(|layers| self.lay_over_shadow(layers));
        Ok(self.engine.generation())
    }

    /// Reads a tenant's layer, and activates nothing.
    pub(crate) fn open_layer(&self, tenant: &str) -> Result<Layer, OpenError> {
        self.read_layer(tenant).map_err(OpenError::new)
    }

    /// The digest of the layer that decides for a tenant.
    pub(crate) fn active_layer(&self, tenant: &str) -> Option<Digest> {
        lock(&self.active_layers).get(tenant).copied()
    }

    /// Whether a tenant has a layer.
    pub(crate) fn has_layers(&self) -> bool {
        self.tenants.values().any(|tenant| tenant.layer.is_some())
    }

    pub(super) fn install_layers(&self, layers: Vec<PreparedLane>) {
        for PreparedLane { lane, prepared, layer, .. } in layers {
            drop(self.engine.install(Some(&lane), prepared));
            lock(&self.active_layers).extend(layer);
        }
    }

    /// Compiles and checks the bundle of every lane over `bundle`. Saves nothing.
    pub(super) fn prepare_layers(&self, bundle: &Bundle) -> Result<Vec<PreparedLane>, DeployError> {
        let mut layers = self.prepare_tenants(bundle)?;
        if let Some(overload) = self.overload {
            let reduced = reduced(bundle, overload.n)?;
            let prepared = self.engine.prepare(&reduced);
            let prepared = prepared.map_err(|error| DeployError::ReducedDoesNotFit(Box::new(error)))?;
            let prepared = self.fit_for_faces(prepared)?;
            layers.push(PreparedLane { lane: REDUCED_LANE.to_owned(), bundle: reduced, prepared, layer: None });
        }
        Ok(layers)
    }

    /// Prepares the lanes of tenants alone. A bundle without a constraint that a tenant has a budget for is refused.
    pub(super) fn prepare_tenants(&self, bundle: &Bundle) -> Result<Vec<PreparedLane>, DeployError> {
        let mut layers = Vec::new();
        for (name, tenant) in &self.tenants {
            match &tenant.layer {
                Some(_) => layers.push(self.prepare_layer(name, &self.read_layer(name)?, bundle)?),
                None => tenant.check_budgets(name, bundle)?,
            }
        }
        Ok(layers)
    }

    fn read_layer(&self, name: &str) -> Result<Layer, DeployError> {
        let (_, path) = self.layered(name)?;
        Layer::open_with(path, &self.lender).map_err(|source| bad_layer(name, path, source))
    }

    fn prepare_layer(&self, name: &str, layer: &Layer, bundle: &Bundle) -> Result<PreparedLane, DeployError> {
        let (tenant, path) = self.layered(name)?;
        let layered = layer.over(bundle).map_err(|source| bad_layer(name, path, source))?;
        tenant.check_budgets(name, &layered)?;
        let prepared = self.engine.prepare(&layered).map_err(|source| DeployError::LayerDoesNotFit {
            tenant: name.to_owned(),
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let prepared = self.fit_for_faces(prepared)?;
        let layer = Some((name.to_owned(), layer.digest()));
        Ok(PreparedLane { lane: tenant_lane(name), bundle: layered, prepared, layer })
    }

    /// A tenant with a layer, and the layer's folder.
    fn layered(&self, name: &str) -> Result<(&Tenant, &Path), DeployError> {
        let found = self.tenants.get(name).and_then(|tenant| Some((tenant, tenant.layer.as_deref()?)));
        found.ok_or_else(|| DeployError::NoLayer { tenant: name.to_owned() })
    }

    /// The lane of a request that comes while this many choices wait; none if the bundle itself decides.
    pub(crate) fn reduced_lane(&self, waiting: usize) -> Option<String> {
        self.overload.filter(|overload| waiting >= overload.waiting).map(|_| REDUCED_LANE.to_owned())
    }
}

fn bad_layer(tenant: &str, path: &Path, source: BundleError) -> DeployError {
    DeployError::BadLayer { tenant: tenant.to_owned(), path: path.to_owned(), source: Box::new(source) }
}

impl Tenant {
    /// Checks that the bundle has a constraint for each of the tenant's budgets.
    fn check_budgets(&self, name: &str, bundle: &Bundle) -> Result<(), DeployError> {
        let constraints = &bundle.manifest().constraints;
        let unknown = self.budgets.keys().find(|budget| !constraints.iter().any(|one| one.name == **budget));
        unknown.map_or(Ok(()), |constraint| {
            Err(DeployError::UnknownTenantBudget { tenant: name.to_owned(), constraint: constraint.clone() })
        })
    }
}

/// The same bundle with fewer candidates for its policy.
fn reduced(bundle: &Bundle, n: u32) -> Result<Bundle, DeployError> {
    let mut manifest = bundle.manifest().clone();
    let (table, policy) = (Methods::of(&manifest), &mut manifest.policy);
    let setting = table.candidates_of_own(&policy.component);
    let setting = setting.ok_or_else(|| DeployError::NoReducedMode { component: policy.component.clone() })?;
    policy.settings.insert(setting.to_owned(), SettingValue::Integer(n.into()));
    Ok(Bundle::from_parts(&toml::to_string(&manifest)?, bundle.files())?)
}

/// The lane of a tenant with a layer.
pub(crate) fn tenant_lane(tenant: &str) -> String {
    format!("tenant {tenant}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str =
        inferenceguard_testkit::manifest!(max_tokens: 6, chunk_len: 1, budget: 4, head: "", tail: "");

    fn bundle(policy: &str, more: &str) -> Bundle {
        let text = MANIFEST.replace("inference-guard.wasm", policy) + more;
        let files = [policy, "safety-budget.wasm", "score-cost.wasm"].map(|name| (name.to_owned(), vec![0]));
        Bundle::from_parts(&text, &files.into()).unwrap()
    }

    #[test]
    fn the_reduced_mode_lowers_the_setting_that_the_table_or_the_bundle_names() {
        let named = bundle("mine.wasm", "\n[methods.bundle]\ncandidates = \"n\"\n");
        for bundle in [bundle("inference-guard.wasm", ""), named] {
            assert_eq!(reduced(&bundle, 2).unwrap().manifest().policy.settings["n"], SettingValue::Integer(2));
        }
        let error = reduced(&bundle("mine.wasm", ""), 2).unwrap_err();
        assert!(matches!(&error, DeployError::NoReducedMode { component } if component == "mine.wasm"), "{error}");
        assert!(error.to_string().contains("add `[methods.bundle]`"), "{error}");
    }
}
