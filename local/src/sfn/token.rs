//! Page tokens: opaque for clients, JSON inside.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire::AwsError;

/// A place in a list as a token.
pub fn write<T: Serialize>(place: &T) -> String {
    let json = serde_json::to_vec(place).expect("numbers and texts are JSON");
    URL_SAFE_NO_PAD.encode(json)
}

/// AWS does not repeat the token.
pub fn invalid() -> AwsError {
    AwsError::bad_request("InvalidToken", "Invalid Token: 'Invalid token'")
}

/// Reads a token; errors with `InvalidToken`.
pub fn read<T: DeserializeOwned>(token: &str) -> Result<T, AwsError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(invalid)
}
