//! What stands beside the active bundle for as long as it is active: a lane for each tenant with a layer, and the reduced one.

use crate::{bundles::Bundles, settings::Tenant};
use inferenceguard_bundle::{Bundle, Layer};
use inferenceguard_host::{Prepared, methods::candidates_setting};
use inferenceguard_sandbox::SettingValue;
use std::path::Path;

/// The lane of requests that come while many wait.
pub(crate) const REDUCED: &str = "reduced";

impl Bundles {
    /// Puts the layers of all tenants over the active bundle.
    pub(crate) fn begin_layers(&self) -> Result<(), String> {
        let layered = self.layered(&self.active())?;
        self.remember_numbers()?;
        layered.into_iter().for_each(|(lane, prepared)| drop(self.engine.install(Some(&lane), prepared)));
        Ok(())
    }

    /// Every layer over this bundle, compiled and checked.
    pub(crate) fn layered(&self, bundle: &Bundle) -> Result<Vec<(String, Prepared)>, String> {
        let mut layered = Vec::new();
        for (name, tenant) in &self.tenants {
            match &tenant.layer {
                Some(path) => layered.push((lane_of(name), self.layer(name, tenant, path, bundle)?)),
                None => tenant.fits(name, bundle)?,
            }
        }
        if let Some(overload) = self.overload {
            let reduced = reduced(bundle, overload.n)?;
            self.keep(&reduced)?;
            let prepared = self.engine.prepare(&reduced).map_err(|error| format!("overload: {error}"))?;
            layered.push((REDUCED.to_owned(), prepared));
        }
        Ok(layered)
    }

    /// One tenant's layer over it.
    fn layer(&self, name: &str, tenant: &Tenant, path: &Path, bundle: &Bundle) -> Result<Prepared, String> {
        let failed = |error: &dyn std::fmt::Display| format!("tenant {name}, {}: {error}", path.display());
        let layer = Layer::open_with(path, &self.lender).map_err(|error| failed(&error))?;
        let bundle = layer.over(bundle).map_err(|error| failed(&error))?;
        tenant.fits(name, &bundle)?;
        self.keep(&bundle)?;
        self.engine.prepare(&bundle).map_err(|error| failed(&error))
    }

    /// The lane of a request that begins while so many wait.
    pub(crate) fn lane_of_crowd(&self, waiting: usize) -> Option<String> {
        self.overload.filter(|overload| waiting >= overload.waiting).map(|_| REDUCED.to_owned())
    }
}

impl Tenant {
    /// Whether there are constraints for all its budgets.
    fn fits(&self, name: &str, bundle: &Bundle) -> Result<(), String> {
        let constraints = &bundle.manifest().constraints;
        let unknown = self.budgets.keys().find(|budget| !constraints.iter().any(|one| one.name == **budget));
        let told = |budget| format!("tenant {name} has a budget for `{budget}`, which is no constraint");
        unknown.map_or(Ok(()), |budget| Err(told(budget)))
    }
}

/// The same bundle with fewer candidates for its own policy.
fn reduced(bundle: &Bundle, n: u32) -> Result<Bundle, String> {
    let mut manifest = bundle.manifest().clone();
    let policy = &mut manifest.policy;
    let own = policy.component.rsplit('/').next().unwrap_or_default();
    let setting = candidates_setting(own.strip_suffix(".wasm").unwrap_or(own));
    let setting = setting.ok_or_else(|| format!("overload: {} has no number of candidates", policy.component))?;
    policy.settings.insert(setting.to_owned(), SettingValue::Integer(n.into()));
    let text = toml::to_string(&manifest).map_err(|error| error.to_string())?;
    Bundle::from_parts(&text, bundle.files()).map_err(|error| error.to_string())
}

/// The lane of a tenant with a layer.
pub(crate) fn lane_of(tenant: &str) -> String {
    format!("tenant {tenant}")
}
