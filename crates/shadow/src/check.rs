//! Whether an object may be kept: what the parent makes of it, or at least whether it has the right form.

use apiserver::{Attributes, Body, Decision};
use http::{HeaderValue, Response, header};
use meta::{Status, StatusCause};
use serde_json::{Value, json};

use api::names::apps::annotations::SKIP_VALIDATING;

use crate::{
    catalogue::Kind,
    object,
    parent::WriteOptions,
    preset,
    route::Target,
    schema,
    serve::{Asking, Inner},
    trim, validate,
};

/// An object that may be stored, and what the caller is to be told.
pub(crate) struct Checked {
    pub(crate) object: Value,
    pub(crate) warnings: Vec<HeaderValue>,
}

impl Inner {
    /// What the parent makes of an object, if it is one that the parent tries out and the caller may write it for real;
    /// else the object itself, once it fits the parent's schema. Trimmed.
    pub(crate) async fn check(
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

/// An answer with warnings.
pub(crate) fn warned(mut response: Response<Body>, warnings: Vec<HeaderValue>) -> Response<Body> {
    for warning in warnings {
        response.headers_mut().append(header::WARNING, warning);
    }
    response
}

/// A `Warning` header, which kubectl prints.
pub(crate) fn warning(text: &str) -> Option<HeaderValue> {
    let quoted: String =
        text.chars().filter(|c| (' '..='~').contains(c) && !['"', '\\'].contains(c)).collect();
    HeaderValue::from_str(&format!("299 - \"{quoted}\"")).ok()
}
