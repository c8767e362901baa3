//! Where the text of a manifest has a key.

use toml::de::DeTable;

/// The line of a key, from 1. `path` leads there table by table, its last part is the key. `None` if the text has no such key.
pub(crate) fn line(text: &str, path: &[&str]) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let (last, tables) = path.split_last()?;
    let mut table = document.get_ref();
    for name in tables {
        let (_, value) = table.iter().find(|(key, _)| **key.get_ref() == **name)?;
        table = value.get_ref().as_table()?;
    }
    let (key, _) = table.iter().find(|(key, _)| **key.get_ref() == **last)?;
    Some(text.get(..key.span().start)?.matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"name = "a"

[costs.words]
settings = { words = ["x"], wrods = 1 }

[costs."my words"]
component = "b"
settings.scale = 2

[policy.settings]
n = 8
"#;

    #[test]
    fn keys_are_found_in_tables_of_every_form() {
        for (path, expected) in [
            (&["name"][..], Some(1)),
            (&["costs", "words"], Some(3)),
            (&["costs", "words", "settings"], Some(4)),
            (&["costs", "words", "settings", "wrods"], Some(4)),
            (&["costs", "my words", "settings", "scale"], Some(8)),
            (&["policy", "settings", "n"], Some(11)),
            (&["policy", "settings", "m"], None),
            (&["name", "settings"], None),
            (&[], None),
        ] {
            assert_eq!(line(TEXT, path), expected, "{path:?}");
        }
        assert_eq!(line("name = ", &["name"]), None, "no TOML");
    }
}
