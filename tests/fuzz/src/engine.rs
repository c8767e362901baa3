//! What engines elsewhere answer: an error in words, or rows of tokens that the model has, scores and latents that are numbers.

use inferenceguard_engines::{
    llamacpp::LlamaCpp,
    vllm::{Scores, Vllm},
};
use inferenceguard_fake_engines::{
    Act, Fake, Kind, Texts, growth, local,
    model::{Bytewise, HIDDEN, VOCAB},
    remote, row,
};
use inferenceguard_model::{BackEnd, Caller, LatentSelector, ModelParts, ScoreBackEnd, ScoreInfo, ScoreRow, lock};
use std::sync::{Arc, LazyLock, Mutex};

/// Calls whose answers are read.
const PATHS: [&str; 7] =
    ["/version", "/v1/models", "/tokenize", "/v1/completions", "/props", "/completion", "/pooling"];

/// A server of a language model or of scores, and one of latents. One input after the other: they share the fakes.
static FAKES: LazyLock<Mutex<[Fake; 2]>> =
    LazyLock::new(|| Mutex::new([Fake::new(Kind::default()), Fake::new(Kind { width: HIDDEN, ..Kind::default() })]));

/// The first byte chooses the engine, what is asked of it, and whether it lies from the start or once it is trusted; the second
/// one the call that gets the others as its answer.
pub fn run(bytes: &[u8]) {
    let [kind, path, answer @ ..] = bytes else { return };
    let (path, answer) = (PATHS[usize::from(*path) % PATHS.len()], String::from_utf8_lossy(answer).into_owned());
    let fakes = lock(&FAKES);
    fakes.iter().for_each(forget);
    let lie = || fakes.iter().for_each(|fake| lies(fake, path, &answer));
    if kind & 2 == 0 {
        lie();
    }
    match (kind / 4 % 3, kind & 1) {
        (0, 0) => language(Vllm::connect(&remote(&[&fakes[0]]), local(), None).ok(), &lie),
        (0, _) => language(LlamaCpp::connect(&remote(&[&fakes[0]]), local()).ok(), &lie),
        (1, _) => scores(&fakes[0], &lie),
        _ => latents(&fakes, &lie),
    }
}

/// Forgets the inputs before.
fn forget(fake: &Fake) {
    fake.honest();
    drop(fake.take());
    lock(&fake.shared.read).clear();
}

/// From now on this call gets this answer.
fn lies(fake: &Fake, path: &'static str, answer: &str) {
    let answer = answer.to_owned();
    fake.rule(move |seen| if seen.path == path { Act::Raw(answer.clone()) } else { Act::Honest });
}

fn language(connected: Option<impl BackEnd>, lie: &dyn Fn()) {
    let Some(engine) = connected else { return };
    lie();
    grown(&engine);
    assert_eq!(engine.live_beams(), 0, "beams are left");
}

/// Scores that are believed are numbers, one for each new token.
fn scores(fake: &Fake, lie: &dyn Fn()) {
    let info = ScoreInfo {
        name: "cost".into(),
        fingerprint: String::new(),
        parts: ModelParts::default(),
        context: 64,
        same_tokenizer: true,
    };
    let Ok(scores) = Scores::connect(&remote(&[fake]), info, Arc::new(Texts)) else { return };
    let mut handle = scores.handle(&Caller::default());
    if let Ok(id) = handle.open("ask", Arc::new(Bytewise)) {
        lie();
        let rows = [ScoreRow { id, tokens: vec![65, 66], ended: true }];
        for scored in handle.extend(&rows).into_iter().flatten() {
            assert_eq!(scored.tokens.len(), 2, "{scored:?}");
            assert!(scored.end.is_finite() && scored.tokens.iter().all(|score| score.is_finite()), "{scored:?}");
        }
    }
    drop(handle);
    assert_eq!(scores.live_rows(), 0, "rows are left");
}

/// Latents that are believed are numbers, as many as the model has.
fn latents(fakes: &[Fake; 2], lie: &dyn Fn()) {
    let [fake, second] = fakes;
    let Ok(engine) = Vllm::connect(&remote(&[fake]), local(), Some(&remote(&[second]))) else { return };
    let mut handle = engine.handle(&Caller::default());
    if let Ok(beam) = handle.open(&[7, 8, 9]) {
        lie();
        for row in handle.latents(&[beam], LatentSelector::FinalNorm).into_iter().flatten() {
            assert!(row.len() == HIDDEN && row.iter().all(|number| number.is_finite()), "{row:?}");
        }
    }
    drop(handle);
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

/// Answers of each call, for both engines, scores and latents.
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
    let pooled = r#"{"id":"pool-1","data":[{"index":0,"object":"pooling","data":"AACAPwAAAEA="}],
        "usage":{"prompt_tokens":5,"total_tokens":5,"completion_tokens":0}}"#;
    let latent = r#"{"id":"pool-1","data":[{"index":0,"object":"pooling","data":"AACAPwAAAMAAAAA/AACAQA=="}],
        "usage":{"prompt_tokens":3,"total_tokens":3,"completion_tokens":0}}"#;
    let calls: [(u8, u8, &str); 12] = [
        (0, 0, r#"{"version":"0.32.0"}"#),
        (0, 1, models),
        (0, 2, tokens),
        (0, 3, completion),
        (2, 3, completion),
        (1, 4, props),
        (1, 2, tokens),
        (3, 5, slot),
        (4, 6, pooled),
        (6, 6, pooled),
        (8, 1, models),
        (10, 6, latent),
    ];
    calls.into_iter().map(|(kind, path, text)| [&[kind, path], text.as_bytes()].concat()).collect()
}
