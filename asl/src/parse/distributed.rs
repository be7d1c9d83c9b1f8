//! Owns the reading of what Map states in DISTRIBUTED mode have.

use crate::machine::Count;
use crate::machine::distributed::{Batcher, Distributed, Format, Reader, Transformation, Writer};

use crate::random::Random;

use super::Builder;
use crate::template::Template;

use super::fields::Fields;

/// Fields that come with DISTRIBUTED mode.
const FIELDS: [&str; 4] = ["ItemReader", "ItemBatcher", "ResultWriter", "Label"];
/// AWS's limit for the length of a label, in characters.
const LABEL_MAX: usize = 40;

/// `Mode` of a processor, with what goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Inline,
    Distributed {
        /// `ExecutionType` is `EXPRESS`.
        express: bool,
    },
}

impl Builder<'_> {
    /// Reads the mode of a processor; whether it is DISTRIBUTED.
    pub(super) fn mode(&mut self, processor: &Fields<'_>) -> Mode {
        let Some(config) = processor.get("ProcessorConfig") else {
            return Mode::Inline;
        };
        let Some(config) = Fields::of(config, &processor.at("ProcessorConfig"), self.report) else {
            return Mode::Inline;
        };
        let kind = config.text("ExecutionType", self.report);
        let mode = config.text("Mode", self.report);
        config.finish(self.report);
        match mode.as_deref() {
            None | Some("INLINE") => return Mode::Inline,
            Some("DISTRIBUTED") => {}
            Some(other) => {
                let message = format!("there is no mode {other}");
                let hint = Some("use INLINE or DISTRIBUTED");
                self.report.error(&config.at("Mode"), message, hint);
                return Mode::Inline;
            }
        }
        match kind.as_deref() {
            Some("STANDARD") => {}
            Some("EXPRESS") => return Mode::Distributed { express: true },
            Some(other) => {
                let message = format!("there is no execution type {other}");
                let hint = Some("use STANDARD or EXPRESS");
                self.report
                    .error(&config.at("ExecutionType"), message, hint);
            }
            None => config.missing("ExecutionType", self.report),
        }
        Mode::Distributed { express: false }
    }

    /// Reads what goes with DISTRIBUTED mode, and refuses it where the mode is another.
    pub(super) fn distributed(
        &mut self,
        name: &str,
        fields: &Fields<'_>,
        mode: Mode,
        jsonata: bool,
    ) -> Option<Distributed> {
        let Mode::Distributed { express } = mode else {
            for field in FIELDS.into_iter().filter(|field| fields.has(field)) {
                self.report.error(
                    &fields.at(field),
                    format!("{field} is only for Map states in DISTRIBUTED mode"),
                    Some("remove it, or set Mode to DISTRIBUTED"),
                );
            }
            return None;
        };
        let label = fields.text("Label", self.report);
        if let Some(label) = &label
            && !is_label(label)
        {
            let message = format!(
                "a label has 1 to {LABEL_MAX} characters, and no spaces, brackets, wildcards or special ones"
            );
            self.report.error(&fields.at("Label"), message, None);
        }
        let label = label.unwrap_or_else(|| label_of(name));
        Some(Distributed {
            express,
            label,
            reader: self.reader(fields, jsonata),
            batcher: self.batcher(fields, jsonata),
            writer: self.writer(fields, jsonata),
        })
    }

    /// A template of a field; in JSONata it has another name. `place` is as in [`Fields::query`].
    fn template_in(
        &mut self,
        names: (&'static str, &'static str),
        fields: &Fields<'_>,
        jsonata: bool,
        place: &str,
    ) -> Option<Template> {
        if !jsonata {
            return fields.template(names.0, self.report);
        }
        let query = fields.query(names.1, place, self.report);
        query.map(|query| Template::Query(Box::new(query)))
    }

    fn reader(&mut self, state: &Fields<'_>, jsonata: bool) -> Option<Reader> {
        let value = state.get("ItemReader")?;
        let fields = Fields::of(value, &state.at("ItemReader"), self.report)?;
        let resource = fields.required_text("Resource", self.report);
        let names = ("Parameters", "Arguments");
        let parameters = self.template_in(names, &fields, jsonata, "ItemReader/");
        let lists = resource
            .as_deref()
            .is_some_and(|resource| resource.ends_with(":listObjectsV2"));
        if let Some(resource) = &resource
            && ![
                "arn:aws:states:::s3:getObject",
                "arn:aws:states:::s3:listObjectsV2",
            ]
            .contains(&resource.as_str())
        {
            let what = format!("ItemReader with {resource}");
            self.report.unsupported(&fields.at("Resource"), &what);
        }
        let mut format = Format::Objects;
        let mut max_items = None;
        match fields.get("ReaderConfig") {
            Some(config) => {
                let config = Fields::of(config, &fields.at("ReaderConfig"), self.report)?;
                max_items = self.max_items(&config, jsonata);
                match config.text("Transformation", self.report).as_deref() {
                    None | Some("NONE") => {}
                    Some(other) => {
                        let what = format!("ItemReader with Transformation {other}");
                        self.report.unsupported(&config.at("Transformation"), &what);
                    }
                }
                if lists {
                    config.allow("InputType");
                } else {
                    format = self.format(&config)?;
                }
                config.finish(self.report);
            }
            None if lists => {}
            None => fields.missing("ReaderConfig", self.report),
        }
        fields.finish(self.report);
        Some(Reader {
            resource: resource?,
            parameters,
            format,
            max_items,
        })
    }

    fn max_items(&mut self, config: &Fields<'_>, jsonata: bool) -> Option<Count> {
        /// AWS's limit for the items of a Map Run.
        const MOST: u64 = 100_000_000;
        if jsonata && config.is_expression("MaxItems") {
            let place = "ItemReader/ReaderConfig/";
            let query = config.query("MaxItems", place, self.report);
            return query.map(Count::Query);
        }
        if !jsonata {
            config.exclusive(&["MaxItems", "MaxItemsPath"], self.report);
        }
        let given = config.get("MaxItems").and_then(|value| {
            let number = value.as_u64().filter(|number| *number <= MOST);
            if number.is_none() {
                let message = format!("MaxItems must be a whole number from 0 to {MOST}");
                self.report.error(&config.at("MaxItems"), message, None);
            }
            number.map(|number| Count::Given(number as f64))
        });
        let read = match jsonata {
            true => None,
            false => config.path("MaxItemsPath", self.report).map(Count::Path),
        };
        given.or(read)
    }

    fn format(&mut self, config: &Fields<'_>) -> Option<Format> {
        let kind = config.required_text("InputType", self.report)?;
        let location = config.text("CSVHeaderLocation", self.report);
        let delimiter = config.text("CSVDelimiter", self.report);
        let headers = config.array("CSVHeaders", self.report);
        config.allow("ManifestType");
        let csv = [
            ("CSVHeaderLocation", location.is_some()),
            ("CSVDelimiter", delimiter.is_some()),
            ("CSVHeaders", headers.is_some()),
        ];
        if kind != "CSV"
            && let Some((field, _)) = csv.iter().find(|(_, there)| *there)
        {
            let message = format!("{field} goes with InputType CSV only");
            self.report
                .error(&config.at(field), message, Some("remove it"));
        }
        match kind.as_str() {
            "JSON" => Some(Format::Json),
            "JSONL" => Some(Format::JsonLines),
            "MANIFEST" => {
                if config.has("ManifestType") {
                    match config.text("ManifestType", self.report).as_deref() {
                        Some("S3_INVENTORY") | None => {}
                        Some(other) => {
                            let what = format!("ManifestType {other}");
                            self.report.unsupported(&config.at("ManifestType"), &what);
                        }
                    }
                }
                Some(Format::Manifest)
            }
            "CSV" => {
                let delimiter = match delimiter.as_deref() {
                    None | Some("COMMA") => b',',
                    Some("PIPE") => b'|',
                    Some("SEMICOLON") => b';',
                    Some("SPACE") => b' ',
                    Some("TAB") => b'\t',
                    Some(other) => {
                        let message = format!("there is no delimiter {other}");
                        let hint = Some("use COMMA, PIPE, SEMICOLON, SPACE or TAB");
                        self.report.error(&config.at("CSVDelimiter"), message, hint);
                        b','
                    }
                };
                let headers = match (location.as_deref(), headers) {
                    (Some("FIRST_ROW"), None) => None,
                    (Some("GIVEN"), Some(headers)) => Some(
                        headers
                            .iter()
                            .filter_map(|header| Some(header.as_str()?.to_owned()))
                            .collect(),
                    ),
                    (Some("FIRST_ROW"), Some(_)) => {
                        let message = "CSVHeaders goes with CSVHeaderLocation GIVEN";
                        self.report.error(&config.at("CSVHeaders"), message, None);
                        None
                    }
                    (Some("GIVEN"), None) => {
                        config.missing("CSVHeaders", self.report);
                        None
                    }
                    (Some(other), _) => {
                        let message = format!("there is no header location {other}");
                        let hint = Some("use FIRST_ROW or GIVEN");
                        self.report
                            .error(&config.at("CSVHeaderLocation"), message, hint);
                        None
                    }
                    (None, _) => {
                        config.missing("CSVHeaderLocation", self.report);
                        None
                    }
                };
                Some(Format::Csv { delimiter, headers })
            }
            "PARQUET" => {
                self.report
                    .unsupported(&config.at("InputType"), "InputType PARQUET");
                None
            }
            other => {
                let message = format!("there is no input type {other}");
                let hint = Some("use CSV, JSON, JSONL or MANIFEST");
                self.report.error(&config.at("InputType"), message, hint);
                None
            }
        }
    }

    fn batcher(&mut self, state: &Fields<'_>, jsonata: bool) -> Option<Batcher> {
        let value = state.get("ItemBatcher")?;
        let fields = Fields::of(value, &state.at("ItemBatcher"), self.report)?;
        let mut most = |name, path| match jsonata {
            true => self.count_query(name, 1, &fields),
            false => self.count(name, path, 1, &fields),
        };
        let items_max = most("MaxItemsPerBatch", "MaxItemsPerBatchPath");
        let bytes_max = most("MaxInputBytesPerBatch", "MaxInputBytesPerBatchPath");
        let names = ("BatchInput", "BatchInput");
        let input = self.template_in(names, &fields, jsonata, "ItemBatcher/");
        if items_max.is_none() && bytes_max.is_none() {
            let hint = Some("add MaxItemsPerBatch or MaxInputBytesPerBatch");
            let message = "the batcher does not say how large a batch is";
            self.report.error(fields.pointer(), message, hint);
        }
        fields.finish(self.report);
        Some(Batcher {
            items_max,
            bytes_max,
            input,
        })
    }

    fn writer(&mut self, state: &Fields<'_>, jsonata: bool) -> Option<Writer> {
        let value = state.get("ResultWriter")?;
        let fields = Fields::of(value, &state.at("ResultWriter"), self.report)?;
        let resource = fields.text("Resource", self.report);
        let names = ("Parameters", "Arguments");
        let parameters = self.template_in(names, &fields, jsonata, "ResultWriter/");
        let mut transformation = Transformation::Full;
        let mut json_lines = false;
        let configured = fields.has("WriterConfig");
        if let Some(config) = fields.get("WriterConfig")
            && let Some(config) = Fields::of(config, &fields.at("WriterConfig"), self.report)
        {
            transformation = match config.text("Transformation", self.report).as_deref() {
                None | Some("NONE") => Transformation::Full,
                Some("COMPACT") => Transformation::Compact,
                Some("FLATTEN") => Transformation::Flatten,
                Some(other) => {
                    let message = format!("there is no transformation {other}");
                    let hint = Some("use NONE, COMPACT or FLATTEN");
                    self.report
                        .error(&config.at("Transformation"), message, hint);
                    Transformation::Full
                }
            };
            json_lines = match config.text("OutputType", self.report).as_deref() {
                None | Some("JSON") => false,
                Some("JSONL") => true,
                Some(other) => {
                    let message = format!("there is no output type {other}");
                    self.report
                        .error(&config.at("OutputType"), message, Some("use JSON or JSONL"));
                    false
                }
            };
            config.finish(self.report);
        }
        fields.finish(self.report);
        match resource.as_deref() {
            Some("arn:aws:states:::s3:putObject") => {}
            Some(other) => {
                let what = format!("ResultWriter with {other}");
                self.report.unsupported(&fields.at("Resource"), &what);
            }
            None if configured => {}
            None => {
                let hint = Some("add Resource and Parameters, or WriterConfig");
                let message = "the writer does not say what to do with the results";
                self.report.error(fields.pointer(), message, hint);
            }
        }
        Some(Writer {
            resource,
            parameters,
            transformation,
            json_lines,
        })
    }
}

fn is_label(label: &str) -> bool {
    let plain =
        |c: char| !c.is_whitespace() && !c.is_control() && !"<>{}[]?*\"#%\\^|~`$&,;:/".contains(c);
    (1..=LABEL_MAX).contains(&label.chars().count()) && label.chars().all(plain)
}

/// A label for a state that has none: always the same one, and like no other in the machine.
fn label_of(name: &str) -> String {
    // FNV-1a
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Random::new(seed).uuid()
}
