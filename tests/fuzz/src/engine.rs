//! What engines elsewhere answer: an error in words, or rows of tokens that the model has.

use inferenceguard_engines::{llamacpp::LlamaCpp, vllm::Vllm};
use inferenceguard_fake_engines::{Act, Fake, Kind, growth, local, model::VOCAB, remote, row};
use inferenceguard_model::{BackEnd, Caller};
use std::sync::{LazyLock, Mutex};

/// Calls whose answers are read.
const PATHS: [&str; 6] = ["/version", "/v1/models", "/tokenize", "/v1/completions", "/props", "/completion"];

/// One input after the other: they share the fake.
static FAKE: LazyLock<Mutex<Fake>> = LazyLock::new(|| Mutex::new(Fake::new(Kind::default())));

/// The first byte chooses the engine, and whether it lies from the start or once it is trusted; the second one the call that
/// gets the others as its answer.
pub fn run(bytes: &[u8]) {
    let [kind, path, answer @ ..] = bytes else { return };
    let (path, answer) = (PATHS[usize::from(*path) % PATHS.len()], String::from_utf8_lossy(answer).into_owned());
    let fake = FAKE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let lie = || {
        let answer = answer.clone();
        fake.rule(move |seen| if seen.path == path { Act::Raw(answer.clone()) } else { Act::Honest });
    };
    fake.honest();
    if kind & 2 == 0 {
        lie();
    }
    let at = remote(&[&fake]);
    let connected: Result<Box<dyn BackEnd>, _> = match kind & 1 {
        0 => Vllm::connect(&at, local(), None).map(|engine| Box::new(engine) as Box<dyn BackEnd>),
        _ => LlamaCpp::connect(&at, local()).map(|engine| Box::new(engine) as Box<dyn BackEnd>),
    };
    let Ok(engine) = connected else { return };
    lie();
    grown(engine.as_ref());
    assert_eq!(engine.live_beams(), 0, "beams are left");
}

/// Rows that an engine is believed have tokens and log-probabilities of the model.
fn grown(engine: &dyn BackEnd) {
    let mut handle = engine.handle(&Caller::default());
    let Ok(beam) = handle.open(&[7, 8, 9]) else { return };
    let Ok(rows) = handle.grow(&growth(), vec![row(beam, 1), row(beam, 2)]) else { return };
    for (_, grown) in rows.into_iter().flatten() {
        assert!(grown.tokens.iter().all(|token| (*token as usize) < VOCAB), "{:?}", grown.tokens);
        assert!(grown.tokens.len() <= 8 && grown.logprobs.len() == grown.tokens.len(), "{grown:?}");
        assert!(grown.logprobs.iter().all(|logprob| logprob.is_finite() && *logprob <= 0.0), "{:?}", grown.logprobs);
    }
}

/// Answers of each call, for both engines.
pub fn seeds() -> Vec<Vec<u8>> {
    let completion = r#"{"id":"cmpl-1","object":"text_completion","model":"smol","system_fingerprint":"vllm-0.32.0-aaaa",
        "choices":[{"index":0,"text":"x","finish_reason":"length","stop_reason":null,"token_ids":[65,66],
        "prompt_token_ids":[7,8,9],"logprobs":{"tokens":["token_id:65","token_id:66"],"token_logprobs":[-1.5,-0.25],
        "text_offset":[0],"top_logprobs":[{"token_id:65":-1.5},{"token_id:66":-0.25}]},"prompt_logprobs":null}],
        "usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":0}}}"#;
    let slot = r#"{"index":0,"content":"x","tokens":[65,66],"id_slot":0,"stop":true,"stop_type":"limit","tokens_predicted":2,
        "tokens_evaluated":3,"tokens_cached":4,"truncated":false,"completion_probabilities":[{"id":65,"logprob":-1.5,
        "top_logprobs":[{"id":65,"logprob":-1.5}]},{"id":66,"logprob":-0.25,"top_logprobs":[{"id":66,"logprob":-0.25}]}],
        "timings":{"cache_n":0,"prompt_n":3,"predicted_n":2}}"#;
    let models = r#"{"object":"list","data":[{"id":"smol","root":"/models/smol","max_model_len":2048}]}"#;
    let tokens = r#"{"count":2,"max_model_len":2048,"tokens":[97,98],"token_strs":null}"#;
    let props = r#"{"total_slots":4,"default_generation_settings":{"n_ctx":2048},"build_info":"b11434","model_path":"/m.gguf"}"#;
    let calls: [(u8, u8, &str); 8] = [
        (0, 0, r#"{"version":"0.32.0"}"#),
        (0, 1, models),
        (0, 2, tokens),
        (0, 3, completion),
        (2, 3, completion),
        (1, 4, props),
        (1, 2, tokens),
        (3, 5, slot),
    ];
    calls.into_iter().map(|(kind, path, text)| [&[kind, path], text.as_bytes()].concat()).collect()
}
