//! Tests that span crates, and the code of the README and of the guide to embedding as doc tests.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../host/EMBEDDING.md")]
struct Embedding;
