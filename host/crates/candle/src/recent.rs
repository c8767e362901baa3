//! Recent prompts: a new prompt that begins like one of them is computed from there on.
//!
//! A conversation sends its earlier turns again, and many prompts begin with the same instructions. A client that can measure
//! the time of answers can detect whether a beginning was asked before, so nothing is kept unless the operator allows it.

use crate::kv::Prefix;
use inferenceguard_model::Token;
use std::{collections::VecDeque, sync::Arc};

/// Keys and values of prompts, the newest last, up to a number of bytes.
pub(crate) struct Recent {
    most: usize,
    prompts: VecDeque<(Vec<Token>, Arc<Prefix>)>,
}

impl Recent {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, prompts: VecDeque::new() }
    }

    /// The prompt with the longest beginning in common, and how much of it. The last token is never counted: somebody
    /// wants its latent.
    pub(crate) fn longest(&self, tokens: &[Token]) -> Option<(Arc<Prefix>, usize)> {
        let common = |known: &[Token]| known.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        let best = self.prompts.iter().map(|(known, prefix)| (common(known), prefix)).max_by_key(|(len, _)| *len)?;
        let shared = best.0.min(tokens.len() - 1);
        (shared > 0).then(|| (Arc::clone(best.1), shared))
    }

    /// Keeps a prompt, and forgets the oldest ones that there is no room for.
    pub(crate) fn keep(&mut self, tokens: &[Token], prefix: &Arc<Prefix>) {
        if prefix.bytes() > self.most {
            return;
        }
        self.prompts.retain(|(known, _)| !tokens.starts_with(known));
        self.prompts.push_back((tokens.to_vec(), Arc::clone(prefix)));
        while self.prompts.iter().map(|(_, prefix)| prefix.bytes()).sum::<usize>() > self.most {
            self.prompts.pop_front();
        }
    }
}
