//! Charts of real repositories and registries, by the real executable.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{path::Path, process::Command, time::Duration};

use helm::{Chart, Credentials, Error, Helm, Limits, Repository};
use testkit::charts::{Charts, Options};

const WEB: [(&str, &str); 1] =
    [("templates/map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n")];

async fn helm() -> Helm {
    Helm::open(&testkit::charts::helm().unwrap(), &std::env::temp_dir(), Limits::default()).await.unwrap()
}

async fn fetch(repository: &Repository, chart: &str, version: Option<&str>) -> Result<Chart, Error> {
    helm().await.fetch(repository, chart, version).await
}

fn version(chart: Result<Chart, Error>) -> String {
    chart.unwrap().metadata().version.clone()
}

#[tokio::test]
#[ignore = "needs the helm executable: `cargo xtask tools` builds it"]
async fn an_exact_version_a_range_and_the_newest_are_found() {
    let charts = Charts::serve(Options::default()).await.unwrap();
    for version in ["1.0.0", "1.2.0", "2.0.0", "3.0.0-rc1"] {
        charts.add("web", version, &WEB).unwrap();
    }
    let repository = Repository::new(&charts.url()).unwrap();
    assert_eq!(version(fetch(&repository, "web", Some("1.0.0")).await), "1.0.0");
    assert_eq!(version(fetch(&repository, "web", Some("^1.0")).await), "1.2.0");
    assert_eq!(version(fetch(&repository, "web", None).await), "2.0.0");
    for (chart, version) in [("web", Some("9.9.9")), ("nope", None), ("web", Some("so what"))] {
        let error = fetch(&repository, chart, version).await.unwrap_err();
        assert!(matches!(error, Error::NoSuchChart(_)), "{chart} {version:?}: {error:?}");
    }
}

#[tokio::test]
#[ignore = "needs the helm executable: `cargo xtask tools` builds it"]
async fn a_repository_that_is_away_is_unreachable_and_one_that_wants_credentials_refuses() {
    let credentials = Some((String::from("user"), String::from("hunter2-hunter2")));
    let charts = Charts::serve(Options { credentials, ..Options::default() }).await.unwrap();
    charts.add("web", "1.0.0", &WEB).unwrap();
    for url in [charts.url(), charts.registry()] {
        let mut repository = Repository::new(&url).unwrap();
        repository.plain_http = true;
        let error = fetch(&repository, "web", Some("1.0.0")).await.unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{url}: {error:?}");
        repository.credentials =
            Some(Credentials { username: "user".into(), password: "wrong-wrong-wrong".into() });
        let error = fetch(&repository, "web", Some("1.0.0")).await.unwrap_err();
        assert!(matches!(&error, Error::Refused(said) if !said.contains("wrong-wrong")), "{url}: {error:?}");
        repository.credentials =
            Some(Credentials { username: "user".into(), password: "hunter2-hunter2".into() });
        assert_eq!(version(fetch(&repository, "web", Some("1.0.0")).await), "1.0.0", "{url}");
    }
    charts.set_down(true);
    for url in [charts.url(), charts.registry()] {
        let mut repository = Repository::new(&url).unwrap();
        repository.plain_http = true;
        let error = fetch(&repository, "web", Some("1.0.0")).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable(_)), "{url}: {error:?}");
    }
}

#[tokio::test]
#[ignore = "needs the helm executable: `cargo xtask tools` builds it"]
async fn certificates_are_verified_by_the_authority_that_is_given_and_by_none_else() {
    let charts = Charts::serve(Options { tls: true, ..Options::default() }).await.unwrap();
    charts.add("web", "1.0.0", &WEB).unwrap();
    for url in [charts.url(), charts.registry()] {
        let mut repository = Repository::new(&url).unwrap();
        let error = fetch(&repository, "web", Some("1.0.0")).await.unwrap_err();
        assert!(
            matches!(&error, Error::Unreachable(said) if said.contains("certificate")),
            "{url}: {error:?}"
        );
        repository.authority = charts.authority().map(str::to_owned);
        assert_eq!(version(fetch(&repository, "web", Some("1.0.0")).await), "1.0.0", "{url}");
    }
}

#[tokio::test]
#[ignore = "needs the helm executable: `cargo xtask tools` builds it"]
async fn a_registry_has_charts_by_their_exact_version() {
    let charts = Charts::serve(Options::default()).await.unwrap();
    charts.add("web", "1.0.0", &WEB).unwrap();
    let mut repository = Repository::new(&charts.registry()).unwrap();
    repository.plain_http = true;
    assert_eq!(version(fetch(&repository, "web", Some("1.0.0")).await), "1.0.0");
    for (chart, version) in [("web", Some("9.9.9")), ("nope", Some("1.0.0")), ("web", None)] {
        let error = fetch(&repository, chart, version).await.unwrap_err();
        assert!(matches!(error, Error::NoSuchChart(_)), "{chart} {version:?}: {error:?}");
    }
}

#[tokio::test]
#[ignore = "needs the helm executable: `cargo xtask tools` builds it"]
async fn a_library_is_refused_and_so_is_what_is_no_chart() {
    let charts = Charts::serve(Options::default()).await.unwrap();
    charts.add_with("library", "1.0.0", "type: library", &[("templates/_a.tpl", "")]).unwrap();
    charts.add("broken", "1.0.0", &WEB).unwrap();
    charts.put("/broken-1.0.0.tgz", "not an archive");
    let repository = Repository::new(&charts.url()).unwrap();
    for chart in ["library", "broken"] {
        let error = fetch(&repository, chart, None).await.unwrap_err();
        assert!(matches!(error, Error::Unusable(_)), "{chart}: {error:?}");
    }
    charts.put("/index.yaml", "<html>welcome</html>");
    let error = fetch(&repository, "web", None).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
}

/// An archive of a chart with a file beside, made by the system's tools.
fn archive(directory: &Path, script: &str) -> Vec<u8> {
    let script = format!(
        "mkdir -p bomb/templates && printf 'apiVersion: v2\\nname: bomb\\nversion: 1.0.0\\n' > bomb/Chart.yaml && {script} \
         && tar czf bomb.tgz bomb"
    );
    assert!(Command::new("sh").args(["-c", &script]).current_dir(directory).status().unwrap().success());
    std::fs::read(directory.join("bomb.tgz")).unwrap()
}

#[tokio::test]
#[ignore = "needs the helm executable: `cargo xtask tools` builds it"]
async fn bombs_are_refused_within_bounds_of_memory_disk_and_time() {
    let charts = Charts::serve(Options::default()).await.unwrap();
    let repository = Repository::new(&charts.url()).unwrap();
    let began = std::time::Instant::now();
    // One file of 1 GB in an archive of 1 MB, many files of 4 MB, and very many files.
    let scripts = [
        "truncate -s 1G bomb/big",
        "for i in $(seq 60); do truncate -s 4M bomb/file$i; done",
        "mkdir bomb/many && cd bomb/many && seq 5000 | xargs touch && cd ../..",
    ];
    for script in scripts {
        let directory = tempfile::tempdir().unwrap();
        charts.add_packed("bomb", "1.0.0", &archive(directory.path(), script)).unwrap_or_default();
        let index = "apiVersion: v1\nentries:\n  bomb:\n  - {name: bomb, version: 1.0.0, apiVersion: v2, urls: [bomb-1.0.0.tgz]}\n";
        charts.put("/index.yaml", index);
        let fetched = fetch(&repository, "bomb", None).await;
        println!("{script}: {:?}", began.elapsed());
        match fetched {
            Err(error) => {
                assert!(matches!(error, Error::TooLarge(_) | Error::Unusable(_)), "{script}: {error:?}");
            }
            // Helm has no bound on a number; empty files are no harm.
            Ok(chart) => assert!(script.contains("touch"), "{script}: {chart:?}"),
        }
    }
    // An index that does not end, and one that is nested without end.
    let mut endless = b"apiVersion: v1\nentries: {}\n#".to_vec();
    endless.resize(80 << 20, b'#');
    charts.put("/index.yaml", endless);
    let error = fetch(&repository, "bomb", None).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge(_)), "{error:?}");
    charts.put("/index.yaml", "[".repeat(1 << 20));
    let error = fetch(&repository, "bomb", None).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge(_) | Error::Unreachable(_)), "{error:?}");
    println!("indexes: {:?}", began.elapsed());
    // Aliases of aliases: a billion of them.
    let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for i in 1..10 {
        let line = format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(","));
        laughs.push_str(&line);
    }
    charts.put("/index.yaml", laughs);
    let error = fetch(&repository, "bomb", None).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge(_) | Error::Unreachable(_)), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(240), "{:?}", began.elapsed());
}
