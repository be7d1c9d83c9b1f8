//! Owns the names that the language has: what the page lists, whether understood or not.

pub const TYPES: [&str; 8] = [
    "Task", "Parallel", "Map", "Pass", "Wait", "Choice", "Succeed", "Fail",
];

pub const FIELDS: [&str; 47] = [
    "Comment",
    "QueryLanguage",
    "Next",
    "End",
    "InputPath",
    "OutputPath",
    "Parameters",
    "ResultSelector",
    "ResultPath",
    "Arguments",
    "Output",
    "Assign",
    "Retry",
    "Catch",
    "Resource",
    "Credentials",
    "TimeoutSeconds",
    "TimeoutSecondsPath",
    "HeartbeatSeconds",
    "HeartbeatSecondsPath",
    "Result",
    "Seconds",
    "SecondsPath",
    "Timestamp",
    "TimestampPath",
    "Choices",
    "Default",
    "Error",
    "ErrorPath",
    "Cause",
    "CausePath",
    "Branches",
    "Items",
    "ItemsPath",
    "ItemSelector",
    "ItemProcessor",
    "Iterator",
    "MaxConcurrency",
    "MaxConcurrencyPath",
    "ToleratedFailureCount",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentage",
    "ToleratedFailurePercentagePath",
    "ItemReader",
    "ItemBatcher",
    "ResultWriter",
    "Label",
];

/// What stands inside states (and the machine itself), with its fields.
pub const PARTS: [(&str, &[&str]); 12] = [
    (
        "machine",
        &[
            "Comment",
            "QueryLanguage",
            "StartAt",
            "States",
            "TimeoutSeconds",
            "Version",
        ],
    ),
    ("Branches", &["Comment", "StartAt", "States"]),
    (
        "ItemProcessor",
        &["Comment", "ProcessorConfig", "StartAt", "States"],
    ),
    ("ProcessorConfig", &["Mode", "ExecutionType"]),
    (
        "Retry",
        &[
            "Comment",
            "ErrorEquals",
            "IntervalSeconds",
            "MaxAttempts",
            "BackoffRate",
            "MaxDelaySeconds",
            "JitterStrategy",
        ],
    ),
    (
        "Catch",
        &[
            "Comment",
            "ErrorEquals",
            "Next",
            "ResultPath",
            "Output",
            "Assign",
        ],
    ),
    (
        "Choices",
        &[
            "Comment",
            "Next",
            "Variable",
            "And",
            "Or",
            "Not",
            "Condition",
            "Output",
            "Assign",
        ],
    ),
    (
        "ItemReader",
        &["Resource", "Parameters", "Arguments", "ReaderConfig"],
    ),
    (
        "ReaderConfig",
        &[
            "InputType",
            "CSVHeaderLocation",
            "CSVHeaders",
            "CSVDelimiter",
            "ManifestType",
            "MaxItems",
            "MaxItemsPath",
        ],
    ),
    (
        "ItemBatcher",
        &[
            "BatchInput",
            "MaxItemsPerBatch",
            "MaxItemsPerBatchPath",
            "MaxInputBytesPerBatch",
            "MaxInputBytesPerBatchPath",
        ],
    ),
    (
        "ResultWriter",
        &["Resource", "Parameters", "Arguments", "WriterConfig"],
    ),
    ("WriterConfig", &["Transformation", "OutputType"]),
];

/// Fields that take one of a few values.
pub const VALUES: [(&str, &str, &[&str]); 9] = [
    ("ProcessorConfig", "Mode", &["INLINE", "DISTRIBUTED"]),
    ("ProcessorConfig", "ExecutionType", &["STANDARD", "EXPRESS"]),
    ("Retry", "JitterStrategy", &["NONE", "FULL"]),
    (
        "ReaderConfig",
        "InputType",
        &["CSV", "JSON", "JSONL", "MANIFEST", "PARQUET"],
    ),
    ("ReaderConfig", "CSVHeaderLocation", &["FIRST_ROW", "GIVEN"]),
    (
        "ReaderConfig",
        "CSVDelimiter",
        &["COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB"],
    ),
    (
        "ReaderConfig",
        "ManifestType",
        &["S3_INVENTORY", "ATHENA_DATA"],
    ),
    (
        "WriterConfig",
        "Transformation",
        &["NONE", "COMPACT", "FLATTEN"],
    ),
    ("WriterConfig", "OutputType", &["JSON", "JSONL"]),
];

pub const FUNCTIONS: [&str; 18] = [
    "Format",
    "StringToJson",
    "JsonToString",
    "Array",
    "ArrayPartition",
    "ArrayContains",
    "ArrayRange",
    "ArrayGetItem",
    "ArrayLength",
    "ArrayUnique",
    "Base64Encode",
    "Base64Decode",
    "Hash",
    "JsonMerge",
    "MathRandom",
    "MathAdd",
    "StringSplit",
    "UUID",
];

/// Functions that Step Functions adds to JSONata.
pub const JSONATA_FUNCTIONS: [&str; 6] = ["partition", "range", "hash", "random", "uuid", "parse"];

/// The comparisons of Choice rules.
pub fn comparisons() -> Vec<String> {
    let mut names = Vec::new();
    for kind in ["String", "Numeric", "Timestamp"] {
        for relation in [
            "Equals",
            "LessThan",
            "GreaterThan",
            "LessThanEquals",
            "GreaterThanEquals",
        ] {
            names.extend([format!("{kind}{relation}"), format!("{kind}{relation}Path")]);
        }
    }
    let others = [
        "BooleanEquals",
        "BooleanEqualsPath",
        "StringMatches",
        "IsBoolean",
        "IsNull",
        "IsNumeric",
        "IsPresent",
        "IsString",
        "IsTimestamp",
    ];
    names.extend(others.map(str::to_owned));
    names
}
