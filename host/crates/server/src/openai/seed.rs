//! Seeds: sent by clients or drawn at random, and one for each choice.

use crate::error::ApiError;
use axum::http::StatusCode;
use inferenceguard_gateways::wrong;
use serde_json::Value;

/// Seeds are smaller than this, so that every client can send them back in JSON: JavaScript has exact whole numbers up to here.
const SEEDS: u64 = 1 << 53;

/// A client's seed: any whole number of 64 bits, modulo [`SEEDS`].
pub(super) fn read(value: &Value) -> Result<u64, ApiError> {
    let negative = || value.as_i64().map(|seed| seed.rem_euclid(SEEDS.cast_signed()).cast_unsigned());
    let seed = value.as_u64().map(|seed| seed % SEEDS).or_else(negative);
    Ok(seed.ok_or_else(|| wrong("seed", value, "a whole number of 64 bits"))?)
}

/// A random seed for a request without one.
pub(super) fn fresh() -> Result<u64, ApiError> {
    let failed = |error| {
        let message = format!("the system gave no random number for the seed: {error}; send a `seed`");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_error", message)
    };
    getrandom::u64().map(|drawn| drawn % SEEDS).map_err(failed)
}

/// The seed of a choice: the request's for the first one, and the next numbers for the others.
pub(super) fn of_choice(first: u64, index: usize) -> u64 {
    first.wrapping_add(index as u64) % SEEDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_seed_of_a_choice_can_be_sent_and_gives_itself() {
        for seed in [json!(0), json!(7), json!(-1), json!(i64::MIN), json!(i64::MAX), json!(u64::MAX), json!(SEEDS - 1)]
        {
            for index in 0..3 {
                let reported = of_choice(read(&seed).unwrap(), index);
                assert!(reported < SEEDS && (reported as f64) as u64 == reported, "JavaScript can carry it");
                assert_eq!(read(&json!(reported)).unwrap(), reported, "{seed} {index}");
            }
        }
        assert_ne!(fresh().unwrap(), fresh().unwrap());
    }

    #[test]
    fn a_value_that_is_no_seed_is_refused() {
        for value in [json!(1.5), json!("1"), json!(true), json!([]), json!(1e300)] {
            assert_eq!(read(&value).unwrap_err().param.as_deref(), Some("seed"), "{value}");
        }
    }
}
