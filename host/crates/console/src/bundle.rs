//! A bundle in words.

use crate::escape;
use inferenceguard_bundle::{Bundle, Manifest, ModelEntry, SettingValue, Statement, date};
use inferenceguard_host::Models;
use inferenceguard_model::ModelIdentity;
use inferenceguard_search::{ConstraintMode, CostClip};

/// The statement of its signature, unchecked.
#[must_use]
pub fn statement(bundle: &Bundle) -> Option<Statement> {
    toml::from_str(&bundle.signature()?.statement).ok()
}

/// The bundle's identity, roles, networks, constraints and files.
#[must_use]
pub fn describe(bundle: &Bundle) -> String {
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
    if manifest.unguarded {
        lines.push(
            "warning: unguarded: no constraint prices anything, and answers have the status `unguarded`".to_owned(),
        );
    }
    lines.extend(bundle.digests().iter().map(|(file, digest)| format!("{file:<28} {digest}")));
    escape::lines(lines)
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

/// Every model with its fingerprint, and whether the bundle is pinned to it.
#[must_use]
pub fn models(manifest: &Manifest, models: &Models) -> String {
    let line = |what: &str, one: &ModelIdentity, entry: Option<&ModelEntry>| {
        let keys: Vec<&str> = entry.iter().flat_map(|entry| entry.digests().map(|(key, _)| key)).collect();
        let pinned = match keys.is_empty() {
            true => "not pinned: another one in its place is not noticed (`bundle pin` pins it)".to_owned(),
            false => format!("pinned by {}", keys.join(", ")),
        };
        format!("{what:<28} {}  {pinned}", one.fingerprint)
    };
    let language = line("language model", &models.model, Some(&manifest.model));
    let scores = models.scores.iter();
    let scores = scores.map(|(name, one)| line(&format!("score model {name}"), one, manifest.scores.get(name)));
    std::iter::once(language).chain(scores).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
name = "kitchen"
version = "1.0.0"
policy = { component = "p.wasm" }
tracker = { component = "t.wasm" }
costs.c = { component = "c.wasm" }
constraints = [
    { name = "near", cost = "c", budget = 1.0, gamma = 0.5 },
    { name = "far", cost = "c", budget = 1.0, gamma = 1.0 },
]
"#;

    #[test]
    fn a_bundle_in_words_says_of_each_constraint_how_far_it_sees() {
        let files = ["p.wasm", "t.wasm", "c.wasm"].map(|file| (file.to_owned(), vec![0]));
        let words = describe(&Bundle::from_parts(MANIFEST, &files.into()).unwrap());
        for (name, gamma) in [("near", 0.5), ("far", 1.0)] {
            let line = words.lines().find(|line| line.starts_with("constraint") && line.contains(name)).unwrap();
            assert!(line.contains(&format!("discount {gamma} ({}), ", horizon(gamma))), "{words}");
        }
    }

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
