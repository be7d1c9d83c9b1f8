//! A real S3 in this process: s3s over a temporary folder.

use std::time::Duration;

use axum::{Router, body::Body, extract::Request, http::Response};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use worker::{Clients, clients::Limits};

pub const BUCKET: &str = "media";

/// The store and clients that reach it; everything is gone when dropped.
pub struct Storage {
    pub folder: tempfile::TempDir,
    pub clients: Clients,
}

impl Storage {
    pub async fn open() -> Storage {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let files = s3s_fs::FileSystem::new(folder.path()).expect("a store");
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single("key", "secret"));
        let service = builder.build();
        let endpoint = serve(Router::new().fallback(move |request: Request| {
            let service = service.clone();
            async move {
                match service.call(request.map(s3s::Body::http_body_unsync)).await {
                    Ok(response) => response.map(Body::new),
                    Err(error) => Response::builder()
                        .status(500)
                        .body(Body::from(format!("{error:?}")))
                        .expect("a response"),
                }
            }
        }))
        .await;
        Storage {
            folder,
            clients: clients(&endpoint),
        }
    }

    /// An object's bytes, read past the worker.
    pub fn object(&self, key: &str) -> Vec<u8> {
        let path = self.folder.path().join(BUCKET).join(key);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Names in the store's root that belong to uploads which are still open.
    pub fn open_parts(&self) -> Vec<String> {
        std::fs::read_dir(self.folder.path())
            .expect("the store's folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .filter(|name| name.starts_with(".upload"))
            .collect()
    }
}

/// Clients for an endpoint, impatient.
pub fn clients(endpoint: &str) -> Clients {
    let settings = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    Clients::new(
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())),
        Limits {
            connect: Duration::from_secs(2),
            stall: Duration::from_millis(400),
            pause: Duration::from_millis(1),
        },
    )
}

/// Serves on a free loopback port; answers `http://127.0.0.1:port`.
pub async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}
