//! Text of tokens that hold parts of characters: what is released is never taken back, and everything is priced once.

use inferenceguard_model::{SpellState, Token, Tokenizer, TokenizerError};
use inferenceguard_search::*;
use inferenceguard_testkit::{
    player::{Loop, Player},
    roles::{constraint, row_cost},
};
use proptest::prelude::*;
use std::sync::Arc;

/// What each token of [`SCRIPT`] says.
const BYTES: [&[u8]; 10] = [b"", b"A", b"\xF0", b"\x9F", b"\x98", b"\x80", b"\xE2", "\u{FFFD}".as_bytes(), b" b", b" "];

/// Says anything.
const SCRIPT: &str = "vocab: <eos>* A x1 x2 x3 x4 x5 R b ask\n after : A 1, x1 2, x2 1, x3 1, x4 1, x5 1, R 1, b 1, <eos> 0.5\n after x1 : x2 1\n after x1 x2 : x3 3, x5 1\n after x1 x2 x3 : x4 4, A 1\n score reward: A 1\n score cost: x1 0";

/// Says `A` and then one smiling face after the other, in four tokens each.
const FACES: &str = "vocab: <eos>* A x1 x2 x3 x4 x5 R b ask\n after : A 1\n after A : x1 1\n after x1 : x2 1\n after x2 : x3 1\n after x3 : x4 1\n after x4 : x1 1\n score reward: A 1\n score cost: x1 0";

struct Bytes;

impl Tokenizer for Bytes {
    fn encode(&self, text: &str) -> Result<Vec<Token>, TokenizerError> {
        let (mut rest, mut tokens) = (text.as_bytes(), Vec::new());
        while !rest.is_empty() {
            let fits = |token: &usize| !BYTES[*token].is_empty() && rest.starts_with(BYTES[*token]);
            let longest = (0..BYTES.len()).filter(fits).max_by_key(|token| BYTES[*token].len());
            let token = longest.ok_or_else(|| TokenizerError::Refused(format!("{rest:?} is not in the vocabulary")))?;
            rest = &rest[BYTES[token].len()..];
            tokens.push(token as Token);
        }
        Ok(tokens)
    }

    fn spell(&self, _: &mut SpellState, token: Token, bytes: &mut Vec<u8>) -> Result<(), TokenizerError> {
        bytes.extend_from_slice(BYTES.get(token as usize).copied().unwrap_or_default());
        Ok(())
    }

    fn fingerprint(&self) -> String {
        "bytes".to_owned()
    }
}

/// As Llama's tokenizers: a text has no space at its beginning, and is encoded with one.
struct Spaced;

impl Tokenizer for Spaced {
    fn encode(&self, text: &str) -> Result<Vec<Token>, TokenizerError> {
        Bytes.encode(&format!(" {text}"))
    }

    fn spell(&self, state: &mut SpellState, token: Token, bytes: &mut Vec<u8>) -> Result<(), TokenizerError> {
        let from = bytes.len();
        Bytes.spell(state, token, bytes)?;
        if *state != self.continued() && bytes.get(from) == Some(&b' ') {
            bytes.remove(from);
        }
        *state = self.continued();
        Ok(())
    }

    fn continued(&self) -> SpellState {
        SpellState(1)
    }

    fn encode_continued(&self, text: &str) -> Result<Vec<Token>, TokenizerError> {
        Bytes.encode(text)
    }

    fn fingerprint(&self) -> String {
        "spaced".to_owned()
    }
}

/// Two control tokens: the first spells `AA`, the second nothing. No text is encoded to either.
struct Control;

impl Control {
    const LOUD: Token = 7;
    const SILENT: Token = 6;
}

impl Tokenizer for Control {
    fn encode(&self, text: &str) -> Result<Vec<Token>, TokenizerError> {
        Bytes.encode(text)
    }

    fn spell(&self, state: &mut SpellState, token: Token, bytes: &mut Vec<u8>) -> Result<(), TokenizerError> {
        match token {
            Self::LOUD => bytes.extend_from_slice(b"AA"),
            Self::SILENT => {}
            other => Bytes.spell(state, other, bytes)?,
        }
        Ok(())
    }

    fn is_control(&self, token: Token) -> bool {
        [Self::LOUD, Self::SILENT].contains(&token)
    }

    fn fingerprint(&self) -> String {
        "control".to_owned()
    }
}

/// One for each character of each token.
fn characters(row: &BatchRow) -> Vec<f64> {
    assert_eq!(row.text_ends.last().copied().unwrap_or(0), row.text.chars().count() as u32);
    let before = [0].into_iter().chain(row.text_ends.iter().copied());
    row.text_ends.iter().zip(before).map(|(end, before)| f64::from(end - before)).collect()
}

fn player(script: &str, max_tokens: u32, chunk: u32, release: Release) -> Player {
    let mut player = Player::new(script, 1000.0, max_tokens, Loop::new(2, 1, chunk, 0));
    player.tokenizer = Some(Arc::new(Bytes));
    player.costs.insert("characters".into(), row_cost(Needs { text: true, ..Needs::default() }, characters));
    player.config.constraints.push(constraint("characters", "characters", 1000.0));
    player.config.release = release;
    player
}

/// What the tokens say, without the beginning of a character at the end.
fn spelled(tokens: &[Token]) -> String {
    let bytes: Vec<u8> = tokens.iter().flat_map(|token| BYTES[*token as usize]).copied().collect();
    let begun = |tail: &[u8]| {
        std::str::from_utf8(tail).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    let cut = (1..4.min(bytes.len() + 1)).find(|cut| begun(&bytes[bytes.len() - cut..]));
    String::from_utf8_lossy(&bytes[..bytes.len() - cut.unwrap_or(0)]).into_owned()
}

/// Plays; checks that text is only ever appended, and that each character of the answer was charged once.
fn checked(mut player: Player) -> Outcome {
    let (out, _, released) = player.play_watched();
    for pair in released.windows(2) {
        assert!(pair[1].starts_with(&pair[0]), "{:?} after {:?}", pair[1], pair[0]);
    }
    assert_eq!(Some(&out.text), released.last());
    let cost = out.constraints.iter().find(|one| one.name == "characters").expect("it is reported").cost;
    if out.finish != Finish::Stop {
        assert_eq!(out.text, spelled(&out.tokens), "{out:?}");
        assert!((cost - out.text.chars().count() as f64).abs() < 1e-9, "{cost} for {:?}", out.text);
    }
    out
}

const RELEASES: [Release; 3] = [Release::AtEnd, Release::Agreement, Release::Commit(1)];

#[test]
fn what_was_streamed_is_the_answer_wherever_it_is_cut() {
    for most in 1..14 {
        for (chunk, release) in (1..7).flat_map(|chunk| RELEASES.map(|release| (chunk, release))) {
            let out = checked(player(FACES, most, chunk, release));
            assert_eq!(out.text, format!("A{}", "😀".repeat((most as usize - 1) / 4)), "{most} {chunk} {release:?}");
        }
    }
}

#[test]
fn a_replacement_character_that_was_generated_is_kept() {
    let script = FACES.replace("after A : x1 1", "after A : R 1\n after R : <eos> 1");
    for release in RELEASES {
        assert_eq!(checked(player(&script, 8, 2, release)).text, "A\u{FFFD}");
    }
}

#[test]
fn what_cannot_become_a_character_is_replaced_once() {
    let script = FACES.replace("after x3 : x4 1", "after x3 : b 1\n after b : x5 1\n after x5 : <eos> 1");
    for release in RELEASES {
        assert_eq!(checked(player(&script, 12, 1, release)).text, "A\u{FFFD} b", "{release:?}");
    }
}

#[test]
fn an_answer_goes_out_while_it_grows_whether_it_begins_with_a_space_or_not() {
    for (first, text) in [("A", "A bA b"), ("b", "bA b")] {
        let script = format!(
            "vocab: <eos>* A x1 x2 x3 x4 x5 R b ask\n after : {first} 1\n after A : b 1\n after b : A 1\n score reward: A 1\n score cost: x1 0"
        );
        let mut player = player(&script, if first == "A" { 4 } else { 3 }, 1, Release::Agreement);
        player.tokenizer = Some(Arc::new(Spaced));
        let (out, _, released) = player.play_watched();
        assert_eq!((out.text.as_str(), out.status), (text, Status::WithinBudget));
        assert!(released.iter().any(|part| !part.is_empty() && part.len() < text.len()), "{first}: {released:?}");
        // Two candidates a token, and the answer once more in one piece: there is no other spelling.
        assert_eq!(out.usage.priced_beams, 2 * out.tokens.len() as u64 + 1, "{out:?}");
    }
}

#[test]
fn what_follows_a_control_token_goes_out_unless_the_token_says_nothing() {
    for (control, text, early) in [("R", "AA bA b", "AA bA"), ("x5", " bA b", "")] {
        let script = format!(
            "vocab: <eos>* A x1 x2 x3 x4 x5 R b ask\n after : {control} 1\n after {control} : b 1\n after A : b 1\n after b : A 1\n score reward: A 1\n score cost: x1 0"
        );
        let mut player = player(&script, 4, 1, Release::Agreement);
        player.tokenizer = Some(Arc::new(Control));
        let (out, _, released) = player.play_watched();
        assert_eq!((out.text.as_str(), out.status), (text, Status::WithinBudget));
        let before = released.iter().rfind(|part| part.len() < text.len()).expect("it was not whole at first");
        assert_eq!(before, early, "{control}: {released:?}");
    }
}

#[test]
fn stop_texts_are_found_across_tokens_and_nothing_of_them_goes_out() {
    for (stop, text) in [("😀", "A"), ("😀😀", "A"), ("A😀", ""), ("😀A", "A😀😀"), ("\u{FFFD}", "A😀😀")]
    {
        for (chunk, release) in (1..6).flat_map(|chunk| RELEASES.map(|release| (chunk, release))) {
            let mut player = player(FACES, 9, chunk, release);
            player.config.stop = vec!["never".to_owned(), stop.to_owned()];
            assert_eq!(checked(player).text, text, "{stop} {chunk} {release:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_generated_text_only_grows(seed in any::<u64>(), most in 1u32..20, chunk in 1u32..6, release in prop::sample::select(RELEASES.to_vec()), stop in prop::sample::select(vec!["", " b", "😀", "\u{FFFD}A"])) {
        let mut player = player(SCRIPT, most, chunk, release);
        player.config.seed = seed;
        player.config.stop = Some(stop.to_owned()).filter(|stop| !stop.is_empty()).into_iter().collect();
        let out = checked(player);
        prop_assert!(stop.is_empty() || !out.text.contains(stop), "{out:?}");
    }
}
