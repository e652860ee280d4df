//! The `scale` subresource.

use apiserver::{Body, json_response};
use http::Response;
use meta::Status;

use crate::{
    object,
    patch::{self, Form},
    route::Target,
    serve::{Asking, Inner, no_json},
    write::{RETRIES, is_of_this_state},
};

impl Inner {
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
                    let patch = serde_json::from_slice(body).map_err(|error| no_json("patch", &error))?;
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
}
