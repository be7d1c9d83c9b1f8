//! Owns what a Map state in DISTRIBUTED mode has over an inline one.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html>

use serde::{Deserialize, Serialize};

use crate::template::Template;

use super::Count;

/// `ProcessorConfig` with the fields that go with it.
#[derive(Debug, Clone)]
pub struct Distributed {
    /// `ExecutionType` is `EXPRESS`: the children are Express workflows.
    pub express: bool,
    /// `Label`, or one made of the state's name.
    pub label: String,
    /// `ItemReader`; without it, items come from the state's input.
    pub reader: Option<Reader>,
    /// `ItemBatcher`.
    pub batcher: Option<Batcher>,
    /// `ResultWriter`.
    pub writer: Option<Writer>,
}

/// `ItemReader`.
#[derive(Debug, Clone)]
pub struct Reader {
    /// What is called for the items.
    pub resource: String,
    /// `Parameters`.
    pub parameters: Option<Template>,
    /// `InputType` with what goes with it.
    pub format: Format,
    /// `MaxItems` or `MaxItemsPath`.
    pub max_items: Option<Count>,
}

/// How the items are written that a reader reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// A list of objects in S3: each is an item.
    Objects,
    /// An array.
    Json,
    /// A value a line.
    JsonLines,
    /// A row an item.
    Csv {
        /// Between fields.
        delimiter: u8,
        /// `CSVHeaders`; `None`: the first row.
        headers: Option<Vec<String>>,
    },
    /// A manifest of S3 Inventory: each object it lists is an item.
    Manifest,
}

/// `ItemBatcher`.
#[derive(Debug, Clone)]
pub struct Batcher {
    /// `MaxItemsPerBatch` or its path.
    pub items_max: Option<Count>,
    /// `MaxInputBytesPerBatch` or its path.
    pub bytes_max: Option<Count>,
    /// `BatchInput`.
    pub input: Option<Template>,
}

/// `ResultWriter`.
#[derive(Debug, Clone)]
pub struct Writer {
    /// What is called with the results; `None`: they are the state's.
    pub resource: Option<String>,
    /// `Parameters`.
    pub parameters: Option<Template>,
    /// `Transformation`.
    pub transformation: Transformation,
    /// `OutputType` is `JSONL`.
    pub json_lines: bool,
}

/// What is written of a child's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transformation {
    /// What DescribeExecution tells of it.
    Full,
    /// Its output.
    Compact,
    /// Its output, and the elements of an output that is an array.
    Flatten,
}
