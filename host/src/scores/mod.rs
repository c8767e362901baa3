//! Scored beams of the score models by the search's keys.

mod failure;
mod family;

use crate::beams::check_count;
use family::Member;
use inferenceguard_model::{BeamId, Message, ModelError, ScoreId, ScoreModel, ScoreRow, Scored, Tokenizer};
use inferenceguard_search::{BeamKey, FailureKind, ROOT, ScoreNeed};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The engine's score models, by name.
pub(crate) type ScoreModels = BTreeMap<String, Box<dyn ScoreModel>>;

/// The scores of one need, or what its score model did in their place.
type MaybeScored = Result<Scored, FailureKind>;

/// The scored beams of one request. Dropping it releases them all.
pub(crate) struct Scores<'m> {
    models: &'m mut ScoreModels,
    messages: Vec<Message>,
    language: Arc<dyn Tokenizer>,
    live: HashMap<String, HashMap<BeamKey, ScoreId>>,
}

impl Drop for Scores<'_> {
    fn drop(&mut self) {
        for (name, beams) in &self.live {
            if let Some(model) = self.models.get_mut(name) {
                model.release(&beams.values().copied().collect::<Vec<_>>());
            }
        }
    }
}

impl<'m> Scores<'m> {
    pub(crate) fn new(models: &'m mut ScoreModels, messages: Vec<Message>, language: Arc<dyn Tokenizer>) -> Self {
        Self { models, messages, language, live: HashMap::new() }
    }

    /// One answer per need, in order; one call of each score model for all its needs. A score model that fails is part of the
    /// answer; the error is that of a wrong request, of a cancelled request, or of a model that broke for good.
    pub(crate) fn score(&mut self, needs: Vec<ScoreNeed>) -> Result<Vec<MaybeScored>, ModelError> {
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (i, need) in needs.iter().enumerate() {
            groups.entry(need.model.clone()).or_default().push(i);
        }
        let mut needs: Vec<Option<ScoreNeed>> = needs.into_iter().map(Some).collect();
        let mut scored: Vec<Option<MaybeScored>> = vec![None; needs.len()];
        for (name, indices) in groups {
            let group = indices.iter().filter_map(|i| needs[*i].take()).collect();
            let answers: Vec<MaybeScored> = match self.score_by(&name, group) {
                Ok(answers) => answers.into_iter().map(|row| failure::finite(&name, row)).collect(),
                Err(error) => vec![Err(failure::of_model(&name, error)?); indices.len()],
            };
            indices.iter().zip(answers).for_each(|(i, answer)| scored[*i] = Some(answer));
        }
        Ok(scored.into_iter().flatten().collect())
    }

    fn score_by(&mut self, name: &str, needs: Vec<ScoreNeed>) -> Result<Vec<Scored>, ModelError> {
        let Some(model) = self.models.get_mut(name) else {
            return Err(ModelError::Unsupported(format!("score with `{name}`; the engine has no such score model")));
        };
        let live = self.live.entry(name.to_owned()).or_default();
        if needs.iter().any(|need| need.anchor == ROOT) && !live.contains_key(&ROOT) {
            live.insert(ROOT, model.open_chat(&self.messages, Arc::clone(&self.language))?);
        }
        let due = needs.len();
        let (begun, rows) = rows(model.as_mut(), live, needs)?;
        let mut scored = model.extend(&rows)?;
        check_count("scored rows", scored.len(), due)?;
        for (scored, mut begun) in scored.iter_mut().zip(begun) {
            begun.append(&mut scored.tokens);
            scored.tokens = begun;
        }
        Ok(scored)
    }

    pub(crate) fn release(&mut self, keys: &[BeamKey]) {
        for (name, beams) in &mut self.live {
            let ids: Vec<ScoreId> = keys.iter().filter_map(|key| beams.remove(key)).collect();
            if let Some(model) = self.models.get_mut(name) {
                model.release(&ids);
            }
        }
    }
}

/// The row of every need, and the scores it has already: beams that continue another one are made, and what they have
/// in common is scored once.
fn rows(
    model: &mut dyn ScoreModel,
    live: &mut HashMap<BeamKey, ScoreId>,
    needs: Vec<ScoreNeed>,
) -> Result<(Vec<Vec<f32>>, Vec<ScoreRow>), ModelError> {
    let new = needs.iter().filter(|need| need.anchor != need.beam);
    let member =
        |need: &ScoreNeed| Ok(Member { from: find(live, need.anchor)?, left: need.tokens.clone(), scores: Vec::new() });
    let mut members = new.map(member).collect::<Result<Vec<_>, ModelError>>()?;
    let mut made = Vec::new();
    let forked = family::gather(model, &mut members, &mut made).and_then(|()| fork(model, live, &needs, &members));
    model.release(&made);
    forked?;
    let mut members = members.into_iter();
    let row = |need: ScoreNeed| {
        let (id, ended) = (find(live, need.beam)?, need.ended);
        let begun = if need.anchor == need.beam { None } else { members.next() };
        let (tokens, scores) = begun.map_or((need.tokens, Vec::new()), |member| (member.left, member.scores));
        Ok((scores, ScoreRow { id, tokens, ended }))
    };
    Ok(needs.into_iter().map(row).collect::<Result<Vec<_>, ModelError>>()?.into_iter().unzip())
}

/// Makes the beams that continue another one.
fn fork(
    model: &mut dyn ScoreModel,
    live: &mut HashMap<BeamKey, ScoreId>,
    needs: &[ScoreNeed],
    members: &[Member],
) -> Result<(), ModelError> {
    if members.is_empty() {
        return Ok(());
    }
    let parents: Vec<ScoreId> = members.iter().map(|member| member.from).collect();
    let ids = model.fork(&parents)?;
    if ids.len() != members.len() {
        model.release(&ids);
    }
    check_count("forks", ids.len(), members.len())?;
    for (need, id) in needs.iter().filter(|need| need.anchor != need.beam).zip(ids) {
        if let Some(old) = live.insert(need.beam, id) {
            model.release(&[old]);
        }
    }
    Ok(())
}

fn find(live: &HashMap<BeamKey, ScoreId>, key: BeamKey) -> Result<ScoreId, ModelError> {
    live.get(&key).copied().ok_or(ModelError::UnknownBeam(BeamId(key)))
}
