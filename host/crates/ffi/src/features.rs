//! Which keys of a manifest are honoured where another engine writes the answer, and which are refused.

use crate::pointers::Reason;
use inferenceguard_bundle::{ConstraintEntry, Manifest, ModelEntry};
use inferenceguard_search::{Granularity, OnExhausted};

/// Whether all that this manifest asks for can be enforced here; an error names the key that cannot.
pub(crate) fn enforceable(manifest: &Manifest) -> Result<(), Reason> {
    // Every key is named, so that a new one does not compile before somebody has decided about it.
    let Manifest {
        // Who it is.
        name: _,
        version: _,
        // Honoured.
        tracker: _,
        costs: _,
        networks: _,
        limits: _,
        max_tokens: _,
        constraints,
        unguarded,
        // How an engine of ours searches, samples and releases: none of them makes a budget larger.
        policy: _,
        methods: _,
        search: _,
        task: _,
        sampling: _,
        backtrack: _,
        release: _,
        refusal: _,
        // They say what an answer may be or which models decide, and cannot be held to here.
        model,
        scores,
        critic,
        steering,
        stop,
        on_exhausted,
    } = manifest;
    let own = "none: the engine that writes the answer has its own model and makes its own prompts";
    absent("model", *model == ModelEntry::default(), own)?;
    absent("scores", scores.is_empty(), "none: score models belong to an engine of ours")?;
    absent("critic", critic.is_none(), "none: it reads latents, which only an engine of ours gives")?;
    absent("steering", steering.is_none(), "none: it edits latents, which only an engine of ours gives")?;
    absent("stop", stop.is_empty(), "none: give the texts that end an answer to the engine that writes it")?;
    let refuses = *on_exhausted == OnExhausted::Refuse;
    absent("on_exhausted", refuses, "refuse: no token that breaks a budget is called safe here")?;
    absent("unguarded", !unguarded, "at least one constraint: there is no budget to hold")?;
    constraints.iter().try_for_each(priced_in_time)
}

fn priced_in_time(constraint: &ConstraintEntry) -> Result<(), Reason> {
    let ConstraintEntry { name, cost: _, budget: _, gamma: _, clip: _, mode: _, granularity } = constraint;
    let key = format!("constraints.{name}.granularity");
    let expected = "token or chunk: a price that is due at the end comes when the engine has appended everything";
    absent(&key, *granularity != Granularity::Terminal, expected)
}

fn absent(key: &str, holds: bool, expected: &str) -> Result<(), Reason> {
    if holds {
        return Ok(());
    }
    Err(format!("bundle.toml: `{key}` cannot be enforced where another engine writes the answer; expected {expected}")
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const PLAIN: &str = r#"
name = "all"
version = "1.0.0"
policy = { component = "p.wasm" }
tracker = { component = "t.wasm" }
costs.c = { component = "c.wasm" }
"#;
    const CONSTRAINT: &str = "[[constraints]]\nname = \"x\"\ncost = \"c\"\nbudget = 1.0\n";

    /// Keys that are set to something else than their default, and whether that is taken.
    const DECIDED: [(&str, &str, bool); 22] = [
        ("model", "model = { template = \"plain\" }", false),
        ("scores", "scores.cost = { template = \"plain\" }", false),
        ("task", "task = \"c\"", true),
        ("max_tokens", "max_tokens = 7", true),
        ("on_exhausted", "on_exhausted = \"least_violation\"", false),
        ("on_exhausted", "on_exhausted = \"best_reward\"", false),
        ("refusal", "refusal = \"No.\"", true),
        ("backtrack", "backtrack = true", true),
        ("release", "release = \"agreement\"", true),
        ("stop", "stop = [\"END\"]", false),
        ("critic", "critic = { component = \"k.wasm\" }", false),
        ("steering", "steering = { component = \"s.wasm\" }", false),
        ("networks", "networks.n = { file = \"n.safetensors\" }", true),
        ("sampling", "sampling = { temperature = 0.5 }", true),
        ("search", "search = { retries = 1 }", true),
        ("limits", "limits = { memory = 33554432 }", true),
        ("methods", "methods.m = { settings = {} }", true),
        ("unguarded", "unguarded = true", false),
        ("constraints", "[[constraints]]\nname = \"x\"\ncost = \"c\"\nbudget = 1.0", true),
        ("constraints", "[[constraints]]\nname = \"x\"\ncost = \"c\"\nbudget = 1.0\nmode = \"terminal\"", true),
        ("constraints", "[[constraints]]\nname = \"x\"\ncost = \"c\"\nbudget = 1.0\ngranularity = \"chunk\"", true),
        ("constraints", "[[constraints]]\nname = \"x\"\ncost = \"c\"\nbudget = 1.0\ngranularity = \"terminal\"", false),
    ];

    fn manifest(more: &str) -> Manifest {
        let decides = more.contains("[[constraints]]") || more.contains("unguarded");
        let constraint = if decides { "" } else { CONSTRAINT };
        Manifest::parse(&format!("{PLAIN}{more}\n{constraint}")).unwrap_or_else(|error| panic!("{more}: {error}"))
    }

    fn keys(value: &impl serde::Serialize) -> BTreeSet<String> {
        let value = serde_json::to_value(value).unwrap();
        value.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn every_key_is_decided_about() {
        let mandatory = ["name", "version", "policy", "tracker", "costs"].map(str::to_owned);
        let decided = DECIDED.iter().map(|(key, ..)| (*key).to_owned()).chain(mandatory).collect::<BTreeSet<_>>();
        let all = DECIDED.iter().flat_map(|(_, set, _)| keys(&manifest(set))).collect::<BTreeSet<_>>();
        assert_eq!(all, decided);
        let of_constraint = ["name", "cost", "budget", "gamma", "clip", "mode", "granularity"].map(str::to_owned);
        assert_eq!(keys(&manifest(CONSTRAINT).constraints[0]), of_constraint.into());
    }

    #[test]
    fn what_cannot_be_enforced_is_refused_by_name() {
        for (key, set, taken) in DECIDED {
            let found = enforceable(&manifest(set)).map_err(|error| error.to_string());
            assert_eq!(found.is_ok(), taken, "{set}: {found:?}");
            if let Err(error) = found {
                assert!(error.contains(&format!("`{key}")), "{set}: {error}");
            }
        }
    }
}
