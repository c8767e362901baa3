//! Headers of GGUF files. Zeros stand in for the numbers of the tensors, so that a mutation costs kilobytes.

use crate::golden::{Files, load_and_run};
use std::borrow::Cow;

const MIXED: &[u8] = include_bytes!("../../golden/gguf/mixed.gguf");
/// As many bytes as the golden file's tensors take, and some more.
const TENSORS: usize = 400_000;
/// The end of a string that every tensor's name has.
const NAME: &[u8] = b".weight";

/// Two bytes with the length of the first part's header, that header, and the header of the second part if anything is left.
pub fn run(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let (first, second) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
    let files: Files = if second.is_empty() {
        Files::from([("model.gguf".to_owned(), padded(first))])
    } else {
        let name = |part: u32| format!("model-0000{part}-of-00002.gguf");
        Files::from([(name(1), padded(first)), (name(2), padded(second))])
    };
    load_and_run(files);
}

fn padded(header: &[u8]) -> Cow<'static, [u8]> {
    let mut file = header.to_vec();
    file.resize(header.len() + TENSORS, 0);
    file.into()
}

/// The golden file, whole, as the first of two parts and with other words in it, and headers that no tool should write.
pub fn seeds() -> Vec<Vec<u8>> {
    let header = header();
    let (first, second) = (part(&header, 0), part(&empty(), 1));
    let golden = [input(&header, &[]), input(&first, &second), input(&first, &part(&empty(), 0)), input(&first, &[])];
    let others = [
        // Kinds of tokenizers, and a name of a model family, that are read in another way or not at all.
        respelled(&header, b"gpt2", b"bert"),
        respelled(&header, b"tokenizer.ggml.pre", b"tokenizer.ggml.prx"),
        respelled(&header, b"eos_token_id", b"eot_token_id"),
        respelled(&header, b"general.architecture", b"general.architecturf"),
    ];
    let others = others.into_iter().chain(hostile()).map(|header| input(&header, &[]));
    golden.into_iter().chain(others).collect()
}

/// The header with other letters in one place, as many.
fn respelled(header: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = header.windows(from.len()).position(|window| window == from).expect("the letters are there");
    [&header[..at], to, &header[at + from.len()..]].concat()
}

/// Other versions, another order of bytes, and counts and lengths beyond the file.
fn hostile() -> Vec<Vec<u8>> {
    let start = |version: u32, tensors: u64, keys: u64| {
        let counts = [tensors.to_le_bytes(), keys.to_le_bytes()].concat();
        [b"GGUF".as_slice(), &version.to_le_bytes(), &counts].concat()
    };
    // One key of a type, with what stands for its value.
    let valued = |kind: u32, value: &[u8]| {
        [start(3, 0, 1).as_slice(), &1_u64.to_le_bytes(), b"a", &kind.to_le_bytes(), value].concat()
    };
    let list = |kind: u32, count: u64| [kind.to_le_bytes().as_slice(), &count.to_le_bytes()].concat();
    vec![
        start(1, 0, 0),
        start(3_u32.swap_bytes(), 0, 0),
        start(3, u64::MAX, 0),
        start(3, 0, u64::MAX),
        valued(7, &[2]),
        valued(8, &u64::MAX.to_le_bytes()),
        valued(9, &list(8, 1 << 60)),
        // A list of lists of lists.
        valued(9, &[list(9, 1), list(9, 1), list(0, u64::MAX)].concat()),
        valued(99, &[]),
    ]
}

fn input(first: &[u8], second: &[u8]) -> Vec<u8> {
    let length = u16::try_from(first.len()).expect("a small header");
    [&length.to_le_bytes(), first, second].concat()
}

/// The golden file's header. Behind the last name stand the number of dimensions, the dimensions, the type and the offset.
fn header() -> Vec<u8> {
    let near = &MIXED[..MIXED.len() / 4];
    let last = near.windows(NAME.len()).rposition(|window| window == NAME).expect("a tensor") + NAME.len();
    let dimensions = usize::from(MIXED[last]);
    let end = (last + 4 + 8 * dimensions + 4 + 8).next_multiple_of(32);
    MIXED[..end].to_vec()
}

/// No metadata, no tensors.
fn empty() -> Vec<u8> {
    [b"GGUF".as_slice(), &3_u32.to_le_bytes(), &[0; 16]].concat()
}

/// The header with the three keys of a part of two.
fn part(header: &[u8], number: u16) -> Vec<u8> {
    let (start, keys) = (&header[..16], u64::from_le_bytes(*header[16..].first_chunk().expect("a count")) + 3);
    let (first, count, tensors) = (key("split.no", number), key("split.count", 2), key("split.tensors.count", 12));
    [start, &keys.to_le_bytes(), &first, &count, &tensors, &header[24..]].concat()
}

/// A key whose value is a u16, which is type 2.
fn key(name: &str, value: u16) -> Vec<u8> {
    let length = (name.len() as u64).to_le_bytes();
    [length.as_slice(), name.as_bytes(), &2_u32.to_le_bytes(), &value.to_le_bytes()].concat()
}
