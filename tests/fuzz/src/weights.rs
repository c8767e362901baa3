//! Headers of safetensors files. Zeros stand in for the numbers of the tensors.

use crate::golden;
use inferenceguard_bundle::Network;

/// As many bytes as the golden file's tensors take, and some more.
const TENSORS: usize = 100_000;
const NETWORK: &str = "{\"__metadata__\":{\"activations\":\"relu,identity\"},\
    \"layers.0.weight\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,24]},\
    \"layers.0.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[24,36]},\
    \"layers.1.weight\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[36,48]},\
    \"layers.1.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[48,52]}}";

/// The first byte chooses a model, an index of its parts, a network, or one of the former with the length as it stands.
pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => model(golden::WEIGHTS, &file(rest, TENSORS)),
        1 => index(rest),
        2 => network(&file(rest, 52)),
        _ => {
            model(golden::WEIGHTS, rest);
            network(rest);
        }
    }
}

fn model(name: &str, bytes: &[u8]) {
    golden::load_and_run(golden::with(name, bytes));
}

/// The index names the golden file, or files that are not there.
fn index(bytes: &[u8]) {
    let mut files = golden::with("model.safetensors.index.json", bytes);
    let weights = files.remove(golden::WEIGHTS).expect("the golden weights");
    files.insert("model-00001-of-00001.safetensors".into(), weights);
    golden::load_and_run(files);
}

fn network(bytes: &[u8]) {
    if let Ok(network) = Network::parse(bytes) {
        let written = network.to_bytes().expect("a network that was read");
        assert_eq!(Network::parse(&written).expect("a network that was written").layers, network.layers);
    }
}

/// A file with this header and as many bytes of zeros as it says, at most as many as are allowed.
fn file(header: &[u8], zeros: usize) -> Vec<u8> {
    let zeros = ends(header).unwrap_or(zeros).min(TENSORS);
    let mut file = [&(header.len() as u64).to_le_bytes(), header].concat();
    file.resize(file.len() + zeros, 0);
    file
}

/// Where the last tensor ends.
fn ends(header: &[u8]) -> Option<usize> {
    let header: serde_json::Value = serde_json::from_slice(header).ok()?;
    let end = |tensor: &serde_json::Value| tensor["data_offsets"][1].as_u64();
    header.as_object()?.values().filter_map(end).max()?.try_into().ok()
}

/// The golden header, an index of it, a network, and a file with its length.
pub fn seeds() -> Vec<Vec<u8>> {
    let golden = golden::file(golden::WEIGHTS);
    let length = u64::from_le_bytes(*golden.first_chunk().expect("a length")) as usize;
    let header = &golden[8..8 + length];
    let names: serde_json::Value = serde_json::from_slice(header).expect("the golden header");
    let names = names.as_object().into_iter().flatten().filter(|(name, _)| *name != "__metadata__");
    let places = names.map(|(name, _)| (name.clone(), "model-00001-of-00001.safetensors".into()));
    let index = serde_json::json!({ "weight_map": places.collect::<serde_json::Map<_, _>>() }).to_string();
    vec![
        [&[0], header].concat(),
        [&[1], index.as_bytes()].concat(),
        [&[2], NETWORK.as_bytes()].concat(),
        [vec![3], file(NETWORK.as_bytes(), 52)].concat(),
    ]
    .into_iter()
    .chain(hostile(header))
    .collect()
}

/// Headers that other programs write wrongly, or that somebody made to do harm.
fn hostile(golden: &[u8]) -> Vec<Vec<u8>> {
    let tensor = |dtype: &str, shape: &str, places: &str| {
        format!("{{\"a\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{places}}}}}")
    };
    let text = String::from_utf8_lossy(golden);
    let headers = [
        tensor("F32", "[9223372036854775807,4]", "[0,16]"),
        tensor("F64", "[2]", "[0,16]"),
        tensor("I4", "[]", "[16,0]"),
        tensor("F32", "[4]", "[18446744073709551600,18446744073709551615]"),
        // A tensor that begins too late, a tensor too many, metadata that are no text, and brackets.
        text.replacen("\"data_offsets\":[0,", "\"data_offsets\":[1,", 1),
        text.replacen('{', "{\"extra\":{\"dtype\":\"BF16\",\"shape\":[0],\"data_offsets\":[0,0]},", 1),
        text.replacen('{', "{\"__metadata__\":{\"format\":7},", 1),
        "[".repeat(2000),
    ];
    let (index, network) = (
        "{\"metadata\":{\"total_size\":-1},\"weight_map\":{\"model.norm.weight\":\"../model.safetensors\",\"a\":7}}",
        NETWORK.replace("relu,identity", "relu").replace("[3,2]", "[2,3]"),
    );
    let models = headers.iter().map(|header| [&[0], header.as_bytes()].concat());
    let lengths = [u64::MAX, 1 << 62, 8].map(|length| [&[3], length.to_le_bytes().as_slice(), b"{}"].concat());
    models.chain(lengths).chain([[&[1], index.as_bytes()].concat(), [&[2], network.as_bytes()].concat()]).collect()
}
