//! Tables for a terminal: Markdown tables as aligned columns, without columns that are empty, and no wider than the terminal.

use textwrap::core::display_width;

/// The width that every terminal has.
pub const WIDTH: usize = 80;

/// Between two columns.
const GAP: usize = 2;

/// A text with Markdown tables, for a terminal of `width` columns. A table that is too wide becomes several, each with the first
/// column; other lines are broken at spaces.
#[must_use]
pub fn fitted(text: &str, width: usize) -> String {
    let (mut out, mut table): (Vec<String>, Vec<Vec<String>>) = (Vec::new(), Vec::new());
    for line in text.lines() {
        if line.starts_with('|') {
            table.push(cells(line));
            continue;
        }
        out.extend(lines(std::mem::take(&mut table), width));
        out.extend(broken(&line.replace("**", ""), width));
    }
    out.extend(lines(table, width));
    out.join("\n")
}

/// The cells of a row. A bar with a backslash before it is part of a cell.
fn cells(line: &str) -> Vec<String> {
    let inside = line.trim().trim_start_matches('|').replace("\\|", "\u{0}");
    let inside = inside.strip_suffix('|').unwrap_or(&inside).to_owned();
    inside.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}

fn broken(line: &str, width: usize) -> Vec<String> {
    if line.is_empty() {
        return vec![String::new()];
    }
    textwrap::wrap(line, width).into_iter().map(|part| part.into_owned()).collect()
}

/// A heading, a rule and rows, as blocks of columns.
fn lines(mut table: Vec<Vec<String>>, width: usize) -> Vec<String> {
    if table.len() < 2 {
        return Vec::new();
    }
    table.remove(1);
    let count = table[0].len();
    let full = |at: &usize| table[1..].iter().any(|row| row.get(*at).is_some_and(|cell| !is_empty(cell)));
    let columns: Vec<usize> = (0..count).filter(|at| *at == 0 || full(at)).collect();
    let wide =
        |at: usize| table.iter().filter_map(|row| row.get(at)).map(|cell| display_width(cell)).max().unwrap_or(0);
    let mut out = Vec::new();
    for block in blocks(&columns, &wide, width) {
        if !out.is_empty() {
            out.push(String::new());
        }
        out.extend(table.iter().map(|row| aligned(row, &block, &wide)));
    }
    out
}

/// Whether a cell holds no value.
fn is_empty(cell: &str) -> bool {
    cell.is_empty() || cell == "–"
}

/// Columns in groups that fit; the first one is in every group.
fn blocks(columns: &[usize], wide: &impl Fn(usize) -> usize, width: usize) -> Vec<Vec<usize>> {
    let Some((first, rest)) = columns.split_first() else { return Vec::new() };
    let (mut all, mut block, mut used) = (Vec::new(), vec![*first], wide(*first));
    for at in rest {
        let more = GAP + wide(*at);
        if used + more > width && block.len() > 1 {
            all.push(std::mem::replace(&mut block, vec![*first]));
            used = wide(*first);
        }
        block.push(*at);
        used += more;
    }
    all.push(block);
    all
}

/// The first column begins at the left, the others end at the right.
fn aligned(row: &[String], block: &[usize], wide: &impl Fn(usize) -> usize) -> String {
    let mut line = String::new();
    for (nth, at) in block.iter().enumerate() {
        let cell = row.get(*at).map_or("", String::as_str);
        let gap = " ".repeat(wide(*at).saturating_sub(display_width(cell)));
        match nth {
            0 => line += &format!("{cell}{gap}"),
            _ => line += &format!("{}{gap}{cell}", " ".repeat(GAP)),
        }
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_ones_are_left_out() {
        let text =
            "**Model**\n\n| method | λ | good |\n| :-- | --: | --: |\n| base | – | 3 |\n| a\\|b | – | 12.5 % |\n\nend";
        assert_eq!(fitted(text, 80), "Model\n\nmethod    good\nbase         3\na|b     12.5 %\n\nend");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_value_is_lost() {
        let head: Vec<String> = (0..12).map(|at| format!("a column {at}")).collect();
        let row: Vec<String> = (0..12).map(|at| format!("value-{at}")).collect();
        let markdown = format!("| {} |\n|{}\n| {} |\n", head.join(" | "), "---|".repeat(12), row.join(" | "));
        let shown = fitted(&format!("{markdown}\n{}", "word ".repeat(40)), 40);
        assert!(shown.lines().all(|line| display_width(line) <= 40), "{shown}");
        for value in row.iter().chain(&head) {
            assert!(shown.contains(value.as_str()), "{value}: {shown}");
        }
        assert!(!shown.contains('|'));
        assert!(shown.matches("value-0 ").count() > 1, "the first column names every row: {shown}");
    }
}
