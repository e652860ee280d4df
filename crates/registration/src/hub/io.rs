//! The few ways in which the hub writes.

use std::fmt::Debug;

use api::names::HUB_FIELD_MANAGER;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde::{Serialize, de::DeserializeOwned};

use super::objects::{Generated, Step, step};
use crate::seal;

/// Why a round did not get to its end. All are tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API server refused or could not be reached.
    #[error("{}", describe(.0))]
    Api(#[from] kube::Error),
    /// The token could not be sealed.
    #[error("the token could not be sealed")]
    Seal(#[from] seal::Error),
    /// The API server's answer to a TokenRequest holds no token.
    #[error("the API server answered a TokenRequest without a token")]
    Token,
    /// Somebody else was faster; the next round sees what they did.
    #[error("another registration was faster")]
    Raced,
}

/// The API server's own words; kube's text repeats them with everything around.
fn describe(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
}

/// The HTTP status the API server answered with.
pub(crate) fn code(error: &kube::Error) -> Option<u16> {
    if let kube::Error::Api(status) = error { Some(status.code) } else { None }
}

/// For creations.
pub(crate) fn create_params() -> PostParams {
    PostParams { field_manager: Some(HUB_FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

/// For merge patches.
pub(crate) fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(HUB_FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// Makes a generated object what it should be; whether that took a write.
pub(crate) async fn ensure<T>(objects: &Api<T>, wanted: &T) -> Result<bool, Error>
where
    T: Generated + DeserializeOwned + Serialize + Debug,
{
    let name = wanted.name_any();
    let existing = objects.get_opt(&name).await?;
    match step(existing.as_ref(), wanted) {
        Step::Keep => return Ok(false),
        Step::Replace => {
            if let Some(existing) = &existing {
                delete(objects, existing).await?;
            }
        }
        Step::Apply => {}
    }
    let params = PatchParams::apply(HUB_FIELD_MANAGER).force();
    objects.patch(&name, &params, &Patch::Apply(wanted)).await?;
    Ok(true)
}

/// Deletes exactly this object: not one that has taken its name since. That it is gone already is fine.
pub(crate) async fn delete<T>(objects: &Api<T>, object: &T) -> Result<(), Error>
where
    T: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let exactly = Preconditions { uid: object.uid(), resource_version: None };
    let params = DeleteParams::default().preconditions(exactly);
    match objects.delete(&object.name_any(), &params).await {
        Ok(_) => Ok(()),
        Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
