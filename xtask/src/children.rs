//! Programs that xtask starts and leaves running: each with its log file, and all of them ended with xtask.
//!
//! Owns signals: whatever ends xtask (Ctrl-C, SIGTERM, an error, even SIGKILL where `setpriv` is there) ends them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::install;
use crate::step::say;

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(10);

/// Lines of a log that are shown when its program ended by itself.
const LAST_LINES: usize = 15;

/// A program that runs now.
struct Running {
    name: String,
    pid: Pid,
}

static RUNNING: Mutex<Vec<Running>> = Mutex::new(Vec::new());
static ENDED: Condvar = Condvar::new();

/// Programs started together; dropping this ends them, the last one first.
pub struct Children {
    logs: PathBuf,
    sender: Sender<Ended>,
    receiver: Receiver<Ended>,
}

/// A program that ended by itself.
#[derive(Debug)]
pub struct Ended {
    pub name: String,
    status: ExitStatus,
    log: PathBuf,
}

/// Ends all programs and then xtask when a signal asks for it. Called once, first.
pub fn end_on_signals() -> anyhow::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])
        .context("signals cannot be caught")?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            end_all();
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

impl Children {
    /// None yet; their logs go to a folder.
    pub fn new(logs: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&logs).with_context(|| format!("{} cannot be made", logs.display()))?;
        let (sender, receiver) = channel();
        Ok(Children {
            logs,
            sender,
            receiver,
        })
    }

    /// Starts a program under a name, with its output in `NAME.log`; the log of the run before is kept beside it.
    pub fn start(&self, name: &str, command: &mut Command) -> anyhow::Result<()> {
        let log = self.logs.join(format!("{name}.log"));
        if log.exists() {
            fs::rename(&log, self.logs.join(format!("{name}.previous.log")))?;
        }
        let output =
            File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        let mut command = dying_with_us(command);
        command
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        // A group of its own: Ctrl-C at the terminal reaches xtask alone, which ends the others in order.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        // Under the lock: a signal's thread sees either no child or one that it can end.
        let mut running = running();
        let child = command
            .spawn()
            .with_context(|| format!("{name} could not be started"))?;
        running.push(Running {
            name: name.to_owned(),
            pid: pid(&child),
        });
        drop(running);
        let (name, sender) = (name.to_owned(), self.sender.clone());
        std::thread::spawn(move || watch(child, name, log, sender));
        Ok(())
    }

    /// Waits for a time, or until a program ends by itself: that is an error, with the last lines of its log.
    pub fn pause(&self, time: Duration) -> anyhow::Result<()> {
        match self.receiver.recv_timeout(time) {
            Ok(ended) => bail!("{}", ended.report()),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(()),
        }
    }

    /// Waits until a program ends by itself.
    pub fn wait(&self) -> anyhow::Result<()> {
        match self.receiver.recv() {
            Ok(ended) => bail!("{}", ended.report()),
            Err(_) => Ok(()),
        }
    }

    /// The result, or rather why a program ended, if one did: that is why the result is an error.
    pub fn explain<T>(&self, result: anyhow::Result<T>) -> anyhow::Result<T> {
        if result.is_err() {
            // The program's end may reach us a little later than the broken connection.
            self.pause(Duration::from_millis(300))?;
        }
        result
    }

    /// Sends a signal to a program by its name.
    pub fn signal(&self, name: &str, signal: Signal) -> anyhow::Result<()> {
        let pid = running()
            .iter()
            .find(|one| one.name == name)
            .map(|one| one.pid);
        kill_process(pid.with_context(|| format!("{name} does not run"))?, signal)?;
        Ok(())
    }

    /// Waits for a program's end, which was asked for.
    pub fn ended(&self) -> Option<Ended> {
        self.receiver.recv_timeout(GRACE).ok()
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        end_all();
    }
}

impl Ended {
    /// What ended, how, and the last lines it logged.
    fn report(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        format!(
            "{} ended by itself ({}). The end of {}:\n{}",
            self.name,
            self.status,
            self.log.display(),
            last.join("\n")
        )
    }
}

/// The same command through `setpriv`, where it is there: the kernel then ends the program should xtask be killed.
fn dying_with_us(command: &mut Command) -> Command {
    let Some(setpriv) = install::on_path("setpriv") else {
        return std::mem::replace(command, Command::new("true"));
    };
    let mut wrapped = Command::new(setpriv);
    wrapped.args(["--pdeathsig", "TERM", "--"]);
    wrapped.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

fn watch(mut child: Child, name: String, log: PathBuf, sender: Sender<Ended>) {
    let pid = pid(&child);
    let status = child.wait();
    running().retain(|one| one.pid != pid);
    ENDED.notify_all();
    if let Ok(status) = status {
        // Nobody listens any more when xtask ended it.
        let _ = sender.send(Ended { name, status, log });
    }
}

/// Runs a program to its end, ended itself when a signal ends xtask.
pub fn status(command: &mut Command) -> std::io::Result<ExitStatus> {
    let mut running_now = running();
    let mut child = command.spawn()?;
    let id = pid(&child);
    running_now.push(Running {
        name: String::new(),
        pid: id,
    });
    drop(running_now);
    let status = child.wait();
    running().retain(|one| one.pid != id);
    ENDED.notify_all();
    status
}

/// Asks every program to end, the last one first, and ends it if it does not.
fn end_all() {
    let mut running = running();
    let names: Vec<(String, Pid)> = running
        .iter()
        .rev()
        .map(|one| (one.name.clone(), one.pid))
        .collect();
    for (name, pid) in names {
        let there = |running: &mut Vec<Running>| running.iter().any(|one| one.pid == pid);
        let until = Instant::now() + GRACE;
        let _ = kill_process(pid, Signal::TERM);
        while there(&mut running) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                say(format!("{name} does not end; it is killed"));
                let _ = kill_process(pid, Signal::KILL);
                break;
            }
            running = ENDED
                .wait_timeout(running, left)
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .0;
        }
    }
}

fn running() -> MutexGuard<'static, Vec<Running>> {
    RUNNING
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Refuses a port that something else listens on.
pub fn free_port(port: u16, option: &str) -> anyhow::Result<()> {
    match std::net::TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            bail!(
                "port {port} is taken by another program; end that one or choose another port with {option}"
            )
        }
        Err(error) => {
            bail!("port {port} cannot be used ({error}); choose another one with {option}")
        }
    }
}

/// A port that nothing listens on now.
pub fn any_free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?
        .local_addr()?
        .port())
}

/// Refuses to start where the disk has less than `bytes` left.
pub fn free_space(folder: &Path, bytes: u64, what: &str) -> anyhow::Result<()> {
    let disk = rustix::fs::statvfs(folder)
        .with_context(|| format!("{} cannot be looked at", folder.display()))?;
    let free = disk.f_bavail * disk.f_frsize;
    if free < bytes {
        bail!(
            "the disk of {} has {} left, and {what} needs {}; free some space or choose another folder",
            folder.display(),
            size_text(free),
            size_text(bytes)
        );
    }
    Ok(())
}

fn size_text(bytes: u64) -> String {
    match bytes {
        1_000_000_000.. => format!("{:.1} GB", bytes as f64 / 1e9),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
