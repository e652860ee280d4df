//! Pipelines, commands and operands.

use super::{Evaluated, Render};
use crate::{
    error::{Fault, Position},
    functions::Type,
    syntax::{
        literal::Number,
        tree::{Command, Operand, Pipeline, Term},
    },
    value::{Element, Int, Map, Value},
};

impl Render<'_> {
    /// The value of the last command. Null comes out as missing.
    pub(super) fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Evaluated<Value> {
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, dot, value)?.or_missing());
        }
        let value = value.unwrap_or(Value::Missing);
        for name in &pipeline.variables {
            if pipeline.assigns {
                self.scope.assign(name, value.clone()).map_err(|fault| (fault, pipeline.position))?;
            } else {
                self.scope.declare(name.clone(), value.clone());
            }
        }
        Ok(value)
    }

    /// `last` is the result of the command before, which becomes the last argument.
    fn command(&mut self, command: &Command, dot: &Value, last: Option<Value>) -> Evaluated<Value> {
        let Command { head, arguments } = command;
        self.step(head.position)?;
        match &head.term {
            Term::Function(function) => self.call(function, head.position, arguments, last, dot),
            Term::Field(names) => self.fields(dot.clone(), names, head.position, arguments, last, dot),
            Term::Variable(name, names) if !names.is_empty() => {
                let value = self.variable(name, head.position)?;
                self.fields(value, names, head.position, arguments, last, dot)
            }
            Term::Chain(inner, names) => {
                let value = self.operand(inner, dot)?;
                self.fields(value, names, head.position, arguments, last, dot)
            }
            _ if !arguments.is_empty() || last.is_some() => {
                Err((Fault::wrong_type("arguments are given to what is not a function"), head.position))
            }
            Term::Nil => Err((Fault::wrong_type("nil is not a command"), head.position)),
            _ => self.operand(head, dot),
        }
    }

    /// An operand by itself, where any value will do.
    pub(super) fn operand(&mut self, operand: &Operand, dot: &Value) -> Evaluated<Value> {
        self.step(operand.position)?;
        let position = operand.position;
        match &operand.term {
            Term::Nil => Ok(Value::Nil),
            Term::Bool(value) => Ok(Value::Bool(*value)),
            Term::Number(number) => Ok(ideal(*number)),
            Term::Text(text) => Ok(Value::Text(text.clone())),
            Term::Dot => Ok(dot.clone()),
            Term::Field(names) => self.fields(dot.clone(), names, position, &[], None, dot),
            Term::Variable(name, names) => {
                let value = self.variable(name, position)?;
                if names.is_empty() { Ok(value) } else { self.fields(value, names, position, &[], None, dot) }
            }
            Term::Function(function) => self.call(function, position, &[], None, dot),
            Term::Pipeline(pipeline) => {
                self.enter(position)?;
                let value = self.pipeline(pipeline, dot)?;
                self.context.budget.leave();
                Ok(value)
            }
            Term::Chain(inner, names) => {
                let value = self.operand(inner, dot)?;
                self.fields(value, names, position, &[], None, dot)
            }
        }
    }

    fn variable(&mut self, name: &str, position: Position) -> Evaluated<Value> {
        self.scope.get(name).map_err(|fault| (fault, position))
    }
}

/// A constant for a parameter of that type: it takes the type, if it can.
pub(super) fn constant(operand: &Operand, wanted: Type) -> Evaluated<Value> {
    let fault = |message: String| Err((Fault::wrong_type(message), operand.position));
    match (&operand.term, wanted) {
        (Term::Nil, Type::Any | Type::Raw | Type::Map) => fit(Value::Missing, wanted, operand.position),
        (Term::Nil, _) => fault(format!("cannot assign nil to {}", wanted.name())),
        (Term::Number(Number { int: Some(int), .. }), Type::Int) => Ok(Value::int(*int)),
        (Term::Number(number), Type::Float) => Ok(Value::Float(number.float)),
        (Term::Number(number), Type::Any | Type::Raw) => Ok(ideal(*number)),
        (Term::Bool(value), Type::Bool | Type::Any | Type::Raw) => Ok(Value::Bool(*value)),
        (Term::Text(text), Type::Text | Type::Any | Type::Raw) => Ok(Value::Text(text.clone())),
        _ => fault(format!("expected {}; found another constant", wanted.name())),
    }
}

/// A constant where nothing asks for a type.
fn ideal(number: Number) -> Value {
    match number.int {
        Some(int) if !number.is_float => Value::int(int),
        _ => Value::Float(number.float),
    }
}

/// Whether a value may be passed for a parameter of that type.
pub(super) fn fit(value: Value, wanted: Type, position: Position) -> Evaluated<Value> {
    let fits = match (&value, wanted) {
        (_, Type::Any) => return Ok(value.or_nil()),
        (Value::Missing, Type::Map) => return Ok(Value::map(Map::nil())),
        (Value::Int(_, kind), Type::Int) => *kind == Int::Int,
        (Value::Map(map), Type::Map) => map.element() == Element::Any,
        (_, Type::Raw)
        | (Value::Text(_), Type::Text)
        | (Value::Bool(_), Type::Bool)
        | (Value::Float(_), Type::Float)
        | (Value::Moment(_), Type::Time) => true,
        (Value::Missing, _) => {
            return Err((Fault::wrong_type(format!("invalid value; expected {}", wanted.name())), position));
        }
        _ => false,
    };
    if fits {
        return Ok(value);
    }
    let got = if value.is_nil() { "interface {}" } else { value.type_name() };
    let message = format!("wrong type for an argument; expected {}; got {got}", wanted.name());
    Err((Fault::wrong_type(message), position))
}
