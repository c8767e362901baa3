//! What counts as a failure of a score model, and what ends the request with an error.

use inferenceguard_model::{ModelError, Scored};
use inferenceguard_search::FailureKind;

/// The scores of a row, if all of them are numbers.
pub(super) fn finite(model: &str, scored: Scored) -> Result<Scored, FailureKind> {
    let wrong = scored.tokens.iter().chain([&scored.end]).find(|score| !score.is_finite()).copied();
    wrong.map_or(Ok(scored), |score| Err(FailureKind::not_finite(model, score)))
}

/// The failure of a score model that cannot score these rows, and may score others.
///
/// # Errors
/// The same error, where it is the request's, where the caller cancelled, or where the model broke for good.
pub(super) fn of_model(model: &str, error: ModelError) -> Result<FailureKind, ModelError> {
    let model = model.to_owned();
    match error {
        ModelError::NotFinite(what) => {
            let (found, expected) = (format!("{what} with NaN or infinity"), "finite numbers".to_owned());
            Ok(FailureKind::Scores { model, found, expected })
        }
        ModelError::Shape { what, expected, found } => {
            Ok(FailureKind::Scores { model, found: format!("{found} ({what})"), expected })
        }
        ModelError::Backend(_) => Ok(FailureKind::ScoreModel { model, why: error.to_string() }),
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_score_model_and_errors_of_requests_stay_errors() {
        let shape = ModelError::Shape { what: "scored rows", expected: "2".into(), found: "3".into() };
        for (error, words) in [
            (ModelError::NotFinite("scores"), "returned scores with NaN or infinity; expected finite numbers"),
            (shape, "returned 3 (scored rows); expected 2"),
            (ModelError::Backend("no route".into()), "failed: the back end failed: no route"),
        ] {
            let failure = of_model("harm", error).unwrap().to_string();
            assert_eq!(failure, format!("the score model `harm` {words}"));
        }
        for error in [
            ModelError::Cancelled,
            ModelError::EmptyPrompt,
            ModelError::ContextExceeded { found: 65, limit: 64 },
            ModelError::Broken("it panicked in this call".to_owned()),
        ] {
            let text = error.to_string();
            assert_eq!(of_model("harm", error).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn a_score_that_is_no_number_fails_its_row() {
        let of = |tokens: &[f32], end| finite("harm", Scored { tokens: tokens.to_vec(), end });
        assert!(of(&[1.0, 2.0], 2.0).is_ok());
        for scored in [of(&[1.0, f32::NAN], 2.0), of(&[], f32::INFINITY)] {
            assert!(matches!(scored, Err(FailureKind::Scores { model, .. }) if model == "harm"));
        }
    }
}
