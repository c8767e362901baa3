//! GGUF models in several files: `NAME-00001-of-00003.gguf` and so on, the metadata in the first.

use super::{Gguf, Value};
use crate::{CandleError, ModelFiles, split_names::all};

/// The names of all files of the model that `name` is a file of, if they are all there.
///
/// # Errors
/// [`CandleError::SplitGguf`] naming those that are not there.
pub(super) fn names(files: &ModelFiles, name: &str) -> Result<Vec<String>, CandleError> {
    let names = all(name);
    let missing: Vec<&str> = names.iter().filter(|name| !files.has(name)).map(String::as_str).collect();
    if missing.is_empty() || names.len() == 1 {
        return Ok(names);
    }
    let message = format!("{} of its {} files are missing: {}", missing.len(), names.len(), list(&missing));
    Err(CandleError::SplitGguf { path: files.path().join(name), message })
}

/// The first few names, and how many more there are.
fn list(names: &[&str]) -> String {
    const FEW: usize = 5;
    let shown = names[..names.len().min(FEW)].join(", ");
    if names.len() > FEW { format!("{shown} and {} more", names.len() - FEW) } else { shown }
}

/// Whether the files are what their metadata say: as many, in this order, with as many tensors, each once.
pub(super) fn check(gguf: &Gguf) -> Result<(), CandleError> {
    let count = gguf.parts().count();
    let mut tensors = 0;
    for (place, part) in gguf.parts().enumerate() {
        let number = |key: &str, alone: i128| match part.header.metadata.get(key) {
            None => Ok(alone),
            Some(Value::Whole(n)) => Ok(*n),
            Some(other) => Err(other.shown()),
        };
        let expected = [("split.count", count, count), ("split.no", place, place)];
        for (key, expected, alone) in expected {
            let found = number(key, if count == 1 { alone as i128 } else { -1 });
            if found != Ok(expected as i128) {
                let found = found.map_or_else(|shown| shown, |n| n.to_string());
                return Err(wrong(part, key, &found, expected));
            }
        }
        tensors += part.header.tensors.len();
    }
    match gguf.value("split.tensors.count") {
        Some(Value::Whole(n)) if *n != tensors as i128 => {
            Err(wrong(&gguf.first, "split.tensors.count", &n.to_string(), tensors))
        }
        _ => once(gguf),
    }
}

/// A tensor that two files hold is ambiguous.
fn once(gguf: &Gguf) -> Result<(), CandleError> {
    let mut seen = std::collections::BTreeSet::new();
    for part in gguf.parts() {
        if let Some(tensor) = part.header.tensors.keys().find(|name| !seen.insert(name.as_str())) {
            let message = format!("tensor {tensor} is in another of its files, too");
            return Err(CandleError::SplitGguf { path: part.path.clone(), message });
        }
    }
    Ok(())
}

fn wrong(part: &super::Part, key: &str, found: &str, expected: usize) -> CandleError {
    let found = if found == "-1" { "missing" } else { found };
    let advice = "the files of a split model are called NAME-00001-of-00003.gguf and so on, and lie in one folder";
    let message = format!("`{key}` is {found}, but by names and files it is {expected}; {advice}");
    CandleError::SplitGguf { path: part.path.clone(), message }
}
