//! A PostgreSQL server for tests: a real one, of its own, in a directory of its own.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let mut postgres = testkit::postgres::Postgres::start().await?;
//! let dsn = postgres.create_database("search").await?;
//! postgres.stop()?; // gone for a minute
//! postgres.start_again().await?; // with everything it had acknowledged
//! # Ok(())
//! # }
//! ```
//!
//! It listens on a free port of 127.0.0.1 and on a socket in its directory, asks for a password over TCP, offers TLS if
//! asked to, does not wait for disks, and ends with its value. The machine's own server, if there is one, is neither
//! used nor started.

use std::{
    fs::{self, File},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

/// The database user, who may do everything.
pub const USER: &str = "clusterway";
/// That user's password.
pub const PASSWORD: &str = "not-a-secret";

const MISSING: &str = "PostgreSQL is not installed: no `initdb` in PATH or in /usr/lib/postgresql/*/bin; \
                       `apt-get install postgresql` brings it";
/// How long a start or a command may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server, or one that was stopped.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    owner: Option<Account>,
    directory: tempfile::TempDir,
    port: u16,
    settings: Vec<String>,
    process: Option<Child>,
}

/// Whom the server runs as when we are root, as whom it would refuse.
#[derive(Debug, Clone, Copy)]
struct Account {
    user: u32,
    group: u32,
}

/// Where PostgreSQL's programs are.
///
/// # Errors
/// That it is not installed, with the command that installs it.
pub fn programs() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    // The newest of Debian's first.
    let mut installed: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    installed.sort();
    places.extend(installed.into_iter().rev().map(|(_, place)| place));
    let complete = |place: &PathBuf| ["initdb", "postgres"].iter().all(|name| place.join(name).is_file());
    // Links in PATH lead to where the other programs are too.
    let place = places.into_iter().find(complete).context(MISSING)?;
    let program = place.join("initdb").canonicalize().context(MISSING)?;
    Ok(program.parent().context(MISSING)?.to_owned())
}

impl Postgres {
    /// Makes a server and starts it.
    ///
    /// # Errors
    /// When PostgreSQL is not installed, with the command that installs it; what its log says when it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with settings of its own, such as `temp_file_limit=1MB`.
    pub async fn start_with(settings: &[&str]) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("testkit-postgres-").tempdir()?;
        let mut server = Self {
            programs: programs()?,
            owner: account()?,
            directory,
            port: 0,
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            process: None,
        };
        server.initialise()?;
        // Somebody else may take the port before the server does.
        let mut last = None;
        for _ in 0..3 {
            server.port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            match server.start_again().await {
                Ok(()) => return Ok(server),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("PostgreSQL did not start")))
    }

    fn initialise(&self) -> anyhow::Result<()> {
        let directory = self.directory.path();
        let password = directory.join("password");
        fs::write(&password, PASSWORD)?;
        if let Some(Account { user, group }) = self.owner {
            for path in [directory, &password] {
                std::os::unix::fs::chown(path, Some(user), Some(group))?;
            }
        }
        let mut initdb = self.command("initdb");
        initdb.arg("--pgdata").arg(self.data()).args(["--username", USER]).arg("--pwfile").arg(password);
        initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C"]);
        run(initdb.arg("--no-sync"))
    }

    /// Starts it after it was stopped or has crashed, at the same address.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let log = self.directory.path().join("log");
        let output = File::create(&log)?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        let socket = format!("unix_socket_directories={}", self.directory.path().display());
        let port = format!("port={}", self.port);
        let settings =
            [&*socket, &*port, "listen_addresses=127.0.0.1", "fsync=off", "full_page_writes=off"].into_iter();
        for setting in settings.chain(self.settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut process = command.spawn().context("cannot start PostgreSQL")?;
        let began = Instant::now();
        while !self.is_ready(process.id()) {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = process.try_wait()? {
                anyhow::bail!("PostgreSQL did not start, {status}: {}", said());
            }
            if began.elapsed() > PATIENCE {
                process.kill()?;
                process.wait()?;
                anyhow::bail!("PostgreSQL was not ready within {PATIENCE:?}: {}", said());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.process = Some(process);
        Ok(())
    }

    /// Stops it as an administrator would: what runs is rolled back, connections are closed.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.end(Signal::INT)
    }

    /// Ends it as a crash would; the next start recovers.
    pub fn crash(&mut self) -> anyhow::Result<()> {
        self.end(Signal::QUIT)
    }

    fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let pid = Pid::from_raw(process.id().try_into()?).context("no process id")?;
        kill_process(pid, signal)?;
        process.wait()?;
        Ok(())
    }

    /// Makes a database; the answer is how to connect to it.
    pub async fn create_database(&self, name: &str) -> anyhow::Result<String> {
        let mut command = self.command("createdb");
        let port = self.port.to_string();
        command.arg("--host").arg(self.directory.path()).args(["--port", &port, "--username", USER, name]);
        tokio::task::spawn_blocking(move || run(&mut command)).await??;
        Ok(self.dsn(name))
    }

    /// How to connect to a database: as key and value pairs, with the password.
    pub fn dsn(&self, database: &str) -> String {
        let port = self.port;
        format!("host=127.0.0.1 port={port} user={USER} password={PASSWORD} dbname={database}")
    }

    /// The port of 127.0.0.1 it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A directory the server can read, for certificates; it also holds the server's data, socket and log.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file that only the server may read, such as its key; the answer is where.
    pub fn write_private(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.directory.path().join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        if let Some(Account { user, group }) = self.owner {
            std::os::unix::fs::chown(&path, Some(user), Some(group))?;
        }
        Ok(path)
    }

    /// Adds settings that count from the next start on.
    pub fn set(&mut self, settings: &[&str]) {
        self.settings.extend(settings.iter().map(|setting| (*setting).to_owned()));
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The server writes its state into a file: its process in the first line, `ready` in the eighth.
    fn is_ready(&self, process: u32) -> bool {
        let state = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let lines: Vec<&str> = state.lines().map(str::trim).collect();
        lines.first().is_some_and(|first| *first == process.to_string()) && lines.get(7) == Some(&"ready")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.directory.path()).env_remove("PGDATA");
        if let Some(Account { user, group }) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.crash();
    }
}

/// Nobody in particular, unless we are root: then the system's account for PostgreSQL.
fn account() -> anyhow::Result<Option<Account>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
    let found = accounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            ["postgres", _, user, group, ..] => {
                Some(Account { user: user.parse().ok()?, group: group.parse().ok()? })
            }
            _ => None,
        }
    });
    let missing = "PostgreSQL does not run as root, and there is no account `postgres`; \
                   `apt-get install postgresql` makes it";
    found.context(missing).map(Some)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{} failed: {}",
        command.get_program().display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_starts_stops_and_starts_again_and_ends_with_its_value() {
        let mut server = Postgres::start().await.unwrap();
        server.create_database("one").await.unwrap();
        let address = ("127.0.0.1", server.port());
        assert!(std::net::TcpStream::connect(address).is_ok());
        server.stop().unwrap();
        assert!(std::net::TcpStream::connect(address).is_err());
        server.start_again().await.unwrap();
        // It is still there.
        let again = server.create_database("one").await.unwrap_err();
        assert!(again.to_string().contains("already exists"), "{again}");
        server.crash().unwrap();
        server.start_again().await.unwrap();
        drop(server);
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}
