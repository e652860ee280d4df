//! The parsed template.

use std::{collections::BTreeMap, sync::Arc};

use super::literal::Number;
use crate::{error::Position, functions::Function, value::Text};

/// Everything one text defines.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) root: Block,
    /// By `define` and `block`.
    pub(crate) defined: BTreeMap<String, Block>,
}

pub(crate) type Block = Vec<Node>;

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Text(Position, String),
    /// `{{ pipeline }}`.
    Action(Pipeline),
    If(Branch),
    With(Branch),
    Range(Branch),
    /// `{{ template "name" pipeline }}`; a `block` is one of these and a definition.
    Template {
        position: Position,
        name: String,
        argument: Option<Pipeline>,
    },
    Break,
    Continue,
}

/// A condition, what follows from it, and what follows otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    pub(crate) condition: Pipeline,
    pub(crate) then: Block,
    pub(crate) otherwise: Block,
}

/// Commands, each of which takes the result of the one before as its last argument.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pub(crate) position: Position,
    /// Names with their `$` that take the result.
    pub(crate) variables: Vec<Arc<str>>,
    /// They exist already: `=` instead of `:=`.
    pub(crate) assigns: bool,
    /// At least one.
    pub(crate) commands: Vec<Command>,
}

#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) head: Operand,
    pub(crate) arguments: Vec<Operand>,
}

#[derive(Debug, Clone)]
pub(crate) struct Operand {
    pub(crate) position: Position,
    pub(crate) term: Term,
}

#[derive(Debug, Clone)]
pub(crate) enum Term {
    Nil,
    Bool(bool),
    Number(Number),
    Text(Text),
    Dot,
    /// `.a.b`
    Field(Vec<Text>),
    /// `$x.a.b`
    Variable(Arc<str>, Vec<Text>),
    Function(&'static Function),
    /// `( pipeline )`
    Pipeline(Box<Pipeline>),
    /// `( pipeline ).a.b` or `function.a.b`
    Chain(Box<Operand>, Vec<Text>),
}
