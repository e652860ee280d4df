//! Floating-point numbers.

use super::{Out, spec::Spec};

/// How `strconv.FormatFloat` lays a number out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `-ddd.dddd`
    Fixed,
    /// `-d.dddde±dd`
    Exponent,
    /// Whichever is short.
    General,
}

/// Digits and where the point stands: `0.d1d2d3… × 10^point`.
struct Decimal {
    digits: Vec<u8>,
    point: i32,
}

impl Decimal {
    /// Of a scientific notation `d.ddde±x` by Rust, which rounds as Go does.
    fn parse(scientific: &str) -> Self {
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
        let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
        Self { digits, point: exponent.parse::<i32>().unwrap_or(0) + 1 }
    }

    fn digit(&self, at: i32) -> u8 {
        usize::try_from(at).ok().and_then(|at| self.digits.get(at)).copied().unwrap_or(b'0')
    }

    fn fixed(&self, precision: usize) -> String {
        let mut text = String::new();
        for at in 0..self.point.max(1) {
            text.push(char::from(if self.point > 0 { self.digit(at) } else { b'0' }));
        }
        if precision > 0 {
            text.push('.');
            for at in 0..precision {
                text.push(char::from(
                    self.digit(self.point.saturating_add(i32::try_from(at).unwrap_or(i32::MAX))),
                ));
            }
        }
        text
    }

    fn exponent(&self, precision: usize) -> String {
        let mut text = String::from(char::from(self.digit(0)));
        if precision > 0 {
            text.push('.');
            for at in 1..=precision {
                text.push(char::from(self.digit(i32::try_from(at).unwrap_or(i32::MAX))));
            }
        }
        let exponent = if self.digits.iter().all(|d| *d == b'0') { 0 } else { self.point - 1 };
        let sign = if exponent < 0 { '-' } else { '+' };
        text + &format!("e{sign}{:02}", exponent.abs())
    }
}

/// More digits than any number has: behind them are zeros.
const DIGITS: usize = 1_100;

/// `strconv.FormatFloat`; without a precision, the shortest text that reads back as the same number.
pub(crate) fn format_float(value: f64, layout: Layout, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let value = value.abs();
    let shortest = || Decimal::parse(&format!("{value:e}"));
    let text = match (layout, precision) {
        (Layout::Fixed, Some(precision)) => {
            let exact = precision.min(DIGITS);
            let mut text = format!("{value:.exact$}");
            text.extend(std::iter::repeat_n('0', precision - exact));
            text
        }
        (Layout::Fixed, None) => {
            let decimal = shortest();
            let precision = i32::try_from(decimal.digits.len()).unwrap_or(0) - decimal.point;
            let precision = usize::try_from(precision).unwrap_or(0);
            decimal.fixed(if value == 0.0 { 0 } else { precision })
        }
        (Layout::Exponent, Some(precision)) => {
            Decimal::parse(&format!("{value:.*e}", precision.min(DIGITS))).exponent(precision)
        }
        (Layout::Exponent, None) => {
            let decimal = shortest();
            decimal.exponent(decimal.digits.len() - 1)
        }
        (Layout::General, precision) => {
            let decimal = match precision {
                Some(precision) => Decimal::parse(&format!("{value:.*e}", precision.clamp(1, DIGITS) - 1)),
                None => shortest(),
            };
            general(decimal, value, precision)
        }
    };
    format!("{sign}{text}")
}

fn general(mut decimal: Decimal, value: f64, precision: Option<usize>) -> String {
    while decimal.digits.len() > 1 && decimal.digits.last() == Some(&b'0') {
        decimal.digits.pop();
    }
    let digits = i32::try_from(decimal.digits.len()).unwrap_or(i32::MAX);
    let exponent = if value == 0.0 { 0 } else { decimal.point - 1 };
    let mut threshold = match precision {
        Some(precision) => i32::try_from(precision.max(1)).unwrap_or(i32::MAX),
        None => 6,
    };
    if precision.is_some() && threshold > digits && digits >= decimal.point {
        threshold = digits;
    }
    if exponent < -4 || exponent >= threshold {
        decimal.exponent(decimal.digits.len() - 1)
    } else if value == 0.0 {
        "0".into()
    } else {
        decimal.fixed(usize::try_from(digits - decimal.point).unwrap_or(0))
    }
}

/// A float by one of the verbs e, E, f, F, g, G and v.
pub(crate) fn print(out: &mut Out, value: f64, verb: char, spec: &Spec) {
    let (layout, default) = match verb {
        'e' | 'E' => (Layout::Exponent, Some(6)),
        'f' | 'F' => (Layout::Fixed, Some(6)),
        _ => (Layout::General, None),
    };
    let mut text = format_float(value, layout, spec.precision.or(default));
    if matches!(verb, 'E' | 'G') {
        text = text.replace('e', "E");
    }
    let is_finite = value.is_finite();
    let unsigned = text.trim_start_matches(['+', '-']).to_owned();
    let sign = if text.starts_with('-') {
        "-"
    } else if spec.plus {
        "+"
    } else if spec.space {
        " "
    } else if text.starts_with('+') {
        // Go always shows the sign of infinity.
        "+"
    } else {
        ""
    };
    let signed = format!("{sign}{unsigned}");
    match spec.width {
        Some(width) if spec.zero && !spec.minus && is_finite && width > signed.len() => {
            out.push(sign.as_bytes());
            out.repeat(b'0', width - signed.len());
            out.push(unsigned.as_bytes());
        }
        _ => spec.pad_with(out, signed.as_bytes(), b' '),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_text_is_gos() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (1e6, "1e+06"),
            (123_456.0, "123456"),
            (1_234_567.5, "1.2345675e+06"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1e21, "1e+21"),
            (-2.5, "-2.5"),
            (100.0, "100"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(format_float(value, Layout::General, None), text);
        }
        assert_eq!(format_float(1234.5678, Layout::General, Some(3)), "1.23e+03");
        assert_eq!(format_float(1e20, Layout::Fixed, None), "100000000000000000000");
        assert_eq!(format_float(2.5, Layout::Fixed, Some(0)), "2");
    }
}
