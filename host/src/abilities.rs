//! Checks that an engine can do what the roles of a method need. Nothing is degraded in silence: what it cannot do is refused
//! with the name of the role, when the bundle is activated or at the latest when a role asks for it.

use crate::{EngineError, back_ends, deployment::Ready, probe, roles::readers};
use inferenceguard_model::{Abilities, Growth, LatentSelector, SampleRequest, Token};
use inferenceguard_search::{Needs, Role, SearchConfig, Source};

/// A missing ability: the role's need and the remedy.
pub(crate) struct Lack {
    need: String,
    remedy: &'static str,
}

impl Lack {
    fn new(need: impl Into<String>, remedy: &'static str) -> Self {
        Self { need: need.into(), remedy }
    }

    fn of(self, (method, role, component): (&str, Role, &str), abilities: &Abilities) -> EngineError {
        let (method, component) = (method.to_owned(), component.to_owned());
        let Self { need, remedy } = self;
        EngineError::Unable { method, role, component, need, engine: back_ends::engine(&abilities.engine), remedy }
    }
}

const LOWERS: &str = "lowers tokens of failed candidates in a retry";

const LOGITS: &str = "use a component that reads fewer numbers, or an engine that gives logits";
const LIKELIEST: &str = "lower that number in the component's settings, or allow more in the engine's";
const LATENTS: &str = "use an engine that gives latents, or a component that reads scores in their place";
const TOKEN_LATENTS: &str = "use the built-in engine, or a cost that reads scores or the latent at the end of a chunk";
const STEERING: &str = "use a method without steering, or the built-in engine";
const PENALTIES: &str = "switch the policy's retries or their penalty off, or add to the engine what lowers tokens by their place in a chunk";

/// Whether the engine gives what the roles of a method declared to read, steers if one steers, and serves what the policy
/// asks for on made-up rows.
pub(crate) fn check(
    method: &str,
    ready: &Ready,
    config: &SearchConfig,
    vocab: usize,
    abilities: &Abilities,
) -> Result<(), EngineError> {
    for (role, component, needs) in readers(&ready.info) {
        if let Some(lack) = lack(needs, vocab, abilities) {
            return Err(lack.of((method, role, component), abilities));
        }
    }
    if ready.info.steering.is_some() && !abilities.steering {
        return Err(Lack::new("edits latents", STEERING).of((method, Role::Steering, "steering"), abilities));
    }
    check_policy(method, ready, config, vocab, abilities)
}

fn lack(needs: &Needs, vocab: usize, abilities: &Abilities) -> Option<Lack> {
    let layer = needs.latents.iter().chain(&needs.token_latents).find_map(inner_layer);
    if let (Some(layer), false) = (layer, abilities.layers) {
        return Some(Lack::new(format!("reads latents of layer {layer}"), LATENTS));
    }
    if needs.latents == Some(LatentSelector::FinalNorm) && !abilities.latents {
        return Some(Lack::new("reads latents", LATENTS));
    }
    if !needs.token_latents.is_empty() && !abilities.token_latents {
        return Some(Lack::new("reads the latents of every token", TOKEN_LATENTS));
    }
    if needs.logits && !abilities.logits {
        return Some(Lack::new("reads all logits", LOGITS));
    }
    too_many(needs.top_k, vocab, abilities)
}

/// The layer, if this is no final norm.
pub(crate) fn inner_layer(place: &LatentSelector) -> Option<u32> {
    match place {
        LatentSelector::Layer(layer) => Some(*layer),
        LatentSelector::FinalNorm => None,
    }
}

fn too_many(k: u32, vocab: usize, abilities: &Abilities) -> Option<Lack> {
    let (asked, most) = (k.min(u32::try_from(vocab).unwrap_or(u32::MAX)), abilities.likeliest);
    let need = || format!("reads the {k} most likely tokens where at most {most} are given");
    (asked > most).then(|| Lack::new(need(), LIKELIEST))
}

/// Policies do not declare retries and expansions. Where an engine cannot serve them, a fresh policy is asked on made-up rows.
fn check_policy(
    method: &str,
    ready: &Ready,
    config: &SearchConfig,
    vocab: usize,
    abilities: &Abilities,
) -> Result<(), EngineError> {
    if abilities.penalties && abilities.likeliest as usize >= vocab {
        return Ok(());
    }
    let asks = probe::ask(ready.roles.open()?.policy.as_mut(), config, vocab);
    let expands = asks.source.and_then(|source| match source {
        Source::Expand(k) => too_many(k, vocab, abilities),
        Source::Sample => None,
    });
    let penalised = asks.retry.filter(|retry| retry.penalty != 0.0 && !abilities.penalties);
    let retries = penalised.map(|_| Lack::new(LOWERS, PENALTIES));
    let lack = expands.or(retries);
    lack.map_or(Ok(()), |lack| Err(lack.of((method, Role::Policy, "policy"), abilities)))
}

/// Checks that the engine can lower tokens by offset, or that the growth lowers none. Gives the growth, without penalties of 0
/// for an engine that has none.
///
/// # Errors
/// [`EngineError::Unable`] for a policy that retries with a penalty although it did not on made-up rows.
pub(crate) fn check_penalties(method: &str, mut growth: Growth, abilities: &Abilities) -> Result<Growth, EngineError> {
    if !abilities.penalties {
        growth.penalties.iter().try_for_each(|lowered| no_penalty(method, lowered, abilities))?;
        growth.penalties.clear();
    }
    Ok(growth)
}

/// As [`check_penalties`], for one draw.
pub(crate) fn check_draw(method: &str, request: &SampleRequest, abilities: &Abilities) -> Result<(), EngineError> {
    if abilities.penalties { Ok(()) } else { no_penalty(method, &request.penalties, abilities) }
}

fn no_penalty(method: &str, lowered: &[(Token, f32)], abilities: &Abilities) -> Result<(), EngineError> {
    match lowered.iter().all(|(_, penalty)| *penalty == 0.0) {
        true => Ok(()),
        false => Err(Lack::new(LOWERS, PENALTIES).of((method, Role::Policy, "policy"), abilities)),
    }
}

/// Whether the engine gives the most likely tokens that a policy asks for.
///
/// # Errors
/// [`EngineError::Unable`] for a policy that asks for more than it did on made-up rows.
pub(crate) fn check_expansion(method: &str, k: u32, vocab: usize, abilities: &Abilities) -> Result<(), EngineError> {
    let lack = too_many(k, vocab, abilities);
    lack.map_or(Ok(()), |lack| Err(lack.of((method, Role::Policy, "policy"), abilities)))
}
