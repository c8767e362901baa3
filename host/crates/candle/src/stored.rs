//! Files and tensors as they are stored: their bytes and digests.

use memmap2::Mmap;
use sha2::{Digest, Sha256};
use std::{borrow::Cow, ops::Deref};

/// The bytes of a weights file.
pub(crate) enum Content {
    Mapped(Mmap),
    Memory(Cow<'static, [u8]>),
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Memory(bytes) => bytes,
        }
    }
}

/// One tensor as it lies in a file.
pub(crate) struct StoredTensor<'a> {
    pub(crate) name: &'a str,
    /// Its number format, as its file calls it.
    pub(crate) format: String,
    pub(crate) shape: &'a [usize],
    pub(crate) bytes: &'a [u8],
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
