//! The part that all rogues share: the setting `mode` chooses how they misbehave. Each rogue includes it as a module beside its
//! own bindings.

use super::exports::inferenceguard::guard::setup::{Description, Guest as Setup, Setting};
use super::inferenceguard::guard::log::{self, Level};
use super::{NAME, ROLE, needs};
use std::cell::RefCell;

pub use super::inferenceguard::guard::types::{Need, Role, RoleError, Value};

thread_local! {
    static MODE: RefCell<String> = const { RefCell::new(String::new()) };
    static CALLS: RefCell<u32> = const { RefCell::new(0) };
}

pub struct Rogue;

impl Setup for Rogue {
    fn describe() -> Description {
        let moody = if mode() == "moody-describe" { calls() } else { 0 };
        let mode = Setting { name: "mode".into(), default: Value::Text("ok".into()), help: "The misdeed.".into() };
        let words = Setting { name: "words".into(), default: Value::Weighted(vec![]), help: "Ballast.".into() };
        Description {
            name: NAME.into(),
            version: "0.1.0".into(),
            role: ROLE,
            summary: format!("Misbehaves on purpose; mood {moody}."),
            settings: vec![mode, words],
        }
    }

    fn configure(settings: Vec<(String, Value)>) -> Result<(), String> {
        std::panic::set_hook(Box::new(|info| log::write(Level::Error, &info.to_string())));
        for (name, value) in settings {
            if let (true, Value::Text(text)) = (name == "mode", value) {
                MODE.set(text);
            }
        }
        match mode().as_str() {
            "refuse-settings" => Err("found the mode `refuse-settings`; expected another".into()),
            "panic-in-configure" => panic!("no settings, please"),
            "loop-in-configure" => spin(),
            _ => Ok(()),
        }
    }

    fn needs() -> Vec<Need> {
        match mode().as_str() {
            "many-top-k" => vec![Need::TopK(5000)],
            "moody-needs" if calls() > 0 => vec![Need::Logprobs],
            _ => needs(&mode()),
        }
    }
}

pub fn mode() -> String {
    MODE.with_borrow(Clone::clone)
}

/// The values that a mode `bytes:HEX` asks for: whatever the bytes are, also at the limits of each type.
#[allow(dead_code, reason = "not every rogue reads all types")]
pub struct Bytes(std::vec::IntoIter<u8>);

#[allow(dead_code, reason = "not every rogue reads all types")]
impl Bytes {
    /// Nothing if the mode is another.
    pub fn of_mode() -> Option<Self> {
        let mode = mode();
        let digits = mode.strip_prefix("bytes:")?;
        let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2).unwrap_or("0"), 16).unwrap_or(0);
        Some(Self((0..digits.len() / 2).map(|at| byte(2 * at)).collect::<Vec<_>>().into_iter()))
    }

    /// Zero after the end.
    pub fn byte(&mut self) -> u8 {
        self.0.next().unwrap_or(0)
    }

    pub fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    pub fn number(&mut self) -> u32 {
        match self.byte() {
            byte @ 0..=199 => u32::from(byte % 12),
            byte => [u32::MAX, 1 << 31, i32::MAX as u32, 1 << 16][usize::from(byte % 4)],
        }
    }

    /// Any bit pattern: NaN, infinities and subnormal numbers too.
    pub fn float(&mut self) -> f64 {
        match self.byte() {
            byte @ 0..=199 => f64::from(byte) / 8.0 - 12.0,
            _ => f64::from_bits(u64::from_le_bytes(std::array::from_fn(|_| self.byte()))),
        }
    }

    /// A few values; seldom a hundred thousand.
    pub fn several<T: Clone>(&mut self, one: impl Fn(&mut Self) -> T) -> Vec<T> {
        match self.byte() {
            255 => vec![one(self); 100_000],
            count => (0..count % 8).map(|_| one(self)).collect(),
        }
    }

    pub fn text(&mut self) -> String {
        let bytes = self.several(Self::byte);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A name that this host knows, or any other.
    pub fn option_name(&mut self) -> String {
        match self.byte() % 3 {
            0 => "retry-candidates".to_owned(),
            1 => "keep".to_owned(),
            _ => self.text(),
        }
    }

    pub fn value(&mut self) -> Value {
        match self.byte() % 6 {
            0 => Value::Flag(self.flag()),
            1 => Value::Number(self.float()),
            2 => Value::Text(self.text()),
            3 => Value::Integer(self.float() as i64),
            4 => Value::Texts(self.several(Self::text)),
            _ => Value::Weighted(self.several(|bytes| (bytes.text(), bytes.float()))),
        }
    }

    /// One in eight calls fails in words.
    pub fn or_error<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Result<T, RoleError> {
        match self.byte() {
            byte if byte % 16 == 15 => Err(RoleError::Failed(self.text())),
            byte if byte % 16 == 14 => Err(RoleError::Read(self.text())),
            _ => Ok(value(self)),
        }
    }
}

/// How often this was called before.
#[allow(dead_code, reason = "not every rogue counts")]
pub fn calls() -> u32 {
    CALLS.with_borrow_mut(|calls| {
        *calls += 1;
        *calls - 1
    })
}

fn spin() -> ! {
    let mut n = 0_u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

fn recurse(n: u64) -> u64 {
    let deep = std::hint::black_box([n; 16]);
    if n == u64::MAX { 0 } else { recurse(n + 1) + deep[3] }
}

/// What any role can do wrong, whatever it is asked.
pub fn misdeed() -> Result<(), RoleError> {
    match mode().as_str() {
        "loop" => spin(),
        "panic" => panic!("the rogue lost its nerve at row {}", 7),
        "recurse" => std::mem::drop(std::hint::black_box(recurse(std::hint::black_box(0)))),
        "memory" => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(std::hint::black_box(vec![1; 1 << 20]));
            }
        }
        "chatter" => (0..100_000).for_each(|n| log::write(Level::Info, &format!("line {n} {}", "x".repeat(9000)))),
        "hungry" => (0..8_000_000_u64).for_each(|n| {
            std::hint::black_box(n);
        }),
        "error" => return Err(RoleError::Failed("I would rather not".into())),
        _ => {}
    }
    Ok(())
}
