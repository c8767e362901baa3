//! The commands on the pages: each is one of the program's, and has only options of that command.

mod common;

use common::run;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What stands on a page before the words of a command.
const NAMES: [&str; 2] = ["inferguard ", "cargo run --release -- "];

#[test]
fn commands_on_the_pages_exist_and_have_their_options() {
    let (mut helps, mut complaints, mut count) = (Helps::default(), Vec::new(), 0);
    for path in pages() {
        for line in lines(&common::read(&path)) {
            let Some(words) = call(&line) else { continue };
            count += 1;
            complaints.extend(helps.complaint(&words).map(|what| format!("{}: {what}: {line}", path.display())));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(count > 100, "{count} commands were found");
}

#[test]
fn wrong_commands_and_options_are_found() {
    let page = "`inferguard run --bndle x`\n```sh\ninferguard bundle mke x   # --no\ncargo run --release -- serve \\\n  \
                --stat=s\n./inferguard run --candidates 2 \"a\" | less --raw\n```\n`inferguard bundle pin --n 2`";
    let mut helps = Helps::default();
    let found: Vec<String> = lines(page).iter().filter_map(|line| helps.complaint(&call(line)?)).collect();
    let expected =
        ["no `--bndle` of `run`", "no command `bundle mke`", "no `--stat` of `serve`", "no `--n` of `bundle pin`"];
    assert_eq!(found, expected);
}

#[test]
fn the_help_of_every_command_fits_80_columns() {
    let (mut helps, mut wide) = (Helps::default(), Vec::new());
    let mut commands = vec![Vec::new()];
    while let Some(command) = commands.pop() {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let help = helps.of(&words).expect("a help").to_owned();
        wide.extend(help.lines().filter(|line| line.chars().count() > 80).map(|line| format!("{words:?}: {line}")));
        let below = help.split_once("\nCommands:\n").map_or("", |(_, list)| list.split("\n\n").next().unwrap_or(""));
        let below = below.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        let below = below.filter(|name| !name.is_empty() && *name != "help");
        commands.extend(below.map(|name| [command.as_slice(), &[name.to_owned()]].concat()));
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
    assert!(helps.0.len() > 30, "{:?}", helps.0.keys());
}

/// The pages with commands for readers.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let others = ["README.md", "guest/README.md", "host/bundles/README.md", "host/examples/compose/README.md"];
    let host = fs::read_dir(root.join("host")).expect("the folder").map(|entry| entry.expect("an entry").path());
    let host = host.filter(|path| path.extension().is_some_and(|end| end == "md") && !path.ends_with("CHANGELOG.md"));
    others.iter().map(|page| root.join(page)).chain(host).collect()
}

/// What may be commands on a page: the lines of blocks, joined where they end in a backslash, and code in prose.
fn lines(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (i, part) in page.split("```").enumerate() {
        if i.is_multiple_of(2) {
            found.extend(part.split('`').skip(1).step_by(2).map(|code| code.replace('\n', " ")));
        } else {
            found.extend(part.replace("\\\n", " ").lines().map(str::to_owned));
        }
    }
    found
}

/// The words after the program's name, up to a comment or the end of the command; none if the line does not call the program.
fn call(line: &str) -> Option<Vec<&str>> {
    let is_edge = |at: &usize| !line[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_');
    let after = |name: &&str| {
        let at = line.match_indices(*name).map(|(at, _)| at).find(is_edge)?;
        Some(&line[at + name.len()..])
    };
    let rest = NAMES.iter().find_map(after)?;
    let words = rest.split_whitespace().take_while(|word| !word.starts_with(['#', '|', ';', '&', '>']));
    let words: Vec<&str> = words.collect();
    let is_command = words.first().is_some_and(|word| word.chars().all(|c| c.is_ascii_lowercase()));
    is_command.then_some(words)
}

/// The options that a help lists, also by their other names.
fn options(help: &str) -> BTreeSet<String> {
    let lists = |line: &&str| line.trim_start().starts_with('-');
    let words = help.lines().filter(lists).flat_map(|line| line.split(|c: char| !is_of_option(c)));
    let named = words.filter(|word| word.starts_with("--")).map(str::to_owned);
    // One is an alias, several are aliases.
    let others = help.split("[alias").skip(1).filter_map(|rest| rest.split_once(": ")?.1.split(']').next());
    let others = others.flat_map(|names| names.split(", ")).map(|name| format!("--{}", name.trim_start_matches('-')));
    named.chain(others).collect()
}

fn is_of_option(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

/// The helps of commands that were asked for; none where there is no such command.
#[derive(Default)]
struct Helps(BTreeMap<String, Option<String>>);

impl Helps {
    fn of(&mut self, command: &[&str]) -> Option<&str> {
        let ask = || {
            let ran = run(&[command, &["--help"]].concat());
            (ran.code == Some(0)).then_some(ran.stdout)
        };
        self.0.entry(command.join(" ")).or_insert_with(ask).as_deref()
    }

    /// What is wrong with a call: a command or an option that the program does not have.
    fn complaint(&mut self, words: &[&str]) -> Option<String> {
        let has_commands = self.of(&words[..1]).is_some_and(|help| help.contains("\nCommands:\n"));
        let command = &words[..words.len().min(1 + usize::from(has_commands))];
        let name = command.join(" ");
        let Some(help) = self.of(command) else { return Some(format!("no command `{name}`")) };
        let known = options(help);
        let given = words.iter().filter(|word| word.starts_with("--") && word.len() > 2);
        let mut given = given.map(|word| word.split(|c| !is_of_option(c)).next().unwrap_or(word));
        given.find(|option| !known.contains(*option)).map(|option| format!("no `{option}` of `{name}`"))
    }
}
