//! A question to the store as a value: every condition of contract section 5.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use meta::{FieldSelector, LabelSelector};

use crate::{ClusterName, Error, Position, ResourcePattern, Token};

/// Which objects are wanted, in which order, and how much of them. All conditions hold.
///
/// ```
/// use store::{ClusterName, Query, Resource};
///
/// let query = Query {
///     clusters: Some([ClusterName::new("prod-1")].into()),
///     namespaces: ["default".to_owned()].into(),
///     ..Query::of(Resource::new("", "v1", "pods"))
/// };
/// assert!(query.validate().is_ok());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// The resources; an object of any of them is wanted. None of them means no object.
    pub resources: Vec<ResourcePattern>,
    /// The clusters asked for; `None` is all.
    pub clusters: Option<BTreeSet<ClusterName>>,
    /// What the caller may see: nothing of other clusters; `None` is everything. No part of what a [`Token`] belongs
    /// to.
    pub allowed: Option<BTreeMap<ClusterName, Visible>>,
    /// Exact namespaces; none of them means all. The empty namespace is that of cluster-scoped objects.
    pub namespaces: BTreeSet<String>,
    /// Exact names; none of them means all.
    pub names: BTreeSet<String>,
    /// Texts that must all occur in the name, case-sensitive and literal.
    pub fuzzy_names: Vec<String>,
    /// Created at or after this time, in seconds since 1970.
    pub since: Option<i64>,
    /// Created before this time, in seconds since 1970.
    pub before: Option<i64>,
    /// The controlling owner.
    pub owner: Option<OwnedBy>,
    /// Labels, with Kubernetes' rule that `NotIn` and `NotExists` match an absent key.
    pub labels: LabelSelector,
    /// Any fields; how values compare is told at [`crate::field`].
    pub fields: FieldSelector,
    /// The order; the terms before decide first. See [`Query::total_order`] for how ties are broken.
    pub order: Vec<OrderBy>,
    /// At most this many objects; `None` is all.
    pub limit: Option<NonZeroU64>,
    /// Where in the order to begin.
    pub start: Start,
    /// How much of each object.
    pub content: Content,
}

/// How much of a cluster a caller may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visible {
    /// Everything.
    All,
    /// The objects of these namespaces; the empty one is that of cluster-scoped objects.
    Namespaces(BTreeSet<String>),
}

/// Which controlling owner objects must have. Only the owner reference with `controller: true` counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedBy {
    /// The ancestor.
    pub ancestor: Ancestor,
    /// How many generations lie between: 0 for the owner itself, 1 for the owner's owner. At most
    /// [`OwnedBy::MAX_SENIORITY`].
    pub seniority: u32,
}

impl OwnedBy {
    /// The most generations a query may go up.
    pub const MAX_SENIORITY: u32 = 8;
}

/// An ancestor by what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ancestor {
    /// By `metadata.uid`. The ancestor itself need not be stored.
    Uid(String),
    /// By name, in the query's namespaces or without one. It must be stored.
    Named {
        /// `metadata.name`.
        name: String,
        /// Its API group and plural name, if they matter.
        group_resource: Option<(String, String)>,
    },
}

/// One term of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderBy {
    /// What is compared.
    pub field: OrderField,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// What objects can be ordered by. Texts compare by their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderField {
    /// The cluster's name.
    Cluster,
    /// `metadata.namespace`.
    Namespace,
    /// `metadata.name`.
    Name,
    /// `metadata.creationTimestamp`.
    CreatedAt,
    /// `metadata.resourceVersion`, by number; those that are no numbers come after all numbers, as text.
    ResourceVersion,
    /// The sequence number of the object's last change in this store.
    Sequence,
    /// Group, version and plural name. Not asked for by anybody, but the last tie-breaker.
    Resource,
}

/// Where an answer begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Start {
    /// With the first object.
    #[default]
    Beginning,
    /// After this many objects. Shifts when objects come or go; takes time in proportion to the number.
    Offset(u64),
    /// After the last object of an earlier page, wherever it is now.
    After(Token),
}

/// How much of each object an answer holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Content {
    /// Only what [`crate::Row`] has as fields; `json` is empty.
    Keys,
    /// `apiVersion`, `kind` and `metadata`.
    Metadata,
    /// The whole object.
    #[default]
    Whole,
}

impl Query {
    /// Everything of one resource, or of what a pattern names.
    pub fn of(resource: impl Into<ResourcePattern>) -> Self {
        Self { resources: vec![resource.into()], ..Self::default() }
    }

    /// Checks what every back end would refuse.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the parameter at fault.
    pub fn validate(&self) -> Result<(), Error> {
        if let (Some(since), Some(before)) = (self.since, self.before)
            && before < since
        {
            return Err(Error::invalid("before", "is earlier than since"));
        }
        if let Some(owner) = &self.owner {
            if self.clusters.as_ref().is_none_or(|clusters| clusters.len() != 1) {
                return Err(Error::invalid(
                    "clusters",
                    "an owner can be searched for in exactly one cluster",
                ));
            }
            if owner.seniority > OwnedBy::MAX_SENIORITY {
                return Err(Error::invalid(
                    "ownerSeniority",
                    format!("must not be above {}", OwnedBy::MAX_SENIORITY),
                ));
            }
        }
        if let Start::After(token) = &self.start {
            token.position(self)?;
        }
        Ok(())
    }

    /// The order with its tie-breakers: cluster, namespace, name and resource, as far as they are not in it already,
    /// in the direction of its last term. No two objects are equal in it.
    pub fn total_order(&self) -> Vec<OrderBy> {
        let descending = self.order.last().is_some_and(|term| term.descending);
        let breakers = [OrderField::Cluster, OrderField::Namespace, OrderField::Name, OrderField::Resource];
        let mut terms: Vec<OrderBy> = Vec::with_capacity(self.order.len() + breakers.len());
        for term in self.order.iter().copied().chain(breakers.map(|field| OrderBy { field, descending })) {
            if terms.iter().all(|known| known.field != term.field) {
                terms.push(term);
            }
        }
        terms
    }

    /// Where the answer begins, if that is after an object.
    pub(crate) fn after(&self) -> Result<Option<Position>, Error> {
        match &self.start {
            Start::After(token) => Ok(Some(token.position(self)?)),
            Start::Beginning | Start::Offset(_) => Ok(None),
        }
    }

    /// How many objects to pass over at the beginning.
    pub(crate) fn offset(&self) -> u64 {
        match self.start {
            Start::Offset(offset) => offset,
            Start::Beginning | Start::After(_) => 0,
        }
    }
}

impl OrderBy {
    /// In ascending order.
    pub const fn ascending(field: OrderField) -> Self {
        Self { field, descending: false }
    }

    /// In descending order.
    pub const fn descending(field: OrderField) -> Self {
        Self { field, descending: true }
    }

    /// `ordering` in this term's direction.
    pub(crate) fn directed(self, ordering: Ordering) -> Ordering {
        if self.descending { ordering.reverse() } else { ordering }
    }
}
