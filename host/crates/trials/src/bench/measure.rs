//! Times the requests of one row.

use super::{BenchOptions, models::MeasuredModels};
use crate::TrialError;
use inferenceguard_candle::{Demand, Roofline};
use inferenceguard_host::{CancelToken, Engine, Event, Output, Profile, Request};
use inferenceguard_model::lock;
use inferenceguard_search::{Release, Status, Usage};
use serde::Serialize;
use std::{
    fs,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

/// Answer tokens of the request that warms up.
const WARM: u32 = 4;

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The method.
    pub method: String,
    /// Its number of candidates.
    pub n: u32,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Requests at the same time.
    pub concurrency: usize,
    /// How many requests were measured.
    pub requests: usize,
    /// Seconds of the median request.
    pub seconds_per_prompt: f64,
    /// Answer tokens of all requests, over the time that all took together.
    pub tokens_per_second: f64,
    /// The median time to the first text that all live beams agree on.
    pub first_text_seconds: f64,
    /// The most memory of the process during the requests, where the system reports it.
    pub peak_bytes: Option<u64>,
    /// The least seconds per prompt that memory and arithmetic allow, with the rows of all requests in the same passes.
    pub bound_seconds: f64,
    /// Where the time of the median request went.
    pub profile: Profile,
    /// What the median request used.
    pub usage: Usage,
}

struct Timed {
    seconds: f64,
    first: f64,
    output: Output,
}

/// One row to measure.
pub(super) struct Case<'a> {
    pub(super) method: &'a str,
    pub(super) n: u32,
    pub(super) prompt_tokens: usize,
    pub(super) concurrency: usize,
    pub(super) options: &'a BenchOptions,
}

impl Case<'_> {
    /// Measures it.
    pub(super) fn run(&self, models: &MeasuredModels, roofline: &Roofline) -> Result<Row, TrialError> {
        let engine = models.engine(self.options, self.method, self.n, self.concurrency)?;
        let (prompt, prompt_tokens) = models.prompt(self.prompt_tokens)?;
        self.warm_up(&engine, &prompt)?;
        forget_peak();
        let start = Instant::now();
        let mut timed = self.requests(&engine, &prompt)?;
        let all = start.elapsed().as_secs_f64();
        timed.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let tokens: u64 = timed.iter().map(|one| one.output.usage.completion_tokens).sum();
        let requests = timed.len();
        let (seconds, first) = (median(&timed, |one| one.seconds), median(&timed, |one| one.first));
        let middle = timed.swap_remove((requests - 1) / 2);
        Ok(Row {
            method: self.method.to_owned(),
            n: self.n,
            prompt_tokens,
            concurrency: self.concurrency,
            requests,
            seconds_per_prompt: seconds,
            tokens_per_second: tokens as f64 / all,
            first_text_seconds: first,
            peak_bytes: peak(),
            bound_seconds: self.bound(models, roofline, &middle.output),
            profile: middle.output.profile,
            usage: middle.output.usage,
        })
    }

    /// Asks for a short answer, and for a whole one if that takes little time: pools grow, caches fill.
    fn warm_up(&self, engine: &Engine, prompt: &str) -> Result<(), TrialError> {
        let short = Some(WARM.min(self.options.depth));
        let took = time(engine, Request { max_tokens: short, ..Request::new(prompt) })?.seconds;
        if took * f64::from(self.options.depth / WARM) < self.options.seconds {
            time(engine, Request::new(prompt))?;
        }
        Ok(())
    }

    /// Sends requests from every client until the time is over: at least two each, unless that takes three times as long.
    fn requests(&self, engine: &Engine, prompt: &str) -> Result<Vec<Timed>, TrialError> {
        let (start, timed, failed) = (Instant::now(), Mutex::new(Vec::new()), Mutex::new(None));
        let least = Duration::from_secs_f64(self.options.seconds.max(0.0));
        let more = |done: u64| {
            let spent = start.elapsed();
            done == 0 || spent < least || (done < 2 && spent < 3 * least)
        };
        let client = |client: usize| {
            for done in (0..).take_while(|done| more(*done)) {
                let seed = Some((client as u64) << 32 | done);
                match time(engine, Request { seed, ..Request::new(prompt) }) {
                    Ok(one) => lock(&timed).push(one),
                    Err(error) => return *lock(&failed) = Some(error),
                }
            }
        };
        thread::scope(|scope| {
            for number in 0..self.concurrency {
                scope.spawn(move || client(number));
            }
        });
        let failed = lock(&failed).take();
        failed.map_or_else(|| Ok(std::mem::take(&mut *lock(&timed))), Err)
    }

    /// The lower bound of seconds per prompt. Requests at the same time read the weights together, in the language model and in
    /// each score model.
    fn bound(&self, models: &MeasuredModels, roofline: &Roofline, output: &Output) -> f64 {
        let (usage, profile, requests) = (&output.usage, &output.profile, self.concurrency as f64);
        let passes = |bytes: u64, flops: u64, passes: u64, positions: f64| {
            let passes = passes.max(1) as f64;
            passes * roofline.seconds(bytes as f64, flops as f64 * positions * requests / passes)
        };
        let (prompt, steps) = (usage.prompt_tokens as f64, profile.steps);
        let body = |demand: &Demand, steps, positions| passes(demand.body_bytes, demand.body_flops, steps, positions);
        let language = &models.demand;
        let stepped = profile.positions as f64;
        let heads = passes(language.head_bytes, language.head_flops, steps + 1, stepped + 1.0);
        let scored = usage.scored_positions as f64 / models.scoring.len().max(1) as f64;
        let scoring = models.scoring.iter().filter(|_| scored > 0.0).map(|demand| body(demand, 1, prompt + scored));
        body(language, 1, prompt) + body(language, steps, stepped) + heads + scoring.sum::<f64>()
    }
}

/// The median of a number of each request.
fn median(timed: &[Timed], of: impl Fn(&Timed) -> f64) -> f64 {
    let mut values: Vec<f64> = timed.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    f64::midpoint(at(values.len().saturating_sub(1) / 2), at(values.len() / 2))
}

fn time(engine: &Engine, request: Request) -> Result<Timed, TrialError> {
    let (start, mut first) = (Instant::now(), None);
    let request = Request { release: Some(Release::Agreement), ..request };
    let output = engine.stream(request, &CancelToken::new(), |event| {
        if matches!(event, Event::Released { .. }) {
            first.get_or_insert_with(|| start.elapsed().as_secs_f64());
        }
    })?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(Timed { seconds, first: first.unwrap_or(seconds), output: answered(output)? })
}

/// The output, if it is an answer.
fn answered(output: Output) -> Result<Output, TrialError> {
    let how = match output.status {
        Status::WithinBudget | Status::BudgetExceeded | Status::Unguarded => return Ok(output),
        Status::NoSafeCandidate => "was refused: nothing within the budget was found".to_owned(),
        Status::Failed => {
            let reasons: Vec<String> = output.failures.iter().map(ToString::to_string).collect();
            format!("failed: {}", reasons.join("; "))
        }
    };
    Err(TrialError::Unanswered { how })
}

/// Resets the peak of memory, where the system can.
fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_host::Roles;
    use inferenceguard_search::Needs;
    use inferenceguard_testkit::{roles::row_cost, toy};

    const DOOMED: &str = "vocab: <eos>* bad
context: 64
after : bad 1
score cost: bad 5
score reward cumulative: bad 3";

    /// A cost that gives no prices.
    fn failing() -> Roles {
        let mut roles = toy::roles();
        roles.costs.insert("harm".to_owned(), row_cost(Needs::default(), |_| Vec::new()));
        roles
    }

    #[test]
    fn the_time_of_a_request_counts_only_if_it_was_answered() {
        let ask = |engine: &Engine| time(engine, Request::new("bad"));
        let answered = ask(&toy::engine(toy::SCRIPT, 1000.0)).unwrap();
        assert!(answered.output.usage.completion_tokens > 0 && answered.seconds > 0.0);
        let refused = ask(&toy::engine(DOOMED, 4.0)).map(|_| ()).unwrap_err();
        assert!(matches!(&refused, TrialError::Unanswered { how } if how.starts_with("was refused")), "{refused}");
        let failed = ask(&toy::build(toy::SCRIPT, toy::config(4.0), failing).unwrap()).map(|_| ()).unwrap_err();
        let is_named = |how: &str| how.starts_with("failed: ") && how.contains("`harm`") && how.contains("0 prices");
        assert!(matches!(&failed, TrialError::Unanswered { how } if is_named(how)), "{failed}");
    }
}
