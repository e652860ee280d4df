//! Go's names of types and kinds.

use super::{Function, Type};
use crate::value::{Value, deep_equal};

pub(super) const TABLE: &[Function] = &[
    Function::new(&["typeOf"], &[Type::Any], |_, args| Ok(Value::from(args.value(0).type_name()))),
    Function::new(&["typeIs"], &[Type::Text, Type::Any], |_, args| {
        Ok(Value::Bool(args.bytes(0) == args.value(1).type_name().as_bytes()))
    }),
    Function::new(&["typeIsLike"], &[Type::Text, Type::Any], |_, args| {
        let name = args.value(1).type_name();
        let wanted = args.bytes(0);
        Ok(Value::Bool(
            wanted == name.as_bytes() || Some(wanted) == name.strip_prefix('*').map(str::as_bytes),
        ))
    }),
    Function::new(&["kindOf"], &[Type::Any], |_, args| Ok(Value::from(args.value(0).kind_name()))),
    Function::new(&["kindIs"], &[Type::Text, Type::Any], |_, args| {
        Ok(Value::Bool(args.bytes(0) == args.value(1).kind_name().as_bytes()))
    }),
    Function::new(&["deepEqual"], &[Type::Any, Type::Any], |cx, args| {
        Ok(Value::Bool(deep_equal(args.value(0), args.value(1), &mut cx.budget)?))
    }),
];
