//! Draws how the optimum of a finite penalty changes as the penalty grows, over hundreds of random decision problems.
//!
//! `cargo run --release -p inferenceguard-guarantee-tests --example penalty -- FOLDER` writes `penalty.csv` and
//! `penalty.svg` there. Labels are placed by hand: the SVG then needs no font at the time it is drawn.

use inferenceguard_guarantee_tests::{Row, random, sweep};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};
use safety_budget::SafetyBudget;
use std::{error::Error, fmt::Write as _, path::PathBuf};

/// Problems, and the seed they come from.
const PROBLEMS: (u64, usize) = (1, 2000);

/// n/C from 10^-1 to 10^3, this many steps to a power of ten.
const DECADES: std::ops::RangeInclusive<i32> = -1..=3;
const STEPS: i32 = 24;

const SIZE: (u32, u32) = (1000, 430);

/// Where the legend of each chart begins: nothing is drawn there.
const LEGEND: (i32, i32) = (262, 62);

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// One line of a chart.
struct Line {
    label: &'static str,
    colour: RGBColor,
    width: u32,
    of: fn(&Row) -> f64,
}

const RISK: [Line; 4] = [
    Line { label: "bound 2C/n", colour: RGBColor(150, 150, 150), width: 4, of: |row| row.bound },
    Line { label: "largest, penalty discounted", colour: RGBColor(230, 150, 30), width: 2, of: |row| row.discounted },
    Line { label: "largest", colour: RGBColor(190, 40, 40), width: 2, of: |row| row.largest },
    Line { label: "mean", colour: RGBColor(30, 90, 180), width: 2, of: |row| row.mean },
];

const VALUE: [Line; 2] = [
    Line { label: "share with a safe optimum", colour: RGBColor(40, 140, 70), width: 2, of: |row| row.safe },
    Line { label: "(J∞ − Jn) / C, mean", colour: RGBColor(120, 60, 160), width: 2, of: |row| row.gap },
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).map(PathBuf::from).ok_or("name a folder for penalty.csv and penalty.svg")?;
    let ratios: Vec<f64> = (DECADES.start() * STEPS..=DECADES.end() * STEPS)
        .map(|step| 10_f64.powf(f64::from(step) / f64::from(STEPS)))
        .collect();
    let rows = sweep(&random::family(PROBLEMS.0, PROBLEMS.1), &SafetyBudget, &ratios)?;
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("penalty.csv"), csv(&rows)?)?;
    let svg = folder.join("penalty.svg");
    let canvas = SVGBackend::new(&svg, SIZE).into_drawing_area();
    canvas.fill(&WHITE)?;
    let (left, right) = canvas.split_horizontally(SIZE.0 / 2);
    chart(&left, "P(unsafe) of the optimal policy", &RISK, &rows)?;
    chart(&right, "How far the optimum is from that of n = ∞", &VALUE, &rows)?;
    canvas.present()?;
    Ok(())
}

fn csv(rows: &[Row]) -> Result<String, std::fmt::Error> {
    let mut text = String::from("n_over_c,mean,largest,bound,discounted_largest,gap,safe_share\n");
    for Row { ratio, mean, largest, bound, discounted, gap, safe } in rows {
        writeln!(text, "{ratio:.5},{mean:.6},{largest:.6},{bound:.6},{discounted:.6},{gap:.6},{safe:.6}")?;
    }
    Ok(text)
}

fn chart(area: &Canvas<'_>, title: &str, lines: &[Line], rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let (low, high) = (10_f64.powi(*DECADES.start()), 10_f64.powi(*DECADES.end()));
    let mut builder = ChartBuilder::on(area);
    builder.margin_top(40).margin_right(20).margin_left(60).margin_bottom(60);
    let mut chart = builder.build_cartesian_2d((low..high).log_scale(), 0.0..1.0)?;
    let grid = RGBColor(225, 225, 225);
    for decade in DECADES {
        let x = 10_f64.powi(decade);
        chart.draw_series([PathElement::new(vec![(x, 0.0), (x, 1.0)], grid)])?;
        chart.draw_series([EmptyElement::at((x, 0.0)) + label(&x.to_string(), (0, 8), HPos::Center)])?;
    }
    for quarter in 0..=4 {
        let y = f64::from(quarter) / 4.0;
        chart.draw_series([PathElement::new(vec![(low, y), (high, y)], grid)])?;
        chart.draw_series([EmptyElement::at((low, y)) + label(&y.to_string(), (-8, -7), HPos::Right)])?;
    }
    for line in lines {
        let points = rows.iter().map(|row| (row.ratio, (line.of)(row).min(1.0)));
        chart.draw_series([PathElement::new(points.collect::<Vec<_>>(), line.colour.stroke_width(line.width))])?;
    }
    area.draw(&label(title, (60, 14), HPos::Left))?;
    area.draw(&label("n / C", (SIZE.0 as i32 / 4 + 20, SIZE.1 as i32 - 34), HPos::Center))?;
    legend(area, lines)
}

fn legend(area: &Canvas<'_>, lines: &[Line]) -> Result<(), Box<dyn Error>> {
    let (left, top) = LEGEND;
    for (y, line) in (top..).step_by(20).zip(lines) {
        let stroke = line.colour.stroke_width(line.width);
        area.draw(&PathElement::new(vec![(left, y), (left + 26, y)], stroke))?;
        area.draw(&label(line.label, (left + 34, y - 7), HPos::Left))?;
    }
    Ok(())
}

fn label(text: &str, at: (i32, i32), side: HPos) -> Text<'static, (i32, i32), String> {
    let style = TextStyle::from(("sans-serif", 14).into_font()).pos(Pos::new(side, VPos::Top));
    Text::new(text.to_owned(), at, style)
}
