//! `bundle keygen`, `sign` and `verify`.

use super::{
    Fallback,
    args::{KeygenArguments, SignArguments, VerifyArguments},
    make, open,
};
use crate::output;
use anyhow::{Context, bail, ensure};
use inferenceguard_bundle::{NewKey, SigningKey, Statement, Trust, VerifyingKey, date};
use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// The password of encrypted keys.
const PASSWORD: &str = "INFERGUARD_KEY_PASSWORD";
const DAY: u64 = 24 * 60 * 60;

/// Makes a key.
pub(super) fn generate(arguments: &KeygenArguments) -> anyhow::Result<()> {
    let password = env::var(PASSWORD).ok().filter(|_| arguments.encrypt);
    ensure!(password.is_some() || !arguments.encrypt, "--encrypt: put a password into the variable {PASSWORD}");
    let public = public_path(&arguments.key);
    for path in [&arguments.key, &public] {
        ensure!(!path.exists(), "{}: there is a file already, and no key is overwritten", path.display());
    }
    let key = NewKey::generate(password.as_deref())?;
    secret_file(&arguments.key, &key.secret)?;
    output::file(&public, key.public.as_bytes())?;
    let line = key.public.lines().nth(1).unwrap_or_default();
    output::result(format_args!(
        "{}  keep it secret\n{}  give it to those who check: {line}",
        arguments.key.display(),
        public.display()
    ))
}

fn public_path(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// For its owner's eyes.
fn secret_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("{} could not be written", path.display()))
}

/// The secret half of a key.
pub(crate) fn signing_key(path: &Path) -> anyhow::Result<SigningKey> {
    let key = SigningKey::parse(&read(path)?, env::var(PASSWORD).ok().as_deref());
    key.with_context(|| format!("{} (password: {PASSWORD})", path.display()))
}

/// The public half of a key.
pub(crate) fn verifying_key(path: &Path) -> anyhow::Result<VerifyingKey> {
    VerifyingKey::parse(&read(path)?).with_context(|| path.display().to_string())
}

/// Signs a bundle: two files beside its manifest, or in its archive.
pub(super) fn sign(arguments: &SignArguments) -> anyhow::Result<()> {
    let path = &arguments.bundle;
    let bundle = open(Some(path), Fallback::Plain)?;
    let key = signing_key(&arguments.key)?;
    let now = now();
    let expires = arguments.expires_in.map(|days| now.saturating_add(days.saturating_mul(DAY)));
    let signature = key.sign(&Statement::of(&bundle, now, expires)?)?;
    if path.is_file() {
        output::file(path, &bundle.clone().with_signature(Some(signature)).pack()?)?;
    } else {
        // What was signed must be what is there: components of this program are lent no more.
        make::write(path, &bundle)?;
        for (name, text) in signature.files() {
            output::file(&path.join(name), text.as_bytes())?;
        }
    }
    output::result(format_args!("{}  {}", path.display(), bundle.digest()))
}

/// Checks a signature as a server would.
pub(super) fn verify(arguments: &VerifyArguments) -> anyhow::Result<()> {
    let bundle = open(Some(&arguments.bundle), Fallback::Plain)?;
    let trust = match (&arguments.trust, &arguments.key) {
        (Some(path), _) => Trust::parse(&read(path)?).with_context(|| path.display().to_string())?,
        (None, Some(path)) => {
            let keys = [(path.display().to_string(), read(path)?)].into();
            Trust { require_signature: true, keys, ..Trust::default() }
        }
        (None, None) => bail!("name a key with --key FILE, or what is trusted with --trust FILE"),
    };
    let manifest = bundle.manifest();
    let signer = trust.check(&bundle, now()).with_context(|| arguments.bundle.display().to_string())?;
    let by = signer.map_or_else(
        || "not signed, and no signature is required".to_owned(),
        |signer| {
            let until = signer.expires_at.map(|at| format!(", until {}", date(at))).unwrap_or_default();
            format!("signed by {} ({}) at {}{until}", signer.name, signer.key, date(signer.signed_at))
        },
    );
    output::result(format_args!("{} {}  {}\n{by}", manifest.name, manifest.version, bundle.digest()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
