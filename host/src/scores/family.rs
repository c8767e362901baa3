//! What several scored beams have in common is scored once.
//!
//! Beams that were not priced on the way (a critic stood in for the price) come to be scored all at once, from the prompt
//! on, although those of one parent differ only in their newest tokens.

use inferenceguard_model::{ModelError, ScoreId, ScoreModel, ScoreRow, Token};
use std::collections::HashMap;

/// Fewer common tokens than this are scored for each beam: a call of its own costs more.
const WORTH: usize = 8;

/// A new scored beam on its way: what it continues by now, what is left, and the scores so far.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) from: ScoreId,
    pub(crate) left: Vec<Token>,
    pub(crate) scores: Vec<f32>,
}

/// Scores what these have in common, until no two share enough. The beams made on the way are added to `made`, for the
/// caller to release, also after an error.
pub(crate) fn gather(
    model: &mut dyn ScoreModel,
    members: &mut [Member],
    made: &mut Vec<ScoreId>,
) -> Result<(), ModelError> {
    loop {
        let families = families(members);
        if families.is_empty() {
            return Ok(());
        }
        let parents: Vec<ScoreId> = families.iter().map(|family| members[family.members[0]].from).collect();
        let ids = model.fork(&parents)?;
        made.extend(&ids);
        let rows: Vec<ScoreRow> = ids.iter().zip(&families).map(|(id, family)| family.row(*id, members)).collect();
        let scored = model.extend(&rows)?;
        super::check_count("scored rows", scored.len(), families.len())?;
        for ((family, id), scored) in families.iter().zip(ids).zip(scored) {
            for &member in &family.members {
                members[member].advance(id, family.common, &scored.tokens);
            }
        }
    }
}

impl Member {
    fn advance(&mut self, to: ScoreId, tokens: usize, scores: &[f32]) {
        self.from = to;
        self.left.drain(..tokens);
        self.scores.extend(scores);
    }
}

/// Members that continue the same beam with the same tokens.
#[derive(Debug, PartialEq)]
struct Family {
    members: Vec<usize>,
    /// How many tokens all of them share.
    common: usize,
}

impl Family {
    fn row(&self, id: ScoreId, members: &[Member]) -> ScoreRow {
        ScoreRow { id, tokens: members[self.members[0]].left[..self.common].to_vec(), ended: false }
    }
}

fn families(members: &[Member]) -> Vec<Family> {
    let mut groups: HashMap<(ScoreId, &[Token]), Vec<usize>> = HashMap::new();
    for (at, member) in members.iter().enumerate() {
        if let Some(head) = member.left.get(..WORTH) {
            groups.entry((member.from, head)).or_default().push(at);
        }
    }
    let mut families: Vec<Family> = groups
        .into_values()
        .filter(|group| group.len() > 1)
        .map(|group| Family { common: common(&group, members), members: group })
        .collect();
    families.sort_by_key(|family| family.members[0]);
    families
}

fn common(group: &[usize], members: &[Member]) -> usize {
    let first = &members[group[0]].left;
    let shared = |member: &usize| first.iter().zip(&members[*member].left).take_while(|(a, b)| a == b).count();
    group.iter().map(shared).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_model::{Model, toy::ToyScript};
    use proptest::prelude::*;
    use std::sync::Arc;

    const TOY: &str = "vocab: <eos>* a b c\nafter : a 1, b 1, c 1\nscore cost cumulative: a 1, b 10, c 100";

    proptest! {
        #[test]
        fn together_is_as_one_by_one_and_costs_less(
            trunk in proptest::collection::vec(1_u32..4, 0..30),
            branches in proptest::collection::vec(proptest::collection::vec(1_u32..4, 0..12), 1..8),
        ) {
            let script = ToyScript::parse(TOY).unwrap();
            let mut model = script.scores().remove(0);
            let root = model.open("a", Arc::clone(&script.model().tokenizer())).unwrap();
            let whole: Vec<Vec<Token>> = branches.iter().map(|branch| [&trunk[..], branch].concat()).collect();
            let mut members: Vec<Member> =
                whole.iter().map(|left| Member { from: root, left: left.clone(), scores: vec![] }).collect();
            let mut made = Vec::new();
            gather(&mut model, &mut members, &mut made).unwrap();
            for (member, tokens) in members.into_iter().zip(&whole) {
                let ids = model.fork(&[member.from, root]).unwrap();
                let rows = [(ids[0], &member.left), (ids[1], tokens)]
                    .map(|(id, tokens)| ScoreRow { id, tokens: tokens.clone(), ended: true });
                let [rest, alone] = <[_; 2]>::try_from(model.extend(&rows).unwrap()).unwrap();
                prop_assert_eq!([member.scores, rest.tokens].concat(), alone.tokens);
                prop_assert_eq!(rest.end, alone.end);
                model.release(&ids);
                if branches.len() > 1 {
                    prop_assert!(trunk.len() < WORTH || member.left.len() <= tokens.len() - trunk.len());
                }
            }
            model.release(&made);
            model.release(&[root]);
            prop_assert_eq!(model.live_rows(), 0);
        }
    }
}
