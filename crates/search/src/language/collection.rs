//! The types of the collection `any`, which its request names (contract 6.2).

use api::names::search::{collections, parameters as names};
use store::ResourcePattern;

use super::{Error, Parameters, shown};

/// What the parameters `groups` and `resources` name together.
///
/// ```
/// use search::language::{Parameters, resources_of_any};
///
/// let parameters = Parameters::parse("groups=batch&resources=apps/deployments,/v1/pods")?;
/// assert_eq!(resources_of_any(&parameters)?.len(), 3);
/// # Ok::<(), search::language::Error>(())
/// ```
///
/// # Errors
/// With the parameter at fault; and when there is neither.
pub fn resources_of_any(parameters: &Parameters) -> Result<Vec<ResourcePattern>, Error> {
    let (groups, resources) = (parameters.get(names::GROUPS), parameters.get(names::RESOURCES));
    if groups.is_none() && resources.is_none() {
        let reason = format!("the collection {} needs groups or resources", collections::ANY);
        return Err(Error::new(names::GROUPS, reason));
    }
    let groups = groups.into_iter().flat_map(|text| text.split(',')).map(|item| group(item.trim()));
    let resources = resources.into_iter().flat_map(|text| text.split(',')).map(resource);
    groups.chain(resources).collect()
}

/// `*`, `GROUP` or `GROUP/VERSION`.
fn group(item: &str) -> Result<ResourcePattern, Error> {
    if item == "*" {
        return Ok(ResourcePattern::default());
    }
    let (group, version) = item.split_once('/').unwrap_or((item, ""));
    if version.contains('/') {
        return Err(Error::new(names::GROUPS, format!("{} is neither GROUP nor GROUP/VERSION", shown(item))));
    }
    Ok(ResourcePattern { group: Some(group.to_owned()), version: given(version), resource: None })
}

/// `GROUP/RESOURCE` or `GROUP/VERSION/RESOURCE`.
fn resource(item: &str) -> Result<ResourcePattern, Error> {
    let item: String = item.split_whitespace().collect();
    let parts: Vec<&str> = item.split('/').collect();
    let (group, version, resource) = match parts[..] {
        [group, resource] => (group, "", resource),
        [group, version, resource] => (group, version, resource),
        _ => ("", "", ""),
    };
    if resource.is_empty() {
        let reason = format!(
            "{} is neither GROUP/RESOURCE nor GROUP/VERSION/RESOURCE; the core group is empty",
            shown(&item)
        );
        return Err(Error::new(names::RESOURCES, reason));
    }
    Ok(ResourcePattern {
        group: Some(group.to_owned()),
        version: given(version),
        resource: Some(resource.to_owned()),
    })
}

fn given(part: &str) -> Option<String> {
    (!part.is_empty()).then(|| part.to_owned())
}
