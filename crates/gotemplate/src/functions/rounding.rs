//! Decimal arithmetic, so that 0.1 and 0.2 are 0.3.

/// `value × 10^exponent`; or a plain float, where a decimal would not fit into 128 bits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decimal {
    Exact { value: i128, exponent: i32 },
    Float(f64),
}

/// Digits behind the point of a quotient.
const QUOTIENT_DIGITS: i32 = 16;

impl From<f64> for Decimal {
    /// Of the shortest decimal that reads as `float`.
    fn from(float: f64) -> Self {
        let text = format!("{float:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = mantissa.replace('.', "");
        let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        match (digits.parse(), exponent.parse::<i32>(), i32::try_from(fraction)) {
            (Ok(value), Ok(exponent), Ok(fraction)) => {
                Decimal::Exact { value, exponent: exponent - fraction }
            }
            _ => Decimal::Float(float),
        }
    }
}

impl From<Decimal> for f64 {
    fn from(decimal: Decimal) -> Self {
        match decimal {
            Decimal::Exact { value, exponent } => format!("{value}e{exponent}").parse().unwrap_or(f64::NAN),
            Decimal::Float(float) => float,
        }
    }
}

impl Decimal {
    pub(super) fn add(self, other: Self) -> Self {
        self.aligned(other, i128::checked_add, |a, b| a + b)
    }

    pub(super) fn subtract(self, other: Self) -> Self {
        self.aligned(other, i128::checked_sub, |a, b| a - b)
    }

    pub(super) fn multiply(self, other: Self) -> Self {
        if let (Decimal::Exact { value: a, exponent: x }, Decimal::Exact { value: b, exponent: y }) =
            (self, other)
            && let Some(value) = a.checked_mul(b)
        {
            return Decimal::Exact { value, exponent: x + y };
        }
        Decimal::Float(f64::from(self) * f64::from(other))
    }

    /// To 16 digits behind the point, half away from zero. `other` is not 0.
    pub(super) fn divide(self, other: Self) -> Self {
        if let (Decimal::Exact { value: a, exponent: x }, Decimal::Exact { value: b, exponent: y }) =
            (self, other)
            && let Some((a, b)) = scaled(a, x - y + QUOTIENT_DIGITS, b)
            && b != 0
        {
            let (quotient, rest) = (a / b, a % b);
            let up = rest.unsigned_abs() >= b.unsigned_abs().div_ceil(2);
            let away = if (a < 0) == (b < 0) { 1 } else { -1 };
            let value = if up { quotient + away } else { quotient };
            return Decimal::Exact { value, exponent: -QUOTIENT_DIGITS };
        }
        Decimal::Float(f64::from(self) / f64::from(other))
    }

    fn aligned(self, other: Self, exact: fn(i128, i128) -> Option<i128>, float: fn(f64, f64) -> f64) -> Self {
        if let (Decimal::Exact { value: a, exponent: x }, Decimal::Exact { value: b, exponent: y }) =
            (self, other)
        {
            let exponent = x.min(y);
            let a = power(x - exponent).and_then(|factor| a.checked_mul(factor));
            let b = power(y - exponent).and_then(|factor| b.checked_mul(factor));
            if let (Some(a), Some(b)) = (a, b)
                && let Some(value) = exact(a, b)
            {
                return Decimal::Exact { value, exponent };
            }
        }
        Decimal::Float(float(self.into(), other.into()))
    }
}

/// `a × 10^exponent` and `b`, multiplied so that both are whole.
fn scaled(a: i128, exponent: i32, b: i128) -> Option<(i128, i128)> {
    let factor = power(exponent.abs())?;
    if exponent >= 0 { Some((a.checked_mul(factor)?, b)) } else { Some((a, b.checked_mul(factor)?)) }
}

fn power(exponent: i32) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(exponent).ok()?)
}

/// To `places` behind the point; up when what is cut off is at least `up_from`.
pub(super) fn round(value: f64, places: i64, up_from: f64) -> f64 {
    let power = 10_f64.powf(places as f64);
    let digit = power * value;
    let rounded = if digit.fract() >= up_from { digit.ceil() } else { digit.floor() };
    rounded / power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_where_floats_are_not() {
        let sum: f64 = Decimal::from(0.1).add(Decimal::from(0.2)).into();
        assert!((sum - 0.3).abs() < f64::EPSILON / 8.0);
        let third: f64 = Decimal::from(1.0).divide(Decimal::from(3.0)).into();
        assert_eq!(third.to_string(), "0.3333333333333333");
        let two_thirds: f64 = Decimal::from(-2.0).divide(Decimal::from(3.0)).into();
        assert_eq!(two_thirds.to_string(), "-0.6666666666666667");
    }
}
