use super::*;

fn given() -> Value {
    json!({
        "clusters": [{ "name": "new", "cluster": { "server": "https://new" } }],
        "contexts": [{ "name": "new", "context": { "cluster": "new", "user": "new" } }],
        "users": [{ "name": "new", "user": { "token": "t" } }],
        "current-context": "new",
    })
}

#[test]
fn merging_adds_a_context_and_leaves_the_rest_alone() {
    let mine = "
apiVersion: v1
kind: Config
preferences: {colors: true}
current-context: home
contexts: [{name: home, context: {cluster: home, user: me}}]
clusters: [{name: home, cluster: {server: 'https://home', certificate-authority: ca.crt}}]
users:
";
    let mine = serde_saphyr::from_str(mine).unwrap();
    let once = merged(mine, &given()).unwrap();
    assert_eq!(once["current-context"], "home");
    assert_eq!(once["preferences"]["colors"], true);
    assert_eq!(once["clusters"][0]["cluster"]["certificate-authority"], "ca.crt");
    assert_eq!(once["contexts"][1], given()["contexts"][0]);
    assert_eq!(once["users"], given()["users"]);
    let twice = merged(once.clone(), &given()).unwrap();
    assert_eq!(once, twice);
    assert_eq!(merged(json!({}), &given()).unwrap()["current-context"], "new");
    assert!(merged(json!("just text"), &given()).is_err());
}

#[test]
fn a_kubeconfig_that_is_not_there_yet_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let connection =
        Connection { kubeconfig: Some(directory.path().join("config")), ..Connection::default() };
    let file = merge_into_own(&connection, &given()).unwrap();
    let (_, whole) = own(&connection).unwrap();
    assert_eq!((file, &whole["kind"]), (directory.path().join("config"), &json!("Config")));
    std::fs::write(directory.path().join("config"), "just text").unwrap();
    assert!(merge_into_own(&connection, &given()).is_err());
}

#[test]
fn the_written_file_is_private() {
    use std::os::unix::fs::MetadataExt as _;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sub/config");
    write(&file, "a").unwrap();
    write(&file, "b").unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "b");
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
}
