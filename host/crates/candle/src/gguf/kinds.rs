//! The types of tensors in GGUF files, by their numbers.

use inferenceguard_kernels::Format;

/// How the numbers of a tensor lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    F16,
    BF16,
    F64,
    Blocks(Format),
}

/// What is read: number, name, layout.
const READ: [(u32, &str, Kind); 17] = [
    (0, "F32", Kind::F32),
    (1, "F16", Kind::F16),
    (30, "BF16", Kind::BF16),
    (28, "F64", Kind::F64),
    (2, "Q4_0", Kind::Blocks(Format::Q4_0)),
    (3, "Q4_1", Kind::Blocks(Format::Q4_1)),
    (6, "Q5_0", Kind::Blocks(Format::Q5_0)),
    (7, "Q5_1", Kind::Blocks(Format::Q5_1)),
    (8, "Q8_0", Kind::Blocks(Format::Q8_0)),
    (10, "Q2_K", Kind::Blocks(Format::Q2K)),
    (11, "Q3_K", Kind::Blocks(Format::Q3K)),
    (12, "Q4_K", Kind::Blocks(Format::Q4K)),
    (13, "Q5_K", Kind::Blocks(Format::Q5K)),
    (14, "Q6_K", Kind::Blocks(Format::Q6K)),
    (15, "Q8_K", Kind::Blocks(Format::Q8K)),
    (20, "IQ4_NL", Kind::Blocks(Format::IQ4NL)),
    (23, "IQ4_XS", Kind::Blocks(Format::IQ4XS)),
];

/// What is not, with a name for messages.
const OTHERS: [(u32, &str); 16] = [
    (4, "Q4_2"),
    (5, "Q4_3"),
    (9, "Q8_1"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
];

impl Kind {
    /// The type of this number, if it is read.
    pub(super) fn of(number: u32) -> Option<Self> {
        READ.iter().find(|(n, _, _)| *n == number).map(|(_, _, kind)| *kind)
    }

    /// Numbers and bytes of a block; of floats, 1 and the bytes of one.
    pub(super) fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::BF16 => (1, 2),
            Self::F64 => (1, 8),
            Self::Blocks(format) => (format.span(), format.bytes()),
        }
    }

    /// The block format, if it is one.
    pub(super) fn format(self) -> Option<Format> {
        match self {
            Self::Blocks(format) => Some(format),
            _ => None,
        }
    }
}

/// What a type is called.
pub(super) fn name(number: u32) -> String {
    let known = READ.iter().map(|(n, name, _)| (*n, *name)).chain(OTHERS);
    let known = known.into_iter().find(|(n, _)| *n == number);
    known.map_or_else(|| format!("of type {number}"), |(_, name)| name.to_owned())
}

/// All that are read, for messages.
pub(super) fn read() -> String {
    READ.map(|(_, name, _)| name).join(", ")
}
