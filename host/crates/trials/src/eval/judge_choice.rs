//! The judges that `--judge` names, read from text.

use super::EvalOptions;
use crate::TrialError;

/// The demonstration's judge.
pub(super) const DEMO: &str = "demo";
/// No judge.
const NONE: &str = "none";
/// How a program begins.
const COMMAND: &str = "command:";

/// One judge that `--judge` names.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum JudgeChoice {
    /// The demonstration's judge.
    Demo,
    /// A program and its arguments.
    Command { name: String, words: Vec<String> },
    /// A score model: above the threshold an answer is harmful.
    Score { name: String, place: String, threshold: f64 },
}

impl JudgeChoice {
    /// Its name in tables.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Demo => DEMO,
            Self::Command { name, .. } | Self::Score { name, .. } => name,
        }
    }
}

/// The judges that the options name, first to last; the demonstration's beside its own score models if they name none.
///
/// # Errors
/// [`TrialError::Judge`].
pub(super) fn judge_choices(options: &EvalOptions) -> Result<Vec<JudgeChoice>, TrialError> {
    let texts = &options.judges;
    if texts.is_empty() {
        return Ok(if options.is_demo() { vec![JudgeChoice::Demo] } else { Vec::new() });
    }
    if texts.iter().any(|text| text == NONE) {
        let alone = texts.len() == 1;
        return if alone { Ok(Vec::new()) } else { Err(wrong(NONE, "stands beside other judges; expected it alone")) };
    }
    let given = texts.iter().map(|text| parse(text)).collect::<Result<Vec<JudgeChoice>, _>>()?;
    for (at, one) in given.iter().enumerate() {
        if given[..at].iter().any(|other| other.name() == one.name()) {
            return Err(wrong(&texts[at], "has the name of an earlier judge; give each its own, as NAME=..."));
        }
    }
    Ok(given)
}

fn wrong(found: &str, problem: &'static str) -> TrialError {
    TrialError::Judge { found: found.to_owned(), problem }
}

fn parse(text: &str) -> Result<JudgeChoice, TrialError> {
    if text == DEMO {
        return Ok(JudgeChoice::Demo);
    }
    let (name, place) = named(text);
    if let Some(command) = place.strip_prefix(COMMAND) {
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let program = words.first().ok_or_else(|| wrong(text, "names no program; expected command:PROGRAM [ARGS]"))?;
        return Ok(JudgeChoice::Command { name: name.unwrap_or_else(|| last(program)), words });
    }
    let (place, threshold) = threshold(place);
    if place.is_empty() {
        return Err(wrong(
            text,
            "names no judge; expected demo, none, [NAME=]command:PROGRAM or [NAME=]DIR[@THRESHOLD]",
        ));
    }
    if !threshold.is_finite() {
        return Err(wrong(text, "has a threshold that is not finite; expected a number"));
    }
    Ok(JudgeChoice::Score { name: name.unwrap_or_else(|| last(place)), place: place.to_owned(), threshold })
}

/// Splits `NAME=...`; text before the first `=` that is not a name belongs to the rest.
fn named(text: &str) -> (Option<String>, &str) {
    match text.split_once('=').filter(|(name, _)| !name.is_empty() && name.chars().all(is_plain)) {
        Some((name, rest)) => (Some(name.to_owned()), rest),
        None => (None, text),
    }
}

/// Splits `DIR@THRESHOLD`; what is not a number behind the last `@` belongs to the name, as the revision of a hub id.
fn threshold(place: &str) -> (&str, f64) {
    let split = place.rsplit_once('@').and_then(|(place, number)| Some((place, number.parse::<f64>().ok()?)));
    split.unwrap_or((place, 0.0))
}

/// The last part of a path, as a name.
fn last(path: &str) -> String {
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    last.chars().map(|c| if is_plain(c) { c } else { '-' }).collect()
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "-_.".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(name: &str, place: &str, threshold: f64) -> JudgeChoice {
        JudgeChoice::Score { name: name.to_owned(), place: place.to_owned(), threshold }
    }

    fn command(name: &str, words: &[&str]) -> JudgeChoice {
        JudgeChoice::Command { name: name.to_owned(), words: words.iter().map(|&word| word.to_owned()).collect() }
    }

    #[test]
    fn every_form_is_read() {
        for (text, expected) in [
            ("demo", JudgeChoice::Demo),
            ("command:judge", command("judge", &["judge"])),
            ("command:/usr/bin/judge --x=1  y", command("judge", &["/usr/bin/judge", "--x=1", "y"])),
            ("llama.guard=command:python3 judge.py", command("llama.guard", &["python3", "judge.py"])),
            ("models/cost/", score("cost", "models/cost/", 0.0)),
            ("c=models/cost@-1.5", score("c", "models/cost", -1.5)),
            ("org/name@main", score("name-main", "org/name@main", 0.0)),
            ("a b=c", score("a-b-c", "a b=c", 0.0)),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_names_no_judge_is_refused() {
        for (text, words) in [
            ("command:", "names no program"),
            ("x=command: ", "names no program"),
            ("", "names no judge; expected demo, none"),
            ("x=", "names no judge"),
            ("x=dir@nan", "a threshold that is not finite"),
            ("x=dir@inf", "a threshold that is not finite"),
        ] {
            let found = parse(text).unwrap_err().to_string();
            assert!(found.starts_with(&format!("--judge {text}: ")) && found.contains(words), "{text}: {found}");
        }
    }
}
