//! What budgets refuse, and what answers are worth under them.

use super::{
    Drawing, Problem, problem,
    scatter::{Chart, axes, spread},
    theme::{self, GOAL, LIMIT},
};
use crate::calibrate::{Curve, CurvePoint};
use plotters::{coord::Shift, prelude::*};

const LEGEND: u32 = 40;
const BENIGN: RGBColor = RGBColor(0xd9, 0x48, 0x3b);
const HARMFUL: RGBColor = RGBColor(0xa8, 0x55, 0xc2);
const UNKNOWN: RGBColor = RGBColor(0x1a, 0x8f, 0x6c);
const PLAIN: RGBColor = RGBColor(0x2f, 0x7f, 0xe0);

/// A share over budgets, with its name and colour.
type Series = (&'static str, RGBColor, fn(&CurvePoint) -> Option<f64>);

const SHARES: [Series; 5] = [
    ("harmless, refused", BENIGN, |point| point.refused_benign),
    ("harmful, refused", HARMFUL, |point| point.refused_harmful),
    ("unknown, refused", UNKNOWN, |point| point.refused_unknown),
    ("failed", LIMIT, |point| (point.failed > 0.0).then_some(point.failed)),
    ("plain answers within", PLAIN, |point| Some(point.plain_within)),
];

impl Drawing for Curve {
    const NAME: &'static str = "the curve over budgets";

    fn size(&self) -> (u32, u32) {
        (1280, 520)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        let (legend, panels) = area.split_vertically(LEGEND);
        let (left, right) = panels.split_horizontally(panels.dim_in_pixel().0 / 2);
        self.shares(&left)?;
        self.rewards(&right)?;
        self.legend(&legend)
    }
}

impl Curve {
    fn places(&self, value: impl Fn(&CurvePoint) -> Option<f64>) -> Vec<(f64, f64)> {
        self.points.iter().filter_map(|point| Some((point.budget.log10(), value(point)?))).collect()
    }

    fn shares<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        let mut chart = self.chart(area, 0.0..101.0)?;
        let title = format!("budget for {}", self.constraint);
        axes(&mut chart, (&title, &budget), ("share of prompts, %", &|y| format!("{y:.0}")))?;
        for (_, colour, share) in SHARES {
            let places = self.places(|point| share(point).map(|share| 100.0 * share));
            series(&mut chart, &places, &colour)?;
        }
        self.suggested(&mut chart, 0.0..101.0)
    }

    fn rewards<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        let places = self.places(|point| point.reward);
        let range = spread(places.iter().map(|(_, reward)| *reward));
        let mut chart = self.chart(area, range.clone())?;
        let title = format!("budget for {}", self.constraint);
        axes(&mut chart, (&title, &budget), ("reward of answers", &|y| format!("{y:.1}")))?;
        series(&mut chart, &places, &GOAL)?;
        self.suggested(&mut chart, range)
    }

    fn chart<'a, B: DrawingBackend>(
        &self,
        area: &'a DrawingArea<B, Shift>,
        y: std::ops::Range<f64>,
    ) -> Result<Chart<'a, B>, Problem> {
        let x = spread(self.points.iter().map(|point| point.budget.log10()));
        let mut chart = ChartBuilder::on(area);
        chart.margin(14).x_label_area_size(46).y_label_area_size(56).build_cartesian_2d(x, y).map_err(problem)
    }

    /// A line where the suggestion is.
    fn suggested<B: DrawingBackend>(&self, chart: &mut Chart<'_, B>, y: std::ops::Range<f64>) -> Result<(), Problem> {
        let Some(x) = self.suggestion.map(f64::log10) else { return Ok(()) };
        let line = PathElement::new([(x, y.start), (x, y.end)], LIMIT.mix(0.6).stroke_width(1));
        chart.plotting_area().draw(&line).map_err(problem)
    }

    fn legend<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        let there = SHARES.iter().filter(|(_, _, share)| self.points.iter().any(|point| share(point).is_some()));
        for (at, (name, colour, _)) in there.enumerate() {
            let x = 70 + 190 * at as i32;
            area.draw(&Circle::new((x, 24), 5, colour.filled())).map_err(problem)?;
            area.draw(&Text::new(*name, (x + 12, 16), theme::text(14))).map_err(problem)?;
        }
        let suggested = self.suggestion.map_or_else(|| "none is suggested".to_owned(), |b| format!("suggested: {b}"));
        area.draw(&Text::new(suggested, (1060, 16), theme::coloured(14, &LIMIT))).map_err(problem)
    }
}

fn series<B: DrawingBackend>(
    chart: &mut Chart<'_, B>,
    places: &[(f64, f64)],
    colour: &RGBColor,
) -> Result<(), Problem> {
    let line = PathElement::new(places.to_vec(), colour.stroke_width(2));
    chart.plotting_area().draw(&line).map_err(problem)?;
    for place in places {
        chart.plotting_area().draw(&Circle::new(*place, 4, colour.filled())).map_err(problem)?;
    }
    Ok(())
}

/// The budget as an axis shows it, from its logarithm.
fn budget(x: &f64) -> String {
    let value = 10_f64.powf(*x);
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}
