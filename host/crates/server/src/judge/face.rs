//! The kinds of gateways that a server can serve beside its clients.

/// A kind of gateway, and the interface that it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Face {
    /// `/v1/judge`, the server's own.
    Judge,
    /// LiteLLM's generic guardrail route.
    Litellm,
    /// OpenAI's `/v1/moderations`.
    Moderations,
    /// Envoy's external processing, on a listener of its own.
    Envoy,
}

impl Face {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Judge, Self::Litellm, Self::Moderations, Self::Envoy];

    /// Its name in options and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Judge => "judge",
            Self::Litellm => "litellm",
            Self::Moderations => "moderations",
            Self::Envoy => "envoy",
        }
    }
}
