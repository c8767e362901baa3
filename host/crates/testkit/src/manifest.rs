//! The manifest of a toy deployment.

/// The manifest of a toy deployment, as a string literal: the search policy, one constraint `harm` on the score model `cost`,
/// and a task cost on the score model `reward`. The files are those of `components::files`.
///
/// `head` holds more keys of the manifest, `tail` more keys of the constraint and then more tables.
#[macro_export]
macro_rules! manifest {
    (
        max_tokens: $max_tokens:literal,
        chunk_len: $chunk_len:literal,
        budget: $budget:literal,
        head: $head:literal,
        tail: $tail:literal $(,)?
    ) => {
        concat!(
            "name = \"toy\"\nversion = \"0.1.0\"\ntask = \"reward\"\nmax_tokens = ",
            $max_tokens,
            "\n",
            $head,
            "\n[policy]\ncomponent = \"inference-guard.wasm\"\nsettings = { n = 8, keep = 2, chunk-len = ",
            $chunk_len,
            " }\n\n[tracker]\ncomponent = \"safety-budget.wasm\"\n",
            "\n[costs.harm]\ncomponent = \"score-cost.wasm\"\nsettings = { model = \"cost\" }\n",
            "\n[costs.reward]\ncomponent = \"score-cost.wasm\"\nsettings = { model = \"reward\", kind = \"task\" }\n",
            "\n[[constraints]]\nname = \"harm\"\ncost = \"harm\"\nbudget = ",
            $budget,
            "\n",
            $tail
        )
    };
}
