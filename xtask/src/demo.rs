//! `cargo xtask demo`: the whole product on this machine, with a video running through it; `run`: without one.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::arguments::Arguments;
use crate::jobs::{self, Jobs, Source};
use crate::product::{self, Place, Product};
use crate::step::{run, say, step};
use crate::{CommandResult, project};

const USAGE: &str = "
Usage: cargo xtask demo [options]

Installs what is missing, builds, starts a local AWS, deploys to it, starts the server and submits a sample video.

  --file PATH        submit this file instead of the sample; may be repeated
  --url URL          submit this http://, https:// or s3:// address; may be repeated
  --once             end when the submitted jobs have ended; prints one JSON line a job on standard output
                     and exits 0 only if all succeeded
  --port PORT        the server's port (8080)
  --local-port PORT  the local AWS's port (4566)
  --data DIR         where everything is kept (.gantry in the checkout)";

const USAGE_RUN: &str = "
Usage: cargo xtask run [--port PORT] [--local-port PORT] [--data DIR]

As demo, without submitting anything.";

/// How often a submitted job is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long the server may take to list what a job made once it has succeeded.
const MANIFEST_WITHIN: Duration = Duration::from_secs(30);

/// `demo`.
pub fn run_command(mut arguments: Arguments) -> CommandResult {
    if arguments.help(USAGE) {
        return Ok(ExitCode::SUCCESS);
    }
    let files = arguments.values("--file")?;
    let urls = arguments.values("--url")?;
    let once = arguments.switch("--once");
    let place = place(&mut arguments)?;
    arguments.finish()?;
    let mut sources = Vec::new();
    for file in files {
        sources.push(Source::File(readable(Path::new(&file))?));
    }
    for url in urls {
        if !["http://", "https://", "s3://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            bail!("{url:?} is no http://, https:// or s3:// address");
        }
        sources.push(Source::Url(url));
    }
    place.check()?;
    product::prepare()?;
    if sources.is_empty() {
        sources.push(Source::File(sample()?));
    }
    let product = Product::start(place)?;
    let jobs = Jobs::new(product.address());
    let result = submit_and_follow(&product, &jobs, &sources, once);
    product.children.explain(result)
}

/// `run`.
pub fn run_without_jobs(mut arguments: Arguments) -> CommandResult {
    if arguments.help(USAGE_RUN) {
        return Ok(ExitCode::SUCCESS);
    }
    let place = place(&mut arguments)?;
    arguments.finish()?;
    place.check()?;
    product::prepare()?;
    let product = Product::start(place)?;
    ready(&product);
    product.children.wait()?;
    Ok(ExitCode::SUCCESS)
}

fn place(arguments: &mut Arguments) -> anyhow::Result<Place> {
    let data = match arguments.value::<PathBuf>("--data")? {
        Some(data) => std::path::absolute(data)?,
        None => project::root().join(".gantry"),
    };
    Ok(Place {
        data,
        port: arguments.value("--port")?.unwrap_or(8080),
        local_port: arguments.value("--local-port")?.unwrap_or(4566),
    })
}

fn readable(path: &Path) -> anyhow::Result<PathBuf> {
    let file = std::fs::File::open(path)
        .with_context(|| format!("{} cannot be opened", path.display()))?;
    if !file.metadata()?.is_file() {
        bail!("{} is not a file", path.display());
    }
    Ok(std::path::absolute(path)?)
}

fn submit_and_follow(
    product: &Product,
    jobs: &Jobs,
    sources: &[Source],
    once: bool,
) -> CommandResult {
    let mut waiting = Vec::new();
    let mut all_well = true;
    for source in sources {
        match jobs.submit(source)? {
            Ok(id) => {
                say(format!(
                    "submitted {}: {}/jobs/{id}",
                    words(source),
                    product.address()
                ));
                waiting.push((id, String::new(), Instant::now()));
            }
            Err(refusal) => {
                all_well = false;
                say(format!("{} was refused: {}", words(source), refusal.0));
                if once {
                    println!("{}", jobs::refusal_line(source, &refusal));
                }
            }
        }
    }
    if !once {
        ready(product);
    }
    while !waiting.is_empty() {
        product.children.pause(LOOK_EVERY)?;
        product.check_space()?;
        let mut still = Vec::new();
        for (id, last, mut since) in waiting {
            let view = jobs.view(&id)?;
            let status = view["job"]["status"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            if status != last {
                say(format!("job {id}: {status}{}", why(&view)));
                since = Instant::now();
            }
            if !jobs::has_ended(&view) {
                if status == "succeeded" && since.elapsed() > MANIFEST_WITHIN {
                    bail!("job {id} succeeded, but the server does not list what it made");
                }
                still.push((id, status, since));
                continue;
            }
            all_well &= status == "succeeded";
            if once {
                println!("{}", jobs::line(&view));
            }
        }
        waiting = still;
    }
    if !once {
        product.children.wait()?;
    }
    Ok(if all_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn why(view: &serde_json::Value) -> String {
    let text = |pointer| view.pointer(pointer).and_then(serde_json::Value::as_str);
    match (text("/execution/error"), text("/execution/cause")) {
        (Some(error), Some(cause)) => format!(" ({error}: {cause})"),
        (Some(error), None) => format!(" ({error})"),
        (None, _) => String::new(),
    }
}

fn words(source: &Source) -> String {
    match source {
        Source::File(path) => path.display().to_string(),
        Source::Url(url) => url.clone(),
    }
}

fn ready(product: &Product) {
    say(format!(
        "\nGantry is ready: {}\nNo sign-in is needed: it listens on this machine only. Ctrl-C ends everything.\n",
        product.address()
    ));
}

/// A clip of 10 seconds with picture and sound; made once.
fn sample() -> anyhow::Result<PathBuf> {
    let path = project::target().join("sample/sample.mp4");
    if path.exists() {
        return Ok(path);
    }
    step("make a sample clip", || {
        clip(&path, "testsrc2=size=1280x720:rate=25:duration=10", 10)
    })?;
    Ok(path)
}

/// Makes a clip with ffmpeg from one of its test pictures and a tone.
pub fn clip(path: &Path, picture: &str, seconds: u32) -> anyhow::Result<()> {
    let folder = path.parent().context("a clip lies in a folder")?;
    std::fs::create_dir_all(folder)?;
    // Under another name until it is whole: a broken-off clip would be taken for a finished one.
    let unfinished = path.with_extension("part.mp4");
    run(Command::new("ffmpeg")
        .args([
            "-hide_banner",
            "-loglevel",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            picture,
        ])
        .args([
            "-f",
            "lavfi",
            "-i",
            &format!("sine=frequency=440:duration={seconds}"),
        ])
        .args([
            "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "50",
        ])
        .args(["-c:a", "aac", "-movflags", "+faststart", "-shortest"])
        .arg(&unfinished))?;
    std::fs::rename(unfinished, path)?;
    Ok(())
}
