//! Values that components of each role return through the contract: the host gets them as they are, or a failure in words.
//!
//! The components are the rogues of `tests/guests`: with the mode `bytes:HEX` they return values read from these bytes.

use crate::guests;
use inferenceguard_sandbox::{Component, Limits, Sandbox, SettingValue};
use inferenceguard_search::{
    Batch, BatchRow, BudgetState, Constraint, ConstraintMode, CostClip, Moment, Needs, Role, Tracked,
};
use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, LazyLock},
};

const ROLES: [(&str, Role); 5] = [
    ("rogue-policy", Role::Policy),
    ("rogue-tracker", Role::Tracker),
    ("rogue-cost", Role::Cost),
    ("rogue-critic", Role::Critic),
    ("rogue-steering", Role::Steering),
];
/// The most bytes that reach a component.
const LONGEST: usize = 4096;

static COMPONENTS: LazyLock<Vec<(Component, Role)>> = LazyLock::new(|| {
    let limits = Limits { fuel: 20_000_000, memory: 16 << 20, tensors: 4 << 20, instances: 8, ..Limits::default() };
    let sandbox = Sandbox::new(limits, None).expect("a sandbox");
    let load = |(name, role)| (sandbox.load(name, guests::rogue(name)).expect("a rogue loads"), role);
    ROLES.map(load).into()
});

/// The first byte chooses the role.
pub fn run(bytes: &[u8]) {
    let Some((role, rest)) = bytes.split_first() else { return };
    let (component, role) = &COMPONENTS[usize::from(*role) % ROLES.len()];
    let mut mode = "bytes:".to_owned();
    for byte in &rest[..rest.len().min(LONGEST)] {
        write!(mode, "{byte:02x}").expect("memory takes text");
    }
    let settings = BTreeMap::from([("mode".to_owned(), SettingValue::Text(mode))]);
    // What a component says of itself may be refused.
    let Ok(activation) = component.activate(&settings) else { return };
    let rows = rows(activation.needs());
    let failed = "the activation made an instance before";
    match role {
        Role::Policy => {
            let mut policy = activation.policy().expect(failed);
            let _ = (policy.plan(&rows), policy.select(&rows));
        }
        Role::Tracker => {
            let mut tracker = activation.tracker().expect(failed);
            let row = Tracked { state: BudgetState { z: 7.0, memory: vec![1.0] }, costs: vec![0.5, 2.0], ended: false };
            let _ = (tracker.start(&constraint()), tracker.advance(&constraint(), &[row.clone(), row]));
        }
        Role::Cost => drop(activation.cost().expect(failed).price(&rows)),
        Role::Critic => drop(activation.critic().expect(failed).estimate(&rows)),
        Role::Steering => drop(activation.steering().expect(failed).steer(&rows)),
        // No component plays it.
        Role::Model => {}
    }
}

fn constraint() -> Constraint {
    let (clip, mode) = (CostClip::Capped, ConstraintMode::Anytime);
    Constraint { name: "harm".to_owned(), budget: 10.0, gamma: 1.0, clip, mode }
}

fn rows(needs: &Needs) -> Batch {
    let moment = Moment { chunk: 2, attempt: 1, depth: 8, max_depth: 32, last: false, unranked: false };
    let row = |id| BatchRow {
        id,
        length: 8,
        tokens: vec![1, 2],
        text: "ab".to_owned(),
        text_ends: vec![1, 2],
        logprobs: vec![-0.5, -0.25],
        latent: Some([1.0, 0.5, -0.5, 2.0].into()),
        budgets: vec![BudgetState { z: 7.0, memory: vec![1.0] }],
        margins: vec![7.0],
        spent: vec![3.0],
        ..BatchRow::default()
    };
    Batch {
        moment,
        constraints: Arc::new([constraint()]),
        prompt: "How?".into(),
        needs: needs.clone(),
        rows: [row(1), row(2)].into(),
    }
}

/// Each role with small numbers, and with numbers at the limits.
pub fn seeds() -> Vec<Vec<u8>> {
    let small: Vec<u8> = (1..64).collect();
    let large: Vec<u8> = (1..64).map(|byte: u8| 255 - byte % 16).collect();
    // Lists of prices for each of two rows: as many as tokens, one too few, a hundred thousand, and numbers at the limits of f64.
    let [float, rows, tokens, endless] = [200_u8, 2, 2, 255];
    let price = |price: f64| [[float].as_slice(), &price.to_le_bytes()].concat();
    let numbers = [f64::MAX, f64::MIN, 5e-324, -0.0, f64::from_bits(0x7ff0_0000_dead_beef), f64::INFINITY].map(price);
    let pairs =
        numbers.iter().map(|number| [&[0, rows, tokens][..], number, number, &[tokens], number, number].concat());
    let lengths = [&[0, rows, 1, 96, tokens, 96, 96][..], &[0, rows, endless], &[0], &[15, 4, 104, 105]];
    let others = pairs.chain(lengths.map(<[u8]>::to_vec));
    let plain = [small, large].into_iter().chain(others).collect::<Vec<_>>();
    (0..5).flat_map(|role| plain.iter().map(move |bytes| [&[role], &bytes[..]].concat())).collect()
}
