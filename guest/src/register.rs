//! From an author's type to a component's exports.
//!
//! A registration macro declares one hidden type with a slot for the configured value (an instance is configured once
//! and lives in one wasm instance, so the slot is not shared with anything). [`Registration`] is that type; here it gets
//! the exports of its role.

use crate::bindings::common::{batch::Batch, types as wit};
use crate::bindings::setup::exports::inferenceguard::guard::setup as out;
use crate::bindings::{cost, critic, policy, steering, tracker};
use crate::convert::listed;
use crate::host::{HostBatch, HostDense};
use crate::{
    BatchCost, CostGrain, CostKind, Critic, Decision, LatentSelector, Plan, Policy, Pricing, Role, RoleError, Settings,
    Setup,
};
use crate::{Source, Steered, Steering, Tracked, Tracker, Value, log};

/// What a registration macro implements. Not for use by hand.
#[doc(hidden)]
pub trait Registration: 'static {
    /// The author's type.
    type Role: Setup + 'static;
    /// The role it registers for.
    const KIND: Role;
    /// Declares a need that the contract takes by a call of `dense`. A role without `dense` panics.
    fn declare_token_latents(place: LatentSelector);
    /// Gives the slot of the configured value.
    fn slot<R>(then: impl FnOnce(&mut Option<Self::Role>) -> R) -> R;
}

/// Calls the configured value; a component that was never configured answers with an error.
fn call<T: Registration, R>(then: impl FnOnce(&mut T::Role) -> Result<R, RoleError>) -> Result<R, wit::RoleError> {
    T::slot(|slot| match slot {
        Some(role) => then(role).map_err(wit::RoleError::from),
        None => Err(wit::RoleError::Failed("called before `configure`; call `configure` first".to_owned())),
    })
}

/// Reads something that cannot fail from the configured value.
fn ask<T: Registration, R>(then: impl FnOnce(&T::Role) -> R) -> R {
    T::slot(|slot| match slot {
        Some(role) => then(role),
        None => panic!("called before `configure`; call `configure` first"),
    })
}

impl<T: Registration> out::Guest for T {
    fn describe() -> out::Description {
        let description = T::Role::describe();
        let settings = description.settings.into_iter();
        let settings = settings.map(|one| out::Setting { name: one.name, default: one.default.into(), help: one.help });
        out::Description {
            name: description.name,
            version: description.version,
            role: T::KIND.into(),
            summary: description.summary,
            settings: settings.collect(),
        }
    }

    fn configure(given: Vec<(String, wit::Value)>) -> Result<(), String> {
        log::report_panics();
        let given = given.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
        let role = T::Role::configure(&Settings::over_defaults(&T::Role::describe(), given)?)?;
        T::slot(|slot| *slot = Some(role));
        Ok(())
    }

    fn needs() -> Vec<wit::Need> {
        let listed = |need| listed(need).map_err(T::declare_token_latents).ok();
        ask::<T, _>(|role| role.needs().into_iter().filter_map(listed).collect())
    }
}

mod policy_exports {
    use super::{Batch, Decision, HostBatch, Plan, Policy, Pricing, Registration, Source, call, policy, wit};
    use policy::exports::inferenceguard::guard::policy as out;

    impl<T: Registration<Role: Policy>> out::Guest for T {
        fn plan(rows: &Batch) -> Result<out::ChunkPlan, wit::RoleError> {
            call::<T, _>(|role| role.plan(&HostBatch(rows)).map(planned))
        }

        fn select(rows: &Batch) -> Result<out::Decision, wit::RoleError> {
            call::<T, _>(|role| role.select(&HostBatch(rows)).map(decided))
        }
    }

    fn planned(plan: Plan) -> out::ChunkPlan {
        let counts = [("retry-candidates", plan.retry_candidates), ("keep", plan.keep)];
        let option = |(name, count): (&str, Option<u32>)| Some((name.to_owned(), wit::Value::Integer(count?.into())));
        out::ChunkPlan {
            candidates: plan.candidates,
            chunk_len: plan.chunk_len,
            source: match plan.source {
                Source::Sample => out::Source::Sample,
                Source::Expand(k) => out::Source::Expand(k),
            },
            pricing: match plan.pricing {
                Pricing::All => out::Pricing::All,
                Pricing::OnDemand => out::Pricing::OnDemand,
            },
            task_cost: plan.task_cost,
            estimate: plan.estimate,
            options: counts.into_iter().filter_map(option).collect(),
        }
    }

    fn decided(decision: Decision) -> out::Decision {
        match decision {
            Decision::Keep(rows) => out::Decision::Keep(rows),
            Decision::Price(rows) => out::Decision::Price(rows),
            Decision::Retry(retry) => {
                out::Decision::Retry(out::Retry { penalty: retry.penalty, max_mass: retry.max_mass })
            }
            Decision::Answer(row) => out::Decision::Answer(row),
            Decision::Exhausted => out::Decision::Exhausted,
        }
    }
}

mod tracker_exports {
    use super::{Registration, Tracked, Tracker, call, tracker, wit};
    use tracker::exports::inferenceguard::guard::tracker as out;

    impl<T: Registration<Role: Tracker>> out::Guest for T {
        fn start(constraint: wit::Constraint) -> Result<wit::BudgetState, wit::RoleError> {
            call::<T, _>(|role| role.start(&constraint.into()).map(wit::BudgetState::from))
        }

        fn advance(constraint: wit::Constraint, rows: Vec<out::Tracked>) -> Result<Vec<out::Advanced>, wit::RoleError> {
            let constraint = constraint.into();
            let one = |role: &mut T::Role, row: out::Tracked| {
                let row = Tracked { state: row.state.into(), costs: row.costs, ended: row.ended };
                let advanced = role.advance(&constraint, row)?;
                Ok(out::Advanced { state: advanced.state.into(), safe: advanced.safe, trace: advanced.trace })
            };
            call::<T, _>(|role| rows.into_iter().map(|row| one(role, row)).collect())
        }
    }
}

mod critic_exports {
    use super::{Batch, Critic, HostBatch, HostDense, Registration, call, critic, wit};
    use critic::exports::inferenceguard::guard::critic as out;

    impl<T: Registration<Role: Critic>> out::Guest for T {
        fn estimate(rows: &Batch) -> Result<Vec<wit::Estimate>, wit::RoleError> {
            call::<T, _>(|role| {
                let estimates = role.estimate(&HostBatch(rows), &HostDense(rows))?;
                Ok(estimates.into_iter().map(wit::Estimate::from).collect())
            })
        }
    }
}

mod cost_exports {
    use super::{Batch, BatchCost, CostGrain, CostKind, HostBatch, HostDense, Registration, ask, call, cost, wit};
    use cost::exports::inferenceguard::guard::cost as out;

    impl<T: Registration<Role: BatchCost>> out::Guest for T {
        fn kind() -> out::CostKind {
            match ask::<T, _>(BatchCost::kind) {
                CostKind::Safety => out::CostKind::Safety,
                CostKind::Task => out::CostKind::Task,
            }
        }

        fn grain() -> out::CostGrain {
            match ask::<T, _>(BatchCost::grain) {
                CostGrain::Token => out::CostGrain::Token,
                CostGrain::Chunk => out::CostGrain::Chunk,
            }
        }

        fn price(rows: &Batch) -> Result<Vec<Vec<f64>>, wit::RoleError> {
            call::<T, _>(|role| role.price_all(&HostBatch(rows), &HostDense(rows)))
        }
    }
}

mod steering_exports {
    use super::{Batch, HostBatch, HostDense, Registration, RoleError, Steered, Steering, call, steering, wit};
    use steering::exports::inferenceguard::guard::steering as out;

    impl<T: Registration<Role: Steering>> out::Guest for T {
        fn steer(rows: &Batch) -> Result<out::Steered, wit::RoleError> {
            call::<T, _>(|role| steered(role.steer(&HostBatch(rows), &HostDense(rows))?))
        }
    }

    fn steered(steered: Steered) -> Result<out::Steered, RoleError> {
        Ok(match steered {
            Steered::Unchanged => out::Steered::Unchanged,
            Steered::Rows(edits) => {
                out::Steered::Rows(edits.into_iter().map(|(row, latent)| out::Edit { row, latent }).collect())
            }
            Steered::All(tensor) => out::Steered::All(tensor.into_device()?),
        })
    }
}

/// Declares latents of tokens for roles that import `dense`. Not for use by hand.
#[doc(hidden)]
pub fn dense_declares(place: LatentSelector) {
    crate::host::declare_token_latents(place);
}

/// Refuses to, for the other roles. Not for use by hand.
#[doc(hidden)]
pub fn nothing_declares(place: LatentSelector) {
    panic!("found the need for token latents of {place:?}; expected needs of a role that reads latents");
}

/// The part the registration macros share. Not for use by hand.
#[doc(hidden)]
#[macro_export]
macro_rules! __register {
    ($role:ty, $kind:ident, $world:ident, $export:ident, $declares:ident) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            ::std::thread_local! {
                static CONFIGURED: ::std::cell::RefCell<::core::option::Option<$role>> =
                    const { ::std::cell::RefCell::new(None) };
            }

            struct Registered;

            impl $crate::Registration for Registered {
                type Role = $role;
                const KIND: $crate::Role = $crate::Role::$kind;
                fn declare_token_latents(place: $crate::LatentSelector) {
                    $crate::$declares(place);
                }
                fn slot<R>(then: impl FnOnce(&mut Option<$role>) -> R) -> R {
                    CONFIGURED.with(|slot| then(&mut slot.borrow_mut()))
                }
            }

    $crate::bindings::setup::export_setup!(Registered with_types_in $crate::bindings::setup);
    $crate::bindings::$world::$export!(Registered with_types_in $crate::bindings::$world);
        };
    };
}

/// Makes the crate a policy component: `register_policy!(MyPolicy);`. Does nothing outside wasm.
#[macro_export]
macro_rules! register_policy {
    ($role:ty) => {
        $crate::__register!($role, Policy, policy, export_policy, nothing_declares);
    };
}

/// Makes the crate a tracker component: `register_tracker!(MyTracker);`. Does nothing outside wasm.
#[macro_export]
macro_rules! register_tracker {
    ($role:ty) => {
        $crate::__register!($role, Tracker, tracker, export_tracker, nothing_declares);
    };
}

/// Makes the crate a critic component: `register_critic!(MyCritic);`. Does nothing outside wasm.
#[macro_export]
macro_rules! register_critic {
    ($role:ty) => {
        $crate::__register!($role, Critic, critic, export_critic, dense_declares);
    };
}

/// Makes the crate a cost component: `register_cost!(MyCost);`. Does nothing outside wasm.
#[macro_export]
macro_rules! register_cost {
    ($role:ty) => {
        $crate::__register!($role, Cost, cost, export_cost, dense_declares);
    };
}

/// Makes the crate a steering component: `register_steering!(MySteering);`. Does nothing outside wasm.
#[macro_export]
macro_rules! register_steering {
    ($role:ty) => {
        $crate::__register!($role, Steering, steering, export_steering, dense_declares);
    };
}
