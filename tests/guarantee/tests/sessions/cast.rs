//! Where first-party components run: on this machine, or in the sandbox.

use crate::native::Native;
use inferenceguard_guest::{self as guest, Setting, Setup, Value};
use inferenceguard_search::{Cost, Policy, Tracker};

/// A component's settings, by name.
pub(crate) type Settings<'a> = [(&'a str, Value)];

/// Plays components, by the names of their packages.
pub(crate) trait Cast: Send + Sync {
    fn policy(&self, component: &str, settings: &Settings<'_>) -> Box<dyn Policy>;
    fn tracker(&self, component: &str) -> Box<dyn Tracker>;
    fn cost(&self, component: &str, settings: &Settings<'_>) -> Box<dyn Cost>;
}

/// Compiled for this machine.
pub(crate) struct OnThisMachine;

impl Cast for OnThisMachine {
    fn policy(&self, component: &str, settings: &Settings<'_>) -> Box<dyn Policy> {
        match component {
            "base" => policy::<base::Base>(settings),
            "best-of-n" => policy::<best_of_n::BestOfN>(settings),
            "beam-search" => policy::<beam_search::BeamSearch>(settings),
            "inference-guard" => policy::<inference_guard::InferenceGuard>(settings),
            "value-filtered-decoding" => policy::<value_filtered_decoding::ValueFilteredDecoding>(settings),
            "dynamic-abstention" => policy::<dynamic_abstention::DynamicAbstention>(settings),
            other => unknown(other),
        }
    }

    fn tracker(&self, component: &str) -> Box<dyn Tracker> {
        match component {
            "safety-budget" => Box::new(Native::new(safety_budget::SafetyBudget)),
            other => unknown(other),
        }
    }

    fn cost(&self, component: &str, settings: &Settings<'_>) -> Box<dyn Cost> {
        match component {
            "score-cost" => cost::<score_cost::ScoreCost>(settings),
            "keyword-cost" => cost::<keyword_cost::KeywordCost>(settings),
            other => unknown(other),
        }
    }
}

/// The settings that the policy `component` takes.
pub(crate) fn settings_of(component: &str) -> Vec<Setting> {
    match component {
        "base" => base::Base::describe().settings,
        "best-of-n" => best_of_n::BestOfN::describe().settings,
        "beam-search" => beam_search::BeamSearch::describe().settings,
        "inference-guard" => inference_guard::InferenceGuard::describe().settings,
        "value-filtered-decoding" => value_filtered_decoding::ValueFilteredDecoding::describe().settings,
        "dynamic-abstention" => dynamic_abstention::DynamicAbstention::describe().settings,
        other => unknown(other),
    }
}

fn unknown(component: &str) -> ! {
    panic!("`{component}` is not played yet: name its type in this file")
}

fn policy<R: guest::Policy + Send + 'static>(settings: &Settings<'_>) -> Box<dyn Policy> {
    Box::new(Native::new(R::with_settings(settings).expect("settings in range")))
}

fn cost<R: guest::Cost + Send + 'static>(settings: &Settings<'_>) -> Box<dyn Cost> {
    Box::new(Native::new(R::with_settings(settings).expect("settings in range")))
}
