//! Renders a parsed template: [`Render`] walks its blocks, `pipeline` evaluates what stands in actions, `call` calls.

mod call;
mod field;
mod pipeline;
mod scope;

use serde_json::Value as Json;

use crate::{
    environment::Environment,
    error::{Error, ErrorKind, Fault, Limit, Position},
    format::print,
    functions::Context,
    limits::{Budget, Limits},
    syntax::tree::{Block, Branch, Node, Pipeline, Tree},
    template::NO_VALUE,
    value::{Text, Value},
};
use scope::Scope;

/// Renders `tree` with `data`.
pub(crate) fn render(
    name: &str,
    tree: &Tree,
    data: &Json,
    limits: &Limits,
    environment: &Environment<'_>,
) -> Result<String, Error> {
    let dot = Value::from(data);
    let mut render = Render {
        tree,
        context: Context::new(Budget::new(limits), environment),
        scope: Scope::new(dot.clone()),
        output: Vec::new(),
        room: limits.output_bytes,
    };
    match render.block(&tree.root, &dot) {
        Ok(_) => Ok(String::from_utf8(render.output)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())),
        Err((fault, position)) => Err(fault.at(name, position)),
    }
}

type Evaluated<T> = Result<T, (Fault, Position)>;

/// How a block ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Render<'r> {
    tree: &'r Tree,
    context: Context<'r>,
    scope: Scope,
    output: Vec<u8>,
    /// How much longer the output may get.
    room: usize,
}

impl Render<'_> {
    fn block(&mut self, block: &Block, dot: &Value) -> Evaluated<Flow> {
        for node in block {
            let flow = self.node(node, dot)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Evaluated<Flow> {
        match node {
            Node::Text(position, text) => {
                self.step(*position)?;
                self.write(text.as_bytes(), *position)?;
            }
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    self.print(&value, pipeline.position)?;
                }
            }
            Node::If(branch) => return self.branch(branch, dot, false),
            Node::With(branch) => return self.branch(branch, dot, true),
            Node::Range(branch) => return self.range(branch, dot),
            Node::Template { position, name, argument } => {
                self.template(*position, name, argument.as_ref(), dot)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    /// `if`, or `with`, whose condition is the dot of its block.
    fn branch(&mut self, branch: &Branch, dot: &Value, takes_dot: bool) -> Evaluated<Flow> {
        let position = branch.condition.position;
        self.enter(position)?;
        let mark = self.scope.mark();
        let condition = self.pipeline(&branch.condition, dot)?;
        let flow = if condition.truth() {
            self.block(&branch.then, if takes_dot { &condition } else { dot })
        } else {
            self.block(&branch.otherwise, dot)
        }?;
        self.scope.back_to(mark);
        self.context.budget.leave();
        Ok(flow)
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Evaluated<Flow> {
        let position = branch.condition.position;
        self.enter(position)?;
        let mark = self.scope.mark();
        let over = self.pipeline(&branch.condition, dot)?;
        let flow = match &over {
            Value::List(list) => {
                let items = list.items().iter().enumerate();
                self.turns(branch, items.map(|(at, item)| (Value::int(at as i64), item.clone())))?
            }
            Value::Map(map) => {
                // A loop that ends early has taken all entries nevertheless.
                let taken = self.context.budget.steps(map.len() as u64 / 8);
                taken.map_err(|limit| (Fault::from(limit), position))?;
                let entries = map.snapshot().into_iter();
                self.turns(branch, entries.map(|(key, value)| (Value::Text(key), value)))?
            }
            Value::Int(..) | Value::Uint(..) if branch.condition.variables.len() > 1 => {
                let fault = Fault::wrong_type("a number has no second variable to range over");
                return Err((fault, position));
            }
            Value::Int(count, kind) => {
                self.turns(branch, (0..*count).map(|at| (Value::Missing, Value::Int(at, *kind))))?
            }
            Value::Uint(count, kind) => {
                self.turns(branch, (0..*count).map(|at| (Value::Missing, Value::Uint(at, *kind))))?
            }
            Value::Missing | Value::Nil => None,
            other => {
                let fault = Fault::wrong_type(format!(
                    "range can't iterate over a value of type {}",
                    other.type_name()
                ));
                return Err((fault, position));
            }
        };
        // Only a loop without a turn has its `else`.
        let flow = match flow {
            Some(()) => Flow::Next,
            None => self.block(&branch.otherwise, dot)?,
        };
        self.scope.back_to(mark);
        self.context.budget.leave();
        Ok(flow)
    }

    /// None, if there was nothing to iterate over.
    fn turns(
        &mut self,
        branch: &Branch,
        items: impl Iterator<Item = (Value, Value)>,
    ) -> Evaluated<Option<()>> {
        let Pipeline { position, variables, assigns, .. } = &branch.condition;
        let mut turned = None;
        let mark = self.scope.mark();
        for (key, item) in items {
            self.step(*position)?;
            turned = Some(());
            let values = match variables.len() {
                0 => Vec::new(),
                1 => vec![item.clone()],
                _ => vec![key, item.clone()],
            };
            for (at, (name, value)) in variables.iter().zip(values).enumerate() {
                if *assigns {
                    self.scope.assign(name, value).map_err(|fault| (fault, *position))?;
                } else {
                    self.scope.set_top(variables.len() - at, value);
                }
            }
            let flow = self.block(&branch.then, &item)?;
            self.scope.back_to(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(turned)
    }

    fn template(
        &mut self,
        position: Position,
        name: &str,
        argument: Option<&Pipeline>,
        dot: &Value,
    ) -> Evaluated<()> {
        let Some(block) = self.tree.defined.get(name) else {
            return Err((Fault::new(ErrorKind::Type, format!("template {name:?} is not defined")), position));
        };
        self.enter(position)?;
        let dot = match argument {
            Some(argument) => self.pipeline(argument, dot)?,
            None => Value::Missing,
        };
        let outside = self.scope.enter_template(dot.clone());
        self.block(block, &dot)?;
        self.scope.leave_template(outside);
        self.context.budget.leave();
        Ok(())
    }

    fn print(&mut self, value: &Value, position: Position) -> Evaluated<()> {
        match value {
            Value::Missing | Value::Nil => self.write(NO_VALUE.as_bytes(), position),
            Value::Text(text) => {
                let text: Text = text.clone();
                self.write(&text, position)
            }
            other => {
                let text = print(std::slice::from_ref(other), &mut self.context.budget);
                let text = text.map_err(|fault| (fault, position))?;
                self.write(&text, position)
            }
        }
    }

    fn write(&mut self, bytes: &[u8], position: Position) -> Evaluated<()> {
        self.room =
            self.room.checked_sub(bytes.len()).ok_or_else(|| (Fault::from(Limit::Output), position))?;
        self.output.extend_from_slice(bytes);
        Ok(())
    }

    fn step(&mut self, position: Position) -> Evaluated<()> {
        self.context.budget.step().map_err(|limit| (limit.into(), position))
    }

    fn enter(&mut self, position: Position) -> Evaluated<()> {
        self.step(position)?;
        self.context.budget.enter().map_err(|limit| (limit.into(), position))
    }
}
