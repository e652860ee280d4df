//! Go's `time.Time` and `time.Duration`.

use std::fmt;

use jiff::{Timestamp, civil::DateTime, tz::Offset};

use super::time_layout;

/// An instant and the zone it is shown in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) at: Timestamp,
    pub(crate) offset: Offset,
    /// Of the zone: `UTC`, `CEST`.
    pub(crate) abbreviation: String,
}

impl Moment {
    pub(crate) fn utc(at: Timestamp) -> Self {
        Self { at, offset: Offset::UTC, abbreviation: "UTC".into() }
    }

    /// Go's zero time, the first instant of the year 1.
    pub(crate) fn zero() -> Self {
        Self::utc(Timestamp::from_second(ZERO_SECONDS).unwrap_or(Timestamp::MIN))
    }

    pub(crate) fn civil(&self) -> DateTime {
        self.offset.to_datetime(self.at)
    }

    /// None outside of the years that can be told.
    pub(crate) fn add(&self, nanoseconds: i64) -> Option<Self> {
        let at = self.at.as_nanosecond().checked_add(i128::from(nanoseconds))?;
        Some(Self { at: Timestamp::from_nanosecond(at).ok()?, ..self.clone() })
    }

    pub(crate) fn format(&self, layout: &str) -> String {
        time_layout::format(self, layout)
    }

    pub(crate) fn rfc3339(&self) -> String {
        self.format("2006-01-02T15:04:05.999999999Z07:00")
    }
}

const ZERO_SECONDS: i64 = -62_135_596_800;

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
];

const SECOND: i128 = 1_000_000_000;

/// `time.ParseDuration`, in nanoseconds: `-1h30m`, `1.5s`.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: i128 = 0;
    loop {
        let whole = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, behind) = rest.split_at(whole);
        let (fraction, behind) = match behind.strip_prefix('.') {
            Some(behind) => behind.split_at(behind.bytes().take_while(u8::is_ascii_digit).count()),
            None => ("", behind),
        };
        if digits.is_empty() && fraction.is_empty() {
            return None;
        }
        let name = behind.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(behind.len());
        let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == &behind[..name])?;
        let digits: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        total = total.checked_add(digits.checked_mul(*unit)?)?;
        // Digits beyond a nanosecond do not count.
        let fraction = &fraction[..fraction.len().min(18)];
        if !fraction.is_empty() {
            let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
            total = total.checked_add(fraction.parse::<i128>().ok()? * unit / scale)?;
        }
        rest = &behind[name..];
        if rest.is_empty() {
            return i64::try_from(if is_negative { -total } else { total }).ok();
        }
    }
}

/// `time.Duration.String`: `1h30m0s`, `1.5s`, `2ms`.
pub(crate) fn format_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let magnitude = nanoseconds.unsigned_abs();
    let decimal = |value: u64, unit: u64, name: &str| {
        let digits = unit.ilog10() as usize;
        let fraction = format!("{:0digits$}", value % unit);
        let fraction = if digits == 0 { "" } else { fraction.trim_end_matches('0') };
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{}{point}{fraction}{name}", value / unit)
    };
    let text = match magnitude {
        0 => return "0s".into(),
        1..1_000 => format!("{magnitude}ns"),
        1_000..1_000_000 => decimal(magnitude, 1_000, "µs"),
        1_000_000..1_000_000_000 => decimal(magnitude, 1_000_000, "ms"),
        _ => {
            let minutes = magnitude / 60_000_000_000;
            let seconds = decimal(magnitude % 60_000_000_000, 1_000_000_000, "s");
            match minutes {
                0 => seconds,
                1..60 => format!("{minutes}m{seconds}"),
                _ => format!("{}h{}m{seconds}", minutes / 60, minutes % 60),
            }
        }
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_as_gos() {
        for (text, printed) in [
            ("95s", "1m35s"),
            ("1.5h", "1h30m0s"),
            ("-2h10m5s", "-2h10m5s"),
            ("1500ms", "1.5s"),
            ("1us", "1µs"),
            ("0", "0s"),
            ("+5m", "5m0s"),
            (".5s", "500ms"),
            ("1h1ns", "1h0m0.000000001s"),
            ("2500us", "2.5ms"),
        ] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), printed, "{text}");
        }
        for text in ["", "1", "h", "1d", "1h-1m", ".s", "99999999999h", "--1s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
