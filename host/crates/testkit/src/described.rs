//! A cost around another one.

/// What a cost says of itself, where it holds another cost in this field and says the same: for an `impl Cost` block.
#[macro_export]
macro_rules! described_by {
    ($field:tt) => {
        fn needs(&self) -> &::inferenceguard_search::Needs {
            self.$field.needs()
        }

        fn kind(&self) -> ::inferenceguard_search::CostKind {
            self.$field.kind()
        }

        fn grain(&self) -> ::inferenceguard_search::CostGrain {
            self.$field.grain()
        }
    };
}
