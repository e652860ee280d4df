//! Arithmetic: whole numbers wrap around as Go's do; the functions ending in `f` calculate in decimals.

use super::{
    Args, Context, Function, Type,
    cast::{to_float, to_int},
    rounding::{Decimal, round},
};
use crate::{
    error::Fault,
    format,
    value::{Element, List, Value},
};

pub(super) const TABLE: &[Function] = &[
    Function::new(&["int"], &[Type::Any], |_, args| Ok(Value::int(to_int(args.value(0))))),
    Function::new(&["int64"], &[Type::Any], |_, args| Ok(Value::int64(to_int(args.value(0))))),
    Function::new(&["float64"], &[Type::Any], |_, args| Ok(Value::Float(to_float(args.value(0))))),
    Function::new(&["atoi"], &[Type::Text], |_, args| Ok(Value::int(atoi(&args.chars(0))))),
    Function::new(&["toDecimal"], &[Type::Any], |cx, args| {
        let text = format::display(args.value(0), &mut cx.budget)?;
        Ok(Value::int64(i64::from_str_radix(&text.chars(), 8).unwrap_or(0)))
    }),
    Function::new(&["add1"], &[Type::Any], |_, args| Ok(Value::int64(to_int(args.value(0)).wrapping_add(1)))),
    Function::variadic(&["add"], &[], Type::Any, |_, args| Ok(fold(args, 0, i64::wrapping_add))),
    Function::new(&["sub"], &[Type::Any, Type::Any], |_, args| {
        Ok(Value::int64(to_int(args.value(0)).wrapping_sub(to_int(args.value(1)))))
    }),
    Function::new(&["div"], &[Type::Any, Type::Any], |_, args| divide(args, i64::wrapping_div)),
    Function::new(&["mod"], &[Type::Any, Type::Any], |_, args| divide(args, i64::wrapping_rem)),
    Function::variadic(&["mul"], &[Type::Any], Type::Any, |_, args| Ok(fold(args, 1, i64::wrapping_mul))),
    Function::variadic(&["max", "biggest"], &[Type::Any], Type::Any, |_, args| {
        Ok(Value::int64(args.from(0).iter().map(to_int).max().unwrap_or(0)))
    }),
    Function::variadic(&["min"], &[Type::Any], Type::Any, |_, args| {
        Ok(Value::int64(args.from(0).iter().map(to_int).min().unwrap_or(0)))
    }),
    Function::new(&["add1f"], &[Type::Any], |_, args| {
        decimals(to_float(args.value(0)), &[Value::int(1)], Decimal::add)
    }),
    Function::variadic(&["addf"], &[], Type::Any, |_, args| decimals(0.0, args.from(0), Decimal::add)),
    Function::variadic(&["subf"], &[Type::Any], Type::Any, |_, args| {
        decimals(to_float(args.value(0)), args.from(1), Decimal::subtract)
    }),
    Function::variadic(&["mulf"], &[Type::Any], Type::Any, |_, args| {
        decimals(to_float(args.value(0)), args.from(1), Decimal::multiply)
    }),
    Function::variadic(&["divf"], &[Type::Any], Type::Any, |_, args| {
        if args.from(1).iter().any(|divisor| to_float(divisor) == 0.0) {
            return Err(Fault::failed("decimal division by 0"));
        }
        decimals(to_float(args.value(0)), args.from(1), Decimal::divide)
    }),
    Function::variadic(&["maxf"], &[Type::Any], Type::Any, |_, args| {
        Ok(Value::Float(args.from(0).iter().map(to_float).fold(f64::NEG_INFINITY, f64::max)))
    }),
    Function::variadic(&["minf"], &[Type::Any], Type::Any, |_, args| {
        Ok(Value::Float(args.from(0).iter().map(to_float).fold(f64::INFINITY, f64::min)))
    }),
    Function::new(&["floor"], &[Type::Any], |_, args| Ok(Value::Float(to_float(args.value(0)).floor()))),
    Function::new(&["ceil"], &[Type::Any], |_, args| Ok(Value::Float(to_float(args.value(0)).ceil()))),
    Function::variadic(&["round"], &[Type::Any, Type::Int], Type::Float, |_, args| {
        let up_from = args.from(2).first().map_or(0.5, to_float);
        Ok(Value::Float(round(to_float(args.value(0)), args.int(1), up_from)))
    }),
    Function::new(&["until"], &[Type::Int], |cx, args| {
        let end = args.int(0);
        steps(cx, 0, end, if end < 0 { -1 } else { 1 }).map(numbers)
    }),
    Function::new(&["untilStep"], &[Type::Int, Type::Int, Type::Int], |cx, args| {
        steps(cx, args.int(0), args.int(1), args.int(2)).map(numbers)
    }),
    Function::variadic(&["seq"], &[], Type::Int, seq),
];

fn fold(args: Args<'_>, start: i64, operation: fn(i64, i64) -> i64) -> Value {
    Value::int64(args.from(0).iter().map(to_int).fold(start, operation))
}

fn divide(args: Args<'_>, operation: fn(i64, i64) -> i64) -> Result<Value, Fault> {
    match to_int(args.value(1)) {
        0 => Err(Fault::failed("integer divide by zero")),
        divisor => Ok(Value::int64(operation(to_int(args.value(0)), divisor))),
    }
}

fn decimals(
    first: f64,
    others: &[Value],
    operation: fn(Decimal, Decimal) -> Decimal,
) -> Result<Value, Fault> {
    let numbers: Vec<f64> = others.iter().map(to_float).collect();
    if !first.is_finite() || numbers.iter().any(|number| !number.is_finite()) {
        return Err(Fault::failed("an infinite number cannot be a decimal"));
    }
    let result = numbers.into_iter().map(Decimal::from).fold(Decimal::from(first), operation);
    Ok(Value::Float(result.into()))
}

/// `strconv.Atoi` without its error.
fn atoi(text: &str) -> i64 {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return 0;
    }
    // Beyond the largest number Go gives that with its error, and the error is dropped.
    text.parse().unwrap_or_else(|_| if text.starts_with('-') { i64::MIN } else { i64::MAX })
}

/// From `start` up to, and without, `end`.
fn steps(cx: &mut Context<'_>, start: i64, end: i64, step: i64) -> Result<Vec<i64>, Fault> {
    let distance = i128::from(end) - i128::from(start);
    let count = match i128::from(step) {
        step if distance == 0 || step == 0 || (step > 0) != (distance > 0) => 0,
        step => (distance.abs() + step.abs() - 1) / step.abs(),
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    cx.budget.make_values(count)?;
    Ok((0..count as i64).map(|at| start + at * step).collect())
}

fn numbers(numbers: Vec<i64>) -> Value {
    let items = numbers.into_iter().map(Value::int).collect();
    Value::List(List::new(items, Element::Int).into())
}

/// As the `seq` of a shell: first, step, last.
fn seq(cx: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let toward = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let (start, step, end) = match *args.from(0) {
        [_] => (1, toward(1, args.int(0)), args.int(0)),
        [_, _] => (args.int(0), toward(args.int(0), args.int(1)), args.int(1)),
        [_, _, _] if args.int(2) < args.int(0) && args.int(1) > 0 => return Ok(Value::from("")),
        [_, _, _] => (args.int(0), args.int(1), args.int(2)),
        _ => return Ok(Value::from("")),
    };
    let numbers = steps(cx, start, end.saturating_add(toward(start, end)), step)?;
    let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
    cx.text(texts.join(" "))
}
