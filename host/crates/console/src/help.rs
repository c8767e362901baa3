//! What the program's help says at its end.

/// The words that all commands use, and where a reader finds more.
pub const GLOSSARY: &str = "\
Words of this help:
  bundle       what is guarded against, what it costs, and how much an answer may cost: a folder with bundle.toml
  constraint   one budget of a bundle, by its name
  candidate    a continuation of the answer that is sampled, priced and compared with others
  chunk        the tokens that candidates grow between two comparisons
  method       a way of searching for an answer; base has no guard
  component    a plugin of a bundle that prices tokens, searches or decides, in a sandbox
  score model  a model that gives points to texts, such as a harm classifier or a reward model
  latent       a hidden state of the language model
  critic       a small network that foresees how an answer will end
  record       what was answered and decided, for checks and explanations afterwards

First steps: host/QUICKSTART.md, which also says what options of other programs are called here.";
