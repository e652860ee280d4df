//! Calls: arguments are counted, evaluated and checked; errors get the function's name and place.

use super::{
    Evaluated, Render,
    pipeline::{constant, fit},
};
use crate::{
    error::{ErrorKind, Fault, Position},
    functions::{Function, Type},
    syntax::tree::{Operand, Term},
    value::Value,
};

impl Render<'_> {
    pub(super) fn call(
        &mut self,
        function: &'static Function,
        position: Position,
        arguments: &[Operand],
        last: Option<Value>,
        dot: &Value,
    ) -> Evaluated<Value> {
        count(function, arguments.len() + usize::from(last.is_some()), 0, position)?;
        if matches!(function.name(), "and" | "or") {
            return self.decide(function.name() == "or", arguments, last, dot);
        }
        let values = self.arguments(function, Vec::new(), position, arguments, last, dot)?;
        self.run(function, position, arguments, &values)
    }

    /// A method is a function whose first argument is the receiver.
    pub(super) fn call_method(
        &mut self,
        method: &'static Function,
        receiver: Value,
        position: Position,
        arguments: &[Operand],
        last: Option<Value>,
        dot: &Value,
    ) -> Evaluated<Value> {
        count(method, arguments.len() + usize::from(last.is_some()), 1, position)?;
        let values = self.arguments(method, vec![receiver], position, arguments, last, dot)?;
        self.run(method, position, arguments, &values)
    }

    /// `and` and `or` evaluate no further than they must, and give the value that decided.
    fn decide(
        &mut self,
        by: bool,
        arguments: &[Operand],
        last: Option<Value>,
        dot: &Value,
    ) -> Evaluated<Value> {
        let mut value = Value::Missing;
        for argument in arguments {
            value = self.operand(argument, dot)?;
            if value.truth() == by {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn arguments(
        &mut self,
        function: &'static Function,
        mut values: Vec<Value>,
        position: Position,
        arguments: &[Operand],
        last: Option<Value>,
        dot: &Value,
    ) -> Evaluated<Vec<Value>> {
        let named = |(fault, position): (Fault, Position)| (by_name(function, fault), position);
        for argument in arguments {
            let wanted = function.parameter(values.len()).unwrap_or(Type::Any);
            values.push(match argument.term {
                Term::Nil | Term::Bool(_) | Term::Number(_) | Term::Text(_) => {
                    constant(argument, wanted).map_err(named)?
                }
                // What goes wrong inside has names of its own.
                _ => fit(self.operand(argument, dot)?, wanted, argument.position).map_err(named)?,
            });
        }
        if let Some(last) = last {
            let wanted = function.parameter(values.len()).unwrap_or(Type::Any);
            values.push(fit(last, wanted, position).map_err(named)?);
        }
        Ok(values)
    }

    fn run(
        &mut self,
        function: &'static Function,
        position: Position,
        arguments: &[Operand],
        values: &[Value],
    ) -> Evaluated<Value> {
        function.call(&mut self.context, values).map_err(|fault| {
            // What `fail` says may come from the data, unless it is written in the template.
            let fault = match (fault.kind, arguments) {
                (ErrorKind::Fail, [Operand { term: Term::Text(text), .. }]) => {
                    Fault::new(ErrorKind::Fail, text.chars())
                }
                _ => fault,
            };
            (by_name(function, fault), position)
        })
    }
}

fn by_name(function: &Function, fault: Fault) -> Fault {
    let Fault { kind, message } = fault;
    Fault::new(kind, format!("{}: {message}", function.name()))
}

/// Whether so many arguments may be given; the function has `hidden` parameters before them.
fn count(function: &Function, given: usize, hidden: usize, position: Position) -> Evaluated<()> {
    let wanted = function.parameters.len() - hidden;
    let (fits, at_least) = match function.rest {
        Some(_) => (given >= wanted, "at least "),
        None => (given == wanted, ""),
    };
    if fits {
        return Ok(());
    }
    let message =
        format!("wrong number of args for {}: want {at_least}{wanted} got {given}", function.name());
    Err((Fault::wrong_type(message), position))
}
