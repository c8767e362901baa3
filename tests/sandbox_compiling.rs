//! Compiling a component does not wait for the threads of models, and they do not wait for it. The test has a process of its own,
//! because it takes all of those threads.

#[path = "sandbox_support/mod.rs"]
mod support;

use std::{
    sync::mpsc::{channel, sync_channel},
    thread,
    time::Duration,
};
use support::{guest, limits};

#[test]
fn compiling_uses_threads_of_its_own() {
    let bytes = guest("rogue-cost");
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().unwrap();
    // The one thread that models would compute on is busy until the component is compiled.
    let (busy, is_busy) = sync_channel::<()>(0);
    let (free, until_free) = channel::<()>();
    rayon::spawn(move || {
        busy.send(()).unwrap();
        let _ = until_free.recv();
    });
    is_busy.recv().unwrap();
    let (done, loaded) = channel();
    thread::spawn(move || {
        let sandbox = inferenceguard_sandbox::Sandbox::new(limits(), None).unwrap();
        done.send(sandbox.load("cost", &bytes).is_ok()).unwrap();
    });
    let loaded = loaded.recv_timeout(Duration::from_secs(120));
    free.send(()).unwrap();
    assert_eq!(loaded, Ok(true), "it waited for the threads of models");
}
