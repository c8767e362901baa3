//! Figure 3: how reward and the largest running cost are spread over prompts.

use super::{
    Drawing, Problem, problem,
    theme::{self, FAINT, INK},
};
use crate::{Graded, Report};
use plotters::{coord::Shift, prelude::*};

const NAMES: u32 = 300;
const LANE: u32 = 34;
const HEAD: u32 = 34;
const FOOT: u32 = 34;
/// Points of a density's outline.
const STEPS: usize = 120;

/// Two panels of violins, one lane per row.
pub(super) struct Figure3 {
    lanes: Vec<Lane>,
    budget: f64,
}

struct Lane {
    label: String,
    colour: RGBColor,
    rewards: Vec<f64>,
    costs: Vec<f64>,
}

impl Figure3 {
    pub(super) fn new(report: &Report, answers: &[&Graded]) -> Self {
        let lane = |row: &crate::Row| {
            let of = || answers.iter().filter(|graded| graded.row == row.label && graded.is_answered());
            let asked = answers.iter().filter(|graded| graded.row == row.label).count();
            Lane {
                label: format!("{} ({} of {asked})", row.label, of().count()),
                colour: theme::colour(&row.method),
                rewards: of().filter_map(|graded| graded.answer.reward).collect(),
                costs: of().filter_map(|graded| graded.answer.cost).collect(),
            }
        };
        let lanes =
            report.settings.rows.iter().map(lane).filter(|lane| !lane.rewards.is_empty() || !lane.costs.is_empty());
        Self { lanes: lanes.collect(), budget: report.settings.rows.first().map_or(1.0, |row| row.budget) }
    }
}

impl Drawing for Figure3 {
    const NAME: &'static str = "figure 3";

    fn size(&self) -> (u32, u32) {
        (1280, HEAD + FOOT + LANE * (self.lanes.len() as u32).max(1))
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        let (names, panels) = area.split_horizontally(NAMES);
        let (left, right) = panels.split_horizontally(panels.dim_in_pixel().0 / 2);
        for (at, lane) in self.lanes.iter().enumerate() {
            let y = (HEAD + LANE * at as u32 + LANE / 2) as i32;
            names.draw(&Text::new(lane.label.clone(), (12, y - 8), theme::text(14))).map_err(problem)?;
        }
        let rewards = Scale::plain(self.lanes.iter().flat_map(|lane| &lane.rewards).copied());
        let costs = Scale::bent(self.lanes.iter().flat_map(|lane| &lane.costs).copied(), self.budget);
        self.panel(&left, "reward of answers", &rewards, |lane| &lane.rewards)?;
        self.panel(&right, "largest running cost (the scale is bent)", &costs, |lane| &lane.costs)
    }
}

impl Figure3 {
    fn panel<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        title: &str,
        scale: &Scale,
        values: impl Fn(&Lane) -> &Vec<f64>,
    ) -> Result<(), Problem> {
        let (width, height) = area.dim_in_pixel();
        let (left, right) = (16.0, f64::from(width) - 24.0);
        let x = |value: f64| (left + scale.place(value) * (right - left)).round() as i32;
        let bottom = (height - FOOT) as i32;
        area.draw(&Text::new(title.to_owned(), (left as i32, 8), theme::text(15))).map_err(problem)?;
        for tick in scale.ticks() {
            // In ink: the colours are those of methods.
            let style = if scale.bend == Some(tick) { INK.mix(0.8) } else { FAINT.mix(0.3) };
            area.draw(&PathElement::new([(x(tick), HEAD as i32), (x(tick), bottom)], style)).map_err(problem)?;
            area.draw(&Text::new(short(tick), (x(tick) - 6, bottom + 6), theme::text(13))).map_err(problem)?;
        }
        for (at, lane) in self.lanes.iter().enumerate() {
            let middle = f64::from(HEAD + LANE * at as u32 + LANE / 2);
            violin(area, values(lane), scale, &x, middle, &lane.colour)?;
        }
        Ok(())
    }
}

fn violin<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    values: &[f64],
    scale: &Scale,
    x: &dyn Fn(f64) -> i32,
    middle: f64,
    colour: &RGBColor,
) -> Result<(), Problem> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(&median) = sorted.get(sorted.len() / 2) else { return Ok(()) };
    let places: Vec<f64> = sorted.iter().map(|value| scale.place(*value)).collect();
    let outline = density(&places);
    let most = outline.iter().map(|(_, density)| *density).fold(f64::MIN_POSITIVE, f64::max);
    let half = f64::from(LANE) * 0.44;
    let at = |place: f64, side: f64, density: f64| {
        (x(scale.value(place.clamp(0.0, 1.0))), (middle + side * half * density / most).round() as i32)
    };
    let upper = outline.iter().map(|(place, density)| at(*place, -1.0, *density));
    let lower = outline.iter().rev().map(|(place, density)| at(*place, 1.0, *density));
    let points: Vec<(i32, i32)> = upper.chain(lower).collect();
    area.draw(&Polygon::new(points, colour.mix(0.55).filled())).map_err(problem)?;
    let y = middle.round() as i32;
    let mark = [(x(median) - 1, y - 6), (x(median) + 1, y + 6)];
    area.draw(&Rectangle::new(mark, INK.filled())).map_err(problem)
}

/// A Gaussian kernel density (bandwidth by Silverman's rule) between the least and the largest of sorted values.
fn density(sorted: &[f64]) -> Vec<(f64, f64)> {
    let (Some(low), Some(high)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    let count = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / count;
    let deviation = (sorted.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    let width = (1.06 * deviation * count.powf(-0.2)).max(0.004);
    let (low, high) = (low - width, high + width);
    let at = |step: usize| low + (high - low) * step as f64 / STEPS as f64;
    let kernel = |place: f64| sorted.iter().map(|v| (-0.5 * ((place - v) / width).powi(2)).exp()).sum::<f64>();
    (0..=STEPS).map(|step| (at(step), kernel(at(step)) / count)).collect()
}

/// Values to places in `[0, 1]`.
struct Scale {
    low: f64,
    high: f64,
    /// Beyond this value the scale is logarithmic.
    bend: Option<f64>,
}

impl Scale {
    fn plain(values: impl Iterator<Item = f64>) -> Self {
        Self::over(values, None)
    }

    fn bent(values: impl Iterator<Item = f64>, bend: f64) -> Self {
        Self::over(values.chain([0.0, bend]), Some(bend))
    }

    fn over(values: impl Iterator<Item = f64>, bend: Option<f64>) -> Self {
        let mut scale = Self { low: f64::INFINITY, high: f64::NEG_INFINITY, bend };
        for value in values.filter(|value| value.is_finite()) {
            scale.low = scale.low.min(scale.bent_value(value));
            scale.high = scale.high.max(scale.bent_value(value));
        }
        if scale.low >= scale.high {
            (scale.low, scale.high) = (scale.low.min(0.0) - 1.0, scale.high.max(0.0) + 1.0);
        }
        scale
    }

    fn bent_value(&self, value: f64) -> f64 {
        self.bend.map_or(value, |bend| (value / bend).asinh())
    }

    fn place(&self, value: f64) -> f64 {
        (self.bent_value(value) - self.low) / (self.high - self.low)
    }

    fn value(&self, place: f64) -> f64 {
        let bent = self.low + place * (self.high - self.low);
        self.bend.map_or(bent, |bend| bent.sinh() * bend)
    }

    /// Round numbers inside; with a bend, its multiples.
    fn ticks(&self) -> Vec<f64> {
        let ticks: Vec<f64> = match self.bend {
            Some(bend) => [-100.0, -10.0, -3.0, -1.0, 0.0, 1.0, 3.0, 10.0, 30.0, 100.0].map(|f| f * bend).to_vec(),
            None => {
                let step = step((self.high - self.low) / 6.0);
                (0..=12).map(|at| ((self.low / step).ceil() + f64::from(at)) * step).collect()
            }
        };
        ticks.into_iter().filter(|tick| (0.0..=1.0).contains(&self.place(*tick))).collect()
    }
}

/// The least of 1, 2, 5 times a power of ten that is not below `least`.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= least).unwrap_or(power)
}

fn short(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_go_there_and_back() {
        for scale in [Scale::plain([-3.0, 9.0].into_iter()), Scale::bent([-4.0, 300.0].into_iter(), 10.0)] {
            for value in [-3.0, 0.0, 2.5, 9.0] {
                assert!((scale.value(scale.place(value)) - value).abs() < 1e-9);
            }
            assert!(scale.ticks().len() > 2 && scale.ticks().is_sorted());
        }
        assert_eq!(Scale::bent([0.0].into_iter(), 10.0).ticks(), [0.0, 10.0]);
    }

    #[test]
    fn a_density_is_highest_where_the_values_are() {
        let outline = density(&[0.1, 0.5, 0.5, 0.5, 0.9]);
        let most = outline.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        assert!((most.0 - 0.5).abs() < 0.02, "{most:?}");
        assert!(density(&[]).is_empty());
        assert!(density(&[0.3]).iter().all(|(_, density)| density.is_finite()));
    }
}
