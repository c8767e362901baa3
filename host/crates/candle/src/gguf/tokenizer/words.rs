//! Pre-tokenizers of byte-level tokenizers, by the names that GGUF files give them: how a text comes apart into words,
//! within which bytes are merged.

use serde_json::{Value as Json, json};

/// One pre-tokenizer.
pub(super) struct PreTokenizer {
    /// Its names in GGUF files.
    names: &'static [&'static str],
    /// Expressions that split one after the other; what they do not match stays as it is.
    splits: &'static [&'static str],
    /// Whether every digit stands alone before that.
    digits: bool,
    /// Whether the expression of GPT-2 splits last.
    gpt2: bool,
    /// Whether text is normalised to NFC.
    pub(super) composed: bool,
    /// Whether a word that is a token is taken as it is, whatever the merges say.
    pub(super) whole_words: bool,
    /// Whether a text begins with the beginning token unless the metadata say otherwise.
    pub(super) begins: bool,
}

const PLAIN: PreTokenizer = PreTokenizer {
    names: &[],
    splits: &[],
    digits: false,
    gpt2: true,
    composed: false,
    whole_words: false,
    begins: false,
};

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// What llama.cpp takes where a file names no model that it knows.
const DEFAULT: [&str; 4] = [
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
];
const DEEPSEEK_CODER: [&str; 4] = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+"];

const KNOWN: [PreTokenizer; 7] = [
    PreTokenizer { names: &["gpt-2"], ..PLAIN },
    PreTokenizer { names: &["smollm", "starcoder"], digits: true, ..PLAIN },
    PreTokenizer {
        names: &["llama-bpe", "llama3", "llama-v3"],
        splits: &[LLAMA3],
        gpt2: false,
        whole_words: true,
        begins: true,
        ..PLAIN
    },
    PreTokenizer { names: &["qwen2", "deepseek-r1-qwen"], splits: &[QWEN2], gpt2: false, composed: true, ..PLAIN },
    PreTokenizer { names: &["tekken"], splits: &[TEKKEN], gpt2: false, whole_words: true, begins: true, ..PLAIN },
    PreTokenizer { names: &["deepseek-coder"], splits: &DEEPSEEK_CODER, digits: true, gpt2: false, ..PLAIN },
    PreTokenizer { names: &["default"], splits: &DEFAULT, gpt2: false, ..PLAIN },
];

impl PreTokenizer {
    /// The pre-tokenizer of this name.
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        const ALL: &[PreTokenizer] = &KNOWN;
        ALL.iter().find(|words| words.names.contains(&name))
    }

    /// All names, for messages.
    pub(super) fn names() -> String {
        KNOWN.iter().flat_map(|words| words.names).copied().collect::<Vec<_>>().join(", ")
    }

    /// As in tokenizer.json. `blank` puts a blank before a text that has none.
    pub(super) fn json(&self, blank: bool) -> Json {
        let split = |regex: &&str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
        let digits = self.digits.then(|| json!({"type": "Digits", "individual_digits": true}));
        let bytes =
            json!({"type": "ByteLevel", "add_prefix_space": blank, "trim_offsets": true, "use_regex": self.gpt2});
        let parts: Vec<Json> = self.splits.iter().map(split).chain(digits).chain([bytes]).collect();
        json!({"type": "Sequence", "pretokenizers": parts})
    }
}
