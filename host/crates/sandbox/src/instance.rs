//! One instance and the way into it: fuel, deadline and batch are set before every call, the outcome is typed after it.

use crate::{
    Limits, SandboxError,
    bindings::exports::inferenceguard::guard::setup,
    bindings::inferenceguard::guard::types::{Need, RoleError},
    clock::Clock,
    convert,
    dense_state::DenseState,
    sandbox::Sandbox,
    state::{BatchHandle, State},
};
use inferenceguard_model::{LatentSelector, dense::Networks};
use inferenceguard_search::{Batch, FailureKind, Role, RoleFailure};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use wasmtime::{
    PoolConcurrencyLimitError, Store, Trap,
    component::{Instance, InstancePre, Resource},
};

/// What the role reads: as it lists it, and the places of token latents that it declares meanwhile.
pub(crate) fn needs(
    store: &mut Store<State>,
    setup: &setup::Guest,
) -> wasmtime::Result<(Vec<Need>, Vec<LatentSelector>)> {
    store.data_mut().declared = Some(Vec::new());
    let listed = setup.call_needs(&mut *store);
    let declared = store.data_mut().declared.take().unwrap_or_default();
    Ok((listed?, declared))
}

/// A store with one component instance in it.
pub(crate) struct Guest {
    pub(crate) store: Store<State>,
    role: Role,
    /// Something went wrong: it is not asked again.
    dead: bool,
    /// Fuel used by the newest call.
    pub(crate) used: u64,
    /// Fuel used by all calls of the sandbox.
    total: Arc<AtomicU64>,
}

impl Guest {
    /// A fresh instance, not configured.
    pub(crate) fn start(
        sandbox: &Sandbox,
        component: &Arc<str>,
        role: Role,
        pre: &InstancePre<State>,
        networks: Arc<Networks>,
    ) -> Result<(Self, Instance), SandboxError> {
        let state = State::new(Arc::clone(component), sandbox.shared_limits(), DenseState::new(networks));
        let mut store = Store::new(sandbox.engine(), state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(usize::try_from(sandbox.limits().output).unwrap_or(usize::MAX));
        let mut guest = Self { store, role, dead: false, used: 0, total: sandbox.fuel_counter() };
        guest.arm();
        match pre.instantiate(&mut guest.store) {
            Ok(instance) => Ok((guest, instance)),
            Err(error) => Err(guest.not_started(&error)),
        }
    }

    fn not_started(&self, error: &wasmtime::Error) -> SandboxError {
        let component = self.component();
        if let Some(dry) = error.downcast_ref::<PoolConcurrencyLimitError>() {
            return SandboxError::PoolDry { component, reason: dry.to_string() };
        }
        SandboxError::Failed { component, function: "start", kind: self.kind(error) }
    }

    pub(crate) fn component(&self) -> String {
        self.store.data().component.to_string()
    }

    fn limits(&self) -> &Limits {
        &self.store.data().limits
    }

    fn arm(&mut self) {
        let (fuel, millis) = (self.limits().fuel, self.limits().deadline_ms);
        self.store.data_mut().dense.work = 0;
        // Fails only when fuel is off, and then every call is refused by the deadline at the latest.
        drop(self.store.set_fuel(fuel));
        self.store.set_epoch_deadline(Clock::ticks(millis));
    }

    /// Calls a function that gives a plain value.
    pub(crate) fn raw<T>(
        &mut self,
        call: impl FnOnce(&mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, FailureKind> {
        if self.dead {
            return Err(FailureKind::Dead);
        }
        self.arm();
        let result = call(&mut self.store);
        let left = self.store.get_fuel().unwrap_or(0);
        self.used = self.limits().fuel.saturating_sub(left) + self.store.data().dense.work;
        self.total.fetch_add(self.used, Ordering::Relaxed);
        self.store.data_mut().batch = None;
        // A wrong read weighs more than whatever came of it.
        let result = match self.store.data_mut().bad_read.take() {
            Some(found) => Err(FailureKind::Read { found }),
            None => result.map_err(|error| self.kind(&error)),
        };
        self.dead = result.is_err();
        result
    }

    /// Calls a function of the role.
    pub(crate) fn call<T>(
        &mut self,
        call: impl FnOnce(&mut Store<State>) -> wasmtime::Result<Result<T, RoleError>>,
    ) -> Result<T, RoleFailure> {
        let outcome = self
            .raw(call)
            .and_then(|answer| answer.map_err(|error| FailureKind::Refused(convert::role_error_text(&error))));
        self.dead |= outcome.is_err();
        outcome.map_err(|kind| RoleFailure { role: self.role, component: self.component(), kind })
    }

    /// Calls a function of the role on rows, which it can read until it returns.
    pub(crate) fn call_on<T>(
        &mut self,
        rows: &Batch,
        call: impl FnOnce(&mut Store<State>, Resource<BatchHandle>) -> wasmtime::Result<Result<T, RoleError>>,
    ) -> Result<T, RoleFailure> {
        if !self.dead {
            self.store.data_mut().batch = Some(rows.clone());
        }
        self.call(|store| call(store, Resource::new_borrow(0)))
    }

    fn kind(&self, error: &wasmtime::Error) -> FailureKind {
        let limits = self.limits();
        if self.store.data().over_memory {
            return FailureKind::Memory { limit: limits.memory };
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => FailureKind::OutOfFuel { limit: limits.fuel },
            Some(Trap::Interrupt) => FailureKind::Deadline { millis: limits.deadline_ms },
            Some(Trap::StackOverflow) => FailureKind::Trap("stack overflow (it recursed too deep)".to_owned()),
            Some(trap) => FailureKind::Trap(self.with_newest_line(&trap.to_string())),
            None => self.untrapped(error),
        }
    }

    fn untrapped(&self, error: &wasmtime::Error) -> FailureKind {
        let text = format!("{error:#}");
        // The engine's error has no public type.
        if text.contains("fuel allocated for hostcalls") {
            let limit = self.limits().output;
            let expected = format!("at most {limit} bytes in all (limit `output`)");
            return FailureKind::BadOutput { found: "lists or texts that are too large".to_owned(), expected };
        }
        FailureKind::Trap(self.with_newest_line(&text))
    }

    fn with_newest_line(&self, text: &str) -> String {
        match self.store.data().log.newest() {
            Some(line) => format!("{text}; its newest log line: {line}"),
            None => text.to_owned(),
        }
    }
}
