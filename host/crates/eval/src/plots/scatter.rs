//! Figure 2: reward against safety, and time against safety.

use super::{
    Drawing, Problem, problem,
    theme::{self, FAINT, GOAL, Mark},
};
use crate::{Measure, Part, Report};
use plotters::{
    coord::{
        Shift,
        ranged1d::{Ranged, ValueFormatter},
    },
    prelude::*,
};
use std::ops::Range;

/// The share that the goal's region asks for, in percent.
const SAFE: f64 = 90.0;
const LEGEND: u32 = 330;
const LINE: i32 = 22;

/// Points of one model.
pub(super) struct Figure2 {
    points: Vec<Point>,
    /// The reward of the unguarded model.
    base: Option<f64>,
}

struct Point {
    label: String,
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
        axes(&mut chart, "safety rate, %", "reward of answers", &|y| format!("{y:.1}"))?;
        for (at, point) in self.points.iter().enumerate() {
            let Some([reward, low, high]) = point.reward else { continue };
            let [safety, left, right] = point.safety;
            line(&mut chart, [(left, reward), (right, reward)], &point.colour)?;
            line(&mut chart, [(safety, low), (safety, high)], &point.colour)?;
            point.draw(&mut chart, (safety, reward), at + 1)?;
        }
        Ok(())
    }

    fn times<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        let seconds = || self.points.iter().map(|point| point.seconds).filter(|seconds| *seconds > 0.0);
        let least = seconds().fold(f64::INFINITY, f64::min).min(1.0) / 1.6;
        let most = seconds().fold(least * 4.0, f64::max) * 1.6;
        let mut chart = ChartBuilder::on(area);
        let chart = chart.margin(14).x_label_area_size(46).y_label_area_size(56);
        let mut chart = chart.build_cartesian_2d((least..most).log_scale(), 0.0..101.0).map_err(problem)?;
        tint(&mut chart, [(least, SAFE), (most, 101.0)])?;
        axes(&mut chart, "seconds per prompt", "safety rate, %", &|y| format!("{y:.0}"))?;
        for (at, point) in self.points.iter().enumerate().filter(|(_, point)| point.seconds > 0.0) {
            let [safety, low, high] = point.safety;
            line(&mut chart, [(point.seconds, low), (point.seconds, high)], &point.colour)?;
            point.draw(&mut chart, (point.seconds, safety), at + 1)?;
        }
        Ok(())
    }

    fn legend<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        for (at, point) in self.points.iter().enumerate() {
            let y = 30 + LINE * at as i32;
            mark(area, (14, y), point.mark, &point.colour)?;
            let label = format!("{:>2}  {}", at + 1, point.label);
            area.draw(&Text::new(label, (28, y - 8), theme::text(14))).map_err(problem)?;
        }
        Ok(())
    }
}

impl Point {
    fn draw<B: DrawingBackend, X: Ranged<ValueType = f64>, Y: Ranged<ValueType = f64>>(
        &self,
        chart: &mut ChartContext<'_, B, Cartesian2d<X, Y>>,
        place: (f64, f64),
        number: usize,
    ) -> Result<(), Problem> {
        let area = chart.plotting_area().strip_coord_spec();
        let (x, y) = chart.backend_coord(&place);
        let (left, top) = area.get_base_pixel();
        let place = (x - left, y - top);
        mark(&area, place, self.mark, &self.colour)?;
        // Numbers take turns above and below, so that neighbours can be read.
        let up = if number.is_multiple_of(2) { 6 } else { -20 };
        let at = (place.0 + 5, place.1 + up);
        area.draw(&Text::new(number.to_string(), at, theme::coloured(13, &self.colour))).map_err(problem)
    }
}

/// The least range that holds the values, with some room.
fn spread(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    let room = ((high - low) * 0.08).max(0.1);
    low - room..high + room
}

fn tint<B: DrawingBackend, X: Ranged<ValueType = f64>, Y: Ranged<ValueType = f64>>(
    chart: &mut ChartContext<'_, B, Cartesian2d<X, Y>>,
    corners: [(f64, f64); 2],
) -> Result<(), Problem> {
    chart.plotting_area().draw(&Rectangle::new(corners, GOAL.mix(0.14).filled())).map_err(problem)
}

fn line<B: DrawingBackend, X: Ranged<ValueType = f64>, Y: Ranged<ValueType = f64>>(
    chart: &mut ChartContext<'_, B, Cartesian2d<X, Y>>,
    ends: [(f64, f64); 2],
    colour: &RGBColor,
) -> Result<(), Problem> {
    chart.plotting_area().draw(&PathElement::new(ends, colour.mix(0.5).stroke_width(1))).map_err(problem)
}

fn axes<B, X, Y>(
    chart: &mut ChartContext<'_, B, Cartesian2d<X, Y>>,
    x: &str,
    y: &str,
    label: &dyn Fn(&f64) -> String,
) -> Result<(), Problem>
where
    B: DrawingBackend,
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT).bold_line_style(FAINT.mix(0.25)).axis_style(FAINT.mix(0.9));
    mesh.label_style(theme::text(13)).axis_desc_style(theme::text(15)).x_labels(8).y_labels(8);
    mesh.x_desc(x).y_desc(y).y_label_formatter(&label).draw().map_err(problem)
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
