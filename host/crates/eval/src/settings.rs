//! The settings of a run: everything that decides the answers. A run can be continued only with the same settings.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Everything that decides the answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The version of the program.
    pub version: String,
    /// A named set of settings, such as `paper-alpaca`.
    pub recipe: Option<String>,
    /// The prompts.
    pub dataset: DatasetId,
    /// The seeds; each prompt is answered once for each.
    pub seeds: Vec<u64>,
    /// The models.
    pub models: Vec<ModelId>,
    /// The methods with their settings.
    pub rows: Vec<Row>,
    /// The parts of the bundle that hold for all rows: constraints, discount, fallback, lengths.
    pub guard: BTreeMap<String, Value>,
    /// The judge, if there is one.
    pub judge: Option<String>,
    /// Where it runs, and in which number format.
    pub device: String,
}

/// Which prompts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetId {
    /// Its name.
    pub name: String,
    /// The digest of the prompts in use.
    pub digest: String,
    /// How many prompts.
    pub prompts: usize,
}

/// Which model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// Its name in this evaluation.
    pub name: String,
    /// The digest of its weights and settings.
    pub fingerprint: String,
    /// The digests of its score models, by name.
    pub scores: BTreeMap<String, String>,
    /// Its prompt template.
    #[serde(default)]
    pub template: String,
    /// The prompt templates of its score models, by name.
    #[serde(default)]
    pub templates: BTreeMap<String, String>,
    /// The digests of the bundles that guard it, by row.
    pub bundles: BTreeMap<String, String>,
}

/// A line of the table: a method with its settings.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Row {
    /// Unique in this evaluation.
    pub label: String,
    /// The method.
    pub method: String,
    /// Candidates per chunk (best-of-n: answers), if the method has such a number.
    pub n: Option<u32>,
    /// The weight of a unit of cost against a unit of reward, if the method has one.
    pub lambda: Option<f64>,
    /// The budget of the first constraint.
    pub budget: f64,
    /// The settings of its policy, defaults included.
    pub settings: BTreeMap<String, Value>,
}

/// A row that was asked for and cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The model.
    pub model: String,
    /// Its label.
    pub row: String,
    /// Why.
    pub why: String,
}

/// The program and command of the answers. They may differ when a run continues.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// The commits of the program that answered, oldest first; `unknown` for a build without a commit.
    pub commits: Vec<String>,
    /// The command line, to run it again.
    pub command: String,
    /// Rows that cannot be run.
    #[serde(default)]
    pub skipped: Vec<Skipped>,
}

impl Settings {
    /// The first setting in which two runs differ: its path, and both values as JSON.
    pub(crate) fn difference(&self, other: &Self) -> Result<Option<(String, String, String)>, serde_json::Error> {
        Ok(difference("", &serde_json::to_value(self)?, &serde_json::to_value(other)?))
    }
}

fn difference(path: &str, a: &Value, b: &Value) -> Option<(String, String, String)> {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (a, b) {
        (Value::Object(x), Value::Object(y)) if x.keys().eq(y.keys()) => {
            x.iter().zip(y.values()).find_map(|((key, a), b)| difference(&below(key), a, b))
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() && x.iter().all(Value::is_object) => {
            x.iter().zip(y).enumerate().find_map(|(at, (a, b))| difference(&below(&at.to_string()), a, b))
        }
        _ => (a != b).then(|| (path.to_owned(), short(a), short(b))),
    }
}

/// A value on one line, cut if it is long; a list of rows is shown by their labels.
fn short(value: &Value) -> String {
    const MOST: usize = 120;
    let label = |item: &Value| item.get("label").or(item.get("name")).and_then(Value::as_str).map(str::to_owned);
    let labels = value.as_array().and_then(|items| items.iter().map(label).collect::<Option<Vec<_>>>());
    let text = labels.filter(|labels| !labels.is_empty()).map_or_else(|| value.to_string(), |labels| labels.join(", "));
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_named_by_its_path() {
        let a = json!({"seeds": [0, 1], "rows": [{"label": "a", "n": 4}], "judge": null});
        let changed = |from: &str, to: &str| {
            let b: Value = serde_json::from_str(&a.to_string().replace(from, to)).unwrap();
            difference("", &a, &b)
        };
        assert_eq!(changed("x", "x"), None);
        assert_eq!(changed("\"n\":4", "\"n\":8"), Some(("rows.0.n".into(), "4".into(), "8".into())));
        assert_eq!(changed("[0,1]", "[0,2]"), Some(("seeds".into(), "[0,1]".into(), "[0,2]".into())));
        let longer = json!({"seeds": [0, 1], "rows": [{"label": "a", "n": 4}, {"label": "b"}], "judge": null});
        assert_eq!(difference("", &a, &longer), Some(("rows".into(), "a".into(), "a, b".into())));
    }
}
