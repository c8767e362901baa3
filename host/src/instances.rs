//! Waits for free instances of components: a request that finds none waits while other requests hold them.

use crate::{
    CancelToken, EngineError,
    gate::Gate,
    watched::{End, Watched},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long an activation waits for instances that requests hold.
const ACTIVATION: Duration = Duration::from_secs(60);

/// Whether a caller waits for instances that others hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It does.
    ForOthers,
    /// It holds some itself: two such callers would wait for each other for ever.
    Never,
}

/// Who holds instances.
#[derive(Default)]
struct Held {
    /// Requests that hold instances, and running attempts. Waiting requests are not counted.
    holders: usize,
    /// Holders that have ended so far.
    ended: u64,
}

/// Counts the holders of instances of an engine's components, and queues the callers that wait for some.
pub(crate) struct Instances {
    held: Arc<Watched<Held>>,
    /// Admits one waiting request at a time: two that each took half of the free instances would both fail.
    line: Gate,
}

/// Counts its owner among the holders of instances, until it is dropped.
pub(crate) struct Holder<'a>(&'a Watched<Held>);

impl Drop for Holder<'_> {
    fn drop(&mut self) {
        self.0.change(|held| {
            held.holders -= 1;
            held.ended += 1;
        });
    }
}

impl Instances {
    pub(crate) fn new() -> Self {
        Self { held: Arc::default(), line: Gate::new(1) }
    }

    /// The attempt of a request, see [`Instances::for_request`], repeated only where the caller may wait.
    pub(crate) fn take<T>(
        &self,
        wait: Wait,
        cancel: &CancelToken,
        attempt: impl Fn() -> Result<T, EngineError>,
    ) -> Result<(T, Holder<'_>), EngineError> {
        match wait {
            Wait::ForOthers => self.for_request(cancel, attempt),
            Wait::Never => self.try_once(&attempt),
        }
    }

    /// Repeats the attempt of a request until it succeeds, or until no holder is left whose end could free instances. Later
    /// requests wait behind it. Drop the instances first, then the holder.
    pub(crate) fn for_request<T>(
        &self,
        cancel: &CancelToken,
        attempt: impl Fn() -> Result<T, EngineError>,
    ) -> Result<(T, Holder<'_>), EngineError> {
        if self.line.counts() == (0, 0) {
            match self.try_once(&attempt) {
                Err(error) if error.may_succeed_later() => {}
                other => return other,
            }
        }
        let _first = self.line.enter(cancel)?;
        self.retried(attempt, End::Cancelled(cancel)).map_err(|error| {
            if error.may_succeed_later() && cancel.is_cancelled() { EngineError::CancelledWaiting } else { error }
        })
    }

    /// Repeats the attempt of an activation while requests run. It holds nothing afterwards.
    pub(crate) fn for_activation<T>(&self, attempt: impl Fn() -> Result<T, EngineError>) -> Result<T, EngineError> {
        let late = End::At(Instant::now() + ACTIVATION);
        // The first attempt does not queue: it compiles, and requests would wait for it.
        match self.try_once(&attempt) {
            Err(error) if error.may_succeed_later() => {}
            other => return other.map(|(made, _)| made),
        }
        let made = match self.line.enter_until(late) {
            Ok(_first) => self.retried(attempt, late),
            // Its turn did not come in time: one more attempt gives the error.
            Err(_) => self.try_once(&attempt),
        };
        made.map(|(made, _)| made)
    }

    /// Repeats an attempt, each time that a holder has ended, until it succeeds, fails for another reason, the wait ends, or
    /// there is no holder.
    fn retried<T>(
        &self,
        attempt: impl Fn() -> Result<T, EngineError>,
        end: End<'_>,
    ) -> Result<(T, Holder<'_>), EngineError> {
        loop {
            let before = self.held.lock().ended;
            let error = match self.try_once(&attempt) {
                Err(error) if error.may_succeed_later() => error,
                other => return other,
            };
            // The attempt was a holder too, and has ended.
            let freed = |held: &mut Held| match held.ended > before + 1 {
                true => Some(true),
                false => (held.holders == 0).then_some(false),
            };
            if self.held.wait(end, freed) != Some(true) {
                return Err(error);
            }
        }
    }

    /// One attempt, which counts as a holder from its start.
    fn try_once<T>(&self, attempt: impl Fn() -> Result<T, EngineError>) -> Result<(T, Holder<'_>), EngineError> {
        self.held.change(|held| held.holders += 1);
        let holder = Holder(&self.held);
        attempt().map(|made| (made, holder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_sandbox::SandboxError;
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    fn dry<T>() -> Result<T, EngineError> {
        Err(EngineError::Sandbox(SandboxError::PoolDry { component: "policy".into(), reason: "0 of 1".into() }))
    }

    #[test]
    fn those_who_only_wait_do_not_wait_for_each_other() {
        let instances = Instances::new();
        let ask = || instances.for_request(&CancelToken::new(), dry::<()>).map(drop);
        let ended = thread::scope(|scope| [scope.spawn(ask), scope.spawn(ask)].map(|one| one.join().unwrap()));
        assert!(ended.iter().all(|end| end.as_ref().is_err_and(EngineError::may_succeed_later)), "{ended:?}");
        assert!(instances.for_activation(dry::<()>).is_err_and(|error| error.may_succeed_later()));
    }

    #[test]
    fn a_newcomer_waits_behind_those_in_line() {
        let (instances, order) = (Instances::new(), Mutex::new(Vec::new()));
        let cancel = CancelToken::new();
        let ((), held) = instances.for_request(&cancel, || Ok(())).unwrap();
        let free = AtomicUsize::new(0);
        let comes = |name: &'static str| {
            order.lock().unwrap().push(name);
            Ok(())
        };
        let large = || if free.load(Ordering::SeqCst) == 0 { dry() } else { comes("large") };
        thread::scope(|scope| {
            scope.spawn(|| instances.for_request(&cancel, large).map(drop).unwrap());
            while instances.line.counts().0 == 0 {
                thread::yield_now();
            }
            scope.spawn(|| {
                instances.for_request(&cancel, || comes("small")).map(drop).unwrap();
            });
            while instances.line.counts().1 == 0 {
                thread::yield_now();
            }
            free.store(1, Ordering::SeqCst);
            drop(held);
        });
        assert_eq!(order.into_inner().unwrap(), ["large", "small"]);
        assert_eq!(instances.held.lock().holders, 0);
    }
}
