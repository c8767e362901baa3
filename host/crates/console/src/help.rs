//! What the program's help says, and how wide it is.

use crate::answer;

/// The words that all commands use, and where a reader finds more.
pub const GLOSSARY: &str = "\
Words of this help:
  bundle       a folder with bundle.toml: what is guarded against, what it
               costs, and how much an answer may cost
  constraint   one budget of a bundle, by its name
  candidate    a continuation that is sampled, priced and compared with others
  chunk        the tokens that candidates grow between two comparisons
  method       a way of searching for an answer; base has no guard
  component    a plugin of a bundle that prices, searches or decides
  score model  a model that gives points to texts, such as a harm classifier
  latent       a hidden state of the language model
  critic       a small network that foresees how an answer will end
  record       what was answered and decided, to check and explain afterwards

First steps: host/QUICKSTART.md, which also says what options of other
programs are called here.";

/// Columns of a text about an option, which stands below its name.
pub const OPTIONS: usize = 68;

/// Columns of a text about a command, which stands beside its name.
pub const COMMANDS: usize = 64;

/// A text with line breaks, so that no line is wider than this many columns of a terminal, unless a word is.
#[must_use]
pub fn folded(text: &str, width: usize) -> String {
    answer::wrap(text, width).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_a_terminal() {
        assert!(GLOSSARY.lines().all(|line| line.len() <= 80), "{GLOSSARY}");
        assert_eq!(folded("one two three four", 9), "one two\nthree\nfour");
        let long = folded("What answers, and what guards it: a bundle names components, costs and budgets", OPTIONS);
        assert!(long.lines().count() == 2 && long.lines().all(|line| line.len() <= OPTIONS), "{long}");
    }
}
