//! Numbers in files of answers, also those that JSON does not have: a price that is not a number must not be read back as none.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A number as JSON has it, else its name: `NaN`, `inf` or `-inf`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Finite(f64),
    Named(String),
}

pub(crate) fn serialize<S: Serializer>(
    number: &(impl Copy + Into<Option<f64>>),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let written = |number: f64| match number.is_finite() {
        true => Written::Finite(number),
        false => Written::Named(number.to_string()),
    };
    let number: Option<f64> = (*number).into();
    number.map(written).serialize(serializer)
}

pub(crate) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let number = |written: Written| match written {
        Written::Finite(number) => Ok(number),
        Written::Named(name) => match name.parse::<f64>() {
            Ok(number) if !number.is_finite() => Ok(number),
            _ => Err(D::Error::custom(format!("found the text `{name}`; expected a number, `NaN`, `inf` or `-inf`"))),
        },
    };
    Option::<Written>::deserialize(deserializer)?.map(number).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Row {
        #[serde(default, with = "crate::any_number")]
        cost: Option<f64>,
    }

    #[test]
    fn every_number_is_read_back() {
        for (cost, text) in [
            (None, "null"),
            (Some(-0.1), "-0.1"),
            (Some(1e300), "1e+300"),
            (Some(f64::INFINITY), "\"inf\""),
            (Some(f64::NEG_INFINITY), "\"-inf\""),
        ] {
            let line = format!("{{\"cost\":{text}}}");
            assert_eq!(serde_json::to_string(&Row { cost }).unwrap(), line);
            assert_eq!(serde_json::from_str::<Row>(&line).unwrap(), Row { cost });
        }
        let unknown = serde_json::to_string(&Row { cost: Some(f64::NAN) }).unwrap();
        assert_eq!(unknown, r#"{"cost":"NaN"}"#);
        assert!(serde_json::from_str::<Row>(&unknown).unwrap().cost.unwrap().is_nan());
        let read = |text: &str| serde_json::from_str::<Row>(text);
        assert_eq!(read(r#"{"cost":3}"#).unwrap().cost, Some(3.0));
        assert_eq!(read("{}").unwrap().cost, None);
        for wrong in ["\"3.5\"", "\"\"", "\"much\"", "true", "[]", "{}"] {
            assert!(read(&format!("{{\"cost\":{wrong}}}")).is_err(), "{wrong}");
        }
    }
}
