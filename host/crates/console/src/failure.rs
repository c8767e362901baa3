//! An error in words: what went wrong, then why.

use std::{error::Error, iter::successors};

/// The error, then each cause that the line above does not hold already. Lines of a message are indented, so that quoted lines
/// cannot look like messages.
#[must_use]
pub fn lines(error: &(dyn Error + 'static)) -> Vec<String> {
    let indented = |text: &str| text.trim_end().replace('\n', "\n    ");
    let mut shown = error.to_string();
    let mut lines = vec![format!("error: {}", indented(&shown))];
    for cause in successors(error.source(), |&cause| cause.source()).map(ToString::to_string) {
        if !shown.contains(&cause) {
            lines.push(format!("  because: {}", indented(&cause)));
        }
        shown = cause;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    #[derive(Debug)]
    struct Failure(&'static str, Option<Box<Failure>>);

    impl fmt::Display for Failure {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Failure {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as &(dyn Error + 'static))
        }
    }

    #[test]
    fn causes_follow_unless_they_were_named_and_quoted_lines_are_indented() {
        let disk = Failure("no room", None);
        let file = Failure("a.txt: no room", Some(Box::new(disk)));
        let whole = Failure("not saved\nerror: quoted\n", Some(Box::new(file)));
        assert_eq!(lines(&whole), ["error: not saved\n    error: quoted", "  because: a.txt: no room"]);
    }
}
