//! Follows the source objects and the references of one policy.

use std::{collections::HashMap, sync::Arc};

use api::policy::ClusterImportPolicySpec;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream, SelectAll},
};
use kubeio::{Error, FollowRequest, Follower, Selection, Step, Transport};
use meta::{ObjectError, RawObject};

use crate::{
    imports::Negotiated,
    recipe::kubectl_resource,
    registry::{ObjectId, id},
    sources::Key,
    usable::are_secrets,
};

/// What is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) is_source: bool,
    pub(crate) selection: Selection,
}

impl Role {
    /// As kubectl calls it.
    pub(crate) fn resource(&self) -> String {
        let resource = kubectl_resource(&self.selection.resource.group, &self.selection.resource.plural);
        match &self.selection.namespace {
            Some(namespace) => format!("{resource} in namespace {namespace}"),
            None => resource,
        }
    }
}

/// What happens.
#[derive(Debug)]
pub(crate) enum News {
    /// A list of sources begins.
    Listing,
    /// A source object, in a list or because it has changed.
    Source { key: Key, json: Arc<[u8]>, listed: bool },
    /// A source object, in a list or because it has changed, that cannot be read.
    SourceUnreadable(ObjectError),
    /// A source object is gone.
    SourceGone(Key),
    /// The list of sources has come to its end.
    SourcesListed,
    /// An object that is referred to, or could be, has changed.
    ReferenceChanged(ObjectId),
    /// A list of references has come to its end.
    ReferencesListed,
    /// It does not go on for a while.
    Failed(Role, Error),
}

/// One row of steps for each role.
type Steps = SelectAll<BoxStream<'static, (usize, Step)>>;

/// Everything a policy follows.
pub(crate) struct Followed {
    roles: Vec<Role>,
    steps: Steps,
    /// By role: the versions of the references, as numbers. Sources have none here.
    versions: Vec<Versions>,
    /// By role: whether a list has come to its end.
    listed: Vec<bool>,
    /// What is yet to be told, the last first.
    pending: Vec<News>,
}

#[derive(Default)]
struct Versions {
    known: HashMap<ObjectId, u64>,
    incoming: HashMap<ObjectId, u64>,
}

impl Followed {
    /// Begins. Of references only metadata is read, of sources if that is enough.
    pub(crate) fn begin(
        transport: &Arc<dyn Transport>,
        policy: &ClusterImportPolicySpec,
        negotiated: &Negotiated,
        metadata_is_enough: bool,
    ) -> Self {
        let mut source = Selection::all(negotiated.source.clone());
        source.namespace = policy.source.namespace.clone();
        // The type of a Secret, which `usable` looks at, is not among its metadata.
        source.metadata_only =
            metadata_is_enough && !are_secrets(&negotiated.source.group, &negotiated.source.plural);
        let mut roles = vec![Role { is_source: true, selection: source }];
        for (reference, resource) in policy.references.iter().zip(&negotiated.references) {
            let mut selection = Selection::all(resource.clone());
            selection.metadata_only = true;
            // A namespace that is no template is the only one to look at.
            let namespace = reference.namespace_template.trim();
            if !namespace.is_empty() && !namespace.contains("{{") {
                selection.namespace = Some(namespace.to_owned());
            }
            let role = Role { is_source: false, selection };
            if !roles.contains(&role) {
                roles.push(role);
            }
        }
        let steps =
            roles.iter().enumerate().map(|(at, role)| {
                let follower =
                    Follower::new(Arc::clone(transport), FollowRequest::new(role.selection.clone(), ""));
                let steps = stream::unfold(follower, |mut follower| async move {
                    Some((follower.next().await, follower))
                });
                steps.map(move |step| (at, step)).boxed()
            });
        Self {
            steps: stream::select_all(steps),
            versions: roles.iter().map(|_| Versions::default()).collect(),
            listed: vec![false; roles.len()],
            roles,
            pending: Vec::new(),
        }
    }

    /// What has not been listed yet.
    pub(crate) fn unlisted(&self) -> Vec<String> {
        let waiting = self.roles.iter().zip(&self.listed).filter(|(_, listed)| !**listed);
        waiting.map(|(role, _)| role.resource()).collect()
    }

    /// What happens next. May be cancelled and called again.
    pub(crate) async fn next(&mut self) -> News {
        loop {
            if let Some(news) = self.pending.pop() {
                return news;
            }
            let Some((at, step)) = self.steps.next().await else { return std::future::pending().await };
            let news =
                if self.roles[at].is_source { self.source(at, step) } else { self.reference(at, step) };
            if let Some(news) = news {
                return news;
            }
        }
    }

    fn source(&mut self, at: usize, step: Step) -> Option<News> {
        let object =
            |object: RawObject, listed| News::Source { key: key(&object), json: object.json, listed };
        Some(match step {
            Step::ListBegan => News::Listing,
            Step::Listed(listed) => object(listed, true),
            Step::ListDone { .. } => {
                self.listed[at] = true;
                News::SourcesListed
            }
            Step::Changed(changed) => object(changed, false),
            Step::Deleted(gone) => News::SourceGone(key(&gone)),
            Step::Unreadable(error) => News::SourceUnreadable(error),
            Step::Bookmark { .. } => return None,
            Step::Failed { error, .. } => News::Failed(self.roles[at].clone(), error),
        })
    }

    fn reference(&mut self, at: usize, step: Step) -> Option<News> {
        let resource = &self.roles[at].selection.resource;
        let of = |object: &RawObject| id(resource, &object.key.namespace, &object.key.name);
        let versions = &mut self.versions[at];
        match step {
            Step::ListBegan => versions.incoming.clear(),
            Step::Listed(object) => {
                versions.incoming.insert(of(&object), version(&object));
            }
            Step::ListDone { .. } => {
                self.listed[at] = true;
                let before = std::mem::replace(&mut versions.known, std::mem::take(&mut versions.incoming));
                let known = &versions.known;
                let changed =
                    known.iter().filter(|(id, version)| before.get(id) != Some(version)).map(|(id, _)| id);
                let gone = before.keys().filter(|id| !known.contains_key(id));
                self.pending = changed.chain(gone).map(|id| News::ReferenceChanged(*id)).collect();
                return Some(News::ReferencesListed);
            }
            Step::Changed(object) => {
                let (id, version) = (of(&object), version(&object));
                if versions.known.insert(id, version) != Some(version) {
                    return Some(News::ReferenceChanged(id));
                }
            }
            Step::Deleted(object) => {
                let id = of(&object);
                versions.known.remove(&id);
                return Some(News::ReferenceChanged(id));
            }
            Step::Bookmark { .. } | Step::Unreadable(_) => {}
            Step::Failed { error, .. } => return Some(News::Failed(self.roles[at].clone(), error)),
        }
        None
    }
}

fn key(object: &RawObject) -> Key {
    (object.key.namespace.clone(), object.key.name.clone())
}

/// The version of an object as a number, which is what is kept of it.
fn version(object: &RawObject) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    object.key.resource_version.hash(&mut hasher);
    hasher.finish()
}
