//! Errors that hold others.

/// Makes `?` put errors of other types into variants of an error enum that hold them in a box:
/// `from_boxed!(MyError: Variant(OtherError), Another(ThirdError));`
#[macro_export]
macro_rules! from_boxed {
    ($name:ident: $($variant:ident($error:ty)),* $(,)?) => {$(
        impl ::core::convert::From<$error> for $name {
            fn from(error: $error) -> Self {
                Self::$variant(::std::boxed::Box::new(error))
            }
        }
    )*};
}

/// Makes `?` put errors of other types into an error enum by way of an error that takes them:
/// `from_through!(MyError: LowerError: OtherError, ThirdError);`
#[macro_export]
macro_rules! from_through {
    ($name:ident: $through:ty: $($error:ty),* $(,)?) => {$(
        impl ::core::convert::From<$error> for $name {
            fn from(error: $error) -> Self {
                Self::from(<$through as ::core::convert::From<$error>>::from(error))
            }
        }
    )*};
}

#[cfg(test)]
mod tests {
    use std::num::{ParseFloatError, ParseIntError};

    #[derive(Debug)]
    enum Wrong {
        Whole(Box<ParseIntError>),
        Real(Box<ParseFloatError>),
    }

    from_boxed!(Wrong: Whole(ParseIntError), Real(ParseFloatError));

    #[derive(Debug)]
    struct Above(Wrong);

    impl From<Wrong> for Above {
        fn from(error: Wrong) -> Self {
            Self(error)
        }
    }

    from_through!(Above: Wrong: ParseIntError, ParseFloatError);

    #[test]
    fn errors_are_put_into_what_takes_them() {
        let sum = |whole: &str, real: &str| Ok::<f64, Above>(f64::from(whole.parse::<i32>()?) + real.parse::<f64>()?);
        assert_eq!(sum("1", "0.5").unwrap(), 1.5);
        assert!(matches!(sum("x", "0.5").unwrap_err(), Above(Wrong::Whole(_))));
        assert!(matches!(sum("1", "y").unwrap_err(), Above(Wrong::Real(_))));
    }

    #[test]
    fn errors_are_put_into_their_variants() {
        let sum = |whole: &str, real: &str| Ok::<f64, Wrong>(f64::from(whole.parse::<i32>()?) + real.parse::<f64>()?);
        assert_eq!(sum("1", "0.5").unwrap(), 1.5);
        assert!(matches!(sum("x", "0.5").unwrap_err(), Wrong::Whole(source) if source.to_string().contains("digit")));
        assert!(matches!(sum("1", "y").unwrap_err(), Wrong::Real(source) if source.to_string().contains("float")));
    }
}
