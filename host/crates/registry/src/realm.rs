//! Where a registry wants the password sent: to itself, or to a host that the user named.

use crate::RegistryError;
use ureq::{Agent, http::Uri};

/// Asks the registry at `url` without a password; fails if the password would go to another host.
pub(super) fn check(url: &str, allowed: Option<&str>) -> Result<(), RegistryError> {
    let agent: Agent = Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
    let no_answer = |source| RegistryError::NoAnswer { url: url.to_owned(), source: Box::new(source) };
    let answer = agent.get(url).call().map_err(no_answer)?;
    for challenge in answer.headers().get_all("www-authenticate") {
        let unreadable = |_| password(url, "how it is to be asked cannot be read");
        let challenge = challenge.to_str().map_err(unreadable)?;
        safe(url, challenge, allowed)?;
    }
    Ok(())
}

/// A password for the registry itself goes to the registry; one for tokens goes where `realm` says.
fn safe(url: &str, challenge: &str, allowed: Option<&str>) -> Result<(), RegistryError> {
    let realms: Vec<&str> = realms(challenge).collect();
    let bearer = challenge.to_ascii_lowercase().contains("bearer");
    if bearer && realms.is_empty() {
        return Err(password(url, "it asks for a token and does not say where there is one"));
    }
    for realm in realms.into_iter().filter(|realm| bearer || realm.contains("://")) {
        let (own, named) = (uri(url)?, uri(realm)?);
        let host = authority(&named).ok_or_else(|| password(realm, "no host"))?;
        let known = authority(&own).as_ref() == Some(&host) || allowed.is_some_and(|allowed| is_at(&named, allowed));
        if !known {
            let problem = format!(
                "it wants user and password to be given to {host}, another host; if that is right, say so with --token-host \
                 {host}"
            );
            return Err(password(url, problem));
        }
        let encrypted = named.scheme_str() == Some("https") || own.scheme_str() == Some("http");
        if !encrypted {
            let problem = format!("it wants user and password to be sent to {realm}, without encryption");
            return Err(password(url, problem));
        }
    }
    Ok(())
}

/// What stands in quotes behind each `realm=`.
fn realms(challenge: &str) -> impl Iterator<Item = &str> {
    let starts = challenge.to_ascii_lowercase().match_indices("realm=").map(|(at, found)| at + found.len()).collect();
    let starts: Vec<usize> = starts;
    starts.into_iter().map(|at| challenge[at..].trim_start_matches('"').split(['"', ',']).next().unwrap_or_default())
}

fn uri(text: &str) -> Result<Uri, RegistryError> {
    text.parse().map_err(|_| password(text, "no address"))
}

fn password(url: &str, problem: impl Into<String>) -> RegistryError {
    RegistryError::Password { url: url.to_owned(), problem: problem.into() }
}

/// Host and port; the port of the scheme if none is named.
fn authority(uri: &Uri) -> Option<String> {
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    Some(format!("{}:{port}", uri.host()?.to_ascii_lowercase()))
}

fn is_at(uri: &Uri, allowed: &str) -> bool {
    let allowed = allowed.to_ascii_lowercase();
    authority(uri).is_some_and(|host| host == allowed || host == format!("{allowed}:443"))
}

#[cfg(test)]
mod tests {
    use super::safe;

    const REGISTRY: &str = "https://registry.example/v2/";

    #[test]
    fn the_registry_itself_may_have_the_password() {
        for challenge in [
            "Basic realm=\"Registry\"",
            "Bearer realm=\"https://registry.example/token\",service=\"x\"",
            "bearer service=\"x\",REALM=\"https://Registry.example:443/token\"",
        ] {
            safe(REGISTRY, challenge, None).unwrap();
        }
    }

    #[test]
    fn nobody_else_may_unless_named() {
        for (challenge, words) in [
            ("Bearer realm=\"https://other.example/token\"", "--token-host other.example:443"),
            ("Bearer realm=https://other.example/token,service=x", "other.example"),
            ("Bearer realm=\"https://registry.example:8443/token\"", "registry.example:8443"),
            ("Bearer realm=\"https://registry.example@other.example/\"", "other.example"),
            ("Basic realm=\"x\", Bearer realm=\"https://other.example/\"", "no"),
            ("Bearer realm=\"http://registry.example:443/token\"", "without encryption"),
            ("Bearer service=\"x\"", "does not say where"),
            ("Bearer realm=\"/token\"", "no host"),
        ] {
            let error = safe(REGISTRY, challenge, None).unwrap_err().to_string();
            assert!(error.contains(words), "{challenge}: {error}");
        }
        let other = "Bearer realm=\"https://other.example/token\"";
        safe(REGISTRY, other, Some("other.example")).unwrap();
        safe(REGISTRY, other, Some("Other.example:443")).unwrap();
        assert!(safe(REGISTRY, other, Some("example")).is_err());
        assert!(safe(REGISTRY, "Bearer realm=\"http://other.example/\"", Some("other.example:80")).is_err());
    }
}
