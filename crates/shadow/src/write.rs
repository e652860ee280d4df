//! `create`, `update`, `patch` and `delete`.
//!
//! Every write ends in one write of a Manifest, in the state it was read in: who has seen an earlier one gets a 409.

use apiserver::{Body, form, json_response};
use http::{Response, StatusCode};
use meta::Status;
use serde_json::{Value, json};

use crate::{
    check::{warned, warning},
    identity::Identity,
    manifest::{self, Stored},
    object,
    parent::WriteOptions,
    patch::{self, Form},
    read::answer,
    route::Target,
    serve::{Asking, Inner, no_json},
    validate,
};

/// Times a change is made anew because somebody else was quicker.
pub(crate) const RETRIES: usize = 5;

impl Inner {
    pub(crate) async fn create(
        &self,
        target: &Target,
        asking: &Asking<'_>,
        body: &[u8],
    ) -> Result<Response<Body>, Status> {
        form::accepted(asking.headers)?;
        let mut object = asking.object(body)?;
        let (kind, namespace) = (&*target.kind, target.namespace.as_deref());
        validate::place(&mut object, kind, namespace, None)?;
        if !object::metadata(&object, "resourceVersion").is_empty() {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
        let identity = Identity::new(kind, namespace, object::metadata(&object, "name"));
        let options = asking.write_options()?;
        let checked = self.check(target, asking, object, &options).await?;
        let stored = self.store_new(&identity, checked.object, &options).await?;
        let mut response = answer(target, asking, stored.view())?;
        *response.status_mut() = StatusCode::CREATED;
        Ok(warned(response, checked.warnings))
    }

    /// Stores an object that is not there yet.
    async fn store_new(
        &self,
        identity: &Identity,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Stored, Status> {
        if self.parent.find(identity, "").await?.is_some() {
            return Err(identity.already_exists());
        }
        let hashed = identity.hashed();
        for name in identity.plain().into_iter().chain([hashed]) {
            let wrapped = manifest::wrap(identity, object.clone(), &name, self.parent.namespace(), None);
            match self.parent.create(&wrapped, options).await {
                Err(status) if status.reason == "AlreadyExists" => {
                    // Somebody was quicker with the same object, or the name is another object's.
                    if self.parent.get(&name, "").await?.is_some_and(|stored| stored.wraps(identity)) {
                        return Err(identity.already_exists());
                    }
                }
                answer => return answer.map_err(|status| identity.of_manifest(&name, status)),
            }
        }
        Err(identity.already_exists())
    }

    pub(crate) async fn update(
        &self,
        target: &Target,
        asking: &Asking<'_>,
        body: &[u8],
    ) -> Result<Response<Body>, Status> {
        let sent = asking.object(body)?;
        self.change(target, asking, |_| Ok(sent.clone())).await
    }

    pub(crate) async fn patch(
        &self,
        target: &Target,
        asking: &Asking<'_>,
        body: &[u8],
    ) -> Result<Response<Body>, Status> {
        let form = Form::of(asking.headers)?;
        if form == Form::Apply {
            return self.apply(target, asking, body).await;
        }
        let patch: Value = serde_json::from_slice(body).map_err(|error| no_json("patch", &error))?;
        let kind = &*target.kind;
        let document = if form == Form::Strategic && !kind.is_custom {
            let identity = target.identity()?;
            let stored = self.parent.find(&identity, "").await?.ok_or_else(|| identity.not_found())?;
            let version = object::group_version(&stored.template).1.to_owned();
            Some((self.parent.schemas(kind, &version, self.revision()).await?, version))
        } else {
            None
        };
        let schema =
            document.as_ref().and_then(|(document, version)| document.kind(&kind.group, version, &kind.kind));
        self.change(target, asking, |view| patch::apply(form, view, patch.clone(), schema)).await
    }

    /// Reads an object, changes it and stores it; again if somebody else stored it meanwhile and the caller did not say
    /// which state is to be changed.
    async fn change(
        &self,
        target: &Target,
        asking: &Asking<'_>,
        change: impl Fn(&Value) -> Result<Value, Status>,
    ) -> Result<Response<Body>, Status> {
        form::accepted(asking.headers)?;
        let identity = target.identity()?;
        let options = asking.write_options()?;
        let namespace = target.namespace.as_deref();
        for _ in 0..RETRIES {
            let stored = self.parent.find(&identity, "").await?.ok_or_else(|| identity.not_found())?;
            let view = stored.view();
            let mut changed = change(&view)?;
            validate::place(&mut changed, &target.kind, namespace, Some(&identity.name))?;
            is_of_this_state(&identity, &stored, &changed)?;
            let checked = self.check(target, asking, changed, &options).await?;
            match self.replace(&identity, &stored, checked.object, &options).await {
                Ok(stored) => {
                    return Ok(warned(answer(target, asking, stored.view())?, checked.warnings));
                }
                // Made anew from the new state, unless the caller has named the old one.
                Err(status) if status.reason == "Conflict" => {}
                Err(status) => return Err(status),
            }
        }
        Err(identity.conflict())
    }

    pub(crate) async fn replace(
        &self,
        identity: &Identity,
        stored: &Stored,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Stored, Status> {
        let name = stored.own("name");
        let wrapped = manifest::wrap(identity, object, name, self.parent.namespace(), Some(stored));
        self.parent.replace(name, &wrapped, options).await.map_err(|status| match status.code {
            404 => identity.not_found(),
            409 => identity.conflict(),
            _ => identity.of_manifest(name, status),
        })
    }

    pub(crate) async fn delete(
        &self,
        target: &Target,
        asking: &Asking<'_>,
        body: &[u8],
    ) -> Result<Response<Body>, Status> {
        let identity = target.identity()?;
        let mut options = if body.is_empty() { json!({}) } else { asking.object(body)? };
        *object::entry(&mut options, "kind") = json!("DeleteOptions");
        *object::entry(&mut options, "apiVersion") = json!("v1");
        let stored = self.parent.find(&identity, "").await?.ok_or_else(|| identity.not_found())?;
        // What is deleted is what was found, and not what has taken its name since.
        let preconditions = object::entry(&mut options, "preconditions");
        if preconditions["uid"].is_null() {
            *object::entry(preconditions, "uid") = json!(stored.own("uid"));
        }
        let query =
            asking.passed_on(&["dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"]);
        self.parent.delete(stored.own("name"), &options, &query).await.map_err(|status| {
            match status.code {
                404 => identity.not_found(),
                _ => identity.about(status),
            }
        })?;
        Ok(json_response(&json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {
                "name": identity.name,
                "group": identity.group,
                "kind": identity.plural,
                "uid": stored.own("uid"),
            },
        })))
    }

    /// Answered, and nothing is deleted: by this the parent clears a namespace that is deleted, and templates outlive it.
    pub(crate) fn delete_collection() -> Response<Body> {
        let done = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" });
        let text = "nothing was deleted: templates are deleted one by one, so that they outlive a namespace of the parent";
        warned(json_response(&done), vec![warning(text)].into_iter().flatten().collect())
    }
}

/// Refuses a change of another object, or of another state, than there is, where the caller says which is meant.
pub(crate) fn is_of_this_state(identity: &Identity, stored: &Stored, wanted: &Value) -> Result<(), Status> {
    let uid = object::metadata(wanted, "uid");
    if !uid.is_empty() && uid != stored.own("uid") {
        return Err(identity.about(Status::conflict(format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            stored.own("uid")
        ))));
    }
    let seen = object::metadata(wanted, "resourceVersion");
    if !seen.is_empty() && seen != stored.own("resourceVersion") {
        return Err(identity.conflict());
    }
    Ok(())
}
