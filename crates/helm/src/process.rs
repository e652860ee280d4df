//! One process: its group, its bounds, its end.

use std::{process::Stdio, time::Duration};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Command,
    time::timeout,
};

use crate::limits::Limits;

/// How much of its complaints is kept: the end, where Helm says what it gave up on.
const COMPLAINTS: usize = 16 << 10;
/// How long a process may take to end when it is asked to; Helm notes in the release that it was interrupted.
const GRACE: Duration = Duration::from_secs(5);

/// Why a process did not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It did not start.
    Start(String),
    /// It was ended at its deadline.
    TimedOut(Duration),
    /// It printed or wrote more than it may.
    TooMuch(String),
    /// It gave up.
    Exit {
        /// What it complained of.
        said: String,
        /// The end of what it had printed before.
        printed: String,
    },
}

/// A process group that does not outlive this value.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Runs a command to its end and returns what it printed.
pub(crate) async fn run(
    mut command: Command,
    limits: &Limits,
    deadline: Duration,
) -> Result<Vec<u8>, Failure> {
    command.process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| Failure::Start(error.to_string()))?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    bound(&group, limits);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let ((printed, complaints), status) =
            tokio::try_join!(async { tokio::try_join!(whole(stdout, limits.output), end(stderr)) }, async {
                child.wait().await.map_err(|error| Failure::Start(error.to_string()))
            })?;
        if status.success() {
            return Ok(printed);
        }
        let tail = printed.get(printed.len().saturating_sub(COMPLAINTS)..).unwrap_or_default();
        Err(Failure::Exit { said: complaints, printed: String::from_utf8_lossy(tail).into_owned() })
    };
    let mut work = std::pin::pin!(work);
    let in_time = timeout(deadline, &mut work).await;
    let is_late = in_time.is_err();
    let result = if let Ok(result) = in_time {
        result
    } else {
        group.signal(Signal::TERM);
        timeout(GRACE, &mut work).await.unwrap_or(Err(Failure::TimedOut(deadline)))
    };
    if matches!(result, Ok(_) | Err(Failure::Exit { .. })) {
        // It is gone, and its number may be another's soon.
        group.0 = None;
    }
    if is_late { Err(Failure::TimedOut(deadline)) } else { result }
}

/// Sets the bounds from outside, right after the start. A system that does not let us is no reason not to go on.
fn bound(group: &Group, limits: &Limits) {
    let Some(pid) = group.0 else { return };
    for (resource, most) in
        [(Resource::Data, limits.memory), (Resource::Fsize, limits.file), (Resource::Core, 0)]
    {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        if let Err(error) = prlimit(Some(pid), resource, limit) {
            tracing::debug!(%error, "a process of helm runs without one of its bounds");
        }
    }
}

/// All that is printed, if it is not too much.
async fn whole(stream: Option<impl AsyncRead + Unpin>, most: usize) -> Result<Vec<u8>, Failure> {
    let mut printed = Vec::new();
    if let Some(stream) = stream {
        let most = most as u64;
        let read = stream.take(most + 1).read_to_end(&mut printed).await;
        let read = read.map_err(|error| Failure::Start(error.to_string()))?;
        if read as u64 > most {
            return Err(Failure::TooMuch(format!("helm answers with more than {most} bytes")));
        }
    }
    Ok(printed)
}

/// The end of what is printed.
async fn end(stream: Option<impl AsyncRead + Unpin>) -> Result<String, Failure> {
    let Some(mut stream) = stream else { return Ok(String::new()) };
    let mut kept: Vec<u8> = Vec::new();
    let mut first = None;
    let mut buffer = vec![0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.map_err(|error| Failure::Start(error.to_string()))?;
        if read == 0 {
            break;
        }
        let piece = buffer.get(..read).unwrap_or_default();
        // A process that dies of its bounds says so in its first line, and then a lot more.
        if first.is_none() {
            first = Some(String::from_utf8_lossy(piece).lines().next().unwrap_or_default().to_owned());
        }
        kept.extend_from_slice(piece);
        if kept.len() > 2 * COMPLAINTS {
            kept.drain(..kept.len() - COMPLAINTS);
        }
    }
    let first = first.filter(|line| line.starts_with("fatal error: ") || line.starts_with("runtime: "));
    Ok(match first {
        Some(line) => line,
        None => String::from_utf8_lossy(&kept).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    async fn gone(pid: i32) -> bool {
        for _ in 0..200 {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if state.is_empty() || state.contains(") Z ") {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    #[tokio::test]
    async fn what_it_prints_is_returned_and_what_it_complains_of_is_the_failure() {
        let limits = Limits::default();
        let patience = Duration::from_secs(30);
        assert_eq!(run(shell("echo hi"), &limits, patience).await.unwrap(), b"hi\n");
        let failure = run(shell("echo no >&2; exit 3"), &limits, patience).await.unwrap_err();
        assert!(matches!(failure, Failure::Exit { said, .. } if said == "no\n"));
        let missing = run(Command::new("/no/such/helm"), &limits, patience).await.unwrap_err();
        assert!(matches!(missing, Failure::Start(_)));
    }

    #[tokio::test]
    async fn at_its_deadline_it_is_ended_with_all_it_has_started() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let began = Instant::now();
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let failure = run(shell(&script), &Limits::default(), Duration::from_millis(500)).await.unwrap_err();
        assert!(matches!(failure, Failure::TimedOut(_)) && began.elapsed() < Duration::from_secs(30));
        let pid = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        assert!(gone(pid).await);
    }

    #[tokio::test]
    async fn it_is_killed_with_all_it_has_started_when_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let script = format!("trap '' TERM; sleep 600 & echo $! > {}; wait", file.display());
        let limits = Limits::default();
        let mut process = Box::pin(run(shell(&script), &limits, Duration::from_secs(600)));
        let pid = loop {
            assert!(timeout(Duration::from_millis(20), &mut process).await.is_err());
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Ok(pid) = text.trim().parse() {
                break pid;
            }
        };
        drop(process);
        assert!(gone(pid).await);
    }

    #[tokio::test]
    async fn more_than_it_may_print_or_write_ends_it() {
        let limits = Limits { output: 1000, file: 1 << 16, ..Limits::default() };
        let patience = Duration::from_secs(30);
        let failure = run(shell("yes"), &limits, patience).await.unwrap_err();
        assert!(matches!(failure, Failure::TooMuch(_)));
        let directory = tempfile::tempdir().unwrap();
        let script = format!(
            "sleep 0.3; exec dd if=/dev/zero bs=4096 count=1000 of={}/big",
            directory.path().display()
        );
        assert!(run(shell(&script), &limits, patience).await.is_err());
        assert!(std::fs::metadata(directory.path().join("big")).unwrap().len() <= 1 << 16);
    }
}
