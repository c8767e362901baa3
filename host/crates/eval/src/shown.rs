//! A report as it is shown: Markdown, CSV, JSON, figures and a page.

use crate::{EvalError, Report, csv_table, html, journal::write_whole, plots, table};
use std::{fmt, path::Path};

impl Report {
    /// The tables as Markdown, all of them.
    #[must_use]
    pub fn markdown(&self) -> String {
        table::markdown(self)
    }

    /// One line per model and row, and those of the paper.
    #[must_use]
    pub fn csv(&self) -> String {
        csv_table::table(self)
    }

    /// Its JSON, without the answers.
    ///
    /// # Errors
    /// [`EvalError::Json`].
    pub fn json(&self) -> Result<String, EvalError> {
        Ok(serde_json::to_string_pretty(&Self { answers: Vec::new(), ..self.clone() })?)
    }

    /// Writes `table.md`, `table.csv`, `report.json`, the figures and `report.html` into a folder.
    ///
    /// # Errors
    /// [`EvalError::Write`], [`EvalError::Picture`], [`EvalError::Page`].
    pub fn write(&self, folder: &Path) -> Result<(), EvalError> {
        let write = |name: &str, bytes: &[u8]| write_whole(&folder.join(name), bytes);
        write("table.md", self.markdown().as_bytes())?;
        write("table.csv", self.csv().as_bytes())?;
        write("report.json", self.json()?.as_bytes())?;
        let pictures = plots::all(self)?;
        for picture in &pictures {
            write(&format!("{}.svg", picture.name), picture.svg.as_bytes())?;
            write(&format!("{}.png", picture.name), &picture.png)?;
        }
        write("report.html", html::page(self, &pictures)?.as_bytes())
    }
}

/// The summary: one table per model.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&table::summary(self))
    }
}
