//! What an evaluation was made with: the commit of the program and the command line.

use inferenceguard_eval::{Origin, Skipped};
use std::{path::Path, process::Command};

/// The commit, if the build named it.
const COMMIT: Option<&str> = option_env!("INFERENCEGUARD_COMMIT");
const UNKNOWN: &str = "unknown";

/// The commit, the command line, and the rows that are skipped.
pub(super) fn origin(skipped: Vec<Skipped>) -> Origin {
    let words = std::env::args().skip(1).map(|word| quoted(&word));
    let command = std::iter::once("inferguard".to_owned()).chain(words).collect::<Vec<_>>().join(" ");
    Origin { commits: vec![commit()], command, skipped }
}

/// The commit that the build named, else that of the sources of this program, if they are still there.
fn commit() -> String {
    let named = COMMIT.filter(|commit| !commit.is_empty()).map(str::to_owned);
    named.or_else(|| of_sources(Path::new(env!("CARGO_MANIFEST_DIR")))).unwrap_or_else(|| UNKNOWN.to_owned())
}

fn of_sources(folder: &Path) -> Option<String> {
    let git = |words: &[&str]| {
        let output = Command::new("git").arg("-C").arg(folder).args(words).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "HEAD"]).filter(|commit| !commit.is_empty())?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|files| !files.is_empty());
    Some(if changed { format!("{commit} with changes") } else { commit })
}

/// A word, quoted for a shell if it needs quotes.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("--methods=base,beam+augmented"), "--methods=base,beam+augmented");
        assert_eq!(quoted("it's a file"), "'it'\\''s a file'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_folder_without_git_has_no_commit() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of_sources(folder.path()), None);
        assert!(!commit().is_empty());
    }
}
