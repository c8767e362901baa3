//! Colours, marks and letters that all figures share.

use super::Problem;
use plotters::{
    prelude::{FontStyle, IntoFont, RGBColor, TextStyle},
    style::register_font as register,
};

/// The background of a file; in a page it becomes none.
pub(super) const WHITE: RGBColor = RGBColor(0xff, 0xff, 0xff);
/// Text and axes; in a page it becomes the page's own colour. Only `html` uses this value as well.
pub(super) const INK: RGBColor = RGBColor(0x1f, 0x23, 0x28);
/// Lines that help the eye; reads on light and on dark.
pub(super) const FAINT: RGBColor = RGBColor(0x8c, 0x95, 0x9f);
/// The region of the best results.
pub(super) const GOAL: RGBColor = RGBColor(0x2d, 0xa4, 0x4e);
/// A limit.
pub(super) const LIMIT: RGBColor = RGBColor(0xcf, 0x22, 0x2e);
/// Colours of methods, lines and parts; chosen to read on white and on black.
pub(super) const RED: RGBColor = RGBColor(0xd9, 0x48, 0x3b);
pub(super) const BLUE: RGBColor = RGBColor(0x2f, 0x7f, 0xe0);
pub(super) const GREEN: RGBColor = RGBColor(0x1a, 0x8f, 0x6c);
pub(super) const OCHRE: RGBColor = RGBColor(0xb0, 0x7d, 0x2b);
pub(super) const VIOLET: RGBColor = RGBColor(0xa8, 0x55, 0xc2);
pub(super) const TEAL: RGBColor = RGBColor(0x1d, 0x8f, 0xa8);
pub(super) const PINK: RGBColor = RGBColor(0xd1, 0x4f, 0x8f);

const FONT: &[u8] = include_bytes!("../../assets/dejavu-sans-latin.ttf");
const FAMILY: &str = "sans-serif";

/// Registers the embedded font with the plotting library, so that no font of the machine is used.
pub(super) fn register_font() -> Result<(), Problem> {
    register(FAMILY, FontStyle::Normal, FONT).map_err(|_| "the embedded font is damaged".into())
}

/// Text of this size in ink.
pub(super) fn text(size: u32) -> TextStyle<'static> {
    coloured(size, &INK)
}

/// Text of this size in some colour.
pub(super) fn coloured(size: u32, colour: &RGBColor) -> TextStyle<'static> {
    (FAMILY, size).into_font().color(colour)
}

/// How a point is drawn: one mark per variant of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Circle,
    Triangle,
    Square,
    Diamond,
    Cross,
}

/// The colour of a method's family.
pub(super) fn colour(method: &str) -> RGBColor {
    match method.split('+').next().unwrap_or(method) {
        "inference-guard" => RED,
        "beam" => GREEN,
        "best-of-n" => BLUE,
        "args" => VIOLET,
        "re-control" => OCHRE,
        "value-filtered-decoding" => TEAL,
        "dynamic-abstention" => PINK,
        _ => RGBColor(0x6e, 0x77, 0x81),
    }
}

/// The mark of a method's variant.
pub(super) fn mark(method: &str) -> Mark {
    match method.split_once('+').map(|(_, variant)| variant) {
        None => Mark::Circle,
        Some("lagrangian") => Mark::Triangle,
        Some("augmented") => Mark::Square,
        Some("critic") => Mark::Diamond,
        Some(_) => Mark::Cross,
    }
}
