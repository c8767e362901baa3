//! What a line of a chat means: a command, or what the user says.

/// The commands.
pub(crate) const HELP: &str = "\
/method NAME      how the next answers are found: bundle, base (no guard), best-of-n ...
/budget [NAME=]D  a smaller budget for the next answers
/why              what was decided about the last answer, and what it cost
/new              begins the conversation again
/bye              ends";

/// A line of a chat.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Another method.
    Method(&'a str),
    /// A smaller budget: `[NAME=]D`.
    Budget(&'a str),
    /// An explanation of the last answer.
    Why,
    /// A new conversation.
    New,
    /// The commands.
    Help,
    /// The end.
    Bye,
    /// What the user says to the model. A second slash at its start keeps a text that begins with one.
    Text(&'a str),
}

impl<'a> Line<'a> {
    /// Reads a line; the error is a message for the user.
    pub(crate) fn read(line: &'a str) -> Result<Self, String> {
        let text = line.trim();
        let Some(command) = text.strip_prefix('/') else { return Ok(Self::Text(text)) };
        if command.starts_with('/') {
            return Ok(Self::Text(command));
        }
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        match (name, rest.trim()) {
            ("method", method) if !method.is_empty() => Ok(Self::Method(method)),
            ("budget", budget) if !budget.is_empty() => Ok(Self::Budget(budget)),
            ("why", "") => Ok(Self::Why),
            ("new" | "clear", "") => Ok(Self::New),
            ("help" | "?", "") => Ok(Self::Help),
            ("bye" | "exit" | "quit", "") => Ok(Self::Bye),
            _ => Err(format!("found {text}; expected one of these, or // before a text that begins with /\n{HELP}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_commands_or_what_the_user_says() {
        for (line, meaning) in [
            ("hello / you", Line::Text("hello / you")),
            ("//etc is a folder", Line::Text("/etc is a folder")),
            (" /why ", Line::Why),
            ("/new", Line::New),
            ("/clear", Line::New),
            ("/?", Line::Help),
            ("/quit", Line::Bye),
            ("/method  base", Line::Method("base")),
            ("/budget words=2", Line::Budget("words=2")),
        ] {
            assert_eq!(Line::read(line).unwrap(), meaning, "{line}");
        }
        for bad in ["/", "/method", "/budget ", "/why not", "/hello"] {
            assert!(Line::read(bad).unwrap_err().contains("/bye"), "{bad}");
        }
    }
}
