//! The server inside an axum program of one's own: `cargo run -p inferenceguard-server --example in_axum -- BUNDLE ADDRESS`.
//!
//! The toy model stands in for a real one.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use axum::{Router, routing::get};
use inferenceguard_host::{Bundle, Engine, EngineBuilder, model::toy::ToyScript};
use inferenceguard_server::{Server, ServerConfig, ServerError};
use std::{env, error::Error, path::Path, sync::Arc};
use tokio::{net::TcpListener, runtime::Runtime};

const SCRIPT: &str = "vocab: <eos>* good bad
after : good 9, bad 1, <eos> 3
score cost: bad 5
score reward cumulative: good 1";

/// A page of one's own, and the server's paths (`/v1/...`, `/health`, `/ready`, `/metrics`) beside it.
pub(crate) fn app(engine: Arc<Engine>, bundle: Bundle) -> Result<Router, ServerError> {
    let server = Server::new(ServerConfig::new(engine, bundle))?;
    // `Server::run` would do this as well: with a store, it saves the bundle that the server begins with.
    server.begin()?;
    Ok(Router::new().route("/about", get(async || "Answers are guarded.\n")).merge(server.router()))
}

/// An engine over the toy model.
pub(crate) fn engine(bundle: &Bundle) -> Result<Engine, Box<dyn Error>> {
    let toy = ToyScript::parse(SCRIPT)?;
    let builder = EngineBuilder::new().model(Box::new(toy.model())).bundle(bundle);
    Ok(toy.scores().into_iter().fold(builder, |builder, score| builder.score_model(Box::new(score))).build()?)
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, address] = arguments.as_slice() else { return Err("usage: in_axum BUNDLE ADDRESS".into()) };
    let bundle = Bundle::open(Path::new(folder))?;
    let app = app(Arc::new(engine(&bundle)?), bundle)?;
    println!("http://{address}/about");
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(address.as_str()).await?;
        axum::serve(listener, app).await
    })?;
    Ok(())
}
