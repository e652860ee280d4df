//! Any query string: understood as a query that every store takes, or refused with the parameter at fault.

#![no_main]

use libfuzzer_sys::fuzz_target;
use search::language::{Parameters, Place, Search, forwarded, resources_of_any};
use store::{ClusterName, Resource};

fuzz_target!(|query: &str| {
    let Ok(parameters) = Parameters::parse(query) else { return };
    let everywhere = Place::of(Resource::new("apps", "v1", "deployments"));
    let somewhere = Place {
        cluster: Some(ClusterName::new("c1")),
        namespace: Some(String::from("default")),
        ..everywhere.clone()
    };
    for place in [everywhere, somewhere] {
        match Search::parse(place.clone(), &parameters) {
            Ok(search) => {
                search.query.validate().unwrap();
                assert!(search.query.clusters.is_none() || search.excluded_clusters.is_empty());
                if let Some(namespace) = &place.namespace {
                    assert!(search.query.namespaces.iter().all(|name| name == namespace));
                }
            }
            Err(error) => assert!(!error.reason.is_empty()),
        }
    }
    let _ = resources_of_any(&parameters);
    if let Some(selector) = parameters.get("labelSelector")
        && let Ok(Some(rest)) = forwarded(selector)
    {
        assert_eq!(forwarded(&rest), Ok(None));
    }
});
