//! Holds a running request to bundles that are activated while it runs.

use crate::{
    CancelToken, Engine, EngineError, Migration, Request, Terms,
    conversation::{Spent, allowed_budget, left_of},
    deployment::{Deployment, Ready},
    driver::{Driver, More},
    instances::Wait,
    request::margin,
};
use inferenceguard_model::Caller;
use inferenceguard_search::{CostInfo, PricedConstraint, RoleFailure, SearchError, Session};
use std::{collections::BTreeMap, sync::Arc};

/// One request, and the newest bundle of its lane that it has seen.
pub(crate) struct Migrator<'e> {
    engine: &'e Engine,
    request: &'e Request,
    terms: &'e Terms,
    newest: u64,
    /// The generations that decided, oldest first.
    pub(crate) generations: Vec<u64>,
    /// The bundles of all but the first of them.
    pub(crate) migrations: Vec<Migration>,
    /// Components of all but the first of them that failed on earlier turns of the conversation.
    pub(crate) failures: Vec<RoleFailure>,
}

impl<'e> Migrator<'e> {
    /// `terms` are the operator's, before anything is taken from them.
    pub(crate) fn new(engine: &'e Engine, deployment: &Deployment, request: &'e Request, terms: &'e Terms) -> Self {
        let newest = deployment.generation;
        let (generations, migrations, failures) = (vec![newest], Vec::new(), Vec::new());
        Self { engine, request, terms, newest, generations, migrations, failures }
    }

    /// Adds the constraints of the bundle that is active now, if that is new and the request migrates.
    ///
    /// # Errors
    /// Where no instance of the new bundle's components is free ([`EngineError::may_succeed_later`]), or where its earlier turns
    /// cannot be priced. The request ends with the error, although its own bundle could go on: the new one would not hold.
    pub(crate) fn catch_up(
        &mut self,
        session: &mut Session,
        driver: &mut Driver<'_>,
        cancel: &CancelToken,
    ) -> Result<(), EngineError> {
        if !self.terms.migrate {
            return Ok(());
        }
        let lanes = self.engine.lanes();
        // Where a lane was closed, such as a canary's, requests belong to the main lane.
        let next = lanes.get(self.terms.lane.as_deref()).unwrap_or_else(|_| lanes.main());
        if next.generation == self.newest {
            return Ok(());
        }
        self.newest = next.generation;
        match self.tighten(&next, session, driver, cancel) {
            // The new costs cannot price the text so far: the request ends under the bundle that it began with.
            Err(EngineError::Search(SearchError::Config { .. })) => Ok(()),
            // It ends with what was released.
            Err(EngineError::CancelledWaiting) => Ok(()),
            other => other,
        }
    }

    fn tighten(
        &mut self,
        next: &Arc<Deployment>,
        session: &mut Session,
        driver: &mut Driver<'_>,
        cancel: &CancelToken,
    ) -> Result<(), EngineError> {
        let method = next.default_method();
        let ready = next.method(method)?;
        let infos = infos(next, ready);
        let handles = self.engine.handles(&Caller::default());
        let margin = margin(&next.config, &ready.info, next.networks_rounding, &handles);
        drop(handles);
        // What cannot price the text so far is refused before it prices earlier turns.
        session.may_tighten(self.constraints(next, &Spent::new()), infos.clone(), margin)?;
        let (spent, failures) =
            self.engine.price_history(next, &self.request.history, self.terms, Wait::Never, cancel)?;
        let constraints = self.constraints(next, &spent);
        let names = constraints.iter().map(|one| one.constraint.name.clone()).collect();
        // Instances may have run out: the session must not know constraints of a migration that does not happen.
        let roles = ready.roles.open()?;
        session.tighten(constraints, infos, margin)?;
        let costs = roles.costs.into_iter().map(|(name, cost)| (named(next, &name), cost)).collect();
        driver.more.push(More { constraints: names, tracker: roles.tracker, costs });
        self.generations.push(next.generation);
        let (number, bundle, method) = (next.generation, next.identity.clone(), method.to_owned());
        self.migrations.push(Migration { number, bundle, method });
        self.failures.extend(failures);
        Ok(())
    }

    /// The constraints of a bundle, each under a name of its own, no looser than the request asked for, and without what earlier
    /// turns spent.
    fn constraints(&self, next: &Deployment, spent: &Spent) -> Vec<PricedConstraint> {
        let renamed = |one: &PricedConstraint| {
            let mut renamed = one.clone();
            let (name, budget) = (&one.constraint.name, one.constraint.budget);
            renamed.constraint.budget = left_of(allowed_budget(budget, name, self.request, self.terms), name, spent);
            (renamed.constraint.name, renamed.cost) = (named(next, name), named(next, &one.cost));
            renamed
        };
        next.config.constraints.iter().map(renamed).collect()
    }
}

/// The name of a constraint or a cost in a request that began with another bundle.
fn named(next: &Deployment, name: &str) -> String {
    format!("{name}@{}", next.generation)
}

/// The costs that price the constraints of a bundle.
fn infos(next: &Deployment, ready: &Ready) -> BTreeMap<String, CostInfo> {
    let used = |cost: &str| next.config.constraints.iter().any(|one| one.cost == cost);
    let infos = ready.info.costs.iter().filter(|(name, _)| used(name));
    infos.map(|(name, info)| (named(next, name), info.clone())).collect()
}
