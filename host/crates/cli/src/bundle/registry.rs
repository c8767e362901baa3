//! `bundle push` and `bundle pull`: bundles in OCI registries.
//!
//! A bundle is an artifact of type [`ARTIFACT`] with one layer per file, each titled with its path: `application/wasm` for
//! components, [`FILE`] for everything else.

use super::realm;
use crate::output;
use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use inferenceguard_bundle::{Bundle, MANIFEST, Signature};
use inferenceguard_catalog::bundles::{self, Fallback};
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol, Config, ImageLayer},
    manifest::{OciDescriptor, OciImageManifest},
    secrets::RegistryAuth,
};
use std::{
    collections::BTreeMap,
    env, io,
    path::PathBuf,
    pin::Pin,
    task::{self, Poll},
};
use tokio::{io::AsyncWrite, runtime::Runtime};

const ARTIFACT: &str = "application/vnd.inferenceguard.bundle.v1";
const FILE: &str = "application/vnd.inferenceguard.file.v1";
const WASM: &str = "application/wasm";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const TITLE: &str = "org.opencontainers.image.title";
const VERSION: &str = "org.opencontainers.image.version";
/// The largest file that is pulled, in bytes; a bundle's own limits hold beside it.
const MOST: usize = 1 << 30;
/// More files than any bundle has.
const FILES: usize = 1000;

/// A bundle's place in an OCI registry.
#[derive(Debug, Args)]
pub(crate) struct RegistryArguments {
    /// REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST. User and password, if there are any, are read from
    /// INFERGUARD_REGISTRY_USER and INFERGUARD_REGISTRY_PASSWORD
    reference: String,
    /// Without TLS, for a registry on this machine
    #[arg(long)]
    plain_http: bool,
    /// Another host that may receive the password, where the registry lets that host check it: auth.docker.io
    #[arg(long, value_name = "HOST[:PORT]")]
    token_host: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PushArguments {
    /// The bundle's folder or file
    bundle: PathBuf,
    #[command(flatten)]
    registry: RegistryArguments,
}

#[derive(Debug, Args)]
pub(crate) struct PullArguments {
    #[command(flatten)]
    registry: RegistryArguments,
    /// The file to write; NAME-VERSION.tar if not given
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Puts a bundle into a registry.
pub(super) fn push(arguments: &PushArguments) -> anyhow::Result<()> {
    let bundle = bundles::open(Some(&arguments.bundle), Fallback::Plain)?;
    let (reference, client, auth) = connect(&arguments.registry)?;
    let layers = layers(&bundle);
    let config = Config::new("{}", EMPTY.to_owned(), None);
    let manifest = bundle.manifest();
    let named = [(TITLE, &manifest.name), (VERSION, &manifest.version)];
    let named = named.into_iter().map(|(key, text)| (key.to_owned(), text.clone())).collect();
    let mut image = OciImageManifest::build(&layers, &config, Some(named));
    image.artifact_type = Some(ARTIFACT.to_owned());
    let pushed = Runtime::new()?.block_on(client.push(&reference, &layers, config, &auth, Some(image)));
    let pushed = pushed.with_context(|| format!("{reference}: not pushed"))?;
    let pin = pushed.manifest_url.rsplit('/').next().unwrap_or_default();
    output::result(format_args!(
        "{reference}  {}\npin it as {}/{}@{pin}",
        bundle.digest(),
        reference.registry(),
        reference.repository()
    ))
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

/// Fetches a bundle from a registry into one file.
pub(super) fn pull(arguments: &PullArguments) -> anyhow::Result<()> {
    let (reference, client, auth) = connect(&arguments.registry)?;
    let failed = || format!("{reference}: not pulled");
    let files = Runtime::new()?.block_on(files(&client, &reference, &auth)).with_context(failed)?;
    let bundle = assembled(files).with_context(failed)?;
    let manifest = bundle.manifest();
    let own = || format!("{}-{}.tar", manifest.name, manifest.version).into();
    let out = arguments.out.clone().unwrap_or_else(own);
    output::file(&out, &bundle.pack()?)?;
    output::result(format_args!("{}  {}", out.display(), bundle.digest()))
}

async fn files(
    client: &Client,
    reference: &Reference,
    auth: &RegistryAuth,
) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let (image, digest) = client.pull_image_manifest(reference, auth).await?;
    if let Some(pin) = reference.digest() {
        ensure!(pin == digest, "the registry answers with the manifest {digest}; expected {pin}");
    }
    let found = image.artifact_type.as_deref().unwrap_or("none");
    ensure!(found == ARTIFACT, "found an artifact of type {found}; expected {ARTIFACT}");
    ensure!(image.layers.len() <= FILES, "{} files are more than any bundle has", image.layers.len());
    let mut files = BTreeMap::new();
    for layer in &image.layers {
        let title = layer.annotations.as_ref().and_then(|named| named.get(TITLE)).context("a layer has no title")?;
        let mut bytes = Limited(Vec::new(), size(layer)?);
        client.pull_blob(reference, layer, &mut bytes).await.with_context(|| title.clone())?;
        ensure!(files.insert(title.clone(), bytes.0).is_none(), "`{title}` is there twice");
    }
    Ok(files)
}

fn size(layer: &OciDescriptor) -> anyhow::Result<usize> {
    let size = usize::try_from(layer.size).ok().filter(|size| *size <= MOST);
    size.ok_or_else(|| anyhow!("a file of {} bytes; at most {MOST} are taken", layer.size))
}

fn assembled(mut files: BTreeMap<String, Vec<u8>>) -> anyhow::Result<Bundle> {
    let mut text = |name: &str| files.remove(name).map(String::from_utf8).transpose().with_context(|| name.to_owned());
    let manifest = text(MANIFEST)?.context("it has no bundle.toml")?;
    let (statement, signature) = (text(Signature::STATEMENT)?, text(Signature::FILE)?);
    let signature = statement.zip(signature).map(|(statement, signature)| Signature { statement, signature });
    Ok(Bundle::from_parts(&manifest, &files)?.with_signature(signature))
}

fn connect(arguments: &RegistryArguments) -> anyhow::Result<(Reference, Client, RegistryAuth)> {
    let reference = arguments.reference.parse::<Reference>();
    let reference = reference.with_context(|| format!("{}: expected REGISTRY/NAME:TAG", arguments.reference))?;
    // The program has one provider; that it is set already is no error.
    drop(rustls::crypto::ring::default_provider().install_default());
    let protocol = if arguments.plain_http { ClientProtocol::Http } else { ClientProtocol::Https };
    let client = Client::try_from(ClientConfig { protocol, ..ClientConfig::default() })?;
    let auth = match (env::var("INFERGUARD_REGISTRY_USER"), env::var("INFERGUARD_REGISTRY_PASSWORD")) {
        (Ok(user), Ok(password)) => {
            let scheme = if arguments.plain_http { "http" } else { "https" };
            realm::check(&format!("{scheme}://{}/v2/", reference.resolve_registry()), arguments.token_host.as_deref())?;
            RegistryAuth::Basic(user, password)
        }
        (Err(_), Err(_)) => RegistryAuth::Anonymous,
        _ => bail!("set both INFERGUARD_REGISTRY_USER and INFERGUARD_REGISTRY_PASSWORD, or none"),
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
