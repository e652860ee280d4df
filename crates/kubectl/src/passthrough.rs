//! Runs kubectl at another place in the parent, a child, the search or the templates: opens the relay, starts kubectl with a kubeconfig
//! that leads there, passes on everything.

use std::{
    ffi::OsString,
    io::{IsTerminal as _, Read as _, Seek as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use api::{proxies::direct_path, shadow::Paths};
use meta::Status;
use runtime::Tasks;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child as Process, Command},
    signal::unix::{SignalKind, signal},
};

use crate::{
    args::{ChildFlags, Cli},
    child::Child,
    clusters,
    failure::{Failure, chain},
    generate::{self, Steps},
    output::say,
    parent::Parent,
    relay::{Destination, Place, Relay},
};

/// How long streams may take to end once kubectl has.
const SHUTDOWN: Duration = Duration::from_millis(200);

/// Runs kubectl in the cluster that `cli` names; its exit code is ours.
pub(crate) async fn visit(cli: &Cli, wanted: &str, kubectl: &[OsString]) -> Result<ExitCode, Failure> {
    let parent = Parent::load(&cli.connection)?;
    let child = Child::load(&cli.child)?;
    let cluster = clusters::resolve(&parent, wanted).await?;
    // Now, while nothing else uses the terminal: a plug-in may have to ask for a password.
    child.headers().await?;
    let destination = Destination { place: Place::Behind(direct_path(&cluster)), child, progress: None };
    let ran = through(&parent, destination, Some(&cluster), kubectl).await?;
    if let (false, Some(Status { message, .. })) = (ran.succeeded, &ran.refusal) {
        let failure = Failure::new(format!("cluster {wanted} cannot be visited")).because(message);
        say(&failure.next(remedy(message)).to_string());
    }
    Ok(ran.code)
}

/// Runs kubectl on the templates that the parent keeps; its exit code is ours.
pub(crate) async fn templates(cli: &Cli, kubectl: &[OsString]) -> Result<ExitCode, Failure> {
    let parent = Parent::load(&cli.connection)?;
    let session = Session::open(&parent, templates_of(&parent).await?, Some("templates")).await?;
    let status = match generate::steps(kubectl) {
        Some(steps) => make_and_send(&session, &steps).await,
        None => run(session.kubectl(kubectl)).await,
    };
    let ran = session.close(status).await?;
    if let (false, Some(Status { message, .. })) = (ran.succeeded, &ran.refusal) {
        say(&Failure::new("the parent does not tell which kinds it has").because(message).to_string());
    }
    Ok(ran.code)
}

/// Runs kubectl on the templates that the parent keeps, and returns what it prints. `input` is its standard input, if it is not
/// to read ours.
pub(crate) async fn on_templates(
    parent: &Parent,
    kubectl: &[OsString],
    input: Option<&str>,
) -> Result<(Ran, String), Failure> {
    let destination = templates_of(parent).await?;
    captured(Session::open(parent, destination, Some("templates")).await?, kubectl, input).await
}

/// Runs kubectl in a cluster, and returns what it prints.
pub(crate) async fn in_cluster(
    parent: &Parent,
    flags: &ChildFlags,
    cluster: &str,
    kubectl: &[OsString],
    input: Option<&str>,
) -> Result<(Ran, String), Failure> {
    let child = Child::load(flags)?;
    child.headers().await?;
    let destination = Destination { place: Place::Behind(direct_path(cluster)), child, progress: None };
    captured(Session::open(parent, destination, Some(cluster)).await?, kubectl, input).await
}

/// What goes through may be Secrets: it is in no file with a name.
async fn captured(
    session: Session,
    kubectl: &[OsString],
    input: Option<&str>,
) -> Result<(Ran, String), Failure> {
    let failed = |error: std::io::Error| Failure::new("cannot use a temporary file").because(error);
    let mut printed = tempfile::tempfile().map_err(failed)?;
    let mut command = session.kubectl(kubectl);
    command.stdout(printed.try_clone().map_err(failed)?);
    if let Some(input) = input {
        let mut file = tempfile::tempfile().map_err(failed)?;
        file.write_all(input.as_bytes()).and_then(|()| file.rewind()).map_err(failed)?;
        command.stdin(file);
    }
    let status = run(command).await;
    let ran = session.close(status).await?;
    let mut text = String::new();
    printed.rewind().and_then(|()| printed.read_to_string(&mut text)).map_err(failed)?;
    Ok((ran, text))
}

/// Where the templates are.
async fn templates_of(parent: &Parent) -> Result<Destination, Failure> {
    let place = Place::Templates(template_paths(parent).await?);
    Ok(Destination { place, child: Child::anonymous(parent.namespace.clone()), progress: None })
}

/// Asks the hub under which names kinds are whose plurals several groups have.
async fn template_paths(parent: &Parent) -> Result<Paths, Failure> {
    let version = format!("{}/{}", api::shadow::GROUP, api::shadow::VERSION);
    let found = parent.client().await?.list_api_group_resources(&version).await;
    let listed = found.map_err(|error| {
        Failure::new("the parent keeps no templates").because(chain(&error)).next(format!(
            "kubectl get apiservice {}.{} tells more; for objects in a cluster give --cluster-id",
            api::shadow::VERSION,
            api::shadow::GROUP
        ))
    })?;
    Ok(Paths::new(listed.resources.into_iter().map(|resource| resource.name)))
}

/// How kubectl ended.
pub(crate) struct Ran {
    /// Whether it did what it was told.
    pub(crate) succeeded: bool,
    /// Its exit code.
    pub(crate) code: ExitCode,
    /// Why it could not find out what there is, if that is so.
    pub(crate) refusal: Option<Status>,
}

/// Runs kubectl through a relay. What it learns there of the API is kept for its next run under the name `cached`.
pub(crate) async fn through(
    parent: &Parent,
    destination: Destination,
    cached: Option<&str>,
    kubectl: &[OsString],
) -> Result<Ran, Failure> {
    let session = Session::open(parent, destination, cached).await?;
    let status = run(session.kubectl(kubectl)).await;
    session.close(status).await
}

/// Has kubectl make an object, and then send what it made. The object may be a Secret: it is in no file with a name.
async fn make_and_send(session: &Session, steps: &Steps) -> Result<ExitStatus, Failure> {
    let failed = |error: std::io::Error| Failure::new("cannot make a temporary file").because(error);
    let mut made = tempfile::tempfile().map_err(failed)?;
    let mut make = session.kubectl(&steps.make);
    make.stdout(made.try_clone().map_err(failed)?);
    let status = run(make).await?;
    if !status.success() {
        return Ok(status);
    }
    made.rewind().map_err(failed)?;
    let mut send = session.kubectl(&steps.send);
    send.stdin(made);
    run(send).await
}

/// An open relay, and what kubectl needs to use it.
struct Session {
    tasks: Tasks,
    relay: Relay,
    directory: tempfile::TempDir,
    cache: PathBuf,
}

impl Session {
    async fn open(parent: &Parent, destination: Destination, cached: Option<&str>) -> Result<Self, Failure> {
        let tasks = Tasks::new();
        let relay = Relay::open(&tasks, &parent.config().await?, destination).await?;
        let directory = private_directory()?;
        let cache = cache(cached.filter(|_| relay.is_at_usual_address()), directory.path());
        let session = Self { tasks, relay, directory, cache };
        let kubeconfig = session.kubeconfig();
        session
            .relay
            .write_kubeconfig(&kubeconfig)
            .map_err(|error| Failure::new(format!("cannot write {}", kubeconfig.display())).because(error))?;
        Ok(session)
    }

    fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// kubectl with these words, led to the relay.
    fn kubectl(&self, words: &[OsString]) -> Command {
        let mut command = Command::new(program());
        command.args(words).env("KUBECONFIG", self.kubeconfig()).env("KUBECACHEDIR", &self.cache);
        command
    }

    async fn close(self, status: Result<ExitStatus, Failure>) -> Result<Ran, Failure> {
        self.tasks.shutdown(SHUTDOWN).await;
        let status = status?;
        Ok(Ran {
            succeeded: status.success(),
            code: exit_code(status),
            refusal: self.relay.refusal().cloned(),
        })
    }
}

/// What to do about a refusal.
fn remedy(why: &str) -> &'static str {
    if why.contains(api::proxies::GROUP) {
        "the parent's administrator grants this cluster by cluster: deploy/examples/visit-one-cluster.yaml"
    } else {
        "kubectl clusterway clusters shows how the clusters are"
    }
}

/// Runs kubectl as it is, without a cluster: for its help.
pub(crate) async fn plain(kubectl: &[OsString]) -> Result<ExitCode, Failure> {
    let mut command = Command::new(program());
    command.args(kubectl);
    run(command).await.map(exit_code)
}

fn program() -> OsString {
    std::env::var_os("KUBECTL").filter(|path| !path.is_empty()).unwrap_or_else(|| OsString::from("kubectl"))
}

fn private_directory() -> Result<tempfile::TempDir, Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    tempfile::Builder::new()
        .prefix("kubectl-clusterway-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()
        .map_err(|error| Failure::new("cannot make a temporary directory").because(error))
}

/// Where kubectl keeps what it knows of an API, for its next run if that has a name. Never where it keeps it of other
/// servers: it tells servers apart by address, and ours says nothing about what is behind it.
fn cache(name: Option<&str>, directory: &Path) -> PathBuf {
    let base = std::env::var_os("KUBECACHEDIR")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".kube/cache")));
    match (base, name) {
        (Some(base), Some(name)) => base.join("clusterway").join(name),
        _ => directory.join("cache"),
    }
}

async fn run(mut command: Command) -> Result<ExitStatus, Failure> {
    // Before the start, so that no signal ends us and leaves kubectl and the temporary directory behind.
    let mut signals =
        Signals::listen().map_err(|error| Failure::new("cannot listen for signals").because(error))?;
    let mut process = command.spawn().map_err(|error| {
        Failure::new(format!("cannot run {}", command.as_std().get_program().display()))
            .because(error)
            .next("kubectl must be on your PATH, or $KUBECTL must name it")
    })?;
    loop {
        tokio::select! {
            status = process.wait() => {
                return status.map_err(|error| Failure::new("cannot wait for kubectl").because(error));
            }
            signal = signals.next() => pass_on(&process, signal),
        }
    }
}

fn pass_on(process: &Process, signal: Signal) {
    // From a terminal, Ctrl-C and Ctrl-\ reach kubectl by themselves; twice means more than once.
    let at_terminal =
        std::io::stdin().is_terminal() || std::io::stdout().is_terminal() || std::io::stderr().is_terminal();
    let from_terminal = matches!(signal, Signal::INT | Signal::QUIT) && at_terminal;
    let pid = process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let (false, Some(pid)) = (from_terminal, pid) {
        // It may just have ended.
        let _ = kill_process(pid, signal);
    }
}

struct Signals([(Signal, tokio::signal::unix::Signal); 4]);

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self([
            (Signal::INT, signal(SignalKind::interrupt())?),
            (Signal::TERM, signal(SignalKind::terminate())?),
            (Signal::HUP, signal(SignalKind::hangup())?),
            (Signal::QUIT, signal(SignalKind::quit())?),
        ]))
    }

    async fn next(&mut self) -> Signal {
        let [(a, one), (b, two), (c, three), (d, four)] = &mut self.0;
        tokio::select! {
            _ = one.recv() => *a,
            _ = two.recv() => *b,
            _ = three.recv() => *c,
            _ = four.recv() => *d,
        }
    }
}

/// As a shell tells it: the code, or 128 and the signal.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn exit_codes_and_deadly_signals_are_told_as_a_shell_tells_them() {
        for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)] {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            let status = run(command).await.unwrap();
            assert_eq!(format!("{:?}", exit_code(status)), format!("{:?}", ExitCode::from(code)), "{script}");
        }
    }

    #[tokio::test]
    async fn a_missing_kubectl_is_named_with_a_way_out() {
        let text = run(Command::new("/nowhere/kubectl")).await.unwrap_err().to_string();
        assert!(text.contains("/nowhere/kubectl") && text.contains("$KUBECTL"), "{text}");
    }

    #[test]
    fn what_kubectl_caches_of_one_cluster_never_lies_with_another() {
        let directory = Path::new("/tmp/x");
        assert!(cache(Some("a"), directory).ends_with("clusterway/a"));
        assert_eq!(cache(None, directory), directory.join("cache"));
    }
}
