//! Several replicas: affinity, fail-over, and replicas that die, come back, or come back as another model.

use inferenceguard_engines::{Deadlines, Fault, Probe, Remote, Sequence, vllm::Vllm};
use inferenceguard_fake_engines::{
    Act, Fake, Kind, connect, deadlines, grow_one, growth, local, model::Weights, remote, row, until,
};
use inferenceguard_model::{BackEnd, Caller, Drain, ModelError, ReplicaState, log_softmax};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

#[test]
fn the_rows_of_a_request_stay_on_one_replica() {
    let fakes = [Fake::new(Kind::default()), Fake::new(Kind::default())];
    let vllm = connect(&[&fakes[0], &fakes[1]]);
    fakes.iter().for_each(|fake| drop(fake.take()));
    for _ in 0..32 {
        let mut handle = vllm.handle(&Caller::default());
        let beam = handle.open(&[1]).unwrap();
        handle.grow(&growth(), (0..4).map(|seed| row(beam, seed)).collect()).unwrap();
        handle.grow(&growth(), vec![row(beam, 9)]).unwrap();
    }
    let sessions = |fake: &Fake| -> BTreeSet<String> {
        fake.take().iter().map(|seen| seen.body["session_id"].as_str().unwrap().to_owned()).collect()
    };
    let (one, other) = (sessions(&fakes[0]), sessions(&fakes[1]));
    assert!(one.is_disjoint(&other));
    assert_eq!(one.len() + other.len(), 32);
    assert!(one.len() >= 2 && other.len() >= 2, "{} and {}", one.len(), other.len());
}

#[test]
fn another_replica_takes_the_rows_of_a_replica_that_is_busy_or_gone() {
    let mut fakes = [Fake::new(Kind::default()), Fake::new(Kind::default())];
    let vllm = connect(&[&fakes[0], &fakes[1]]);
    fakes[0].completions(|| Act::Status(503, "{}"));
    let expected = grow_one(&vllm).unwrap();
    for _ in 0..8 {
        assert_eq!(grow_one(&vllm).unwrap(), expected, "the same seed gives the same tokens");
    }
    fakes[0].honest();
    fakes[1].kill();
    for _ in 0..8 {
        assert_eq!(grow_one(&vllm).unwrap(), expected);
    }
    assert_eq!(vllm.broken(), None);
    fakes[0].kill();
    let error = grow_one(&vllm).unwrap_err().to_string();
    assert!(fakes.iter().all(|fake| error.contains(&fake.url())), "{error}");
    until("both are known to be gone", || grow_one(&vllm).is_err() && vllm.broken().is_some());
    fakes[1].start();
    until("the replica that came back is used", || grow_one(&vllm).is_ok());
    assert_eq!(vllm.broken(), None);
}

#[test]
fn a_replica_that_is_killed_during_many_requests_leaves_none_hanging() {
    let mut fakes = [Fake::new(Kind::default()), Fake::new(Kind::default())];
    let vllm = connect(&[&fakes[0], &fakes[1]]);
    for fake in &fakes {
        fake.completions(|| Act::Late(Duration::from_millis(3)));
    }
    let (done, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let counter = if grow_one(&vllm).is_ok_and(|tokens| tokens.len() == 8) { &done } else { &failed };
                    counter.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        until("a part of the requests is done", || done.load(Ordering::SeqCst) >= 40);
        fakes[0].kill();
    });
    let (done, failed) = (done.into_inner(), failed.into_inner());
    assert_eq!((done, failed), (200, 0), "each row is grown at the other replica");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    let replicas = vllm.replicas();
    assert!(replicas[0].url == fakes[0].url() && replicas[0].failures > 0, "{replicas:?}");
    assert_eq!(replicas.iter().map(|one| one.rows).sum::<usize>(), 0, "{replicas:?}");
    assert!(replicas[0].calls + replicas[1].calls >= 200, "{replicas:?}");
    assert_eq!(vllm.live_beams(), 0);
}

/// What the fake's model gives at these tokens.
fn probe(weights: Weights) -> Probe {
    let (prompt, tokens) = (vec![5u32, 6], vec![70u32, 71, 72, 73]);
    let value = |at: usize| {
        let before = [prompt.as_slice(), &tokens[..at]].concat();
        log_softmax(&weights.logits(&before))[tokens[at] as usize]
    };
    let values = (0..4).map(value).collect();
    let sequences = vec![Sequence { prompt: prompt.clone(), tokens: tokens.clone(), values }];
    Probe { model: "smol".into(), precision: "f32".into(), base: "sha256:base".into(), tolerance: None, sequences }
}

fn probed(fakes: &[&Fake]) -> Remote {
    let deadlines = Deadlines { check: Duration::from_millis(100), ..deadlines() };
    Remote { probe: Some(probe(Weights(1))), deadlines, ..remote(fakes) }
}

#[test]
fn the_probe_names_the_model() {
    let fake = Fake::new(Kind::default());
    let vllm = Vllm::connect(&probed(&[&fake]), local(), None).unwrap();
    let info = vllm.info();
    assert_eq!(info.base(), "sha256:base");
    assert!(info.parts.weights.starts_with("probe sha256:"));
    assert_eq!((info.parts.precision.as_str(), info.parts.tokenizer.as_str()), ("f32", "t"));
    assert_eq!(info.parts.device, format!("vllm 0.32.0 at {}", fake.url()));
    let unknown = connect(&[&fake]);
    assert!(unknown.info().parts.weights.starts_with("not checked"));
    assert_ne!(unknown.info().fingerprint, info.fingerprint);
    assert_eq!(unknown.info().base(), unknown.info().fingerprint);
    let other = Fake::new(Kind { weights: Weights(2), ..Kind::default() });
    let error = Vllm::connect(&probed(&[&other]), local(), None).err().unwrap().to_string();
    assert!(error.contains("not the model of the probe") && error.contains("at compared token 0"), "{error}");
}

#[test]
fn a_probe_of_another_vocabulary_is_refused() {
    let fake = Fake::new(Kind::default());
    let mut remote = probed(&[&fake]);
    remote.probe.as_mut().unwrap().sequences[0].tokens[0] = 300;
    let error = Vllm::connect(&remote, local(), None).err().unwrap().to_string();
    assert!(error.contains("token 300"), "{error}");
}

#[test]
fn another_model_stops_answers_until_the_right_one_is_back() {
    let fake = Fake::new(Kind::default());
    let vllm = Vllm::connect(&probed(&[&fake]), local(), None).unwrap();
    grow_one(&vllm).unwrap();
    // Another model under the same fingerprint: the check that runs every few minutes finds it.
    fake.change(|kind| kind.weights = Weights(2));
    until("the change is found", || vllm.broken().is_some_and(|why| why.contains("not the model of the probe")));
    let error = grow_one(&vllm).unwrap_err();
    assert!(error.to_string().contains("not the model of the probe"), "{error}");
    fake.change(|kind| kind.weights = Weights(1));
    until("it answers again", || vllm.broken().is_none() && grow_one(&vllm).is_ok());
}

#[test]
fn another_process_is_checked_before_its_answer_counts() {
    let fake = Fake::new(Kind::default());
    let rare = Remote { deadlines: deadlines(), ..probed(&[&fake]) };
    let vllm = Vllm::connect(&rare, local(), None).unwrap();
    fake.change(|kind| kind.fingerprint = "vllm-0.32.0-bbbb".into());
    fake.take();
    grow_one(&vllm).unwrap();
    assert!(fake.take().iter().any(|seen| seen.path == "/v1/models"), "it was checked again");
    fake.change(|kind| {
        kind.fingerprint = "vllm-0.32.0-cccc".into();
        kind.weights = Weights(2);
    });
    let error = grow_one(&vllm).unwrap_err();
    assert!(error.to_string().contains("not the model of the probe"), "{error}");
}

#[test]
fn a_replica_that_comes_back_without_the_plugin_is_not_used() {
    let mut fake = Fake::new(Kind::default());
    let vllm = connect(&[&fake]);
    fake.kill();
    assert!(grow_one(&vllm).is_err());
    fake.change(|kind| kind.plugin = false);
    fake.start();
    until("the lack is found", || vllm.broken().is_some_and(|why| why.contains("lower tokens by offset")));
    assert!(matches!(grow_one(&vllm), Err(ModelError::Backend(_))));
    fake.change(|kind| kind.plugin = true);
    until("it is used again", || grow_one(&vllm).is_ok());
}

#[test]
fn one_replica_of_two_may_be_gone_at_the_start_and_none_may_be_another_model() {
    let (here, mut gone) = (Fake::new(Kind::default()), Fake::new(Kind::default()));
    gone.kill();
    let vllm = Vllm::connect(&probed(&[&here, &gone]), local(), None).unwrap();
    grow_one(&vllm).unwrap();
    let other = Fake::new(Kind { weights: Weights(2), ..Kind::default() });
    let error = Vllm::connect(&probed(&[&here, &other]), local(), None).err().unwrap();
    assert_eq!(error.engine, other.url());
}

#[test]
fn a_probe_is_made_of_what_a_model_writes() {
    let fake = Fake::new(Kind::default());
    let vllm = connect(&[&fake]);
    let made = Probe::of(&mut *vllm.handle(&Caller::default())).unwrap();
    assert_eq!(vllm.live_beams(), 0);
    assert!(made.sequences.len() >= 4 && made.sequences.iter().all(|one| one.tokens.len() == one.values.len()));
    let again = Probe::parse(made.to_json().as_bytes()).unwrap();
    let good = Remote { probe: Some(again.clone()), ..remote(&[&fake]) };
    Vllm::connect(&good, local(), None).unwrap();
    let other = Fake::new(Kind { weights: Weights(3), ..Kind::default() });
    assert!(Vllm::connect(&Remote { probe: Some(again), ..remote(&[&other]) }, local(), None).is_err());
}

#[test]
fn a_replica_that_hangs_in_its_check_delays_neither_requests_nor_the_checks_of_others() {
    let (half, fake) = (Fake::new(Kind::default()), Fake::new(Kind::default()));
    let deadlines = Deadlines {
        check_byte: Duration::from_millis(300),
        first_byte: Duration::from_secs(120),
        look: Duration::from_millis(100),
        ..deadlines()
    };
    let probed = Remote { deadlines, ..probed(&[&half, &fake]) };
    let vllm = Vllm::connect(&probed, local(), None).unwrap();
    // It accepts connections and requests, and answers nothing.
    half.rule(|_| Act::Never);
    half.take();
    // The look, the check that follows it, and the next check: it is down between them.
    until("it is found", || half.shared.seen.lock().unwrap().len() >= 3);
    let begin = Instant::now();
    for _ in 0..16 {
        grow_one(&vllm).unwrap();
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    fake.change(|kind| kind.weights = Weights(2));
    until("the other replica is still checked", || {
        vllm.broken().is_some_and(|why| why.contains("not the model of the probe"))
    });
    half.honest();
    until("it is used again", || grow_one(&vllm).is_ok());
}

#[test]
fn all_replicas_serve_the_model_under_one_name() {
    let (one, other) = (Fake::new(Kind::default()), Fake::new(Kind { model: "large".into(), ..Kind::default() }));
    let error = Vllm::connect(&remote(&[&one, &other]), local(), None).err().unwrap();
    assert_eq!(error.fault, Fault::Model { expected: "smol".into(), known: "large".into() });
}

#[test]
fn a_row_does_not_wait_for_a_replica_that_stops_answering() {
    let (half, fake) = (Fake::new(Kind::default()), Fake::new(Kind::default()));
    let deadlines = Deadlines {
        check_byte: Duration::from_millis(300),
        first_byte: Duration::from_secs(120),
        look: Duration::from_millis(100),
        ..deadlines()
    };
    let vllm = Vllm::connect(&Remote { deadlines, ..remote(&[&half, &fake]) }, local(), None).unwrap();
    let expected = grow_one(&vllm).unwrap();
    // Connections stay open and nothing comes, also for the rows that are on their way.
    half.rule(|_| Act::Never);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let rows: Vec<_> = (0..16).map(|_| scope.spawn(|| grow_one(&vllm))).collect();
        rows.into_iter().for_each(|row| assert_eq!(row.join().unwrap().unwrap(), expected));
    });
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    let replicas = vllm.replicas();
    assert!(replicas[0].failures > 0 && matches!(replicas[0].state, ReplicaState::Down(_)), "{replicas:?}");
    assert_eq!(replicas[1].state, ReplicaState::Ready);
}

#[test]
fn the_only_replica_may_be_slow_as_long_as_its_deadline_allows() {
    let fake = Fake::new(Kind::default());
    let deadlines = Deadlines {
        check_byte: Duration::from_millis(100),
        first_byte: Duration::from_secs(20),
        look: Duration::from_millis(50),
        ..deadlines()
    };
    let vllm = Vllm::connect(&Remote { deadlines, ..remote(&[&fake]) }, local(), None).unwrap();
    let expected = grow_one(&vllm).unwrap();
    // Looks are not answered in time; the row is, later.
    fake.rule(|seen| Act::Late(if seen.path == "/v1/models" { LATE / 4 } else { LATE }));
    assert_eq!(grow_one(&vllm).unwrap(), expected);
    assert!(matches!(vllm.replicas()[0].state, ReplicaState::Down(_)), "{:?}", vllm.replicas());
}

/// Longer than several looks.
const LATE: Duration = Duration::from_millis(1200);

#[test]
fn a_drained_replica_gets_no_new_rows_and_ends_those_that_it_has() {
    let fakes = [Fake::new(Kind::default()), Fake::new(Kind::default())];
    let vllm = connect(&[&fakes[0], &fakes[1]]);
    assert_eq!(vllm.drain("http://127.0.0.1:1", true), Drain::Unknown);
    let expected = grow_one(&vllm).unwrap();
    fakes.iter().for_each(|fake| fake.completions(|| Act::Late(Duration::from_millis(300))));
    std::thread::scope(|scope| {
        let rows: Vec<_> = (0..16).map(|_| scope.spawn(|| grow_one(&vllm))).collect();
        until("both compute rows", || vllm.replicas().iter().all(|replica| replica.rows > 0));
        assert_eq!(vllm.drain(&fakes[0].url(), true), Drain::Done);
        assert_eq!(vllm.drain(&fakes[1].url(), true), Drain::Last, "one replica must be left");
        rows.into_iter().for_each(|row| assert_eq!(row.join().unwrap().unwrap(), expected, "no row is lost"));
    });
    fakes.iter().for_each(Fake::honest);
    let before = vllm.replicas();
    assert_eq!((before[0].rows, before[0].drained, before[0].failures), (0, true, 0), "{before:?}");
    (0..16).for_each(|_| drop(grow_one(&vllm).unwrap()));
    let after = vllm.replicas();
    assert_eq!((after[0].calls, after[1].calls), (before[0].calls, before[1].calls + 16));
    assert_eq!((vllm.drain(&fakes[0].url(), false), vllm.drain(&fakes[0].url(), false)), (Drain::Done, Drain::Done));
    until("it gets rows again", || {
        grow_one(&vllm).unwrap();
        vllm.replicas()[0].calls > after[0].calls
    });
}

#[test]
fn nothing_answers_where_all_but_the_drained_replicas_are_gone() {
    let mut fakes = [Fake::new(Kind::default()), Fake::new(Kind::default())];
    let vllm = connect(&[&fakes[0], &fakes[1]]);
    assert_eq!(vllm.drain(&fakes[0].url(), true), Drain::Done);
    fakes[1].kill();
    until("it is known to be gone", || grow_one(&vllm).is_err() && vllm.broken().is_some());
    assert!(vllm.broken().unwrap().contains("taken it out"), "{:?}", vllm.broken());
    assert_eq!(vllm.drain(&fakes[0].url(), false), Drain::Done);
    until("the other one answers", || grow_one(&vllm).is_ok());
}
