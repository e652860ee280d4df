//! `.a.b.c`: keys of dictionaries, and the methods of times and versions.

use super::{Evaluated, Render};
use crate::{
    error::{Fault, Position},
    functions,
    syntax::tree::Operand,
    value::{Text, Value},
};

impl Render<'_> {
    /// Follows `names` from `receiver`. Arguments go to the last of them, which then must be a method.
    pub(super) fn fields(
        &mut self,
        receiver: Value,
        names: &[Text],
        position: Position,
        arguments: &[Operand],
        last: Option<Value>,
        dot: &Value,
    ) -> Evaluated<Value> {
        let Some((method, names)) = names.split_last() else { return Ok(receiver) };
        let mut receiver = receiver;
        for name in names {
            receiver = self.field(receiver, name, position, &[], None, dot)?;
        }
        self.field(receiver, method, position, arguments, last, dot)
    }

    fn field(
        &mut self,
        receiver: Value,
        name: &Text,
        position: Position,
        arguments: &[Operand],
        last: Option<Value>,
        dot: &Value,
    ) -> Evaluated<Value> {
        self.step(position)?;
        let fault = |message: String| Err((Fault::wrong_type(message), position));
        match &receiver {
            Value::Missing => Ok(Value::Missing),
            Value::Nil => fault(format!("nil pointer evaluating field {}", name.chars())),
            Value::Map(_) if !arguments.is_empty() || last.is_some() => {
                fault(format!("{} is not a method but has arguments", name.chars()))
            }
            Value::Map(map) => Ok(map.get(name).unwrap_or(Value::Missing)),
            other => match functions::method(other, name) {
                Some(method) => self.call_method(method, receiver, position, arguments, last, dot),
                None => fault(format!("can't evaluate field {} in type {}", name.chars(), other.type_name())),
            },
        }
    }
}
