//! Components as bytes, built from the sources of this workspace once per process.

use inferenceguard_componentize::build_workspace_components;
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The packages in `guest/components`.
const FIRST_PARTY: [&str; 14] = [
    "args",
    "base",
    "beam-search",
    "best-of-n",
    "dynamic-abstention",
    "inference-guard",
    "keyword-cost",
    "latent-critic",
    "linear-cost",
    "pattern-cost",
    "re-control",
    "safety-budget",
    "score-cost",
    "value-filtered-decoding",
];

/// The packages in `tests/guests`: components that misbehave on purpose.
const GUESTS: [&str; 7] =
    ["liar", "mute", "rogue-cost", "rogue-critic", "rogue-policy", "rogue-steering", "rogue-tracker"];

/// The root folder of the workspace.
///
/// # Panics
/// If the sources are gone.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().expect("the workspace")
}

/// First-party components by the names of their packages. They come from the folder that `INFERENCEGUARD_COMPONENTS` names,
/// if it is set; else they are built in the target directory that the program's build script uses.
///
/// # Panics
/// If one cannot be built or read.
pub fn first_party() -> &'static BTreeMap<String, Vec<u8>> {
    static BUILT: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    BUILT.get_or_init(|| match env::var_os("INFERENCEGUARD_COMPONENTS") {
        Some(folder) => FIRST_PARTY.into_iter().map(|name| read(name, Path::new(&folder))).collect(),
        None => build(&workspace(), &FIRST_PARTY, "components", "tmp/components"),
    })
}

/// First-party components by the names of their files, such as `base.wasm`: the files of a bundle.
///
/// # Panics
/// As [`first_party`].
pub fn files() -> &'static BTreeMap<String, Vec<u8>> {
    static FILES: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    FILES.get_or_init(|| first_party().iter().map(|(name, bytes)| (format!("{name}.wasm"), bytes.clone())).collect())
}

/// Misbehaving components of `tests/guests` by the names of their packages.
///
/// # Panics
/// If one cannot be built.
pub fn guests() -> &'static BTreeMap<String, Vec<u8>> {
    static BUILT: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    BUILT.get_or_init(|| build(&workspace().join("tests/guests"), &GUESTS, "tmp/guests-target", "tmp/guests"))
}

/// Builds packages. Both folders are below the target directory of the test that runs.
fn build(sources: &Path, packages: &[&str], nested: &str, out: &str) -> BTreeMap<String, Vec<u8>> {
    let (target, out) = (target_dir().join(nested), target_dir().join(out));
    build_workspace_components(sources, packages, &target, &out).expect("components");
    packages.iter().map(|name| read(name, &out)).collect()
}

/// The executable of a test or bench is TARGET[/TRIPLE]/PROFILE/deps/NAME.
fn target_dir() -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    test.ancestors().nth(3).expect("a test in a target directory").to_owned()
}

fn read(name: &str, folder: &Path) -> (String, Vec<u8>) {
    let path = folder.join(format!("{name}.wasm"));
    (name.to_owned(), fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}
