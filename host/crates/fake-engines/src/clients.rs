//! The other side of a fake server: connections to it, and requests for tests.

use crate::{
    Fake,
    model::{self, Bytewise},
};
use inferenceguard_engines::{Deadlines, Endpoint, Local, Prompts, Remote, vllm::Vllm};
use inferenceguard_model::{
    BackEnd, BeamId, Caller, GrowRow, GrowingText, Growth, Message, ModelError, ModelInfo, ModelParts, Pick,
    SampleRequest, SamplingSettings, Token, Tokenizer,
};
use std::{sync::Arc, time::Duration};

/// Deadlines for tests: short where something is to be waited for in vain.
pub fn deadlines() -> Deadlines {
    Deadlines {
        connect: Duration::from_millis(500),
        first_byte: Duration::from_secs(5),
        pause: Duration::from_secs(5),
        whole: Duration::from_secs(20),
        check: Duration::from_secs(3600),
        look: Duration::from_secs(3600),
        check_byte: Duration::from_secs(5),
        recheck: Duration::from_millis(50),
        backoff: Duration::from_millis(5),
    }
}

struct Chat;

impl Prompts for Chat {
    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError> {
        Ok(Bytewise.encode(&messages.iter().map(|one| one.content.as_str()).collect::<String>())?)
    }
}

/// The folder of the fake's model.
pub fn local() -> Local {
    let info = ModelInfo {
        name: "smol".into(),
        vocab: model::VOCAB,
        hidden: model::HIDDEN,
        context: 4096,
        eos: vec![model::EOS],
        special: vec![model::EOS],
        sampling: SamplingSettings::default(),
        fingerprint: String::new(),
        parts: ModelParts { tokenizer: "t".into(), template: "c".into(), config: "f".into(), ..ModelParts::default() },
    };
    Local { info, tokenizer: Arc::new(Bytewise), prompts: Arc::new(Chat) }
}

/// These servers, with deadlines of tests.
pub fn remote(fakes: &[&Fake]) -> Remote {
    let endpoints = fakes.iter().map(|fake| Endpoint::new(&fake.url()).unwrap()).collect();
    Remote { deadlines: deadlines(), precision: "f32".into(), ..Remote::new(endpoints) }
}

pub fn connect(fakes: &[&Fake]) -> Vllm {
    Vllm::connect(&remote(fakes), local(), None).unwrap()
}

/// A request of this tenant.
pub fn tenant(name: &str) -> Caller {
    Caller { tenant: Some(name.to_owned()), ..Caller::default() }
}

/// Eight tokens, drawn from the model as it is.
pub fn growth() -> Growth {
    let sampling = SampleRequest::plain(Pick::Draw(0.0));
    Growth { max_tokens: 8, sampling, penalties: vec![], end: vec![model::EOS], stop: vec![] }
}

pub fn row(parent: BeamId, seed: u64) -> GrowRow {
    GrowRow { parent, picks: vec![Pick::Draw(0.5); 8], seed, repeated: vec![], text: GrowingText::default() }
}

/// Grows one row of a new request.
pub fn grow_one(vllm: &Vllm) -> Result<Vec<Token>, ModelError> {
    let mut handle = vllm.handle(&Caller::default());
    let beam = handle.open(&[7, 8, 9])?;
    let mut rows = handle.grow(&growth(), vec![row(beam, 1)])?;
    rows.remove(0).map(|(_, grown)| grown.tokens)
}
