//! Compiles the first-party components and lists what the binary carries: components, demo models, default bundle.

use inferenceguard_componentize::{build_workspace_components, inspect};
use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// The demo models, as folders of `host/demo`.
const MODELS: [&str; 3] = ["weak", "reward", "cost"];

fn main() {
    if let Err(error) = embed() {
        for line in error.to_string().lines() {
            println!("cargo::error={line}");
        }
        std::process::exit(1);
    }
}

fn embed() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("../../..").canonicalize()?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    println!("cargo::rerun-if-env-changed=INFERENCEGUARD_COMPONENTS");
    for place in ["guest", "wit", "host/demo", "host/bundles", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(place).display());
    }
    let components = components(&root, &out)?;
    let mut table = String::new();
    write_table(&mut table, "COMPONENTS", "First-party components: name and bytes.", &components)?;
    write_roles(&mut table, &components)?;
    for model in MODELS {
        let files = files(&root.join("host/demo").join(model))?;
        let about = format!("The files of the demo model `{model}`; none before it is trained.");
        write_table(&mut table, &model.to_uppercase(), &about, &files)?;
    }
    let networks = files(&root.join("host/demo/bundle-weak"))?;
    write_table(&mut table, "WEAK_BUNDLE", "The bundle with networks for the demo model `weak`.", &networks)?;
    let smollm2 = files(&root.join("host/bundles/smollm2-135m-instruct"))?;
    write_table(&mut table, "SMOLLM2_BUNDLE", "The bundle for SmolLM2-135M-Instruct.", &smollm2)?;
    Ok(fs::write(out.join("embedded.rs"), table)?)
}

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|error| format!("{name}: {error}").into())
}

/// Ready components if a folder of them is given, else those of `guest/components`, built in a target directory of
/// their own below the outer one.
fn components(root: &Path, out: &Path) -> Result<Vec<(String, PathBuf)>, Box<dyn Error>> {
    if let Some(ready) = env::var_os("INFERENCEGUARD_COMPONENTS") {
        println!("cargo::rerun-if-changed={}", Path::new(&ready).display());
        let found = files(Path::new(&ready))?.into_iter();
        return Ok(found.filter_map(|(name, path)| Some((name.strip_suffix(".wasm")?.to_owned(), path))).collect());
    }
    let packages = packages(&root.join("guest/components"))?;
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    // OUT_DIR is TARGET[/TRIPLE]/PROFILE/build/PACKAGE/out.
    let target = out.ancestors().nth(4).ok_or("OUT_DIR is not below a target directory")?.join("components");
    let built = build_workspace_components(root, &packages, &target, &out.join("components"))?;
    Ok(built.into_iter().map(|one| (one.package, one.path)).collect())
}

fn packages(folder: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let manifest = entry?.path().join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&manifest) else { continue };
        let name = text.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        names.push(name.ok_or_else(|| format!("{}: no package name", manifest.display()))?.to_owned());
    }
    names.sort();
    Ok(names)
}

/// Files of a folder by name; none if there is no such folder.
fn files(folder: &Path) -> Result<Vec<(String, PathBuf)>, Box<dyn Error>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    files.sort();
    Ok(files)
}

/// Which role each component fills, so that the program does not have to find out.
fn write_roles(out: &mut String, components: &[(String, PathBuf)]) -> Result<(), Box<dyn Error>> {
    writeln!(out, "/// The role of each first-party component.")?;
    writeln!(out, "pub(crate) static ROLES: &[(&str, &str)] = &[")?;
    for (name, path) in components {
        writeln!(out, "    ({name:?}, {:?}),", inspect(&fs::read(path)?)?.role.name())?;
    }
    Ok(writeln!(out, "];")?)
}

fn write_table(out: &mut String, name: &str, about: &str, files: &[(String, PathBuf)]) -> Result<(), Box<dyn Error>> {
    writeln!(out, "/// {about}")?;
    writeln!(out, "pub(crate) static {name}: &[(&str, &[u8])] = &[")?;
    for (file, path) in files {
        writeln!(out, "    ({file:?}, include_bytes!({path:?})),")?;
    }
    Ok(writeln!(out, "];")?)
}
