//! The JSON files of a model folder: refused in words, or a model that reads a prompt.

use crate::golden;

const NAMES: [&str; 3] = [golden::CONFIG, golden::GENERATION, golden::TOKENIZER_CONFIG];

/// The first byte chooses the file.
pub fn run(bytes: &[u8]) {
    let Some((name, rest)) = bytes.split_first() else { return };
    golden::load_and_run(golden::with(NAMES[usize::from(*name) % NAMES.len()], rest));
}

/// The golden files, and keys they do not have.
pub fn seeds() -> Vec<Vec<u8>> {
    let golden = (0..).zip(NAMES).map(|(at, name)| [vec![at], golden::file(name)].concat());
    let config = String::from_utf8(golden::file(golden::CONFIG)).expect("the golden file is text");
    let more = [
        "{\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,\
         \"original_max_position_embeddings\":32},",
        "{\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2.0},\"sliding_window\":16,\"use_sliding_window\":true,",
        "{\"num_local_experts\":8,\"quantization_config\":{},\"eos_token_id\":[1,2,3],",
    ];
    let configs = more.map(|keys| [b"\0", config.replacen('{', keys, 1).as_bytes()].concat());
    let sampling = "{\"do_sample\":true,\"temperature\":0.6,\"top_k\":20,\"top_p\":0.95,\"min_p\":0.05,\
                    \"repetition_penalty\":1.1,\"eos_token_id\":[1,0],\"suppress_tokens\":[3]}";
    golden.chain(configs).chain([[b"\x01", sampling.as_bytes()].concat()]).collect()
}
