//! Recent prompts: a new prompt of the same tenant that begins like one of them is computed from there on.
//!
//! A conversation sends its earlier turns again, and many prompts begin with the same instructions. Who can measure the time of
//! answers can tell whether a beginning was kept. So every tenant has prompts and room of its own: what one tenant asks changes
//! neither what is found for another one nor what is forgotten.

use crate::kv::Prefix;
use inferenceguard_model::Token;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// How many tenants have room. Those that come later have none, however long the others have been away: a place that changed
/// hands would tell one tenant of another.
const TENANTS: usize = 64;

/// Which prompts a model keeps: their keys and values, so that a prompt of the same tenant with the same beginning is computed from
/// there on. Nothing of it changes an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PromptCache {
    /// Bytes for each tenant, of which there are at most 64; 0 keeps none. The prompt that was used least recently makes room.
    pub bytes: usize,
    /// Whether all requests without a tenant count as those of one tenant. If not, nothing of them is kept: their senders could
    /// find out by timing what others asked.
    pub unnamed: bool,
}

impl PromptCache {
    /// This many megabytes for each tenant, and as many for all requests without a tenant.
    #[must_use]
    pub fn megabytes(megabytes: usize) -> Self {
        Self { bytes: megabytes.saturating_mul(1 << 20), unnamed: true }
    }
}

/// Keys and values of one tenant's prompts, those used least recently first.
type Kept = VecDeque<(Vec<Token>, Arc<Prefix>)>;

/// Keys and values of prompts, by tenant.
#[derive(Default)]
pub(crate) struct Recent {
    cache: PromptCache,
    /// Under the empty name those without a tenant; the others begin with a letter that tells them apart.
    tenants: BTreeMap<String, Kept>,
}

impl Recent {
    pub(crate) fn new(cache: PromptCache) -> Self {
        Self { cache, tenants: BTreeMap::new() }
    }

    /// The place of a tenant's prompts, if it may have one.
    fn place(&self, tenant: Option<&str>) -> Option<String> {
        match tenant {
            Some(name) => Some(format!("t{name}")),
            None => self.cache.unnamed.then(String::new),
        }
    }

    /// The tenant's prompt with the longest beginning in common, and how much of it. The last token is never counted: somebody
    /// wants its latent. The prompt then counts as used.
    pub(crate) fn longest(&mut self, tenant: Option<&str>, tokens: &[Token]) -> Option<(Arc<Prefix>, usize)> {
        let place = self.place(tenant)?;
        let kept = self.tenants.get_mut(&place)?;
        let common = |known: &[Token]| known.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        let lengths = kept.iter().enumerate().map(|(at, (known, _))| (common(known), at));
        let (len, at) = lengths.max()?;
        let shared = len.min(tokens.len().saturating_sub(1));
        if shared == 0 {
            return None;
        }
        let used = kept.remove(at)?;
        let prefix = Arc::clone(&used.1);
        kept.push_back(used);
        Some((prefix, shared))
    }

    /// Keeps a prompt, and forgets those of the same tenant that there is no room for.
    pub(crate) fn keep(&mut self, tenant: Option<&str>, tokens: &[Token], prefix: &Arc<Prefix>) {
        let (most, full) = (self.cache.bytes, self.tenants.len() >= TENANTS);
        let Some(place) = self.place(tenant).filter(|_| prefix.bytes() <= most) else { return };
        if full && !self.tenants.contains_key(&place) {
            return;
        }
        let kept = self.tenants.entry(place).or_default();
        kept.retain(|(known, _)| !tokens.starts_with(known));
        kept.push_back((tokens.to_vec(), Arc::clone(prefix)));
        while kept.iter().map(|(_, prefix)| prefix.bytes()).sum::<usize>() > most {
            kept.pop_front();
        }
    }
}
