//! A language model on llama.cpp's server.

use super::{
    CHECKS, LIKELIEST,
    check::{Facts, ServerCheck},
    engine::Core,
    slots::Slots,
};
use crate::{
    Fault, Local, Remote, RemoteError,
    engine::Side,
    fleet::Fleet,
    handle::{Sessions, back_end_of_core},
    identity::{identify, rounding, unique},
    worker::Worker,
};
use inferenceguard_model::{Abilities, BackEnd, Drain, ReplicaReport, ReplicaRole};
use std::sync::Arc;

/// A language model on one llama.cpp server. Others that use the same server take slots away, and with them what was read there.
pub struct LlamaCpp {
    core: Arc<Core>,
    rounding: f64,
    sessions: Sessions,
}

impl LlamaCpp {
    /// Connects to the server and checks it: tokenizer, probe, slots.
    ///
    /// # Errors
    /// A server that does not answer or is not what it should be; more than one URL, because slots belong to a server.
    pub fn connect(remote: &Remote, local: Local) -> Result<Self, RemoteError> {
        if remote.endpoints.len() > 1 {
            let reason = "llama.cpp's slots are managed on one server; name one URL".to_owned();
            return Err(Fault::Setup { reason }.at("(several URLs)"));
        }
        let worker = Worker::new()?;
        let check = ServerCheck::new(remote, &local).map_err(|fault| fault.at("(this side)"))?;
        let (fleet, facts) = Fleet::start(&worker, remote, check, |fleet, found| fleet.check().agree(found))?;
        let (abilities, names) = (abilities(&facts, local.info.vocab), fleet.names());
        let mut info = local.info.clone();
        info.context = info.context.min(facts.context);
        info.fingerprint = identify(&mut info.parts, &info.name, remote, &abilities.engine, &names);
        let side = Side { model: info.name.clone(), local, info, abilities, live: Arc::default(), worker, names };
        let (slots, saves, process) = (Slots::new(rows(&facts, remote)), facts.saves, unique());
        let core = Arc::new(Core { fleet, side, slots, saves, process });
        Ok(Self { core, rounding: rounding(&remote.precision), sessions: Sessions::new() })
    }
}

/// The slots that rows have: all but the one for checks.
fn rows(facts: &Facts, remote: &Remote) -> usize {
    facts.slots.saturating_sub(CHECKS + 1).min(remote.places).max(1)
}

fn abilities(facts: &Facts, vocab: usize) -> Abilities {
    Abilities {
        engine: format!("llama.cpp {}", facts.build),
        penalties: false,
        logits: false,
        likeliest: LIKELIEST.min(vocab as u32),
        latents: false,
        layers: false,
        token_latents: false,
        steering: false,
        forced: false,
        repeats: false,
    }
}

impl BackEnd for LlamaCpp {
    back_end_of_core!();

    fn broken(&self) -> Option<String> {
        self.core.fleet.broken()
    }

    fn replicas(&self) -> Vec<ReplicaReport> {
        self.core.fleet.report(ReplicaRole::Language, &self.core.side.info.name)
    }

    fn drain(&self, url: &str, drained: bool) -> Drain {
        self.core.fleet.drain(url, drained)
    }
}
