//! Server-side apply (contract beyond 4.8): the parent carries it out on the Manifest.
//!
//! Who owns which field is what the parent keeps in the Manifest's `managedFields`, below `template`. The parent knows no
//! schema there: maps are owned key by key, lists as a whole.

use apiserver::{Attributes, Body, form};
use http::{Response, StatusCode};
use meta::{Status, StatusCause};
use serde_json::json;

use crate::{
    check::warned,
    identity::Identity,
    manifest, object,
    parent::WriteOptions,
    read::answer,
    route::Target,
    serve::{Asking, Inner, yaml},
    trim, validate,
};

impl Inner {
    /// Server-side apply, carried out by the parent on the Manifest, for the caller's field manager. Nothing is filled in by
    /// the parent: the caller would own it.
    pub(crate) async fn apply(
        &self,
        target: &Target,
        asking: &Asking<'_>,
        body: &[u8],
    ) -> Result<Response<Body>, Status> {
        form::accepted(asking.headers)?;
        let identity = target.identity()?;
        let options = asking.write_options()?;
        if asking.parameter("fieldManager").is_none_or(|manager| manager.is_empty()) {
            return Err(Status::bad_request("fieldManager is required for apply patch"));
        }
        let mut object = yaml(body)?;
        validate::place(&mut object, &target.kind, target.namespace.as_deref(), Some(&identity.name))?;
        let seen = object::metadata(&object, "resourceVersion").to_owned();
        let uid = object::metadata(&object, "uid").to_owned();
        trim::trim(&mut object);
        let stored = self.parent.find(&identity, "").await?;
        let name = if let Some(stored) = &stored {
            stored.own("name").to_owned()
        } else {
            // Who may patch may not therefore create.
            let creates = Attributes { verb: "create".to_owned(), ..Attributes::of(asking.info) };
            self.authorizer.require(asking.user, &creates).await?;
            self.free_name(&identity).await?
        };
        let mut wrapped = manifest::wrap_to_apply(&identity, object, &name, self.parent.namespace());
        for (key, value) in [("resourceVersion", seen), ("uid", uid)] {
            if !value.is_empty() {
                wrapped["metadata"][key] = json!(value);
            }
        }
        let refused = |status: Status| of_apply(&identity, &name, status);
        let tried = WriteOptions { dry_run: true, ..options.clone() };
        let merged = self.parent.apply(&name, &wrapped, &tried).await.map_err(refused)?;
        let checked = self.check(target, asking, merged.template, &options).await?;
        let created = stored.is_none();
        let stored = self.parent.apply(&name, &wrapped, &options).await.map_err(refused)?;
        let mut response = answer(target, asking, stored.view())?;
        if created {
            *response.status_mut() = StatusCode::CREATED;
        }
        Ok(warned(response, checked.warnings))
    }

    /// The name of a Manifest that is to be made by an apply, which does not tell whether there was one.
    async fn free_name(&self, identity: &Identity) -> Result<String, Status> {
        match identity.plain() {
            Some(plain) if self.parent.get(&plain, "").await?.is_none() => Ok(plain),
            _ => Ok(identity.hashed()),
        }
    }
}

/// The refusal of an apply. Of fields that others own, those of the object are named: labels are on the Manifest, too.
fn of_apply(identity: &Identity, manifest: &str, mut status: Status) -> Status {
    if status.code == 404 {
        return identity.not_found();
    }
    let causes = status.details.as_mut().map(|details| std::mem::take(&mut details.causes));
    let conflicts: Vec<StatusCause> = causes
        .iter()
        .flatten()
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .filter_map(|cause| {
            let field = cause.field.strip_prefix(".template")?.to_owned();
            // The version is the Manifest's.
            let message = cause.message.split(" using ").next().unwrap_or_default().to_owned();
            Some(StatusCause { field, message, ..cause.clone() })
        })
        .collect();
    if conflicts.is_empty() {
        let details = status.details.get_or_insert_default();
        details.causes = causes.unwrap_or_default();
        return identity.of_manifest(manifest, status);
    }
    let number = conflicts.len();
    let word = if number == 1 { "conflict" } else { "conflicts" };
    let named: Vec<_> = conflicts.iter().map(|cause| format!("{}: {}", cause.message, cause.field)).collect();
    status.message = format!("Apply failed with {number} {word}: {}", named.join("\n"));
    status.details.get_or_insert_default().causes = conflicts;
    identity.about(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Kind;

    #[test]
    fn a_conflict_is_about_fields_of_the_object_each_told_once() {
        let kind = Kind { plural: "deployments".into(), group: "apps".into(), ..Kind::default() };
        let identity = Identity::new(&kind, Some("qux"), "web");
        let cause = |field: &str| StatusCause {
            reason: "FieldManagerConflict".into(),
            message: r#"conflict with "other" using apps.clusternet.io/v1alpha1"#.into(),
            field: field.into(),
        };
        let mut status = Status::conflict("of the Manifest");
        status.details.get_or_insert_default().causes =
            [".metadata.labels.a", ".template.metadata.labels.a", ".template.spec.template.spec.containers"]
                .map(cause)
                .into();
        let told = of_apply(&identity, "deployments.qux.web", status);
        assert_eq!(
            told.message,
            "Apply failed with 2 conflicts: conflict with \"other\": .metadata.labels.a\n\
             conflict with \"other\": .spec.template.spec.containers"
        );
        let details = told.details.unwrap();
        assert_eq!((details.kind.as_str(), details.causes.len()), ("deployments", 2));
    }
}
