//! The header of a GGUF file: metadata, and where its tensors lie.
//!
//! Nothing in it is trusted: memory is asked for as the file gives bytes, never as a count says.

use std::collections::BTreeMap;

/// The longest header that is read: large vocabularies take some 10 MB.
const LONGEST: usize = 64 << 20;
/// The most dimensions of a tensor.
const DIMENSIONS: u32 = 4;
const MAGIC: &[u8] = b"GGUF";

/// What a key of the metadata holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Any whole number.
    Whole(i128),
    Number(f64),
    Flag(bool),
    Text(String),
    Wholes(Vec<i64>),
    Numbers(Vec<f64>),
    Flags(Vec<bool>),
    Texts(Vec<String>),
}

/// A tensor, as the header describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TensorEntry {
    /// In the order of Hugging Face: outputs first.
    pub(super) shape: Vec<usize>,
    /// The number of its type.
    pub(super) kind: u32,
    /// Where its first byte is, counted from where the tensors begin.
    pub(super) offset: u64,
}

/// A header, read.
pub(super) struct Header {
    pub(super) metadata: BTreeMap<String, Value>,
    pub(super) tensors: BTreeMap<String, TensorEntry>,
    /// Where the tensors begin.
    pub(super) end: usize,
}

impl Header {
    /// Reads the beginning of a file.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn read(file: &[u8]) -> Result<Self, String> {
        let mut reader = Reader { bytes: &file[..file.len().min(LONGEST)], at: 0, wide: true };
        if reader.take(4).ok() != Some(MAGIC) {
            return Err("it does not begin with `GGUF`".into());
        }
        match reader.u32()? {
            1 => reader.wide = false,
            2 | 3 => {}
            other if other.swap_bytes() <= 3 => return Err("its numbers are big-endian, which is not read".into()),
            other => return Err(format!("its version is {other}; 1, 2 and 3 are read")),
        }
        let (tensors, keys) = (reader.length()?, reader.length()?);
        let metadata = reader.metadata(keys)?;
        let tensors = reader.tensors(tensors)?;
        let alignment = alignment(&metadata)?;
        let end = reader.at.checked_next_multiple_of(alignment).ok_or("general.alignment is too large")?;
        Ok(Self { metadata, tensors, end })
    }
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<usize, String> {
    match metadata.get("general.alignment") {
        None => Ok(32),
        Some(Value::Whole(n)) if (1..=1 << 20).contains(n) => Ok(*n as usize),
        Some(other) => Err(format!("general.alignment is {}; expected a number from 1 to 2^20", other.shown())),
    }
}

impl Value {
    /// The value as messages show it.
    pub(super) fn shown(&self) -> String {
        let list = |length: usize, of: &str| format!("a list of {length} {of}");
        match self {
            Self::Whole(n) => n.to_string(),
            Self::Number(n) => n.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Text(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
            Self::Wholes(items) => list(items.len(), "whole numbers"),
            Self::Numbers(items) => list(items.len(), "numbers"),
            Self::Flags(items) => list(items.len(), "flags"),
            Self::Texts(items) => list(items.len(), "texts"),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether lengths have 64 bits.
    wide: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| match self.bytes.len() {
            LONGEST => format!("its header is longer than {} MiB", LONGEST >> 20),
            _ => "it ends within its header".to_owned(),
        })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    fn length(&mut self) -> Result<usize, String> {
        let length = if self.wide { self.u64()? } else { self.u32()?.into() };
        usize::try_from(length).map_err(|_| format!("a length is {length}"))
    }

    fn text(&mut self) -> Result<String, String> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8".to_owned())?;
        Ok(text.to_owned())
    }

    fn metadata(&mut self, count: usize) -> Result<BTreeMap<String, Value>, String> {
        let mut all = BTreeMap::new();
        for _ in 0..count {
            let key = self.text()?;
            let kind = self.u32()?;
            let value = self.value(kind).map_err(|error| format!("key {key:?}: {error}"))?;
            if all.insert(key.clone(), value).is_some() {
                return Err(format!("key {key:?} is there twice"));
            }
        }
        Ok(all)
    }

    fn value(&mut self, kind: u32) -> Result<Value, String> {
        match kind {
            6 | 12 => self.number(kind).map(Value::Number),
            7 => self.flag().map(Value::Flag),
            8 => self.text().map(Value::Text),
            9 => self.list(),
            _ => self.whole(kind).map(Value::Whole),
        }
    }

    fn list(&mut self) -> Result<Value, String> {
        let (kind, count) = (self.u32()?, self.length()?);
        let each = 0..count;
        match kind {
            6 | 12 => each.map(|_| self.number(kind)).collect::<Result<_, _>>().map(Value::Numbers),
            7 => each.map(|_| self.flag()).collect::<Result<_, _>>().map(Value::Flags),
            8 => each.map(|_| self.text()).collect::<Result<_, _>>().map(Value::Texts),
            9 => Err("a list of lists is not read".into()),
            _ => each.map(|_| self.narrow(kind)).collect::<Result<_, _>>().map(Value::Wholes),
        }
    }

    fn narrow(&mut self, kind: u32) -> Result<i64, String> {
        let number = self.whole(kind)?;
        i64::try_from(number).map_err(|_| format!("a number of a list is {number}"))
    }

    fn whole(&mut self, kind: u32) -> Result<i128, String> {
        Ok(match kind {
            0 => u8::from_le_bytes(self.array()?).into(),
            1 => i8::from_le_bytes(self.array()?).into(),
            2 => u16::from_le_bytes(self.array()?).into(),
            3 => i16::from_le_bytes(self.array()?).into(),
            4 => self.u32()?.into(),
            5 => i32::from_le_bytes(self.array()?).into(),
            10 => self.u64()?.into(),
            11 => i64::from_le_bytes(self.array()?).into(),
            other => return Err(format!("a value is of the type {other}, which is not known")),
        })
    }

    fn number(&mut self, kind: u32) -> Result<f64, String> {
        match kind {
            6 => Ok(f32::from_le_bytes(self.array()?).into()),
            _ => Ok(f64::from_le_bytes(self.array()?)),
        }
    }

    fn flag(&mut self) -> Result<bool, String> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(format!("a flag is {other}")),
        }
    }

    fn tensors(&mut self, count: usize) -> Result<BTreeMap<String, TensorEntry>, String> {
        let mut all = BTreeMap::new();
        for _ in 0..count {
            let name = self.text()?;
            let entry = self.tensor_entry().map_err(|error| format!("tensor {name:?}: {error}"))?;
            if all.insert(name.clone(), entry).is_some() {
                return Err(format!("tensor {name:?} is there twice"));
            }
        }
        Ok(all)
    }

    fn tensor_entry(&mut self) -> Result<TensorEntry, String> {
        let dimensions = self.u32()?;
        if dimensions > DIMENSIONS {
            return Err(format!("it has {dimensions} dimensions; at most {DIMENSIONS} are read"));
        }
        let mut shape = (0..dimensions).map(|_| self.length()).collect::<Result<Vec<_>, _>>()?;
        shape.reverse();
        Ok(TensorEntry { shape, kind: self.u32()?, offset: self.u64()? })
    }
}
