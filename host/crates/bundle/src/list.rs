//! Settings in files of their own: long lists of texts, one on each line.

use crate::{BundleError, Manifest, SettingValue, folder::Limit, folder::not_text};
use std::collections::BTreeMap;

/// How large such a file may be.
pub(crate) const LIMIT: Limit = Limit { bytes: 16 << 20, remedy: "divide the list between several costs" };

/// Reads every list that a manifest names, by path.
pub(crate) fn read(
    manifest: &Manifest,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<BTreeMap<String, SettingValue>, BundleError> {
    let roles = manifest.roles();
    let paths = roles.iter().flat_map(|(_, entry)| entry.lists.values());
    // Every file that the manifest names is there.
    let one = |path: &String| Ok((path.clone(), parse(path, files.get(path).map_or(&[][..], Vec::as_slice))?));
    paths.map(one).collect()
}

/// Texts, or texts with weights if one of them has a weight.
fn parse(file: &str, bytes: &[u8]) -> Result<SettingValue, BundleError> {
    let text = std::str::from_utf8(bytes).map_err(|_| not_text(file))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty() && !is_remark(line));
    let entries = lines.map(|(line, number)| entry(file, line, number)).collect::<Result<Vec<_>, _>>()?;
    Ok(match entries.iter().any(|(_, weight)| weight.is_some()) {
        true => {
            SettingValue::Weighted(entries.into_iter().map(|(text, weight)| (text, weight.unwrap_or(1.0))).collect())
        }
        false => SettingValue::Texts(entries.into_iter().map(|(text, _)| text).collect()),
    })
}

/// A `#` alone or before white space begins a remark. `#tag` is a text.
fn is_remark(line: &str) -> bool {
    line.strip_prefix('#').is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

fn entry(file: &str, line: &str, number: usize) -> Result<(String, Option<f64>), BundleError> {
    let Some((text, weight)) = line.split_once('\t') else { return Ok((line.trim().to_owned(), None)) };
    let (text, weight) = (text.trim(), weight.trim());
    let wrong =
        |problem: String| BundleError::Manifest { file: file.to_owned(), line: number, key: text.to_owned(), problem };
    if text.is_empty() {
        return Err(wrong(format!("found no text before the tab and {weight:?}; expected one")));
    }
    match weight.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((text.to_owned(), Some(number))),
        _ => Err(wrong(format!("found the weight {weight:?}; expected a finite number behind the tab"))),
    }
}
