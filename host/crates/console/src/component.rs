//! A component in words.

use inferenceguard_componentize::Inspection;
use inferenceguard_sandbox::{CallReport, CheckReport};

/// What a check found.
#[must_use]
pub fn lines(report: &CheckReport, found: &Inspection) -> Vec<String> {
    let own = &report.description;
    let mut lines = vec![format!("{} {}: {}", own.name, own.version, own.summary), describe(found)];
    lines.extend(own.settings.iter().map(|setting| {
        let default = serde_json::to_string(&setting.default).unwrap_or_default();
        format!("  {} = {default}  {}", setting.name, setting.help)
    }));
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
