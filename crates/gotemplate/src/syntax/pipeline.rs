//! What stands in an action: variables, commands, operands.

use std::sync::Arc;

use super::{
    lex::Kind,
    literal::{Number, unquote},
    parse::{Parsed, Parser, unexpected},
    tree::{Command, Operand, Pipeline, Term},
};
use crate::{
    error::{ErrorKind, Fault},
    functions::{self, Lookup},
    value::Text,
};

/// Declared in one template. They are looked up by their names, one by one.
const VARIABLES: usize = 1_000;

impl Parser<'_> {
    /// Up to and with `end`. `context` is for errors; "range" may declare two variables.
    pub(crate) fn pipeline(&mut self, context: &str, end: Kind<'static>) -> Parsed<Pipeline> {
        let position = self.peek_token().position;
        let (variables, assigns) = self.declarations(context)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let token = self.peek_token();
            match token.kind {
                kind if kind == end => {
                    self.next_token();
                    break;
                }
                Kind::Bool(_)
                | Kind::Char(_)
                | Kind::Dot
                | Kind::Field(_)
                | Kind::Identifier(_)
                | Kind::Number(_)
                | Kind::Nil
                | Kind::Quoted(_)
                | Kind::Variable(_)
                | Kind::LeftParen => commands.push(self.command()?),
                _ => {
                    self.next_token();
                    return unexpected(token, context);
                }
            }
        }
        if commands.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        for (stage, command) in commands.iter().enumerate().skip(1) {
            if matches!(
                command.head.term,
                Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::Text(_)
            ) {
                let fault = Fault::new(
                    ErrorKind::Syntax,
                    format!("non executable command in pipeline stage {}", stage + 1),
                );
                return Err((fault, command.head.position));
            }
        }
        Ok(Pipeline { position, variables, assigns, commands })
    }

    /// `$x :=`, `$x =`, or for a loop `$i, $x :=`.
    fn declarations(&mut self, context: &str) -> Parsed<(Vec<Arc<str>>, bool)> {
        let mut variables = Vec::new();
        loop {
            let mark = self.mark();
            let Kind::Variable(name) = self.peek_token().kind else { return Ok((variables, false)) };
            self.next_token();
            let name: Arc<str> = Arc::from(name);
            match self.peek_token().kind {
                kind @ (Kind::Assign | Kind::Declare) => {
                    self.next_token();
                    self.declare(name.clone())?;
                    variables.push(name);
                    return Ok((variables, kind == Kind::Assign));
                }
                Kind::Sign(',') => {
                    self.next_token();
                    self.declare(name.clone())?;
                    variables.push(name);
                    if context != "range" || variables.len() > 1 {
                        return self.fail(format!("too many declarations in {context}"));
                    }
                    if !matches!(self.peek_token().kind, Kind::Variable(_) | Kind::Close | Kind::RightParen) {
                        return self.fail("range can only initialize variables");
                    }
                }
                _ => {
                    self.back_to(mark);
                    return Ok((variables, false));
                }
            }
        }
    }

    fn declare(&mut self, name: Arc<str>) -> Parsed<()> {
        if self.variables.len() == VARIABLES {
            return self.fail("too many variables");
        }
        self.variables.push(name);
        Ok(())
    }

    /// Operands with spaces between them, up to and with a `|`, or up to the pipeline's end.
    fn command(&mut self) -> Parsed<Command> {
        let mut operands = Vec::new();
        loop {
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            match self.peek().kind {
                Kind::Space => {
                    self.next();
                }
                Kind::Close | Kind::RightParen => break,
                Kind::Pipe => {
                    self.next();
                    break;
                }
                _ => {
                    let token = self.next();
                    return unexpected(token, "operand");
                }
            }
        }
        let mut operands = operands.into_iter();
        let Some(head) = operands.next() else { return self.fail("empty command") };
        Ok(Command { head, arguments: operands.collect() })
    }

    /// A term with the fields behind it.
    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(mut operand) = self.term()? else { return Ok(None) };
        let mut fields = Vec::new();
        while let Kind::Field(name) = self.peek().kind {
            self.next();
            fields.push(Text::from(name));
        }
        if fields.is_empty() {
            return Ok(Some(operand));
        }
        match &mut operand.term {
            Term::Field(names) | Term::Variable(_, names) => names.extend(fields),
            Term::Bool(_) | Term::Text(_) | Term::Number(_) | Term::Nil | Term::Dot => {
                return self.fail("unexpected . after a constant or dot");
            }
            _ => {
                let position = operand.position;
                operand = Operand { position, term: Term::Chain(Box::new(operand), fields) };
            }
        }
        Ok(Some(operand))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.peek_token();
        let syntax = |message: String| (Fault::new(ErrorKind::Syntax, message), token.position);
        let term = match token.kind {
            Kind::Identifier(name) => match functions::lookup(name) {
                Lookup::Found(function) => Term::Function(function),
                Lookup::Refused(fault) => return Err((fault, token.position)),
                Lookup::Unknown => {
                    let message = format!("function {name:?} is not defined");
                    return Err((Fault::new(ErrorKind::UnknownFunction, message), token.position));
                }
            },
            Kind::Dot => Term::Dot,
            Kind::Nil => Term::Nil,
            Kind::Bool(value) => Term::Bool(value),
            Kind::Field(name) => Term::Field(vec![Text::from(name)]),
            Kind::Variable(name) => {
                let Some(known) = self.variables.iter().find(|known| known.as_ref() == name) else {
                    return Err(syntax(format!("undefined variable {name:?}")));
                };
                Term::Variable(known.clone(), Vec::new())
            }
            Kind::Number(text) => Term::Number(Number::parse(text).map_err(syntax)?),
            Kind::Char(text) => Term::Number(Number::character(text).map_err(syntax)?),
            Kind::Quoted(text) => Term::Text(Text::from(unquote(text).map_err(syntax)?)),
            Kind::LeftParen => {
                self.enter()?;
                self.next_token();
                let pipeline = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.leave();
                return Ok(Some(Operand {
                    position: token.position,
                    term: Term::Pipeline(Box::new(pipeline)),
                }));
            }
            _ => return Ok(None),
        };
        self.next_token();
        Ok(Some(Operand { position: token.position, term }))
    }
}
