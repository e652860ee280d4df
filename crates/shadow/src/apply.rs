//! Server-side apply (contract beyond 4.8): the parent carries it out on the Manifest.
//!
//! Who owns which field is what the parent keeps in the Manifest's `managedFields`, below `template`. The parent knows no
//! schema there: maps are owned key by key, lists as a whole.

use apiserver::{Attributes, Body, form};
use http::{Response, StatusCode};
use meta::Status;
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
        let refused = |status: Status| of_apply(&identity, status);
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

/// The refusal of an apply speaks of the Manifest's fields: the object's are below `template`.
fn of_apply(identity: &Identity, mut status: Status) -> Status {
    status.message = status.message.replace(".template.", ".").replace("Manifest", &identity.kind);
    for cause in status.details.iter_mut().flat_map(|details| &mut details.causes) {
        cause.field = cause.field.replacen(".template.", ".", 1);
    }
    if status.code == 404 { identity.not_found() } else { identity.about(status) }
}
