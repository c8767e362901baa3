//! Scores by the tokens that they judge, so that no text is asked twice: a server with a prefix cache does not give them again.

use inferenceguard_model::Token;
use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, Hasher, RandomState},
};

/// A prefix of tokens, by two keyed hashes that nobody outside can aim at.
type Prefix = (u64, u64);

/// The newest scores.
pub(crate) struct ScoreCache {
    keys: [RandomState; 2],
    scores: HashMap<Prefix, f32>,
    /// In the order in which they came.
    order: VecDeque<Prefix>,
    most: usize,
    /// How often the servers had changed when the scores came.
    changes: u64,
}

impl ScoreCache {
    pub(crate) fn new(most: usize) -> Self {
        let keys = [RandomState::new(), RandomState::new()];
        Self { keys, scores: HashMap::new(), order: VecDeque::new(), most: most.max(1), changes: 0 }
    }

    /// Forgets all scores if the servers changed since they came.
    pub(crate) fn renew(&mut self, changes: u64) {
        if self.changes != changes {
            self.scores.clear();
            self.order.clear();
            self.changes = changes;
        }
    }

    /// The prefixes of a text that end at its positions from `from` on. Those of tenants differ.
    pub(crate) fn prefixes(&self, tenant: Option<&str>, tokens: &[Token], from: usize) -> Vec<Prefix> {
        let mut hashers = [self.keys[0].build_hasher(), self.keys[1].build_hasher()];
        let mut add = |bytes: &[u8]| {
            hashers.each_mut().map(|hasher| {
                hasher.write(bytes);
                hasher.finish()
            })
        };
        let name = tenant.map_or_else(|| vec![0], |name| [&[1], name.as_bytes(), &[0xff]].concat());
        add(&name);
        let all = tokens.iter().map(|token| add(&token.to_le_bytes()));
        all.skip(from).map(|[a, b]| (a, b)).collect()
    }

    pub(crate) fn get(&self, prefix: &Prefix) -> Option<f32> {
        self.scores.get(prefix).copied()
    }

    pub(crate) fn put(&mut self, prefix: Prefix, score: f32) {
        // The first score of a text is its price, whatever another batch gives later.
        if self.scores.contains_key(&prefix) {
            return;
        }
        self.scores.insert(prefix, score);
        self.order.push_back(prefix);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.scores.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_belongs_to_its_prefix_and_its_tenant() {
        let mut cache = ScoreCache::new(3);
        let of = |cache: &ScoreCache, tenant, tokens: &[Token]| cache.prefixes(tenant, tokens, tokens.len() - 1)[0];
        let (one, other) = (of(&cache, None, &[1, 2]), of(&cache, Some("a"), &[1, 2]));
        assert_ne!(one, other);
        assert_ne!(one, of(&cache, None, &[2, 1]));
        assert_eq!(cache.prefixes(None, &[1, 2, 3], 1), [one, of(&cache, None, &[1, 2, 3])]);
        cache.put(one, 1.0);
        cache.put(one, 2.0);
        assert_eq!((cache.get(&one), cache.get(&other)), (Some(1.0), None), "the first score stays");
        (3..6).for_each(|token| cache.put(of(&cache, None, &[token]), 0.0));
        assert_eq!(cache.get(&one), None, "the oldest goes first");
        let newest = of(&cache, None, &[5]);
        cache.renew(0);
        assert_eq!(cache.get(&newest), Some(0.0), "nothing changed");
        cache.renew(1);
        assert_eq!(cache.get(&newest), None, "another model may have given it");
    }
}
