//! `bundle inspect`.

use crate::{output, terminal};
use clap::Args;
use inferenceguard_bundle::{Bundle, Statement, date};
use inferenceguard_catalog::bundles::{self, Fallback};
use inferenceguard_sandbox::SettingValue;
use inferenceguard_search::{ConstraintMode, CostClip};
use serde_json::json;
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// The bundle's folder or file; the demonstration's if not given
    bundle: Option<PathBuf>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// Shows a bundle.
pub(super) fn inspect(arguments: &InspectArguments) -> anyhow::Result<()> {
    let bundle = bundles::open(arguments.bundle.as_deref(), Fallback::Plain)?;
    if arguments.json {
        let digests: BTreeMap<&String, String> = bundle.digests().iter().map(|(k, v)| (k, v.to_string())).collect();
        return output::json(&json!({
            "digest": bundle.digest().to_string(), "files": digests, "manifest": bundle.manifest(),
            "signed": statement(&bundle),
        }));
    }
    output::result(describe(&bundle))
}

/// The statement of its signature, unchecked.
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
        let lists = entry.lists.iter().map(|(name, file)| format!(" {name}=({file})"));
        format!("{key:<14} {}{}", entry.component, settings.chain(lists).collect::<String>())
    }));
    lines.extend(bundle.networks().iter().map(|(name, network)| {
        let widths = network.layers.iter().map(|layer| format!(" -> {}", layer.bias.len())).collect::<String>();
        let made_for = network.metadata.iter().map(|(key, text)| format!(" {key}={text:?}")).collect::<String>();
        format!("network        {name}: {}{widths}{made_for}", network.inputs())
    }));
    lines.extend(manifest.constraints.iter().map(|c| {
        format!(
            "constraint     {}: at most {} of {}, discount {} ({}), {}, {}",
            c.name,
            c.budget,
            c.cost,
            c.gamma,
            horizon(c.gamma),
            clip(c.clip),
            mode(c.mode)
        )
    }));
    lines.extend(bundle.digests().iter().map(|(file, digest)| format!("{file:<28} {digest}")));
    terminal::lines(lines)
}

/// How far a discount reaches: the tokens from which on a cost weighs half and a twentieth of what it weighs at the start.
fn horizon(gamma: f64) -> String {
    if gamma >= 1.0 {
        return "every token weighs the same".to_owned();
    }
    let token = |share: f64| (share.ln() / gamma.ln()).ceil().max(1.0);
    format!(
        "effective horizon {:.0} tokens: costs weigh a half from token {:.0} on, a twentieth from token {:.0} on",
        (1.0 / (1.0 - gamma)).ceil(),
        token(0.5),
        token(0.05)
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_horizon_says_from_where_on_harm_hardly_counts() {
        assert_eq!(horizon(1.0), "every token weighs the same");
        assert!(horizon(0.999).starts_with("effective horizon 1000 tokens"), "{}", horizon(0.999));
        assert!(horizon(0.999).ends_with("a half from token 693 on, a twentieth from token 2995 on"));
        assert!(horizon(0.5).ends_with("a half from token 1 on, a twentieth from token 5 on"), "{}", horizon(0.5));
        for gamma in [0.01, 1e-300, 1.0 - f64::EPSILON / 2.0] {
            assert!(!horizon(gamma).contains("NaN") && !horizon(gamma).contains("inf"), "{}", horizon(gamma));
        }
    }
}
