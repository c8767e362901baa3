//! How judgements are counted.

use super::{Running, exposition};
use std::{thread, time::Duration};

/// The counted ends: judgements by face, part and status, and errors by kind.
fn ends(server: &Running) -> Vec<(String, f64)> {
    let page = exposition::page(&server.admin("/metrics").text);
    let ended = |name: &str| {
        ["inferenceguard_judgements_total", "inferenceguard_request_errors_total", "inferenceguard_requests_total"]
            .contains(&name)
    };
    let named = page.into_iter().filter(|sample| ended(&sample.name));
    let mut ends: Vec<_> = named
        .map(|sample| {
            let mut labels = sample.labels;
            labels.sort();
            (labels.into_iter().map(|(_, value)| value).collect::<Vec<_>>().join(" "), sample.value)
        })
        .collect();
    ends.sort_by(|a, b| a.0.cmp(&b.0));
    ends
}

/// Runs `work`, and checks that it adds one end with this name and no other.
pub(crate) fn ends_as(server: &Running, name: &str, work: impl FnOnce()) {
    let before = ends(server);
    work();
    let count = |ends: &[(String, f64)], name: &str| ends.iter().find(|(one, _)| one == name).map_or(0.0, |(_, n)| *n);
    let total = |ends: &[(String, f64)]| ends.iter().map(|(_, n)| n).sum::<f64>();
    // An end may be counted a moment after its answer.
    let there = (0..500).any(|_| {
        thread::sleep(Duration::from_millis(10));
        total(&ends(server)) > total(&before)
    });
    let after = ends(server);
    assert!(there, "{name}: nothing is counted: {after:?}");
    assert_eq!(
        (count(&after, name) - count(&before, name), total(&after) - total(&before)),
        (1.0, 1.0),
        "{name}: {after:?}"
    );
}
