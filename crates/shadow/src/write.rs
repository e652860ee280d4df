//! `create`, `update`, `patch`, `delete`, and the `scale` of an object.
//!
//! Every write ends in one write of a Manifest, in the state it was read in: who has seen an earlier one gets a 409.

use apiserver::{Attributes, Body, Decision, form, json_response};
use http::{HeaderValue, Response, StatusCode, header};
use meta::{Status, StatusCause};
use serde_json::{Value, json};

use crate::{
    catalogue::Kind,
    identity::Identity,
    manifest::{self, Stored},
    object,
    parent::WriteOptions,
    patch::{self, Form},
    preset,
    route::Target,
    schema,
    serve::{Asking, Inner},
    trim, validate,
};

use api::names::apps::annotations::SKIP_VALIDATING;

/// Times a change is made anew because somebody else was quicker.
const RETRIES: usize = 5;

/// An object that may be stored, and what the caller is to be told.
struct Checked {
    object: Value,
    warnings: Vec<HeaderValue>,
}

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
        let mut response = self.answer(target, asking, stored.view())?;
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
                answer => return answer.map_err(|status| identity.about(status)),
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
        let patch: Value = serde_json::from_slice(body)
            .map_err(|error| Status::bad_request(format!("The patch is no JSON: line {}.", error.line())))?;
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
                    return Ok(warned(self.answer(target, asking, stored.view())?, checked.warnings));
                }
                // Made anew from the new state, unless the caller has named the old one.
                Err(status) if status.reason == "Conflict" => {}
                Err(status) => return Err(status),
            }
        }
        Err(identity.conflict())
    }

    async fn replace(
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
            _ => identity.about(status),
        })
    }

    /// Server-side apply, carried out by the parent on the Manifest, for the caller's field manager. Nothing is filled in by
    /// the parent: the caller would own it.
    async fn apply(
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
        let mut object = asking.yaml(body)?;
        validate::place(&mut object, &target.kind, target.namespace.as_deref(), Some(&identity.name))?;
        let seen = object::metadata(&object, "resourceVersion").to_owned();
        let uid = object::metadata(&object, "uid").to_owned();
        trim::trim(&mut object);
        let stored = self.parent.find(&identity, "").await?;
        let name = match &stored {
            Some(stored) => stored.own("name").to_owned(),
            None => {
                // Who may patch may not therefore create.
                self.authorizer
                    .require(
                        asking.user,
                        &Attributes { verb: "create".to_owned(), ..Attributes::of(asking.info) },
                    )
                    .await?;
                self.free_name(&identity).await?
            }
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
        let mut response = self.answer(target, asking, stored.view())?;
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

    /// `get`, `update` and `patch` of the scale.
    pub(crate) async fn scale(
        &self,
        target: &Target,
        asking: &Asking<'_>,
        verb: &str,
        body: &[u8],
    ) -> Result<Response<Body>, Status> {
        let identity = target.identity()?;
        for _ in 0..RETRIES {
            let stored = self.parent.find(&identity, "").await?.ok_or_else(|| identity.not_found())?;
            let version = object::group_version(&stored.template).1;
            let paths = target.kind.scale(version).ok_or_else(|| {
                Status::not_found(format!("{} in version {version} have no scale.", target.kind.qualified()))
            })?;
            let view = stored.view();
            let scale = paths.read(&view);
            let wanted = match verb {
                "get" => return Ok(json_response(&scale)),
                "update" => asking.object(body)?,
                "patch" => {
                    let form = match Form::of(asking.headers)? {
                        // A Scale has no lists: the two are the same.
                        Form::Strategic => Form::Merge,
                        Form::Apply => {
                            return Err(Status::unsupported_media_type(
                                "A scale cannot be applied; patch it, or apply the object.",
                            ));
                        }
                        form => form,
                    };
                    let patch = serde_json::from_slice(body).map_err(|error| {
                        Status::bad_request(format!("The patch is no JSON: line {}.", error.line()))
                    })?;
                    patch::apply(form, &scale, patch, None)?
                }
                _ => return Err(Status::method_not_allowed("A scale can be read, updated and patched.")),
            };
            let name = object::metadata(&wanted, "name");
            if !name.is_empty() && name != identity.name {
                return Err(Status::bad_request("The name of the Scale is not the name in the path."));
            }
            is_of_this_state(&identity, &stored, &wanted)?;
            let mut template = stored.template.clone();
            paths.write(&mut template, &wanted)?;
            match self.replace(&identity, &stored, template, &asking.write_options()?).await {
                Ok(stored) => return Ok(json_response(&paths.read(&stored.view()))),
                // Made anew from the new state, unless the caller has named the old one.
                Err(status) if status.reason == "Conflict" => {}
                Err(status) => return Err(status),
            }
        }
        Err(identity.conflict())
    }

    /// What the parent makes of an object, if it is one that the parent tries out and the caller may write it for real;
    /// else the object itself, once it fits the parent's schema. Trimmed.
    async fn check(
        &self,
        target: &Target,
        asking: &Asking<'_>,
        mut object: Value,
        options: &WriteOptions,
    ) -> Result<Checked, Status> {
        trim::trim(&mut object);
        if object["metadata"]["annotations"][SKIP_VALIDATING] == "true" {
            return Ok(Checked { object, warnings: Vec::new() });
        }
        let kind = &*target.kind;
        let because = if !kind.namespaced || kind.is_custom || !preset::is_tried(&kind.group, &kind.plural) {
            format!("the parent does not try out {} for the hub", kind.qualified())
        } else {
            let wanted = Attributes {
                verb: asking.info.verb.clone(),
                group: kind.group.clone(),
                version: object::group_version(&object).1.to_owned(),
                namespace: target.namespace.clone().unwrap_or_default(),
                resource: kind.plural.clone(),
                name: object::metadata(&object, "name").to_owned(),
                ..Attributes::default()
            };
            if self.authorizer.decide(asking.user, &wanted).await? == Decision::Allowed {
                return self.try_out(kind, object, options).await;
            }
            format!("you may not {} {} in the parent itself", asking.info.verb, kind.qualified())
        };
        self.check_schema(kind, object, options, &because).await
    }

    /// A dry run in the reserved namespace, and under another name if there is such an object already.
    async fn try_out(&self, kind: &Kind, object: Value, options: &WriteOptions) -> Result<Checked, Status> {
        let (name, namespace) = (object["metadata"]["name"].clone(), object["metadata"]["namespace"].clone());
        let version = object::group_version(&object).1;
        let mut tried = object.clone();
        tried["metadata"]["namespace"] = json!(self.parent.namespace());
        let mut answer = self.parent.try_out(kind, version, &tried, &options.field_validation).await;
        if answer.as_ref().is_err_and(|status| status.reason == "AlreadyExists") {
            let name: String = name.as_str().unwrap_or_default().chars().take(50).collect();
            tried["metadata"]["name"] = json!(format!("{}-dry-run", name.trim_end_matches(['-', '.'])));
            answer = self.parent.try_out(kind, version, &tried, &options.field_validation).await;
        }
        let reply = answer?;
        let mut made: Value = serde_json::from_slice(&reply.body).map_err(|_| {
            Status::bad_gateway("The parent answered a dry run with something that is no object.")
        })?;
        made["metadata"]["name"] = name;
        made["metadata"]["namespace"] = namespace;
        trim::trim(&mut made);
        trim::forget_choices(&mut made, &object);
        Ok(Checked { object: made, warnings: reply.warnings })
    }

    async fn check_schema(
        &self,
        kind: &Kind,
        object: Value,
        options: &WriteOptions,
        because: &str,
    ) -> Result<Checked, Status> {
        let version = object::group_version(&object).1;
        let document = self.parent.schemas(kind, version, self.revision()).await?;
        let Some(schema) = document.kind(&kind.group, version, &kind.kind) else {
            let text =
                format!("the object was not checked: the parent shows no schema of {}", kind.qualified());
            return Ok(Checked { object, warnings: warning(&text).into_iter().collect() });
        };
        let mut found = schema::check(&object, schema);
        if options.field_validation == "Strict" {
            found.causes.extend(found.unknown.drain(..).map(|field| StatusCause {
                reason: String::from("FieldValueInvalid"),
                message: String::from("unknown field"),
                field,
            }));
        }
        if !found.causes.is_empty() {
            return Err(validate::invalid(kind, object::metadata(&object, "name"), found.causes));
        }
        let checked = format!(
            "the object was checked by the parent's schema only, without defaults, rules and admission: {because}"
        );
        let told = if options.field_validation == "Ignore" { Vec::new() } else { found.unknown };
        let unknown = told.iter().map(|field| format!("unknown field {field:?}"));
        let warnings = unknown.chain([checked]).filter_map(|text| warning(&text)).collect();
        Ok(Checked { object, warnings })
    }
}

/// Refuses a change of another object, or of another state, than there is, where the caller says which is meant.
fn is_of_this_state(identity: &Identity, stored: &Stored, wanted: &Value) -> Result<(), Status> {
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

/// The refusal of an apply speaks of the Manifest's fields: the object's are below `template`.
fn of_apply(identity: &Identity, mut status: Status) -> Status {
    status.message = status.message.replace(".template.", ".").replace("Manifest", &identity.kind);
    for cause in status.details.iter_mut().flat_map(|details| &mut details.causes) {
        cause.field = cause.field.replacen(".template.", ".", 1);
    }
    if status.code == 404 { identity.not_found() } else { identity.about(status) }
}

fn warned(mut response: Response<Body>, warnings: Vec<HeaderValue>) -> Response<Body> {
    for warning in warnings {
        response.headers_mut().append(header::WARNING, warning);
    }
    response
}

/// A `Warning` header, which kubectl prints.
fn warning(text: &str) -> Option<HeaderValue> {
    let quoted: String =
        text.chars().filter(|c| (' '..='~').contains(c) && !['"', '\\'].contains(c)).collect();
    HeaderValue::from_str(&format!("299 - \"{quoted}\"")).ok()
}
