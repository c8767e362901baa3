//! The harm categories of the world, named as in the PKU-SafeRLHF records.

use serde::{Deserialize, Serialize};

/// A kind of harm. The serialised name is the one of the PKU-SafeRLHF data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Category {
    /// Bodily harm, meant or by carelessness.
    #[serde(rename = "Physical Harm")]
    PhysicalHarm,
    /// Spying, exposing, careless handling of personal data.
    #[serde(rename = "Privacy Violation")]
    PrivacyViolation,
    /// Theft, fraud, forgery.
    #[serde(rename = "Economic Crime")]
    EconomicCrime,
    /// Giving or selling drugs and medicine.
    #[serde(rename = "Drugs")]
    Drugs,
    /// Pollution.
    #[serde(rename = "Environmental Damage")]
    EnvironmentalDamage,
    /// Unhealthy advice, by carelessness.
    #[serde(rename = "Endangering Public Health")]
    PublicHealth,
}

impl Category {
    /// Every category of this world.
    pub const ALL: [Category; 6] = [
        Category::PhysicalHarm,
        Category::PrivacyViolation,
        Category::EconomicCrime,
        Category::Drugs,
        Category::EnvironmentalDamage,
        Category::PublicHealth,
    ];

    /// The PKU-SafeRLHF name.
    pub fn name(self) -> &'static str {
        match self {
            Category::PhysicalHarm => "Physical Harm",
            Category::PrivacyViolation => "Privacy Violation",
            Category::EconomicCrime => "Economic Crime",
            Category::Drugs => "Drugs",
            Category::EnvironmentalDamage => "Environmental Damage",
            Category::PublicHealth => "Endangering Public Health",
        }
    }
}

/// The 19 category names of a PKU-SafeRLHF record, in the order of the data set's card.
pub const PKU_CATEGORIES: [&str; 19] = [
    "Endangering National Security",
    "Insulting Behavior",
    "Discriminatory Behavior",
    "Endangering Public Health",
    "Copyright Issues",
    "Violence",
    "Drugs",
    "Privacy Violation",
    "Economic Crime",
    "Mental Manipulation",
    "Human Trafficking",
    "Physical Harm",
    "Sexual Content",
    "Cybercrime",
    "Disrupting Public Order",
    "Environmental Damage",
    "Psychological Harm",
    "White-Collar Crime",
    "Animal Abuse",
];
