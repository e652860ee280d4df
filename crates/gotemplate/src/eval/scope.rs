//! Variables. A template sees its own only, and a block those declared before it.

use std::sync::Arc;

use crate::{
    error::{ErrorKind, Fault},
    value::Value,
};

pub(super) struct Scope {
    /// Those of the template that runs begin at `start`; the first is `$`.
    variables: Vec<(Arc<str>, Value)>,
    start: usize,
}

impl Scope {
    pub(super) fn new(dot: Value) -> Self {
        Self { variables: vec![(Arc::from("$"), dot)], start: 0 }
    }

    pub(super) fn declare(&mut self, name: Arc<str>, value: Value) {
        self.variables.push((name, value));
    }

    pub(super) fn get(&self, name: &str) -> Result<Value, Fault> {
        let found = self.variables[self.start..].iter().rev().find(|(known, _)| known.as_ref() == name);
        found.map(|(_, value)| value.clone()).ok_or_else(|| undefined(name))
    }

    pub(super) fn assign(&mut self, name: &str, value: Value) -> Result<(), Fault> {
        let found = self.variables[self.start..].iter_mut().rev().find(|(known, _)| known.as_ref() == name);
        found.map(|(_, old)| *old = value).ok_or_else(|| undefined(name))
    }

    /// Sets the variable that was declared `count` declarations ago; the last is 1.
    pub(super) fn set_top(&mut self, count: usize, value: Value) {
        let at = self.variables.len().checked_sub(count);
        if let Some((_, old)) = at.and_then(|at| self.variables.get_mut(at)) {
            *old = value;
        }
    }

    /// Where a block begins, for [`Scope::back_to`].
    pub(super) fn mark(&self) -> usize {
        self.variables.len()
    }

    pub(super) fn back_to(&mut self, mark: usize) {
        self.variables.truncate(mark);
    }

    /// What to give to [`Scope::leave_template`].
    pub(super) fn enter_template(&mut self, dot: Value) -> usize {
        let outside = std::mem::replace(&mut self.start, self.variables.len());
        self.declare(Arc::from("$"), dot);
        outside
    }

    pub(super) fn leave_template(&mut self, outside: usize) {
        self.variables.truncate(self.start);
        self.start = outside;
    }
}

fn undefined(name: &str) -> Fault {
    Fault::new(ErrorKind::Type, format!("undefined variable: {name}"))
}
