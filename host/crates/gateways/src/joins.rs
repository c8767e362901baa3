//! Joins the two calls of a gateway that sends a prompt and its answer apart.

use crate::Conversation;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How much is remembered for one client, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinLimits {
    /// The most conversations of one client; the oldest are forgotten first, and their ids stay.
    pub conversations: usize,
    /// The most characters of all conversations of one client.
    pub chars: usize,
    /// The most ids of one client, those of forgotten conversations included.
    pub ids: usize,
    /// How long a conversation and its id are remembered.
    pub age: Duration,
}

/// A client has used too many ids in a short time. None of them may be forgotten yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("found more than {most} calls with ids of their own that are younger than {seconds} seconds; call again later")]
pub struct TooManyIds {
    /// The most ids of one client.
    pub most: usize,
    /// Their age in seconds, at which they are forgotten.
    pub seconds: u64,
}

/// Conversations that wait for their answers, by client and by the id of the gateway's call. Clients do not see each other's,
/// and the conversations of one client do not displace those of another.
///
/// Users of a gateway may choose its ids. If two different conversations come under one id, nobody knows which of them an answer
/// belongs to, so neither is found. An id is remembered for its whole age, whatever else comes: otherwise a user could have the
/// first conversation displaced by many others, and give its id to a harmless one.
///
/// It has no clock: every call passes the time since the server started.
#[derive(Debug)]
pub struct Joins {
    limits: JoinLimits,
    clients: BTreeMap<String, Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    ids: BTreeMap<Arc<str>, KnownId>,
    /// The ids by the numbers of their calls, the oldest first.
    order: BTreeMap<u64, Arc<str>>,
    /// Those of them whose conversations are known.
    known: BTreeMap<u64, Arc<str>>,
    next: u64,
    chars: usize,
}

#[derive(Debug)]
struct KnownId {
    /// `None` after two different ones, and once it was too old or too much to keep.
    conversation: Option<Conversation>,
    number: u64,
    chars: usize,
    since: Duration,
}

impl Joins {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(limits: JoinLimits) -> Self {
        Self { limits, clients: BTreeMap::new() }
    }

    /// Remembers what a client asked under this id. The same conversation again is a retry.
    ///
    /// # Errors
    /// [`TooManyIds`] if there is no room for the id. Then the prompt must not go on.
    pub fn remember(
        &mut self,
        client: &str,
        id: &str,
        conversation: Conversation,
        now: Duration,
    ) -> Result<(), TooManyIds> {
        let limits = &self.limits;
        let waiting = self.clients.entry(client.to_owned()).or_default();
        waiting.forget_old(limits, now);
        if waiting.ids.len() >= limits.ids && !waiting.ids.contains_key(id) {
            return Err(TooManyIds { most: limits.ids, seconds: limits.age.as_secs() });
        }
        waiting.insert(id, conversation, now);
        waiting.forget_surplus(limits);
        Ok(())
    }

    /// What a client asked under this id. A stream asks for it many times, so it stays.
    pub fn find(&mut self, client: &str, id: &str, now: Duration) -> Option<Conversation> {
        let waiting = self.clients.get_mut(client)?;
        waiting.forget_old(&self.limits, now);
        waiting.ids.get(id).and_then(|one| one.conversation.clone())
    }

    /// How many conversations are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.values().map(|waiting| waiting.known.len()).sum()
    }

    /// Whether no conversation is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Waiting {
    fn insert(&mut self, id: &str, conversation: Conversation, since: Duration) {
        let before = self.ids.get(id).map(|one| &one.conversation);
        let conversation = Some(conversation).filter(|new| before.is_none_or(|before| before.as_ref() == Some(new)));
        let (number, chars) = (self.next, conversation.as_ref().map_or(0, Conversation::chars));
        let (id, is_known): (Arc<str>, bool) = (id.into(), conversation.is_some());
        self.next += 1;
        self.chars += chars;
        if let Some(old) = self.ids.insert(Arc::clone(&id), KnownId { conversation, number, chars, since }) {
            self.order.remove(&old.number);
            self.known.remove(&old.number);
            self.chars -= old.chars;
        }
        if is_known {
            self.known.insert(number, Arc::clone(&id));
        }
        self.order.insert(number, id);
    }

    /// Forgets the ids that are too old.
    fn forget_old(&mut self, limits: &JoinLimits, now: Duration) {
        while let Some(first) = self.order.first_entry() {
            let oldest = self.ids.get(first.get());
            if oldest.is_some_and(|one| now.saturating_sub(one.since) < limits.age) {
                return;
            }
            let (number, id) = first.remove_entry();
            self.known.remove(&number);
            self.chars -= self.ids.remove(&id).map_or(0, |one| one.chars);
        }
    }

    /// Forgets the oldest conversations where there are too many, and keeps their ids.
    fn forget_surplus(&mut self, limits: &JoinLimits) {
        while (self.known.len() > limits.conversations || self.chars > limits.chars)
            && let Some((_, id)) = self.known.pop_first()
        {
            let Some(oldest) = self.ids.get_mut(&id) else { continue };
            oldest.conversation = None;
            self.chars -= std::mem::take(&mut oldest.chars);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: JoinLimits = JoinLimits { conversations: 3, chars: 100, ids: 9, age: Duration::from_secs(60) };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn prompt(found: Option<Conversation>) -> Option<String> {
        found.map(|one| one.prompt)
    }

    #[test]
    fn two_clients_with_the_same_id_do_not_meet() {
        let mut joins = Joins::new(LIMITS);
        joins.remember("a", "1", Conversation::of("of a"), at(0)).unwrap();
        assert_eq!(prompt(joins.find("b", "1", at(0))), None);
        joins.remember("b", "1", Conversation::of("of b"), at(0)).unwrap();
        assert_eq!(prompt(joins.find("a", "1", at(1))), Some("of a".into()));
        assert_eq!(prompt(joins.find("b", "1", at(1))), Some("of b".into()));
    }

    #[test]
    fn a_conversation_is_found_until_it_is_too_old() {
        let mut joins = Joins::new(LIMITS);
        joins.remember("a", "1", Conversation::of("x"), at(0)).unwrap();
        for (now, found) in [(0, true), (59, true), (59, true), (60, false), (61, false)] {
            assert_eq!(joins.find("a", "1", at(now)).is_some(), found, "{now}");
        }
        assert!(joins.is_empty());
        assert_eq!((joins.clients["a"].ids.len(), joins.clients["a"].known.len()), (0, 0));
        assert_eq!(prompt(joins.find("a", "other", at(0))), None);
    }

    #[test]
    fn a_retry_is_as_young_as_the_last_call() {
        let mut joins = Joins::new(LIMITS);
        joins.remember("a", "1", Conversation::of("same"), at(0)).unwrap();
        joins.remember("a", "1", Conversation::of("same"), at(50)).unwrap();
        assert_eq!((prompt(joins.find("a", "1", at(100))), joins.len()), (Some("same".into()), 1));
    }

    #[test]
    fn two_prompts_under_one_id_are_both_unknown_until_they_are_forgotten() {
        let mut joins = Joins::new(LIMITS);
        for (now, text, found) in [
            (0, "harmful", Some("harmful")),
            (1, "harmless", None),
            (2, "harmful", None),
            (61, "harmless", None),
            (130, "harmless", Some("harmless")),
        ] {
            joins.remember("a", "1", Conversation::of(text), at(now)).unwrap();
            assert_eq!(prompt(joins.find("a", "1", at(now))).as_deref(), found, "{now}");
        }
        assert_eq!((joins.len(), joins.clients["a"].chars), (1, "harmless".len()));
    }

    #[test]
    fn the_oldest_of_the_same_client_are_forgotten_first() {
        let mut joins = Joins::new(LIMITS);
        joins.remember("b", "1", Conversation::of("other"), at(0)).unwrap();
        for id in ["1", "2", "3", "4"] {
            joins.remember("a", id, Conversation::of("x"), at(1)).unwrap();
        }
        assert_eq!(prompt(joins.find("a", "1", at(1))), None);
        assert!(joins.find("a", "2", at(1)).is_some() && joins.find("b", "1", at(1)).is_some());
        joins.remember("a", "5", Conversation::of("y".repeat(99)), at(1)).unwrap();
        assert!(joins.find("a", "4", at(1)).is_some() && joins.find("a", "3", at(1)).is_none(), "99 + 1 fit");
        joins.remember("a", "6", Conversation::of("z".repeat(101)), at(1)).unwrap();
        assert_eq!((joins.find("a", "6", at(1)), joins.find("a", "5", at(1))), (None, None), "larger than all of it");
    }

    #[test]
    fn an_id_of_a_forgotten_conversation_stays_unknown_for_its_age() {
        for (how_many, text, limits) in [
            (3, "x", LIMITS),
            (1, "long", JoinLimits { chars: "harmful".len(), ..LIMITS }),
            (0, "", JoinLimits { chars: 1, ..LIMITS }),
        ] {
            let mut joins = Joins::new(limits);
            joins.remember("a", "1", Conversation::of("harmful"), at(0)).unwrap();
            for other in 0..how_many {
                joins.remember("a", &format!("other {other}"), Conversation::of(text), at(1)).unwrap();
            }
            assert_eq!(prompt(joins.find("a", "1", at(1))), None, "{how_many}: displaced");
            joins.remember("a", "1", Conversation::of("h"), at(2)).unwrap();
            assert_eq!(prompt(joins.find("a", "1", at(2))), None, "{how_many}: another prompt under the same id");
            assert_eq!(prompt(joins.find("a", "1", at(61))), None, "{how_many}");
            joins.remember("a", "1", Conversation::of("h"), at(62)).unwrap();
            assert_eq!(prompt(joins.find("a", "1", at(62))).as_deref(), Some("h"), "{how_many}: after its age");
        }
    }

    #[test]
    fn a_client_with_too_many_young_ids_is_refused_and_no_other_client() {
        let mut joins = Joins::new(LIMITS);
        for id in 0..LIMITS.ids {
            joins.remember("a", &id.to_string(), Conversation::of("x"), at(1)).unwrap();
        }
        let refused = joins.remember("a", "new", Conversation::of("x"), at(60));
        assert_eq!(refused, Err(TooManyIds { most: LIMITS.ids, seconds: 60 }));
        assert_eq!(joins.find("a", "new", at(60)), None);
        joins.remember("a", "8", Conversation::of("x"), at(60)).unwrap();
        joins.remember("b", "new", Conversation::of("x"), at(60)).unwrap();
        joins.remember("a", "new", Conversation::of("x"), at(61)).unwrap();
        let a = &joins.clients["a"];
        assert_eq!((a.ids.len(), a.order.len(), a.known.len(), a.chars), (2, 2, 2, 2));
    }

    #[test]
    fn replays_do_not_grow_the_order_without_end() {
        let mut joins = Joins::new(LIMITS);
        joins.remember("a", "oldest", Conversation::of("x"), at(0)).unwrap();
        for _ in 0..1000 {
            joins.remember("a", "1", Conversation::of("x"), at(0)).unwrap();
        }
        assert_eq!((joins.clients["a"].order.len(), joins.clients["a"].chars), (2, 2));
    }
}
