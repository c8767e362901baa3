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
    /// [`Problem`] for what is no event of a chat, and for fields that could hold words of the model outside its choices. The
    /// stream must end then. It repeats nothing of the answer.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let events = self.decoder.push(bytes)?;
        events.into_iter().try_for_each(|data| self.take(data)).map_err(Problem::unquoted)
    }

    /// Takes the end of the body.
    ///
    /// # Errors
    /// As [`ChatStream::push`].
    pub fn end(&mut self) -> Result<(), Problem> {
        let last = self.decoder.end()?;
        last.map_or(Ok(()), |data| self.take(data)).map_err(Problem::unquoted)?;
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
    pub fn passed(&mut self, index: u64, part: Part, judged_chars: usize) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: StreamLimits = StreamLimits { step: 5, bytes: 1000, choices: 2 };

    fn delta(index: u64, text: &str, finish: Option<&str>) -> String {
        let choice = json!({"index": index, "delta": {"content": text}, "finish_reason": finish, "logprobs": null});
        sse::event(
            &json!({"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}).to_string(),
        )
    }

    /// Passes everything that is due, as a judge that likes everything.
    fn pass(stream: &mut ChatStream) -> Vec<(u64, String, Part)> {
        let asked = stream.questions();
        for (index, text, part) in &asked {
            let judged = if *part == Part::Prefix { certain(text) } else { text };
            stream.passed(*index, *part, judged.chars().count());
        }
        asked
    }

    /// The words that went out.
    fn words(bytes: &[u8]) -> String {
        let events = Decoder::new(10_000).push(bytes).unwrap();
        let event = |data: &String| serde_json::from_str::<Value>(data).unwrap_or_default();
        events
            .iter()
            .map(event)
            .map(|event| event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn words_leave_after_they_were_judged_and_a_word_in_the_making_waits() {
        let mut stream = ChatStream::new(LIMITS);
        stream.push(delta(0, "", None).as_bytes()).unwrap();
        assert!(stream.questions().is_empty());
        assert_eq!(words(&stream.release()), "", "the event without words leaves at once");
        assert!(stream.is_empty());
        stream.push(delta(0, "one ", None).as_bytes()).unwrap();
        assert!(stream.questions().is_empty() && stream.release().is_empty(), "too little to ask");
        stream.push((delta(0, "two ", None) + &delta(0, "thr", None)).as_bytes()).unwrap();
        assert!(stream.release().is_empty(), "not before the verdict");
        assert_eq!(pass(&mut stream), [(0, "one two thr".to_owned(), Part::Prefix)]);
        assert_eq!(words(&stream.release()), "one two ");
        stream.push((delta(0, "ee", Some("stop")) + &sse::event(DONE)).as_bytes()).unwrap();
        assert_eq!(pass(&mut stream), [(0, "one two three".to_owned(), Part::Answer)]);
        let rest = stream.release();
        assert_eq!(words(&rest), "three");
        assert!(String::from_utf8(rest).unwrap().ends_with("data: [DONE]\n\n") && stream.is_empty());
        assert!(stream.questions().is_empty(), "nothing is asked twice");
    }

    #[test]
    fn wherever_the_bytes_are_cut_the_same_words_leave() {
        let whole =
            delta(0, "one two ", None) + &delta(0, "drei", None) + &delta(0, "", Some("stop")) + &sse::event(DONE);
        for size in 1..whole.len() {
            let (mut stream, mut out) = (ChatStream::new(LIMITS), Vec::new());
            for piece in whole.as_bytes().chunks(size) {
                stream.push(piece).unwrap();
                pass(&mut stream);
                out.extend(stream.release());
            }
            stream.end().unwrap();
            pass(&mut stream);
            out.extend(stream.release());
            assert_eq!((words(&out).as_str(), stream.is_empty()), ("one two drei", true), "{size}");
        }
    }

    #[test]
    fn a_stream_without_an_end_is_judged_whole_when_its_body_ends() {
        let mut stream = ChatStream::new(LIMITS);
        stream.push((delta(0, "on", None) + "data: " + r#"{"choices": []}"#).as_bytes()).unwrap();
        assert!(stream.questions().is_empty() && stream.release().is_empty());
        stream.end().unwrap();
        assert_eq!(pass(&mut stream), [(0, "on".to_owned(), Part::Answer)]);
        assert_eq!(words(&stream.release()), "on");
        assert!(stream.is_empty(), "the event without choices as well");
    }

    #[test]
    fn choices_are_judged_apart_and_events_stay_in_order() {
        let mut stream = ChatStream::new(LIMITS);
        stream.push((delta(0, "a b c d", Some("stop")) + &delta(1, "x y z w", None)).as_bytes()).unwrap();
        let asked = stream.questions();
        assert_eq!(
            asked.iter().map(|(index, _, part)| (*index, *part)).collect::<Vec<_>>(),
            [(0, Part::Answer), (1, Part::Prefix)]
        );
        stream.passed(1, Part::Prefix, 7);
        assert!(stream.release().is_empty(), "choice 0 came first");
        stream.passed(0, Part::Answer, 7);
        assert_eq!(words(&stream.release()), "a b c dx y z w");
    }

    #[test]
    fn the_end_waits_for_the_whole_answer() {
        let mut stream = ChatStream::new(LIMITS);
        stream.push((delta(0, "one two three ", None) + &delta(0, "", Some("stop"))).as_bytes()).unwrap();
        stream.passed(0, Part::Prefix, 14);
        assert_eq!(words(&stream.release()), "one two three ");
        assert!(!stream.is_empty(), "the end of the choice");
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let over = "x".repeat(2000);
        let good = json!({"index": 0, "delta": {"content": "a"}});
        for (body, code) in [
            (sse::event("not json"), "invalid_json"),
            (sse::event(r#"{"error": {"message": "no"}}"#), "invalid_event"),
            (sse::event(r#"{"choices": [{"delta": {"content": "a"}}]}"#), "missing_required_parameter"),
            (sse::event(r#"{"choices": [{"index": 0, "delta": {"tool_calls": [{}]}}]}"#), "unsupported_parameter"),
            (
                sse::event(r#"{"choices": [{"index": 0, "delta": {"content": "a", "content": "b"}}]}"#),
                "duplicate_parameter",
            ),
            (
                sse::event(&json!({"choices": [good]}).to_string()) + &sse::event(DONE) + &delta(0, "b", None),
                "invalid_event",
            ),
            (delta(0, "a", Some("stop")) + &delta(0, "b", None), "invalid_event"),
            (delta(0, "a", None) + &delta(1, "b", None) + &delta(2, "c", None), "too_many_choices"),
            (delta(0, &over, None), "event_too_large"),
            (delta(0, &over[..600], None) + &delta(0, &over[..600], None), "answer_too_large"),
        ] {
            assert_eq!(ChatStream::new(LIMITS).push(body.as_bytes()).unwrap_err().code, code, "{body}");
        }
    }

    #[test]
    fn an_event_with_words_outside_its_text_does_not_leave() {
        let empty = json!({"index": 0, "delta": {"content": ""}});
        let mut with_logprobs = empty.clone();
        with_logprobs["logprobs"] = json!({"content": [{"token": "bad"}]});
        let mut with_ids = empty.clone();
        with_ids["token_ids"] = json!([7]);
        for event in [
            json!({"choices": [with_logprobs]}),
            json!({"choices": [with_ids]}),
            json!({"choices": [empty], "prompt_token_ids": [7]}),
            json!({"choices": [empty], "prompt_logprobs": ["bad"]}),
            json!({"choices": [], "__verbose": {"content": "bad"}}),
            json!({"choices": [], "usage": {"text": "bad"}}),
        ] {
            let mut stream = ChatStream::new(LIMITS);
            let problem = stream.push(sse::event(&event.to_string()).as_bytes()).unwrap_err();
            assert!(matches!(problem.code, "unknown_parameter" | "unsupported_parameter"), "{event}: {problem:?}");
            assert!(stream.release().is_empty() && !problem.message.contains("bad"), "{event}: {problem:?}");
        }
    }

    #[test]
    fn padding_of_events_does_not_leave() {
        let event = json!({"id": "1", "choices": [], "usage": {"total_tokens": 3}, "obfuscation": "bad"});
        let mut stream = ChatStream::new(LIMITS);
        stream.push(sse::event(&event.to_string()).as_bytes()).unwrap();
        let sent = String::from_utf8(stream.release()).unwrap();
        assert!(sent.contains("total_tokens") && !sent.contains("bad"), "{sent}");
    }

    #[test]
    fn errors_repeat_nothing_of_an_event() {
        for body in
            [r#"{"choices": [{"index": 0, "delta": {"content": ["forbidden"]}}]}"#, r#""forbidden""#, "forbidden"]
        {
            let problem = ChatStream::new(LIMITS).push(sse::event(body).as_bytes()).unwrap_err();
            assert!(!format!("{problem:?}").contains("forbidden"), "{problem:?}");
            let mut unended = ChatStream::new(LIMITS);
            unended.push(format!("data: {body}").as_bytes()).unwrap();
            assert!(!format!("{:?}", unended.end().unwrap_err()).contains("forbidden"), "{body}");
        }
    }

    #[test]
    fn an_ending_refuses_every_open_choice() {
        let mut stream = ChatStream::new(LIMITS);
        stream.push((delta(0, "fine", Some("stop")) + &delta(1, "bad", None)).as_bytes()).unwrap();
        stream.passed(0, Part::Answer, 4);
        let replaced = String::from_utf8(stream.ending(OnUnsafe::Replace, "blocked", "No.")).unwrap();
        assert!(!replaced.contains("bad") && replaced.ends_with("data: [DONE]\n\n"), "{replaced}");
        let event: Value = serde_json::from_str(&Decoder::new(1000).push(replaced.as_bytes()).unwrap()[0]).unwrap();
        assert_eq!(event["choices"].as_array().unwrap().len(), 1, "{event}");
        assert_eq!(
            (&event["choices"][0]["index"], &event["choices"][0]["finish_reason"]),
            (&json!(1), &json!("content_filter"))
        );
        assert_eq!((&event["id"], &event["choices"][0]["delta"]["content"]), (&json!("1"), &json!("No.")));
        let blocked = String::from_utf8(stream.ending(OnUnsafe::Block, "blocked", "No.")).unwrap();
        assert!(blocked.contains(r#""code":"blocked""#) && !blocked.contains("choices"), "{blocked}");
    }
}
