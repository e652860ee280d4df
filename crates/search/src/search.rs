//! From an understood request to its answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
    sync::Arc,
    time::Duration,
};

use apiserver::{
    Authorizer, Body, asks_to_watch,
    form::{self, Form, Include},
    json_response, with_type,
};
use http::{HeaderValue, Request, Response, header};
use meta::Status;
use serde_json::{Value, json};
use store::{ClusterName, Content, ObjectName, Query, Resource, Row, Store, Visible};
use tokio::sync::watch;

use crate::{
    Catalogue, Kind,
    answer::{self, Format, Paging, Source},
    builtin, collection,
    discovery::{self, Kinds, Served},
    events::Events,
    language::{Parameters, Place, Search},
    live::{Asker, Live, Wanted},
    object::{Object, Shape},
    path::{Asked, Route},
    rights,
    serve::Asking,
    status,
    table::Columns,
    versions,
};

/// The Kubernetes version whose kinds are known here.
const KUBERNETES: (&str, &str) = ("1", "37");

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) catalogue: watch::Receiver<Arc<Catalogue>>,
    pub(crate) authorizer: Authorizer,
    /// How long an answer on a path that may last may take.
    pub(crate) deadline: Duration,
    pub(crate) live: Option<Arc<Live>>,
}

/// The clusters a request is about.
struct Scope {
    /// The one in the path.
    one: Option<ClusterName>,
    /// All there are.
    known: BTreeSet<ClusterName>,
    /// Those the caller may see, if not all.
    visible: Option<BTreeSet<ClusterName>>,
}

/// The objects a path names.
struct Objects {
    resource: Resource,
    namespace: Option<String>,
    name: Option<String>,
}

impl Scope {
    /// For the store; `None` is every cluster.
    fn clusters(&self) -> Option<Vec<ClusterName>> {
        match (&self.one, &self.visible) {
            (Some(one), _) => Some(vec![one.clone()]),
            (None, Some(visible)) => Some(visible.iter().cloned().collect()),
            (None, None) => None,
        }
    }

    fn allowed(&self) -> Option<BTreeMap<ClusterName, Visible>> {
        let visible = self.visible.as_ref()?;
        Some(visible.iter().map(|cluster| (cluster.clone(), Visible::All)).collect())
    }
}

impl Inner {
    fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.borrow().clone()
    }

    /// `resources/…`, answered by the cluster itself.
    pub(crate) async fn forward(
        &self,
        wanted: Wanted,
        asker: &Asker<'_>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Status> {
        let Some(live) = &self.live else { return Err(Status::internal("Nothing goes to clusters here.")) };
        let Wanted { cluster, path_and_query, synchronised } = wanted;
        let catalogue = self.catalogue();
        if !self.known(&catalogue).await?.contains(&cluster) {
            return Err(unknown(&cluster));
        }
        if let Some((group, plural)) = synchronised {
            let is_it = |resource: &Resource| resource.group == group && resource.resource == plural;
            let told =
                catalogue.clusters.get(&cluster).is_some_and(|known| known.resources.keys().any(is_it));
            if !told && !self.stored(Some(std::slice::from_ref(&cluster))).await?.iter().any(is_it) {
                return Err(Status::not_found(format!(
                    "The resource {plural:?} is not synchronised from the cluster {:?}.",
                    cluster.as_str()
                )));
            }
        }
        live.serve(&self.authorizer, &cluster, path_and_query, asker, request).await
    }

    /// `resources/…`
    pub(crate) async fn resources(
        &self,
        route: Route,
        asking: &Asking<'_>,
        parameters: &Parameters,
    ) -> Result<Response<Body>, Status> {
        let catalogue = self.catalogue();
        let scope = self.scope(route.cluster, asking, parameters, &catalogue).await?;
        let mut response = match route.asked {
            Asked::Version => json_response(&version(&scope, &catalogue)),
            Asked::OpenApiV2 => json_response(&json!({
                "swagger": "2.0", "info": { "title": "Clusterway search", "version": "v1beta1" }, "paths": {},
            })),
            Asked::OpenApiV3 => json_response(&json!({ "paths": {} })),
            Asked::LegacyVersions => {
                discovery::legacy_versions(&self.served(&scope, &catalogue).await?, asking.headers)?
            }
            Asked::Groups => discovery::groups(&self.served(&scope, &catalogue).await?, asking.headers)?,
            Asked::Group(group) => {
                json_response(&discovery::group(&self.served(&scope, &catalogue).await?.kinds, &group)?)
            }
            Asked::GroupVersion(group, version) => json_response(&discovery::group_version(
                &self.served(&scope, &catalogue).await?,
                &group,
                &version,
            )?),
            Asked::Anything | Asked::Objects { subresource: Some(_), .. } => {
                return Err(Status::internal("Only a cluster itself answers this."));
            }
            Asked::Objects { resource, namespace, name, subresource: None } => {
                let objects = Objects { resource, namespace, name };
                self.objects(objects, &scope, &catalogue, asking, parameters).await?
            }
        };
        if let Some(warning) = warning(&scope, &catalogue) {
            response.headers_mut().append(header::WARNING, warning);
        }
        Ok(response)
    }

    /// `collectionresources`
    pub(crate) fn collections(&self, asking: &Asking<'_>) -> Result<Response<Body>, Status> {
        let mut list = collection::list(&self.catalogue());
        let definitions = list.items.iter_mut().map(|item| &mut item.api_version);
        definitions.chain([&mut list.api_version]).for_each(|told| *told = api_version(asking));
        let (form, media_type) = form::accepted(asking.headers)?;
        let document = match form {
            Form::Table(version) => {
                let rows = list.items.iter().map(collection::cells).collect();
                answer::plain_table(version, &collection::columns(), rows)
            }
            Form::Objects | Form::Metadata(_) => json!(list),
        };
        Ok(with_type(media_type, document.to_string()))
    }

    /// `collectionresources/NAME`
    pub(crate) async fn collection(
        &self,
        name: &str,
        asking: &Asking<'_>,
        parameters: &Parameters,
    ) -> Result<Response<Body>, Status> {
        let catalogue = self.catalogue();
        let resources = collection::resources(name, parameters, &catalogue)?;
        let scope = self.scope(None, asking, parameters, &catalogue).await?;
        let (form, media_type) = form::accepted(asking.headers)?;
        let mut search = Search::parse(Place { resources, ..Place::default() }, parameters)?;
        let format = match form {
            Form::Table(version) => {
                let include = Include::parse(parameters.get("includeObject"))?;
                if include != Include::Object {
                    search.query.content = Content::Metadata;
                }
                Format::CollectionTable { version, include }
            }
            Form::Objects | Form::Metadata(_) => {
                let shape = shape(form, &mut search);
                let (api_version, name) = (api_version(asking), name.to_owned());
                Format::Collection { api_version, name, shape, types: BTreeSet::new() }
            }
        };
        self.select(search, &scope, format, media_type).await
    }

    /// A list, or one object.
    async fn objects(
        &self,
        objects: Objects,
        scope: &Scope,
        catalogue: &Catalogue,
        asking: &Asking<'_>,
        parameters: &Parameters,
    ) -> Result<Response<Body>, Status> {
        let (form, media_type) = form::accepted(asking.headers)?;
        let Objects { resource, namespace, name } = objects;
        let (stored, kind) = self.stored_as(&resource, scope, catalogue).await?.ok_or_else(|| {
            Status::not_found(format!(
                "The resource {resource} is not synchronised from the clusters asked for."
            ))
        })?;
        let api_version = discovery::group_version_text(&resource.group, &resource.version);
        if kind.namespaced != namespace.is_some() && (namespace.is_some() || name.is_some()) {
            let scope = if kind.namespaced { "lives in a namespace" } else { "does not live in namespaces" };
            return Err(Status::not_found(format!("The resource {resource} {scope}.")));
        }
        let include = Include::parse(parameters.get("includeObject"))?;
        let table =
            |version, columns| Format::Table { version, columns, include, api_version: api_version.clone() };
        let list = |shape| Format::List { api_version: api_version.clone(), kind: kind.kind.clone(), shape };
        if let Some(name) = name {
            let Some(cluster) = &scope.one else {
                return Err(Status::bad_request(
                    "A single object is asked of one cluster: the path must name it, as in resources/clusters/NAME/…",
                ));
            };
            let object = ObjectName::new(namespace.unwrap_or_default(), name);
            let mut row = None;
            for resource in &stored {
                let found = self.store.get(cluster, resource, &object).await;
                row = row.or(found.map_err(|error| status::of_store(&error))?);
            }
            let row = row.ok_or_else(|| {
                let Resource { group, resource, .. } = &resource;
                let qualified =
                    if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
                Status::not_found(format!("{qualified} {:?} not found", object.name)).about(
                    group,
                    resource,
                    &object.name,
                )
            })?;
            let format = match form {
                Form::Table(version) => table(version, self.columns(&stored[0], &kind, scope).await?),
                Form::Metadata(version) => list(Shape::Metadata(version)),
                Form::Objects => list(Shape::AsStored),
            };
            return answer::single(&row, format, media_type);
        }
        if asks_to_watch(asking.query) {
            return Err(Status::method_not_allowed(format!(
                "watch is not supported on {resource} here; list instead, or watch the cluster itself."
            )));
        }
        let resources = stored.iter().cloned().map(Into::into).collect();
        let place = Place { resources, cluster: scope.one.clone(), namespace };
        let mut search = Search::parse(place, parameters)?;
        let format = match form {
            Form::Table(version) => {
                search.query.content = Content::Whole;
                table(version, self.columns(&stored[0], &kind, scope).await?)
            }
            Form::Objects | Form::Metadata(_) => list(shape(form, &mut search)),
        };
        self.select(search, scope, format, media_type).await
    }

    async fn select(
        &self,
        search: Search,
        scope: &Scope,
        format: Format,
        media_type: &str,
    ) -> Result<Response<Body>, Status> {
        let Search { with_continue, with_remaining_count, inject_events, passed, .. } = search;
        let failed = |error: store::Error| status::of_store(&error);
        let query = search.allow(scope.allowed(), &scope.known);
        // Without a number of what was passed over, how many follow stays untold, as Kubernetes allows.
        let total = async {
            match passed {
                Some(_) if with_remaining_count => self.store.count(query.clone()).await.map(Some),
                _ => Ok(None),
            }
        };
        // The number is got before the first object: nothing up to it is missing from the answer.
        let (total, head) = tokio::try_join!(total, self.store.head()).map_err(failed)?;
        let rows = self.store.select(query).await.map_err(failed)?;
        let events = inject_events.then(|| Events::of(self.store.clone()));
        let paging = Paging { with_continue, passed, total, head };
        answer::stream_rows(Source { rows, events }, format, paging, media_type).await
    }

    /// All clusters there are.
    async fn known(&self, catalogue: &Catalogue) -> Result<BTreeSet<ClusterName>, Status> {
        let stored = self.store.clusters().await.map_err(|error| status::of_store(&error))?;
        Ok(stored.into_iter().chain(catalogue.clusters.keys().cloned()).collect())
    }

    /// Which clusters a request is about.
    async fn scope(
        &self,
        one: Option<ClusterName>,
        asking: &Asking<'_>,
        parameters: &Parameters,
        catalogue: &Catalogue,
    ) -> Result<Scope, Status> {
        let known = self.known(catalogue).await?;
        if let Some(cluster) = one.as_ref().filter(|one| !known.contains(one)) {
            return Err(unknown(cluster));
        }
        if one.is_some() {
            return Ok(Scope { one, known, visible: None });
        }
        // Nobody need be asked about clusters that the search is not about. What is wrong with its conditions is told
        // when they are read for good.
        let search = Search::parse(Place::default(), parameters).ok();
        let named = search.and_then(|search| search.query.clusters);
        let asked_for = named.map_or_else(|| known.clone(), |named| &named & &known);
        let visible = rights::visible(&self.authorizer, asking.user, &asked_for).await?;
        Ok(Scope { one, known, visible })
    }

    /// Everything that a client can find out about.
    async fn served(&self, scope: &Scope, catalogue: &Catalogue) -> Result<Served, Status> {
        let kinds = self.kinds(scope, catalogue).await?;
        // Only a path of one cluster leads to the cluster.
        let live = self.live.as_ref().filter(|_| scope.one.is_some());
        let subresources = live.map(|live| live.forwarding().all().collect()).unwrap_or_default();
        Ok(Served { kinds, subresources })
    }

    /// Everything that can be searched.
    async fn kinds(&self, scope: &Scope, catalogue: &Catalogue) -> Result<Kinds, Status> {
        let clusters = scope.clusters();
        let mut kinds = Kinds::new();
        for (name, cluster) in &catalogue.clusters {
            if clusters.as_ref().is_none_or(|clusters| clusters.contains(name)) {
                for (resource, kind) in &cluster.resources {
                    kinds.entry(resource.clone()).or_insert_with(|| kind.clone());
                }
            }
        }
        for resource in self.stored(clusters.as_deref()).await? {
            if !kinds.contains_key(&resource)
                && let Some(kind) = self.kind_of_stored(&resource, clusters.clone()).await?
            {
                kinds.insert(resource, kind);
            }
        }
        versions::complete(&mut kinds);
        Ok(kinds)
    }

    /// Under which resources the objects of one are stored: under itself, and under versions of it that are the same. And
    /// its kind. `None` if it is not synchronised.
    async fn stored_as(
        &self,
        resource: &Resource,
        scope: &Scope,
        catalogue: &Catalogue,
    ) -> Result<Option<(Vec<Resource>, Kind)>, Status> {
        let (mut stored, mut kind) = (Vec::new(), None);
        for resource in versions::same_as(resource) {
            if let Some(found) = self.kind(&resource, scope, catalogue).await? {
                stored.push(resource);
                kind.get_or_insert(found);
            }
        }
        Ok(kind.map(|kind| (stored, kind)))
    }

    /// The kind of a resource; `None` if it is not synchronised.
    async fn kind(
        &self,
        resource: &Resource,
        scope: &Scope,
        catalogue: &Catalogue,
    ) -> Result<Option<Kind>, Status> {
        let clusters = scope.clusters();
        let told = catalogue.clusters.iter().find_map(|(name, cluster)| {
            let counts = clusters.as_ref().is_none_or(|clusters| clusters.contains(name));
            cluster.resources.get(resource).filter(|_| counts)
        });
        if told.is_some() {
            return Ok(told.cloned());
        }
        if !self.stored(clusters.as_deref()).await?.contains(resource) {
            return Ok(None);
        }
        self.kind_of_stored(resource, clusters).await
    }

    async fn stored(&self, clusters: Option<&[ClusterName]>) -> Result<Vec<Resource>, Status> {
        self.store.resources(clusters).await.map_err(|error| status::of_store(&error))
    }

    /// The kind of a resource that is stored and that nobody has told of: Kubernetes' own, or what one of its objects
    /// says.
    async fn kind_of_stored(
        &self,
        resource: &Resource,
        clusters: Option<Vec<ClusterName>>,
    ) -> Result<Option<Kind>, Status> {
        if let Some(kind) = builtin::kind(&resource.group, &resource.resource) {
            return Ok(Some(kind));
        }
        let query = Query { content: Content::Metadata, ..Query::of(resource.clone()) };
        let Some(row) = self.first(query, clusters).await? else { return Ok(None) };
        let kind = Object::of(&row).map_err(status::broken)?.kind();
        let singular = kind.to_ascii_lowercase();
        Ok(Some(Kind { kind, singular, namespaced: !row.position.namespace.is_empty(), ..Kind::default() }))
    }

    /// What is printed of a resource.
    async fn columns(&self, resource: &Resource, kind: &Kind, scope: &Scope) -> Result<Columns, Status> {
        if let Some(columns) = Columns::built_in(resource) {
            return Ok(columns);
        }
        if kind.columns.is_some() {
            return Ok(Columns::custom(kind.columns.clone()));
        }
        let clusters = scope.clusters();
        let told = self.store.description(clusters.as_deref(), resource).await;
        let told = told.map_err(|error| status::of_store(&error))?;
        if let Some(columns) = told.and_then(|text| Columns::told(&text)) {
            return Ok(Columns::custom(Some(columns)));
        }
        let definitions = Resource::new("apiextensions.k8s.io", "v1", "customresourcedefinitions");
        let name = format!("{}.{}", resource.resource, resource.group);
        let query = Query { names: [name].into(), ..Query::of(definitions) };
        let definition = self.first(query, scope.clusters()).await?;
        Ok(Columns::custom(definition.and_then(|row| Columns::defined(&row.json, &resource.version))))
    }

    /// The first object that satisfies a query in these clusters.
    async fn first(&self, query: Query, clusters: Option<Vec<ClusterName>>) -> Result<Option<Row>, Status> {
        let clusters = clusters.map(|clusters| clusters.into_iter().collect());
        let query = Query { clusters, limit: NonZeroU64::new(1), ..query };
        let failed = |error: store::Error| status::of_store(&error);
        self.store.select(query).await.map_err(failed)?.next().await.map_err(failed)
    }
}

fn unknown(cluster: &ClusterName) -> Status {
    Status::bad_request(format!("The cluster {:?} was not found.", cluster.as_str()))
}

/// How objects are written, and with that how much of them is read.
fn shape(form: Form, search: &mut Search) -> Shape {
    match form {
        Form::Metadata(version) => {
            search.query.content = Content::Metadata;
            Shape::Metadata(version)
        }
        Form::Objects | Form::Table(_) => Shape::AsStored,
    }
}

/// The name under which the API was asked: each of its names has its own answers.
fn api_version(asking: &Asking<'_>) -> String {
    format!("{}/{}", asking.info.group, asking.info.version)
}

/// The version of the cluster, or that of Kubernetes whose kinds are known here.
fn version(scope: &Scope, catalogue: &Catalogue) -> Value {
    let (major, minor) = KUBERNETES;
    let of_cluster = scope.one.as_ref().and_then(|one| catalogue.clusters.get(one)?.version.clone());
    let git_version = of_cluster.unwrap_or_else(|| format!("v{major}.{minor}.0"));
    let mut parts = git_version.trim_start_matches('v').split('.');
    json!({
        "major": parts.next().unwrap_or(major),
        "minor": parts.next().unwrap_or(minor),
        "gitVersion": git_version,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": "",
        "platform": "",
    })
}

/// What a client is told of an unhealthy cluster beside its objects.
fn warning(scope: &Scope, catalogue: &Catalogue) -> Option<HeaderValue> {
    let cluster = scope.one.as_ref()?;
    let reason = catalogue.clusters.get(cluster)?.unhealthy.as_ref()?;
    let text = format!("cluster {cluster} is not healthy, its data may be inaccurate: {reason}");
    let quoted: String = text.chars().filter(|c| !c.is_control() && !['"', '\\'].contains(c)).collect();
    HeaderValue::from_str(&format!("299 - \"{quoted}\"")).ok()
}
