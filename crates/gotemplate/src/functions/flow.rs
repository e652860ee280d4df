//! Defaults, choices, and giving up.

use super::{Args, Context, Function, Type};
use crate::{
    error::{ErrorKind, Fault},
    value::Value,
};

pub(super) const TABLE: &[Function] = &[
    Function::variadic(&["default"], &[Type::Any], Type::Any, |_, args| {
        Ok(args.from(1).first().filter(|given| given.truth()).unwrap_or_else(|| args.value(0)).clone())
    }),
    Function::new(&["empty"], &[Type::Any], |_, args| Ok(Value::Bool(!args.value(0).truth()))),
    Function::variadic(&["coalesce"], &[], Type::Any, |_, args| {
        Ok(args.from(0).iter().find(|value| value.truth()).cloned().unwrap_or(Value::Nil))
    }),
    Function::variadic(&["all"], &[], Type::Any, |_, args| {
        Ok(Value::Bool(args.from(0).iter().all(Value::truth)))
    }),
    Function::variadic(&["any"], &[], Type::Any, |_, args| {
        Ok(Value::Bool(args.from(0).iter().any(Value::truth)))
    }),
    Function::new(&["ternary"], &[Type::Any, Type::Any, Type::Bool], |_, args| {
        Ok(args.value(usize::from(!args.is_true(2))).clone())
    }),
    Function::new(&["fail"], &[Type::Text], fail),
];

/// What it was given may come from the data, so the error does not repeat it. The evaluator adds what the template itself
/// says.
fn fail(_: &mut Context<'_>, _: Args<'_>) -> Result<Value, Fault> {
    Err(Fault::new(ErrorKind::Fail, "the template failed with a message of its own"))
}
