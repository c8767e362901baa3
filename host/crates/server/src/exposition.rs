//! The text formats of `/metrics`, and the choice between them.

use axum::http::{HeaderMap, header::ACCEPT};
use std::collections::BTreeSet;

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0.
    Open,
    /// Prometheus' older format, 0.0.4.
    Plain,
}

impl Format {
    /// The format that the header `Accept` prefers. OpenMetrics if it prefers neither.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Self {
        let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges: Vec<Range<'_>> = ranges.flat_map(|list| list.split(',')).filter_map(Range::parse).collect();
        let [open, plain] = ["application/openmetrics-text", "text/plain"].map(|name| Range::best(&ranges, name));
        if plain > open { Self::Plain } else { Self::Open }
    }

    /// Its media type.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Open => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// A page of OpenMetrics in this format.
    pub(crate) fn page(self, open: String) -> String {
        match self {
            Self::Open => open,
            Self::Plain => plain(&open),
        }
    }
}

/// A media range of `Accept`, and its weight from 0 to 1.
#[derive(Debug, Clone, Copy)]
struct Range<'a> {
    name: &'a str,
    weight: f32,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some(Self { name, weight: weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0)) })
    }

    /// The weight of a type by the most specific ranges that match it, and how specific they are.
    fn best(ranges: &[Self], name: &str) -> (f32, u8) {
        let family = name.split('/').next().unwrap_or_default();
        let specific = |range: &Self| match range.name {
            "*/*" => Some(0),
            own if own.eq_ignore_ascii_case(name) => Some(2),
            own if own.strip_suffix("/*").is_some_and(|own| own.eq_ignore_ascii_case(family)) => Some(1),
            _ => None,
        };
        let named: Vec<(u8, f32)> = ranges.iter().filter_map(|range| Some((specific(range)?, range.weight))).collect();
        let most = named.iter().map(|(specific, _)| *specific).max().unwrap_or(0);
        let weights = named.iter().filter(|(specific, _)| *specific == most).map(|(_, weight)| *weight);
        let weight = weights.fold(0.0, f32::max);
        (weight, if weight > 0.0 { most } else { 0 })
    }
}

/// The same page in Prometheus' older format. There, `TYPE` and `HELP` of a counter name its samples (`_total`), and there are no
/// `UNIT` and `EOF` lines.
fn plain(open: &str) -> String {
    let counters: BTreeSet<&str> =
        open.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let line = |line: &str| match line.strip_prefix("# ").map(|rest| rest.splitn(3, ' ').collect::<Vec<_>>()).as_deref()
    {
        Some(["UNIT" | "EOF", ..]) => String::new(),
        Some([word, name, rest]) if counters.contains(name) => format!("# {word} {name}_total {rest}\n"),
        _ => format!("{line}\n"),
    };
    open.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_the_format_it_asks_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            (None, Format::Open),
            (Some("*/*"), Format::Open),
            (Some(prometheus), Format::Open),
            (Some("application/openmetrics-text; version=1.0.0"), Format::Open),
            (Some("text/plain;version=0.0.4"), Format::Plain),
            (Some("text/plain"), Format::Plain),
            (Some("Text/Plain; q=0.5, application/openmetrics-text; q=0.2"), Format::Plain),
            (Some("text/plain, */*"), Format::Plain),
            (Some("text/plain;q=0.1, */*"), Format::Open),
            (Some("text/*"), Format::Plain),
            (Some("application/openmetrics-text;q=0, */*"), Format::Plain),
            (Some("text/plain;q=0, */*;q=0.1"), Format::Open),
            (Some("application/json"), Format::Open),
        ] {
            let mut headers = HeaderMap::new();
            accept.map(|accept| headers.insert(ACCEPT, accept.parse().unwrap()));
            assert_eq!(Format::negotiate(&headers), format, "{accept:?}");
        }
    }

    #[test]
    fn the_older_format_names_counters_by_their_samples() {
        let open = "# HELP a_b Of a b.\n# TYPE a_b counter\na_b_total{x=\"# TYPE a_b counter\"} 1\n# HELP c_s Of c.\n\
            # TYPE c_s histogram\n# UNIT c_s s\nc_s_sum 0.5\n# EOF\n";
        let plain = "# HELP a_b_total Of a b.\n# TYPE a_b_total counter\na_b_total{x=\"# TYPE a_b counter\"} 1\n\
            # HELP c_s Of c.\n# TYPE c_s histogram\nc_s_sum 0.5\n";
        assert_eq!(Format::Plain.page(open.to_owned()), plain);
    }
}
