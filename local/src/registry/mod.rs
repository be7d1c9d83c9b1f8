//! The OCI registry.

pub mod http;

use crate::store::Store;
use crate::wire::AwsError;

/// Repositories, manifests, tags and blobs.
pub struct Registry {
    _store: Store,
}

impl Registry {
    /// Opens the registry in the store.
    pub async fn open(store: Store) -> Result<Registry, AwsError> {
        Ok(Registry { _store: store })
    }
}
