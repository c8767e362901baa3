//! A new component's crate: small, complete, with a test.

use crate::{ComponentError, Role};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

const MANIFEST: &str = include_str!("../templates/manifest.toml");

fn source(role: Role) -> &'static str {
    match role {
        Role::Policy => include_str!("../templates/policy.rs"),
        Role::Tracker => include_str!("../templates/tracker.rs"),
        Role::Critic => include_str!("../templates/critic.rs"),
        Role::Cost => include_str!("../templates/cost.rs"),
        Role::Steering => include_str!("../templates/steering.rs"),
    }
}

/// The SDK's folder in the checkout that the current folder or the program lies in.
#[must_use]
pub fn find_sdk() -> Option<PathBuf> {
    let places = [env::current_dir().ok(), env::current_exe().ok()];
    let above = places.iter().flatten().flat_map(|place| place.ancestors());
    let is_sdk = |guest: &PathBuf| {
        fs::read_to_string(guest.join("Cargo.toml")).is_ok_and(|text| text.contains("name = \"inferenceguard-guest\""))
    };
    above.map(|place| place.join("guest")).find(is_sdk)
}

/// Writes a crate for a component of this role to `dir`, which must not exist. It depends on the SDK at `sdk`.
///
/// # Errors
/// When the name cannot be a crate's, the folder exists, or it cannot be written.
pub fn scaffold(dir: &Path, name: &str, role: Role, sdk: &Path) -> Result<(), ComponentError> {
    check_name(name)?;
    if dir.exists() {
        return Err(ComponentError::Exists(dir.to_owned()));
    }
    let sdk = sdk.canonicalize().map_err(ComponentError::io(sdk))?;
    let manifest = MANIFEST.replace("{name}", name).replace("{role}", role.name());
    let manifest = manifest.replace("{sdk}", &sdk.display().to_string().replace('\\', "/"));
    fs::create_dir_all(dir.join("src")).map_err(ComponentError::io(dir))?;
    for (path, text) in [("Cargo.toml", manifest.as_str()), ("src/lib.rs", source(role)), (".gitignore", "/target\n")] {
        let path = dir.join(path);
        fs::write(&path, text.replace("{name}", name)).map_err(ComponentError::io(&path))?;
    }
    Ok(())
}

/// Kebab-case, letter first: good as crate name, component name and file name alike.
fn check_name(name: &str) -> Result<(), ComponentError> {
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let good = name.split('-').all(word) && name.starts_with(|first: char| first.is_ascii_lowercase());
    if good { Ok(()) } else { Err(ComponentError::Name(name.to_owned())) }
}
