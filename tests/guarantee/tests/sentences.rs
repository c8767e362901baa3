//! Every promise in `host/GUARANTEE.md` names the tests that fail when it is violated, and those tests exist.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page() -> String {
    fs::read_to_string(root().join("host/GUARANTEE.md")).expect("the page of the guarantee")
}

/// One space between words, so that line ends do not count.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The part of the page below this heading.
fn section(page: &str, heading: &str) -> String {
    let from = page.find(&format!("## {heading}\n")).unwrap_or_else(|| panic!("a section `{heading}`"));
    let rest = &page[from + 3..];
    rest[..rest.find("\n## ").unwrap_or(rest.len())].to_owned()
}

/// Rows of the table: a sentence and its tests.
fn rows(page: &str) -> Vec<(String, Vec<String>)> {
    let table = section(page, "Sentence by sentence");
    let row = |line: &str| {
        let (sentence, tests) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
        let tests = tests.split(", ").map(|name| name.trim_matches('`').to_owned()).collect();
        Some((sentence.to_owned(), tests))
    };
    table.lines().skip_while(|line| !line.starts_with("|---")).skip(1).filter_map(row).collect()
}

/// The sentences of a paragraph, without the heading in bold that it may begin with.
fn sentences(paragraph: &str) -> Vec<String> {
    let text = plain(paragraph);
    let text = text.split_once(".** ").filter(|_| text.starts_with("**")).map_or(text.as_str(), |(_, rest)| rest);
    let mut out = vec![String::new()];
    for word in text.split(' ') {
        let last = out.last_mut().expect("one sentence");
        *last = if last.is_empty() { word.to_owned() } else { format!("{last} {word}") };
        if word.ends_with('.') || word.ends_with(".)") || word.ends_with(".**") {
            out.push(String::new());
        }
    }
    out.retain(|sentence| !sentence.is_empty());
    out
}

/// Names of tests in our sources, and whether each is run.
fn tests(folder: &Path, found: &mut BTreeMap<String, bool>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if entry.is_dir() && name != "target" {
            tests(&entry, found);
        } else if name.ends_with(".rs") {
            read_tests(&fs::read_to_string(&entry).expect("a source"), found);
        }
    }
}

fn read_tests(source: &str, found: &mut BTreeMap<String, bool>) {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| **line == "#[test]") {
        let after = &lines[at + 1..];
        let named = after.iter().find_map(|line| line.strip_prefix("fn ")).and_then(|rest| rest.split('(').next());
        let ignored = after.iter().take_while(|line| !line.starts_with("fn ")).any(|line| line.contains("ignore"));
        let Some(name) = named else { panic!("`{line}` without a function") };
        found.insert(name.to_owned(), !ignored);
    }
}

#[test]
fn every_promise_names_tests_that_exist_and_are_run() {
    let mut known = BTreeMap::new();
    for folder in ["tests", "host", "guest"] {
        tests(&root().join(folder), &mut known);
    }
    assert!(known.len() > 500, "only {} tests were found", known.len());
    let rows = rows(&page());
    assert!(rows.len() > 15, "only {} sentences", rows.len());
    for (sentence, tests) in rows {
        assert!(!tests.is_empty(), "`{sentence}` names no test");
        for test in tests {
            assert_eq!(known.get(&test), Some(&true), "`{sentence}` names `{test}`, which is no test that is run");
        }
    }
}

#[test]
fn the_table_quotes_the_page_word_for_word() {
    let page = page();
    let table = section(&page, "Sentence by sentence");
    let rest = plain(&page.replace(&table, ""));
    for (sentence, _) in rows(&page) {
        assert!(rest.contains(&sentence), "the page does not say `{sentence}` outside of the table");
    }
}

/// Sentences that no test can break, each with the reason.
const EXEMPT: [(&str, &str); 17] = [
    ("(Paper, section 3.)", "a source"),
    ("J_n is the expected cost with the penalty n.", "a definition"),
    ("\"The configured cost model\" is the loaded cost model.", "a definition"),
    ("Pricing the same ids again gives the same costs,", "an assumption about back ends"),
    ("These are allowances, not bounds", "says what is not claimed"),
    ("A charge per chunk depends on where chunks end,", "says why the next sentence is needed"),
    ("A client that feeds the text back", "says what is not claimed"),
    ("ε outweighs the rounding of sums", "an assumption about costs"),
    ("Templates themselves are trusted,", "an assumption about templates"),
    ("**Finitely many tokens and steps**", "an assumption of the proofs"),
    ("**Latents** (the paper's third theorem):", "a theorem that nothing here rests on"),
    ("Nothing here checks that,", "says what is not checked"),
    ("Only about numbers of the given cost model.", "says what is not claimed"),
    ("Harm that it does not see costs nothing;", "says what is not claimed"),
    ("How well it tells the two apart must be measured,", "says what is not claimed"),
    ("Search over samples finds a safe answer, not the best one,", "says what is not claimed"),
    ("It is learned, and ranks only.", "says what a critic is; the next sentence is the promise"),
];

/// Paragraphs of the page whose sentences need tests: statements, assumptions, and what is not claimed.
fn promised(page: &str) -> Vec<String> {
    let proved = section(page, "What is proved");
    let statements = proved.split("\n\n").filter(|text| (1..=4).any(|n| text.starts_with(&format!("**{n}. "))));
    let mut all: Vec<String> = statements.flat_map(sentences).collect();
    for heading in ["Under which assumptions", "Not claimed"] {
        all.extend(section(page, heading).split("\n- ").skip(1).flat_map(sentences));
    }
    all
}

#[test]
fn no_promise_about_the_program_is_left_out() {
    let page = page();
    let listed: Vec<String> = rows(&page).into_iter().map(|(sentence, _)| sentence).collect();
    let promised = promised(&page);
    assert!(promised.len() > 60, "{promised:?}");
    for sentence in &promised {
        let exempt = EXEMPT.iter().any(|(begins, _)| sentence.starts_with(begins));
        assert!(
            listed.contains(sentence) != exempt,
            "`{sentence}` needs one row under \"Sentence by sentence\", or a reason"
        );
    }
    for (begins, reason) in EXEMPT {
        assert!(
            promised.iter().any(|sentence| sentence.starts_with(begins)),
            "{reason}: the page does not say `{begins}`"
        );
    }
    let bold = page.split("In one sentence: **").nth(1).and_then(|text| text.split("**").next()).map(plain);
    assert!(listed.contains(&bold.expect("one sentence")), "the one sentence has no row");
}
