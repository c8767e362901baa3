//! A streamed chat as it passes a proxy: events are held back until their words have been judged.
//!
//! The proxy feeds bytes, asks the [`questions`](ChatStream::questions) that are due, reports each verdict that passes, and sends
//! what is [`released`](ChatStream::release). After a verdict that does not pass it sends the [`ending`](ChatStream::ending) and
//! nothing more.
//!
//! **Invariant**: an event leaves after all words up to it were judged, and the end of a choice leaves after its whole answer was.

use crate::{
    Fields, OnUnsafe, Part, Problem, certain,
    chat::{self, Words},
    sse::{self, DONE, Decoder},
};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};

/// How a stream is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// New characters of a choice until it is judged again.
    pub step: usize,
    /// The most bytes of one event, and of all words of the answer.
    pub bytes: usize,
    /// The most choices.
    pub choices: usize,
}

/// A stream of OpenAI's events.
#[derive(Debug, Clone)]
pub struct ChatStream {
    limits: StreamLimits,
    decoder: Decoder,
    choices: BTreeMap<u64, Choice>,
    held: VecDeque<Held>,
    /// `id`, `created` and `model` of the first event.
    head: Option<Value>,
    bytes: usize,
    /// After `[DONE]`.
    done: bool,
    /// After the last byte.
    ended: bool,
}

/// What a choice has been so far, in characters.
#[derive(Debug, Clone, Default)]
struct Choice {
    text: String,
    chars: usize,
    judged: usize,
    /// The model has ended it.
    finished: bool,
    /// Its whole answer was judged.
    whole: bool,
}

/// An event that waits.
#[derive(Debug, Clone)]
struct Held {
    data: String,
    /// For each of its choices: the characters that must be judged before; `None` waits for the whole answer.
    needs: Vec<(u64, Option<usize>)>,
    /// It waits for the whole answers of all choices.
    last: bool,
}

impl ChatStream {
    /// A stream that has not begun.
    #[must_use]
    pub fn new(limits: StreamLimits) -> Self {
        let (choices, held) = (BTreeMap::new(), VecDeque::new());
        let decoder = Decoder::new(limits.bytes);
        Self { limits, decoder, choices, held, head: None, bytes: 0, done: false, ended: false }
    }

    /// Takes bytes of the body.
    ///
    /// # Errors
    /// [`Problem`] for what is not an event of a chat, and for fields that could hold words of the model outside its choices. The
    /// stream must end then. It repeats nothing of the answer.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let events = self.decoder.push(bytes)?;
        events.into_iter().try_for_each(|data| self.take(data)).map_err(Problem::without_quotes)
    }

    /// Takes the end of the body.
    ///
    /// # Errors
    /// As [`ChatStream::push`].
    pub fn end(&mut self) -> Result<(), Problem> {
        let last = self.decoder.end()?;
        last.map_or(Ok(()), |data| self.take(data)).map_err(Problem::without_quotes)?;
        self.ended = true;
        Ok(())
    }

    fn take(&mut self, data: String) -> Result<(), Problem> {
        if self.done {
            return Err(Problem::new("invalid_event", "there is an event after the end of the stream"));
        }
        if data == DONE {
            self.done = true;
            self.held.push_back(Held { data, needs: Vec::new(), last: true });
            return Ok(());
        }
        let words = words(&data)?;
        let mut event: Map<String, Value> =
            serde_json::from_str(&data).map_err(|_| Problem::new("invalid_json", "an event is no JSON"))?;
        event.remove(PADDING);
        let event = Value::Object(event);
        self.head.get_or_insert_with(|| head(&event));
        let needs = words.into_iter().map(|words| self.add(words)).collect::<Result<Vec<_>, _>>()?;
        // Written again: another reader might see more in the bytes.
        self.held.push_back(Held { data: event.to_string(), needs, last: false });
        Ok(())
    }

    fn add(&mut self, words: Words) -> Result<(u64, Option<usize>), Problem> {
        self.bytes += words.text.len();
        if self.bytes > self.limits.bytes {
            return Err(Problem::new(
                "answer_too_large",
                format!("the answer has more than {} bytes", self.limits.bytes),
            ));
        }
        let most = self.limits.choices;
        if self.choices.len() >= most && !self.choices.contains_key(&words.index) {
            return Err(Problem::new("too_many_choices", format!("the answer has more than {most} choices")));
        }
        let choice = self.choices.entry(words.index).or_default();
        if choice.finished && !words.text.is_empty() {
            return Err(Problem::new("invalid_event", "a choice goes on after its end"));
        }
        choice.chars += words.text.chars().count();
        choice.text.push_str(&words.text);
        choice.finished |= words.finished;
        Ok((words.index, (!words.finished).then_some(choice.chars)))
    }

    /// What must be asked now: the index of a choice, its text so far, and which part of its answer that is.
    #[must_use]
    pub fn questions(&self) -> Vec<(u64, String, Part)> {
        let over = self.done || self.ended;
        let due = self.choices.iter().filter_map(|(index, choice)| {
            let part = choice.due(over, self.limits.step)?;
            Some((*index, choice.text.clone(), part))
        });
        due.collect()
    }

    /// The text of a choice passed, and this many characters of it were judged.
    pub fn take_pass(&mut self, index: u64, part: Part, judged_chars: usize) {
        if let Some(choice) = self.choices.get_mut(&index) {
            choice.judged = choice.judged.max(judged_chars);
            choice.whole |= part == Part::Answer;
        }
    }

    /// The events that may go out, in order.
    #[must_use]
    pub fn release(&mut self) -> Vec<u8> {
        let mut out = String::new();
        while self.held.front().is_some_and(|held| self.may_leave(held))
            && let Some(held) = self.held.pop_front()
        {
            out.push_str(&sse::event(&held.data));
        }
        out.into_bytes()
    }

    fn may_leave(&self, held: &Held) -> bool {
        let judged = |(index, chars): &(u64, Option<usize>)| {
            let choice = self.choices.get(index);
            choice.is_some_and(|choice| choice.whole || chars.is_some_and(|chars| chars <= choice.judged))
        };
        held.needs.iter().all(judged) && (!held.last || self.choices.values().all(|choice| choice.whole))
    }

    /// Whether everything that came has been released.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The last events of a stream that may not go on: the refusal as the end of every choice that has not ended, or an error.
    #[must_use]
    pub fn ending(&self, on_unsafe: OnUnsafe, code: &str, refusal: &str) -> Vec<u8> {
        let event = match on_unsafe {
            OnUnsafe::Block => chat::error("permission_error", code, refusal),
            OnUnsafe::Replace => {
                let open = self.choices.iter().filter(|(_, choice)| !choice.whole).map(|(index, _)| {
                    let delta = json!({"content": refusal, "refusal": refusal});
                    json!({"index": index, "delta": delta, "finish_reason": "content_filter", "logprobs": null})
                });
                let mut event = self.head.clone().unwrap_or_else(|| json!({}));
                event["object"] = json!("chat.completion.chunk");
                event["choices"] = open.collect();
                event
            }
        };
        format!("{}{}", sse::event(&event.to_string()), sse::event(DONE)).into_bytes()
    }
}

impl Choice {
    /// The part to judge next, or `None`.
    fn due(&self, over: bool, step: usize) -> Option<Part> {
        if self.whole {
            return None;
        }
        if over || self.finished {
            return Some(Part::Answer);
        }
        let new = self.chars.saturating_sub(self.judged);
        let sure = new >= step && certain(&self.text).chars().count() > self.judged;
        sure.then_some(Part::Prefix)
    }
}

/// The field of OpenAI's events that hides their length behind random letters. It is not passed on.
const PADDING: &str = "obfuscation";

/// The model's words in an event.
fn words(data: &str) -> Result<Vec<Words>, Problem> {
    let mut fields = Fields::parse(data.as_bytes())?;
    let choices: Option<Vec<Value>> = fields.take("choices", "a list of choices")?;
    let choices = choices.ok_or_else(|| Problem::new("invalid_event", "an event has no choices"))?;
    let words = Words::of_choices(choices, "delta")?;
    let _ = fields.value(PADDING);
    chat::refuse_rest_of_answer(fields)?;
    Ok(words)
}

fn head(event: &Value) -> Value {
    let kept =
        ["id", "created", "model"].into_iter().filter_map(|name| Some((name.to_owned(), event.get(name)?.clone())));
    Value::Object(kept.collect())
}
