//! The response of a guarded chat: held back until it is judged.

use crate::{
    exchange::Guard,
    proto::{BodyMode, HttpBody, HttpHeaders, ProcessingResponse},
    reply::{self, Blocked},
    server::EnvoyOptions,
};
use inferenceguard_gateways::{
    Conversation, Judge, OnUnsafe, Part, Problem, Verdict,
    chat::{self, ChatAnswer},
    stream::ChatStream,
};

/// A response on its way.
pub(crate) struct Guarded {
    conversation: Conversation,
    status: u16,
    body: Body,
}

enum Body {
    /// JSON: all pieces so far.
    Whole { bytes: Vec<u8>, pieces: usize },
    /// Server-sent events.
    Events(Box<ChatStream>),
    /// All of it was judged, or it ended with a refusal. What still comes is thrown away.
    Over,
}

impl Guarded {
    /// A response with these headers.
    pub(crate) fn begin(
        headers: &HttpHeaders,
        conversation: Conversation,
        options: &EnvoyOptions,
    ) -> Result<Self, Blocked> {
        let status = headers.only(":status").and_then(|status| status.parse().ok()).unwrap_or(502);
        if headers.packed().is_some() {
            let message = "the response is packed, so it cannot be judged";
            return Err(Blocked::not_understood(status, "unsupported_encoding", message));
        }
        let kind = headers.only("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let body = match kind.as_str() {
            "application/json" => Body::Whole { bytes: Vec::new(), pieces: 0 },
            "text/event-stream" if (200..300).contains(&status) => {
                Body::Events(Box::new(ChatStream::new(options.stream)))
            }
            _ => {
                let message = "the response is neither JSON nor a stream of events, so it cannot be judged";
                return Err(Blocked::not_understood(status, "unsupported_content", message));
            }
        };
        Ok(Self { conversation, status, body })
    }

    /// How its body should come.
    pub(crate) fn mode(&self) -> BodyMode {
        if matches!(self.body, Body::Events(_)) { BodyMode::Streamed } else { BodyMode::Buffered }
    }

    /// Whether nothing is held back.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.body, Body::Over)
    }

    /// Takes a piece of the body.
    ///
    /// # Errors
    /// The error that takes the place of the response.
    pub(crate) async fn take<J: Judge>(
        &mut self,
        piece: &HttpBody,
        guard: &Guard<J>,
    ) -> Result<ProcessingResponse, Blocked> {
        match std::mem::replace(&mut self.body, Body::Over) {
            Body::Over => Ok(reply::body(Vec::new())),
            Body::Whole { bytes, pieces } => self.take_whole(bytes, pieces, piece, guard).await,
            Body::Events(stream) => Ok(reply::body(self.take_events(stream, piece, guard).await)),
        }
    }

    async fn take_whole<J: Judge>(
        &mut self,
        mut bytes: Vec<u8>,
        pieces: usize,
        piece: &HttpBody,
        guard: &Guard<J>,
    ) -> Result<ProcessingResponse, Blocked> {
        bytes.extend_from_slice(&piece.body);
        if bytes.len() > guard.options.max_body {
            let message = format!("the response has more than {} bytes", guard.options.max_body);
            return Err(Blocked::new(502, "answer_too_large", message));
        }
        if !piece.end_of_stream {
            self.body = Body::Whole { bytes, pieces: pieces + 1 };
            return Ok(reply::body(Vec::new()));
        }
        let changed = self.judge_body(&bytes, guard).await?;
        Ok(match changed {
            Some(other) => reply::body(other),
            None if pieces == 0 => reply::same_body(),
            None => reply::body(bytes),
        })
    }

    /// Judges a whole body; gives another one to send in its place, if it may not go out as it is.
    async fn judge_body<J: Judge>(&self, bytes: &[u8], guard: &Guard<J>) -> Result<Option<Vec<u8>>, Blocked> {
        if self.status >= 400 && chat::is_error(bytes) {
            return Ok(None);
        }
        let wrong = |problem: Problem| Blocked::not_understood(self.status, problem.code, problem.message);
        let mut answer = ChatAnswer::parse(bytes).map_err(wrong)?;
        let mut refusals = Vec::new();
        for (at, text) in answer.texts.clone().into_iter().enumerate() {
            let verdict = guard.ask(Some(&self.conversation), text, Part::Answer).await?;
            if !verdict.standing.passes() {
                refusals.push((at, verdict.refusal));
            }
        }
        match (refusals.first(), guard.judge.on_unsafe()) {
            (None, _) => Ok(None),
            (Some((_, refusal)), OnUnsafe::Block) => Err(Blocked::refusal(refusal)),
            (Some(_), OnUnsafe::Replace) => {
                refusals.iter().for_each(|(at, refusal)| answer.replace(*at, refusal));
                Ok(Some(answer.bytes()))
            }
        }
    }

    /// Takes a piece of a stream; gives what may go out. Once the stream has begun, a refusal can only be an event of it.
    async fn take_events<J: Judge>(
        &mut self,
        mut stream: Box<ChatStream>,
        piece: &HttpBody,
        guard: &Guard<J>,
    ) -> Vec<u8> {
        let fed = stream.push(&piece.body).and_then(|()| if piece.end_of_stream { stream.end() } else { Ok(()) });
        let stop = match fed {
            Err(problem) => Some(Stop::error(&problem.into())),
            Ok(()) => self.ask_due(&mut stream, guard).await.err(),
        };
        let mut out = stream.release();
        match stop {
            Some(Stop { on_unsafe, code, message }) => {
                out.extend(stream.ending(on_unsafe, code, &message));
                self.body = Body::Over;
            }
            None if !piece.end_of_stream => self.body = Body::Events(stream),
            None => {}
        }
        out
    }

    async fn ask_due<J: Judge>(&self, stream: &mut ChatStream, guard: &Guard<J>) -> Result<(), Stop> {
        for (index, text, part) in stream.questions() {
            let verdict = guard.ask(Some(&self.conversation), text, part).await;
            let verdict = verdict.map_err(|refused| Stop::error(&refused.into()))?;
            if !verdict.standing.passes() {
                return Err(Stop::unsafe_text(&verdict, guard.judge.on_unsafe()));
            }
            stream.take_pass(index, part, verdict.judged_chars);
        }
        Ok(())
    }
}

/// Why a stream ends early.
struct Stop {
    on_unsafe: OnUnsafe,
    code: &'static str,
    message: String,
}

impl Stop {
    /// An error is never shown as a refusal.
    fn error(wrong: &Blocked) -> Self {
        Self { on_unsafe: OnUnsafe::Block, code: wrong.code(), message: wrong.message().to_owned() }
    }

    fn unsafe_text(verdict: &Verdict, on_unsafe: OnUnsafe) -> Self {
        Self { on_unsafe, code: "blocked", message: verdict.refusal.clone() }
    }
}
