//! Figure 4: the same prompt through all methods.

use super::{
    Drawing, Problem, problem,
    theme::{self, FAINT, GOAL, LIMIT},
};
use crate::{Graded, Intent, Report, Status, table::fixed};
use plotters::{coord::Shift, prelude::*};
use std::collections::{BTreeMap, BTreeSet};

const WIDTH: u32 = 1280;
/// Letters per line of an answer.
const LETTERS: usize = 118;
/// Lines of an answer; the rest is cut.
const LINES: usize = 5;
const LINE: i32 = 19;

/// One prompt, and every row's answer.
pub(super) struct Figure4 {
    prompt: Vec<String>,
    panels: Vec<Panel>,
}

struct Panel {
    title: String,
    colour: RGBColor,
    verdict: (String, RGBColor),
    lines: Vec<String>,
}

impl Figure4 {
    /// `None` with fewer than two rows.
    pub(super) fn new(report: &Report, answers: &[&Graded]) -> Option<Self> {
        let shown = sample(report, answers)?;
        let panels: Vec<Panel> = report
            .settings
            .rows
            .iter()
            .filter_map(|row| {
                let graded = shown.iter().find(|graded| graded.row == row.label)?;
                Some(Panel {
                    title: row.label.clone(),
                    colour: theme::colour(&row.method),
                    verdict: verdict(graded),
                    lines: wrapped(&graded.answer.text, LINES),
                })
            })
            .collect();
        let prompt = wrapped(&shown.first()?.prompt, LINES);
        (panels.len() > 1).then_some(Self { prompt, panels })
    }
}

/// Every row's answer to the most telling prompt. Prompts on which the unguarded model exceeds its budget and the last row does
/// not come first, then harmful prompts, then prompts with the most different outcomes; among equals the first prompt.
pub(crate) fn sample<'a>(report: &Report, answers: &[&'a Graded]) -> Option<Vec<&'a Graded>> {
    let rows = &report.settings.rows;
    let seed = answers.first()?.seed;
    let mut by_prompt: BTreeMap<usize, Vec<&'a Graded>> = BTreeMap::new();
    for graded in answers.iter().copied().filter(|graded| graded.seed == seed) {
        by_prompt.entry(graded.prompt_id).or_default().push(graded);
    }
    let base = rows.iter().find(|row| row.method == "base").map(|row| row.label.as_str());
    let last = rows.last().map(|row| row.label.as_str());
    let full = by_prompt.into_values().rev().filter(|of| of.len() >= rows.len().min(2));
    full.max_by_key(|of| interest(of, base, last))
}

/// How telling the answers to one prompt are; larger is more.
fn interest(answers: &[&Graded], base: Option<&str>, last: Option<&str>) -> (bool, bool, usize) {
    let ends =
        |row: Option<&str>, status| answers.iter().any(|g| Some(g.row.as_str()) == row && g.answer.status == status);
    let telling = ends(base, Status::BudgetExceeded) && ends(last, Status::WithinBudget);
    let harmful = answers.first().is_some_and(|graded| graded.intent == Intent::Harmful);
    let kind = |graded: &&Graded| {
        let judged = graded.verdict.as_ref().map(|verdict| (verdict.is_safe(), verdict.refusal));
        format!("{:?} {judged:?} {}", graded.answer.status, graded.is_good().unwrap_or(false))
    };
    let kinds: BTreeSet<String> = answers.iter().map(kind).collect();
    (telling, harmful, kinds.len())
}

/// The judgement of an answer in words, and its colour.
pub(crate) fn verdict_text(graded: &Graded) -> String {
    let status = match graded.answer.status {
        Status::WithinBudget => "within budget",
        Status::BudgetExceeded => "budget exceeded",
        Status::NoSafeCandidate => "refused by the host",
        Status::Failed => "failed",
        Status::Unguarded => "unguarded",
    };
    let number =
        |name: &str, value: Option<f64>| value.map(|value| format!(", {name} {}", fixed(value, 1))).unwrap_or_default();
    let safe = graded.is_judged_safe().filter(|_| graded.answer.status != Status::Failed);
    let judged = safe.map(|safe| if safe { ", judged safe" } else { ", judged harmful" });
    // Folders of older programs have costs of what did not go out: they say nothing.
    let of_answers = |value: Option<f64>| value.filter(|_| graded.is_answered());
    let (cost, reward) = (of_answers(graded.answer.cost), of_answers(graded.answer.reward));
    format!("{status}{}{}{}", judged.unwrap_or_default(), number("cost", cost), number("reward", reward))
}

fn verdict(graded: &Graded) -> (String, RGBColor) {
    let harmful = graded.is_judged_safe() == Some(false);
    let colour = match graded.answer.status {
        Status::WithinBudget if !harmful => GOAL,
        Status::NoSafeCandidate => FAINT,
        _ => LIMIT,
    };
    (verdict_text(graded), colour)
}

impl Drawing for Figure4 {
    const NAME: &'static str = "figure 4";

    fn size(&self) -> (u32, u32) {
        let lines: usize = self.panels.iter().map(|panel| panel.lines.len() + 2).sum();
        (WIDTH, 40 + LINE as u32 * (lines + self.prompt.len() + 1) as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        let mut y = 16;
        for line in &self.prompt {
            area.draw(&Text::new(line.clone(), (16, y), theme::text(17))).map_err(problem)?;
            y += LINE;
        }
        for panel in &self.panels {
            y += LINE;
            area.draw(&PathElement::new([(16, y - 6), (WIDTH as i32 - 16, y - 6)], FAINT.mix(0.4))).map_err(problem)?;
            area.draw(&Text::new(panel.title.clone(), (16, y), theme::coloured(15, &panel.colour))).map_err(problem)?;
            let (verdict, colour) = &panel.verdict;
            area.draw(&Text::new(verdict.clone(), (330, y), theme::coloured(15, colour))).map_err(problem)?;
            for line in &panel.lines {
                y += LINE;
                area.draw(&Text::new(line.clone(), (16, y), theme::text(15))).map_err(problem)?;
            }
            y += LINE;
        }
        Ok(())
    }
}

/// Breaks a text at spaces into at most `most` lines.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > LETTERS {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            last.push_str(" …");
        }
    }
    lines
}
