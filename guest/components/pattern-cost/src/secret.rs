//! Access keys by their prefixes, private keys by their header, and long random texts by their entropy.

use crate::{Stretch, stretches};

/// What follows the prefix of a well-known key.
struct Format {
    prefix: &'static str,
    /// Characters, at least.
    least: usize,
    /// Of them, without `-` or `_` in between.
    solid: usize,
    /// What distinguishes it from words with the same beginning.
    evidence: Evidence,
}

/// What distinguishes a key from other text. Most issuers make a key without a digit now and then, some never do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// Its many different characters: no placeholder (`hf_xxxx…`) has as many.
    Varied,
    /// Its many different characters, and digits in a piece that is long enough: everyday words follow this prefix too.
    Digits,
}

const fn format(prefix: &'static str, least: usize, solid: usize, evidence: Evidence) -> Format {
    Format { prefix, least, solid, evidence }
}

const FORMATS: &[Format] = &[
    format("AKIA", 16, 16, Evidence::Varied),
    format("ASIA", 16, 16, Evidence::Varied),
    format("sk-", 40, 40, Evidence::Varied),
    format("sk-", 20, 16, Evidence::Digits),
    format("sk-ant-", 40, 1, Evidence::Digits),
    format("sk-proj-", 40, 1, Evidence::Digits),
    format("sk_live_", 16, 16, Evidence::Varied),
    format("rk_live_", 16, 16, Evidence::Varied),
    format("ghp_", 30, 30, Evidence::Varied),
    format("gho_", 30, 30, Evidence::Varied),
    format("ghu_", 30, 30, Evidence::Varied),
    format("ghs_", 30, 30, Evidence::Varied),
    format("ghr_", 30, 30, Evidence::Varied),
    format("github_pat_", 22, 16, Evidence::Varied),
    format("glpat-", 20, 1, Evidence::Varied),
    // Slack's have numbers in front, and no digit in their last part now and then.
    format("xoxb-", 20, 1, Evidence::Digits),
    format("xoxp-", 20, 1, Evidence::Digits),
    format("xoxa-", 20, 1, Evidence::Digits),
    format("xoxr-", 20, 1, Evidence::Digits),
    format("xoxs-", 20, 1, Evidence::Digits),
    format("AIza", 35, 1, Evidence::Varied),
    format("hf_", 30, 30, Evidence::Varied),
    format("npm_", 30, 30, Evidence::Varied),
];

/// Different characters that a key has, at least: 16 random characters nearly always have more.
const VARIETY: usize = 6;

/// A key is recognised by its first characters; the rest is not read.
const LONGEST: usize = 200;

/// Keys with a prefix that names their issuer.
pub(crate) fn keys(chars: &[char]) -> Vec<Stretch> {
    let part = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
    let mut found: Vec<Stretch> = stretches(chars, part).into_iter().filter_map(|run| key(chars, run)).collect();
    found.extend(private_keys(chars));
    found
}

/// The first key in a run of letters, digits, `_` and `-`.
fn key(chars: &[char], (from, till): Stretch) -> Option<Stretch> {
    let run: String = chars[from..till].iter().collect();
    let mut starts = (0..run.len()).filter(|at| !inside_word(run.as_bytes(), *at));
    starts.find(|at| is_key(&run[*at..])).map(|at| (from + at, till))
}

/// A key does not begin after a digit or a letter of the same case: that is inside a word.
fn inside_word(run: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map_or(b'-', |before| run[before]);
    let same_case = before.is_ascii_uppercase() == run[at].is_ascii_uppercase();
    before.is_ascii_digit() || before.is_ascii_alphabetic() && same_case
}

fn is_key(text: &str) -> bool {
    FORMATS.iter().any(|Format { prefix, least, solid, evidence }| {
        text.strip_prefix(prefix).is_some_and(|key| {
            let key = &key[..key.len().min(LONGEST)];
            let fits = |piece: &str| piece.len() >= *solid && (*evidence == Evidence::Varied || numbered(piece));
            key.len() >= *least && varied(key) && key.split(['-', '_']).any(fits)
        })
    })
}

fn varied(key: &str) -> bool {
    let mut bytes = key.as_bytes().to_vec();
    bytes.sort_unstable();
    bytes.dedup();
    bytes.len() >= VARIETY && bytes.iter().any(u8::is_ascii_alphabetic)
}

/// Letters and digits in one, or a long number: everyday words have none, and versions are short.
fn numbered(piece: &str) -> bool {
    let digits = piece.bytes().filter(u8::is_ascii_digit).count();
    digits > 0 && digits < piece.len() || digits >= 9
}

/// The header line of a private key: what follows it is the key.
fn private_keys(chars: &[char]) -> Vec<Stretch> {
    let begin: Vec<char> = "BEGIN ".chars().collect();
    let starts = (0..chars.len()).filter(|start| chars[*start..].starts_with(&begin));
    starts.filter_map(|start| header(chars, start)).collect()
}

/// `---BEGIN`, a label that names a private key, and the dash after it.
fn header(chars: &[char], start: usize) -> Option<Stretch> {
    let dashes = chars[..start].iter().rev().skip_while(|char| **char == ' ').take_while(|char| **char == '-').count();
    let label: String = chars[start..].iter().take(60).take_while(|char| **char != '-').collect();
    let closed = chars.get(start + label.chars().count()) == Some(&'-');
    (dashes >= 2 && closed && label.contains("PRIVATE KEY")).then(|| (start, start + label.chars().count() + 1))
}

/// Long texts that look drawn at random: hexadecimal, or letters of both cases mixed with digits.
pub(crate) fn random(chars: &[char]) -> Vec<Stretch> {
    let part = |char: char| char.is_ascii_alphanumeric() || matches!(char, '+' | '/' | '=' | '_' | '-');
    let looks = |(start, end): &Stretch| {
        let text = &chars[*start..*end];
        text.len() >= 32 && (hexadecimal(text) || mixed(text))
    };
    stretches(chars, part).into_iter().filter(looks).collect()
}

fn hexadecimal(text: &[char]) -> bool {
    let digits = text.iter().filter(|char| char.is_ascii_digit()).count();
    text.iter().all(char::is_ascii_hexdigit) && digits > 0 && digits < text.len() && entropy(text) >= 3.0
}

/// Names and paths change between small, capital and digit now and then; random text does so all the time. A capital
/// at the start of a word does not count.
fn mixed(text: &[char]) -> bool {
    let kind = |char: &char| match char {
        'a'..='z' => Some(0),
        'A'..='Z' => Some(1),
        '0'..='9' => Some(2),
        _ => None,
    };
    let kinds: Vec<u8> = text.iter().filter_map(kind).collect();
    let changes = kinds.windows(2).filter(|pair| pair[0] != pair[1] && **pair != [1, 0]).count();
    (0..3).all(|kind| kinds.contains(&kind)) && changes * 10 >= kinds.len() * 3 && entropy(text) >= 4.0
}

/// Shannon's, in bits per character.
fn entropy(text: &[char]) -> f64 {
    let mut sorted = text.to_vec();
    sorted.sort_unstable();
    let share = |run: &[char]| run.len() as f64 / text.len() as f64;
    sorted.chunk_by(|a, b| a == b).map(|run| -share(run) * share(run).log2()).sum()
}
