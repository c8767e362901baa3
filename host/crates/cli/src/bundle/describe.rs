//! `bundle inspect`.

use super::{Fallback, args::InspectArguments, open};
use crate::output;
use inferenceguard_bundle::{Bundle, Statement, date};
use inferenceguard_sandbox::SettingValue;
use inferenceguard_search::{ConstraintMode, CostClip};
use serde_json::json;
use std::collections::BTreeMap;

/// Shows what a bundle says.
pub(super) fn inspect(arguments: &InspectArguments) -> anyhow::Result<()> {
    let bundle = open(arguments.bundle.as_deref(), Fallback::Plain)?;
    if arguments.json {
        let digests: BTreeMap<&String, String> = bundle.digests().iter().map(|(k, v)| (k, v.to_string())).collect();
        return output::json(&json!({
            "digest": bundle.digest().to_string(), "files": digests, "manifest": bundle.manifest(),
            "signed": statement(&bundle),
        }));
    }
    output::result(describe(&bundle))
}

/// What its signature says, unchecked.
fn statement(bundle: &Bundle) -> Option<Statement> {
    toml::from_str(&bundle.signature()?.statement).ok()
}

pub(super) fn describe(bundle: &Bundle) -> String {
    let manifest = bundle.manifest();
    let mut lines = vec![format!("{} {}  {}", manifest.name, manifest.version, bundle.digest())];
    lines.push(match (bundle.signature(), statement(bundle)) {
        (None, _) => "not signed".to_owned(),
        (Some(_), None) => "signed, in words that cannot be read".to_owned(),
        (Some(_), Some(signed)) => format!("signed at {}, unchecked: see `bundle verify`", date(signed.signed_at)),
    });
    lines.extend(manifest.roles().into_iter().map(|(key, entry)| {
        let settings = entry.settings.iter().map(|(name, value)| format!(" {name}={}", plain(value)));
        format!("{key:<14} {}{}", entry.component, settings.collect::<String>())
    }));
    lines.extend(bundle.networks().iter().map(|(name, network)| {
        let widths = network.layers.iter().map(|layer| format!(" -> {}", layer.bias.len())).collect::<String>();
        let made_for = network.metadata.iter().map(|(key, text)| format!(" {key}={text:?}")).collect::<String>();
        format!("network        {name}: {}{widths}{made_for}", network.inputs())
    }));
    lines.extend(manifest.constraints.iter().map(|c| {
        format!(
            "constraint     {}: at most {} of {}, discount {}, {}, {}",
            c.name,
            c.budget,
            c.cost,
            c.gamma,
            clip(c.clip),
            mode(c.mode)
        )
    }));
    lines.extend(bundle.digests().iter().map(|(file, digest)| format!("{file:<28} {digest}")));
    lines.join("\n")
}

/// What becomes of negative costs.
fn clip(clip: CostClip) -> &'static str {
    match clip {
        CostClip::None => "negative costs refund",
        CostClip::Nonneg => "negative costs count as none",
        CostClip::Capped => "sums never below zero",
    }
}

/// When a constraint must hold.
fn mode(mode: ConstraintMode) -> &'static str {
    match mode {
        ConstraintMode::Anytime => "at every token",
        ConstraintMode::Terminal => "when the answer ends",
    }
}

fn plain(value: &SettingValue) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
