//! ffmpeg and ffprobe as child processes: started so that they die with the worker, watched, bounded in time,
//! and their last words turned into a failure. Owns no knowledge of media.

use std::{process::Stdio, sync::OnceLock};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
    time::Instant,
};

use crate::{Failure, Kind};

/// What is kept of a program's standard error, and of the lines it prints besides progress.
const TAIL_BYTES_MAX: usize = 16 * 1024;
const OUTPUT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Lines of standard error that a message quotes.
const QUOTED_LINES_MAX: usize = 4;
/// Demuxers that a source may choose by its content. Playlists and scripts (hls, dash, concat, …) are not among
/// them: they would make ffmpeg open addresses of a stranger's choosing.
const DEMUXERS: &str = "mov,matroska,avi,mpegts,mpegtsraw,mpeg,mpegvideo,m4v,h264,hevc,ivf,obu,flv,live_flv,asf,mxf,ogg,mp3,wav,w64,flac,aac,ac3,eac3,dts,truehd,amr,caf,aiff,au,ape,wv,tta,rm,dv,nut,gxf,yuv4mpegpipe,mjpeg,gif";
/// ffmpeg's threads, per process: a function has at most 6 cores.
const THREADS_MAX: usize = 6;

/// A program to run.
pub struct Run<'a> {
    program: &'static str,
    arguments: Vec<String>,
    /// The presigned address in `arguments`, which messages call “the source”.
    address: &'a str,
    deadline: Instant,
}

/// What a program left.
pub struct Ran {
    /// Lines of standard output that are no progress.
    pub output: String,
    /// The end of standard error.
    pub errors: String,
}

impl<'a> Run<'a> {
    /// ffmpeg with `before` ahead of its input (such as `-ss`) and `after` behind it.
    pub fn ffmpeg(address: &'a str, before: &[&str], after: &[String], deadline: Instant) -> Self {
        let threads = threads().to_string();
        let head = [
            "-nostdin",
            "-hide_banner",
            "-loglevel",
            "info",
            "-nostats",
            "-y",
            "-threads",
            &threads,
        ];
        let mut arguments: Vec<String> = head.map(str::to_owned).into();
        arguments.extend(before.iter().map(|&argument| argument.to_owned()));
        arguments.extend(input(address, true));
        arguments.extend(["-threads".to_owned(), threads]);
        arguments.extend_from_slice(after);
        Run {
            program: "ffmpeg",
            arguments,
            address,
            deadline,
        }
    }

    /// ffmpeg over files of its own making.
    pub fn ffmpeg_local(arguments: Vec<String>, deadline: Instant) -> Self {
        let head = [
            "-nostdin",
            "-hide_banner",
            "-loglevel",
            "info",
            "-nostats",
            "-y",
        ];
        let arguments = head
            .map(str::to_owned)
            .into_iter()
            .chain(arguments)
            .collect();
        Run {
            program: "ffmpeg",
            arguments,
            address: "",
            deadline,
        }
    }

    /// ffprobe with its options ahead of the input.
    pub fn ffprobe(address: &'a str, options: &[&str], deadline: Instant) -> Self {
        let mut arguments: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        arguments.extend(input(address, false));
        Run {
            program: "ffprobe",
            arguments,
            address,
            deadline,
        }
    }

    /// Runs to the end. `progress` is told the media time reached, in ms, as `-progress` prints it.
    /// Fails with `kind` and the program's last words, with `Storage.Unavailable` when it could not read on,
    /// and with `Media.TimedOut` at the deadline, when the program is killed.
    pub async fn wait(self, kind: Kind, progress: impl FnMut(u64)) -> Result<Ran, Failure> {
        let (program, deadline) = (self.program, self.deadline);
        match tokio::time::timeout_at(deadline, self.run(kind, progress)).await {
            Ok(ran) => ran,
            Err(_) => Err(Failure::new(
                Kind::MediaTimedOut,
                format!(
                    "{program} did not finish within the function's time: submit a shorter source, or a lower largest rendition"
                ),
            )),
        }
    }

    async fn run(self, kind: Kind, mut progress: impl FnMut(u64)) -> Result<Ran, Failure> {
        let broken = |what: &str, error: std::io::Error| {
            Failure::new(
                Kind::WorkerBroken,
                format!("{} {what}: {error}", self.program),
            )
        };
        let mut child = command(self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| broken("cannot be started", error))?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let lines = async {
            let mut output = String::new();
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                match line.split_once('=') {
                    Some(("out_time_us", value)) => {
                        if let Ok(reached_us) = value.trim().parse::<u64>() {
                            progress(reached_us / 1000);
                        }
                    }
                    Some((name, _)) if is_progress(name) => {}
                    _ if output.len() + line.len() < OUTPUT_BYTES_MAX => {
                        output.push_str(&line);
                        output.push('\n');
                    }
                    _ => {}
                }
            }
            output
        };
        let (output, errors) = tokio::join!(lines, tail(stderr));
        let status = child
            .wait()
            .await
            .map_err(|error| broken("cannot be waited for", error))?;
        if status.success() {
            return Ok(Ran { output, errors });
        }
        Err(self.failure(kind, &errors, status))
    }

    fn failure(&self, kind: Kind, errors: &str, status: std::process::ExitStatus) -> Failure {
        let quoted = last_words(errors, self.address);
        if [
            "Connection refused",
            "Connection reset",
            "Connection timed out",
            "Server returned 5XX",
            "HTTP error 5",
        ]
        .iter()
        .any(|sign| quoted.contains(sign))
        {
            let message = format!(
                "S3 stopped serving the source to {}: {quoted}",
                self.program
            );
            return Failure::new(Kind::StorageUnavailable, message);
        }
        if quoted.contains("No space left on device") {
            let message =
                "there is no room left on the function's disk: give it more ephemeral storage";
            return Failure::new(Kind::WorkerBroken, message);
        }
        let quoted = match quoted.is_empty() {
            true => format!("it said nothing and ended with {status}"),
            false => quoted,
        };
        let what = match kind {
            Kind::MediaUnreadable => {
                "ffmpeg cannot read the source as audio or video; check that it plays and was written completely"
            }
            _ => {
                "ffmpeg could not work on the source; check that it plays, or submit it in another format"
            }
        };
        Failure::new(kind, format!("{what}: {quoted}"))
    }
}

/// Options that make an input readable by ranges over a connection that may break, and nothing but an input.
fn input(address: &str, name_it: bool) -> Vec<String> {
    let mut options = vec![
        "-protocol_whitelist",
        "http,https,tcp,tls,httpproxy",
        "-format_whitelist",
        DEMUXERS,
        "-rw_timeout",
        "30000000",
        "-reconnect",
        "1",
        "-reconnect_on_network_error",
        "1",
        "-reconnect_delay_max",
        "5",
    ];
    if name_it {
        options.push("-i");
    }
    options.push(address);
    options.into_iter().map(str::to_owned).collect()
}

/// Names in the blocks that `-progress` prints.
fn is_progress(name: &str) -> bool {
    matches!(
        name,
        "frame"
            | "fps"
            | "bitrate"
            | "total_size"
            | "out_time_ms"
            | "out_time"
            | "dup_frames"
            | "drop_frames"
            | "speed"
            | "progress"
    ) || name.starts_with("stream_")
}

/// The end of a stream, read to its end so that the writer never blocks.
async fn tail(mut stream: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut kept: Vec<u8> = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        if kept.len() > 2 * TAIL_BYTES_MAX {
            kept.drain(..kept.len() - TAIL_BYTES_MAX);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The last lines that say something, without the presigned address.
fn last_words(errors: &str, address: &str) -> String {
    let noise = |line: &&str| {
        let line = line.trim_start();
        !line.is_empty()
            && !line.starts_with("Conversion failed!")
            && !line.starts_with("Stream mapping:")
            && !line.starts_with("Press [q]")
            && !line.starts_with("video:")
            && !line.starts_with("[libx264")
            && !line.starts_with("[aac @")
    };
    let lines: Vec<&str> = errors.lines().filter(noise).collect();
    let from = lines.len().saturating_sub(QUOTED_LINES_MAX);
    let words = lines[from..]
        .iter()
        .map(|line| line.trim())
        .collect::<Vec<_>>()
        .join(" · ");
    match address.is_empty() {
        true => words,
        false => words.replace(address, "the source"),
    }
}

/// Threads for one process.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS_MAX))
}

/// The program, under `setpriv` where there is one (Linux), so that the kernel ends it when the worker is killed.
fn command(program: &str) -> Command {
    static SETPRIV: OnceLock<bool> = OnceLock::new();
    let has_setpriv = *SETPRIV.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join("setpriv").is_file())
    });
    if !has_setpriv {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// ffmpeg's version, as it says it: `5.1.8-0+deb12u1`.
pub async fn version() -> Result<String, Failure> {
    let missing = |why: String| {
        Failure::new(
            Kind::WorkerBroken,
            format!("ffmpeg is not there ({why}): install it into the image"),
        )
    };
    let output = command("ffmpeg")
        .arg("-version")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| missing(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text
        .strip_prefix("ffmpeg version ")
        .and_then(|rest| rest.split_whitespace().next())
    {
        Some(version) => Ok(version.to_owned()),
        None => Err(missing(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_name_no_address() {
        let address = "http://h/b/k?X-Amz-Signature=secret";
        let errors = format!(
            "Input #0\n[mov @ 0x1] moov atom not found\n{address}: Invalid data found\n\nConversion failed!\n"
        );
        assert_eq!(
            last_words(&errors, address),
            "Input #0 · [mov @ 0x1] moov atom not found · the source: Invalid data found"
        );
    }

    #[tokio::test]
    async fn the_deadline_ends_the_program() {
        let run = Run {
            program: "ffmpeg",
            arguments: [
                "-nostdin",
                "-loglevel",
                "quiet",
                "-re",
                "-f",
                "lavfi",
                "-i",
                "anullsrc",
                "-f",
                "null",
                "-",
            ]
            .map(str::to_owned)
            .into(),
            address: "",
            deadline: Instant::now(),
        };
        let failure = run
            .wait(Kind::MediaEncodeFailed, |_| {})
            .await
            .err()
            .map(|failure| failure.kind);
        assert_eq!(failure, Some(Kind::MediaTimedOut));
    }
}
