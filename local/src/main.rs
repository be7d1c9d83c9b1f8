//! The `local` program: command line, log, signals. Everything else is the library's.

use std::io::IsTerminal;
use std::process::ExitCode;

use local::{Config, serve};
use tracing_subscriber::EnvFilter;

// A step of an execution is thousands of small pieces of text that come and go.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let config = match Config::from_args(std::env::args().skip(1)) {
        Ok(config) => config,
        Err(message) if message.contains("Usage:") => {
            println!("{message}");
            return ExitCode::SUCCESS;
        }
        Err(message) => return refuse(&message),
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
        )
        .init();
    let server = match serve(config).await {
        Ok(server) => server,
        Err(error) => return refuse(&error.to_string()),
    };
    println!("local is ready at {}", server.endpoint());
    asked_to_stop().await;
    tracing::info!("stopping");
    server.shutdown().await;
    ExitCode::SUCCESS
}

/// Says in one sentence why `local` does not start.
fn refuse(message: &str) -> ExitCode {
    eprintln!("local: {message}");
    ExitCode::from(2)
}

async fn asked_to_stop() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}
