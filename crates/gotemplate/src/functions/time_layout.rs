//! Go's layouts: how January 2, 15:04:05 2006 would be written.

use std::fmt::Write;

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::Offset,
};

use super::moment::Moment;

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

/// A part of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'l> {
    Literal(&'l str),
    /// By its whole name.
    Month(bool),
    /// To two digits.
    MonthNumber(bool),
    Weekday(bool),
    /// With zeros, with spaces, or neither.
    Day(Fill),
    /// Of the year, in three places.
    YearDay(Fill),
    Hour24,
    Hour12(bool),
    Minute(bool),
    Second(bool),
    /// With its century.
    Year(bool),
    /// `PM` or `pm`.
    HalfDay(bool),
    Abbreviation,
    Offset {
        z_for_utc: bool,
        shape: Shape,
    },
    /// Digits with the separator before them; without `zeros`, trailing zeros are dropped.
    Fraction {
        separator: char,
        digits: usize,
        zeros: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fill {
    None,
    Zero,
    Space,
}

/// How much of an offset from UTC is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Hours,
    Minutes,
    ColonMinutes,
    Seconds,
    ColonSeconds,
}

impl Shape {
    fn colon(self) -> &'static str {
        if matches!(self, Shape::ColonMinutes | Shape::ColonSeconds) { ":" } else { "" }
    }

    fn has_minutes(self) -> bool {
        self != Shape::Hours
    }

    fn has_seconds(self) -> bool {
        matches!(self, Shape::Seconds | Shape::ColonSeconds)
    }
}

const fn offset(z_for_utc: bool, shape: Shape) -> Part<'static> {
    Part::Offset { z_for_utc, shape }
}

/// Longer ones before their beginnings.
const PARTS: [(&str, Part<'static>); 34] = [
    ("January", Part::Month(true)),
    ("Jan", Part::Month(false)),
    ("Monday", Part::Weekday(true)),
    ("Mon", Part::Weekday(false)),
    ("MST", Part::Abbreviation),
    ("002", Part::YearDay(Fill::Zero)),
    ("01", Part::MonthNumber(true)),
    ("02", Part::Day(Fill::Zero)),
    ("03", Part::Hour12(true)),
    ("04", Part::Minute(true)),
    ("05", Part::Second(true)),
    ("06", Part::Year(false)),
    ("15", Part::Hour24),
    ("1", Part::MonthNumber(false)),
    ("2006", Part::Year(true)),
    ("2", Part::Day(Fill::None)),
    ("__2", Part::YearDay(Fill::Space)),
    ("_2006", Part::Literal("_")),
    ("_2", Part::Day(Fill::Space)),
    ("3", Part::Hour12(false)),
    ("4", Part::Minute(false)),
    ("5", Part::Second(false)),
    ("PM", Part::HalfDay(true)),
    ("pm", Part::HalfDay(false)),
    ("-07:00:00", offset(false, Shape::ColonSeconds)),
    ("-070000", offset(false, Shape::Seconds)),
    ("-07:00", offset(false, Shape::ColonMinutes)),
    ("-0700", offset(false, Shape::Minutes)),
    ("-07", offset(false, Shape::Hours)),
    ("Z07:00:00", offset(true, Shape::ColonSeconds)),
    ("Z070000", offset(true, Shape::Seconds)),
    ("Z07:00", offset(true, Shape::ColonMinutes)),
    ("Z0700", offset(true, Shape::Minutes)),
    ("Z07", offset(true, Shape::Hours)),
];

/// Cuts a layout into its parts.
fn parts(layout: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut literal = 0;
    let mut at = 0;
    while at < layout.len() {
        let found = if layout.is_char_boundary(at) { part_at(&layout[at..]) } else { None };
        match found {
            Some((length, part)) => {
                if literal < at {
                    parts.push(Part::Literal(&layout[literal..at]));
                }
                parts.push(part);
                at += length;
                literal = at;
            }
            None => at += 1,
        }
    }
    if literal < layout.len() {
        parts.push(Part::Literal(&layout[literal..]));
    }
    parts
}

fn part_at(layout: &str) -> Option<(usize, Part<'static>)> {
    if let Some(separator) = layout.chars().next().filter(|c| matches!(c, '.' | ',')) {
        let behind = &layout[1..];
        let digit = behind.chars().next().filter(|c| matches!(c, '0' | '9'))?;
        let digits = behind.chars().take_while(|c| *c == digit).count();
        // More than a run of zeros or nines is no fraction.
        if behind[digits..].starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        return Some((digits + 1, Part::Fraction { separator, digits, zeros: digit == '0' }));
    }
    let (name, part) = PARTS.iter().find(|(name, _)| layout.starts_with(*name))?;
    if *name == "_2006" {
        return Some((1, *part));
    }
    // "Month" is not "Mon" and a "th".
    let is_short_name = matches!(part, Part::Month(false) | Part::Weekday(false));
    if is_short_name && layout[name.len()..].starts_with(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    Some((name.len(), *part))
}

/// `time.Time.Format`.
pub(super) fn format(moment: &Moment, layout: &str) -> String {
    let civil = moment.civil();
    let mut text = String::with_capacity(layout.len() + 16);
    for part in parts(layout) {
        write_part(&mut text, part, moment, civil);
    }
    text
}

fn write_part(text: &mut String, part: Part<'_>, moment: &Moment, civil: DateTime) {
    let month = MONTHS[usize::try_from(civil.month() - 1).unwrap_or(0) % 12];
    let day = DAYS[usize::try_from(civil.weekday().to_sunday_zero_offset()).unwrap_or(0) % 7];
    let hour12 = if civil.hour() % 12 == 0 { 12 } else { civil.hour() % 12 };
    // Writing to a String cannot fail.
    let _ = match part {
        Part::Literal(literal) => write!(text, "{literal}"),
        Part::Month(true) => write!(text, "{month}"),
        Part::Month(false) => write!(text, "{}", &month[..3]),
        Part::MonthNumber(false) => write!(text, "{}", civil.month()),
        Part::MonthNumber(true) => write!(text, "{:02}", civil.month()),
        Part::Weekday(true) => write!(text, "{day}"),
        Part::Weekday(false) => write!(text, "{}", &day[..3]),
        Part::Day(Fill::None) => write!(text, "{}", civil.day()),
        Part::Day(Fill::Zero) => write!(text, "{:02}", civil.day()),
        Part::Day(Fill::Space) => write!(text, "{:2}", civil.day()),
        Part::YearDay(Fill::Space) => write!(text, "{:3}", civil.date().day_of_year()),
        Part::YearDay(_) => write!(text, "{:03}", civil.date().day_of_year()),
        Part::Hour24 => write!(text, "{:02}", civil.hour()),
        Part::Hour12(false) => write!(text, "{hour12}"),
        Part::Hour12(true) => write!(text, "{hour12:02}"),
        Part::Minute(false) => write!(text, "{}", civil.minute()),
        Part::Minute(true) => write!(text, "{:02}", civil.minute()),
        Part::Second(false) => write!(text, "{}", civil.second()),
        Part::Second(true) => write!(text, "{:02}", civil.second()),
        Part::Year(true) => write!(text, "{:04}", civil.year()),
        Part::Year(false) => write!(text, "{:02}", civil.year().rem_euclid(100)),
        Part::HalfDay(true) => write!(text, "{}", if civil.hour() >= 12 { "PM" } else { "AM" }),
        Part::HalfDay(false) => write!(text, "{}", if civil.hour() >= 12 { "pm" } else { "am" }),
        Part::Abbreviation => write!(text, "{}", moment.abbreviation),
        Part::Offset { z_for_utc: true, .. } if moment.offset.seconds() == 0 => write!(text, "Z"),
        Part::Offset { shape, .. } => {
            let total = moment.offset.seconds();
            let magnitude = total.abs();
            let mut offset = format!("{}{:02}", if total < 0 { '-' } else { '+' }, magnitude / 3600);
            if shape.has_minutes() {
                let _ = write!(offset, "{}{:02}", shape.colon(), magnitude / 60 % 60);
            }
            if shape.has_seconds() {
                let _ = write!(offset, "{}{:02}", shape.colon(), magnitude % 60);
            }
            write!(text, "{offset}")
        }
        Part::Fraction { separator, digits, zeros } => {
            let mut fraction = format!("{:09}", civil.subsec_nanosecond());
            fraction.truncate(digits);
            fraction.extend(std::iter::repeat_n('0', digits - fraction.len()));
            let fraction = if zeros { &fraction } else { fraction.trim_end_matches('0') };
            if fraction.is_empty() { Ok(()) } else { write!(text, "{separator}{fraction}") }
        }
    };
}

/// What has been read of a time.
#[derive(Default)]
struct Fields {
    year: i16,
    month: i8,
    day: Option<i8>,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    is_afternoon: Option<bool>,
    offset: Option<i32>,
    abbreviation: Option<String>,
}

/// `time.Parse`.
pub(super) fn parse(layout: &str, text: &str) -> Option<Moment> {
    let mut fields = Fields::default();
    let mut rest = text;
    let parts = parts(layout);
    for (at, part) in parts.iter().enumerate() {
        rest = read_part(&mut fields, *part, rest, parts.get(at + 1))?;
    }
    if rest.is_empty() { fields.moment() } else { None }
}

/// Reads `part` off the beginning of `text`; what is left.
fn read_part<'t>(
    fields: &mut Fields,
    part: Part<'_>,
    text: &'t str,
    next: Option<&Part<'_>>,
) -> Option<&'t str> {
    match part {
        Part::Literal(literal) => literal_behind(literal, text),
        Part::Month(whole) => {
            let (month, rest) = name(&MONTHS, whole, text)?;
            fields.month = i8::try_from(month).ok()? + 1;
            Some(rest)
        }
        Part::Weekday(whole) => Some(name(&DAYS, whole, text)?.1),
        Part::MonthNumber(two) => {
            let (month, rest) = number(text, two, 12)?;
            fields.month = i8::try_from(month).ok().filter(|month| *month > 0)?;
            Some(rest)
        }
        Part::Day(fill) => {
            let text = if fill == Fill::Space { text.strip_prefix(' ').unwrap_or(text) } else { text };
            let (day, rest) = number(text, fill == Fill::Zero, 31)?;
            fields.day = i8::try_from(day).ok();
            Some(rest)
        }
        Part::YearDay(_) => {
            let digits = text.get(..3)?.trim_start();
            fields.year_day = Some(digits.parse().ok().filter(|day| (1..=366).contains(day))?);
            Some(&text[3..])
        }
        Part::Hour24 => read(&mut fields.hour, text, true, 23),
        Part::Hour12(two) => read(&mut fields.hour, text, two, 12),
        Part::Minute(two) => read(&mut fields.minute, text, two, 59),
        Part::Second(two) => {
            let rest = read(&mut fields.second, text, two, 59)?;
            // A fraction may follow even where the layout has none.
            let has_fraction =
                rest.starts_with(['.', ',']) && rest[1..].starts_with(|c: char| c.is_ascii_digit());
            if has_fraction && !matches!(next, Some(Part::Fraction { .. })) {
                let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
                fields.nanosecond = nanoseconds(&rest[1..=digits])?;
                return Some(&rest[digits + 1..]);
            }
            Some(rest)
        }
        Part::Year(true) => {
            let digits = text.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
            fields.year = digits.parse().ok()?;
            Some(&text[4..])
        }
        Part::Year(false) => {
            let (year, rest) = number(text, true, 99)?;
            fields.year = i16::try_from(year).ok()? + if year >= 69 { 1900 } else { 2000 };
            Some(rest)
        }
        Part::HalfDay(upper) => {
            let (am, pm) = if upper { ("AM", "PM") } else { ("am", "pm") };
            fields.is_afternoon = Some(text.starts_with(pm));
            text.strip_prefix(pm).or_else(|| text.strip_prefix(am))
        }
        Part::Abbreviation => {
            let length = text.bytes().take_while(u8::is_ascii_uppercase).count();
            if !(3..=5).contains(&length) {
                return None;
            }
            fields.abbreviation = Some(text[..length].to_owned());
            Some(&text[length..])
        }
        Part::Offset { z_for_utc: true, .. } if text.starts_with('Z') => {
            fields.offset = Some(0);
            Some(&text[1..])
        }
        Part::Offset { shape, .. } => {
            let sign = match text.chars().next()? {
                '+' => 1,
                '-' => -1,
                _ => return None,
            };
            let (hours, mut rest) = number(&text[1..], true, 24)?;
            let mut total = hours * 3600;
            for (unit, wanted) in [(60, shape.has_minutes()), (1, shape.has_seconds())] {
                if wanted {
                    let digits = rest.strip_prefix(shape.colon())?;
                    let (value, behind) = number(digits, true, 59)?;
                    total += value * unit;
                    rest = behind;
                }
            }
            fields.offset = Some(sign * total);
            Some(rest)
        }
        Part::Fraction { digits, zeros, .. } => {
            if !text.starts_with(['.', ',']) {
                return if zeros { None } else { Some(text) };
            }
            let found = text[1..].bytes().take_while(u8::is_ascii_digit).count();
            let length = if zeros { digits } else { found };
            if found < length || length == 0 {
                return None;
            }
            fields.nanosecond = nanoseconds(&text[1..=length])?;
            Some(&text[length + 1..])
        }
    }
}

/// A space in a layout stands for any number of them.
fn literal_behind<'t>(literal: &str, text: &'t str) -> Option<&'t str> {
    let mut rest = text;
    let mut chars = literal.chars().peekable();
    while let Some(c) = chars.next() {
        if c == ' ' {
            if !rest.is_empty() && !rest.starts_with(' ') {
                return None;
            }
            rest = rest.trim_start_matches(' ');
            while chars.next_if_eq(&' ').is_some() {}
        } else {
            rest = rest.strip_prefix(c)?;
        }
    }
    Some(rest)
}

/// Of a list, or its first three letters, whatever the case.
fn name<'t>(names: &[&str], whole: bool, text: &'t str) -> Option<(usize, &'t str)> {
    names.iter().enumerate().find_map(|(at, name)| {
        let name = if whole { name } else { &name[..3] };
        let found = text.get(..name.len()).filter(|found| found.eq_ignore_ascii_case(name))?;
        Some((at, &text[found.len()..]))
    })
}

/// One or two digits, or just two.
fn number(text: &str, two: bool, most: i32) -> Option<(i32, &str)> {
    let count = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    if count == 0 || two && count < 2 {
        return None;
    }
    let value = text[..count].parse().ok().filter(|value| *value <= most)?;
    Some((value, &text[count..]))
}

fn read<'t>(field: &mut i8, text: &'t str, two: bool, most: i32) -> Option<&'t str> {
    let (value, rest) = number(text, two, most)?;
    *field = i8::try_from(value).ok()?;
    Some(rest)
}

fn nanoseconds(digits: &str) -> Option<i32> {
    let digits: String = digits.chars().chain("000000000".chars()).take(9).collect();
    digits.parse().ok()
}

impl Fields {
    fn moment(mut self) -> Option<Moment> {
        match self.is_afternoon {
            Some(true) if self.hour < 12 => self.hour += 12,
            Some(false) if self.hour == 12 => self.hour = 0,
            _ => {}
        }
        let date = match self.year_day {
            Some(day) => {
                let first = Date::new(self.year, 1, 1).ok()?;
                let date = first.checked_add(jiff::Span::new().days(i64::from(day) - 1)).ok()?;
                let agrees = (self.month == 0 || self.month == date.month())
                    && self.day.is_none_or(|day| day == date.day())
                    && date.year() == self.year;
                agrees.then_some(date)?
            }
            None => Date::new(self.year, self.month.max(1), self.day.unwrap_or(1)).ok()?,
        };
        let civil = date.at(self.hour, self.minute, self.second, self.nanosecond);
        let offset = Offset::from_seconds(self.offset.unwrap_or(0)).ok()?;
        let at: Timestamp = offset.to_timestamp(civil).ok()?;
        let abbreviation = match (self.abbreviation, self.offset) {
            (Some(name), _) => name,
            (None, None | Some(0)) => "UTC".into(),
            // A zone without a name shows its offset.
            (None, Some(_)) => unnamed(offset),
        };
        Some(Moment { at, offset, abbreviation })
    }
}

/// As `MST` prints a zone that has only an offset.
fn unnamed(offset: Offset) -> String {
    let seconds = offset.seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    format!("{sign}{:02}{:02}", seconds.abs() / 3600, seconds.abs() / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_read_and_written() {
        let text = "Thu, 29 Feb 2024 13:04:05.12 +0200";
        let layout = "Mon, 02 Jan 2006 15:04:05.00 -0700";
        let moment = parse(layout, text).unwrap();
        assert_eq!(moment.civil().weekday(), jiff::civil::Weekday::Thursday);
        assert_eq!(moment.format(layout), text);
        assert_eq!(
            moment.format("3:4:5 PM _2 Monday Month 06 .999 002"),
            "1:4:5 PM 29 Thursday Month 24 .12 060"
        );
        assert_eq!(moment.format("Z07:00 MST"), "+02:00 +0200");
        for text in ["2024-02-30", "2024-13-01", "2024-2-01", "24-02-01", "2024-02-01x", ""] {
            assert_eq!(parse("2006-01-02", text), None, "{text}");
        }
    }
}
