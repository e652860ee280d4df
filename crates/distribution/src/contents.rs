//! Large objects are kept beside the Descriptions, once however many clusters get them.
//!
//! A Description is written whenever its status changes, and stored as a whole each time; and what a thousand clusters get
//! would be stored a thousand times.

use api::apps::{Content, ContentReference, Deployer, DescriptionSpec};
use k8s_openapi::ByteString;
use serde_json::json;
use uuid::Uuid;

use crate::{
    hub::Hub,
    key::{Key, Name},
    parent::{Refusal, Write},
    world::{Use, content, digest},
};

/// Objects that are not larger stand in the Description, where people see them.
pub(crate) const LARGE: usize = 4 << 10;

/// What stands in the place of an object that is elsewhere: API servers take no empty text for bytes.
const NOTHING: &[u8] = b" ";

/// What a Description is to hold.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    pub(crate) spec: DescriptionSpec,
    /// By a digest, which is the same wherever the objects are.
    pub(crate) content: String,
}

/// What was rendered, as a Description holds it; `apart`: large objects in Contents, which are made where there are none.
pub(crate) async fn pack(hub: &Hub, mut spec: DescriptionSpec, apart: bool) -> Result<Packed, Refusal> {
    let content = content(&spec);
    // The values of a chart are no object.
    if apart && spec.deployer == Deployer::Generic {
        for (index, place) in (0..).zip(&mut spec.raw).filter(|(_, object)| object.0.len() > LARGE) {
            let object = std::mem::replace(&mut place.0, NOTHING.to_vec());
            let Name { namespace, name } = keep(hub, object).await?;
            spec.contents.push(ContentReference { index, namespace, name });
        }
    }
    Ok(Packed { spec, content })
}

/// The Content that holds an object.
async fn keep(hub: &Hub, object: Vec<u8>) -> Result<Name, Refusal> {
    let digest = digest(&object);
    if let Some(name) = hub.world.content_with(&digest) {
        return Ok(name);
    }
    // One at a time, so that what many clusters get at once is made once. It is never closed.
    let _turn = hub.making.acquire().await;
    if let Some(name) = hub.world.content_with(&digest) {
        return Ok(name);
    }
    // Whoever knows the name may read it: it cannot be guessed.
    let name = Name::new(&hub.options.reserved_namespace, format!("content-{}", Uuid::new_v4().simple()));
    let mut made = Content::new(&name.name, api::apps::ContentSpec { raw: ByteString(object) });
    made.metadata.namespace = Some(name.namespace.clone());
    hub.write::<Content>(Write::Create(name.collection::<Content>(), json!(made))).await?;
    Ok(name)
}

/// What is in a Description, as it was before it was packed.
pub(crate) async fn unpack(hub: &Hub, mut spec: DescriptionSpec) -> Result<DescriptionSpec, Refusal> {
    for reference in std::mem::take(&mut spec.contents) {
        let Some(place) = spec.raw.get_mut(reference.place()) else { continue };
        let name = Name::new(reference.namespace, reference.name);
        let json = hub.parent.read(&name.path::<Content>()).await?;
        let content = json.and_then(|json| serde_json::from_slice::<Content>(&json).ok());
        let content = content.ok_or_else(|| Refusal::Refused(format!("the Content {name} is gone")))?;
        *place = content.spec.raw;
    }
    Ok(spec)
}

/// One look at a Content: it goes when no Description has referred to it for a while.
pub(crate) async fn examine(hub: &Hub, name: &Name) -> Result<(), Refusal> {
    match hub.world.use_of_content(name) {
        Use::Some => Ok(()),
        Use::Idle(left) => {
            hub.world.queue.wake_after(Key::Content(name.clone()), left);
            Ok(())
        }
        Use::None(uid) => hub.parent.write(Write::Delete(name.path::<Content>(), uid)).await.map(drop),
    }
}
