//! The reference sampler's penalties for other programs: reads one JSON object a line from the standard input, writes the
//! logits after repetition penalty and penalties as a JSON list a line. Real engines are compared with it.
//!
//! `{"logits": [f32 or null], "tokens": [u32], "penalties": [f32], "mass": f32, "repetition_penalty": f32, "repeated": [u32]}`;
//! null is minus infinity.

use inferenceguard_model::{ModelError, Pick, RowSampler, SampleRequest, Token};
use serde::Deserialize;
use std::io::{self, BufRead, Write};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    logits: Vec<Option<f32>>,
    tokens: Vec<Token>,
    penalties: Vec<f32>,
    mass: f32,
    repetition_penalty: f32,
    repeated: Vec<Token>,
}

impl Case {
    fn after(self) -> Result<Vec<f32>, ModelError> {
        let logits: Vec<f32> = self.logits.into_iter().map(|logit| logit.unwrap_or(f32::NEG_INFINITY)).collect();
        let request = SampleRequest {
            penalties: self.tokens.into_iter().zip(self.penalties).collect(),
            penalty_mass: self.mass,
            repetition_penalty: self.repetition_penalty,
            repeated: self.repeated,
            ..SampleRequest::plain(Pick::Rank(0))
        };
        Ok(RowSampler::new(&logits)?.penalised(&request).into_owned())
    }
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let case: Case = serde_json::from_str(&line?)?;
        let after = case.after().map_err(io::Error::other)?;
        writeln!(out, "{}", serde_json::to_string(&after)?)?;
    }
    Ok(())
}
