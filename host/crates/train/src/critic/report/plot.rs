//! The reliability plot: how often what was predicted came true.

use super::metrics::Bin;
use crate::critic::error::{CriticError, Result};
use plotters::{prelude::*, style::register_font};

const SIZE: (u32, u32) = (560, 560);
const INK: RGBColor = RGBColor(40, 70, 130);
const PALE: RGBColor = RGBColor(205, 213, 228);

/// Draws it as SVG: one dot per bin, the diagonal of perfect calibration, and pale bars for the share of examples.
///
/// # Errors
/// When drawing fails.
pub(super) fn reliability(title: &str, bins: &[Bin]) -> Result<String> {
    let mut svg = String::new();
    draw(&mut svg, title, bins).map_err(|error| CriticError::Plot(error.to_string()))?;
    Ok(svg)
}

/// The letters of all our figures; no font of the machine is used.
const FONT: &[u8] = include_bytes!("../../../../eval/assets/dejavu-sans-latin.ttf");

type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn draw(svg: &mut String, title: &str, bins: &[Bin]) -> Drawn {
    register_font("sans-serif", FontStyle::Normal, FONT).map_err(|_| "the embedded font is damaged")?;
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
        .x_desc("predicted P(safe to the end)")
        .y_desc("share that stayed safe (bars: share of all examples)")
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
