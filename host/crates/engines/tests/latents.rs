//! Latents of a second server with the same weights.

use inferenceguard_engines::{Contradiction, Fault, Probe, Remote, RemoteError, vllm::Vllm};
use inferenceguard_fake_engines::{
    Act, Fake, Kind, local,
    model::{HIDDEN, Weights},
    remote, until,
};
use inferenceguard_model::{BackEnd, Caller, LatentSelector, ModelError};
use serde_json::json;

fn pooling(weights: Weights) -> Fake {
    Fake::new(Kind { width: HIDDEN, weights, ..Kind::default() })
}

#[test]
fn the_latent_of_a_beam_is_that_of_its_newest_token() {
    let (fake, second) = (Fake::new(Kind::default()), pooling(Weights(1)));
    let vllm = Vllm::connect(&remote(&[&fake]), local(), Some(&remote(&[&second]))).unwrap();
    assert!(vllm.abilities().latents && !vllm.abilities().layers);
    let mut handle = vllm.handle(&Caller::default());
    let beam = handle.open(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
    let twin = handle.fork(&[beam]).unwrap()[0];
    handle.append(&[(twin, 65)]).unwrap();
    for _ in 0..2 {
        // The second time the server has read the texts, and gives their last rows only.
        let latents = handle.latents(&[beam, twin], LatentSelector::FinalNorm).unwrap();
        let longer = [1, 2, 3, 4, 5, 6, 7, 8, 9, 65];
        assert_eq!(*latents[0], Weights(1).latent(&longer[..9]));
        assert_eq!(*latents[1], Weights(1).latent(&longer));
    }
    let inner = handle.latents(&[beam], LatentSelector::Layer(2)).unwrap_err();
    assert!(matches!(&inner, ModelError::Unsupported(what) if what.contains("layer 2")));
}

#[test]
fn latents_that_lie_are_found() {
    let (fake, second) = (Fake::new(Kind::default()), pooling(Weights(1)));
    let vllm = Vllm::connect(&remote(&[&fake]), local(), Some(&remote(&[&second]))).unwrap();
    let mut handle = vllm.handle(&Caller::default());
    let beam = handle.open(&[1, 2, 3]).unwrap();
    let table: [(&str, Fault); 3] = [
        ("AAAAAA==", Contradiction::Width { found: 1, expected: HIDDEN }.into()),
        ("", Contradiction::TooFew { found: 0, expected: 1 }.into()),
        ("AADAfwAAwH8AAMB/AADAfw==", Contradiction::NotFinite { what: "latents" }.into()),
    ];
    for (data, fault) in table {
        let body = json!({"data": [{"index": 0, "data": data}], "usage": {"prompt_tokens": 3}}).to_string();
        second.rule(move |_| Act::Raw(body.clone()));
        let error = handle.latents(&[beam], LatentSelector::FinalNorm).unwrap_err();
        let ModelError::Backend(source) = error else { panic!("{data}") };
        assert_eq!(source.downcast::<RemoteError>().unwrap().fault, fault, "{data}");
    }
}

#[test]
fn a_second_server_with_other_weights_stops_answers() {
    let (fake, second) = (Fake::new(Kind::default()), pooling(Weights(1)));
    let vllm = Vllm::connect(&remote(&[&fake]), local(), Some(&remote(&[&second]))).unwrap();
    let probe = Probe::of_latents(&mut *vllm.handle(&Caller::default())).unwrap();
    let probe = Probe::parse(probe.to_json().as_bytes()).unwrap();
    let deadlines = inferenceguard_engines::Deadlines {
        check: std::time::Duration::from_millis(100),
        ..inferenceguard_fake_engines::deadlines()
    };
    let probed = |fake: &Fake| Remote { probe: Some(probe.clone()), deadlines, ..remote(&[fake]) };
    let other = pooling(Weights(2));
    let error = Vllm::connect(&remote(&[&fake]), local(), Some(&probed(&other))).err().unwrap();
    assert!(matches!(&error.fault, Fault::Probe { .. }), "{error}");
    let vllm = Vllm::connect(&remote(&[&fake]), local(), Some(&probed(&second))).unwrap();
    second.change(|kind| kind.weights = Weights(2));
    until("the change is found", || vllm.broken().is_some_and(|why| why.contains("not the model of the probe")));
    // A probe of log-probabilities is none of latents.
    let language = Probe::of(&mut *vllm.handle(&Caller::default())).unwrap();
    let wrong = Remote { probe: Some(language), ..remote(&[&second]) };
    let error = Vllm::connect(&remote(&[&fake]), local(), Some(&wrong)).err().unwrap();
    assert!(error.to_string().contains("another kind of probe"), "{error}");
}

#[test]
fn latents_that_are_a_little_off_are_another_model() {
    let (fake, second) = (Fake::new(Kind::default()), pooling(Weights(1)));
    let vllm = Vllm::connect(&remote(&[&fake]), local(), Some(&remote(&[&second]))).unwrap();
    let mut probe = Probe::of_latents(&mut *vllm.handle(&Caller::default())).unwrap();
    let connect = |probe: &Probe, precision: &str| {
        let pooled = Remote { probe: Some(probe.clone()), precision: precision.into(), ..remote(&[&second]) };
        Vllm::connect(&remote(&[&fake]), local(), Some(&pooled)).map(drop)
    };
    connect(&probe, "bf16").unwrap();
    // A tenth of the length of one latent: less than a fifth of its largest number.
    let length = probe.sequences[2].values.iter().map(|value| value * value).sum::<f32>().sqrt();
    probe.sequences[2].values[0] += 0.1 * length;
    let error = connect(&probe, "bf16").unwrap_err();
    assert!(matches!(&error.fault, Fault::Probe { .. }), "{error}");
}
