//! Whole requests on scripted models: no answer `within_budget` breaks its budget, with any method, retries, forks, ends,
//! fallbacks and failures.
//!
//! First-party components play natively, so that a hundred thousand trajectories take seconds; `sandboxed.rs` plays some of
//! the same requests in the sandbox.

mod broken;
mod case;
mod cast;
mod config;
mod native;
mod reprice;
mod rogue;
mod sandboxed;
mod script;
mod verdict;

use case::{Case, Player};
use inferenceguard_host::methods::Methods;
use std::sync::LazyLock;
use verdict::Tally;

/// Plays `count` cases of every player, from seeds of their own.
fn play(players: &[Player], count: u64, broken: bool) -> Tally {
    let mut tally = Tally::default();
    for (which, player) in (1_u64..).zip(players) {
        for i in 0..count {
            let seed = (which << 32) + i + if broken { 1 << 48 } else { 0 };
            tally.add(&Case::draw(seed, *player, broken));
        }
    }
    tally
}

fn methods(guarded: bool) -> Vec<Player> {
    let chosen = played().filter(|name| is_guarded(name) == guarded);
    chosen.map(Player::Method).collect()
}

/// The methods that every engine knows.
pub(crate) static TABLE: LazyLock<Methods> = LazyLock::new(Methods::default);

/// Methods whose decisions are all the policy's: no steering, and no forced expansion, which `Player::Forced` plays.
fn played() -> impl Iterator<Item = &'static str> {
    let plays = |name: &&str| {
        TABLE.find(name).is_ok_and(|method| method.steering.is_none() && method.policy.component != "args")
    };
    TABLE.names().filter(plays)
}

/// Whether a method lets only safe beams through.
fn is_guarded(name: &str) -> bool {
    name.ends_with("+augmented") || name.starts_with("inference-guard")
}

#[test]
fn methods_without_a_guard_never_call_a_broken_budget_kept() {
    let tally = play(&methods(false), 1_500, false);
    tally.demand(&[("within", 1_500), ("exceeded", 2_000), ("eos", 2_000), ("stop", 300), ("length", 1_000)]);
    tally.demand(&[("released early", 60), ("trajectories", 60_000)]);
}

#[test]
fn guarded_methods_answer_within_budget() {
    let tally = play(&methods(true), 3_000, false);
    tally.demand(&[
        ("within", 5_000),
        ("exceeded", 500),
        ("refused", 500),
        ("eos", 3_000),
        ("stop", 300),
        ("length", 800),
    ]);
    tally.demand(&[
        ("retried", 1_000),
        ("stepped back", 50),
        ("released early", 300),
        ("plainly released early", 50),
        ("trajectories", 120_000),
    ]);
}

#[test]
fn no_policy_whatever_it_does_gets_a_broken_budget_called_kept() {
    let tally = play(&[Player::Rogue, Player::Forced], 2_500, false);
    tally.demand(&[("within", 2_000), ("exceeded", 500), ("refused", 300), ("failed", 250), ("stepped back", 100)]);
    tally.demand(&[("withheld", 100)]);
}

#[test]
fn components_that_fail_or_lie_never_make_an_answer_safe() {
    let players = [methods(true), methods(false), vec![Player::Rogue, Player::Forced]].concat();
    let tally = play(&players, 800, true);
    tally.demand(&[("within", 1_000), ("refused", 200), ("withheld", 300), ("failed", 2_000)]);
    tally.demand(&[("lied to", 1_000), ("no answer", 50)]);
}
