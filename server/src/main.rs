//! The server's wiring: settings, store, AWS, tracker, port. Exit code 2 when it cannot start, with one
//! sentence that says why.

use std::{process::ExitCode, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server::{
    Config,
    aws::Aws,
    control::{Control, causes},
    http::{Edge, router, serve},
    store::Store,
    tracker,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;

/// What is logged when `RUST_LOG` does not say.
const LOG: &str = "info,sqlx=warn,aws=warn,aws_config=warn,hyper=warn";
/// How long requests under way may take once the server is told to end.
const ENDING: Duration = Duration::from_millis(1_200);

fn main() -> ExitCode {
    if let Err(problem) = log() {
        eprintln!("gantry: {problem}");
        return ExitCode::from(2);
    }
    let started = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let result = runtime.block_on(run());
            // Whatever still blocks, such as a name being looked up, must not hold up the end.
            runtime.shutdown_timeout(Duration::from_millis(100));
            result
        });
    match started {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gantry: {}", causes(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

/// Begins to log on standard error, for people or (`GANTRY_LOG_FORMAT=json`) a JSON object a line for programs.
fn log() -> Result<(), String> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG));
    let lines = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter);
    match std::env::var("GANTRY_LOG_FORMAT").as_deref() {
        Err(_) | Ok("" | "text") => lines.init(),
        Ok("json") => lines.json().init(),
        Ok(other) => {
            return Err(format!(
                "GANTRY_LOG_FORMAT is “{other}”, which is neither text nor json"
            ));
        }
    }
    Ok(())
}

async fn run() -> anyhow::Result<()> {
    allow_open_files();
    let config = Config::read(|name| std::env::var(name).ok())?;
    let listener = listen(&config).await?;
    let address = listener.local_addr()?;
    let store = Store::open(&config.database_url).await?;
    let aws = Aws::connect(&config).await;
    let control = Control::new(store.clone(), aws, config);
    let mut loops = tracker::start(&control);
    let router = router(Edge::new(control.clone(), address.port()));
    tracing::info!("listening on http://{address}");

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let ending = control.ending.clone();
    tokio::spawn({
        let ending = ending.clone();
        async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("ending");
            ending.cancel();
        }
    });
    let out_of_time = async {
        ending.cancelled().await;
        tokio::time::sleep(ENDING).await;
    };
    tokio::select! {
        () = serve(listener, router, ending.clone()) => {}
        () = out_of_time => tracing::info!("some requests were cut off"),
    }
    tracing::debug!("requests have ended");
    loops.abort_all();
    while loops.join_next().await.is_some() {}
    tracing::debug!("loops have ended");
    // At most what is left of two seconds: an open statement must not keep the process.
    let _ = tokio::time::timeout(Duration::from_millis(300), store.close()).await;
    Ok(())
}

/// Takes as many open files as the system grants: each page that follows holds a connection, and the usual
/// 1,024 is a default for programs that do not ask.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::warn!(%error, files = limit.current, "the limit of open files stays as it is");
    }
}

/// Binds the port, or says who is in the way and what to do.
async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    TcpListener::bind(config.listen).await.map_err(|error| {
        let address = config.listen;
        match error.kind() {
            std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
                "{address} is taken by another program; stop that one, or set GANTRY_LISTEN to another port"
            ),
            _ => anyhow::Error::new(error).context(format!("cannot listen on {address}")),
        }
    })
}
