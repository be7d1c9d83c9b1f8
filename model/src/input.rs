//! An execution's input that is too large for Step Functions and is named instead.

use serde::{Deserialize, Serialize};

/// Where a job's input is: the field `input_s3` of its execution's input, beside `job`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputReference {
    pub bucket: String,
    pub key: String,
}

impl InputReference {
    /// The field's name.
    pub const FIELD: &'static str = "input_s3";
}
