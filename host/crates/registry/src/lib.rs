//! Bundles in OCI registries.
//!
//! A bundle is an artifact of type [`ARTIFACT`] with one layer per file, each titled with its path: `application/wasm` for
//! components, [`FILE`] for everything else.
//!
//! **Invariant**: user and password go to the registry, or to a host that the caller named, and nowhere else.

mod error;
mod realm;

pub use error::RegistryError;

use inferenceguard_bundle::{Bundle, MANIFEST, Signature};
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol, Config, ImageLayer},
    manifest::{OciDescriptor, OciImageManifest},
    secrets::RegistryAuth,
};
use std::{
    collections::BTreeMap,
    env, io,
    pin::Pin,
    task::{self, Poll},
};
use tokio::{io::AsyncWrite, runtime::Runtime};

/// The type of the artifact.
pub const ARTIFACT: &str = "application/vnd.inferenceguard.bundle.v1";
/// The type of files other than components.
pub const FILE: &str = "application/vnd.inferenceguard.file.v1";
const WASM: &str = "application/wasm";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const TITLE: &str = "org.opencontainers.image.title";
const VERSION: &str = "org.opencontainers.image.version";
/// The largest file that is pulled, in bytes; a bundle's own limits hold beside it.
const MOST: usize = 1 << 30;
/// More files than any bundle has.
const FILES: usize = 1000;

/// A bundle's place in an OCI registry.
#[derive(Debug, Clone)]
pub struct BundleReference {
    /// `REGISTRY/NAME:TAG` or `REGISTRY/NAME@sha256:DIGEST`.
    pub reference: String,
    /// Without TLS.
    pub plain_http: bool,
    /// Another host that may receive user and password.
    pub token_host: Option<String>,
}

/// A bundle that was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Where it lies.
    pub reference: String,
    /// The same place, by digest.
    pub pinned: String,
}

/// Puts a bundle into a registry.
///
/// # Errors
/// [`RegistryError::Push`], and what keeps the registry from being asked.
pub fn push(place: &BundleReference, bundle: &Bundle) -> Result<Pushed, RegistryError> {
    let (reference, client, auth) = connect(place)?;
    let layers = layers(bundle);
    let config = Config::new("{}", EMPTY.to_owned(), None);
    let manifest = bundle.manifest();
    let named = [(TITLE, &manifest.name), (VERSION, &manifest.version)];
    let named = named.into_iter().map(|(key, text)| (key.to_owned(), text.clone())).collect();
    let mut image = OciImageManifest::build(&layers, &config, Some(named));
    image.artifact_type = Some(ARTIFACT.to_owned());
    let failed = |source| RegistryError::Push { reference: reference.to_string(), source: Box::new(source) };
    let pushed = Runtime::new()?.block_on(client.push(&reference, &layers, config, &auth, Some(image)));
    let pushed = pushed.map_err(failed)?;
    let pin = pushed.manifest_url.rsplit('/').next().unwrap_or_default();
    let pinned = format!("{}/{}@{pin}", reference.registry(), reference.repository());
    Ok(Pushed { reference: reference.to_string(), pinned })
}

/// Fetches a bundle from a registry.
///
/// # Errors
/// [`RegistryError::Pull`], and what keeps the registry from being asked.
pub fn pull(place: &BundleReference) -> Result<Bundle, RegistryError> {
    let (reference, client, auth) = connect(place)?;
    let failed = |error| RegistryError::Pull { reference: reference.to_string(), source: Box::new(error) };
    let files = Runtime::new()?.block_on(files(&client, &reference, &auth)).map_err(failed)?;
    assembled(files).map_err(failed)
}

fn layers(bundle: &Bundle) -> Vec<ImageLayer> {
    let layer = |name: &str, bytes: Vec<u8>| {
        let kind = if bytes.starts_with(b"\0asm") { WASM } else { FILE };
        ImageLayer::new(bytes, kind.to_owned(), Some([(TITLE.to_owned(), name.to_owned())].into()))
    };
    let signature = bundle.signature().into_iter().flat_map(Signature::files);
    let texts = std::iter::once((MANIFEST, bundle.text())).chain(signature);
    let texts = texts.map(|(name, text)| layer(name, text.as_bytes().to_vec()));
    texts.chain(bundle.files().iter().map(|(name, bytes)| layer(name, bytes.clone()))).collect()
}

async fn files(
    client: &Client,
    reference: &Reference,
    auth: &RegistryAuth,
) -> Result<BTreeMap<String, Vec<u8>>, RegistryError> {
    let (image, digest) = client.pull_image_manifest(reference, auth).await.map_err(Box::new)?;
    if let Some(pin) = reference.digest() {
        let problem = || format!("the registry answers with the manifest {digest}; expected {pin}");
        require(pin == digest, problem)?;
    }
    let found = image.artifact_type.as_deref().unwrap_or("none");
    require(found == ARTIFACT, || format!("found an artifact of type {found}; expected {ARTIFACT}"))?;
    let count = image.layers.len();
    require(count <= FILES, || format!("{count} files are more than any bundle has"))?;
    let mut files = BTreeMap::new();
    for layer in &image.layers {
        let title = layer.annotations.as_ref().and_then(|named| named.get(TITLE));
        let title = title.ok_or_else(|| content("a layer has no title"))?;
        let mut bytes = Limited(Vec::new(), size(layer)?);
        let failed = |source| RegistryError::File { file: title.clone(), source: Box::new(source) };
        client.pull_blob(reference, layer, &mut bytes).await.map_err(failed)?;
        require(files.insert(title.clone(), bytes.0).is_none(), || format!("`{title}` is there twice"))?;
    }
    Ok(files)
}

fn size(layer: &OciDescriptor) -> Result<usize, RegistryError> {
    let size = usize::try_from(layer.size).ok().filter(|size| *size <= MOST);
    size.ok_or_else(|| content(format!("a file of {} bytes; at most {MOST} are taken", layer.size)))
}

fn assembled(mut files: BTreeMap<String, Vec<u8>>) -> Result<Bundle, RegistryError> {
    let mut text = |name: &str| {
        let wrong = |source| RegistryError::Text { file: name.to_owned(), source };
        files.remove(name).map(String::from_utf8).transpose().map_err(wrong)
    };
    let manifest = text(MANIFEST)?.ok_or_else(|| content("it has no bundle.toml"))?;
    let (statement, signature) = (text(Signature::STATEMENT)?, text(Signature::FILE)?);
    let signature = statement.zip(signature).map(|(statement, signature)| Signature { statement, signature });
    Ok(Bundle::from_parts(&manifest, &files).map_err(Box::new)?.with_signature(signature))
}

fn content(problem: impl Into<String>) -> RegistryError {
    RegistryError::Content { problem: problem.into() }
}

fn require(holds: bool, problem: impl Fn() -> String) -> Result<(), RegistryError> {
    if holds { Ok(()) } else { Err(content(problem())) }
}

fn connect(place: &BundleReference) -> Result<(Reference, Client, RegistryAuth), RegistryError> {
    let reference = place.reference.parse::<Reference>();
    let reference = reference.map_err(|source| RegistryError::Reference { found: place.reference.clone(), source })?;
    // Fails only if the process has a provider already, which will do.
    drop(rustls::crypto::ring::default_provider().install_default());
    let protocol = if place.plain_http { ClientProtocol::Http } else { ClientProtocol::Https };
    let client = Client::try_from(ClientConfig { protocol, ..ClientConfig::default() }).map_err(Box::new)?;
    let auth = match (env::var("INFERGUARD_REGISTRY_USER"), env::var("INFERGUARD_REGISTRY_PASSWORD")) {
        (Ok(user), Ok(password)) => {
            let scheme = if place.plain_http { "http" } else { "https" };
            realm::check(&format!("{scheme}://{}/v2/", reference.resolve_registry()), place.token_host.as_deref())?;
            RegistryAuth::Basic(user, password)
        }
        (Err(_), Err(_)) => RegistryAuth::Anonymous,
        _ => return Err(RegistryError::Credentials),
    };
    Ok((reference, client, auth))
}

/// Accepts this many bytes and no more.
struct Limited(Vec<u8>, usize);

impl AsyncWrite for Limited {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut task::Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.0.len() + bytes.len() > self.1 {
            let message = format!("the registry sends more than the {} bytes it named", self.1);
            return Poll::Ready(Err(io::Error::other(message)));
        }
        self.0.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
