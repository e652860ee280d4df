//! From a template and an object to values.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Comparison, Filter, JsonPath, Node, Operand, Slice, Step, float};

/// Values that one evaluation may come by.
const BUDGET: usize = 100_000;

impl JsonPath {
    /// The values that the paths lead to, in order; of a range, those of the paths within it.
    ///
    /// No path, however many steps multiply, comes by more than 100,000 values: what is beyond is left out.
    pub fn find<'v>(&self, object: &'v Value) -> Vec<&'v Value> {
        let mut found = Vec::new();
        Evaluation::new().walk(&self.nodes, object, &mut |part| {
            if let Part::Values(values) = part {
                found.extend(values);
            }
        });
        found
    }
}

/// What a template is made into.
pub(super) enum Part<'n, 'v> {
    Text(&'n str),
    Values(Vec<&'v Value>),
}

/// One evaluation, and what it may still cost.
pub(super) struct Evaluation {
    budget: usize,
}

impl Evaluation {
    pub(super) fn new() -> Self {
        Self { budget: BUDGET }
    }

    /// Tells the parts of a template in order.
    pub(super) fn walk<'n, 'v>(
        &mut self,
        nodes: &'n [Node],
        object: &'v Value,
        tell: &mut impl FnMut(Part<'n, 'v>),
    ) {
        for node in nodes {
            match node {
                Node::Text(text) => tell(Part::Text(text)),
                Node::Path(path) => tell(Part::Values(self.path(path, object))),
                Node::Range(path, within) => {
                    for element in self.path(path, object) {
                        self.walk(within, element, tell);
                    }
                }
            }
        }
    }

    fn path<'v>(&mut self, path: &[Step], object: &'v Value) -> Vec<&'v Value> {
        path.iter().fold(vec![object], |values, step| self.step(step, &values))
    }

    fn step<'v>(&mut self, step: &Step, values: &[&'v Value]) -> Vec<&'v Value> {
        let mut found = Vec::new();
        if let Step::Union(steps) = step {
            for step in steps {
                found.append(&mut self.step(step, values));
            }
            return found;
        }
        for value in values {
            if self.budget == 0 {
                break;
            }
            let before = found.len();
            self.one(step, value, &mut found);
            // What leads to nothing costs as well.
            self.budget = self.budget.saturating_sub((found.len() - before).max(1));
        }
        found
    }

    fn one<'v>(&mut self, step: &Step, value: &'v Value, found: &mut Vec<&'v Value>) {
        match (step, value) {
            (Step::Field(name), Value::Object(fields)) => found.extend(fields.get(name)),
            (Step::Children, Value::Object(fields)) => found.extend(fields.values().take(self.budget)),
            (Step::Children | Step::Elements, Value::Array(list)) => {
                found.extend(list.iter().take(self.budget));
            }
            (Step::Index(index), Value::Array(list)) => {
                found.extend(position(*index, list.len()).and_then(|at| list.get(at)));
            }
            (Step::Slice(slice), Value::Array(list)) => found.extend(slice.of(list).take(self.budget)),
            (Step::Filter(filter), Value::Array(list)) => {
                found.extend(list.iter().filter(|element| self.holds(filter, element)));
            }
            (Step::Descend, value) => descend(value, self.budget, found),
            _ => {}
        }
    }

    fn holds(&mut self, filter: &Filter, element: &Value) -> bool {
        if self.budget == 0 {
            return false;
        }
        self.budget -= 1;
        let left = self.operand(&filter.left, element);
        let Some((comparison, right)) = &filter.comparison else { return !left.is_empty() };
        let right = self.operand(right, element);
        // Only one value compares with one.
        let ([left], [right]) = (left.as_slice(), right.as_slice()) else { return false };
        compare(left, right).is_some_and(|order| comparison.holds(order))
    }

    fn operand<'v>(&mut self, operand: &'v Operand, element: &'v Value) -> Vec<&'v Value> {
        match operand {
            Operand::Literal(value) => vec![value],
            Operand::Path(path) => self.path(path, element),
        }
    }
}

/// The value and everything within it, outer before inner.
fn descend<'v>(value: &'v Value, limit: usize, found: &mut Vec<&'v Value>) {
    let limit = found.len() + limit;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        if found.len() == limit {
            return;
        }
        found.push(value);
        match value {
            Value::Object(fields) => open.extend(fields.values().rev()),
            Value::Array(list) => open.extend(list.iter().rev()),
            _ => {}
        }
    }
}

/// An index as a position in a list of `length`; nothing if it is before the beginning.
fn position(index: i64, length: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

impl Slice {
    fn of<'v>(&self, list: &'v [Value]) -> impl Iterator<Item = &'v Value> {
        let bound = |index: i64| position(index, list.len()).unwrap_or(0).min(list.len());
        let start = self.start.map_or(0, bound);
        let end = self.end.map_or(list.len(), bound);
        list.get(start..end).unwrap_or_default().iter().step_by(self.step)
    }
}

/// The order of two values of one type; nothing if they do not compare.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => float(left).partial_cmp(&float(right)),
        },
        _ => None,
    }
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}
