//! Joins the two calls of a gateway that sends a prompt and its answer apart.

use crate::Conversation;
use std::{collections::BTreeMap, time::Duration};

/// How much is remembered for one client, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinLimits {
    /// The most conversations of one client; the oldest are forgotten first.
    pub conversations: usize,
    /// The most characters of all conversations of one client.
    pub chars: usize,
    /// How long a conversation is remembered.
    pub age: Duration,
}

/// Conversations that wait for their answers, by client and by the id of the gateway's call. Clients do not see each other's,
/// and the conversations of one client do not displace those of another.
///
/// Users of a gateway may choose its ids. If two different conversations come under one id, nobody knows which of them an answer
/// belongs to, so neither is found.
///
/// It has no clock: every call passes the time since the server started.
#[derive(Debug)]
pub struct Joins {
    limits: JoinLimits,
    clients: BTreeMap<String, Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    conversations: BTreeMap<String, Remembered>,
    /// The ids by the numbers of their conversations, the oldest first.
    order: BTreeMap<u64, String>,
    next: u64,
    chars: usize,
}

#[derive(Debug)]
struct Remembered {
    /// `None` after two different ones.
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
    pub fn remember(&mut self, client: &str, id: &str, conversation: Conversation, now: Duration) {
        let waiting = self.clients.entry(client.to_owned()).or_default();
        waiting.forget(&self.limits, now);
        waiting.insert(id, conversation, now);
        waiting.forget(&self.limits, now);
    }

    /// What a client asked under this id. A stream asks for it many times, so it stays.
    pub fn find(&mut self, client: &str, id: &str, now: Duration) -> Option<Conversation> {
        let waiting = self.clients.get_mut(client)?;
        waiting.forget(&self.limits, now);
        waiting.conversations.get(id).and_then(|one| one.conversation.clone())
    }

    /// How many conversations are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.values().map(|waiting| waiting.conversations.len()).sum()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Waiting {
    fn insert(&mut self, id: &str, conversation: Conversation, since: Duration) {
        let known = self.conversations.get(id).map(|one| &one.conversation);
        let conversation = Some(conversation).filter(|new| known.is_none_or(|known| known.as_ref() == Some(new)));
        let (number, chars) = (self.next, conversation.as_ref().map_or(0, Conversation::chars));
        self.next += 1;
        self.chars += chars;
        if let Some(old) = self.conversations.insert(id.to_owned(), Remembered { conversation, number, chars, since }) {
            self.order.remove(&old.number);
            self.chars -= old.chars;
        }
        self.order.insert(number, id.to_owned());
    }

    /// Forgets what is too old or too much, the oldest first.
    fn forget(&mut self, limits: &JoinLimits, now: Duration) {
        while let Some(first) = self.order.first_entry() {
            let oldest = self.conversations.get(first.get());
            let is_young = oldest.is_some_and(|one| now.saturating_sub(one.since) < limits.age);
            if is_young && self.conversations.len() <= limits.conversations && self.chars <= limits.chars {
                return;
            }
            let id = first.remove();
            self.chars -= self.conversations.remove(&id).map_or(0, |one| one.chars);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: JoinLimits = JoinLimits { conversations: 3, chars: 100, age: Duration::from_secs(60) };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn prompt(found: Option<Conversation>) -> Option<String> {
        found.map(|one| one.prompt)
    }

    #[test]
    fn two_clients_with_the_same_id_do_not_meet() {
        let mut joins = Joins::new(LIMITS);
        joins.remember("a", "1", Conversation::of("of a"), at(0));
        assert_eq!(prompt(joins.find("b", "1", at(0))), None);
        joins.remember("b", "1", Conversation::of("of b"), at(0));
        assert_eq!(prompt(joins.find("a", "1", at(1))), Some("of a".into()));
        assert_eq!(prompt(joins.find("b", "1", at(1))), Some("of b".into()));
    }

    #[test]
    fn a_conversation_is_found_until_it_is_too_old() {
        let mut joins = Joins::new(LIMITS);
        joins.remember("a", "1", Conversation::of("x"), at(0));
        for (now, found) in [(0, true), (59, true), (59, true), (60, false), (61, false)] {
            assert_eq!(joins.find("a", "1", at(now)).is_some(), found, "{now}");
        }
        assert!(joins.is_empty());
        assert_eq!(prompt(joins.find("a", "other", at(0))), None);
    }

    #[test]
    fn a_retry_is_as_young_as_the_last_call() {
        let mut joins = Joins::new(LIMITS);
        joins.remember("a", "1", Conversation::of("same"), at(0));
        joins.remember("a", "1", Conversation::of("same"), at(50));
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
            joins.remember("a", "1", Conversation::of(text), at(now));
            assert_eq!(prompt(joins.find("a", "1", at(now))).as_deref(), found, "{now}");
        }
        assert_eq!((joins.len(), joins.clients["a"].chars), (1, "harmless".len()));
    }

    #[test]
    fn the_oldest_of_the_same_client_are_forgotten_first() {
        let mut joins = Joins::new(LIMITS);
        joins.remember("b", "1", Conversation::of("other"), at(0));
        for id in ["1", "2", "3", "4"] {
            joins.remember("a", id, Conversation::of("x"), at(1));
        }
        assert_eq!(prompt(joins.find("a", "1", at(1))), None);
        assert!(joins.find("a", "2", at(1)).is_some() && joins.find("b", "1", at(1)).is_some());
        joins.remember("a", "5", Conversation::of("y".repeat(99)), at(1));
        assert!(joins.find("a", "4", at(1)).is_some() && joins.find("a", "3", at(1)).is_none(), "99 + 1 fit");
        joins.remember("a", "6", Conversation::of("z".repeat(101)), at(1));
        assert_eq!((joins.find("a", "6", at(1)), joins.find("a", "5", at(1))), (None, None), "larger than all of it");
    }

    #[test]
    fn replays_do_not_grow_the_order_without_end() {
        let mut joins = Joins::new(LIMITS);
        joins.remember("a", "oldest", Conversation::of("x"), at(0));
        for _ in 0..1000 {
            joins.remember("a", "1", Conversation::of("x"), at(0));
        }
        assert_eq!((joins.clients["a"].order.len(), joins.clients["a"].chars), (2, 2));
    }
}
