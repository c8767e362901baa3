//! Where spans go, by the command line and the variables of OpenTelemetry's standard.

use crate::TelemetryError;
use std::env::{self, VarError};

/// What is behind the base address of a collector.
const PATH: &str = "/v1/traces";
/// Where a collector is if only `OTEL_TRACES_EXPORTER` asks for one.
const DEFAULT: &str = "http://localhost:4318";

/// Where spans go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spans {
    /// Nowhere: neither the command line nor the environment asks for spans.
    None,
    /// Nowhere, because this variable turns them off.
    Off(&'static str),
    /// To this address.
    To(String),
}

/// Gives a variable of the environment that is set and not empty: the standard takes empty ones as not set.
pub(super) fn variable(name: &str) -> Result<Option<String>, TelemetryError> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(unsupported(name, "found bytes that are not UTF-8; expected text")),
    }
}

impl Spans {
    /// What `--otlp` and the environment ask for.
    ///
    /// # Errors
    /// [`TelemetryError::Variable`] for a value that this program does not support, [`TelemetryError::NoAddress`].
    pub fn from_environment(option: Option<&str>) -> Result<Self, TelemetryError> {
        Self::from(option, variable)
    }

    fn from(
        option: Option<&str>,
        variable: impl Fn(&str) -> Result<Option<String>, TelemetryError>,
    ) -> Result<Self, TelemetryError> {
        let exporter = variable("OTEL_TRACES_EXPORTER")?;
        let Some(endpoint) = endpoint(option, exporter.is_some(), &variable)? else { return Ok(Self::None) };
        if variable("OTEL_SDK_DISABLED")?.is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
            return Ok(Self::Off("OTEL_SDK_DISABLED"));
        }
        match exporter.as_deref().map(str::trim) {
            None | Some("otlp") => {}
            // Nothing else asks for spans, so no message is needed.
            Some("none") if endpoint.is_default => return Ok(Self::None),
            Some("none") => return Ok(Self::Off("OTEL_TRACES_EXPORTER")),
            Some(other) => {
                let problem = format!("found `{other}`; expected `otlp` or `none`");
                return Err(unsupported("OTEL_TRACES_EXPORTER", problem));
            }
        }
        understood(&variable)?;
        Ok(Self::To(endpoint.address))
    }
}

struct Endpoint {
    address: String,
    /// Whether it is the default address.
    is_default: bool,
}

/// The first that is named: the option, the variable for spans, the variable for everything.
fn endpoint(
    option: Option<&str>,
    asked: bool,
    variable: impl Fn(&str) -> Result<Option<String>, TelemetryError>,
) -> Result<Option<Endpoint>, TelemetryError> {
    let (traces, all) = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT");
    let (name, address) = match (option, variable(traces)?, variable(all)?) {
        (Some(option), _, _) => ("--otlp", behind(option)),
        (None, Some(whole), _) => (traces, whole),
        (None, None, Some(base)) => (all, behind(&base)),
        (None, None, None) if asked => {
            return Ok(Some(Endpoint { address: behind(DEFAULT), is_default: true }));
        }
        (None, None, None) => return Ok(None),
    };
    let lower = address.to_ascii_lowercase();
    let http = ["http://", "https://"].iter().any(|scheme| lower.starts_with(scheme));
    if !http {
        let (name, found) = (name.to_owned(), without_secrets(&address));
        return Err(TelemetryError::NoAddress { name, found });
    }
    Ok(Some(Endpoint { address, is_default: false }))
}

/// The address for spans behind a base address, which may have their path already.
fn behind(base: &str) -> String {
    let base = base.trim_end_matches('/');
    if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") }
}

/// Refuses settings of the standard that the exporter would ignore.
fn understood(variable: impl Fn(&str) -> Result<Option<String>, TelemetryError>) -> Result<(), TelemetryError> {
    // The one for spans comes before the one for everything.
    let found = |what: &str| {
        let [own, all] = ["TRACES_", ""].map(|signal| format!("OTEL_EXPORTER_OTLP_{signal}{what}"));
        Ok::<_, TelemetryError>(match variable(&own)? {
            Some(value) => Some((own, value)),
            None => variable(&all)?.map(|value| (all, value)),
        })
    };
    if let Some((name, value)) = found("PROTOCOL")? {
        let expected = "`http/protobuf`, the one protocol spoken here";
        require(value == "http/protobuf", &name, || format!("found `{value}`; expected {expected}"))?;
    }
    if let Some((name, value)) = found("COMPRESSION")? {
        let expected = "`none`: spans are sent as they are";
        require(value == "none", &name, || format!("found `{value}`; expected {expected}"))?;
    }
    if let Some((name, value)) = found("TIMEOUT")? {
        let fits = value.parse::<u64>().is_ok_and(|most| most > 0);
        require(fits, &name, || format!("found `{value}`; expected milliseconds above 0"))?;
    }
    for what in ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"] {
        if let Some((name, _)) = found(what)? {
            return Err(unsupported(&name, "certificates of one's own are not supported; unset it"));
        }
    }
    found("HEADERS")?.map_or(Ok(()), |(name, value)| headers(&name, &value))
}

fn unsupported(name: &str, problem: impl Into<String>) -> TelemetryError {
    TelemetryError::Variable { name: name.to_owned(), problem: problem.into() }
}

fn require(holds: bool, name: &str, problem: impl Fn() -> String) -> Result<(), TelemetryError> {
    if holds { Ok(()) } else { Err(unsupported(name, problem())) }
}

/// Checks a list `NAME=VALUE,NAME=VALUE` in a variable. Values may be secrets, so errors do not show them.
fn headers(variable: &str, list: &str) -> Result<(), TelemetryError> {
    let named = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    for (number, header) in list.split_terminator(',').enumerate() {
        let expected = || format!("header {}: expected NAME=VALUE, other characters as %XX", number + 1);
        let (name, value) = header.split_once('=').ok_or_else(|| unsupported(variable, expected()))?;
        let value = value.trim_matches(' ');
        let mut coded = value.split('%').skip(1);
        let decodes = coded.all(|code| code.get(..2).is_some_and(|hex| u8::from_str_radix(hex, 16).is_ok()));
        let fits = named(name.trim()) && decodes && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        require(fits, variable, expected)?;
    }
    Ok(())
}

/// Whether a variable names the service.
#[cfg(any(feature = "otlp", test))]
pub(super) fn names_service(
    variable: impl Fn(&str) -> Result<Option<String>, TelemetryError>,
) -> Result<bool, TelemetryError> {
    let attributes = variable("OTEL_RESOURCE_ATTRIBUTES")?.unwrap_or_default();
    let mut names = attributes.split(',').filter_map(|one| one.split_once('=')).map(|(name, _)| name.trim());
    Ok(variable("OTEL_SERVICE_NAME")?.is_some() || names.any(|name| name == "service.name"))
}

/// An address without what stands before its `@`.
pub(super) fn without_secrets(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(option: Option<&str>, variables: &[(&str, &str)]) -> Result<Spans, TelemetryError> {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Spans::from(option, |name| Ok(find(name)))
    }

    #[test]
    fn addresses_are_found_as_the_standard_says() {
        let (all, traces) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let whole = "http://c:4318/v1/traces";
        for (option, variables, expected) in [
            (Some("http://c:4318"), vec![(all, "http://d"), (traces, "http://e")], whole),
            (Some("http://c:4318/"), vec![], whole),
            (Some("http://c:4318/v1/traces"), vec![], whole),
            (Some("http://c:4318/v1/traces/"), vec![], whole),
            (None, vec![(all, "http://c:4318")], whole),
            (None, vec![(all, "http://c:4318/v1/traces")], whole),
            (None, vec![(all, "https://c/otel/")], "https://c/otel/v1/traces"),
            (None, vec![(all, "http://d"), (traces, "http://c:4318/own")], "http://c:4318/own"),
            (None, vec![("OTEL_TRACES_EXPORTER", "otlp")], "http://localhost:4318/v1/traces"),
        ] {
            assert_eq!(asked(option, &variables).unwrap(), Spans::To(expected.to_owned()), "{option:?} {variables:?}");
        }
        assert_eq!(asked(None, &[]).unwrap(), Spans::None);
        assert!(
            asked(Some("localhost:4318"), &[])
                .unwrap_err()
                .to_string()
                .contains("--otlp: found `localhost:4318/v1/traces`")
        );
        assert!(!asked(None, &[(traces, "ftp://a:secret@b/")]).unwrap_err().to_string().contains("secret"));
    }

    #[test]
    fn spans_are_turned_off_where_the_standard_says_so() {
        let there = Some("http://c:4318");
        for (name, value, off) in [
            ("OTEL_SDK_DISABLED", "true", true),
            ("OTEL_SDK_DISABLED", "TRUE", true),
            ("OTEL_SDK_DISABLED", "false", false),
            ("OTEL_SDK_DISABLED", "1", false),
            ("OTEL_TRACES_EXPORTER", "none", true),
        ] {
            let expected = if off { Spans::Off(name) } else { Spans::To("http://c:4318/v1/traces".to_owned()) };
            assert_eq!(asked(there, &[(name, value)]).unwrap(), expected, "{name}={value}");
        }
        assert_eq!(asked(None, &[("OTEL_TRACES_EXPORTER", "none")]).unwrap(), Spans::None);
        assert_eq!(asked(None, &[("OTEL_SDK_DISABLED", "true")]).unwrap(), Spans::None);
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (name, value) in [
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_EXPORTER", "otlp,console"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a b=secret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=secret%2"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=secret\n"),
        ] {
            let error = format!("{:#}", asked(Some("http://c"), &[(name, value)]).unwrap_err());
            assert!(error.contains(name) && !error.contains("secret"), "{name}={value}: {error}");
        }
        let fine = [
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k%20v, other=1=2"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
        ];
        assert!(matches!(asked(Some("http://c"), &fine).unwrap(), Spans::To(_)), "the variable for spans comes first");
    }

    #[test]
    fn a_service_has_the_name_that_is_given() {
        let named = |name: &'static str, value: &'static str| {
            names_service(move |found| Ok((found == name).then(|| value.to_owned()))).unwrap()
        };
        assert!(
            named("OTEL_SERVICE_NAME", "kitchen") && named("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=kitchen")
        );
        assert!(!named("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=home") && !named("x", "y"));
    }
}
