//! Search labels: conditions inside `labelSelector`.

use std::collections::BTreeSet;

use api::names::search::{labels as keys, parameters as names};
use meta::{LabelSelector, Operator};
use store::OrderBy;

use super::{Error, values};

/// A condition that takes several values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// One of these; `None` is any. There may be none left.
    pub(super) any_of: Option<BTreeSet<String>>,
    /// None of these. Empty when `any_of` is there.
    pub(super) none_of: BTreeSet<String>,
}

impl Wanted {
    /// Exactly this.
    pub(super) fn one(value: &str) -> Self {
        Self { any_of: Some([value.to_owned()].into()), ..Self::default() }
    }

    /// One of a list with commas between.
    pub(super) fn list(text: &str) -> Self {
        Self { any_of: Some(text.split(',').map(str::to_owned).collect()), ..Self::default() }
    }

    /// And this requirement.
    fn and(&mut self, key: &str, operator: Operator) -> Result<(), Error> {
        match operator {
            // The empty text is no condition, as in the URL.
            Operator::In(values) if values.iter().all(String::is_empty) => {}
            Operator::In(values) => {
                self.any_of =
                    Some(self.any_of.as_ref().map_or_else(|| values.clone(), |known| known & &values));
            }
            Operator::NotIn(values) => {
                self.none_of.extend(values.into_iter().filter(|value| !value.is_empty()));
            }
            _ => return Err(Error::new(key, "takes =, in, != or notin and values")),
        }
        if let Some(any_of) = &mut self.any_of {
            any_of.retain(|value| !self.none_of.contains(value));
        }
        Ok(())
    }

    fn settled(self) -> Self {
        let none_of = if self.any_of.is_some() { BTreeSet::new() } else { self.none_of };
        Self { any_of: self.any_of, none_of }
    }
}

/// What the search labels say of the owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: Option<String>,
    pub(super) name: Option<String>,
    pub(super) group_resource: Option<String>,
    pub(super) seniority: Option<u32>,
}

/// A label selector, taken apart into search labels and the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Labels {
    /// What is demanded of the labels of objects.
    pub(super) selector: LabelSelector,
    pub(super) clusters: Wanted,
    pub(super) namespaces: Wanted,
    pub(super) names: Wanted,
    pub(super) fuzzy_names: Vec<String>,
    pub(super) order: Vec<OrderBy>,
    pub(super) owner: Owner,
    pub(super) since: Option<i64>,
    pub(super) before: Option<i64>,
    pub(super) limit: Option<i64>,
    pub(super) offset: Option<i64>,
    pub(super) with_continue: Option<bool>,
    pub(super) with_remaining_count: Option<bool>,
    pub(super) inject_events: Option<bool>,
}

impl Labels {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let selector = parse(text)?;
        let mut written = Written::new(text);
        let mut labels = Self::default();
        for requirement in selector.requirements {
            if is_condition(&requirement.key) {
                labels.condition(&requirement.key, requirement.operator, &mut written)?;
            } else {
                labels.selector.requirements.push(requirement);
            }
        }
        for wanted in [&mut labels.clusters, &mut labels.namespaces, &mut labels.names] {
            *wanted = std::mem::take(wanted).settled();
        }
        Ok(labels)
    }

    fn condition(&mut self, key: &str, operator: Operator, written: &mut Written<'_>) -> Result<(), Error> {
        match key {
            keys::CLUSTERS => self.clusters.and(key, operator)?,
            keys::NAMESPACES => self.namespaces.and(key, operator)?,
            keys::NAMES => self.names.and(key, operator)?,
            keys::FUZZY_NAME => {
                let values = one_of(key, operator)?.into_iter();
                self.fuzzy_names.extend(values.filter(|value| !value.is_empty()));
            }
            keys::ORDER_BY => {
                for value in written.in_order(key, one_of(key, operator)?) {
                    self.order.push(values::order_of_label(key, &value)?);
                }
            }
            keys::OWNER_UID => set(key, &mut self.owner.uid, one(key, operator)?)?,
            keys::OWNER_NAME => set(key, &mut self.owner.name, one(key, operator)?)?,
            keys::OWNER_GROUP_RESOURCE => set(key, &mut self.owner.group_resource, one(key, operator)?)?,
            keys::OWNER_SENIORITY => {
                let seniority = values::seniority(key, &one(key, operator)?)?;
                set(key, &mut self.owner.seniority, seniority)?;
            }
            keys::SINCE => set(key, &mut self.since, values::time(key, &one(key, operator)?)?)?,
            keys::BEFORE => set(key, &mut self.before, values::time(key, &one(key, operator)?)?)?,
            keys::LIMIT | keys::SIZE => {
                set(key, &mut self.limit, values::integer(key, &one(key, operator)?)?)?;
            }
            keys::OFFSET => set(key, &mut self.offset, values::integer(key, &one(key, operator)?)?)?,
            keys::WITH_CONTINUE => set(key, &mut self.with_continue, flag(key, operator)?)?,
            keys::WITH_REMAINING_COUNT => set(key, &mut self.with_remaining_count, flag(key, operator)?)?,
            keys::INJECT_EVENTS => set(key, &mut self.inject_events, flag(key, operator)?)?,
            // Who serves the request has looked for it: see `forwarded`.
            keys::FORWARD => {}
            _ => return Err(Error::new(key, "is no condition of the search")),
        }
        Ok(())
    }
}

/// If the client asks with a search label that the cluster itself answers: the label selector for the cluster, without
/// that label.
///
/// # Errors
/// When the text is no label selector.
pub fn forwarded(label_selector: &str) -> Result<Option<String>, Error> {
    let mut selector = parse(label_selector)?;
    let all = selector.requirements.len();
    selector.requirements.retain(|requirement| requirement.key != keys::FORWARD);
    Ok((selector.requirements.len() < all).then(|| selector.to_string()))
}

fn parse(text: &str) -> Result<LabelSelector, Error> {
    LabelSelector::parse(text).map_err(|error| Error::new(names::LABEL_SELECTOR, error.to_string()))
}

/// Whether a key belongs to the search. Other keys that speak of clusterpedia.io may well be on objects.
fn is_condition(key: &str) -> bool {
    keys::PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// The values of `=` or `in`.
fn one_of(key: &str, operator: Operator) -> Result<BTreeSet<String>, Error> {
    match operator {
        Operator::In(values) => Ok(values),
        _ => Err(Error::new(key, "takes = or in and values")),
    }
}

/// The value of `=`.
fn one(key: &str, operator: Operator) -> Result<String, Error> {
    let mut values = one_of(key, operator)?.into_iter();
    match (values.next(), values.next()) {
        (Some(value), None) if !value.is_empty() => Ok(value),
        _ => Err(Error::new(key, "takes exactly one value")),
    }
}

/// A flag: set by its presence, by any value but `0` and `false`; not set by `!`.
fn flag(key: &str, operator: Operator) -> Result<bool, Error> {
    match operator {
        Operator::Exists => Ok(true),
        Operator::NotExists => Ok(false),
        Operator::In(values) if values.len() == 1 => Ok(values.iter().all(|value| values::boolean(value))),
        _ => Err(Error::new(key, "takes = and true or false")),
    }
}

/// Keeps a value of which there can be one.
fn set<T: PartialEq>(key: &str, place: &mut Option<T>, value: T) -> Result<(), Error> {
    if place.as_ref().is_some_and(|earlier| *earlier != value) {
        return Err(Error::new(key, "is asked to be two different values"));
    }
    *place = Some(value);
    Ok(())
}

/// The words of a selector as they were written, behind the last one that was asked for. A parsed requirement holds its
/// values sorted; in an order the first one decides first.
struct Written<'a>(Vec<&'a str>);

impl<'a> Written<'a> {
    fn new(selector: &'a str) -> Self {
        let signs = |c: char| c.is_whitespace() || "=!(),<>".contains(c);
        Self(selector.split(signs).filter(|word| !word.is_empty()).collect())
    }

    /// The values of the next requirement on `key`.
    fn in_order(&mut self, key: &str, values: BTreeSet<String>) -> Vec<String> {
        let behind = self.0.iter().position(|word| *word == key).map_or(self.0.len(), |at| at + 1);
        self.0.drain(..behind);
        let mut values = Vec::from_iter(values);
        values.sort_by_key(|value| self.0.iter().position(|word| word == value));
        values
    }
}
