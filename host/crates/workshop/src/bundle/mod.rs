//! Bundles: made, packed, signed, tried, and shown.

mod price;
mod shown;
mod signing;

pub use price::price;
pub use shown::{check, object, pin};
pub use signing::{read_trust, sign, verify};

use crate::WorkshopError;
use inferenceguard_bundle::{Bundle, MANIFEST};
use inferenceguard_catalog::{
    Starter,
    bundles::{self, Fallback},
    write_file,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Writes a first bundle into a new folder, whose name it has if none is given. `network` is the file with the weights of a probe.
///
/// # Errors
/// A folder that is not empty, a starter that does not fit, files that cannot be read or written.
pub fn init(dir: &Path, name: Option<&str>, starter: Starter, network: Option<&Path>) -> Result<(), WorkshopError> {
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(WorkshopError::NotEmpty { folder: dir.to_owned() });
    }
    let own = || dir.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.map(str::to_owned).or_else(own).ok_or(WorkshopError::NoName)?;
    let probe = network.map(|path| fs::read(path).map_err(WorkshopError::file(path)));
    let (text, made) = starter.bundle(&name, probe.transpose()?)?;
    fs::create_dir_all(dir).map_err(WorkshopError::file(dir))?;
    complete(dir, &made)?;
    Ok(write_file(&dir.join(MANIFEST), text.as_bytes())?)
}

/// Writes the files of a bundle that its folder does not hold: components that the program provides. Gives their paths.
fn complete(dir: &Path, bundle: &Bundle) -> Result<Vec<PathBuf>, WorkshopError> {
    let mut written = Vec::new();
    for (name, bytes) in bundle.files() {
        let path = dir.join(name);
        if !path.exists() {
            fs::create_dir_all(path.parent().unwrap_or(dir)).map_err(WorkshopError::file(&path))?;
            write_file(&path, bytes)?;
            written.push(path);
        }
    }
    Ok(written)
}

/// Writes a bundle into one file, which must not hold another one; `NAME-VERSION.tar` if no file is named. Gives file and bundle.
///
/// # Errors
/// [`WorkshopError::OtherBundle`], a bundle that cannot be opened, a file that cannot be written.
pub fn pack(bundle: &Path, out: Option<&Path>) -> Result<(PathBuf, Bundle), WorkshopError> {
    let bundle = bundles::open(Some(bundle), Fallback::Plain)?;
    let out = out.map_or_else(|| packed_name(&bundle), Path::to_owned);
    // The same bundle with another signature may be replaced.
    let same = || Bundle::open(&out).is_ok_and(|there| there.digest() == bundle.digest());
    if out.exists() && !same() {
        return Err(WorkshopError::OtherBundle { path: out });
    }
    write_file(&out, &bundle.pack()?)?;
    Ok((out, bundle))
}

/// The file that a bundle is packed into if none is named: `NAME-VERSION.tar`.
#[must_use]
pub fn packed_name(bundle: &Bundle) -> PathBuf {
    let manifest = bundle.manifest();
    format!("{}-{}.tar", manifest.name, manifest.version).into()
}
