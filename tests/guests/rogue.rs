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
