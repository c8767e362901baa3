//! Cancellations reach a chunk that is being grown.

use inferenceguard_host::{CancelToken, Engine, EngineBuilder, LiveBeams, Request};
use inferenceguard_model::{
    BeamId, Model, ModelError, Rows, Token,
    toy::{ToyModel, ToyScript},
};
use inferenceguard_search::Finish;
use inferenceguard_testkit::{
    hooked::{Hooked, Hooks},
    toy::{SCRIPT, config, roles},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

/// Each step sends a message, and waits for one or for the end of its channel.
struct Paced {
    steps: Arc<AtomicUsize>,
    begins: Sender<()>,
    go: Receiver<()>,
}

impl Hooks for Paced {
    fn step(&mut self, model: &mut ToyModel, rows: &[(BeamId, Token)]) -> Result<Rows, ModelError> {
        self.steps.fetch_add(1, Ordering::SeqCst);
        self.begins.send(()).unwrap_or(());
        self.go.recv().unwrap_or(());
        model.step(rows)
    }
}

fn paced() -> (Engine, Arc<AtomicUsize>, Receiver<()>, Sender<()>) {
    let (toy, steps) = (ToyScript::parse(SCRIPT).unwrap(), Arc::new(AtomicUsize::new(0)));
    let ((begins, begun), (goes, go)) = (mpsc::channel(), mpsc::channel());
    let model = Hooked::new(toy.model(), Paced { steps: Arc::clone(&steps), begins, go });
    let builder = EngineBuilder::new().model(Box::new(model)).config(config(11.0)).roles("native", roles);
    let builder = toy.scores().into_iter().fold(builder, |builder, score| builder.score_model(Box::new(score)));
    (builder.build().unwrap(), steps, begun, goes)
}

#[test]
fn a_cancellation_ends_a_chunk_within_one_step() {
    let (engine, steps, begun, goes) = paced();
    let cancel = CancelToken::new();
    let output = thread::scope(|scope| {
        let asked = scope.spawn(|| engine.stream(Request::new("good"), &cancel, |_| {}).unwrap());
        begun.recv().unwrap();
        cancel.cancel();
        // This step ends, and any later one would no longer wait.
        drop(goes);
        asked.join().unwrap()
    });
    assert_eq!((output.finish, output.text.as_str(), steps.load(Ordering::SeqCst)), (Finish::Cancelled, "", 1));
    assert_eq!(engine.live_beams(), LiveBeams::default());
}
