//! Values as text, as Go's `fmt` prints them.
//!
//! [`display`] is `%v`, [`print`] and [`println`] are the functions of those names, [`printf`] has the verbs.

mod float;
mod integer;
mod out;
mod printf;
mod quote;
mod spec;
mod value;

pub(crate) use float::{Layout, format_float};
pub(crate) use out::Out;
pub(crate) use printf::printf;
pub(crate) use quote::quote;

use crate::{
    error::Fault,
    limits::Budget,
    value::{Text, Value},
};
use spec::Spec;

/// `fmt.Sprint(value)`; also sprig's way from any value to a text.
pub(crate) fn display(value: &Value, budget: &mut Budget) -> Result<Text, Fault> {
    if let Value::Text(text) = value {
        return Ok(text.clone());
    }
    let mut out = Out::new(budget);
    value::print(&mut out, value, 'v', &Spec::default());
    Ok(Text::from(out.finish(budget)?))
}

/// `fmt.Sprint`: a space between operands when neither is a text.
pub(crate) fn print(values: &[Value], budget: &mut Budget) -> Result<Vec<u8>, Fault> {
    let mut out = Out::new(budget);
    for (at, value) in values.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        if at > 0 && !is_text(value) && !is_text(&values[at - 1]) {
            out.push(b" ");
        }
        value::print(&mut out, value, 'v', &Spec::default());
    }
    Ok(out.finish(budget)?)
}

/// `fmt.Sprintln`: a space between all operands, and a new line.
pub(crate) fn println(values: &[Value], budget: &mut Budget) -> Result<Vec<u8>, Fault> {
    let mut out = Out::new(budget);
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(b" ");
        }
        value::print(&mut out, value, 'v', &Spec::default());
    }
    out.push(b"\n");
    Ok(out.finish(budget)?)
}
