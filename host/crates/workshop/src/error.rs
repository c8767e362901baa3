//! What can go wrong when a bundle or a component is made, checked or shown.

use inferenceguard_bundle::{BundleError, SignatureError};
use inferenceguard_catalog::CatalogError;
use inferenceguard_componentize::ComponentError;
use inferenceguard_host::EngineError;
use inferenceguard_model::{TokenizerError, from_boxed, from_through};
use inferenceguard_sandbox::SandboxError;
use std::{
    io,
    num::ParseIntError,
    path::{Path, PathBuf},
};

/// A bundle or component that cannot be made, checked or shown. Each variant says what was found and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkshopError {
    /// A role that no component plays.
    #[error("{problem}")]
    Role {
        /// What was found, and which roles there are.
        problem: String,
    },
    /// The SDK is not above the current folder or the program.
    #[error("the SDK was not found; name its folder (`guest` of the project) with --sdk")]
    NoSdk,
    /// The folder for what cargo makes has no path.
    #[error("the target directory")]
    Target(#[source] io::Error),
    /// A folder without a crate.
    #[error("{}: a component's crate has one", path.display())]
    NoCrate {
        /// The manifest of the crate.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// A crate's manifest that is not TOML.
    #[error("{}: malformed", path.display())]
    CrateText {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<toml::de::Error>,
    },
    /// A crate's manifest without the name of a package.
    #[error("{}: no package name", path.display())]
    NoPackage {
        /// The manifest.
        path: PathBuf,
    },
    /// A core module that cannot be read.
    #[error("{}: cannot be read", path.display())]
    Module {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is not a component of the contract.
    #[error("{name}")]
    NotOfContract {
        /// Its file, or its name.
        name: String,
        /// What is wrong with it.
        source: Box<ComponentError>,
    },
    /// A function fails on made-up rows.
    #[error("{component}: `{function}` fails on made-up rows: {result}")]
    Fails {
        /// The component.
        component: String,
        /// The function.
        function: &'static str,
        /// The failure, in words.
        result: String,
    },
    /// A limit without a value.
    #[error("--limit {found}: expected NAME=VALUE as in `[limits]`, such as fuel=1000000000")]
    Limit {
        /// What was given.
        found: String,
    },
    /// A limit whose value is not a number.
    #[error("--limit {found}: expected NAME=VALUE as in `[limits]`, such as fuel=1000000000")]
    LimitValue {
        /// What was given.
        found: String,
        /// Why.
        source: ParseIntError,
    },
    /// Limits that a bundle cannot have.
    #[error("--limit")]
    Limits(#[source] Box<toml::de::Error>),
    /// Limits that cannot be written as a bundle does.
    #[error(transparent)]
    LimitText(#[from] toml::ser::Error),
    /// No first-party component has this name.
    #[error("{name}: no first-party component ({known})")]
    NoComponent {
        /// What was named.
        name: String,
        /// The first-party components.
        known: String,
    },
    /// A file with other content is in the way.
    #[error("{}: there is another file; name a new folder", path.display())]
    OtherFile {
        /// The file.
        path: PathBuf,
    },
    /// A new bundle's folder that holds something.
    #[error("{}: not empty; name a new folder", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// A new bundle without a name.
    #[error("give the bundle a name: --name NAME")]
    NoName,
    /// A file with another bundle is in the way.
    #[error("{}: there is another bundle; name a file with --out", path.display())]
    OtherBundle {
        /// The file.
        path: PathBuf,
    },
    /// A signature is to be checked, and nothing says by which key.
    #[error("name a key with --key FILE, or what is trusted with --trust FILE")]
    NoKey,
    /// A file of trusted keys, or a bundle's signature, does not hold.
    #[error("{}", path.display())]
    Signed {
        /// The file, or the bundle.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<SignatureError>,
    },
    /// A text that cannot be priced as the answer to a prompt.
    #[error("as an answer to the prompt {prompt:?}; --prompt names another")]
    Prompt {
        /// The prompt.
        prompt: String,
        /// Why.
        source: Box<EngineError>,
    },
    /// A component failed while it priced a text.
    #[error("{failure}")]
    NotPriced {
        /// Which, and why.
        failure: String,
    },
    /// A file or folder cannot be read or made.
    #[error("{}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A text has no tokens, or tokens have no text.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A model, bundle or component cannot be opened, a bundle does not hold, an engine cannot be built or fails, or a file
    /// cannot be written.
    #[error(transparent)]
    Catalog(Box<CatalogError>),
    /// A component cannot be made.
    #[error(transparent)]
    Component(Box<ComponentError>),
    /// A bundle cannot be signed.
    #[error(transparent)]
    Signature(Box<SignatureError>),
}

from_boxed!(
    WorkshopError:
    Catalog(CatalogError),
    Component(ComponentError),
    Signature(SignatureError)
);

from_through!(WorkshopError: CatalogError: SandboxError, EngineError, BundleError);

impl WorkshopError {
    /// For `map_err` on file operations.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// For `map_err` on what should be a component.
    pub(crate) fn of_contract(name: &str) -> impl FnOnce(ComponentError) -> Self + use<> {
        let name = name.to_owned();
        move |source| Self::NotOfContract { name, source: Box::new(source) }
    }

    /// For `map_err` on keys and signatures.
    pub(crate) fn signature(path: &Path) -> impl FnOnce(SignatureError) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Signed { path, source: Box::new(source) }
    }
}
