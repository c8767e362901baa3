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

    const TEXT: &str = "name = \"a\"\n\n[costs.words]\nsettings = { words = [\"x\"],\n  wrods = 1 }\n\n[costs.\"my words\"]\n\
                        component = \"b\"\nsettings.scale = 2\n\n[policy.settings]\nn = 8\n";

    #[test]
    fn keys_are_found_in_tables_of_every_form() {
        for (path, expected) in [
            (&["name"][..], Some(1)),
            (&["costs", "words", "settings"], Some(4)),
            (&["costs", "words", "settings", "words"], Some(4)),
            (&["costs", "words", "settings", "wrods"], Some(5)),
            (&["costs", "my words", "settings", "scale"], Some(9)),
            (&["policy", "settings", "n"], Some(12)),
            (&["policy", "settings", "m"], None),
            (&["name", "settings"], None),
            (&[], None),
        ] {
            assert_eq!(line(TEXT, path), expected, "{path:?}");
        }
        assert_eq!(line("name = ", &["name"]), None, "no TOML");
    }
}
