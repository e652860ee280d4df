//! Kubernetes quantities: numbers with a suffix, `250m`, `16Gi`, `1e3`.

/// An amount of something, exact to the nano unit, remembering the notation it was written in.
///
/// Sums keep the notation of the first non-zero operand, as Kubernetes does: memory stays in `Ki`, CPU in `m`.
///
/// ```
/// use meta::Quantity;
/// let total: Quantity = ["500m", "2", "1500m"].iter().map(|q| q.parse::<Quantity>().unwrap()).sum();
/// assert_eq!(total.to_string(), "4");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// `n`, `u`, `m`, nothing, `k`, `M`, `G`, `T`, `P`, `E`.
    Decimal,
    /// `Ki`, `Mi`, `Gi`, `Ti`, `Pi`, `Ei`.
    Binary,
    /// `e3`, `E6`.
    Exponent,
}

/// The text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a quantity such as 500m, 2 or 16Gi")]
pub struct ParseQuantityError(String);

const NANO: i128 = 1_000_000_000;
const DECIMAL: [(&str, i128); 10] = [
    ("E", NANO * 1_000_000_000_000_000_000),
    ("P", NANO * 1_000_000_000_000_000),
    ("T", NANO * 1_000_000_000_000),
    ("G", NANO * 1_000_000_000),
    ("M", NANO * 1_000_000),
    ("k", NANO * 1_000),
    ("", NANO),
    ("m", 1_000_000),
    ("u", 1_000),
    ("n", 1),
];
const BINARY: [(&str, i128); 6] = [
    ("Ei", NANO << 60),
    ("Pi", NANO << 50),
    ("Ti", NANO << 40),
    ("Gi", NANO << 30),
    ("Mi", NANO << 20),
    ("Ki", NANO << 10),
];

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { nanos: 0, format: Format::Decimal };

    /// Whether the amount is zero.
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }
}

impl std::str::FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseQuantityError(text.chars().take(40).collect());
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (unit, format) = unit(suffix).ok_or_else(error)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(error());
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| error())? };
        let mut nanos = whole.checked_mul(unit).ok_or_else(error)?;
        let mut place = unit;
        for digit in fraction.bytes() {
            place /= 10;
            nanos = nanos.checked_add(i128::from(digit - b'0') * place).ok_or_else(error)?;
        }
        Ok(Self { nanos: if negative { -nanos } else { nanos }, format })
    }
}

/// The unit a suffix stands for, in nanos.
fn unit(suffix: &str) -> Option<(i128, Format)> {
    if let Some((_, unit)) = BINARY.iter().find(|(s, _)| *s == suffix) {
        return Some((*unit, Format::Binary));
    }
    if let Some((_, unit)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
        return Some((*unit, Format::Decimal));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let unit = match exponent {
        0..=18 => NANO.checked_mul(10_i128.checked_pow(exponent as u32)?)?,
        -9..=-1 => NANO / 10_i128.pow(exponent.unsigned_abs()),
        _ => return None,
    };
    Some((unit, Format::Exponent))
}

impl std::ops::Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let format = if self.nanos == 0 { other.format } else { self.format };
        Self { nanos: self.nanos.saturating_add(other.nanos), format }
    }
}

impl std::iter::Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, |a, b| a + b)
    }
}

impl std::fmt::Display for Quantity {
    /// The canonical form: the largest suffix that leaves a whole number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let binary = BINARY.iter().take(if self.format == Format::Binary { BINARY.len() } else { 0 });
        let fits = |unit: i128| self.nanos % unit == 0;
        if let Some((suffix, unit)) = binary.chain(DECIMAL.iter()).find(|(s, unit)| {
            // A binary amount below 1Ki is printed plainly, never as 1k.
            (self.format != Format::Binary || !matches!(*s, "E" | "P" | "T" | "G" | "M" | "k")) && fits(*unit)
        }) {
            return match (self.format, DECIMAL.iter().position(|(s, _)| s == suffix)) {
                (Format::Exponent, Some(place)) if place != 6 => {
                    write!(f, "{}e{}", self.nanos / unit, (6 - place as i32) * 3)
                }
                _ => write!(f, "{}{suffix}", self.nanos / unit),
            };
        }
        write!(f, "{}n", self.nanos)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        text.parse::<Quantity>().unwrap().to_string()
    }

    #[test]
    fn prints_the_canonical_form_kubernetes_prints() {
        for (given, expected) in [
            ("0", "0"),
            ("1000m", "1"),
            ("250m", "250m"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1024Ki", "1Mi"),
            ("16393248Ki", "16393248Ki"),
            ("1000", "1k"),
            ("1e3", "1e3"),
            ("100n", "100n"),
            ("512", "512"),
            ("-2", "-2"),
        ] {
            assert_eq!(canonical(given), expected, "{given}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_quantity() {
        for bad in ["", "m", "1.2.3", "1Kib", "one", "1 Gi", "--1", "1e99"] {
            assert!(bad.parse::<Quantity>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sum_keeps_the_notation_of_its_first_part() {
        let sum =
            ["0", "8196624Ki", "8196624Ki"].iter().map(|q| q.parse::<Quantity>().unwrap()).sum::<Quantity>();
        assert_eq!(sum.to_string(), "16393248Ki");
    }

    proptest! {
        #[test]
        fn printing_and_reading_again_changes_nothing(n in 0_i64..1_000_000_000, s in "(n|u|m||k|M|G|Ki|Mi|Gi)") {
            let first: Quantity = format!("{n}{s}").parse().unwrap();
            let again: Quantity = first.to_string().parse().unwrap();
            prop_assert_eq!(first.nanos, again.nanos);
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(s in "\\PC{0,40}") {
            let _ = s.parse::<Quantity>();
        }
    }
}
