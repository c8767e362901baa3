//! `strftime_now`: the date that templates see. The operator sets it; it is not the clock's.

use minijinja::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The date that templates see. A prompt that changes from day to day could not be repeated from a record, so it is a
/// setting; without one it is 2024-07-26, the date that Llama's templates fall back to. The time is always midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PromptDate {
    year: u16,
    month: u8,
    day: u8,
}

/// A text that is not a date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no date; write it as 2024-07-26")]
pub struct NoDate(String);

impl Default for PromptDate {
    fn default() -> Self {
        Self { year: 2024, month: 7, day: 26 }
    }
}

impl FromStr for PromptDate {
    type Err = NoDate;

    fn from_str(text: &str) -> Result<Self, NoDate> {
        let wrong = || NoDate(text.to_owned());
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts[..] else { return Err(wrong()) };
        let digits = |text: &str, len: usize| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
        if !(digits(year, 4) && digits(month, 2) && digits(day, 2)) {
            return Err(wrong());
        }
        let date = Self {
            year: year.parse().map_err(|_| wrong())?,
            month: month.parse().map_err(|_| wrong())?,
            day: day.parse().map_err(|_| wrong())?,
        };
        let fits = (1..=12).contains(&date.month) && (1..=date.days_in(date.month)).contains(&date.day);
        if fits && date.year > 0 { Ok(date) } else { Err(wrong()) }
    }
}

impl TryFrom<String> for PromptDate {
    type Error = NoDate;

    fn try_from(text: String) -> Result<Self, NoDate> {
        text.parse()
    }
}

impl From<PromptDate> for String {
    fn from(date: PromptDate) -> Self {
        date.to_string()
    }
}

impl fmt::Display for PromptDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl PromptDate {
    fn days_in(self, month: u8) -> u8 {
        let leap = self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        match month {
            2 => 28 + u8::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn day_of_year(self) -> u32 {
        (1..self.month).map(|month| u32::from(self.days_in(month))).sum::<u32>() + u32::from(self.day)
    }

    /// 0 is Sunday.
    fn weekday(self) -> usize {
        let years = u32::from(self.year) - 1;
        ((years + years / 4 - years / 100 + years / 400 + self.day_of_year()) % 7) as usize
    }

    /// As Python's `strftime` writes it, in English.
    ///
    /// # Errors
    /// When the format has a directive that is not known.
    pub(super) fn strftime(self, format: &str) -> Result<String, Error> {
        let mut out = String::new();
        let mut rest = format.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let short = rest.as_str().starts_with('-');
            let directive = if short { rest.nth(1) } else { rest.next() };
            let part = directive.and_then(|directive| self.part(directive));
            let unknown = || format!("strftime_now does not know the format `{format}`");
            let part = part.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, unknown()))?;
            let trimmed = part.trim_start_matches('0');
            out.push_str(if !short {
                &part
            } else if trimmed.is_empty() {
                "0"
            } else {
                trimmed
            });
        }
        Ok(out)
    }

    fn part(self, directive: char) -> Option<String> {
        let (month, day) = (MONTHS[usize::from(self.month) - 1], DAYS[self.weekday()]);
        Some(match directive {
            'Y' => format!("{:04}", self.year),
            'y' => format!("{:02}", self.year % 100),
            'm' => format!("{:02}", self.month),
            'd' => format!("{:02}", self.day),
            'e' => format!("{:2}", self.day),
            'B' => month.to_owned(),
            'b' | 'h' => month[..3].to_owned(),
            'A' => day.to_owned(),
            'a' => day[..3].to_owned(),
            'w' => self.weekday().to_string(),
            'u' => if self.weekday() == 0 { 7 } else { self.weekday() }.to_string(),
            'j' => format!("{:03}", self.day_of_year()),
            'H' | 'M' | 'S' => "00".to_owned(),
            'I' => "12".to_owned(),
            'p' => "AM".to_owned(),
            'f' => "000000".to_owned(),
            'F' => self.to_string(),
            'D' => format!("{:02}/{:02}/{:02}", self.month, self.day, self.year % 100),
            'T' => "00:00:00".to_owned(),
            'R' => "00:00".to_owned(),
            'z' | 'Z' => String::new(),
            '%' => "%".to_owned(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::PromptDate;

    #[test]
    fn dates_are_written_as_python_writes_them() {
        let date = PromptDate::default();
        assert_eq!(
            date.strftime("%d %b %Y|%A, %-d %B %y|%j|%F").unwrap(),
            "26 Jul 2024|Friday, 26 July 24|208|2024-07-26"
        );
        let first: PromptDate = "2000-01-01".parse().unwrap();
        assert_eq!(first.strftime("%-d.%-m. %a %H:%M 100%%").unwrap(), "1.1. Sat 00:00 100%");
        assert!(date.strftime("%Q").is_err() && date.strftime("%").is_err());
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in
            ["", "2024", "2024-02-30", "2023-02-29", "2024-13-01", "2024-00-10", "0000-01-01", "24-1-1", "a-b-c"]
        {
            assert!(text.parse::<PromptDate>().is_err(), "{text}");
        }
        assert_eq!("2024-02-29".parse::<PromptDate>().unwrap().to_string(), "2024-02-29");
    }
}
