//! Table 2 of the paper (arXiv 2502.01208, version 1), printed beside our rows, and what we had to reconstruct.

use crate::Row;
use serde::Serialize;

/// A row of the paper's Table 2.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PaperRow {
    /// The paper's base model.
    pub model: &'static str,
    /// The method, by our name.
    pub method: &'static str,
    /// N, where the paper has one.
    pub n: Option<u32>,
    /// λ, where the paper prints it.
    pub lambda: Option<u32>,
    /// Average reward.
    pub reward: f64,
    /// Its standard deviation.
    pub deviation: f64,
    /// Average cost: the cost model's score of the answer.
    pub cost: f64,
    /// Safety rate in percent.
    pub safety: f64,
    /// Seconds per prompt.
    pub seconds: f64,
}

/// The two base models, as the recipes call them.
pub const MODELS: [&str; 2] = ["Alpaca-7B", "Beaver-7B-v3"];

type Numbers = (f64, f64, f64, f64, f64);

const fn row(
    model: usize,
    method: &'static str,
    n: u32,
    lambda: u32,
    (reward, deviation, cost, safety, seconds): Numbers,
) -> PaperRow {
    let n = if n == 0 { None } else { Some(n) };
    let lambda = if lambda == 0 { None } else { Some(lambda) };
    PaperRow { model: MODELS[model], method, n, lambda, reward, deviation, cost, safety, seconds }
}

/// All rows, in the paper's order. The paper prints no λ for Beaver's Best-of-N.
pub const TABLE_2: [PaperRow; 34] = [
    row(0, "base", 0, 0, (6.15, 1.51, 1.33, 29.47, 1.1)),
    row(0, "re-control", 0, 0, (6.2, 1.56, 1.33, 29.5, 1.7)),
    row(0, "re-control+lagrangian", 0, 0, (6.19, 1.50, 1.33, 29.7, 2.0)),
    row(0, "best-of-n+lagrangian", 100, 5, (5.35, 1.62, -0.46, 48.22, 29.0)),
    row(0, "best-of-n+lagrangian", 200, 5, (5.25, 1.64, -0.72, 54.2, 58.0)),
    row(0, "best-of-n+lagrangian", 500, 5, (6.04, 1.85, -1.27, 52.17, 145.0)),
    row(0, "best-of-n+lagrangian", 500, 10, (5.51, 1.66, -1.44, 54.01, 145.0)),
    row(0, "best-of-n+augmented", 200, 0, (7.51, 1.89, 0.67, 60.07, 58.0)),
    row(0, "best-of-n+augmented", 500, 0, (7.78, 2.09, 0.42, 65.74, 145.0)),
    row(0, "beam+lagrangian", 128, 5, (6.58, 1.95, -1.02, 50.19, 32.0)),
    row(0, "beam+lagrangian", 256, 5, (6.69, 2.08, -1.28, 52.43, 60.0)),
    row(0, "beam+augmented", 128, 0, (8.29, 2.02, 0.64, 58.89, 39.0)),
    row(0, "beam+augmented", 256, 0, (8.69, 2.15, 0.55, 61.79, 82.0)),
    row(0, "args", 0, 0, (6.74, 1.70, 1.47, 28.19, 82.0)),
    row(0, "args+lagrangian", 0, 0, (3.21, 1.59, -0.85, 75.8, 111.0)),
    row(0, "args+cost", 0, 0, (0.19, 1.65, -2.21, 81.6, 78.0)),
    row(0, "inference-guard", 128, 0, (7.08, 2.49, -0.63, 88.14, 65.0)),
    row(0, "inference-guard+critic", 128, 0, (6.81, 2.7, -1.01, 91.04, 71.0)),
    row(1, "base", 0, 0, (5.83, 1.62, -2.89, 75.89, 1.2)),
    row(1, "re-control", 0, 0, (5.9, 1.56, -2.90, 75.9, 2.0)),
    row(1, "re-control+lagrangian", 0, 0, (5.91, 1.50, -2.91, 75.9, 2.6)),
    row(1, "best-of-n+lagrangian", 100, 0, (6.52, 1.88, -3.63, 85.7, 40.0)),
    row(1, "best-of-n+lagrangian", 200, 0, (6.61, 1.89, -3.62, 85.8, 58.0)),
    row(1, "best-of-n+augmented", 100, 0, (8.55, 1.58, -2.96, 97.23, 40.0)),
    row(1, "best-of-n+augmented", 200, 0, (9.01, 1.63, -2.98, 97.76, 58.0)),
    row(1, "beam+lagrangian", 64, 5, (8.33, 1.79, -4.09, 87.08, 36.0)),
    row(1, "beam+lagrangian", 128, 5, (8.63, 1.80, -4.21, 87.35, 64.0)),
    row(1, "beam+augmented", 64, 0, (9.84, 1.4, -2.93, 95.38, 22.0)),
    row(1, "beam+augmented", 128, 0, (10.31, 1.37, -2.94, 97.36, 39.0)),
    row(1, "args", 0, 0, (6.72, 1.83, -2.59, 78.5, 94.0)),
    row(1, "args+lagrangian", 0, 0, (2.26, 1.56, -1.64, 81.0, 127.0)),
    row(1, "args+cost", 0, 0, (0.01, 1.37, -3.27, 98.4, 90.0)),
    row(1, "inference-guard", 128, 0, (10.26, 1.42, -2.96, 99.7, 39.0)),
    row(1, "inference-guard+critic", 128, 0, (10.27, 1.50, -2.94, 100.0, 39.0)),
];

/// The paper's row with the same model, method, N and λ.
#[must_use]
pub fn counterpart(model: &str, row: &Row) -> Option<&'static PaperRow> {
    let fits = |paper: &&PaperRow| {
        let lambda = paper.lambda.is_none() || paper.lambda.map(f64::from) == row.lambda;
        paper.model == model && paper.method == row.method && (paper.n.is_none() || paper.n == row.n) && lambda
    };
    TABLE_2.iter().find(fits)
}

/// Which parts of a method are not in the text that we could read, and were recalled or inferred; `None` if there are none.
#[must_use]
pub fn reconstruction(method: &str) -> Option<&'static str> {
    let (base, variant) = method.split_once('+').unwrap_or((method, ""));
    match (base, variant) {
        ("best-of-n", "lagrangian") => Some("ranking by reward less λ times cost is recalled, not read"),
        ("best-of-n", "augmented") => Some("what is emitted when no answer is within budget is inferred"),
        ("beam", "") => Some("the loop is inferred from the code the authors probably started from"),
        ("beam", "lagrangian") => Some("the loop is inferred, ranking by reward less λ times cost is recalled"),
        ("beam", "augmented") => Some("the loop, and what is emitted when no beam is within budget, are inferred"),
        ("args", "lagrangian" | "cost") => Some("how the cost enters the token's score is inferred, and so is λ"),
        ("re-control", "") => Some(
            "the value network learns the reward of the finished answer at every position, not differences of neighbours; its \
             size is that of the bundle's",
        ),
        ("re-control", "lagrangian") => {
            Some("as RE-Control, and how the cost enters the value network's target is inferred")
        }
        ("value-filtered-decoding", _) => Some(
            "how the paper draws is inferred; it samples among all tokens that pass, and this takes the safest of k",
        ),
        ("dynamic-abstention", _) => {
            Some("known by its description; what its value reads, and its threshold, are ours")
        }
        ("inference-guard", "") => {
            Some("the retry's penalty, how M counts, and what is emitted when retries run out are recalled or inferred")
        }
        ("inference-guard", _) => Some(
            "as without critic; the critic's inputs, size and training are recalled or inferred in part; on the last try \
                 beams that it doubts are priced too, and forecasts are compared with finished answers' own costs without γ^T",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_find_their_counterparts() {
        let row = |method: &str, n, lambda| Row { method: method.into(), n, lambda, ..Row::default() };
        let safety = |model, row: &Row| counterpart(model, row).map(|paper| paper.safety);
        assert_eq!(safety(MODELS[0], &row("base", None, None)), Some(29.47));
        assert_eq!(safety(MODELS[0], &row("best-of-n+lagrangian", Some(500), Some(10.0))), Some(54.01));
        assert_eq!(safety(MODELS[0], &row("best-of-n+lagrangian", Some(500), Some(5.0))), Some(52.17));
        assert_eq!(safety(MODELS[0], &row("best-of-n+lagrangian", Some(64), Some(5.0))), None);
        assert_eq!(
            safety(MODELS[1], &row("best-of-n+lagrangian", Some(100), Some(5.0))),
            Some(85.7),
            "no λ is printed"
        );
        assert_eq!(safety(MODELS[1], &row("args", Some(20), None)), Some(78.5));
        assert_eq!(safety(MODELS[1], &row("inference-guard+critic", Some(128), None)), Some(100.0));
        assert_eq!(safety("Vicuna-7B", &row("base", None, None)), None);
    }

    #[test]
    fn the_table_is_the_papers() {
        let of = |model: &str| TABLE_2.iter().filter(|row| row.model == model).collect::<Vec<_>>();
        assert_eq!((of(MODELS[0]).len(), of(MODELS[1]).len()), (18, 16));
        // Sums of the columns, added up by hand from the paper, so that no digit changes unseen.
        let sum = |model: &str, column: fn(&PaperRow) -> f64| of(model).into_iter().map(column).sum::<f64>();
        assert!((sum(MODELS[0], |row| row.safety) - 1011.15).abs() < 1e-6, "{}", sum(MODELS[0], |row| row.safety));
        assert!((sum(MODELS[1], |row| row.safety) - 1418.95).abs() < 1e-6, "{}", sum(MODELS[1], |row| row.safety));
        assert!((sum(MODELS[0], |row| row.reward) - 110.26).abs() < 1e-6, "{}", sum(MODELS[0], |row| row.reward));
        assert!((sum(MODELS[1], |row| row.cost) - -49.46).abs() < 1e-6, "{}", sum(MODELS[1], |row| row.cost));
    }

    #[test]
    fn what_was_read_in_full_is_no_reconstruction() {
        for method in ["base", "best-of-n", "args", "always-refuse"] {
            assert_eq!(reconstruction(method), None, "{method}");
        }
        // Its loss and its network are not those of the code that was read.
        assert!(reconstruction("re-control").is_some_and(|text| text.contains("not differences of neighbours")));
        assert!(TABLE_2.iter().filter(|row| row.method.contains('+')).all(|row| reconstruction(row.method).is_some()));
    }
}
