//! Plays a search with the scripted model and with roles in plain Rust.

/// Sessions whose rows are damaged on their way.
pub mod played;

use crate::roles::{Recursion, ScoreCost, config, constraint};
use inferenceguard_model::{
    BeamId, Grown, Growth, Model, Rows, SampleRequest, ScoreId, ScoreModel, ScoreRow, Tokenizer, log_softmax,
    sample_row, top_k, toy::ToyScript,
};
use inferenceguard_search::*;
use std::{collections::BTreeMap, rc::Rc, sync::Arc};

/// A search policy in plain Rust: the loop of the paper, with switches.
#[derive(Clone)]
pub struct Loop {
    /// Candidates of a chunk.
    pub n: u32,
    /// How many of them go on.
    pub keep: usize,
    /// Tokens of a chunk.
    pub chunk_len: u32,
    /// Retries of a chunk.
    pub retries: u32,
    /// Candidates of a retry, if not as many as at first.
    pub retry_n: Option<u32>,
    /// Whether only safe candidates fit.
    pub guarded: bool,
    /// Whether it asks for prices one by one.
    pub on_demand: bool,
    /// Where candidates come from.
    pub source: Source,
    /// What it reads.
    pub needs: Needs,
}

impl Loop {
    /// The guarded loop over samples, priced all at once.
    #[must_use]
    pub fn new(n: u32, keep: usize, chunk_len: u32, retries: u32) -> Self {
        let (guarded, on_demand, source, needs) = (true, false, Source::Sample, Needs::default());
        Self { n, keep, chunk_len, retries, retry_n: None, guarded, on_demand, source, needs }
    }

    fn fit(&self, rows: &Batch) -> Vec<u32> {
        let mut fit: Vec<u32> = (0..rows.rows.len() as u32)
            .filter(|r| rows.rows[*r as usize].priced && (!self.guarded || rows.rows[*r as usize].safe))
            .collect();
        let cost = |r: &u32| rows.rows[*r as usize].task_cost.unwrap_or(0.0);
        fit.sort_by(|a, b| cost(a).total_cmp(&cost(b)).then(a.cmp(b)));
        fit
    }
}

impl Policy for Loop {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        let live = rows.rows.len() as u32;
        let candidates = (0..live).map(|i| (self.n / live + u32::from(i < self.n % live)).max(1)).collect();
        let pricing = if self.on_demand { Pricing::OnDemand } else { Pricing::All };
        Ok(Plan {
            source: self.source,
            pricing,
            task_cost: true,
            retry_candidates: self.retry_n,
            keep: Some(self.keep as u32),
            ..Plan::new(candidates, self.chunk_len)
        })
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        let unpriced: Vec<u32> = (0..rows.rows.len() as u32).filter(|r| !rows.rows[*r as usize].priced).collect();
        let fit = self.fit(rows);
        if self.on_demand && fit.len() < self.keep && !unpriced.is_empty() {
            return Ok(Decision::Price(unpriced.into_iter().take(self.keep).collect()));
        }
        match fit.first() {
            None if rows.moment.attempt < self.retries => Ok(Decision::Retry(Retry { penalty: 20.0, max_mass: 1.0 })),
            None => Ok(Decision::Exhausted),
            Some(best) if rows.moment.last => Ok(Decision::Answer(*best)),
            Some(_) => Ok(Decision::Keep(fit.into_iter().take(self.keep).collect())),
        }
    }
}

/// The requests for each draw that a need asks for, offset by offset.
#[must_use]
pub fn draws(need: &Need, answer: &Answer) -> Vec<Vec<SampleRequest>> {
    match (need, answer) {
        (Need::Sample(needs), _) => vec![needs.iter().map(|need| need.request.clone()).collect()],
        (Need::Grow { growth, rows }, Answer::Grown(grown)) => {
            let rows: Vec<_> = rows.iter().map(|need| &need.row).zip(grown.iter().flatten()).collect();
            let drawn = |offset: usize| rows.iter().filter(move |(_, grown)| grown.tokens.len() > offset);
            let of = |offset| drawn(offset).map(|(row, grown)| growth.request(row, &grown.tokens[..offset])).collect();
            (0..growth.max_tokens as usize).map(of).filter(|one: &Vec<_>| !one.is_empty()).collect()
        }
        _ => Vec::new(),
    }
}

/// Everything one request needs.
pub struct Player {
    /// The models.
    pub script: ToyScript,
    /// The configuration of its sessions.
    pub config: SearchConfig,
    /// The policy.
    pub policy: Box<dyn Policy>,
    /// The tracker.
    pub tracker: Box<dyn Tracker>,
    /// The costs, by name.
    pub costs: BTreeMap<String, Box<dyn Cost>>,
    /// What spells the tokens, if not the script.
    pub tokenizer: Option<Arc<dyn Tokenizer>>,
}

impl Player {
    /// Reward and cost of the script, one constraint.
    #[must_use]
    pub fn new(script: &str, budget: f64, max_tokens: u32, policy: Loop) -> Self {
        let config = SearchConfig { max_tokens, seed: 7, ..config(constraint("safety", "cost", budget)) };
        let costs: [(&str, Box<dyn Cost>); 2] =
            [("cost", ScoreCost::new("cost", CostKind::Safety)), ("reward", ScoreCost::new("reward", CostKind::Task))];
        let costs = costs.into_iter().map(|(name, cost)| (name.to_owned(), cost)).collect();
        let script = ToyScript::parse(script).expect("the script parses");
        Self { script, config, policy: Box::new(policy), tracker: Box::new(Recursion), costs, tokenizer: None }
    }

    /// A session about this prompt.
    #[must_use]
    pub fn session(&self, prompt: &str) -> Session {
        let model = self.script.model();
        let info = model.info();
        let vocabulary = Vocabulary { size: info.vocab as u32, eos: info.eos.clone(), special: info.special.clone() };
        let info = |c: &dyn Cost| CostInfo { needs: c.needs().clone(), kind: c.kind(), grain: c.grain() };
        let costs = self.costs.iter().map(|(n, c)| (n.clone(), info(c.as_ref()))).collect();
        let roles = RolesInfo { policy: self.policy.needs().clone(), critic: None, steering: None, costs };
        let tokens = model.encode_prompt(prompt).expect("the prompt encodes");
        let tokenizer = self.tokenizer.clone().unwrap_or_else(|| self.script.tokenizer());
        Session::new(self.config.clone(), roles, vocabulary, prompt, tokens, tokenizer)
            .expect("the configuration is valid")
    }

    /// Plays to the end; checks that nothing leaks.
    pub fn play(&mut self) -> (Outcome, Trace) {
        let (outcome, trace, _) = self.play_watched();
        (outcome, trace)
    }

    /// Also returns what was released after each need.
    pub fn play_watched(&mut self) -> (Outcome, Trace, Vec<String>) {
        self.play_session(self.session("ask"))
    }

    /// Plays a session of its own.
    pub fn play_session(&mut self, mut session: Session) -> (Outcome, Trace, Vec<String>) {
        session.record();
        let mut stage = self.stage();
        let mut released = Vec::new();
        loop {
            let need = session.next();
            if need == Need::Nothing {
                break;
            }
            let answer = self.perform(&mut stage, need);
            session.feed(answer).expect("the answer fits");
            released.push(session.released().to_owned());
        }
        stage.assert_empty();
        (session.outcome().expect("an outcome").clone(), session.trace().expect("a trace").clone(), released)
    }

    /// Fresh models.
    #[must_use]
    pub fn stage(&self) -> Stage {
        let mut stage = Stage::new(&self.script);
        stage.spelling = self.tokenizer.clone().unwrap_or(stage.spelling);
        stage
    }

    /// Answers a need by the roles or the models.
    pub fn perform(&mut self, stage: &mut Stage, need: Need) -> Answer {
        match need {
            Need::Start(c) => Answer::Budget(self.tracker.start(&c)),
            Need::Advance { constraint, rows } => Answer::Advanced(self.tracker.advance(&constraint, &rows)),
            Need::Plan(rows) => Answer::Plan(self.policy.plan(&rows)),
            Need::Select(rows) => Answer::Decided(self.policy.select(&rows)),
            Need::Price { cost, batch } | Need::PriceTail { cost, batch } => {
                Answer::Priced(self.costs.get_mut(&cost).expect("a known cost").price(&batch))
            }
            other => stage.perform(other),
        }
    }
}

/// The models of one request.
pub struct Stage {
    model: Box<dyn Model>,
    scores: BTreeMap<String, Box<dyn ScoreModel>>,
    beams: BTreeMap<BeamKey, (BeamId, Rc<Rows>, usize)>,
    scored: BTreeMap<(String, BeamKey), ScoreId>,
    tokenizer: Arc<dyn Tokenizer>,
    /// Spells the tokens in which stop texts are looked for.
    spelling: Arc<dyn Tokenizer>,
}

impl Stage {
    /// The models of a script.
    #[must_use]
    pub fn new(script: &ToyScript) -> Self {
        let scores = script.scores().into_iter().map(|s| (s.info().name.clone(), Box::new(s) as Box<dyn ScoreModel>));
        let model: Box<dyn Model> = Box::new(script.model());
        let tokenizer = model.tokenizer();
        let spelling = Arc::clone(&tokenizer);
        Self { scores: scores.collect(), model, beams: BTreeMap::new(), scored: BTreeMap::new(), tokenizer, spelling }
    }

    /// Panics where a beam was not released.
    pub fn assert_empty(&self) {
        assert_eq!(self.model.live_beams(), 0, "beams leak");
        assert!(self.scores.values().all(|s| s.live_rows() == 0), "scored beams leak");
    }

    fn perform(&mut self, need: Need) -> Answer {
        match need {
            Need::Prefill(prompt) => {
                let (id, rows) = self.model.prefill(&prompt).expect("prefill");
                self.beams.insert(ROOT, (id, Rc::new(rows), 0));
                Answer::Done
            }
            Need::Step { forks, rows } => self.step(&forks, &rows),
            Need::Sample(needs) => {
                let one = |n: &SampleNeed| {
                    let logits = self.logits(n.from);
                    sample_row(&logits, &n.request).expect("a sample")
                };
                Answer::Sampled(needs.iter().map(one).collect())
            }
            Need::Grow { growth, rows } => {
                Answer::Grown(rows.into_iter().map(|need| Ok(self.grow(&growth, need))).collect())
            }
            Need::Expand { rows, k } => Answer::Expanded(rows.iter().map(|r| self.expand(*r, k)).collect()),
            Need::Score(needs) => Answer::Scored(needs.iter().map(|n| self.score(n)).collect()),
            Need::Release { beams, scored } => self.release(&beams, &scored),
            other => panic!("not played: {}", other.name()),
        }
    }

    fn step(&mut self, forks: &[(BeamKey, BeamKey)], rows: &[(BeamKey, u32)]) -> Answer {
        for (parent, child) in forks {
            let (id, latents, row) = self.beams[parent].clone();
            let forked = self.model.fork(&[id]).expect("fork")[0];
            self.beams.insert(*child, (forked, latents, row));
        }
        if rows.is_empty() {
            return Answer::Done;
        }
        let ids: Vec<_> = rows.iter().map(|(key, token)| (self.beams[key].0, *token)).collect();
        let latents = Rc::new(self.model.step(&ids).expect("step"));
        for (i, (key, _)) in rows.iter().enumerate() {
            self.beams.insert(*key, (self.beams[key].0, latents.clone(), i));
        }
        Answer::Done
    }

    fn grow(&mut self, growth: &Growth, GrowNeed { beam, row }: GrowNeed) -> Grown {
        self.step(&[(row.parent, beam)], &[]);
        let (mut text, mut grown, mut ended) = (row.text.clone(), Grown::default(), false);
        while !ended && grown.tokens.len() < growth.max_tokens as usize {
            if let Some(newest) = grown.tokens.last() {
                self.step(&[], &[(beam, *newest)]);
            }
            let request = growth.request(&row, &grown.tokens);
            let sampled = sample_row(&self.logits(beam), &request).expect("a sample");
            let searched = text.text().len();
            text.push(self.spelling.as_ref(), sampled.token).expect("a known token");
            ended = growth.ends(sampled.token, &text, searched);
            grown.tokens.push(sampled.token);
            grown.logprobs.push(sampled.logprob);
        }
        grown
    }

    /// Releases the beam of a row, as where it could not be grown.
    pub fn lose(&mut self, beam: BeamKey) {
        self.release(&[beam], &[]);
    }

    fn logits(&self, key: BeamKey) -> Vec<f32> {
        let (_, rows, row) = &self.beams[&key];
        let data = rows.to_host().expect("latents");
        data[row * rows.width()..(row + 1) * rows.width()].to_vec()
    }

    fn expand(&self, key: BeamKey, k: u32) -> Vec<Expansion> {
        let logits = self.logits(key);
        let logprobs = log_softmax(&logits);
        let one = |(token, logit)| Expansion { token, logit, logprob: logprobs[token as usize] };
        top_k(&logits, k as usize).into_iter().map(one).collect()
    }

    fn score(&mut self, need: &ScoreNeed) -> inferenceguard_model::Scored {
        let model = self.scores.get_mut(&need.model).expect("a known score model");
        let root = (need.model.clone(), ROOT);
        if !self.scored.contains_key(&root) {
            self.scored.insert(root, model.open("ask", self.tokenizer.clone()).expect("open"));
        }
        let mine = (need.model.clone(), need.beam);
        if need.anchor != need.beam {
            let anchor = self.scored[&(need.model.clone(), need.anchor)];
            self.scored.insert(mine.clone(), model.fork(&[anchor]).expect("fork")[0]);
        }
        let row = ScoreRow { id: self.scored[&mine], tokens: need.tokens.clone(), ended: need.ended };
        model.extend(&[row]).expect("extend").remove(0)
    }

    fn release(&mut self, beams: &[BeamKey], scored: &[BeamKey]) -> Answer {
        for key in beams {
            let (id, ..) = self.beams.remove(key).expect("a held beam");
            self.model.release(&[id]);
        }
        for (name, model) in &mut self.scores {
            let gone = self.scored.iter().filter(|((n, key), _)| n == name && scored.contains(key));
            model.release(&gone.map(|(_, id)| *id).collect::<Vec<_>>());
        }
        if self.beams.is_empty() {
            for (name, model) in &mut self.scores {
                let ids: Vec<_> = self.scored.iter().filter(|((n, _), _)| n == name).map(|(_, id)| *id).collect();
                model.release(&ids);
            }
        }
        Answer::Done
    }
}

impl std::fmt::Debug for Player {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.config)
    }
}
