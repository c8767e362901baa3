//! Values over a number that doubles: panels side by side, a line for each series, on logarithmic scales.

use super::{
    Drawing, Problem, problem,
    scatter::{axes, spread},
    theme,
};
use plotters::{coord::Shift, prelude::*};
use std::ops::Range;

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the legend; lines of one name have one colour.
    pub name: String,
    /// Its places; both numbers are positive.
    pub places: Vec<(f64, f64)>,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What stands above it.
    pub title: String,
    /// Its lines.
    pub series: Vec<Series>,
}

/// Panels with the same axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Lines {
    /// What the horizontal axis counts.
    pub x: String,
    /// What the vertical axis counts.
    pub y: String,
    /// From left to right.
    pub panels: Vec<Panel>,
}

const COLOURS: [RGBColor; 6] = [theme::RED, theme::BLUE, theme::GREEN, theme::OCHRE, theme::VIOLET, theme::FAINT];
const WIDTH: u32 = 440;
const LEGEND: u32 = 40;

impl Drawing for Lines {
    const NAME: &'static str = "lines over a number that doubles";

    fn size(&self) -> (u32, u32) {
        (WIDTH * self.panels.len().max(1) as u32, LEGEND + 420)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        let (legend, panels) = area.split_vertically(LEGEND);
        self.legend(&legend)?;
        let areas = panels.split_evenly((1, self.panels.len().max(1)));
        areas.iter().zip(&self.panels).try_for_each(|(area, panel)| self.panel(area, panel))
    }
}

impl Lines {
    /// The names of all lines, each once, in the order in which they come.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for series in self.panels.iter().flat_map(|panel| &panel.series) {
            if !names.contains(&series.name.as_str()) {
                names.push(&series.name);
            }
        }
        names
    }

    fn colour(&self, name: &str) -> RGBColor {
        let at = self.names().iter().position(|known| *known == name).unwrap_or_default();
        COLOURS[at % COLOURS.len()]
    }

    fn range(&self, scale: fn((f64, f64)) -> f64) -> Range<f64> {
        let all = self.panels.iter().flat_map(|panel| &panel.series).flat_map(|series| &series.places);
        spread(all.map(|place| scale(*place)))
    }

    fn panel<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, panel: &Panel) -> Result<(), Problem> {
        let (x, y) = (self.range(|place| place.0.log2()), self.range(|place| place.1.log10()));
        let mut builder = ChartBuilder::on(area);
        builder.margin(14).x_label_area_size(46).y_label_area_size(60).caption(panel.title.as_str(), theme::text(16));
        let mut chart = builder.build_cartesian_2d(x, y).map_err(problem)?;
        axes(&mut chart, (&self.x, &|x| short(x.exp2())), (&self.y, &|y| short(10_f64.powf(*y))))?;
        for series in &panel.series {
            let colour = self.colour(&series.name);
            let places: Vec<(f64, f64)> = series.places.iter().map(|(x, y)| (x.log2(), y.log10())).collect();
            let line = PathElement::new(places.clone(), colour.stroke_width(2));
            chart.plotting_area().draw(&line).map_err(problem)?;
            for place in places {
                chart.plotting_area().draw(&Circle::new(place, 3, colour.filled())).map_err(problem)?;
            }
        }
        Ok(())
    }

    fn legend<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
        let mut x = 60;
        for name in self.names() {
            area.draw(&Circle::new((x, 24), 5, self.colour(name).filled())).map_err(problem)?;
            area.draw(&Text::new(name, (x + 12, 16), theme::text(14))).map_err(problem)?;
            x += 40 + 8 * name.chars().count() as i32;
        }
        Ok(())
    }
}

/// A number in a few characters.
fn short(value: f64) -> String {
    if value < 0.1 {
        format!("{value:.2}")
    } else if value < 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}
