//! Where the golden folders are, and how close numbers must be.
#![allow(dead_code, reason = "each test file uses a part of it")]

use inferenceguard_candle::CandleError;
use std::path::{Path, PathBuf};

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/golden").join(name)
}

/// What golden.json says about a folder.
pub(crate) fn about(name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(golden(name).join("golden.json")).unwrap()).unwrap()
}

/// Largest difference over largest absolute value.
pub(crate) fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().all(|v| v.is_finite()));
    let scale = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
    found.iter().zip(expected).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / scale
}

/// The field that an error names.
#[track_caller]
pub(crate) fn field(error: &CandleError) -> &str {
    match error {
        CandleError::Field { field, .. } => field,
        other => panic!("expected a wrong field, found {other}"),
    }
}

/// A copy of a golden folder that a test may damage.
pub(crate) fn copy(name: &str) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden(name)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}
