//! Runs the nested cargo and writes checked components.

use crate::{ComponentError, Inspection, encode, environment, inspect, toolchain};
use std::{
    ffi::OsString,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// One crate folder to build.
#[derive(Debug, Clone)]
pub struct Build {
    /// The folder with the crate's Cargo.toml.
    pub crate_dir: PathBuf,
    /// Where the nested cargo keeps what it makes; not the outer one's target directory.
    pub target_dir: PathBuf,
    /// The file to write.
    pub out: PathBuf,
}

/// A component that was built and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The package's name.
    pub package: String,
    /// The file.
    pub path: PathBuf,
    /// What it is.
    pub inspection: Inspection,
}

impl Build {
    /// Builds, checks and writes. Nothing is written unless every check passes.
    ///
    /// # Errors
    /// When the target is missing, cargo fails, or the result is not a component of the contract.
    pub fn run(&self) -> Result<Built, ComponentError> {
        let artifacts = cargo(&self.crate_dir, &[], &self.target_dir)?;
        let manifest = self.crate_dir.join("Cargo.toml");
        let manifest = manifest.canonicalize().map_err(ComponentError::io(&manifest))?;
        let found = artifacts.into_iter().find(|artifact| artifact.manifest == manifest);
        let package = self.crate_dir.display().to_string();
        let artifact = found.ok_or(ComponentError::NoArtifact { package })?;
        write(artifact, self.out.clone())
    }
}

/// Builds these packages of the workspace at `manifest_dir` in one cargo call, each to `out_dir/PACKAGE.wasm`.
///
/// # Errors
/// When the target is missing, cargo fails, or a package is not a component of the contract.
pub fn build_workspace_components(
    manifest_dir: &Path,
    packages: &[&str],
    target_dir: &Path,
    out_dir: &Path,
) -> Result<Vec<Built>, ComponentError> {
    let mut artifacts = cargo(manifest_dir, packages, target_dir)?;
    std::fs::create_dir_all(out_dir).map_err(ComponentError::io(out_dir))?;
    let take = |package: &&str| {
        let at = artifacts.iter().position(|artifact| artifact.package == *package);
        let at = at.ok_or_else(|| ComponentError::NoArtifact { package: (*package).to_owned() })?;
        write(artifacts.swap_remove(at), out_dir.join(format!("{package}.wasm")))
    };
    packages.iter().map(take).collect()
}

struct Artifact {
    package: String,
    manifest: PathBuf,
    wasm: PathBuf,
}

/// Builds `packages`, or the one package of `dir` if none are named.
fn cargo(dir: &Path, packages: &[&str], target_dir: &Path) -> Result<Vec<Artifact>, ComponentError> {
    toolchain::ensure_target(dir)?;
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(dir).args(["build", "--release", "--lib", "--message-format=json-render-diagnostics"]);
    command.args(["--target", toolchain::TARGET]).arg("--target-dir").arg(target_dir);
    command.args(packages.iter().flat_map(|package| ["-p", package]));
    environment::clean(&mut command);
    command.envs(environment::PROFILE.iter().copied()).env("CARGO_ENCODED_RUSTFLAGS", remapped(dir));
    let output = command.output().map_err(|source| ComponentError::Start { program: "cargo".to_owned(), source })?;
    if !output.status.success() {
        let packages = if packages.is_empty() { dir.display().to_string() } else { packages.join(", ") };
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(ComponentError::Cargo { packages, stderr });
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(artifact).collect())
}

/// Flags that keep this machine's folders out of the component, so that its bytes depend on the sources alone.
fn remapped(dir: &Path) -> String {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let root = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let places = home.map(|home| (home, "/cargo")).into_iter().chain([(root, "/src")]);
    let flags: Vec<_> = places.map(|(place, name)| format!("--remap-path-prefix={}={name}", place.display())).collect();
    flags.join("\u{1f}")
}

/// The wasm file that one line of cargo's messages names.
fn artifact(line: &str) -> Option<Artifact> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    let files = message["filenames"].as_array()?.iter().filter_map(serde_json::Value::as_str);
    let wasm = PathBuf::from(files.into_iter().find(|file| file.ends_with(".wasm"))?);
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    Some(Artifact { package: package_name(message["package_id"].as_str()?), manifest, wasm })
}

/// The name in a package id: `path+file:///DIR#NAME@VERSION`, or `path+file:///DIR/NAME#VERSION`.
fn package_name(id: &str) -> String {
    let (place, fragment) = id.split_once('#').unwrap_or((id, ""));
    match fragment.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => place.rsplit('/').next().unwrap_or(place).to_owned(),
    }
}

fn write(artifact: Artifact, out: PathBuf) -> Result<Built, ComponentError> {
    let module = std::fs::read(&artifact.wasm).map_err(ComponentError::io(&artifact.wasm))?;
    let component = encode(&module)?;
    let inspection = inspect(&component)?;
    let dir = out.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(ComponentError::io(dir))?;
    file.write_all(&component).map_err(ComponentError::io(file.path()))?;
    file.persist(&out).map_err(|error| ComponentError::Io { path: out.clone(), source: error.error })?;
    Ok(Built { package: artifact.package, path: out, inspection })
}
