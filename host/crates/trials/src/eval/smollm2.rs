//! The rows and the demands of the recipe for a small public model, SmolLM2-135M-Instruct, with the bundle that the program
//! carries for it. The bundle's own settings hold: budgets, chunks, sampling, thresholds.

use super::plan::Wish;
use crate::TrialError;
use inferenceguard_eval::{Dataset, Intent};

/// The recipe's name.
pub(super) const NAME: &str = "smollm2";
/// The model's name in reports.
pub(super) const MODEL: &str = "SmolLM2-135M-Instruct";
/// Numbers of candidates, unless the options give one.
const NS: [u32; 2] = [8, 32];
/// The most harmful prompts that are also asked as attacks.
pub(super) const ATTACKED: usize = 40;

/// Methods that consider one candidate, or as many as the bundle says.
const SINGLE: [&str; 11] = [
    "always-refuse",
    "base",
    "re-control",
    "re-control+lagrangian",
    "args",
    "args+lagrangian",
    "args+cost",
    "value-filtered-decoding",
    "value-filtered-decoding+critic",
    "dynamic-abstention",
    "dynamic-abstention+critic",
];

/// Methods that are run with every number of candidates.
const MANY: [&str; 6] =
    ["best-of-n", "best-of-n+lagrangian", "beam", "beam+lagrangian", "inference-guard", "inference-guard+critic"];

/// Methods that rank by the reward, alone or less a multiple of the cost. Without a reward `args` fails, and the others rank by the
/// budget that is left, which is another method.
const BY_REWARD: [&str; 6] =
    ["best-of-n", "best-of-n+lagrangian", "beam", "beam+lagrangian", "args", "args+lagrangian"];

/// What a run without a judge shows, before its first question.
pub(super) const WITHOUT_JUDGE: &str = "WARNING: there is no judge, so harm is priced by the bundle's own cost, by which the \
                                        methods choose their answers; no row can show that a guard helps. Name one with --judge.";

/// Every row. `n` replaces both numbers of candidates.
pub(super) fn rows(n: Option<u32>) -> Vec<Wish> {
    let wish = |method: &str, n| Wish { method: method.to_owned(), n, lambda: None, budget: None };
    let ns = n.map_or_else(|| NS.to_vec(), |n| vec![n]);
    let many = MANY.into_iter().flat_map(|method| ns.iter().map(move |n| (method, Some(*n))));
    SINGLE.into_iter().map(|method| (method, None)).chain(many).map(|(method, n)| wish(method, n)).collect()
}

/// Why a row ranks nothing, if the bundle gives no reward.
pub(super) fn without_reward(method: &str, gives_reward: bool) -> Option<&'static str> {
    let idle = BY_REWARD.contains(&method) && !gives_reward;
    idle.then_some("the bundle has no `task`, and this method ranks answers by the reward that it gives")
}

/// Refuses prompts of one intent: harm is counted on harmful prompts, and refusals on benign ones.
///
/// # Errors
/// [`TrialError::RecipePrompts`].
pub(super) fn check(dataset: &Dataset) -> Result<(), TrialError> {
    let count = |intent| dataset.prompts.iter().filter(|prompt| prompt.intent == intent).count();
    let (harmful, benign) = (count(Intent::Harmful), count(Intent::Benign));
    if harmful > 0 && benign > 0 {
        return Ok(());
    }
    Err(TrialError::RecipePrompts { recipe: NAME, name: dataset.name.clone(), harmful, benign })
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_eval::Prompt;
    use inferenceguard_host::methods::Methods;

    #[test]
    fn every_row_is_a_method_and_no_row_comes_twice() {
        let all = rows(None);
        assert_eq!(all.len(), SINGLE.len() + 2 * MANY.len());
        let known = |wish: &Wish| wish.method == "always-refuse" || Methods::default().find(&wish.method).is_ok();
        assert!(all.iter().all(known));
        assert!(all.iter().enumerate().all(|(at, wish)| !all[..at].contains(wish)));
        let ns = |method: &str| all.iter().filter(|wish| wish.method == method).map(|wish| wish.n).collect::<Vec<_>>();
        assert_eq!(ns("inference-guard"), [Some(8), Some(32)]);
        assert_eq!(ns("dynamic-abstention"), [None]);
        assert_eq!(rows(Some(4)).len(), SINGLE.len() + MANY.len());
    }

    #[test]
    fn methods_that_rank_by_a_reward_need_one() {
        let known: Vec<String> = rows(None).into_iter().map(|wish| wish.method).collect();
        for method in BY_REWARD {
            assert!(without_reward(method, false).is_some() && without_reward(method, true).is_none(), "{method}");
            assert!(known.iter().any(|one| one == method), "{method}");
        }
        for method in ["always-refuse", "base", "inference-guard", "args+cost", "dynamic-abstention"] {
            assert_eq!(without_reward(method, false), None, "{method}");
        }
    }

    #[test]
    fn prompts_of_both_intents_are_needed() {
        let dataset = |intents: &[Intent]| {
            let prompt =
                |intent: &Intent| Prompt { id: 0, text: "How?".to_owned(), intent: *intent, topic: None, group: None };
            Dataset::new("p.jsonl", intents.iter().map(prompt).collect()).unwrap()
        };
        assert!(check(&dataset(&[Intent::Harmful, Intent::Benign, Intent::Unknown])).is_ok());
        for intents in [&[Intent::Harmful][..], &[Intent::Benign], &[Intent::Unknown]] {
            let refused = check(&dataset(intents)).unwrap_err().to_string();
            assert!(refused.contains("p.jsonl") && refused.contains("`intent`"), "{refused}");
        }
    }
}
