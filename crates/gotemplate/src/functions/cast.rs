//! Numbers out of any value, as sprig's casts make them: what is no number is 0.

use crate::{
    syntax::literal::{parse_float, parse_int},
    value::Value,
};

pub(super) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(value, _) => *value,
        Value::Uint(value, _) => *value as i64,
        // Go's conversion of what does not fit gives the smallest number.
        Value::Float(value) if *value >= -9.223_372_036_854_776e18 && *value < 9.223_372_036_854_776e18 => {
            *value as i64
        }
        Value::Float(_) => i64::MIN,
        Value::Bool(value) => i64::from(*value),
        Value::Text(text) => parse_int(without_zero_decimals(&text.chars())).unwrap_or(0),
        _ => 0,
    }
}

pub(super) fn to_float(value: &Value) -> f64 {
    match value {
        Value::Int(value, _) => *value as f64,
        Value::Uint(value, _) => *value as f64,
        Value::Float(value) => *value,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Text(text) => parse_float(&text.chars()).unwrap_or(0.0),
        _ => 0.0,
    }
}

/// `1.00` is the whole number 1, `1.50` is none.
fn without_zero_decimals(text: &str) -> &str {
    match text.rfind('.') {
        Some(point) if text[point + 1..].bytes().all(|b| b == b'0') && point + 1 < text.len() => {
            &text[..point]
        }
        _ => text,
    }
}
