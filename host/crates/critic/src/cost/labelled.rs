//! Labelled answers: lines of JSON in the formats that data sets have.
//!
//! | keys | what it is |
//! |---|---|
//! | `prompt`, `response`, and `harmful` (true or false) or `harm` (0 to 1); `category` if known | one answer |
//! | `prompt`, `response_0`, `response_1`, `is_response_0_safe`, `is_response_1_safe` | PKU-SafeRLHF: two answers, a pair if one is safe |
//! | `chosen`, `rejected` (with `\n\nHuman:` and `\n\nAssistant:`, or beside a `prompt`) | a pair, without labels |
//! | `text`, `harmful` or `harm` | a text without a prompt |
//!
//! For a reward `grade` (0 to 1, higher is better) is a label too, an answer without it has the grade 1 − harm, and
//! `better_response_id` makes a pair of a PKU-SafeRLHF record. Other keys are ignored.

use super::unit::{Labelled, Unit};
use inferenceguard_model::Message;
use serde::Deserialize;

/// What labels say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Labels {
    /// How harmful an answer is.
    Harm,
    /// How good it is.
    Grade,
}

/// A line as JSON.
#[derive(Debug, Default, Deserialize)]
struct Line {
    prompt: Option<String>,
    response: Option<String>,
    harmful: Option<bool>,
    harm: Option<f64>,
    grade: Option<f64>,
    category: Option<String>,
    response_0: Option<String>,
    response_1: Option<String>,
    is_response_0_safe: Option<bool>,
    is_response_1_safe: Option<bool>,
    better_response_id: Option<u64>,
    chosen: Option<String>,
    rejected: Option<String>,
    text: Option<String>,
}

const LABEL: &str = "`harmful` (true or false) or `harm` (0 to 1)";
const GRADE: &str = "`grade` (0 to 1, higher is better), ";
const FORMATS: &str = "`prompt` and `response`, `response_0` and `response_1`, `chosen` and `rejected`, or `text`";
const HUMAN: &str = "\n\nHuman:";
const ASSISTANT: &str = "\n\nAssistant:";

/// The units of a line: what was found and what is expected, if it cannot be read. `asked` is the prompt of texts without one.
pub(super) fn parse(line: &str, weight: f64, asked: &str, labels: Labels) -> Result<Vec<Unit>, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| format!("{error}; expected one JSON object"))?;
    let units = match line {
        Line { chosen: Some(chosen), rejected: Some(rejected), prompt, .. } => {
            vec![pair(prompt, [chosen, rejected])?]
        }
        Line { response_0: Some(ref first), response_1: Some(ref second), .. } => {
            record(&line, [first, second], labels)?
        }
        Line { response: Some(ref response), .. } => {
            vec![single(&line, line.prompt.as_deref(), response, labels)?]
        }
        Line { text: Some(ref text), .. } => vec![single(&line, Some(asked), text, labels)?],
        _ => return Err(format!("an object without an answer; expected {FORMATS}")),
    };
    Ok(units.into_iter().map(|unit| unit.weighing(weight)).collect())
}

fn single(line: &Line, prompt: Option<&str>, answer: &str, labels: Labels) -> Result<Unit, String> {
    let (harm, grade) = label(line, labels)?;
    for (name, found) in [("harm", harm), ("grade", grade)] {
        if let Some(found) = found.filter(|found| !(0.0..=1.0).contains(found)) {
            return Err(format!("`{name}` {found}; expected a number from 0 to 1"));
        }
    }
    let turns = vec![Message::user(required_prompt(prompt)?)];
    let category = line.category.clone();
    Ok(Unit::Single(Labelled { harm, grade, category, ..Labelled::plain(turns, answer) }))
}

/// Harm and grade of an answer.
fn label(line: &Line, labels: Labels) -> Result<(Option<f64>, Option<f64>), String> {
    let harm = match (line.harmful, line.harm) {
        (None, None) => None,
        (Some(_), Some(_)) => return Err(format!("two labels; expected {LABEL}")),
        (Some(harmful), None) => Some(f64::from(u8::from(harmful))),
        (None, Some(harm)) => Some(harm),
    };
    match (labels, harm, line.grade) {
        (Labels::Harm, Some(harm), _) => Ok((Some(harm), None)),
        (Labels::Harm, None, _) => Err(format!("an answer without a label; expected {LABEL}")),
        (Labels::Grade, harm, Some(grade)) => Ok((harm, Some(grade))),
        (Labels::Grade, Some(harm), None) => Ok((Some(harm), Some(1.0 - harm))),
        (Labels::Grade, None, None) => Err(format!("an answer without a label; expected {GRADE}{LABEL}")),
    }
}

fn required_prompt(prompt: Option<&str>) -> Result<&str, String> {
    let prompt = prompt.filter(|prompt| !prompt.trim().is_empty());
    prompt.ok_or_else(|| "an answer without a `prompt`; expected a text".to_owned())
}

fn record(line: &Line, [a, b]: [&String; 2], labels: Labels) -> Result<Vec<Unit>, String> {
    let turns = vec![Message::user(required_prompt(line.prompt.as_deref())?)];
    let plain = |answer: &str| Labelled { category: line.category.clone(), ..Labelled::plain(turns.clone(), answer) };
    match (labels, line.better_response_id) {
        (Labels::Grade, Some(0)) => return Ok(vec![Unit::Pair(Box::new([plain(a), plain(b)]))]),
        (Labels::Grade, Some(1)) => return Ok(vec![Unit::Pair(Box::new([plain(b), plain(a)]))]),
        (Labels::Grade, Some(found)) => return Err(format!("`better_response_id` {found}; expected 0 or 1")),
        _ => {}
    }
    let (Some(first), Some(second)) = (line.is_response_0_safe, line.is_response_1_safe) else {
        return Err("a record without labels; expected `is_response_0_safe` and `is_response_1_safe`".to_owned());
    };
    let answer = |answer: &str, safe: bool| {
        let harm = f64::from(u8::from(!safe));
        let grade = (labels == Labels::Grade).then_some(1.0 - harm);
        Labelled { harm: Some(harm), grade, ..plain(answer) }
    };
    let (a, b) = (answer(a, first), answer(b, second));
    Ok(match (first, second) {
        (true, false) => vec![Unit::Pair(Box::new([a, b]))],
        (false, true) => vec![Unit::Pair(Box::new([b, a]))],
        _ => vec![Unit::Single(a), Unit::Single(b)],
    })
}

fn pair(prompt: Option<String>, texts: [String; 2]) -> Result<Unit, String> {
    let answer = |(turns, answer): (Vec<Message>, String)| Labelled::plain(turns, &answer);
    let read = |text: &String| match &prompt {
        Some(prompt) => Ok((vec![Message::user(required_prompt(Some(prompt))?)], text.clone())),
        None => dialogue(text),
    };
    let [chosen, rejected] = texts;
    Ok(Unit::Pair(Box::new([answer(read(&chosen)?), answer(read(&rejected)?)])))
}

/// The turns of a dialogue before its last answer, and that answer.
fn dialogue(text: &str) -> Result<(Vec<Message>, String), String> {
    let expected = "expected turns that begin with `\\n\\nHuman:` and `\\n\\nAssistant:`, the last one the assistant's";
    let (before, answer) = text.rsplit_once(ASSISTANT).ok_or_else(|| format!("a text without turns; {expected}"))?;
    let mut turns = Vec::new();
    for part in before.split(HUMAN).skip(1) {
        let mut spoken = part.split(ASSISTANT);
        turns.push(Message::user(spoken.next().unwrap_or_default().trim()));
        turns.extend(spoken.map(|text| Message { role: "assistant".into(), content: text.trim().into() }));
    }
    let asks = turns.last().is_some_and(|turn| turn.role == "user" && !turn.content.is_empty());
    if asks { Ok((turns, answer.trim().to_owned())) } else { Err(format!("a dialogue without a question; {expected}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Vec<Unit> {
        parse(line, 2.0, "Write.", Labels::Harm).unwrap()
    }

    #[test]
    fn every_format_gives_its_answers() {
        let flat = |line: &str| {
            let units = read(line);
            let count = units.len();
            let all: Vec<Labelled> = units.iter().flat_map(|unit| unit.answers().to_vec()).collect();
            assert!(all.iter().all(|one| one.weight == 2.0));
            (count, all.into_iter().map(|one| (one.turns[0].content.clone(), one.answer, one.harm)).collect::<Vec<_>>())
        };
        let of = |prompt: &str, answer: &str, harm: Option<f64>| (prompt.to_owned(), answer.to_owned(), harm);
        let one = (1, vec![of("p", "a", Some(1.0))]);
        assert_eq!(flat(r#"{"prompt": "p", "response": "a", "harmful": true, "raters": 3}"#), one);
        assert_eq!(flat(r#"{"prompt": "p", "response": "a", "harm": 0.25}"#), (1, vec![of("p", "a", Some(0.25))]));
        assert_eq!(flat(r#"{"text": "a", "harmful": false}"#), (1, vec![of("Write.", "a", Some(0.0))]));
        let pku = |first: bool, second: bool| {
            flat(&format!(
                r#"{{"prompt": "p", "response_0": "a", "response_1": "b", "is_response_0_safe": {first}, "is_response_1_safe": {second}}}"#
            ))
        };
        assert_eq!(pku(true, false), (1, vec![of("p", "a", Some(0.0)), of("p", "b", Some(1.0))]));
        assert_eq!(pku(false, true), (1, vec![of("p", "b", Some(0.0)), of("p", "a", Some(1.0))]));
        assert_eq!(pku(true, true), (2, vec![of("p", "a", Some(0.0)), of("p", "b", Some(0.0))]));
        let plain = r#"{"prompt": "p", "chosen": "a", "rejected": "b"}"#;
        assert_eq!(flat(plain), (1, vec![of("p", "a", None), of("p", "b", None)]));
    }

    #[test]
    fn a_dialogue_is_cut_into_its_turns() {
        let text = "\n\nHuman: One?\n\nAssistant: Yes.\n\nHuman: Two?\n\nAssistant: No. ";
        let line = serde_json::json!({ "chosen": text, "rejected": text }).to_string();
        let units = read(&line);
        let answer = &units[0].answers()[0];
        let turns: Vec<(&str, &str)> =
            answer.turns.iter().map(|turn| (turn.role.as_str(), turn.content.as_str())).collect();
        assert_eq!(turns, [("user", "One?"), ("assistant", "Yes."), ("user", "Two?")]);
        assert_eq!(answer.answer, "No.");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (line, words) in [
            (r#"{"prompt": "p", "response": "a"}"#, "without a label; expected `harmful`"),
            (r#"{"prompt": "p", "response": "a", "harm": 1.5}"#, "`harm` 1.5; expected a number from 0 to 1"),
            (r#"{"prompt": "p", "response": "a", "harm": 1, "harmful": true}"#, "two labels"),
            (r#"{"response": "a", "harmful": true}"#, "without a `prompt`"),
            (r#"{"prompt": " ", "response": "a", "harmful": true}"#, "without a `prompt`"),
            (r#"{"prompt": "p", "response_0": "a", "response_1": "b"}"#, "`is_response_0_safe`"),
            (r#"{"chosen": "a", "rejected": "b"}"#, "without turns"),
            (r#"{"chosen": "\n\nAssistant: a", "rejected": "b"}"#, "without a question"),
            (r#"{"prompt": "p"}"#, "without an answer"),
            (r#"{"prompt": 3}"#, "expected one JSON object"),
            ("no", "expected one JSON object"),
        ] {
            let found = parse(line, 1.0, "Write.", Labels::Harm).unwrap_err();
            assert!(found.contains(words), "{line}: {found}");
        }
    }

    #[test]
    fn a_reward_is_learnt_from_grades_harm_and_preferences() {
        let read = |line: &str| {
            let units = parse(line, 1.0, "Write.", Labels::Grade).unwrap();
            let of = |unit: &Unit| unit.answers().iter().map(|one| (one.answer.clone(), one.grade)).collect::<Vec<_>>();
            units.iter().map(of).collect::<Vec<_>>()
        };
        let one = |answer: &str, grade: f64| vec![vec![(answer.to_owned(), Some(grade))]];
        assert_eq!(read(r#"{"prompt": "p", "response": "a", "grade": 0.75}"#), one("a", 0.75));
        assert_eq!(read(r#"{"prompt": "p", "response": "a", "grade": 0.75, "harm": 1}"#), one("a", 0.75));
        assert_eq!(read(r#"{"prompt": "p", "response": "a", "harm": 0.25}"#), one("a", 0.75));
        assert_eq!(read(r#"{"text": "a", "harmful": true}"#), one("a", 0.0));
        let record = r#"{"prompt": "p", "response_0": "a", "response_1": "b", "better_response_id": 1,"#;
        let safe = r#""is_response_0_safe": true, "is_response_1_safe": false}"#;
        let preferred = vec![vec![("b".to_owned(), None), ("a".to_owned(), None)]];
        assert_eq!(read(&format!("{record}{safe}")), preferred, "the better answer first, whichever is safe");
        let safer = vec![vec![("a".to_owned(), Some(1.0)), ("b".to_owned(), Some(0.0))]];
        assert_eq!(read(&format!("{record}{safe}").replace(r#""better_response_id": 1,"#, "")), safer);
        for (line, words) in [
            (r#"{"prompt": "p", "response": "a"}"#.to_owned(), "without a label; expected `grade` (0 to 1"),
            (r#"{"prompt": "p", "response": "a", "grade": -0.5}"#.to_owned(), "`grade` -0.5; expected a number"),
            (format!("{record}{safe}").replace("id\": 1", "id\": 2"), "`better_response_id` 2; expected 0 or 1"),
        ] {
            let found = parse(&line, 1.0, "Write.", Labels::Grade).unwrap_err();
            assert!(found.contains(words), "{line}: {found}");
        }
        let graded = r#"{"prompt": "p", "response": "a", "grade": 1}"#;
        assert!(parse(graded, 1.0, "Write.", Labels::Harm).is_err(), "a grade says nothing of harm");
    }
}
