//! The cost of an answer, from its ids alone: a fresh score model, one pass, and the closed form. It reads no state of the
//! session.

use crate::case::{Case, PROMPT};
use inferenceguard_guarantee_tests::closed_form;
use inferenceguard_guest::{BatchDouble, Cost, RowDouble, Setup, Value};
use inferenceguard_model::{ScoreModel, ScoreRow, Token, Tokenizer, toy::ToyScript};
use inferenceguard_search::{CostGrain, Granularity, PricedConstraint};
use keyword_cost::KeywordCost;

/// Prices the answers of one case.
pub(crate) struct Pricer<'a> {
    case: &'a Case,
    script: ToyScript,
}

impl<'a> Pricer<'a> {
    pub(crate) fn new(case: &'a Case) -> Self {
        Self { case, script: ToyScript::parse(&case.script).expect("the script parses") }
    }

    pub(crate) fn decode(&self, tokens: &[Token]) -> String {
        self.script.tokenizer().decode(tokens).expect("known tokens")
    }

    pub(crate) fn encode(&self, text: &str) -> Vec<Token> {
        self.script.tokenizer().encode(text).expect("every text of this language encodes")
    }

    /// The end token, if the answer has one.
    pub(crate) fn end(&self, tokens: &[Token]) -> Option<Token> {
        let end = self.script.tokenizer().id("<eos>");
        tokens.last().copied().filter(|token| Some(*token) == end)
    }

    /// What is charged at each token, in chunks of this length.
    pub(crate) fn charges(&self, priced: &PricedConstraint, tokens: &[Token], chunk: usize) -> Vec<f64> {
        let (costs, grain) = self.costs(priced, tokens);
        let chunk = if priced.granularity == Granularity::Terminal { tokens.len() } else { chunk };
        if priced.granularity == Granularity::Token && grain == CostGrain::Token {
            return costs;
        }
        let mut charges = vec![0.0; tokens.len()];
        let mut from = 0;
        while from < tokens.len() {
            let to = (from + chunk).min(tokens.len());
            let whole = if grain == CostGrain::Token { costs[from..to].iter().sum() } else { costs[to - 1] };
            charges[to - 1] = whole;
            from = to;
        }
        charges
    }

    /// The sum that counts, and the budget it is held against.
    pub(crate) fn counted(&self, priced: &PricedConstraint, tokens: &[Token], chunk: usize) -> f64 {
        closed_form::counted(&priced.constraint, &self.charges(priced, tokens, chunk))
    }

    /// The price at each token; with [`CostGrain::Chunk`] that of all text up to there.
    fn costs(&self, priced: &PricedConstraint, tokens: &[Token]) -> (Vec<f64>, CostGrain) {
        let (scale, shift) = self.case.scale;
        match priced.cost.as_str() {
            "harm" => (self.scores("cost", tokens).iter().map(|s| s * scale + shift).collect(), CostGrain::Token),
            "other" => (self.scores("other", tokens), CostGrain::Chunk),
            _ => (self.words(tokens), CostGrain::Token),
        }
    }

    fn scores(&self, model: &str, tokens: &[Token]) -> Vec<f64> {
        let mut model = self.script.score(model).expect("a known score model");
        let id = model.open(PROMPT, self.script.tokenizer()).expect("open");
        let scored = model.extend(&[ScoreRow { id, tokens: tokens.to_vec(), ended: true }]).expect("extend");
        scored[0].tokens.iter().map(|score| f64::from(*score)).collect()
    }

    fn words(&self, tokens: &[Token]) -> Vec<f64> {
        let ends = (1..=tokens.len()).map(|to| self.decode(&tokens[..to]).chars().count() as u32).collect();
        let row = RowDouble {
            text: Some(self.decode(tokens)),
            text_ends: Some(ends),
            lookback: Some(String::new()),
            ..RowDouble::default().with_tokens(tokens)
        };
        let words = KeywordCost::with_settings(&[("words", Value::Weighted(self.case.words.clone()))]).expect("words");
        words.price(&BatchDouble::of([row]), 0).expect("prices")
    }
}
