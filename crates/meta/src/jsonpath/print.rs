//! From values to text, as kubectl prints them.

use serde_json::{Number, Value};

use super::{
    JsonPath,
    eval::{Evaluation, Part},
    float,
};

impl JsonPath {
    /// The text the template is made into: several values of one path have a space between, texts are printed as they
    /// are, objects and lists as JSON. The values are bounded as those of [`Self::find`].
    pub fn to_text(&self, object: &Value) -> String {
        let mut text = String::new();
        Evaluation::new().walk(&self.nodes, object, &mut |part| match part {
            Part::Text(part) => text.push_str(part),
            Part::Values(values) => {
                let values: Vec<String> = values.into_iter().map(printed).collect();
                text.push_str(&values.join(" "));
            }
        });
        text
    }
}

/// One value as text.
pub(crate) fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => decimal(number),
        Value::Object(_) | Value::Array(_) => json(value),
        Value::Null | Value::Bool(_) => value.to_string(),
    }
}

/// A number as Go prints it: whole ones of 64 bits in full, others with an exponent where it is
/// below -4 or above 5.
fn decimal(number: &Number) -> String {
    if let Some(whole) = number.as_i64() {
        return whole.to_string();
    }
    let float = float(number);
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(-4..=5) => float.to_string(),
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        }
        Err(_) => scientific,
    }
}

/// JSON as Go writes it, safe within HTML.
fn json(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        match c {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            c => text.push(c),
        }
    }
    text
}
