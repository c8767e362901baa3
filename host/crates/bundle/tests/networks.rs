//! Networks of a bundle: which files are read, the error of every kind of bad file, and that writing and reading agree.

use half::{bf16, f16};
use inferenceguard_bundle::network::{Layer, LayerActivation};
use inferenceguard_bundle::{Bundle, BundleError, Network, network::WriteError};
use proptest::prelude::*;
use safetensors::{Dtype, serialize, tensor::TensorView};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
};

const MANIFEST: &str = r#"
name = "example"
version = "1.0.0"
unguarded = true

[policy]
component = "policy.wasm"

[tracker]
component = "tracker.wasm"

[networks.value]
file = "weights/value.safetensors"
"#;

fn layer(weights: &[f32], bias: &[f32], activation: LayerActivation) -> Layer {
    Layer { weights: weights.to_vec(), bias: bias.to_vec(), activation }
}

/// Two numbers in, two in between, one out.
fn value() -> Network {
    let layers = [
        layer(&[1.0, -1.0, 2.0, 0.5], &[0.0, 1.0], LayerActivation::Relu),
        layer(&[3.0, 1.0], &[-1.0], LayerActivation::Identity),
    ];
    let metadata = BTreeMap::from([("hidden".to_owned(), "2".to_owned()), ("note".to_owned(), "by hand".to_owned())]);
    Network { layers: layers.into(), metadata }
}

/// A tensor before it is written: name, format, shape, bytes.
type Raw = (&'static str, Dtype, Vec<usize>, Vec<u8>);

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The tensors of one layer of two inputs and one output.
fn single() -> Vec<Raw> {
    vec![
        ("layers.0.weight", Dtype::F32, vec![1, 2], f32s(&[1.0, 2.0])),
        ("layers.0.bias", Dtype::F32, vec![1], f32s(&[0.5])),
    ]
}

fn file(tensors: &[Raw], activations: Option<&str>) -> Vec<u8> {
    let views =
        tensors.iter().map(|(name, dtype, shape, data)| (*name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    let metadata = activations.map(|names| HashMap::from([("activations".to_owned(), names.to_owned())]));
    serialize(views, metadata).unwrap()
}

fn refused(bytes: &[u8]) -> String {
    Network::parse(bytes).unwrap_err().to_string()
}

#[test]
fn layers_and_metadata_are_read() {
    let network = Network::parse(&value().to_bytes().unwrap()).unwrap();
    assert_eq!(network, value());
}

#[test]
fn half_precision_is_read() {
    let numbers = [1.5_f32, -0.25];
    let halves: Vec<u8> = numbers.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
    let brains: Vec<u8> = numbers.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect();
    for (dtype, bytes) in [(Dtype::F16, halves), (Dtype::BF16, brains)] {
        let mut tensors = single();
        tensors[0] = ("layers.0.weight", dtype, vec![1, 2], bytes);
        let network = Network::parse(&file(&tensors, Some(" tanh "))).unwrap();
        assert_eq!(network.layers[..], [layer(&numbers, &[0.5], LayerActivation::Tanh)]);
    }
}

#[test]
fn files_that_are_no_networks_are_refused_in_words() {
    assert!(refused(b"").contains("expected a whole safetensors file"));
    assert!(refused(b"not a file of tensors at all").contains("expected a whole safetensors file"));
    let whole = file(&single(), Some("relu"));
    assert!(refused(&whole[..whole.len() - 1]).contains("expected a whole safetensors file"));
    assert!(refused(&[&whole[..], b"more"].concat()).contains("expected a whole safetensors file"));
    let message = refused(&file(&single(), None));
    assert!(
        message.contains("no `activations`") && message.contains("identity, relu, tanh, silu, sigmoid"),
        "{message}"
    );
}

#[test]
fn activations_must_be_known_and_name_every_layer() {
    let message = refused(&file(&single(), Some("gelu")));
    assert!(message.contains("found the activation `gelu` of layer 0; expected one of: identity, relu"), "{message}");
    assert!(refused(&file(&single(), Some(""))).contains("found the activation `` of layer 0"));
    let message = refused(&file(&single(), Some("relu,relu")));
    assert!(message.contains("no tensor `layers.1.bias`") && message.contains("each of the 2 layers"), "{message}");
    let mut two = single();
    two.push(("layers.1.weight", Dtype::F32, vec![1, 1], f32s(&[1.0])));
    let message = refused(&file(&two, Some("relu")));
    assert!(message.contains("found the tensor `layers.1.weight`; expected only"), "{message}");
}

#[test]
fn tensors_that_do_not_fit_are_refused_in_words() {
    let with = |at: usize, tensor: Raw| {
        let mut tensors = single();
        tensors[at] = tensor;
        refused(&file(&tensors, Some("relu")))
    };
    let message = with(0, ("layers.0.weight", Dtype::F32, vec![2], f32s(&[1.0, 2.0])));
    assert!(message.contains("`layers.0.weight` has the shape [2]; expected [outputs, inputs]"), "{message}");
    let message = with(0, ("layers.0.weight", Dtype::F32, vec![1, 0], vec![]));
    assert!(message.contains("has the shape [1, 0]; expected"), "{message}");
    let message = with(1, ("layers.0.bias", Dtype::F32, vec![2], f32s(&[1.0, 2.0])));
    assert!(message.contains("`layers.0.bias` has the shape [2]; expected [1], one number per output"), "{message}");
    let message = with(1, ("layers.0.bias", Dtype::F64, vec![1], vec![0; 8]));
    assert!(message.contains("`layers.0.bias` has the format F64; expected F32, F16 or BF16"), "{message}");
    let message = with(0, ("layers.0.weight", Dtype::F32, vec![1, 2], f32s(&[1.0, f32::NAN])));
    assert!(message.contains("`layers.0.weight` holds NaN at 1; expected finite numbers"), "{message}");
    let message = with(1, ("layers.0.bias", Dtype::F16, vec![1], f16::INFINITY.to_le_bytes().to_vec()));
    assert!(message.contains("`layers.0.bias` holds inf at 0"), "{message}");
    let message = with(1, ("bias", Dtype::F32, vec![1], f32s(&[1.0])));
    assert!(message.contains("no tensor `layers.0.bias`"), "{message}");

    let mut chain = single();
    chain.push(("layers.1.weight", Dtype::F32, vec![1, 3], f32s(&[1.0; 3])));
    chain.push(("layers.1.bias", Dtype::F32, vec![1], f32s(&[1.0])));
    let message = refused(&file(&chain, Some("relu,relu")));
    assert!(message.contains("`layers.1.weight` has the shape [1, 3]; expected [outputs, 1]"), "{message}");
}

#[test]
fn networks_without_a_shape_cannot_be_written() {
    let ragged = Network { layers: [layer(&[1.0; 3], &[0.0; 2], LayerActivation::Relu)].into(), ..value() };
    assert!(matches!(ragged.to_bytes(), Err(WriteError::Shape { layer: 0, weights: 3, outputs: 2 })));
    assert!(matches!(Network { layers: [].into(), ..value() }.to_bytes(), Err(WriteError::NoLayers)));
}

fn folder(network: &[u8], manifest: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("weights")).unwrap();
    fs::write(dir.path().join("bundle.toml"), manifest).unwrap();
    fs::write(dir.path().join("policy.wasm"), "p").unwrap();
    fs::write(dir.path().join("tracker.wasm"), "t").unwrap();
    fs::write(dir.path().join("weights/value.safetensors"), network).unwrap();
    dir
}

#[test]
fn a_bundle_holds_its_networks_and_its_digest_covers_them() {
    let dir = folder(&value().to_bytes().unwrap(), MANIFEST);
    let bundle = Bundle::open(dir.path()).unwrap();
    assert_eq!(bundle.networks()["value"], value());
    assert!(bundle.digests().contains_key("weights/value.safetensors"));
    let made = Bundle::from_parts(MANIFEST, bundle.files()).unwrap();
    assert_eq!(made.digest(), bundle.digest());

    let mut other = value();
    other.metadata.insert("note".to_owned(), "by another hand".to_owned());
    fs::write(dir.path().join("weights/value.safetensors"), other.to_bytes().unwrap()).unwrap();
    assert_ne!(Bundle::open(dir.path()).unwrap().digest(), bundle.digest());
}

#[test]
fn a_bad_network_names_its_file_and_its_key() {
    let error = Bundle::open(folder(b"nonsense", MANIFEST).path()).unwrap_err();
    assert!(matches!(error, BundleError::Network { .. }), "{error}");
    assert!(error.to_string().starts_with("weights/value.safetensors, `[networks.value]`: "), "{error}");
    let bytes = value().to_bytes().unwrap();
    let message = |from: &str, to: &str| {
        Bundle::open(folder(&bytes, &MANIFEST.replace(from, to)).path()).unwrap_err().to_string()
    };
    assert!(message("weights/value", "weights/gone").contains("key `networks.value.file`: the bundle has no file"));
    assert!(message("weights/value", "../value").contains("key `networks.value.file`: found the path `../value"));
    assert!(message("file =", "path =").contains("unknown field `path`"));
    assert!(message("networks.value", "networks.\" \"").contains("key `networks`: found \" \""));
    let limited = format!("{MANIFEST}\n[limits]\nnetwork = 1024\n");
    let error = Bundle::open(folder(&[0; 1025], &limited).path()).unwrap_err();
    assert!(error.to_string().contains("raise `network` in `[limits]`"), "{error}");
}

/// Any network of up to three layers.
fn any_network() -> impl Strategy<Value = Network> {
    let widths = prop::collection::vec(1_usize..5, 2..5);
    (widths, prop::collection::vec(-9.0_f32..9.0, 64), prop::collection::vec(0_usize..5, 3)).prop_map(
        |(widths, numbers, picks)| {
            let mut numbers = numbers.into_iter().cycle();
            let mut take = |count| numbers.by_ref().take(count).collect::<Vec<f32>>();
            let pairs = widths.windows(2).zip(picks);
            let layers = pairs.map(|(pair, pick)| Layer {
                weights: take(pair[0] * pair[1]),
                bias: take(pair[1]),
                activation: LayerActivation::ALL[pick],
            });
            let metadata = BTreeMap::from([("a".to_owned(), "\"é\n".to_owned()), ("b".to_owned(), String::new())]);
            Network { layers: layers.collect::<Vec<_>>().into(), metadata }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_and_always_the_same_bytes(network in any_network()) {
        let bytes = network.to_bytes().unwrap();
        prop_assert_eq!(&bytes, &network.clone().to_bytes().unwrap());
        prop_assert_eq!(Network::parse(&bytes).unwrap(), network);
    }

    #[test]
    fn damaged_files_are_refused_or_still_networks(network in any_network(), at in any::<prop::sample::Index>(), to: u8) {
        let mut bytes = network.to_bytes().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(read) = Network::parse(&bytes) {
            prop_assert!(read.layers.iter().all(|layer| layer.weights.iter().all(|weight| weight.is_finite())));
        }
    }
}
