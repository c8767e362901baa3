//! Lists of words in files of bundles: refused with the line, or every text is kept with its weight.

use inferenceguard_bundle::{Bundle, BundleError, SettingValue};
use std::collections::BTreeMap;

/// A bundle whose cost has its words in a file.
const MANIFEST: &str = r#"
name = "words"
version = "0.1.0"
policy = { component = "policy.wasm" }
tracker = { component = "tracker.wasm" }
costs.words = { component = "cost.wasm", lists = { words = "words.txt" } }
constraints = [{ name = "words", cost = "words", budget = 1.0 }]
"#;
const COMPONENTS: [&str; 3] = ["policy.wasm", "tracker.wasm", "cost.wasm"];
const FILE: &str = "words.txt";

/// The bytes are the file.
pub fn run(bytes: &[u8]) {
    match read(bytes) {
        Ok(words) => kept(&words),
        Err(BundleError::Manifest { file, line, problem, .. }) => {
            let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
            assert!(file == FILE && line <= lines && !problem.is_empty(), "{file}, line {line} of {lines}: {problem}");
        }
        Err(error) => assert!(matches!(error, BundleError::TooLarge { .. }), "{error}"),
    }
}

/// What the cost gets.
fn read(bytes: &[u8]) -> Result<SettingValue, BundleError> {
    let components = COMPONENTS.map(|file| (file.to_owned(), b"wasm".to_vec()));
    let files = components.into_iter().chain([(FILE.to_owned(), bytes.to_vec())]).collect::<BTreeMap<_, _>>();
    let bundle = Bundle::from_parts(MANIFEST, &files)?;
    Ok(bundle.settings(&bundle.manifest().costs["words"]).remove("words").expect("the list is a setting"))
}

/// No text is empty, weights are numbers, and the list is read again as it was written.
fn kept(words: &SettingValue) {
    let lines: Vec<String> = match words {
        SettingValue::Texts(texts) => texts.iter().map(|text| line(text, None)).collect(),
        SettingValue::Weighted(texts) => texts.iter().map(|(text, weight)| line(text, Some(*weight))).collect(),
        other => panic!("a list is {other:?}"),
    };
    let again = read(lines.concat().as_bytes()).expect("a list that was written");
    assert_eq!(again, *words);
}

/// A line; the space before the text keeps a text with `#` from being a remark.
fn line(text: &str, weight: Option<f64>) -> String {
    assert!(!text.is_empty() && text.trim() == text, "{text:?}");
    assert!(weight.is_none_or(f64::is_finite), "{weight:?}");
    weight.map_or_else(|| format!(" {text}\n"), |weight| format!(" {text}\t{weight}\n"))
}

/// Plain and weighted lists, with remarks, ends of lines of other systems, other alphabets, and marks that words may have.
pub fn seeds() -> Vec<Vec<u8>> {
    [
        "\u{feff}# a remark\r\n#\r\nknife\r\n\r\n  step*\r\n#tag\r\n",
        "knife\t2.5\nstep\n never \t -0.25\n/a.b/\t1e3\n",
        "\u{43d}\u{43e}\u{436}\nно\u{301}ж\t2\n\u{3bc}\u{3b1}\u{3c7}\u{3b1}\n\u{5d0}\u{5d1}\n\u{5203}\u{7269}\n",
        "bl\u{200b}ade\n\u{202e}edalb\u{202c}\n\u{ff4b}\u{ff4e}\u{ff49}\u{ff46}\u{ff45}\nb l a d e\nBLADE\n\"blade\"\n",
        "step\tmuch\n",
        "\t1\n",
        "a\tNaN\n",
        "",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
