//! What roles read of the language model, what steering writes, and what becomes of roles that answer nonsense.

use inferenceguard_host::{LiveBeams, Request, Roles, Terms};
use inferenceguard_model::{Message, log_softmax};
use inferenceguard_search::{
    Batch, Cost, CostKind, Decision, Finish, Need, Needs, Plan, Policy, RoleFailure, Status, Steered, Steering,
};
use inferenceguard_testkit::{
    roles::{BestSafe, ScoreCost, batch_cost},
    toy::{SCRIPT, build, config, roles},
};

/// Looks at the columns on its way.
struct Reader(BestSafe);

impl Policy for Reader {
    fn needs(&self) -> &Needs {
        &self.0.needs
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        // Between chunks the newest token may not have been stepped: latents belong to `select`.
        self.0.plan(rows)
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        check_columns(rows);
        self.0.select(rows)
    }
}

/// In the toy the latent is the row of logits, so every column differs from the others.
fn check_columns(batch: &Batch) {
    for row in batch.rows.iter().filter(|row| !row.finished) {
        let latent = row.latent.as_ref().expect("declared");
        assert_eq!(row.logits.as_ref().expect("declared")[..], latent[..]);
        let top_k = row.top_k.as_ref().expect("declared");
        assert_eq!(top_k.len(), 2);
        assert!(top_k[0].1 >= top_k[1].1);
        let logprobs = log_softmax(latent);
        assert!(top_k.iter().all(|(token, logprob)| logprobs[*token as usize] == *logprob));
    }
}

#[test]
fn declared_columns_are_filled() {
    let reading = || {
        let needs = Needs { latents: Some(Default::default()), top_k: 2, logits: true, ..Needs::default() };
        Roles { policy: Box::new(Reader(BestSafe { needs, width: 4, chunk_len: 3, keep: 2 })), ..roles() }
    };
    let engine = build(SCRIPT, config(11.0), reading).unwrap();
    let output = engine.generate(Request::new("good")).unwrap();
    assert_eq!(output.status, Status::WithinBudget);
}

#[test]
fn undeclared_columns_stay_empty() {
    struct Blind(BestSafe);
    impl Policy for Blind {
        fn needs(&self) -> &Needs {
            &self.0.needs
        }
        fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
            self.0.plan(rows)
        }
        fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
            assert!(rows.rows.iter().all(|row| row.latent.is_none() && row.logits.is_none() && row.top_k.is_none()));
            self.0.select(rows)
        }
    }
    let blind = || {
        let policy = BestSafe { needs: Needs::default(), width: 4, chunk_len: 3, keep: 2 };
        Roles { policy: Box::new(Blind(policy)), ..roles() }
    };
    build(SCRIPT, config(11.0), blind).unwrap().generate(Request::new("good")).unwrap();
}

/// Answers every call with the same edit of all rows.
struct Edit {
    needs: Needs,
    answer: fn(usize) -> Steered,
}

impl Steering for Edit {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn steer(&mut self, rows: &Batch) -> Result<Steered, RoleFailure> {
        Ok((self.answer)(rows.rows.len()))
    }
}

fn steered(answer: fn(usize) -> Steered) -> Roles {
    let needs = Needs { latents: Some(Default::default()), ..Needs::default() };
    Roles { steering: Some(Box::new(Edit { needs, answer })), ..roles() }
}

/// Only `plain` is likely.
const PLAIN: [f32; 4] = [-30.0, -30.0, -30.0, 5.0];

#[test]
fn steering_moves_the_samples() {
    let all = || steered(|rows| Steered::All(PLAIN.repeat(rows)));
    let each = || steered(|rows| Steered::Rows((0..rows as u32).map(|row| (row, PLAIN.to_vec())).collect()));
    for roles in [all, each] {
        let output = build(SCRIPT, config(11.0), roles).unwrap().generate(Request::new("good")).unwrap();
        assert_eq!(output.text, ["plain"; 12].join(" "), "{output:?}");
        assert_eq!(output.status, Status::WithinBudget);
    }
}

#[test]
fn steering_hides_nothing_from_those_who_read_latents() {
    let reading = || {
        let needs = Needs { latents: Some(Default::default()), top_k: 2, logits: true, ..Needs::default() };
        let policy = Box::new(Reader(BestSafe { needs, width: 4, chunk_len: 3, keep: 2 }));
        Roles { policy, ..steered(|rows| Steered::All(PLAIN.repeat(rows))) }
    };
    let engine = build(SCRIPT, config(11.0), reading).unwrap();
    let request = Request { record: true, ..Request::new("good") };
    let output = engine.generate(request).unwrap();
    assert_eq!(output.text, ["plain"; 12].join(" "), "tokens are drawn from what steering made");
    let latents = output.trace.unwrap().events.into_iter().filter_map(|(need, _)| match need {
        Need::Select(batch) => Some(batch.rows.iter().filter_map(|row| row.latent.clone()).collect::<Vec<_>>()),
        _ => None,
    });
    let read: Vec<_> = latents.flatten().collect();
    assert!(!read.is_empty() && read.iter().all(|latent| latent[..] != PLAIN), "roles read what the model gave");
}

#[test]
fn steering_that_answers_nonsense_makes_its_beams_unsafe() {
    let bad: [fn() -> Roles; 5] = [
        || steered(|_| Steered::All(vec![0.0; 3])),
        || steered(|rows| Steered::All(vec![f32::NAN; rows * 4])),
        || steered(|_| Steered::Rows(vec![(99, PLAIN.to_vec())])),
        || steered(|_| Steered::Rows(vec![(0, PLAIN.to_vec()), (0, PLAIN.to_vec())])),
        || steered(|_| Steered::Rows(vec![(0, vec![f32::INFINITY; 4])])),
    ];
    for roles in bad {
        let engine = build(SCRIPT, config(11.0), roles).unwrap();
        let output = engine.generate(Request::new("good")).unwrap();
        assert_eq!((output.status, output.finish), (Status::Failed, Finish::Failed), "{output:?}");
        assert!(!output.failures.is_empty());
        assert_eq!(engine.live_beams(), LiveBeams::default());
    }
}

fn priced(prices: fn(&Batch) -> Vec<Vec<f64>>) -> Roles {
    let costs: [(&str, Box<dyn Cost>); 2] = [
        ("harm", batch_cost(Needs::default(), move |rows| Ok(prices(rows)))),
        ("reward", ScoreCost::new("reward", CostKind::Task)),
    ];
    Roles { costs: costs.into_iter().map(|(name, cost)| (name.to_owned(), cost)).collect(), ..roles() }
}

/// Goes on with its first row, safe or not.
struct Careless(BestSafe);

impl Policy for Careless {
    fn needs(&self) -> &Needs {
        &self.0.needs
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        self.0.plan(rows)
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        Ok(if rows.moment.last { Decision::Answer(0) } else { Decision::Keep(vec![0]) })
    }
}

#[test]
fn a_careless_policy_cannot_carry_on_without_a_failed_cost() {
    let careless = || {
        let policy = BestSafe { needs: Needs::default(), width: 1, chunk_len: 2, keep: 1 };
        Roles { policy: Box::new(Careless(policy)), ..priced(|_| Vec::new()) }
    };
    let output = build(SCRIPT, config(11.0), careless).unwrap().generate(Request::new("good")).unwrap();
    assert_eq!((output.status, output.finish), (Status::Failed, Finish::Failed), "{output:?}");
    assert_eq!(output.usage.sampled_tokens, 2, "nothing grows on a beam that could not be judged");
}

#[test]
fn a_cost_that_answers_nonsense_makes_its_beams_unsafe() {
    let bad: [fn() -> Roles; 3] = [
        || priced(|batch| batch.rows.iter().map(|row| vec![f64::NAN; row.tokens.len()]).collect()),
        || priced(|_| Vec::new()),
        || priced(|batch| batch.rows.iter().map(|row| vec![0.0; row.tokens.len() + 1]).collect()),
    ];
    for roles in bad {
        let engine = build(SCRIPT, config(11.0), roles).unwrap();
        let output = engine.generate(Request::new("good")).unwrap();
        assert_eq!(output.status, Status::Failed, "{output:?}");
        assert!(!output.failures.is_empty());
        assert_eq!(engine.live_beams(), LiveBeams::default());
    }
}

#[test]
fn an_earlier_turn_that_could_not_be_priced_fails_the_request_and_is_no_refusal() {
    // The one row of an earlier turn has no price, and the candidates of this one are free.
    let roles = || {
        priced(|batch| match batch.rows.len() {
            1 => Vec::new(),
            _ => batch.rows.iter().map(|row| vec![0.0; row.tokens.len()]).collect(),
        })
    };
    let engine = build(SCRIPT, config(11.0), roles).unwrap();
    let history = vec![Message::user("good"), Message { role: "assistant".into(), content: "good".into() }];
    let asked = Request { history, ..Request::new("good") };
    let terms = Terms { whole_conversation: true, ..Terms::default() };
    let output = engine.under(&terms).generate(asked).unwrap();
    assert_eq!((output.status, output.finish), (Status::Failed, Finish::Failed), "{output:?}");
    assert!(output.tokens.is_empty() && output.failures[0].to_string().contains("cost `harm` failed"), "{output:?}");
    assert_eq!(engine.live_beams(), LiveBeams::default());
}
