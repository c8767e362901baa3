//! Which template makes the prompts of a model.

/// Templates of a model, as bundles name them. Both are absent for back ends that have no choice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TemplateNames {
    /// The template that makes prompts of conversations.
    pub chosen: Option<String>,
    /// The template that it would be for a bundle that names none.
    pub own: Option<String>,
}
