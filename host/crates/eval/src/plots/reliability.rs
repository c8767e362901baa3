//! The reliability plot: how often a predicted event happens.

use super::theme;
use crate::EvalError;
use plotters::prelude::*;
use serde::Serialize;

const SIZE: (u32, u32) = (560, 560);
const INK: RGBColor = RGBColor(40, 70, 130);
const PALE: RGBColor = RGBColor(205, 213, 228);

/// One bin of predicted probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Examples in it.
    pub count: usize,
    /// Their mean probability.
    pub predicted: f64,
    /// The share of them that came true.
    pub observed: f64,
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Draws bins as SVG, with these names of the predicted and the observed axis: one dot per bin, the diagonal of perfect
/// calibration, and pale bars for the share of examples.
///
/// # Errors
/// [`EvalError::Picture`].
pub fn reliability(title: &str, axes: [&str; 2], bins: &[Bin]) -> Result<String, EvalError> {
    let mut svg = String::new();
    let failed =
        |error: Box<dyn std::error::Error>| EvalError::Picture { name: "reliability", reason: error.to_string() };
    draw(&mut svg, title, axes, bins).map_err(failed)?;
    Ok(svg)
}

fn draw(svg: &mut String, title: &str, [predicted, observed]: [&str; 2], bins: &[Bin]) -> Drawn {
    theme::register_font().map_err(|problem| problem.to_string())?;
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(230, 230, 230))
        .x_desc(predicted)
        .y_desc(format!("{observed} (bars: share of all examples)"))
        .label_style(("sans-serif", 13))
        .draw()?;
    let total = bins.iter().map(|bin| bin.count).sum::<usize>().max(1) as f64;
    chart.draw_series(bins.iter().map(|bin| {
        let height = bin.count as f64 / total;
        Rectangle::new([(bin.predicted - 0.012, 0.0), (bin.predicted + 0.012, height)], PALE.filled())
    }))?;
    chart.draw_series([PathElement::new([(0.0, 0.0), (1.0, 1.0)], RGBColor(150, 150, 150))])?;
    chart.draw_series([PathElement::new(points(bins), INK.stroke_width(2))])?;
    chart.draw_series(points(bins).into_iter().map(|at| Circle::new(at, 4, INK.filled())))?;
    root.present()?;
    Ok(())
}

fn points(bins: &[Bin]) -> Vec<(f64, f64)> {
    bins.iter().map(|bin| (bin.predicted, bin.observed)).collect()
}
