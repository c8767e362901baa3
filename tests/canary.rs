//! A forbidden token stays inside, whichever features a request uses: every combination of engine, search, release, company,
//! migration and number of choices is run.
//!
//! The policy is a canary: a constraint that some token ids break, and a reward that pays for them. What must not hold any of them
//! are released texts, in the ids that were generated and in those that the text is cut into again; the outcome in the record; and
//! the tokens whose log-probabilities go out. Two lists are not in this: a record also holds the candidates that were not kept, since it
//! must show the decisions, and `top_logprobs` are words that nobody priced.
#![expect(clippy::print_stdout, reason = "the number of combinations is worth a line")]

mod canary_support;

use canary_support::{EngineKind, Features, Heard, SEARCHES, Subject, features, is_forbidden};
use inferenceguard_host::Output;
use inferenceguard_model::{GrowingText, Token, Tokenizer};
use inferenceguard_record::{Journal, read};
use inferenceguard_search::Status;
use std::path::Path;

/// Combinations of each engine: three searches, three releases, alone or not, migrating or not, one choice or three.
const EACH: usize = 3 * 3 * 2 * 2 * 2;

/// What happened over all combinations of an engine: a matrix in which nothing was tempted or refused shows little.
#[derive(Debug, Default)]
struct Counts {
    combinations: usize,
    requests: usize,
    answered: usize,
    migrated: usize,
    retries: u64,
    lost_rows: u64,
    tempted: u64,
    /// Tokens of prompts that were taken over from kept ones.
    reused: u64,
}

#[test]
fn the_scripted_model() {
    let counts = every_combination(EngineKind::Toy);
    assert!(counts.lost_rows == 0 && counts.answered < counts.requests, "some requests are refused: {counts:?}");
}

#[test]
fn an_engine_elsewhere_that_loses_and_spoils_rows() {
    let counts = every_combination(EngineKind::Lossy);
    assert!(counts.lost_rows > 0, "{counts:?}");
}

#[test]
fn a_llama_on_the_processor() {
    assert_eq!(every_combination(EngineKind::Llama).reused, 0);
}

#[test]
fn a_llama_that_keeps_recent_prompts() {
    assert!(every_combination(EngineKind::LlamaWithPrompts).reused > 0);
}

#[test]
fn a_server_that_speaks_as_vllm_does() {
    every_combination(EngineKind::Vllm);
}

fn every_combination(kind: EngineKind) -> Counts {
    let (folder, mut counts) = (tempfile::tempdir().unwrap(), Counts::default());
    let path = folder.path().join("records.jsonl");
    let journal = Journal::open(&path, true).unwrap();
    for search in SEARCHES {
        let subject = Subject::new(kind, search);
        for features in features() {
            // Seeds of their own, so that no two combinations draw alike.
            let seed = 100 * (counts.combinations as u64 + 1);
            for heard in subject.ask(&features, seed) {
                check(kind, &subject, &heard, &features);
                counts.add(&heard, &journal);
            }
            counts.combinations += 1;
        }
        counts.tempted += subject.tempted();
        counts.reused += subject.engine.reused_positions();
    }
    check_records(&path, counts.requests);
    println!("{kind:?}: {counts:?}");
    assert_eq!(counts.combinations, EACH);
    assert!(
        counts.tempted > 0 && counts.answered > 0 && counts.migrated > 0 && counts.retries > 0,
        "{kind:?} {counts:?}"
    );
    counts
}

impl Counts {
    fn add(&mut self, heard: &Heard, journal: &Journal) {
        let output = &heard.output;
        journal.append(output).unwrap();
        self.requests += 1;
        self.answered += usize::from(output.status == Status::WithinBudget);
        self.migrated += usize::from(output.generations.len() > 1);
        self.retries += output.usage.retries;
        self.lost_rows += output.usage.lost_rows;
    }
}

/// Checks all that goes out of one request.
fn check(kind: EngineKind, subject: &Subject, heard: &Heard, features: &Features) {
    let (output, released) = (&heard.output, &heard.released);
    let about = format!("{kind:?} {features:?}: {output:?}");
    assert_eq!(released, &output.text, "what was released is the answer: {about}");
    assert!(!kind.is_spelled(released), "{about}");
    assert!(!output.tokens.iter().copied().any(is_forbidden), "{about}");
    assert!(output.logprobs.len() == output.tokens.len() && output.top_logprobs.is_empty(), "{about}");
    match output.status {
        Status::WithinBudget => {
            let respelled = respelled(&*subject.engine.tokenizer(), output);
            assert!(!respelled.iter().copied().any(is_forbidden), "{respelled:?}: {about}");
        }
        Status::NoSafeCandidate => assert!(output.tokens.is_empty() && output.refusal.is_some(), "{about}"),
        Status::Failed => assert!(kind == EngineKind::Lossy && output.tokens.is_empty(), "{about}"),
        Status::BudgetExceeded | Status::Unguarded => panic!("never under `refuse`: {about}"),
    }
    assert!(output.generations.len() == 1 || features.migrates, "{about}");
    for constraint in &output.constraints {
        assert!(constraint.name.starts_with("canary") && constraint.max_cost <= 0.0, "{about}");
    }
}

/// The ids that the text is cut into, as it goes on from its prompt.
fn respelled(tokenizer: &dyn Tokenizer, output: &Output) -> Vec<Token> {
    let spelled = |text: GrowingText| text.with(tokenizer, &output.tokens).unwrap();
    let (whole, text) = (spelled(GrowingText::continued(tokenizer)), spelled(GrowingText::default()));
    let space = whole.text().strip_suffix(text.text()).unwrap_or_default();
    tokenizer.encode_continued(&[space, output.text.as_str()].concat()).unwrap()
}

/// Checks the outcomes of all records, whose sums are added up again.
fn check_records(path: &Path, requests: usize) {
    let lines: Vec<_> = read(path).unwrap().map(Result::unwrap).collect();
    assert_eq!(lines.len(), requests);
    for body in lines.into_iter().map(|line| line.body.unwrap()) {
        body.verify().unwrap();
        assert!(!body.outcome.tokens.iter().copied().any(is_forbidden), "{:?}", body.outcome);
    }
}
