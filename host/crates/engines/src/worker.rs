//! Where connections live: a runtime of its own, because the traits of back ends do not know async.

use crate::{Fault, RemoteError};
use inferenceguard_model::Cancel;
use std::{future::Future, sync::mpsc};
use tokio::runtime::{Builder, Handle, Runtime};

/// The threads of a back end that wait for its engines.
pub(crate) struct Worker(Option<Runtime>);

impl Worker {
    pub(crate) fn new() -> Result<Self, RemoteError> {
        let built = Builder::new_multi_thread().worker_threads(2).thread_name("engines").enable_all().build();
        built.map(|runtime| Self(Some(runtime))).map_err(|error| setup(&error.to_string()))
    }

    fn handle(&self) -> Result<&Handle, Fault> {
        let gone = || Fault::Setup { reason: "its threads are gone".to_owned() };
        self.0.as_ref().map(Runtime::handle).ok_or_else(gone)
    }

    /// Runs a task until it ends, without anybody who waits for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Ok(handle) = self.handle() {
            handle.spawn(task);
        }
    }

    /// Waits for a task. A task whose request is cancelled is dropped, and its connections with it.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        cancel: &Cancel,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Fault> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let running = self.handle()?.spawn(async move { drop(sender.send(task.await)) });
        let abort = running.abort_handle();
        let _call = cancel.on_cancel(move || abort.abort());
        let died = || Fault::Setup { reason: "a task of this side panicked; report it".to_owned() };
        // A task that was dropped sends nothing.
        receiver.recv().map_err(|_| if cancel.is_cancelled() { Fault::Cancelled } else { died() })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A runtime that is dropped on a thread of another runtime panics unless it ends in the background.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn setup(reason: &str) -> RemoteError {
    Fault::Setup { reason: reason.to_owned() }.at("(its threads)")
}
