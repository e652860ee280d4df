//! Whole numbers.

use super::{Out, quote::quote_char, spec::Spec};

/// A number by one of the verbs v, d, b, o, O, x, X, c, q and U. Whether the verb is one of them.
pub(crate) fn print(out: &mut Out, negative: bool, magnitude: u64, verb: char, spec: &Spec) -> bool {
    let (digits, prefix) = match verb {
        'v' | 'd' => (magnitude.to_string(), ""),
        'b' => (format!("{magnitude:b}"), if spec.sharp { "0b" } else { "" }),
        'o' => (format!("{magnitude:o}"), if spec.sharp { "0" } else { "" }),
        'O' => (format!("{magnitude:o}"), "0o"),
        'x' => (format!("{magnitude:x}"), if spec.sharp { "0x" } else { "" }),
        'X' => (format!("{magnitude:X}"), if spec.sharp { "0X" } else { "" }),
        'c' | 'q' | 'U' => {
            let c = if negative { None } else { u32::try_from(magnitude).ok().and_then(char::from_u32) };
            let c = c.unwrap_or('\u{fffd}');
            let text = match verb {
                'c' => c.to_string(),
                'q' => quote_char(c, spec.plus),
                _ if spec.sharp => format!("U+{magnitude:04X} '{c}'"),
                _ => format!("U+{magnitude:04X}"),
            };
            spec.pad(out, text.as_bytes());
            return true;
        }
        _ => return false,
    };
    let sign = match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    if spec.precision == Some(0) && magnitude == 0 {
        spec.pad_with(out, b"", b' ');
        return true;
    }
    let fixed = sign.len() + prefix.len();
    let zeros = match (spec.precision, spec.width) {
        (Some(precision), _) => precision.saturating_sub(digits.len()),
        (None, Some(width)) if spec.zero && !spec.minus => width.saturating_sub(digits.len() + sign.len()),
        _ => 0,
    };
    let mut number = Vec::with_capacity(fixed + zeros.min(1024) + digits.len());
    number.extend_from_slice(sign.as_bytes());
    number.extend_from_slice(prefix.as_bytes());
    number.resize(number.len() + zeros, b'0');
    number.extend_from_slice(digits.as_bytes());
    spec.pad_with(out, &number, b' ');
    true
}
