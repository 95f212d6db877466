//! A job of ranks, and what can happen to it.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cli::bench::{Bench, convnext};

/// Networks, as arguments of `mpirun`: all that there are, which is shared memory within a machine, or TCP alone.
pub(super) const NETWORKS: [&[&str]; 2] = [&[], &["--mca", "btl", "tcp,self"]];

/// No job of these tests takes that long; a longer one hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// Within this time of the end of a rank all must be gone.
pub(super) const PROMPT: Duration = Duration::from_secs(5);

/// File of what a job says on standard error.
const SAID: &str = "said";

/// `mpirun`, and the ranks that it started. Killed when it is dropped.
pub(super) struct Job<'b> {
    bench: &'b Bench,
    mpirun: Child,
    /// Ranks before the last signal: those of a launcher that is gone are not told apart any more.
    known: Vec<u32>,
}

impl<'b> Job<'b> {
    /// Starts so many ranks of the program, which share this command, a thread each.
    pub(super) fn start(bench: &'b Bench, size: usize, network: &[&str], line: &str) -> Self {
        let mut command = Command::new("mpirun");
        command.args(["--oversubscribe", "-n", &size.to_string()]).args(network);
        command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        command.arg(convnext().get_program()).args(line.split_whitespace()).args(["--threads", "1"]);
        command.current_dir(bench.path("")).stdin(Stdio::null()).process_group(0);
        command.stdout(File::create(bench.path("printed")).unwrap());
        command.stderr(File::create(bench.path(SAID)).unwrap());
        Self { bench, mpirun: command.spawn().expect("mpirun is installed"), known: Vec::new() }
    }

    /// Runs a job that works; what it prints.
    pub(super) fn succeed(bench: &'b Bench, size: usize, network: &[&str], line: &str) -> String {
        let mut job = Self::start(bench, size, network, line);
        let status = job.end(PATIENCE);
        assert!(status.success(), "{size} ranks {network:?} {line}: {status}\n{}", job.said());
        bench.read_text("printed")
    }

    /// What it said on standard error.
    pub(super) fn said(&self) -> String {
        String::from_utf8_lossy(&self.bench.read(SAID)).into_owned()
    }

    /// Waits for its end, and for that of all ranks.
    pub(super) fn end(&mut self, within: Duration) -> ExitStatus {
        let (start, ranks) = (Instant::now(), [self.ranks(), self.known.clone()].concat());
        loop {
            let status = self.mpirun.try_wait().unwrap();
            if let Some(status) = status.filter(|_| !ranks.iter().any(|&rank| is_alive(rank))) {
                return status;
            }
            assert!(
                start.elapsed() < within,
                "not all are gone after {within:?} ({status:?}):\n{}",
                self.said()
            );
            sleep(Duration::from_millis(10));
        }
    }

    /// [`Self::end`] at a moment when nothing may hang.
    pub(super) fn end_promptly(&mut self) -> ExitStatus {
        self.end(PROMPT)
    }

    /// [`Self::end`], however long its work takes.
    pub(super) fn finish(&mut self) -> ExitStatus {
        self.end(PATIENCE)
    }

    /// `true` if it is still running.
    pub(super) fn is_running(&mut self) -> bool {
        self.mpirun.try_wait().unwrap().is_none()
    }

    /// Numbers of the processes of its ranks.
    pub(super) fn ranks(&self) -> Vec<u32> {
        let mpirun = self.mpirun.id();
        let processes =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        let mut ranks: Vec<u32> = processes.filter_map(|name| name.parse().ok()).collect();
        ranks.retain(|&process| stat(process).is_some_and(|(_, parent)| parent == mpirun));
        ranks
    }

    /// Sends a signal, such as `-USR1`, to `mpirun`.
    pub(super) fn signal(&mut self, name: &str) {
        self.known = self.ranks();
        signal(self.mpirun.id(), name);
    }

    /// Sends a signal to one of the ranks, if there are any yet; `true` if there are.
    pub(super) fn signal_rank(&mut self, number: usize, name: &str) -> bool {
        self.known = self.ranks();
        if let Some(&rank) = self.known.get(number % self.known.len().max(1)) {
            signal(rank, name);
        }
        !self.known.is_empty()
    }

    /// Waits until its run has made steps.
    pub(super) fn wait_for_steps(&mut self, run: &str) {
        let metrics = self.bench.path(&format!("{run}/metrics.jsonl"));
        let start = Instant::now();
        while !fs::read_to_string(&metrics).is_ok_and(|text| text.lines().count() > 2) {
            assert!(
                self.is_running() && start.elapsed() < PATIENCE,
                "{run} makes no steps:\n{}",
                self.said()
            );
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        // The ranks end when it does.
        let _ = self.mpirun.kill();
        let _ = self.mpirun.wait();
    }
}

fn signal(process: u32, name: &str) {
    Command::new("kill").args([name, &process.to_string()]).stderr(Stdio::null()).status().unwrap();
}

/// State and parent of a process; `None` when it is gone.
fn stat(process: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // After the name, which may have spaces and brackets.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn is_alive(process: u32) -> bool {
    stat(process).is_some_and(|(state, _)| state != 'Z')
}
