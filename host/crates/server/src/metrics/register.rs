//! The names, units and descriptions of all metrics.

use super::Metrics;
use prometheus_client::registry::Unit;

impl Metrics {
    pub(super) fn register_requests(mut self) -> Self {
        let r = &mut self.registry;
        r.register("requests", "Choices that were answered, refused, failed or cancelled", self.requests.clone());
        r.register("request_errors", "Requests and choices that ended with an error, by kind", self.errors.clone());
        let help = "Connections of all listeners that ended without a whole request, by kind";
        r.register("connection_errors", help, self.connection_errors.clone());
        r.register_with_unit("request", "From the request to its end", Unit::Seconds, self.seconds.clone());
        r.register_with_unit(
            "first_text",
            "From the request to its first text",
            Unit::Seconds,
            self.first_text.clone(),
        );
        r.register("tokens", "Tokens: prompt, completion, sampled, scored", self.tokens.clone());
        let help = "The rest of the budget, as a share of it; 0 if it was exceeded";
        r.register_with_unit("safety_budget_remaining", help, Unit::Ratios, self.remaining.clone());
        self
    }

    pub(super) fn register_policy(mut self) -> Self {
        let r = &mut self.registry;
        r.register("policy_failures", "Components that failed, by role and kind", self.failures.clone());
        r.register(
            "policy_swaps",
            "Attempts to change what decides, by kind: activate, canary, shadow, promote, roll_back, begin, layers",
            self.swaps.clone(),
        );
        r.register_with_unit("policy_swap", "Time of an activation", Unit::Seconds, self.swap_seconds.clone());
        r.register("shadow_answers", "Answers that the shadow judged, by its verdict", self.shadow.clone());
        r.register("judgements", "Texts of gateways, by face, part and status", self.judgements.clone());
        let help = "From a question of a gateway to its verdict";
        r.register_with_unit("judgement", help, Unit::Seconds, self.judgement_seconds.clone());
        r.register("policy_generation", "The active generation", self.generation.clone());
        r.register("policy_bundle_info", "The active bundle", self.bundle.clone());
        self
    }

    pub(super) fn register_models(mut self) -> Self {
        let r = &mut self.registry;
        r.register("model_info", "The models: the language model and the score models", self.models.clone());
        r.register_with_unit("queue", "Time in the queue before a request runs", Unit::Seconds, self.queue.clone());
        let help = "Time of a step of the language model, the mean of each request";
        r.register_with_unit("model_step", help, Unit::Seconds, self.step.clone());
        let help = "Time of requests by stage; steps of different requests overlap";
        r.register_with_unit("stage", help, Unit::Seconds, self.stages.clone());
        r.register("policy_fuel", "Fuel that components used", self.fuel.clone());
        let help = "Tokens of prompts that were not computed, since a prompt kept for the same tenant begins with them";
        r.register("prompt_tokens_reused", help, self.reused.clone());
        let help = "Candidates that the language model's back end did not grow, or not as asked";
        r.register("candidates_lost", help, self.lost_rows.clone());
        r.register("spans_lost", "Spans that could not be sent to the collector", self.lost_spans.clone());
        self.replicas.register(r);
        r.register("requests_running", "Running requests", self.live.clone());
        r.register("requests_waiting", "Waiting choices", self.waiting.clone());
        self
    }
}
