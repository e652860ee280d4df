//! A repository of Helm charts for tests, on the loopback: over HTTP or TLS, with or without credentials, and at the same
//! address a registry (`oci://`) of the same charts.
//!
//! The `helm` executable packs the charts and writes the index.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A chart's `Chart.yaml` in a registry.
const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
/// A chart's archive in a registry.
const CONTENT: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// What names both.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// How a repository is served.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Over TLS, with a certificate of an authority of its own.
    pub tls: bool,
    /// Only to this user with this password.
    pub credentials: Option<(String, String)>,
}

/// A repository that is served for as long as this value lives.
pub struct Charts {
    directory: tempfile::TempDir,
    helm: PathBuf,
    shared: Arc<Shared>,
    address: std::net::SocketAddr,
    authority: Option<String>,
    tasks: runtime::Tasks,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    credentials: Option<(String, String)>,
    /// What is at each path, with its type.
    contents: BTreeMap<String, (&'static str, Bytes)>,
    asked: Vec<String>,
    down: bool,
}

/// The `helm` executable: `CLUSTERWAY_HELM`, else the one that `cargo xtask tools` has built last.
///
/// # Errors
/// That there is none, with the command that builds it.
pub fn helm() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("CLUSTERWAY_HELM") {
        return Ok(PathBuf::from(path));
    }
    let cache = match std::env::var_os("CLUSTERWAY_CACHE") {
        Some(path) => PathBuf::from(path),
        None => std::env::home_dir().context("no home directory")?.join(".cache/clusterway"),
    };
    let built = fs::read_dir(cache.join("tools")).into_iter().flatten().flatten();
    let built = built.map(|entry| entry.path().join("helm")).filter(|path| path.is_file());
    let newest = built.max_by_key(|path| fs::metadata(path).and_then(|file| file.modified()).ok());
    newest.context("there is no helm executable; `cargo xtask tools` builds it")
}

impl Charts {
    /// Serves a repository without charts.
    ///
    /// # Errors
    /// Without a `helm` executable, see [`helm`].
    pub async fn serve(options: Options) -> anyhow::Result<Self> {
        Self::serve_with(&helm()?, options).await
    }

    /// The same with this `helm` executable.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn serve_with(helm: &Path, options: Options) -> anyhow::Result<Self> {
        let helm = helm.to_owned();
        let (acceptor, authority) = if options.tls {
            let (config, authority) = runtime::tls::loopback()?;
            (Some(TlsAcceptor::from(Arc::new(config))), Some(authority))
        } else {
            (None, None)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        shared.state.lock().credentials = options.credentials;
        let tasks = runtime::Tasks::new();
        tasks.spawn("charts", accept(listener, acceptor, Arc::clone(&shared), tasks.clone()));
        let directory = tempfile::Builder::new().prefix("testkit-charts-").tempdir()?;
        fs::create_dir(directory.path().join("packed"))?;
        let charts = Self { directory, helm, shared, address, authority, tasks };
        charts.index()?;
        Ok(charts)
    }

    /// The URL of the repository.
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The URL of the registry.
    pub fn registry(&self) -> String {
        format!("oci://{}/charts", self.address)
    }

    /// Who vouches for its certificate (PEM), when it is served over TLS.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// Adds a chart: its name, its version, and its files beside `Chart.yaml`.
    pub fn add(&self, name: &str, version: &str, files: &[(&str, &str)]) -> anyhow::Result<()> {
        self.add_with(name, version, "", files)
    }

    /// The same with more lines for `Chart.yaml`.
    pub fn add_with(
        &self,
        name: &str,
        version: &str,
        more: &str,
        files: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let source = self.directory.path().join("source").join(name);
        let _ = fs::remove_dir_all(&source);
        let metadata = format!("apiVersion: v2\nname: {name}\nversion: {version}\n{more}\n");
        for (path, text) in files.iter().copied().chain([("Chart.yaml", metadata.as_str())]) {
            let path = source.join(path);
            fs::create_dir_all(path.parent().context("no directory")?)?;
            fs::write(path, text)?;
        }
        self.add_directory(&source, name, version)
    }

    /// Adds the chart in a directory, whose name and version are these.
    pub fn add_directory(&self, source: &Path, name: &str, version: &str) -> anyhow::Result<()> {
        let packed = self.directory.path().join("packed");
        self.run(&["package".as_ref(), source, "-d".as_ref(), &packed])?;
        self.add_packed(name, version, &fs::read(packed.join(format!("{name}-{version}.tgz")))?)
    }

    /// Adds an archive as it is, good or bad, under a name and a version that it need not have itself.
    pub fn add_packed(&self, name: &str, version: &str, archive: &[u8]) -> anyhow::Result<()> {
        let file = format!("{name}-{version}.tgz");
        fs::write(self.directory.path().join("packed").join(&file), archive)?;
        let archive = Bytes::copy_from_slice(archive);
        let config = Bytes::from(json!({ "name": name, "version": version, "apiVersion": "v2" }).to_string());
        let layer = json!({ "mediaType": CONTENT, "digest": digest(&archive), "size": archive.len() });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": { "mediaType": CONFIG, "digest": digest(&config), "size": config.len() },
            "layers": [layer],
        });
        let manifest = Bytes::from(manifest.to_string());
        {
            let mut state = self.shared.state.lock();
            let base = format!("/v2/charts/{name}");
            state.contents.insert(
                format!("{base}/blobs/{}", digest(&archive)),
                ("application/octet-stream", archive.clone()),
            );
            state
                .contents
                .insert(format!("{base}/blobs/{}", digest(&config)), ("application/octet-stream", config));
            state
                .contents
                .insert(format!("{base}/manifests/{}", digest(&manifest)), (MANIFEST, manifest.clone()));
            state.contents.insert(format!("{base}/manifests/{version}"), (MANIFEST, manifest));
            state.contents.insert(format!("/{file}"), ("application/gzip", archive));
        }
        self.index()
    }

    /// Answers at a path with something, such as an index that is none.
    pub fn put(&self, path: &str, contents: impl Into<Bytes>) {
        self.shared
            .state
            .lock()
            .contents
            .insert(path.to_owned(), ("application/octet-stream", contents.into()));
    }

    /// Does not answer any more, or does again.
    pub fn set_down(&self, down: bool) {
        self.shared.state.lock().down = down;
    }

    /// The paths that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.shared.state.lock().asked.clone()
    }

    fn index(&self) -> anyhow::Result<()> {
        let packed = self.directory.path().join("packed");
        self.run(&["repo".as_ref(), "index".as_ref(), &packed])?;
        self.put("/index.yaml", fs::read(packed.join("index.yaml"))?);
        Ok(())
    }

    fn run(&self, args: &[&Path]) -> anyhow::Result<()> {
        let home = self.directory.path().join("home");
        let output =
            Command::new(&self.helm).args(args).env("HOME", &home).env("HELM_CACHE_HOME", home).output()?;
        anyhow::ensure!(
            output.status.success(),
            "helm {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

impl Drop for Charts {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>, tasks: runtime::Tasks) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        tasks.spawn("connection", async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(&shared, &request);
                async move {
                    // A server that hangs up in the middle is unreachable.
                    answer.ok_or_else(|| std::io::Error::other("down"))
                }
            });
            let patience = Duration::from_secs(60);
            let served = async {
                match tls {
                    Some(acceptor) => {
                        let Ok(stream) = acceptor.accept(tcp).await else { return };
                        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                    }
                    None => {
                        let _ = http1::Builder::new().serve_connection(TokioIo::new(tcp), service).await;
                    }
                }
            };
            let _ = tokio::time::timeout(patience, served).await;
        });
    }
}

fn answer(shared: &Shared, request: &Request<Incoming>) -> Option<Response<Full<Bytes>>> {
    let mut state = shared.state.lock();
    if state.down {
        return None;
    }
    let path = request.uri().path().to_owned();
    state.asked.push(path.clone());
    let status = |status, text: &'static str| {
        let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
        *response.status_mut() = status;
        response
    };
    if let Some((user, password)) = &state.credentials {
        let expected = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let given = request.headers().get(header::AUTHORIZATION);
        if given.is_none_or(|given| given.as_bytes() != expected.as_bytes()) {
            let mut response = status(StatusCode::UNAUTHORIZED, "who are you?");
            let basic = header::HeaderValue::from_static("Basic realm=\"charts\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
            return Some(response);
        }
    }
    let Some((kind, contents)) = state.contents.get(&path) else {
        return Some(status(StatusCode::NOT_FOUND, "no such thing"));
    };
    let mut response = Response::new(Full::new(contents.clone()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    if let Ok(digest) = digest(contents).parse() {
        headers.insert("docker-content-digest", digest);
    }
    Some(response)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::from("sha256:"), |mut text, byte| {
        let _: Result<(), std::fmt::Error> = write!(text, "{byte:02x}");
        text
    })
}
