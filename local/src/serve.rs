//! Starting and stopping: opens every service over one store and serves them on one port.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cloudwatch::CloudWatch;
use crate::config::Config;
use crate::ecr::Ecr;
use crate::events::Events;
use crate::kinesis::Kinesis;
use crate::lambda::Lambda;
use crate::logs::Logs;
use crate::registry::Registry;
use crate::sfn::{Peers, Sfn};
use crate::sqs::Sqs;
use crate::store::{Store, StoreError};
use crate::wire::AwsError;

/// How long requests in flight, and then the store, may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// Why `local` does not start; each message is one sentence for a terminal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody else has the port, or it may not be had.
    #[error(
        "cannot listen on 127.0.0.1:{port}: {source}; stop what uses it or give another --port"
    )]
    Port {
        /// The port asked for.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A service could not open its part of the store.
    #[error("cannot open {service} in the data directory: {source}")]
    Service {
        /// Which service.
        service: &'static str,
        /// What went wrong.
        source: AwsError,
    },
}

/// Every service, each of which the others call directly.
pub struct Services {
    /// Step Functions.
    pub sfn: Arc<Sfn>,
    /// SQS.
    pub sqs: Arc<Sqs>,
    /// Kinesis Data Streams.
    pub kinesis: Arc<Kinesis>,
    /// EventBridge.
    pub events: Arc<Events>,
    /// CloudWatch Logs.
    pub logs: Arc<Logs>,
    /// CloudWatch metrics.
    pub cloudwatch: Arc<CloudWatch>,
    /// The OCI registry behind ECR.
    pub registry: Arc<Registry>,
    /// ECR's own API.
    pub ecr: Arc<Ecr>,
    /// Lambda and its sandboxes.
    pub lambda: Arc<Lambda>,
    /// S3.
    pub s3: s3s::service::S3Service,
}

impl Services {
    async fn open(store: &Store, config: &Config) -> Result<Services, ServeError> {
        let failed = |service| move |source| ServeError::Service { service, source };
        let sqs = Arc::new(Sqs::open(store.clone()).await.map_err(failed("SQS"))?);
        let kinesis = Arc::new(
            Kinesis::open(store.clone())
                .await
                .map_err(failed("Kinesis"))?,
        );
        let events = Arc::new(
            Events::open(store.clone(), sqs.clone())
                .await
                .map_err(failed("EventBridge"))?,
        );
        let logs = Logs::open(store.clone(), kinesis.clone())
            .await
            .map_err(failed("CloudWatch Logs"))?;
        let cloudwatch = Arc::new(
            CloudWatch::open(store.clone())
                .await
                .map_err(failed("CloudWatch"))?,
        );
        let registry = Arc::new(
            Registry::open(store.clone())
                .await
                .map_err(failed("the registry"))?,
        );
        let ecr = Arc::new(Ecr::new(registry.clone()));
        let lambda = Lambda::open(
            store.clone(),
            config,
            registry.clone(),
            logs.clone(),
            cloudwatch.clone(),
        )
        .await
        .map_err(failed("Lambda"))?;
        let (s3, storage) = crate::s3::open(store).await.map_err(failed("S3"))?;
        let peers = Peers {
            lambda: lambda.clone(),
            events: events.clone(),
            sqs: sqs.clone(),
            kinesis: kinesis.clone(),
            logs: logs.clone(),
            cloudwatch: cloudwatch.clone(),
            ecr: ecr.clone(),
            s3: storage,
            sfn: OnceLock::new(),
        };
        let sfn = Sfn::open(store.clone(), peers, config.rest)
            .await
            .map_err(failed("Step Functions"))?;
        Ok(Services {
            sfn,
            sqs,
            kinesis,
            events,
            logs,
            cloudwatch,
            registry,
            ecr,
            lambda,
            s3,
        })
    }
}

/// A running `local`. Dropping it does not stop it; [`Server::shutdown`] does.
pub struct Server {
    address: SocketAddr,
    services: Arc<Services>,
    store: Store,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL without a slash at the end.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The services, for those who run `local` inside their own process.
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Ends the sandboxes, lets requests in flight end for a moment, closes the port and the store.
    pub async fn shutdown(self) {
        let Server {
            services,
            store,
            stop,
            mut task,
            ..
        } = self;
        let _ = stop.send(());
        // First: what happens to the sandboxes from here on is no outcome of anybody's task.
        store.stopping.cancel();
        services.sfn.shutdown();
        services.lambda.shutdown().await;
        if tokio::time::timeout(GRACE, &mut task).await.is_err() {
            task.abort();
        }
        services.logs.flush().await;
        if tokio::time::timeout(GRACE, store.close()).await.is_err() {
            tracing::warn!("the store was still in use");
        }
    }
}

/// Starts `local` on 127.0.0.1.
///
/// Errors when the port is taken, or the data directory cannot be written or is another `local`'s.
pub async fn serve(config: Config) -> Result<Server, ServeError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port))
        .await
        .map_err(|source| ServeError::Port {
            port: config.port,
            source,
        })?;
    let address = listener.local_addr().map_err(|source| ServeError::Port {
        port: config.port,
        source,
    })?;
    let store = Store::open(&config.data, &format!("http://{address}")).await?;
    let services = Arc::new(Services::open(&store, &config).await?);
    let app = crate::dispatch::app(services.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let served = axum::serve(listener, app).with_graceful_shutdown(async move {
            let _ = stopped.await;
        });
        if let Err(error) = served.await {
            tracing::error!(%error, "the listener failed");
        }
    });
    tracing::info!(endpoint = %format!("http://{address}"), data = %store.data.display(), "local is ready");
    Ok(Server {
        address,
        services,
        store,
        stop,
        task,
    })
}
