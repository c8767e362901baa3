//! What a token spells, in bytes: the decoder of tokenizer.json, one token after the other.
//!
//! The library decodes whole lists of tokens to text, and a longer list may change the text of a shorter list: a run of byte
//! tokens that is cut within a character loses all its characters. Here a token's bytes depend on what came before it
//! only, and joined they are the same text wherever the library finds valid UTF-8. Understood are:
//!
//! | decoder | bytes of a token |
//! |---|---|
//! | none | the token, after a space if it is not the first |
//! | `ByteLevel` | those that its characters stand for |
//! | `ByteFallback` | of `<0xNN>`: the byte NN. What comes later leaves it alone |
//! | `Replace`, `Metaspace`, `WordPiece` | as the library says of this token, first or not |
//! | `Fuse`, then perhaps `Strip` at the beginning | the same, less the first spaces of the text |
//!
//! Everything else is refused when the file is read: `CTC` and `BPEDecoder` look at the next token, other orders at text
//! that is not there yet.

use inferenceguard_model::SpellState;
use tokenizers::{Decoder, DecoderWrapper, decoders::strip::Strip};

/// A token that was not special came already.
const BEGUN: u64 = 1;
/// Nothing is stripped any more.
const UNSTRIPPED: u64 = 2;
/// What one stripped byte adds; the bits above count them.
const STRIPPED: u64 = 4;

/// A decoder, made ready.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spelling {
    /// What happens to each token.
    steps: Vec<Step>,
    /// A byte that is stripped at the beginning of a text, and how often at most.
    strip: Option<(u8, usize)>,
    /// Whether a space stands between tokens.
    spaced: bool,
}

#[derive(Debug, Clone)]
enum Step {
    ByteLevel,
    ByteFallback,
    /// What the library does, which depends on the token and on whether it is the first.
    Library(DecoderWrapper),
}

impl Spelling {
    /// Reads a tokenizer's decoder; the error names what it does not understand.
    pub(crate) fn of(decoder: Option<&DecoderWrapper>) -> Result<Self, String> {
        let mut spelling = Self { spaced: decoder.is_none(), ..Self::default() };
        let mut fused = false;
        for decoder in decoder.map(flat).unwrap_or_default() {
            fused = spelling.add(decoder, fused)?;
        }
        Ok(spelling)
    }

    /// Adds a step; says whether what follows sees the whole text.
    fn add(&mut self, decoder: &DecoderWrapper, fused: bool) -> Result<bool, String> {
        use DecoderWrapper as D;
        match decoder {
            D::Fuse(_) => return Ok(true),
            D::Strip(strip) if fused && self.strip.is_none() => self.strip = Some(stripped(strip)?),
            D::ByteLevel(_) if !fused => self.steps.push(Step::ByteLevel),
            D::ByteFallback(_) if !fused => self.steps.push(Step::ByteFallback),
            D::Replace(_) | D::Metaspace(_) | D::WordPiece(_) if !fused => {
                self.steps.push(Step::Library(decoder.clone()));
            }
            _ => return Err(not_understood(&format!("{decoder:?}"))),
        }
        Ok(fused || matches!(decoder, D::ByteLevel(_)))
    }

    /// The state of a text that goes on from another one.
    pub(crate) fn continued(&self) -> SpellState {
        SpellState(BEGUN | UNSTRIPPED)
    }

    /// Appends the bytes of a token that is not special.
    pub(crate) fn spell(&self, state: &mut SpellState, token: String, bytes: &mut Vec<u8>) -> Result<(), String> {
        let first = state.0 & BEGUN == 0;
        state.0 |= BEGUN;
        if self.spaced && !first {
            bytes.push(b' ');
        }
        let spelled = self.bytes(token, first)?;
        let from = self.strip.map_or(0, |strip| dropped(strip, state, &spelled));
        bytes.extend_from_slice(&spelled[from..]);
        Ok(())
    }

    fn bytes(&self, mut token: String, first: bool) -> Result<Vec<u8>, String> {
        for step in &self.steps {
            match step {
                Step::ByteLevel => return Ok(byte_level(&token).unwrap_or_else(|| token.into_bytes())),
                Step::ByteFallback => {
                    if let Some(byte) = byte(&token) {
                        return Ok(vec![byte]);
                    }
                }
                Step::Library(decoder) => token = decoded(decoder, token, first)?,
            }
        }
        Ok(token.into_bytes())
    }
}

/// The decoders of a sequence, and of sequences in it.
fn flat(decoder: &DecoderWrapper) -> Vec<&DecoderWrapper> {
    match decoder {
        DecoderWrapper::Sequence(sequence) => sequence.get_decoders().iter().flat_map(flat).collect(),
        one => vec![one],
    }
}

fn stripped(strip: &Strip) -> Result<(u8, usize), String> {
    match u8::try_from(strip.content) {
        Ok(byte) if byte.is_ascii() && strip.stop == 0 => Ok((byte, strip.start)),
        _ => Err(not_understood(&format!("{strip:?}"))),
    }
}

fn not_understood(found: &str) -> String {
    format!(
        "its decoder cannot be followed token by token: found {found:.200}; expected none, ByteLevel, or Replace, ByteFallback, \
         Metaspace and WordPiece in any order, then perhaps Fuse, then perhaps one Strip at the start"
    )
}

/// How many of the first bytes are stripped; remembers it.
fn dropped((byte, most): (u8, usize), state: &mut SpellState, bytes: &[u8]) -> usize {
    if state.0 & UNSTRIPPED != 0 {
        return 0;
    }
    let left = most.saturating_sub((state.0 / STRIPPED) as usize);
    let count = bytes.iter().take(left).take_while(|found| **found == byte).count();
    state.0 += count as u64 * STRIPPED;
    if count < bytes.len() || count == left {
        state.0 |= UNSTRIPPED;
    }
    count
}

/// What the library makes of one token.
fn decoded(decoder: &DecoderWrapper, token: String, first: bool) -> Result<String, String> {
    let before = if first { Vec::new() } else { vec![String::new()] };
    let tokens = before.into_iter().chain([token]).collect();
    let decoded = decoder.decode_chain(tokens).map_err(|error| error.to_string())?;
    decoded.into_iter().next_back().ok_or_else(|| format!("{decoder:?} made nothing of a token"))
}

/// The byte of a token of the form `<0xNN>`.
fn byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>').filter(|digits| digits.len() == 2)?;
    u8::from_str_radix(digits, 16).ok()
}

/// The bytes that the characters of a byte-level token stand for; nothing if one stands for none.
fn byte_level(token: &str) -> Option<Vec<u8>> {
    token.chars().map(byte_of).collect()
}

/// GPT-2's table: printable characters of Latin-1 stand for themselves, the other bytes, in order, for those from 256 on.
fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    match code {
        0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => u8::try_from(code).ok(),
        0x100..=0x120 => u8::try_from(code - 0x100).ok(),
        0x121..=0x142 => u8::try_from(code - 0x121 + 0x7F).ok(),
        0x143 => Some(0xAD),
        _ => None,
    }
}
