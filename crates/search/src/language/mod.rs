//! The search language (contract `clusterpedia.md`, section 5): from the query string of a request to a question for the
//! store. Nothing is executed here.
//!
//! A condition comes from the path, from a query parameter, or from a *search label*: a requirement inside
//! `labelSelector` on a key of [`api::names::search::labels`], which is how kubectl can say it. The path wins over the
//! parameter and the parameter over the label, with one exception: kubectl's own `limit=500` loses against a label.
//!
//! Search labels have the meaning of their operator. `=`, `==` and `in` name what is wanted; `!=` and `notin` what is
//! not, for names, namespaces and clusters; several requirements on one key all hold. Whatever an operator cannot mean
//! for a condition is an error, and so is every other input that would have to be ignored.
//!
//! Deliberately absent: the parameters that are no conditions (`watch`, `timeoutSeconds`, `resourceVersion` and those
//! around it), which whoever serves the request reads; and the rights of the caller, see [`Search::allow`].

mod collection;
mod labels;
mod parameters;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use api::names::search::parameters as names;
use meta::{FieldPath, FieldRequirement, FieldSelector, Operator, Step};
use store::{Ancestor, ClusterName, Content, OwnedBy, Query, ResourcePattern, Start, Visible};

pub use collection::resources_of_any;
pub use labels::forwarded;
pub use parameters::Parameters;

use labels::{Labels, Wanted};

/// A request that cannot be understood: the client's mistake, answered with a 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{parameter}: {reason}")]
pub struct Error {
    /// The query parameter or the key of the search label.
    pub parameter: String,
    /// What is wrong with it and, where that is not plain, what to write instead.
    pub reason: String,
}

impl Error {
    fn new(parameter: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { parameter: parameter.into(), reason: reason.into() }
    }
}

/// A client's text inside a message: quoted, and not longer than a message should be.
fn shown(text: &str) -> String {
    let mut beginning: String = text.chars().take(80).collect();
    if beginning.len() < text.len() {
        beginning.push('…');
    }
    format!("{beginning:?}")
}

impl From<Error> for meta::Status {
    fn from(error: Error) -> Self {
        Self::bad_request(error.to_string())
    }
}

/// What the path of a request says of the objects wanted. It overrides all other conditions of the same kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The resource, or those of a collection.
    pub resources: Vec<ResourcePattern>,
    /// The cluster, in `/clusters/NAME/…`.
    pub cluster: Option<ClusterName>,
    /// The namespace, in `…/namespaces/NAME/…`.
    pub namespace: Option<String>,
}

impl Place {
    /// One resource, or several, of all clusters and namespaces.
    pub fn of(resource: impl Into<ResourcePattern>) -> Self {
        Self { resources: vec![resource.into()], ..Self::default() }
    }
}

/// A list request, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// What is wanted, but for [`Search::excluded_clusters`]. It is valid.
    pub query: Query,
    /// Clusters whose objects are not wanted. Empty when `query` names the clusters that are.
    pub excluded_clusters: BTreeSet<ClusterName>,
    /// Whether the answer tells where the next page begins.
    pub with_continue: bool,
    /// Whether the answer tells how many objects follow behind the page.
    pub with_remaining_count: bool,
    /// Whether objects come with their Events.
    pub inject_events: bool,
    /// How many objects lie before the page, if that is known.
    pub passed: Option<u64>,
}

impl Search {
    /// Reads a request for objects.
    ///
    /// ```
    /// use search::language::{Parameters, Place, Search};
    /// use store::Resource;
    ///
    /// let parameters = Parameters::parse("limit=500&labelSelector=app=web,search.clusterpedia.io/limit=20")?;
    /// let search = Search::parse(Place::of(Resource::new("apps", "v1", "deployments")), &parameters)?;
    /// assert_eq!(search.query.limit.map(u64::from), Some(20));
    /// assert_eq!(search.query.labels.to_string(), "app=web");
    /// # Ok::<(), search::language::Error>(())
    /// ```
    ///
    /// # Errors
    /// With the parameter or search label at fault.
    pub fn parse(place: Place, parameters: &Parameters) -> Result<Self, Error> {
        for name in names::RAW_SQL {
            if parameters.get(name).is_some() {
                return Err(Error::new(name, "SQL is not taken; use labelSelector and fieldSelector"));
            }
        }
        let labels = Labels::parse(parameters.get(names::LABEL_SELECTOR).unwrap_or_default())?;
        let fields = parameters.get(names::FIELD_SELECTOR).unwrap_or_default();
        let fields = FieldSelector::parse(fields)
            .map_err(|error| Error::new(names::FIELD_SELECTOR, error.to_string()))?;

        let list = |name| parameters.given(name).map(Wanted::list);
        let clusters = place.cluster.map(|cluster| Wanted::one(cluster.as_str()));
        let clusters = clusters.or_else(|| list(names::CLUSTERS)).unwrap_or(labels.clusters);
        let namespaces = place.namespace.map(|namespace| Wanted::one(&namespace));
        let namespaces = namespaces.or_else(|| list(names::NAMESPACES)).unwrap_or(labels.namespaces);
        let objects = list(names::NAMES).unwrap_or(labels.names);

        let time = |name, label| match parameters.given(name) {
            Some(text) => values::time(name, text).map(Some),
            None => Ok(label),
        };
        let order = match parameters.given(names::ORDER_BY) {
            Some(text) => values::order(text)?,
            None => labels.order,
        };
        let flag = |name, label: Option<bool>| match parameters.get(name) {
            Some(text) => values::boolean(text),
            None => label.unwrap_or(false),
        };

        let (start, passed) = start(parameters, labels.offset)?;
        let mut query = Query {
            resources: place.resources,
            since: time(names::SINCE, labels.since)?,
            before: time(names::BEFORE, labels.before)?,
            owner: owner(parameters, &labels.owner)?,
            fuzzy_names: labels.fuzzy_names,
            labels: labels.selector,
            fields,
            order,
            limit: values::limit(limit(parameters, labels.limit)?),
            start,
            content: if flag(names::ONLY_METADATA, None) { Content::Metadata } else { Content::Whole },
            ..Query::default()
        };
        only(&mut query, "name", objects, |query| &mut query.names);
        only(&mut query, "namespace", namespaces, |query| &mut query.namespaces);
        let as_clusters =
            |names: BTreeSet<String>| -> BTreeSet<_> { names.into_iter().map(ClusterName::new).collect() };
        query.clusters = clusters.any_of.map(as_clusters);
        query.validate().map_err(from_store)?;
        Ok(Self {
            query,
            excluded_clusters: as_clusters(clusters.none_of),
            with_continue: flag(names::WITH_CONTINUE, labels.with_continue),
            with_remaining_count: flag(names::WITH_REMAINING_COUNT, labels.with_remaining_count),
            inject_events: flag(names::INJECT_EVENTS, labels.inject_events),
            passed,
        })
    }

    /// The question for the store, of a caller who may see `allowed` (`None`: everything), where `known` are the clusters
    /// there are. Without this, excluded clusters are not excluded.
    pub fn allow(
        self,
        allowed: Option<BTreeMap<ClusterName, Visible>>,
        known: &BTreeSet<ClusterName>,
    ) -> Query {
        let excluded = self.excluded_clusters;
        let everything = || known.iter().map(|cluster| (cluster.clone(), Visible::All)).collect();
        let allowed = match allowed {
            None if excluded.is_empty() => None,
            allowed => {
                let mut allowed: BTreeMap<_, _> = allowed.unwrap_or_else(everything);
                allowed.retain(|cluster, _| !excluded.contains(cluster));
                Some(allowed)
            }
        };
        Query { allowed, ..self.query }
    }
}

/// kubectl's automatic page size, which says nothing of what its user wants.
const KUBECTL_LIMIT: i64 = 500;

fn limit(parameters: &Parameters, label: Option<i64>) -> Result<i64, Error> {
    let given = match parameters.given(names::LIMIT) {
        Some(text) => values::integer(names::LIMIT, text)?,
        None => 0,
    };
    Ok(match label {
        Some(label) if given <= 0 || given == KUBECTL_LIMIT => label,
        _ => given,
    })
}

fn start(parameters: &Parameters, label: Option<i64>) -> Result<(Start, Option<u64>), Error> {
    match parameters.given(names::CONTINUE) {
        Some(text) => values::start(text),
        None => Ok(values::counted(label.map_or(Start::Beginning, values::offset))),
    }
}

/// The token of a page with the number of objects before that page, so that the next answer can say how many follow
/// without a walk over all before.
pub(crate) fn with_passed(token: String, passed: Option<u64>) -> String {
    match passed {
        Some(passed) => format!("{token}~{passed}"),
        None => token,
    }
}

/// The owner, whose name or UID comes from a parameter or a label, and likewise each other part.
fn owner(parameters: &Parameters, labels: &labels::Owner) -> Result<Option<OwnedBy>, Error> {
    let text =
        |name, label: &Option<String>| parameters.given(name).map(str::to_owned).or_else(|| label.clone());
    let uid = text(names::OWNER_UID, &labels.uid);
    let name = text(names::OWNER_NAME, &labels.name);
    let group_resource = text(names::OWNER_GROUP_RESOURCE, &labels.group_resource);
    let seniority = match parameters.given(names::OWNER_SENIORITY) {
        Some(text) => values::seniority(names::OWNER_SENIORITY, text)?,
        None => labels.seniority.unwrap_or(0),
    };
    let ancestor = match (uid, name) {
        (Some(uid), _) => Ancestor::Uid(uid),
        (None, Some(name)) => {
            Ancestor::Named { name, group_resource: group_resource.map(values::group_resource) }
        }
        (None, None) if group_resource.is_some() => {
            return Err(Error::new(
                names::OWNER_GROUP_RESOURCE,
                "says of what kind ownerName is; that is missing",
            ));
        }
        (None, None) if seniority > 0 => {
            return Err(Error::new(names::OWNER_SENIORITY, "needs ownerName or ownerUID"));
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(OwnedBy { ancestor, seniority }))
}

/// Puts a condition on `metadata.FIELD` into the query: what is wanted into the set of its own, narrowed by what the
/// field selector says of the same field; what is not wanted becomes a requirement on the field.
fn only(
    query: &mut Query,
    field: &str,
    condition: Wanted,
    set: impl Fn(&mut Query) -> &mut BTreeSet<String>,
) {
    let path = FieldPath { steps: ["metadata", field].map(|name| Step::Field(name.to_owned())).into() };
    let mut any_of = condition.any_of;
    query.fields.requirements.retain(|requirement| match &requirement.operator {
        Operator::In(values) if requirement.path == path && !values.contains("") => {
            any_of = Some(any_of.as_ref().map_or_else(|| values.clone(), |any_of| any_of & values));
            false
        }
        _ => true,
    });
    if !condition.none_of.is_empty() {
        query
            .fields
            .requirements
            .push(FieldRequirement { path, operator: Operator::NotIn(condition.none_of) });
    }
    match any_of {
        // A set that may hold nothing: no object satisfies that.
        Some(values) if values.is_empty() => query.resources.clear(),
        Some(values) => *set(query) = values,
        None => {}
    }
}

fn from_store(error: store::Error) -> Error {
    match error {
        store::Error::Invalid { parameter, reason } => Error::new(parameter, reason),
        other => Error::new("query", other.to_string()),
    }
}
