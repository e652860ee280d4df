//! Lists and dictionaries.
//!
//! They know Go's type of their elements, because `typeOf`, `kindOf` and the types of parameters show it. They are taken
//! apart without recursion, so that no template can build one whose end overflows the stack.

use std::{
    cell::{Ref, RefCell},
    collections::BTreeMap,
    mem,
    rc::Rc,
};

use super::{Text, Value};

/// Go's type of the elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    /// `interface {}`
    Any,
    /// `string`
    Text,
    /// `int`
    Int,
    /// `[]interface {}`
    List,
}

#[derive(Debug)]
pub(crate) struct List {
    items: Vec<Value>,
    element: Element,
    /// Go's nil slice: the same in all but JSON.
    is_nil: bool,
}

impl List {
    pub(crate) fn new(items: Vec<Value>, element: Element) -> Self {
        Self { items, element, is_nil: false }
    }

    pub(crate) fn nil(element: Element) -> Self {
        Self { items: Vec::new(), element, is_nil: true }
    }

    pub(crate) fn items(&self) -> &[Value] {
        &self.items
    }

    pub(crate) fn element(&self) -> Element {
        self.element
    }

    pub(crate) fn is_nil(&self) -> bool {
        self.is_nil
    }
}

#[derive(Debug)]
pub(crate) struct Map {
    entries: RefCell<BTreeMap<Text, Value>>,
    element: Element,
    /// Go's nil map: it can be read, and not written.
    is_nil: bool,
}

impl Map {
    pub(crate) fn new(entries: BTreeMap<Text, Value>) -> Self {
        Self { entries: RefCell::new(entries), element: Element::Any, is_nil: false }
    }

    pub(crate) fn of_texts(entries: BTreeMap<Text, Value>) -> Self {
        Self { entries: RefCell::new(entries), element: Element::Text, is_nil: false }
    }

    pub(crate) fn nil() -> Self {
        Self { entries: RefCell::default(), element: Element::Any, is_nil: true }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Value> {
        self.entries.borrow().get(key).cloned()
    }

    pub(crate) fn insert(&self, key: Text, value: Value) {
        self.entries.borrow_mut().insert(key, value);
    }

    pub(crate) fn remove(&self, key: &[u8]) {
        self.entries.borrow_mut().remove(key);
    }

    /// For reading, and not across anything that may write.
    pub(crate) fn entries(&self) -> Ref<'_, BTreeMap<Text, Value>> {
        self.entries.borrow()
    }

    /// The entries of this moment, by key.
    pub(crate) fn snapshot(&self) -> Vec<(Text, Value)> {
        self.entries.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty()
    }

    pub(crate) fn element(&self) -> Element {
        self.element
    }

    pub(crate) fn is_nil(&self) -> bool {
        self.is_nil
    }
}

impl Drop for List {
    fn drop(&mut self) {
        take_apart(mem::take(&mut self.items));
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        take_apart(mem::take(self.entries.get_mut()).into_values().collect());
    }
}

/// Drops `values` and what only they hold, level by level.
fn take_apart(mut values: Vec<Value>) {
    while let Some(value) = values.pop() {
        match value {
            Value::List(list) => {
                if let Ok(mut list) = Rc::try_unwrap(list) {
                    values.append(&mut list.items);
                }
            }
            Value::Map(map) => {
                if let Ok(mut map) = Rc::try_unwrap(map) {
                    values.extend(mem::take(map.entries.get_mut()).into_values());
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_levels_are_dropped_without_the_stack() {
        let mut value = Value::Nil;
        for _ in 0..500_000 {
            value = Value::list(vec![value]);
            value = Value::map(Map::new([(Text::from("a"), value)].into()));
        }
        drop(value);
    }
}
