//! An output in words: its status, and the budget as it was spent.

use crate::escape;
use inferenceguard_host::{Output, Progress};
use inferenceguard_search::{ConstraintReport, Finish, RepeatsFrom, Status};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm, core::display_width};

/// Blocks of a budget's bar: from nothing left to all of it.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Stands where the budget is exceeded.
const OVER: char = '✗';
const BAR: usize = 30;
/// Two of them, with a line between, fit every terminal.
const COLUMN: usize = 38;
/// The smallest shown difference between the sum of an answer priced in pieces and in one piece, as a share of 1 + budget.
const WHOLE: f64 = 1e-6;

/// Everything but the text, one line each.
#[must_use]
pub fn summary(output: &Output) -> String {
    let tokens = output.usage.completion_tokens;
    let mut lines = vec![
        format!(
            "status  {}{tokens} tokens, {:.2} s)",
            ending(output.status, output.finish, " (", ", "),
            output.seconds
        ),
        format!("method  {}, seed {}, {} tokens sampled", output.method, output.seed, output.usage.sampled_tokens),
    ];
    lines.extend(repeats(&output.ran.engine, output.ran.repeats_from).map(|line| format!("engine  {line}")));
    lines.extend(spent(output).iter().flat_map(budget));
    lines.extend(output.reward.map(|reward| format!("reward  {reward:.2}")));
    let lost = output.usage.lost_rows;
    lines
        .extend((lost > 0).then(|| format!("lost    {lost} candidates that the language model did not grow as asked")));
    lines.extend(output.failures.iter().map(|failure| format!("failed  {failure}")));
    escape::lines(lines)
}

/// How safe an answer is, and its budgets, for a reader who has seen others.
#[must_use]
pub fn brief(output: &Output) -> String {
    let (tokens, sampled) = (output.usage.completion_tokens, output.usage.sampled_tokens);
    let (ending, seconds) = (ending(output.status, output.finish, "; ", "; "), output.seconds);
    let mut lines = vec![format!("[{ending}{tokens} tokens of {sampled} sampled; {seconds:.2} s]")];
    lines.extend(spent(output).iter().map(|one| {
        let left = left(one.budget - one.max_cost, one.budget);
        format!("[{} {} {left}]", one.name, bar(&one.z, one.budget, BAR))
    }));
    lines.extend(output.failures.iter().map(|failure| format!("[failed: {failure}]")));
    escape::lines(lines)
}

/// Where a running request stands: its safe candidates, the retry, and the budget that the best one has left.
#[must_use]
pub fn progress(progress: &Progress) -> String {
    let left = progress.best.as_ref().and_then(|best| best.margins.iter().copied().reduce(f64::min));
    let left = left.map(|left| format!(", budget left {left:.2}")).unwrap_or_default();
    let attempt = if progress.attempt > 0 { format!(", retry {}", progress.attempt) } else { String::new() };
    format!("{} of {} safe{attempt}{left}", progress.safe, progress.candidates)
}

/// What is left of a budget, or how much more was spent.
pub(crate) fn left(left: f64, budget: f64) -> String {
    match left >= 0.0 {
        true => format!("{left:.2} of {} left", amount(budget)),
        false => format!("{:.2} more than the budget of {}", -left, amount(budget)),
    }
}

/// A budget as its bundle has it, or where that has many digits, four that count.
pub(crate) fn amount(budget: f64) -> String {
    let text = budget.to_string();
    if text.len() <= 8 || budget == 0.0 || !budget.is_finite() {
        return text;
    }
    let decimals = 3 - budget.abs().log10().floor() as i32;
    format!("{budget:.*}", usize::try_from(decimals).unwrap_or(0))
}

/// The engine, where the same seed does not give the same answer on it.
pub(crate) fn repeats(engine: &str, from: RepeatsFrom) -> Option<String> {
    (!from.is_seed())
        .then(|| format!("{engine}: it may draw other tokens for the same seed; this run repeats from its record"))
}

fn budget(constraint: &ConstraintReport) -> [String; 2] {
    let ConstraintReport { name, budget, cost, max_cost, z, whole } = constraint;
    let whole = whole.filter(|whole| (whole - cost).abs() > WHOLE * (1.0 + budget));
    let whole = whole.map_or(String::new(), |whole| format!("; {whole:.2} when priced in one piece"));
    let peak = if max_cost - cost < 0.005 { String::new() } else { format!(", {max_cost:.2} on the way,") };
    [
        format!("budget  {name}: spent {cost:.2}{peak} of {}{whole}", amount(*budget)),
        format!("        {}", bar(z, *budget, BAR)),
    ]
}

/// A status in words. That of a cancelled answer says nothing: the search did not end.
#[must_use]
pub fn status(status: Status, finish: Finish) -> &'static str {
    match (finish, status) {
        (Finish::Cancelled, _) => "cancelled: no answer was decided on",
        (_, Status::WithinBudget) => "within budget",
        (_, Status::BudgetExceeded) => "budget exceeded",
        (_, Status::NoSafeCandidate) => "no safe candidate: refused",
        (_, Status::Failed) => "failed: something did not work, and no answer was emitted",
        (_, Status::Unguarded) => "unguarded: the bundle has no constraints",
    }
}

/// How an answer ended, in words; none where its status says so already.
#[must_use]
pub fn finish(finish: Finish) -> Option<&'static str> {
    match finish {
        Finish::Eos => Some("ended by the model"),
        Finish::Stop => Some("ended by a stop text"),
        Finish::Length => Some("ended by length"),
        Finish::Refused | Finish::Failed | Finish::Cancelled => None,
    }
}

/// The status and the end of an answer, each with what follows it.
fn ending(how: Status, end: Finish, after_status: &str, after_end: &str) -> String {
    let (words, end) = (status(how, end), finish(end).map(|end| format!("{end}{after_end}")).unwrap_or_default());
    format!("{words}{after_status}{end}")
}

/// What was spent of each budget; nothing where no answer was decided on: what the text cost that went out before is not known.
fn spent(output: &Output) -> &[ConstraintReport] {
    if is_decided(output.finish) { &output.constraints } else { &[] }
}

/// Whether an answer came, and with it its costs: a refusal, a failure and a cancelled answer have none.
fn is_decided(finish: Finish) -> bool {
    match finish {
        Finish::Eos | Finish::Stop | Finish::Length => true,
        Finish::Refused | Finish::Failed | Finish::Cancelled => false,
    }
}

/// The rest of the budget along the answer, as at most `width` blocks. Each block shows the least value of its stretch, so that
/// no low point is hidden.
#[must_use]
pub fn bar(z: &[f64], budget: f64, width: usize) -> String {
    let stretch = z.len().div_ceil(width).max(1);
    // NaN counts as the least value.
    let smaller = |a: f64, b: f64| if a.is_nan() || a < b { a } else { b };
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, smaller);
    z.chunks(stretch).map(|values| block(least(values), budget)).collect()
}

fn block(left: f64, budget: f64) -> char {
    // Also for NaN.
    if left.is_nan() || left <= 0.0 {
        return OVER;
    }
    let step = (left / budget * BLOCKS.len() as f64) as usize;
    BLOCKS[step.min(BLOCKS.len() - 1)]
}

/// Two outputs in two columns, and the figures of both below.
#[must_use]
pub fn side_by_side(left: &Output, right: &Output) -> String {
    let column = |output: &Output| {
        let mut lines = vec![output.method.to_uppercase(), String::new()];
        lines.extend(wrap(&output.text, COLUMN));
        lines.push(String::new());
        lines.extend(summary(output).lines().flat_map(|line| wrap(line, COLUMN)));
        lines
    };
    let (left, right) = (column(left), column(right));
    let rows = left.len().max(right.len());
    let cell = |column: &[String], row: usize| column.get(row).cloned().unwrap_or_default();
    let line = |row| {
        let left = cell(&left, row);
        let gap = " ".repeat(COLUMN.saturating_sub(display_width(&left)));
        format!("{left}{gap} │ {}", cell(&right, row)).trim_end().to_owned()
    };
    (0..rows).map(line).collect::<Vec<_>>().join("\n")
}

/// Breaks lines at spaces; a word that is wider than the width stands alone. Widths are columns of a terminal.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let options = Options::new(width)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    text.lines().flat_map(|line| textwrap::wrap(line, &options)).map(|line| line.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_host::{BundleIdentity, EngineRun, Models, Profile};
    use inferenceguard_search::{Origin, Outcome, Usage};

    /// An output that ended like this, and spent nothing of its budget.
    fn output(status: Status, finish: Finish) -> Output {
        let (name, budget, z) = ("harm".to_owned(), 10.0, vec![10.0; 2]);
        let outcome = Outcome {
            text: String::new(),
            tokens: vec![1],
            logprobs: vec![0.0],
            status,
            finish,
            constraints: vec![ConstraintReport { name, budget, cost: 0.0, max_cost: 0.0, z, whole: None }],
            task_cost: None,
            logprob: 0.0,
            usage: Usage::default(),
            failures: Vec::new(),
        };
        let origin = Origin {
            bundle: BundleIdentity::default(),
            generations: Vec::new(),
            migrations: Vec::new(),
            lane: None,
            models: Models::default(),
            ran: EngineRun::default(),
            method: "base".to_owned(),
            seed: 0,
            seconds: 0.0,
            profile: Profile::default(),
            trace: None,
            inputs: None,
            notes: Vec::new(),
            top_logprobs: Vec::new(),
            refusal: String::new(),
        };
        Output::new(outcome, origin)
    }

    #[test]
    fn a_bar_shows_the_least_of_each_stretch() {
        assert_eq!(bar(&[10.0, 5.0, 0.1, -1.0], 10.0, 8), "█▅▁✗");
        assert_eq!(bar(&[10.0, 1.0, 10.0, 10.0], 10.0, 2), "▁█");
        assert_eq!(bar(&[12.0, f64::NAN], 10.0, 2), "█✗");
        assert_eq!(bar(&[], 10.0, 4), "");
    }

    #[test]
    fn a_cancelled_answer_is_no_refusal() {
        assert!(status(Status::NoSafeCandidate, Finish::Refused).contains("refused"));
        assert!(status(Status::NoSafeCandidate, Finish::Cancelled).starts_with("cancelled"));
    }

    #[test]
    fn a_failure_and_a_cancelled_answer_show_no_budget_that_was_kept() {
        for decided in [Finish::Eos, Finish::Stop, Finish::Length] {
            assert!(is_decided(decided), "{decided:?}");
            let output = output(Status::WithinBudget, decided);
            let (long, short) = (summary(&output), brief(&output));
            assert!(long.contains("\nbudget  harm: spent 0.00 of 10\n"), "{long}");
            assert!(short.contains("\n[harm ██ 10.00 of 10 left]"), "{short}");
        }
        for (status, other) in [
            (Status::NoSafeCandidate, Finish::Refused),
            (Status::Failed, Finish::Failed),
            (Status::NoSafeCandidate, Finish::Cancelled),
        ] {
            assert!(!is_decided(other), "{other:?}");
            let output = output(status, other);
            for shown in [summary(&output), brief(&output), side_by_side(&output, &output)] {
                assert!(!shown.contains("harm") && !shown.contains('█'), "{other:?}: {shown}");
                let ending = super::status(status, other).split(':').next().unwrap_or_default();
                assert!(shown.contains(ending), "{other:?}: {shown}");
            }
        }
    }

    #[test]
    fn a_refusal_is_named_once() {
        assert_eq!(ending(Status::NoSafeCandidate, Finish::Refused, " (", ", "), "no safe candidate: refused (");
        let within = ending(Status::WithinBudget, Finish::Eos, " (", ", ");
        assert_eq!(within, "within budget (ended by the model, ");
    }

    #[test]
    fn beyond_a_budget_nothing_is_left_of_it() {
        assert_eq!(left(2.5, 10.0), "2.50 of 10 left");
        assert_eq!(left(-199.0, 10.0), "199.00 more than the budget of 10");
        assert_eq!(left(0.05, 0.592_726_321_224_047_1), "0.05 of 0.5927 left");
        let shown = [4.5, 0.0001, 1_234_567.891, 0.000_012_345_678].map(amount);
        assert_eq!(shown, ["4.5", "0.0001", "1234568", "0.00001235"]);
    }

    #[test]
    fn an_engine_that_does_not_repeat_from_a_seed_is_named() {
        assert_eq!(repeats("candle", RepeatsFrom::Seed), None);
        let line = repeats("vllm 0.32.0", RepeatsFrom::Record).unwrap();
        assert!(line.contains("vllm 0.32.0") && line.contains("repeats from its record"), "{line}");
    }

    #[test]
    fn lines_break_at_spaces_and_lose_nothing() {
        let text = "one two three fourteen\n\nfive";
        assert_eq!(wrap(text, 9), ["one two", "three", "fourteen", "", "five"]);
        assert_eq!(wrap("incomprehensibilities a", 5), ["incomprehensibilities", "a"]);
    }
}
