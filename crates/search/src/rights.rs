//! Which clusters a caller may see.
//!
//! Before anything here runs, the caller was allowed the path itself. For one cluster that is the whole question:
//!
//! | path | the right asked for |
//! |---|---|
//! | `resources/clusters/c1/…` | `get` on `resources/c1`, name `clusters` (contract 4.10) |
//! | `resources/c1/proxy/…` | `get` on `resources/proxy`, name `c1` |
//!
//! An answer about all clusters holds those for which the caller has one of these two rights. Who may `get`
//! `resources/proxy` without a name sees all and is asked once.

use std::collections::BTreeSet;

use api::search::{GROUP, Resources, VERSION};
use apiserver::{Attributes, Authorizer, Decision, User};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use meta::Status;
use store::ClusterName;

/// Questions of one request under way at once.
const AT_ONCE: usize = 16;

/// The clusters among `known` that `user` may see; `None` for all there are and will be.
///
/// # Errors
/// 403 for a caller who may see none; 503 if the parent cannot be asked.
pub(crate) async fn visible(
    authorizer: &Authorizer,
    user: &User,
    known: &BTreeSet<ClusterName>,
) -> Result<Option<BTreeSet<ClusterName>>, Status> {
    if is_allowed(authorizer, user, "proxy", "").await? {
        return Ok(None);
    }
    let questions = known.iter().map(|cluster| async move {
        let name = cluster.as_str();
        let allowed = is_allowed(authorizer, user, "proxy", name).await?
            || is_allowed(authorizer, user, name, "clusters").await?;
        Ok::<_, Status>(allowed.then(|| cluster.clone()))
    });
    let questions: Vec<_> = questions.collect();
    let answers: Vec<Option<ClusterName>> =
        stream::iter(questions).buffer_unordered(AT_ONCE).try_collect().await?;
    let visible: BTreeSet<ClusterName> = answers.into_iter().flatten().collect();
    if visible.is_empty() {
        return Err(Status::forbidden(format!(
            "User {:?} may see no cluster: the right to get {}/proxy in the API group {GROUP}, for all or by the name of \
             a cluster, is missing.",
            user.name,
            Resources::PLURAL
        )));
    }
    Ok(Some(visible))
}

async fn is_allowed(
    authorizer: &Authorizer,
    user: &User,
    subresource: &str,
    name: &str,
) -> Result<bool, Status> {
    let attributes = Attributes {
        verb: "get".to_owned(),
        group: GROUP.to_owned(),
        version: VERSION.to_owned(),
        resource: Resources::PLURAL.to_owned(),
        subresource: subresource.to_owned(),
        name: name.to_owned(),
        ..Attributes::default()
    };
    Ok(authorizer.decide(user, &attributes).await? == Decision::Allowed)
}
