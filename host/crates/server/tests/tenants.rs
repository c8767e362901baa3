//! Whose a prompt is: the tenant of a client's key reaches the model, which keeps prompts for tenants apart; what it did not compute is
//! counted.

mod common;

use common::{MANIFEST, SCRIPT, bundle, chat, sha256, start_with};
use inferenceguard_host::EngineBuilder;
use inferenceguard_model::{
    BeamId, Model, ModelError, Reading, Rows, lock,
    toy::{ToyModel, ToyScript},
};
use inferenceguard_testkit::hooked::{Hooked, Hooks};
use std::sync::{Arc, Mutex};

/// The tenants of the prompts that a model has read.
type Seen = Arc<Mutex<Vec<Option<String>>>>;

/// Writes down whose prompts are read, and says that it did not compute two tokens of each.
struct Watched(Seen);

impl Hooks for Watched {
    fn prefill_part(
        &mut self,
        model: &mut ToyModel,
        reading: &mut Reading,
        most: usize,
    ) -> Result<Option<(BeamId, Rows)>, ModelError> {
        let read = model.prefill_part(reading, most)?;
        if read.is_some() {
            lock(&self.0).push(reading.tenant.clone());
            reading.reused = 2;
        }
        Ok(read)
    }
}

#[test]
fn the_tenant_of_a_key_reaches_the_model_and_what_was_not_computed_is_counted() {
    let (toy, seen) = (ToyScript::parse(SCRIPT).unwrap(), Seen::default());
    let model = Hooked::new(toy.model(), Watched(Arc::clone(&seen)));
    let builder = EngineBuilder::new().model(Box::new(model)).bundle(&bundle(MANIFEST));
    let builder = toy.scores().into_iter().fold(builder, |builder, score| builder.score_model(Box::new(score)));
    let keys = ["a", "b"].map(|name| format!("[tenants.{name}]\nkey_sha256 = \"{}\"\n", sha256(name)));
    let server = start_with(Arc::new(builder.build().unwrap()), toml::from_str(&keys.concat()).unwrap());
    lock(&seen).clear();
    let before = server.engine.reused_positions();
    let mut prompts = 0;
    for name in ["a", "b", "a"] {
        let got = server.post_as(name, "/v1/chat/completions", chat("ask"));
        assert_eq!(got.status, 200, "{}", got.text);
        let of = std::mem::take(&mut *lock(&seen));
        assert!(!of.is_empty() && of.iter().all(|tenant| tenant.as_deref() == Some(name)), "{name}: {of:?}");
        prompts += of.len() as u64;
    }
    let counted = before + 2 * prompts;
    assert_eq!(server.engine.reused_positions(), counted);
    let page = server.admin("/metrics").text;
    assert!(page.contains(&format!("inferenceguard_prompt_tokens_reused_total {counted}\n")), "{page}");
}
