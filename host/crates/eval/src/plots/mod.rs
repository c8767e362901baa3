//! The paper's figures with our numbers, and other plots: as SVG and as PNG.

mod answers;
mod bars;
mod curve;
mod labels;
mod lines;
mod reliability;
mod scatter;
mod theme;
mod violin;

pub use bars::Bars;
pub use lines::{Lines, Panel, Series};
pub use reliability::{Bin, reliability};

pub(crate) use answers::{sample, verdict_text};

use crate::{Curve, EvalError, Graded, Report};
use plotters::{
    coord::Shift,
    prelude::{BitMapBackend, DrawingArea, DrawingBackend, IntoDrawingArea, SVGBackend},
};

/// A figure, drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The stem of its files.
    pub name: String,
    /// Its model.
    pub model: String,
    /// What it shows, in a sentence.
    pub caption: String,
    /// Whether it is a panel of text. A page shows such text itself, not the picture.
    pub is_text: bool,
    /// As SVG, on white.
    pub svg: String,
    /// As PNG.
    pub png: Vec<u8>,
}

/// Something that can be drawn on any back end.
trait Drawing {
    /// Which figure, for errors.
    const NAME: &'static str;

    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Problem>;
}

/// An error of the plotting library, in words.
type Problem = Box<dyn std::error::Error + Send + Sync>;

/// All figures of a report: per model Figure 2 and 3, and Figure 4 if there are two rows to set side by side.
///
/// # Errors
/// [`EvalError::Picture`].
pub fn all(report: &Report) -> Result<Vec<Picture>, EvalError> {
    let mut pictures = Vec::new();
    for model in report.settings.models.iter().map(|model| model.name.as_str()) {
        let answers: Vec<&Graded> = report.answers.iter().filter(|graded| graded.model == model).collect();
        let several = report.settings.models.len() > 1;
        let suffix = if several { format!("-{}", file_name(model)) } else { String::new() };
        let frame = |name: &str, about: &str| Picture {
            name: format!("{name}{suffix}"),
            model: model.to_owned(),
            caption: format!("{model}: {about}"),
            is_text: name == "figure4",
            svg: String::new(),
            png: Vec::new(),
        };
        if !answers.is_empty() {
            pictures.push(drawn(&scatter::Figure2::new(report, model), frame("figure2", FIGURE_2))?);
            pictures.push(drawn(&violin::Figure3::new(report, &answers), frame("figure3", FIGURE_3))?);
        }
        if let Some(figure) = answers::Figure4::new(report, &answers) {
            pictures.push(drawn(&figure, frame("figure4", FIGURE_4))?);
        }
    }
    Ok(pictures)
}

/// The plot of a calibration: shares of prompts, and reward, over budgets.
///
/// # Errors
/// [`EvalError::Picture`].
pub fn curve(curve: &Curve) -> Result<Picture, EvalError> {
    let (name, caption) = ("calibration".to_owned(), "shares of prompts, and reward, over budgets".to_owned());
    let (model, is_text) = (String::new(), false);
    drawn(curve, Picture { name, model, caption, is_text, svg: String::new(), png: Vec::new() })
}

/// The plot of a bench: where the time of rows went.
///
/// # Errors
/// [`EvalError::Picture`].
pub fn bars(bars: &Bars) -> Result<Picture, EvalError> {
    let (name, caption) = ("time".to_owned(), "where the time went; the line is what the hardware allows".to_owned());
    let (model, is_text) = (String::new(), false);
    drawn(bars, Picture { name, model, caption, is_text, svg: String::new(), png: Vec::new() })
}

/// A plot of lines over a number that doubles.
///
/// # Errors
/// [`EvalError::Picture`].
pub fn lines(lines: &Lines, name: &str, caption: &str) -> Result<Picture, EvalError> {
    let (name, caption, model, is_text) = (name.to_owned(), caption.to_owned(), String::new(), false);
    drawn(lines, Picture { name, model, caption, is_text, svg: String::new(), png: Vec::new() })
}

const FIGURE_2: &str = "reward against safety, and safety against seconds per prompt, with 95 % intervals. Safe is within budget or \
                        refused; the legend tells them apart. Tinted: at least 90 % safe; on the left also no less rewarding than the unguarded model.";
const FIGURE_3: &str = "how the reward of answers and their largest running cost are spread over prompts. In brackets: \
                        how many of the prompts were answered. Tick: the median. \
                        Strong line: the budget.";
const FIGURE_4: &str = "one prompt, answered by every method.";

/// A name with only characters that file names allow.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '-' || c == '.' { c } else { '-' }).collect()
}

fn drawn<D: Drawing>(drawing: &D, frame: Picture) -> Result<Picture, EvalError> {
    let failed = |reason: Problem| EvalError::Picture { name: D::NAME, reason: reason.to_string() };
    theme::register_font().map_err(failed)?;
    Ok(Picture { svg: svg(drawing).map_err(failed)?, png: png(drawing).map_err(failed)?, ..frame })
}

fn svg<D: Drawing>(drawing: &D) -> Result<String, Problem> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, drawing.size()).into_drawing_area();
        fill_and_draw(drawing, &area)?;
    }
    Ok(svg)
}

fn png<D: Drawing>(drawing: &D) -> Result<Vec<u8>, Problem> {
    let (width, height) = drawing.size();
    let mut pixels = vec![0; width as usize * height as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        fill_and_draw(drawing, &area)?;
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}

fn fill_and_draw<D: Drawing, B: DrawingBackend>(drawing: &D, area: &DrawingArea<B, Shift>) -> Result<(), Problem> {
    area.fill(&theme::WHITE).map_err(problem)?;
    drawing.draw(area)?;
    area.present().map_err(problem)
}

/// Keeps the message of a library error: the error itself holds the drawing back end.
fn problem(error: impl std::fmt::Display) -> Problem {
    error.to_string().into()
}
