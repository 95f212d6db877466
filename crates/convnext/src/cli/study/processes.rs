//! The commands of a study as processes of this program: a failure, and memory, stay with the one that they are of.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use convnext::distributed::launcher_variables;
use convnext::study::{CommandEnd, PlannedRun, Runner};
use convnext::train::{Interruption, TrainError};

use super::commands::words;
use crate::cli::ending::{EXIT_INTERRUPTED, EXIT_REQUEUED};
use crate::cli::output::print_progress;
use crate::cli::signals::Signals;

/// Time between two looks at a process.
const LOOK_EVERY: Duration = Duration::from_millis(30);

/// No message is longer than this many bytes.
const MAX_MESSAGE_BYTES: u64 = 10_000;

/// Runs commands as processes of this program.
pub(super) struct Processes {
    program: PathBuf,
    /// Threads of each command, where they are not all cores.
    threads: Option<usize>,
    /// Words that start the ranks of commands whose work they can share; none where each is one process.
    launcher: Vec<String>,
    signals: Signals,
}

impl Processes {
    /// # Errors
    /// When the system does not tell where this program is.
    pub(super) fn new(threads: Option<usize>, launcher: Vec<String>, signals: Signals) -> io::Result<Self> {
        Ok(Self { program: std::env::current_exe()?, threads, launcher, signals })
    }

    /// The command of a run: this program, by the launcher where its work can be shared.
    fn command(&self, run: &PlannedRun) -> Command {
        let mut command = match self.launcher_of(run) {
            Some((launcher, rest)) => {
                let mut command = Command::new(launcher);
                command.args(rest).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        // The ranks of a run are none of the job that a launcher made of this process.
        launcher_variables().iter().for_each(|name| {
            command.env_remove(name);
        });
        command.args(words(run, self.threads));
        command
    }

    fn launcher_of(&self, run: &PlannedRun) -> Option<(&String, &[String])> {
        self.launcher.split_first().filter(|_| run.stage.is_training())
    }

    fn try_run(&self, run: &PlannedRun) -> io::Result<CommandEnd> {
        let place = run.folder.parent().and_then(Path::parent).unwrap_or(Path::new("."));
        let logs = place.join("logs");
        fs::create_dir_all(&logs)?;
        let [printed, said] = ["out", "log"].map(|extension| logs.join(format!("{}.{extension}", run.id)));
        let mut log = OpenOptions::new().create(true).append(true).read(true).open(&said)?;
        if !self.take(run, &log) {
            return Ok(CommandEnd::Interrupted);
        }
        // Trainings go on where they were; what else a killed study left half done is made anew.
        if !run.stage.is_training() && run.folder.is_dir() {
            fs::remove_dir_all(&run.folder)?;
        }
        let before = log.seek(SeekFrom::End(0))?;
        let mut command = self.command(run);
        command.stdin(Stdio::null()).stdout(File::create(&printed)?).stderr(log.try_clone()?);
        // A group of its own, so that Ctrl-C reaches it once, from here.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let status = self.wait(run, command.spawn()?)?;
        log.seek(SeekFrom::Start(before))?;
        self.end(run, status, &message(log)?, &printed)
    }

    /// Locks the log of a run. Its process inherits the lock with the log, and keeps it when this one is killed, so that a study
    /// that goes on waits for what was left behind; `false` if it is stopped meanwhile.
    fn take(&self, run: &PlannedRun, log: &File) -> bool {
        let mut is_told = false;
        // Elsewhere than on Unix the lock would keep the process from writing. Where a file system knows no locks, the run
        // goes on without.
        while cfg!(unix) && matches!(log.try_lock(), Err(TryLockError::WouldBlock)) {
            if self.interrupted() {
                return false;
            }
            if !is_told {
                print_progress(&format!("waiting for {}, which another process runs", run.id));
                is_told = true;
            }
            sleep(LOOK_EVERY);
        }
        true
    }

    fn wait(&self, run: &PlannedRun, mut child: Child) -> io::Result<ExitStatus> {
        let mut is_told = false;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if self.interrupted() && !is_told {
                is_told = true;
                ask_to_stop(&mut child, self.stop_signal(run))?;
            }
            sleep(LOOK_EVERY);
        }
    }

    /// The signal that makes a run write a checkpoint and end. Launchers pass SIGUSR1 on and wait; what else they are sent they make
    /// an end of within seconds.
    fn stop_signal(&self, run: &PlannedRun) -> &'static str {
        let is_requeued = self.signals.interruption() == Some(Interruption::Requeue);
        if is_requeued || self.launcher_of(run).is_some() { "-USR1" } else { "-TERM" }
    }

    fn end(
        &self,
        run: &PlannedRun,
        status: ExitStatus,
        error: &str,
        printed: &Path,
    ) -> io::Result<CommandEnd> {
        let failure = |error: String, diverged| CommandEnd::Failure { error, diverged };
        Ok(match status.code() {
            Some(0) if run.stage.is_training() => CommandEnd::Success(None),
            Some(0) => match serde_json::from_slice(&fs::read(printed)?) {
                Ok(json) => CommandEnd::Success(Some(json)),
                Err(error) => failure(format!("{} holds no JSON: {error}", printed.display()), false),
            },
            Some(code) if [EXIT_INTERRUPTED, EXIT_REQUEUED].map(i32::from).contains(&code) => {
                CommandEnd::Interrupted
            }
            // It may not have had the time to catch the signal.
            _ if self.interrupted() => CommandEnd::Interrupted,
            Some(_) => failure(error.to_owned(), error.starts_with(TrainError::DIVERGED)),
            None => failure(format!("the process was ended ({status}); was there enough memory?"), false),
        })
    }
}

impl Runner for Processes {
    fn run(&self, run: &PlannedRun) -> CommandEnd {
        let failure = |error: io::Error| CommandEnd::Failure {
            error: format!("the command cannot be run: {error}"),
            diverged: false,
        };
        self.try_run(run).unwrap_or_else(failure)
    }

    fn interrupted(&self) -> bool {
        self.signals.interruption().is_some()
    }
}

/// Asks a process to stop with a checkpoint. Elsewhere than on Unix, Ctrl-C reaches it by itself.
fn ask_to_stop(child: &mut Child, signal: &str) -> io::Result<()> {
    if cfg!(unix) {
        let asked =
            Command::new("kill").args([signal, &child.id().to_string()]).stderr(Stdio::null()).status();
        if !asked.is_ok_and(|status| status.success()) && child.try_wait()?.is_none() {
            child.kill()?;
        }
    }
    Ok(())
}

/// The last error of a log, in one line.
fn message(log: File) -> io::Result<String> {
    let mut text = Vec::new();
    let length = log.metadata()?.len();
    let mut log = log;
    let from = log.stream_position()?.max(length.saturating_sub(MAX_MESSAGE_BYTES));
    log.seek(SeekFrom::Start(from))?;
    log.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let error = text
        .rsplit_once("error: ")
        .map_or_else(|| text.lines().last().unwrap_or_default(), |(_, error)| error);
    // What a launcher says of its job stands below a line of dashes.
    let error = error.split("\n----").next().unwrap_or(error);
    Ok(error.split_whitespace().collect::<Vec<_>>().join(" "))
}
