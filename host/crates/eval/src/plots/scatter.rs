//! Figure 2: reward against safety, and time against safety.

use super::{
    Drawing, Problem, labels, problem,
    theme::{self, FAINT, GOAL, Mark},
};
use crate::{Figures, Measure, Part, Report};
use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
};
use std::ops::Range;

/// The share that the goal's region asks for, in percent.
const SAFE: f64 = 90.0;
const LEGEND: u32 = 360;
const LINE: i32 = 36;

/// Points of one model.
pub(super) struct Figure2 {
    points: Vec<Point>,
    /// The reward of the unguarded model.
    base: Option<f64>,
}

struct Point {
    label: String,
    /// The parts of the safety rate, and the share of failures.
    shares: String,
    colour: RGBColor,
    mark: Mark,
    /// In percent: mean, low, high.
    safety: [f64; 3],
    reward: Option<[f64; 3]>,
    seconds: f64,
}

impl Figure2 {
    pub(super) fn new(report: &Report, model: &str) -> Self {
        let points = report.figures.iter().filter(|f| f.model == model).filter_map(|figures| {
            let row = report.row(&figures.row)?;
            let triple = |m: &Measure| [m.mean, m.low, m.high];
            Some(Point {
                label: figures.row.clone(),
                shares: shares(figures),
                colour: theme::colour(&row.method),
                mark: theme::mark(&row.method),
                safety: triple(figures.get(Part::All, "safe")?).map(|share| 100.0 * share),
                reward: figures.get(Part::All, "reward").map(triple),
                seconds: figures.get(Part::All, "seconds")?.mean,
            })
        });
        let points: Vec<Point> = points.collect();
        let base = points.iter().find(|point| point.label == "base").and_then(|point| Some(point.reward?[0]));
        Self { points, base }
    }
}

/// Refusals and failures are not answers.
fn shares(figures: &Figures) -> String {
    let percent = |name: &str| figures.get(Part::All, name).map_or(0.0, |measure| 100.0 * measure.mean);
    let (within, refused, failed) = (percent("within_budget"), percent("refused_by_host"), percent("failed"));
    format!("within {within:.1} %, refused {refused:.1} %, failed {failed:.1} %")
}

impl Drawing for Figure2 {
    const NAME: &'static str = "figure 2";

    fn size(&self) -> (u32, u32) {
        let legend = 60 + LINE as u32 * self.points.len() as u32;
        (1280, legend.max(480))
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        let (panels, legend) = area.split_horizontally(area.dim_in_pixel().0 - LEGEND);
        let (left, right) = panels.split_horizontally(panels.dim_in_pixel().0 / 2);
        self.rewards(&left)?;
        self.times(&right)?;
        self.legend(&legend)
    }
}

impl Figure2 {
    fn rewards<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        let rewards = self.points.iter().filter_map(|point| point.reward);
        let range = spread(rewards.flat_map(|[_, low, high]| [low, high]));
        let mut chart = ChartBuilder::on(area);
        let chart = chart.margin(14).x_label_area_size(46).y_label_area_size(56);
        let mut chart = chart.build_cartesian_2d(0.0..101.0, range.clone()).map_err(problem)?;
        let base = self.base.unwrap_or(range.start);
        tint(&mut chart, [(SAFE, base), (101.0, range.end)])?;
        axes(
            &mut chart,
            ("within budget or refused, %", &|x| format!("{x:.0}")),
            ("reward of answers", &|y| format!("{y:.1}")),
        )?;
        let mut placed = Vec::new();
        for (at, point) in self.points.iter().enumerate() {
            let Some([reward, low, high]) = point.reward else { continue };
            let [safety, left, right] = point.safety;
            line(&mut chart, [(left, reward), (right, reward)], &point.colour)?;
            line(&mut chart, [(safety, low), (safety, high)], &point.colour)?;
            placed.push((at, point, (safety, reward)));
        }
        points(&chart, &placed)
    }

    fn times<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        // On the logarithm, so that its ticks are as many as on any axis.
        let seconds = self.points.iter().filter(|point| point.seconds > 0.0).map(|point| point.seconds.log10());
        let range = spread(seconds);
        let mut chart = ChartBuilder::on(area);
        let chart = chart.margin(14).x_label_area_size(46).y_label_area_size(56);
        let mut chart = chart.build_cartesian_2d(range.clone(), 0.0..101.0).map_err(problem)?;
        tint(&mut chart, [(range.start, SAFE), (range.end, 101.0)])?;
        let (x, y) = (|x: &f64| short(10_f64.powf(*x)), |y: &f64| format!("{y:.0}"));
        axes(&mut chart, ("seconds per prompt", &x), ("within budget or refused, %", &y))?;
        let mut placed = Vec::new();
        for (at, point) in self.points.iter().enumerate().filter(|(_, point)| point.seconds > 0.0) {
            let ([safety, low, high], x) = (point.safety, point.seconds.log10());
            line(&mut chart, [(x, low), (x, high)], &point.colour)?;
            placed.push((at, point, (x, safety)));
        }
        points(&chart, &placed)
    }

    fn legend<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        for (at, point) in self.points.iter().enumerate() {
            let y = 30 + LINE * at as i32;
            mark(area, (14, y), point.mark, &point.colour)?;
            let label = format!("{:>2}  {}", at + 1, point.label);
            area.draw(&Text::new(label, (28, y - 8), theme::text(14))).map_err(problem)?;
            area.draw(&Text::new(point.shares.clone(), (52, y + 8), theme::text(14))).map_err(problem)?;
        }
        Ok(())
    }
}

/// A chart of these figures: both axes are plain.
pub(super) type Chart<'a, B> = ChartContext<'a, B, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws the marks and their numbers.
fn points<B: DrawingBackend>(chart: &Chart<'_, B>, points: &[(usize, &Point, (f64, f64))]) -> Result<(), Problem> {
    let area = chart.plotting_area().strip_coord_spec();
    let (left, top) = area.get_base_pixel();
    let pixel = |place: &(f64, f64)| {
        let (x, y) = chart.backend_coord(place);
        (x - left, y - top)
    };
    let pixels: Vec<(i32, i32)> = points.iter().map(|(_, _, place)| pixel(place)).collect();
    let (width, height) = area.dim_in_pixel();
    let places = labels::place(&pixels, (width as i32, height as i32));
    for (((at, point, _), pixel), label) in points.iter().zip(pixels).zip(places) {
        if label.far {
            let lead = PathElement::new([pixel, (label.x, label.y)], point.colour.mix(0.4).stroke_width(1));
            area.draw(&lead).map_err(problem)?;
        }
        mark(&area, pixel, point.mark, &point.colour)?;
        let (number, corner) = ((at + 1).to_string(), (label.x - 4 * (1 + i32::from(*at > 8)), label.y - 7));
        area.draw(&Text::new(number, corner, theme::coloured(13, &point.colour))).map_err(problem)?;
    }
    Ok(())
}

/// A number with two significant digits.
fn short(value: f64) -> String {
    let digits = if value < 0.1 {
        3
    } else if value < 1.0 {
        2
    } else {
        1
    };
    format!("{value:.digits$}")
}

/// The least range that holds the values, with some room.
pub(super) fn spread(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    let room = ((high - low) * 0.08).max(0.1);
    low - room..high + room
}

fn tint<B: DrawingBackend>(chart: &mut Chart<'_, B>, corners: [(f64, f64); 2]) -> Result<(), Problem> {
    chart.plotting_area().draw(&Rectangle::new(corners, GOAL.mix(0.14).filled())).map_err(problem)
}

fn line<B: DrawingBackend>(chart: &mut Chart<'_, B>, ends: [(f64, f64); 2], colour: &RGBColor) -> Result<(), Problem> {
    chart.plotting_area().draw(&PathElement::new(ends, colour.mix(0.5).stroke_width(1))).map_err(problem)
}

/// An axis: its title, and how its values are written.
pub(super) type Axis<'a> = (&'a str, &'a dyn Fn(&f64) -> String);

pub(super) fn axes<B: DrawingBackend>(chart: &mut Chart<'_, B>, x: Axis<'_>, y: Axis<'_>) -> Result<(), Problem> {
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT).bold_line_style(FAINT.mix(0.25)).axis_style(FAINT.mix(0.9));
    mesh.label_style(theme::text(13)).axis_desc_style(theme::text(15)).x_labels(8).y_labels(8);
    mesh.x_desc(x.0).x_label_formatter(&x.1).y_desc(y.0).y_label_formatter(&y.1).draw().map_err(problem)
}

/// A mark around a pixel.
fn mark<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    (x, y): (i32, i32),
    mark: Mark,
    colour: &RGBColor,
) -> Result<(), Problem> {
    let filled = colour.filled();
    let drawn = match mark {
        Mark::Circle => area.draw(&Circle::new((x, y), 5, filled)),
        Mark::Triangle => area.draw(&TriangleMarker::new((x, y), 6, filled)),
        Mark::Square => area.draw(&Rectangle::new([(x - 4, y - 4), (x + 4, y + 4)], filled)),
        Mark::Diamond => area.draw(&Polygon::new([(x, y - 7), (x + 6, y), (x, y + 7), (x - 6, y)], filled)),
        Mark::Cross => area.draw(&Cross::new((x, y), 5, colour.stroke_width(2))),
    };
    drawn.map_err(problem)
}
