//! A strict reader of metrics: OpenMetrics 1.0, and Prometheus' 0.0.4 with the same samples.

use std::collections::{BTreeMap, BTreeSet};

/// One line with a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
}

/// The samples of a page. Panics if the page breaks a rule of its format.
pub(crate) fn page(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n') && !text.contains('\r'), "{text}");
    let samples: Vec<Sample> = text.lines().filter(|line| !line.starts_with('#')).map(sample).collect();
    let mut seen = BTreeSet::new();
    for one in &samples {
        assert!(seen.insert(format!("{one:?}")), "twice: {one:?}");
        assert!(one.value.is_finite(), "{one:?}");
    }
    histograms(&samples);
    samples
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("{line}"));
    let (name, mut rest) = line.split_at(end);
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    assert!(plain(name) && !name.is_empty(), "{line}");
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (key, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(plain(key) && labels.iter().all(|(known, _)| known != key), "{line}");
            let (value, after) = quoted(after, line);
            labels.push((key.to_owned(), value));
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}")).parse().unwrap_or_else(|_| panic!("{line}"));
    Sample { name: name.to_owned(), labels, value }
}

/// The text up to its closing quote, and the rest.
fn quoted<'a>(text: &'a str, line: &str) -> (String, &'a str) {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    loop {
        match characters.next().unwrap_or_else(|| panic!("{line}")) {
            (at, '"') => return (value, &text[at + 1..]),
            (_, '\\') => value.push(match characters.next() {
                Some((_, 'n')) => '\n',
                Some((_, escaped @ ('"' | '\\'))) => escaped,
                other => panic!("{other:?}: {line}"),
            }),
            (_, other) => value.push(other),
        }
    }
}

/// Checks that buckets grow, that the last one has the whole count, and that no bound is below zero.
fn histograms(samples: &[Sample]) {
    let mut all: BTreeMap<(String, String), Vec<(f64, f64)>> = BTreeMap::new();
    for one in samples.iter().filter(|one| one.name.ends_with("_bucket")) {
        let (le, labels): (Vec<_>, Vec<_>) = one.labels.iter().cloned().partition(|(key, _)| key == "le");
        let bound: f64 = le[0].1.parse().unwrap();
        assert!(bound >= 0.0, "{one:?}");
        all.entry((one.name.clone(), format!("{labels:?}"))).or_default().push((bound, one.value));
    }
    for ((name, labels), buckets) in all {
        assert!(buckets.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1), "{name} {labels} {buckets:?}");
        let count = samples
            .iter()
            .find(|one| one.name == name.replace("_bucket", "_count") && format!("{:?}", one.labels) == labels);
        let last = buckets[buckets.len() - 1];
        assert_eq!((last.0, last.1), (f64::INFINITY, count.unwrap().value), "{name} {labels}");
    }
}
