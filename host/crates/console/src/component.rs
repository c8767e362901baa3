//! A component in words.

use inferenceguard_componentize::{Inspection, Role};
use inferenceguard_sandbox::{CallReport, CheckReport, Description, SettingValue};

/// What a check found.
#[must_use]
pub fn lines(report: &CheckReport, found: &Inspection) -> Vec<String> {
    let own = &report.description;
    let mut lines = vec![format!("{} {}: {}", own.name, own.version, own.summary), describe(found)];
    lines.extend(settings(own));
    lines.push("asked twice, answered the same".to_owned());
    let refusal = |call: &CallReport| call.failure.as_ref().map(|_| format!(", {}", call.result)).unwrap_or_default();
    lines.extend(report.calls.iter().map(|call| format!("  {}: {} fuel{}", call.function, call.fuel, refusal(call))));
    lines
}

/// Role, contract and size.
#[must_use]
pub fn describe(found: &Inspection) -> String {
    let size = found.size.div_ceil(1024);
    format!("{} component, contract {}, {size} KiB", found.role, found.contract)
}

/// Every setting with its default, as a bundle writes it, and its help.
#[must_use]
pub fn settings(description: &Description) -> Vec<String> {
    let line = |setting: &inferenceguard_sandbox::Setting| {
        format!("  {} = {}  {}", setting.name, written(&setting.default), setting.help)
    };
    description.settings.iter().map(line).collect()
}

/// A setting's value as a bundle writes it.
#[must_use]
pub fn written(value: &SettingValue) -> String {
    let text = |text: &str| toml::Value::from(text).to_string();
    match value {
        SettingValue::Flag(flag) => flag.to_string(),
        SettingValue::Integer(number) => number.to_string(),
        SettingValue::Number(number) => toml::Value::from(*number).to_string(),
        SettingValue::Text(one) => text(one),
        SettingValue::Texts(all) => format!("[{}]", all.iter().map(|one| text(one)).collect::<Vec<_>>().join(", ")),
        SettingValue::Weighted(all) if all.is_empty() => "{}".to_owned(),
        SettingValue::Weighted(all) => {
            let pair = |(one, weight): &(String, f64)| format!("{} = {}", text(one), toml::Value::from(*weight));
            format!("{{ {} }}", all.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

/// The part of a bundle that names a component with all of its settings, each with its default. `file` is the component's name.
#[must_use]
pub fn example(file: &str, role: Role, description: &Description) -> String {
    let key = match role {
        Role::Cost => format!("costs.{file}"),
        other => other.name().to_owned(),
    };
    let mut lines = vec![format!("[{key}]"), format!("component = \"{file}.wasm\"")];
    if !description.settings.is_empty() {
        lines.extend([String::new(), format!("[{key}.settings]")]);
        lines.extend(description.settings.iter().map(|one| format!("{} = {}", one.name, sample(&one.default))));
    }
    lines.join("\n")
}

/// A default; of an empty list of words a first word, which shows how one is written.
fn sample(default: &SettingValue) -> String {
    match default {
        SettingValue::Weighted(all) if all.is_empty() => "{ \"word\" = 1.0 }".to_owned(),
        other => written(other),
    }
}
