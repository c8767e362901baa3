//! One record: a header without text, and a body with everything.

use crate::{RecordError, Wrong};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use inferenceguard_bundle::seconds_since_1970;
use inferenceguard_model::ModelIdentity;
use inferenceguard_search::{
    BundleIdentity, Finish, Inputs, Migration, Outcome, Output, RepeatsFrom, Status, Trace, Usage, VERSION,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

/// The most that a body may unfold to, in bytes.
const MOST: u64 = 1 << 30;

/// All facts about an answer except its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of this format.
    pub format: u32,
    /// Its number in the file, from 1.
    pub sequence: u64,
    /// The hash of the record before; of the first, 64 zeros.
    pub previous: String,
    /// Seconds since 1970 when it was written.
    pub at: u64,
    /// Which bundle decided.
    pub bundle: BundleIdentity,
    /// Which activations decided, oldest first: one of this bundle, then those of the migrations.
    pub generations: Vec<u64>,
    /// The bundles that were activated meanwhile and decided as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub migrations: Vec<Migration>,
    /// Which model spoke.
    pub model: ModelIdentity,
    /// Which score models there were, by the names that costs use. Records of earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<BTreeMap<String, ModelIdentity>>,
    /// The version of the library that decided. Records of earlier versions do not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The engine that ran the language model, and its version. Records of earlier versions do not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub engine: String,
    /// What it takes to get the same answer again. Left out where it is the seed, as in records of earlier versions.
    #[serde(default, skip_serializing_if = "RepeatsFrom::is_seed")]
    pub repeats_from: RepeatsFrom,
    /// By which method.
    pub method: String,
    /// The seed of all draws.
    pub seed: u64,
    /// How safe the answer is.
    pub status: Status,
    /// Why it ended.
    pub finish: Finish,
    /// Budgets by constraint.
    pub budgets: BTreeMap<String, f64>,
    /// What was used.
    pub usage: Usage,
    /// SHA-256 of the body's bytes.
    pub body: String,
}

/// Everything about an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// What the search was given.
    pub inputs: Inputs,
    /// What it needed, and what it was answered.
    pub trace: Trace,
    /// What came of it.
    pub outcome: Outcome,
}

impl Body {
    /// Of an output that was recorded.
    ///
    /// # Errors
    /// [`RecordError::NotRecorded`].
    pub fn of(output: &Output) -> Result<Self, RecordError> {
        let missing = || RecordError::NotRecorded;
        let recorded = output.recorded.as_ref().ok_or_else(missing)?;
        let (inputs, outcome) = (recorded.inputs.clone(), recorded.outcome.clone());
        Ok(Self { inputs, trace: output.trace.clone().ok_or_else(missing)?, outcome })
    }

    /// The bytes that are kept.
    pub(crate) fn pack(&self) -> Result<Vec<u8>, std::io::Error> {
        let mut plain = Vec::new();
        ciborium::into_writer(self, &mut plain).map_err(std::io::Error::other)?;
        let mut deflated = ZlibEncoder::new(Vec::new(), Compression::fast());
        deflated.write_all(&plain)?;
        deflated.finish()
    }

    pub(crate) fn unpack(bytes: &[u8]) -> Result<Self, Wrong> {
        let unreadable = |error: &dyn std::fmt::Display| Wrong::Unreadable(format!("its body: {error}"));
        let mut plain = Vec::new();
        ZlibDecoder::new(bytes).take(MOST).read_to_end(&mut plain).map_err(|error| unreadable(&error))?;
        ciborium::from_reader(plain.as_slice()).map_err(|error| unreadable(&error))
    }
}

/// What stands before a record in a file.
pub(crate) struct ChainPosition {
    pub(crate) sequence: u64,
    pub(crate) previous: String,
}

impl Header {
    /// The version of the format that is written. The first one names the language model by architecture and weights only.
    pub const FORMAT: u32 = 2;

    /// What the answer depends on and this header does not name.
    #[must_use]
    pub fn unnamed(&self) -> Vec<&'static str> {
        let scores = self.scores.as_ref();
        let named = [
            (scores.is_some(), "the score models"),
            (self.model.is_whole(), "the language model's tokenizer, template, configuration and precision"),
            (
                scores.is_none_or(|scores| scores.values().all(ModelIdentity::is_whole)),
                "the score models' tokenizers, templates, configurations and precisions",
            ),
            (!self.version.is_empty(), "the version of the library"),
        ];
        named.into_iter().filter(|(there, _)| !there).map(|(_, what)| what).collect()
    }

    /// Checks that these are the models that the record names; `scores` are those there are, by name.
    ///
    /// # Errors
    /// [`Wrong::Model`] for the first model that differs, or is missing.
    pub fn expects(&self, model: &ModelIdentity, scores: &BTreeMap<String, ModelIdentity>) -> Result<(), Wrong> {
        let other = |role: String, source| Wrong::Model { role, source: Box::new(source) };
        model.expect(&self.model).map_err(|source| other("language model".into(), source))?;
        for (name, named) in self.scores.iter().flatten() {
            let found = scores.get(name).cloned().unwrap_or_default();
            found.expect(named).map_err(|source| other(format!("score model `{}`", name.escape_debug()), source))?;
        }
        Ok(())
    }

    pub(crate) fn of(output: &Output, position: ChainPosition, body: &[u8]) -> Self {
        Self {
            format: Self::FORMAT,
            sequence: position.sequence,
            previous: position.previous,
            at: seconds_since_1970(),
            bundle: output.bundle.clone(),
            generations: output.generations.clone(),
            migrations: output.migrations.clone(),
            model: output.models.model.clone(),
            scores: Some(output.models.scores.clone()),
            version: VERSION.to_owned(),
            engine: output.ran.engine.clone(),
            repeats_from: output.ran.repeats_from,
            method: output.method.clone(),
            seed: output.seed,
            status: output.status,
            finish: output.finish,
            budgets: output.constraints.iter().map(|one| (one.name.clone(), one.budget)).collect(),
            usage: output.usage,
            body: digest(body),
        }
    }

    /// Whether a bundle is named for every generation.
    fn numbers_agree(&self) -> bool {
        let migrated = self.migrations.iter().map(|one| one.number);
        self.generations.len() == 1 + self.migrations.len() && migrated.eq(self.generations.iter().skip(1).copied())
    }

    /// Checks that this header speaks of that body.
    pub(crate) fn agrees(&self, body: &Body) -> Result<(), Wrong> {
        let outcome = &body.outcome;
        let budgets = outcome.constraints.iter().map(|one| (one.name.clone(), one.budget)).collect();
        for (what, same) in [
            ("status", self.status == outcome.status),
            ("finish", self.finish == outcome.finish),
            ("budgets", self.budgets == budgets),
            ("usage", self.usage == outcome.usage),
            ("seed", self.seed == body.inputs.config.seed),
            ("generations", self.numbers_agree()),
        ] {
            if !same {
                return Err(Wrong::Disagreement(what));
            }
        }
        Ok(())
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Wrong> {
    STANDARD.decode(text).map_err(|error| Wrong::Unreadable(format!("its body: {error}")))
}
