//! What callers see who may not see everything.

use apiserver::User;
use http::Method;

use super::world::{Answer, World};

async fn pods(world: &World) -> Answer {
    world.ask(&User::new("jane", &[]), Method::GET, "/resources/all/proxy/api/v1/pods", "*/*").await
}

#[tokio::test]
async fn number_94_a_caller_sees_exactly_the_clusters_granted() {
    for right in ["resources/proxy c1", "resources/c1 clusters"] {
        let world = World::new().await;
        world.granted.lock().push(right.to_owned());
        assert_eq!(pods(&world).await.items(), ["c1/default/web-1-a", "c1/kube-system/web-1-a"], "{right}");
        let jane = User::new("jane", &[]);
        let groups = world.ask(&jane, Method::GET, "/resources/apis", "application/json").await;
        assert!(String::from_utf8(groups.body).unwrap().contains("demo.io"));
        let named = "/collectionresources/any?groups=*&clusters=c2";
        assert!(world.ask(&jane, Method::GET, named, "*/*").await.items().is_empty());
    }
}

#[tokio::test]
async fn a_caller_without_any_cluster_is_refused() {
    let world = World::new().await;
    assert_eq!(pods(&world).await.code, 403);
}

#[tokio::test]
async fn who_may_see_everything_is_asked_about_once() {
    let world = World::new().await;
    world.granted.lock().push("resources/proxy ".to_owned());
    assert_eq!(pods(&world).await.items().len(), 4);
    assert_eq!(pods(&world).await.items().len(), 4);
    assert_eq!(*world.asked.lock(), ["resources/proxy "]);
}
