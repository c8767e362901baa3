//! One call to one engine: bounded in time and in size, with a typed fault for everything that can go wrong.

use crate::{
    Authority, Deadlines, Endpoint, Fault, Key, RemoteError,
    error::{listed, quoted},
};
use reqwest::{
    Client, Response,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
    redirect::Policy,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{error::Error, future::Future, time::Duration};
use tokio::time::timeout;

/// The longest that a busy engine may ask this side to wait.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(10);

/// What a call needs beside its URL.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) path: &'static str,
    /// What the path is sent with, such as a query.
    pub(crate) suffix: &'a str,
    /// JSON; nothing for GET.
    pub(crate) body: Option<&'a [u8]>,
    /// The session, for routers.
    pub(crate) session: Option<&'a str>,
    /// The most bytes of the answer.
    pub(crate) limit: usize,
}

impl<'a> Call<'a> {
    /// The most bytes of a small answer.
    const SMALL: usize = 1 << 20;

    pub(crate) fn get(path: &'static str) -> Self {
        Self { path, suffix: "", body: None, session: None, limit: Self::SMALL }
    }

    pub(crate) fn post(path: &'static str, body: &'a [u8]) -> Self {
        Self { body: Some(body), ..Self::get(path) }
    }
}

/// The body of a request: a struct of numbers and texts, which always has a form in JSON.
pub(crate) fn json(request: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(request).unwrap_or_default()
}

/// The connections to the replicas of one engine; each URL has a pool of its own.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client,
    key: Option<Key>,
    deadlines: Deadlines,
}

/// A fault, and how long the engine asked this side to wait.
pub(crate) struct Failed {
    pub(crate) fault: Fault,
    pub(crate) wait: Option<Duration>,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self { fault, wait: None }
    }
}

impl Http {
    /// Must be called inside a runtime.
    pub(crate) fn new(
        endpoints: &[Endpoint],
        (key, authority): (Option<Key>, Option<Authority>),
        deadlines: Deadlines,
    ) -> Result<Self, RemoteError> {
        // Another part of the program may have installed one already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = Client::builder()
            .connect_timeout(deadlines.connect)
            .redirect(Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(usize::MAX);
        // Without TLS the system's certificates are not needed, which a small container may lack.
        let encrypted = endpoints.iter().any(Endpoint::is_encrypted);
        let builder = match authority {
            Some(authority) => builder.tls_certs_only(authority.certificates()),
            None if encrypted => builder,
            None => builder.tls_certs_only([]),
        };
        let failed = |error: reqwest::Error| Fault::Setup { reason: chain(&error) }.at("(its connections)");
        Ok(Self { client: builder.build().map_err(failed)?, key, deadlines })
    }

    /// The same connections, for calls that must begin to answer within this time.
    pub(crate) fn within(&self, first_byte: Duration) -> Self {
        let first_byte = first_byte.min(self.deadlines.first_byte);
        Self { deadlines: Deadlines { first_byte, ..self.deadlines }, ..self.clone() }
    }

    pub(crate) fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// An answer of status 200, read as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, at: &Endpoint, call: Call<'_>) -> Result<T, Failed> {
        let bytes = self.bytes(at, call).await?;
        serde_json::from_slice(&bytes).map_err(|error| malformed(call.path, &error).into())
    }

    /// The body of an answer of status 200.
    pub(crate) async fn bytes(&self, at: &Endpoint, call: Call<'_>) -> Result<Vec<u8>, Failed> {
        let sent =
            within(self.deadlines.first_byte, "the first byte of the answer", self.request(at, call).send()).await;
        let response = sent?.map_err(|error| connection(&error))?;
        let status = response.status().as_u16();
        if status == 200 {
            return Ok(self.body(response, call.limit).await?);
        }
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let wait = wait.map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER));
        let body = self.body(response, Call::SMALL).await.unwrap_or_default();
        Err(Failed { fault: refused(call.path, status, &body), wait })
    }

    fn request(&self, at: &Endpoint, call: Call<'_>) -> reqwest::RequestBuilder {
        let url = at.of(call.path) + call.suffix;
        let mut request = match call.body {
            None => self.client.get(url),
            Some(body) => self.client.post(url).header(CONTENT_TYPE, "application/json").body(body.to_vec()),
        };
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, key.header());
        }
        match call.session {
            Some(session) => request.header("X-Session-ID", session),
            None => request,
        }
    }

    async fn body(&self, mut response: Response, limit: usize) -> Result<Vec<u8>, Fault> {
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(Fault::TooLarge { limit });
        }
        let mut body = Vec::new();
        while let Some(part) = within(self.deadlines.pause, "the rest of the answer", response.chunk())
            .await?
            .map_err(|error| connection(&error))?
        {
            if body.len() + part.len() > limit {
                return Err(Fault::TooLarge { limit });
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }
}

/// A future with a deadline.
async fn within<T>(limit: Duration, part: &'static str, future: impl Future<Output = T>) -> Result<T, Fault> {
    timeout(limit, future).await.map_err(|_| Fault::Silent { part, waited: limit })
}

/// What the body of an error says: vLLM and llama.cpp both write `error.message`.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorText,
}

#[derive(Deserialize)]
struct ErrorText {
    message: String,
}

fn refused(path: &'static str, status: u16, body: &[u8]) -> Fault {
    let named = serde_json::from_slice::<ErrorBody>(body).ok().map(|body| body.error.message);
    match (status, named) {
        (401, _) => Fault::Key,
        (429 | 502 | 503 | 504, _) => Fault::Unavailable { status },
        (403 | 405 | 501, _) | (404, None) => Fault::Path { path, status },
        (_, named) => {
            let message = named.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
            Fault::Status { path, status, message: quoted(&message) }
        }
    }
}

pub(crate) fn malformed(path: &'static str, error: &serde_json::Error) -> Fault {
    Fault::Malformed { path, reason: quoted(&error.to_string()) }
}

fn connection(error: &reqwest::Error) -> Fault {
    let reason = chain(error);
    if causes(error).any(is_of_certificate) { Fault::Certificate { reason } } else { Fault::Connection { reason } }
}

/// An error and its causes, from the outermost in.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn Error + 'static)| <dyn Error>::source(*cause))
}

fn is_of_certificate(cause: &(dyn Error + 'static)) -> bool {
    // An error of input or output is not a cause of its own: it hides the error that it holds.
    if let Some(outer) = cause.downcast_ref::<std::io::Error>() {
        return outer.get_ref().is_some_and(|held| is_of_certificate(held));
    }
    matches!(cause.downcast_ref::<rustls::Error>(), Some(rustls::Error::InvalidCertificate(_)))
}

/// The innermost cause, which is what the network says; never the URL.
fn chain(error: &reqwest::Error) -> String {
    causes(error).last().map(|cause| quoted(&cause.to_string())).unwrap_or_default()
}

/// The list that both engines serve at `/v1/models`.
#[derive(Deserialize)]
pub(crate) struct Models {
    data: Vec<ModelEntry>,
}

#[derive(Deserialize, Clone)]
pub(crate) struct ModelEntry {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) max_model_len: Option<usize>,
}

impl Models {
    /// The model of this name; without a name, the only one.
    pub(crate) fn find(&self, name: Option<&str>) -> Result<ModelEntry, Fault> {
        let known = || listed(self.data.iter().map(|model| model.id.as_str()));
        match (name, self.data.as_slice()) {
            (None, [one]) => Ok(one.clone()),
            (None, _) => Err(Fault::ManyModels { known: known() }),
            (Some(name), all) => all
                .iter()
                .find(|model| model.id == name)
                .cloned()
                .ok_or_else(|| Fault::Model { expected: quoted(name), known: known() }),
        }
    }
}
