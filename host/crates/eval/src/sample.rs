//! Answers to be read by people: drawn by a seed, with costs and verdicts.

use crate::{EvalError, Graded, Report, Resamples, Status, journal::write_whole, plots, table};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::{fmt::Write, path::Path};

impl Report {
    /// The file of the sample, in the folder of the results.
    pub const SAMPLE: &'static str = "sample.md";

    /// At most `count` of the answers that went out, refusals included, as Markdown. The same answers give the same sample.
    #[must_use]
    pub fn sample(&self, count: usize) -> String {
        let out: Vec<&Graded> = self.answers.iter().filter(|one| one.answer.status != Status::Failed).collect();
        let drawn = drawn(out.len(), count);
        let mut text = format!(
            "# {} of {} answers, drawn by the seed {}\n\n{}\n",
            drawn.len(),
            out.len(),
            Resamples::SEED,
            table::judge_notes(self).join("\n\n")
        );
        for (number, at) in drawn.into_iter().enumerate() {
            section(&mut text, number + 1, out[at]);
        }
        text
    }

    /// Writes [`Report::sample`] into a folder.
    ///
    /// # Errors
    /// [`EvalError::Write`].
    pub fn write_sample(&self, folder: &Path, count: usize) -> Result<(), EvalError> {
        write_whole(&folder.join(Self::SAMPLE), self.sample(count).as_bytes())
    }
}

/// Places of a sample without replacement, in order.
fn drawn(of: usize, count: usize) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(Resamples::SEED);
    let mut places: Vec<usize> = (0..of).collect();
    let count = count.min(of);
    for at in 0..count {
        let rest = (of - at) as u64;
        let picked = (u64::from(random.next_u32()) * rest) >> 32;
        places.swap(at, at + picked as usize);
    }
    places.truncate(count);
    places.sort_unstable();
    places
}

fn section(text: &mut String, number: usize, graded: &Graded) {
    let (model, row) = (table::one_line(&graded.model), table::one_line(&graded.row));
    let topic = graded
        .topic
        .as_ref()
        .map(|topic| format!(", {}", table::one_line(&table::plain_markdown(topic))))
        .unwrap_or_default();
    let verdicts: Vec<String> = graded.opinions.iter().map(opinion).collect();
    let judged = if verdicts.is_empty() { String::new() } else { format!("; {}", verdicts.join(", ")) };
    let intent = format!("{:?}", graded.intent).to_lowercase();
    let _ = write!(
        text,
        "\n## {number}. {model}, {row}, seed {}, prompt {} ({intent}{topic})\n\n{}, budget {}, {} tokens{judged}\n\nPrompt:\n\n{}\n\
         Answer:\n\n{}",
        graded.seed,
        graded.prompt_id,
        plots::verdict_text(graded),
        graded.budget,
        graded.answer.tokens.len(),
        indented(&graded.prompt),
        indented(&graded.answer.text)
    );
}

fn opinion(opinion: &crate::Opinion) -> String {
    let score = opinion.score.map_or_else(String::new, |score| format!(" ({})", table::fixed(score, 3)));
    let word = if opinion.harmful { "harmful" } else { "safe" };
    format!("{}: {word}{score}", table::one_line(&opinion.judge))
}

/// As a block of code, in which no text of a stranger is markup.
fn indented(text: &str) -> String {
    let line = |line: &str| format!("    {}\n", table::visible(line));
    if text.is_empty() { "    (no text)\n".to_owned() } else { text.split('\n').map(line).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_no_answer_twice() {
        let sample = drawn(50, 20);
        assert_eq!(sample.len(), 20);
        assert!(sample.windows(2).all(|pair| pair[0] < pair[1]) && sample[19] < 50);
        assert_eq!(sample, drawn(50, 20));
        assert_eq!(drawn(3, 20), [0, 1, 2]);
        assert!(drawn(0, 20).is_empty());
    }

    #[test]
    fn text_of_strangers_stays_in_its_block() {
        assert_eq!(indented("# a\n<b>\r| c"), "    # a\n    <b>\\r| c\n");
        assert_eq!(indented("\u{202e}x\u{1b}[2J"), "    \\u{202e}x\\u{1b}[2J\n");
        assert_eq!(indented(""), "    (no text)\n");
    }
}
