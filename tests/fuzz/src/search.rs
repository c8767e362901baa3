//! Searches whose roles and back end answer anything: the search ends, frees its beams, and is within budget only where it is.
//!
//! Each call of a role reads one byte. Small ones let it behave; the others make it fail, or answer values read from the
//! input. Where the seed is odd, each row that the back end grows reads one byte, too. Where no price was a lie, an answer within budget is added up once more from the script's own scores.

use crate::{
    bytes::Bytes,
    player::{Loop, Player, Stage},
};
use inferenceguard_model::{Grown, Model, ScoreModel, ScoreRow};
use inferenceguard_search::{
    Advanced, Answer, BudgetState, ConstraintMode, CostClip, Decision, FailureKind, Granularity, Need, OnExhausted,
    Outcome, Plan, Pricing, Release, Retry, Role, RoleFailure, Source, Status,
};

const SCRIPT: &str = "vocab: <eos>* ask a b c
context: 64
after : a 3, b 2, c 2
after a : a 1, b 2, <eos> 1
after b : c 2, a 1, <eos> 1
after c : b 1, c 1, <eos> 1
score reward cumulative: a 1, b 3, c 2
score cost: a 0.1, b 2, c -0.5";
const ANSWER: u32 = 14;
/// More needs than any search of so few tokens has.
const MOST: usize = 200_000;
/// Below it, a role behaves.
const WELL: u8 = 176;

/// Settings of the search, then one byte and more for each answer of a role.
pub fn run(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let mut player = player(&mut bytes);
    let mut session = player.session("ask");
    session.record();
    let mut stage = Stage::new(&player.script);
    let (mut lies, mut needs) = (false, 0);
    loop {
        let need = session.next();
        if need == Need::Nothing {
            break;
        }
        needs += 1;
        assert!(needs < MOST, "the search does not end");
        let answer = answer(&mut player, &mut stage, need, &mut bytes, &mut lies);
        session.feed(answer).expect("whatever a role answers, the search goes on");
    }
    stage.assert_empty();
    let outcome = session.outcome().expect("an outcome");
    check(&player, outcome, lies);
    let trace = session.trace().expect("a trace");
    let mut again = player.session("ask");
    trace.replay(&mut again).expect("the same answers lead to the same needs");
    assert_eq!(format!("{:?}", again.outcome()), format!("{:?}", Some(outcome)), "a trace leads somewhere else");
}

fn player(bytes: &mut Bytes<'_>) -> Player {
    let count = |byte: u8, most: u8| u32::from(byte % most);
    let mut policy =
        Loop::new(1 + count(bytes.byte(), 8), 1 + count(bytes.byte(), 4) as usize, 1 + count(bytes.byte(), 5), 2);
    (policy.guarded, policy.on_demand) = (bytes.flag(), bytes.flag());
    let mut player = Player::new(SCRIPT, 0.5 + f64::from(bytes.byte()) / 64.0, ANSWER, policy);
    let priced = &mut player.config.constraints[0];
    let pick = |byte: u8| usize::from(byte % 3);
    priced.constraint.gamma = [1.0, 0.99, 0.9][pick(bytes.byte())];
    priced.constraint.clip = [CostClip::None, CostClip::Nonneg, CostClip::Capped][pick(bytes.byte())];
    priced.constraint.mode = if bytes.flag() { ConstraintMode::Anytime } else { ConstraintMode::Terminal };
    priced.granularity = [Granularity::Token, Granularity::Chunk, Granularity::Terminal][pick(bytes.byte())];
    player.config.on_exhausted =
        [OnExhausted::Refuse, OnExhausted::LeastViolation, OnExhausted::BestReward][pick(bytes.byte())];
    player.config.release = [Release::AtEnd, Release::Agreement, Release::Commit(2)][pick(bytes.byte())];
    player.config.backtrack = bytes.flag();
    player.config.seed = u64::from(bytes.byte());
    player
}

fn answer(player: &mut Player, stage: &mut Stage, need: Need, bytes: &mut Bytes<'_>, lies: &mut bool) -> Answer {
    let role = match &need {
        Need::Plan(_) | Need::Select(_) => Role::Policy,
        Need::Start(_) | Need::Advance { .. } => Role::Tracker,
        Need::Price { .. } | Need::PriceTail { .. } => Role::Cost,
        Need::Grow { .. } if player.config.seed % 2 == 1 => return grown(player, stage, need, bytes),
        _ => return player.perform(stage, need),
    };
    match bytes.byte() {
        0..WELL if !is_foreign(&need) => player.perform(stage, need),
        byte if byte % 4 == 0 => failed(&need, RoleFailure::bad_output(role, "fuzzed", "nothing", "something")),
        _ => {
            *lies |= role == Role::Cost;
            anything(&need, bytes)
        }
    }
}

/// True for states that the player's tracker did not make: it indexes its memory of two numbers.
fn is_foreign(need: &Need) -> bool {
    matches!(need, Need::Advance { rows, .. } if rows.iter().any(|row| row.state.memory.len() != 2))
}

fn failed(need: &Need, failure: RoleFailure) -> Answer {
    match need {
        Need::Plan(_) => Answer::Plan(Err(failure)),
        Need::Select(_) => Answer::Decided(Err(failure)),
        Need::Start(_) => Answer::Budget(Err(failure)),
        Need::Advance { .. } => Answer::Advanced(Err(failure)),
        _ => Answer::Priced(Err(failure)),
    }
}

fn anything(need: &Need, bytes: &mut Bytes<'_>) -> Answer {
    match need {
        Need::Plan(_) => Answer::Plan(Ok(plan(bytes))),
        Need::Select(_) => Answer::Decided(Ok(decision(bytes))),
        Need::Start(_) => Answer::Budget(Ok(state(bytes))),
        Need::Advance { rows, .. } => Answer::Advanced(Ok(if bytes.flag() {
            rows.iter().map(|row| advanced(bytes, Some(row.costs.len()))).collect()
        } else {
            bytes.several(|bytes| advanced(bytes, None))
        })),
        Need::Price { batch, .. } | Need::PriceTail { batch, .. } => Answer::Priced(Ok(if bytes.flag() {
            batch.rows.iter().map(|row| row.tokens.iter().map(|_| bytes.price()).collect()).collect()
        } else {
            bytes.several(|bytes| bytes.several(Bytes::price))
        })),
        other => unreachable!("{} is no role's", other.name()),
    }
}

/// Rows as they are, and rows that are lost or not as asked.
fn grown(player: &mut Player, stage: &mut Stage, need: Need, bytes: &mut Bytes<'_>) -> Answer {
    let Need::Grow { rows, .. } = &need else { unreachable!("{} grows nothing", need.name()) };
    let beams: Vec<_> = rows.iter().map(|row| row.beam).collect();
    let Answer::Grown(mut grown) = player.perform(stage, need) else { unreachable!("rows come back grown") };
    for (row, beam) in grown.iter_mut().zip(beams) {
        match (bytes.byte(), row) {
            (0..WELL, _) => {}
            (byte, Ok(row)) if byte % 4 > 0 => anything_grown(row, bytes),
            (_, row) => {
                stage.lose(beam);
                *row = Err(FailureKind::Refused("the engine lost the row".into()));
            }
        }
    }
    Answer::Grown(grown)
}

/// Other tokens or log-probabilities, as many as before or not.
fn anything_grown(row: &mut Grown, bytes: &mut Bytes<'_>) {
    match bytes.byte() % 6 {
        0 => drop(row.tokens.pop()),
        1 => row.tokens.extend(bytes.several(Bytes::number)),
        2 => row.tokens = bytes.several(Bytes::number),
        3 => row.logprobs = row.tokens.iter().map(|_| bytes.price() as f32).collect(),
        4 => {
            row.tokens.iter_mut().for_each(|token| *token = bytes.number());
        }
        _ => {
            let more = bytes.several(Bytes::number);
            row.logprobs.extend(more.iter().map(|_| -1.0));
            row.tokens.extend(more);
        }
    }
}

fn plan(bytes: &mut Bytes<'_>) -> Plan {
    Plan {
        candidates: bytes.several(Bytes::number),
        chunk_len: bytes.number(),
        source: if bytes.flag() { Source::Expand(bytes.number()) } else { Source::Sample },
        pricing: if bytes.flag() { Pricing::OnDemand } else { Pricing::All },
        task_cost: bytes.flag(),
        estimate: bytes.flag(),
        retry_candidates: bytes.flag().then(|| bytes.number()),
        keep: bytes.flag().then(|| bytes.number()),
        unknown_options: Vec::new(),
    }
}

fn decision(bytes: &mut Bytes<'_>) -> Decision {
    match bytes.byte() % 5 {
        0 => Decision::Keep(bytes.several(Bytes::number)),
        1 => Decision::Price(bytes.several(Bytes::number)),
        2 => Decision::Retry(Retry { penalty: bytes.price() as f32, max_mass: bytes.price() as f32 }),
        3 => Decision::Answer(bytes.number()),
        _ => Decision::Exhausted,
    }
}

fn state(bytes: &mut Bytes<'_>) -> BudgetState {
    BudgetState { z: bytes.price(), memory: bytes.several(Bytes::price) }
}

/// With a trace of the right length, or of any.
fn advanced(bytes: &mut Bytes<'_>, length: Option<usize>) -> Advanced {
    let trace = match length {
        Some(length) => (0..length).map(|_| bytes.price()).collect(),
        None => bytes.several(Bytes::price),
    };
    Advanced { state: state(bytes), safe: bytes.flag(), trace }
}

/// What an answer claims, against its own report and against the script.
fn check(player: &Player, outcome: &Outcome, lies: bool) {
    assert!(outcome.tokens.len() <= ANSWER as usize);
    if outcome.status != Status::WithinBudget {
        return;
    }
    let (report, priced) = (&outcome.constraints[0], &player.config.constraints[0]);
    let cost = if priced.constraint.mode == ConstraintMode::Anytime { report.max_cost } else { report.cost };
    assert!(cost < report.budget, "within budget, says the status: {report:?}");
    if !lies && priced.granularity != Granularity::Chunk {
        let spent = spent(player, outcome);
        assert!(spent < report.budget, "within budget, say all prices, which sum to {spent}: {report:?}");
    }
}

/// S from its definition.
fn spent(player: &Player, outcome: &Outcome) -> f64 {
    let (priced, mut costs) = (&player.config.constraints[0], prices(player, outcome));
    if priced.granularity == Granularity::Terminal {
        let total = costs.iter().sum();
        costs.fill(0.0);
        costs.last_mut().into_iter().for_each(|last| *last = total);
    }
    let (mut sum, mut most, mut discount) = (0.0_f64, 0.0_f64, 1.0);
    for cost in costs {
        sum += discount * clipped(&priced.constraint.clip, cost);
        sum = if priced.constraint.clip == CostClip::Capped { sum.max(0.0) } else { sum };
        most = most.max(sum);
        discount *= priced.constraint.gamma;
    }
    if priced.constraint.mode == ConstraintMode::Anytime { most } else { sum }
}

fn clipped(clip: &CostClip, cost: f64) -> f64 {
    if *clip == CostClip::Nonneg { cost.max(0.0) } else { cost }
}

fn prices(player: &Player, outcome: &Outcome) -> Vec<f64> {
    let mut model = player.script.score("cost").expect("the cost's model");
    let id = model.open("ask", player.script.model().tokenizer()).expect("an open row");
    let row = ScoreRow { id, tokens: outcome.tokens.clone(), ended: true };
    let scored = model.extend(&[row]).expect("scores").remove(0);
    scored.tokens.iter().map(|score| f64::from(*score)).collect()
}

/// Searches in which all behave, one in which nobody does, and one whose rows are lost now and then.
pub fn seeds() -> Vec<Vec<u8>> {
    let well =
        [[3, 1, 3, 1, 0, 200, 0, 0, 1, 0, 0, 1, 0, 7].to_vec(), [7, 2, 1, 0, 1, 90, 1, 2, 0, 1, 1, 0, 1, 9].to_vec()];
    let wild = (0..=255).map(|byte: u8| byte.wrapping_mul(37)).collect();
    // Most bytes let a role or a row behave.
    let losing =
        (0..=255).map(|byte: u8| if byte.is_multiple_of(5) { byte.wrapping_mul(29) | WELL } else { byte % WELL });
    let losing = well[0].iter().copied().chain(losing).collect();
    well.into_iter().chain([wild, losing]).collect()
}
