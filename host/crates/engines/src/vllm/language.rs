//! A language model on vLLM servers.

use super::{
    check::{Facts, LanguageCheck, same_name},
    engine::Core,
    latents::Latents,
};
use crate::{
    Fault, Local, Remote, RemoteError,
    engine::Side,
    fleet::Fleet,
    handle::{Sessions, back_end_of_core},
    identity::{identify, rounding},
    worker::Worker,
};
use inferenceguard_model::{Abilities, BackEnd, Drain, ModelInfo, ReplicaReport, ReplicaRole};
use std::sync::Arc;

/// A language model on one or more vLLM servers, each with the same weights.
pub struct Vllm {
    core: Arc<Core>,
    rounding: f64,
    sessions: Sessions,
}

impl Vllm {
    /// Connects to the servers and checks each: engine and version, model, tokenizer, probe, and whether the plugin for penalties
    /// by offset is there. `latents` is a second set of servers with the same weights, which pool `token_embed`.
    ///
    /// # Errors
    /// A server that is not what it should be; no server that answers.
    pub fn connect(remote: &Remote, local: Local, latents: Option<&Remote>) -> Result<Self, RemoteError> {
        let worker = Worker::new()?;
        let here = |fault: Fault| fault.at("(this side)");
        let check = LanguageCheck::new(remote, &local).map_err(here)?;
        let (fleet, facts) = Fleet::start(&worker, remote, check, Fleet::agree)?;
        let abilities = abilities(&facts, latents.is_some());
        let info = info(remote, &local, &facts, &abilities, &fleet.names());
        let latents = latents.map(|remote| Latents::connect(&worker, remote, &local, info.context)).transpose()?;
        let (live, names) = (Arc::default(), fleet.names());
        let side = Side { local, info, abilities, model: facts.model, live, worker, names };
        let core = Core { fleet, latents, side };
        let rounding = rounding(&remote.precision);
        Ok(Self { core: Arc::new(core), rounding, sessions: Sessions::new() })
    }
}

/// What all replicas can do. They must serve the model under one name.
fn common(found: Vec<Facts>) -> Result<Facts, Fault> {
    let mut found = found.into_iter();
    let first = found.next().ok_or(Fault::Cancelled)?;
    found.try_fold(first, |all, one| {
        same_name(&all.model, &one.model)?;
        Ok(Facts {
            context: all.context.min(one.context),
            penalties: all.penalties && one.penalties,
            likeliest: all.likeliest.min(one.likeliest),
            ..all
        })
    })
}

impl Fleet<LanguageCheck> {
    /// What all replicas can do at the start; later checks expect the same.
    fn agree(&self, found: Vec<Facts>) -> Result<Facts, Fault> {
        let all = common(found)?;
        // Set once: at the start.
        drop(self.check().expected.set(all.clone()));
        Ok(all)
    }
}

fn abilities(facts: &Facts, latents: bool) -> Abilities {
    Abilities {
        engine: format!("vllm {}", facts.version),
        penalties: facts.penalties,
        logits: false,
        likeliest: facts.likeliest,
        latents,
        layers: false,
        token_latents: false,
        steering: false,
        forced: true,
        repeats: false,
    }
}

/// What the folder says, with what is known of the engine in place of the weights.
fn info(remote: &Remote, local: &Local, facts: &Facts, abilities: &Abilities, names: &str) -> ModelInfo {
    let mut info = local.info.clone();
    info.context = info.context.min(facts.context);
    info.fingerprint = identify(&mut info.parts, &info.name, remote, &abilities.engine, names);
    info
}

impl BackEnd for Vllm {
    back_end_of_core!();

    fn broken(&self) -> Option<String> {
        let latents = || self.core.latents.as_ref().and_then(Latents::broken);
        self.core.fleet.broken().or_else(latents)
    }

    fn replicas(&self) -> Vec<ReplicaReport> {
        let Core { fleet, latents, side } = &*self.core;
        let latents = latents.iter().flat_map(|latents| latents.fleet().report(ReplicaRole::Latents, &side.info.name));
        fleet.report(ReplicaRole::Language, &side.info.name).into_iter().chain(latents).collect()
    }

    fn drain(&self, url: &str, drained: bool) -> Drain {
        match (self.core.fleet.drain(url, drained), &self.core.latents) {
            (Drain::Unknown, Some(latents)) => latents.fleet().drain(url, drained),
            (done, _) => done,
        }
    }
}
