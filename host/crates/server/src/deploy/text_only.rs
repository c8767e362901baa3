//! Whether a bundle can judge text that another program generated.

use super::error::DeployError;
use inferenceguard_host::Prepared;
use inferenceguard_search::{Needs, RolesInfo};

/// Checks that no cost of the deployment reads logits, latents or log-probabilities.
///
/// # Errors
/// [`DeployError::ReadsModel`] with the name of the first cost that does.
pub(super) fn check(prepared: &Prepared) -> Result<(), DeployError> {
    first_reader(prepared.roles()?)
        .map_or(Ok(()), |(cost, reads)| Err(DeployError::ReadsModel { cost: cost.to_owned(), reads }))
}

fn first_reader(roles: &RolesInfo) -> Option<(&str, &'static str)> {
    roles.costs.iter().find_map(|(name, cost)| Some((name.as_str(), read_of_model(&cost.needs)?)))
}

fn read_of_model(needs: &Needs) -> Option<&'static str> {
    match needs {
        needs if needs.latents.is_some() || !needs.token_latents.is_empty() => Some("latents"),
        needs if needs.logits => Some("logits"),
        needs if needs.top_k > 0 => Some("the likeliest tokens"),
        needs if needs.logprobs => Some("log-probabilities"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_model::LatentSelector;

    #[test]
    fn what_text_has_is_allowed_and_what_the_model_computes_is_named() {
        let text = Needs { prompt: true, text: true, lookback: 9, ..Needs::default() };
        let scores = Needs { scores: vec!["cost".into()], networks: vec!["net".into()], ..text.clone() };
        for (needs, reads) in [
            (text.clone(), None),
            (scores, None),
            (Needs { latents: Some(LatentSelector::Layer(3)), ..text.clone() }, Some("latents")),
            (Needs { token_latents: vec![LatentSelector::FinalNorm], ..text.clone() }, Some("latents")),
            (Needs { logits: true, ..text.clone() }, Some("logits")),
            (Needs { top_k: 1, ..text.clone() }, Some("the likeliest tokens")),
            (Needs { logprobs: true, ..text }, Some("log-probabilities")),
        ] {
            assert_eq!(read_of_model(&needs), reads, "{needs:?}");
        }
    }
}
