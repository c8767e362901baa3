//! Many requests at once, over HTTP and by the engine itself: the demonstration's models and bundle.

use crate::{
    request::{bundle, with_models},
    rounds::{AT_ONCE, Round, in_turns},
    stopwatch::{Stopwatch, at_least, plain},
};
use inferenceguard_host::{Engine, EngineBuilder};
use inferenceguard_server::{Server, ServerConfig};
use serde_json::json;
use std::{net::SocketAddr, sync::Arc, thread, time::Instant};
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot};

pub(crate) fn measure(watch: Stopwatch) {
    let builder = with_models(EngineBuilder::new().bundle(&bundle())).max_live(AT_ONCE);
    let engine = Arc::new(builder.build().expect("an engine"));
    let (runtime, address, stop) = serve(&engine);
    let [http, direct] =
        in_turns(watch, |round| (through_http(address, round), ()), |round| (round.ask(&engine).0, ()));
    plain("16 requests at once over HTTP", http * 1e3);
    at_least("throughput over HTTP, against the engine itself", direct / http, 0.98);
    drop(stop);
    drop(runtime);
}

/// A server on a port of its own, until the sender is dropped.
fn serve(engine: &Arc<Engine>) -> (Runtime, SocketAddr, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::new(ServerConfig::new(Arc::clone(engine), bundle())).expect("a server");
    let runtime = Runtime::new().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("its address");
    runtime.spawn(async move { server.run(listener, None, async move { drop(stopped.await) }).await });
    (runtime, address, stop)
}

/// Seconds until all are answered.
fn through_http(address: SocketAddr, round: Round) -> f64 {
    let requests = round.requests();
    let start = Instant::now();
    thread::scope(|scope| {
        for request in requests {
            let body = json!({
                "messages": [{"role": "user", "content": request.prompt}],
                "seed": request.seed,
                "max_tokens": request.max_tokens,
            });
            scope.spawn(move || {
                let answer = ureq::post(format!("http://{address}/v1/chat/completions")).send_json(body);
                assert_eq!(answer.expect("an answer").status(), 200);
            });
        }
    });
    start.elapsed().as_secs_f64()
}
