//! Writes into a bundle's manifest a cost that ranks answers: a reward on the model's latents.

use crate::{CatalogError, pin::table};
use toml_edit::{DocumentMut, InlineTable, Item, Table, value};

/// The name of the cost and of its network.
pub const REWARD: &str = "reward";

/// The manifest's text with the cost and the network [`REWARD`], and with `task` naming it; all else as it is. What had these names
/// is replaced. `settings` are names and texts.
///
/// # Errors
/// [`CatalogError::ManifestText`] for a text that is not TOML, [`CatalogError::NoTable`].
pub fn with_reward(
    text: &str,
    component: &str,
    file: &str,
    settings: &[(&str, String)],
) -> Result<String, CatalogError> {
    let mut document: DocumentMut = text.parse().map_err(CatalogError::ManifestText)?;
    let root = document.as_table_mut();
    root["task"] = value(REWARD);
    let mut chosen = InlineTable::new();
    for (name, text) in settings {
        chosen.insert(*name, text.as_str().into());
    }
    let mut cost = Table::new();
    cost.decor_mut().set_prefix("\n# Ranks answers by the model's own latents (`inferguard train reward`).\n");
    cost["component"] = value(component);
    cost["settings"] = value(chosen);
    let mut network = Table::new();
    network["file"] = value(file);
    for (key, entry) in [("costs", cost), ("networks", network)] {
        let all = table(root, key)?;
        all.set_implicit(true);
        all.insert(REWARD, Item::Table(entry));
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_bundle::Manifest;

    const TEXT: &str = "# mine\nname = \"x\"\nversion = \"1.0.0\"\n\n[policy]\ncomponent = \"inference-guard.wasm\"\n\n\
                        [tracker]\ncomponent = \"safety-budget.wasm\"\n\n[costs.words] # kept\n\
                        component = \"keyword-cost.wasm\"\n\n[[constraints]]\nname = \"words\"\ncost = \"words\"\n\
                        budget = 1.0\n";

    #[test]
    fn a_manifest_keeps_its_words_and_ranks_by_the_reward() {
        let settings = [("network", "reward".to_owned()), ("kind", "task".to_owned())];
        let once = with_reward(TEXT, "linear-cost.wasm", "reward.safetensors", &settings).unwrap();
        assert!(once.starts_with("# mine\nname = \"x\"\n") && once.contains("# kept"), "{once}");
        let (before, after) = (Manifest::parse(TEXT).unwrap(), Manifest::parse(&once).unwrap());
        assert_eq!((before.task.as_deref(), after.task.as_deref()), (None, Some("reward")));
        assert_eq!((&before.constraints, &before.policy), (&after.constraints, &after.policy));
        let cost = &after.costs["reward"];
        assert_eq!((cost.component.as_str(), cost.settings.len()), ("linear-cost.wasm", 2), "{once}");
        assert_eq!(after.networks["reward"].file, "reward.safetensors");
        let other = [("network", "reward".to_owned()), ("latent", "layer:3".to_owned()), ("kind", "task".to_owned())];
        let twice = with_reward(&once, "linear-cost.wasm", "reward.safetensors", &other).unwrap();
        let again = Manifest::parse(&twice).unwrap();
        assert_eq!((again.costs.len(), again.costs["reward"].settings.len(), again.networks.len()), (2, 3, 1));
        assert_eq!(with_reward(&twice, "linear-cost.wasm", "reward.safetensors", &other).unwrap(), twice);
        let wrong = with_reward("costs = 3\n", "linear-cost.wasm", "reward.safetensors", &settings).unwrap_err();
        assert!(matches!(wrong, CatalogError::NoTable { .. }), "{wrong}");
    }
}
