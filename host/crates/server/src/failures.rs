//! What failed in a request: models in the log with what their back ends say, for clients without it, because it may hold URLs of
//! engines.

use inferenceguard_search::{FailureKind, Role, RoleFailure};

/// What clients read.
pub(crate) fn shown(failures: &[RoleFailure]) -> Vec<String> {
    failures.iter().map(shown_one).collect()
}

fn shown_one(failure: &RoleFailure) -> String {
    let RoleFailure { role, component, kind } = failure;
    match kind {
        FailureKind::ScoreModel { model, .. } => {
            format!("{role} `{component}` failed: the score model `{model}` failed; the server's log says why")
        }
        _ if *role == Role::Model => format!("{role} `{component}` failed; the server's log says why"),
        _ => failure.to_string(),
    }
}

/// Writes failures of models to the log. Those of components may quote a prompt.
pub(crate) fn log(failures: &[RoleFailure]) {
    let of_model = |failure: &&RoleFailure| {
        let scores = matches!(failure.kind, FailureKind::Scores { .. } | FailureKind::ScoreModel { .. });
        failure.role == Role::Model || scores
    };
    failures.iter().filter(of_model).for_each(|failure| tracing::error!(%failure, "a model failed in a request"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_read_which_model_failed_and_neither_urls_nor_texts_of_engines() {
        let secret = || "the engine at http://10.0.0.7:8000: secret".to_owned();
        let of = |role, kind| RoleFailure { role, component: "harm".to_owned(), kind };
        let failures = [
            of(Role::Cost, FailureKind::ScoreModel { model: "toxicity".to_owned(), why: secret() }),
            of(Role::Model, FailureKind::Refused(secret())),
            of(Role::Cost, FailureKind::not_finite("toxicity", f32::NAN)),
        ];
        let shown = shown(&failures);
        for (text, words) in shown.iter().zip(["`toxicity` failed", "model `harm` failed", "returned the score NaN"]) {
            assert!(text.contains(words) && !text.contains("10.0.0.7") && !text.contains("secret"), "{text}");
        }
    }
}
