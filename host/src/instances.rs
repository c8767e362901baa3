//! Waits for instances of components: a request whose components find no room waits while others hold it.

use crate::{CancelToken, EngineError, gate::Gate};
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// How long one who waits sleeps between two tries.
const LOOK: Duration = Duration::from_millis(10);
/// How long the instances of an attempt, or of a request that has just ended, may still be held.
const MOMENT: Duration = Duration::from_secs(1);
/// How long an activation waits for instances that requests hold.
const ACTIVATION: Duration = Duration::from_secs(60);

/// Tries for a request that has its place at the gate, until there is room or nobody is left who could make some.
pub(crate) fn for_request<T>(
    gate: &Gate,
    cancel: &CancelToken,
    attempt: impl Fn() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    // One after the other: two that take half of what is free each would both find too little.
    let mut turn = None;
    let mut alone = Instant::now();
    loop {
        let error = match attempt() {
            Err(error) if error.is_dry() => error,
            other => return other,
        };
        while turn.is_none() {
            if cancel.is_cancelled() {
                return Err(EngineError::CancelledWaiting);
            }
            turn = gate.try_turn();
            if turn.is_none() {
                sleep(LOOK);
            }
        }
        if gate.counts().0 > 1 {
            alone = Instant::now();
        }
        if alone.elapsed() > MOMENT {
            return Err(error);
        }
        if cancel.is_cancelled() {
            return Err(EngineError::CancelledWaiting);
        }
        sleep(LOOK);
    }
}

/// Tries for an activation, while requests are under way.
pub(crate) fn for_activation<T>(gate: &Gate, attempt: impl Fn() -> Result<T, EngineError>) -> Result<T, EngineError> {
    let (start, mut idle) = (Instant::now(), Instant::now());
    loop {
        let error = match attempt() {
            Err(error) if error.is_dry() => error,
            other => return other,
        };
        if gate.counts().0 > 0 {
            idle = Instant::now();
        }
        if idle.elapsed() > MOMENT || start.elapsed() > ACTIVATION {
            return Err(error);
        }
        sleep(LOOK);
    }
}
