//! Where the time of rows went: one bar per row, one colour per part.

use super::{Drawing, Problem, problem, theme};
use plotters::{coord::Shift, prelude::*};

/// Rows to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// The names of the parts, in the order they are drawn.
    pub parts: Vec<String>,
    /// Each row's name, its parts in seconds, and a mark: the least that is possible.
    pub rows: Vec<(String, Vec<f64>, f64)>,
}

const COLOURS: [RGBColor; 6] = [theme::BLUE, theme::GREEN, theme::OCHRE, theme::RED, theme::VIOLET, theme::FAINT];
const WIDTH: u32 = 1160;
const NAMES: i32 = 380;
const LEGEND: i32 = 46;
const LINE: i32 = 30;

impl Drawing for Bars {
    const NAME: &'static str = "where the time went";

    fn size(&self) -> (u32, u32) {
        (WIDTH, LEGEND as u32 + LINE as u32 * self.rows.len() as u32 + 14)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        self.legend(area)?;
        for (at, (name, parts, mark)) in (0..).zip(&self.rows) {
            let top = LEGEND + LINE * at;
            area.draw(&Text::new(name.as_str(), (14, top + 5), theme::text(14))).map_err(problem)?;
            bar(area, top, parts, *mark)?;
        }
        Ok(())
    }
}

impl Bars {
    fn legend<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        for (at, (part, colour)) in (0..).zip(self.parts.iter().zip(COLOURS)) {
            let x = NAMES + 118 * at;
            area.draw(&Circle::new((x + 5, 22), 5, colour.filled())).map_err(problem)?;
            area.draw(&Text::new(part.as_str(), (x + 16, 14), theme::text(14))).map_err(problem)?;
        }
        Ok(())
    }
}

/// Each bar is the whole time of its row; the thin line is the mark.
fn bar<B: DrawingBackend>(area: &DrawingArea<B, Shift>, top: i32, parts: &[f64], mark: f64) -> Result<(), Problem> {
    let (all, room) = (parts.iter().sum::<f64>().max(f64::MIN_POSITIVE), f64::from(WIDTH as i32 - NAMES - 110));
    let x = |seconds: f64| NAMES + (room * (seconds / all).clamp(0.0, 1.0)) as i32;
    let mut spent = 0.0;
    for (part, colour) in parts.iter().zip(COLOURS) {
        let corners = [(x(spent), top + 4), (x(spent + part), top + LINE - 6)];
        area.draw(&Rectangle::new(corners, colour.filled())).map_err(problem)?;
        spent += part;
    }
    let line = PathElement::new([(x(mark), top), (x(mark), top + LINE - 2)], theme::INK.stroke_width(2));
    area.draw(&line).map_err(problem)?;
    let label = if all < 1.0 { format!("{:.0} ms", 1e3 * all) } else { format!("{all:.1} s") };
    area.draw(&Text::new(label, (NAMES + room as i32 + 14, top + 5), theme::text(14))).map_err(problem)
}
