//! The pipelines that Gantry ships: their definitions and their inputs' JSON Schemas, compiled in.
//! Owns what a valid input is, and its defaults. Validation follows JSON Schema 2020-12
//! (<https://json-schema.org/draft/2020-12>); what a schema cannot say about a source is checked here.

use std::sync::LazyLock;

use jsonschema::{Validator, error::ValidationErrorKind};
use model::{ApiError, ErrorCode, FieldError};
use serde_json::{Map, Value};
use url::Url;

use super::Failure;

/// A pipeline: what runs, and what it wants to be told.
pub struct Pipeline {
    pub name: &'static str,
    /// Amazon States Language, with `${…}` where a deployment puts function ARNs.
    pub definition: &'static str,
    pub schema: Value,
    validator: Validator,
}

/// The pipeline whose state machine's executions are followed.
pub const FOLLOWED: &str = "media";

static PIPELINES: LazyLock<Vec<Pipeline>> = LazyLock::new(|| {
    vec![Pipeline::compiled(
        FOLLOWED,
        include_str!("../../../pipelines/media.asl.json"),
        include_str!("../../../pipelines/media.schema.json"),
    )]
});

/// The pipeline of this name.
pub fn pipeline(name: &str) -> Result<&'static Pipeline, Failure> {
    PIPELINES
        .iter()
        .find(|pipeline| pipeline.name == name)
        .ok_or_else(|| {
            let names: Vec<_> = PIPELINES.iter().map(|pipeline| pipeline.name).collect();
            Failure::not_found(format!(
                "There is no pipeline “{name}”; there is: {}.",
                names.join(", ")
            ))
        })
}

impl Pipeline {
    fn compiled(name: &'static str, definition: &'static str, schema: &str) -> Pipeline {
        let schema: Value =
            serde_json::from_str(schema).expect("a compiled-in schema is JSON: a test reads it");
        let validator = jsonschema::draft202012::new(&schema)
            .expect("a compiled-in schema is a schema: a test reads it");
        Pipeline {
            name,
            definition,
            schema,
            validator,
        }
    }

    /// The input with every default filled in, or what is wrong with each field.
    pub fn input(&self, input: Value) -> Result<Value, ApiError> {
        let Value::Object(mut fields) = input else {
            return Err(ApiError::new(
                ErrorCode::Invalid,
                "The input must be a JSON object.",
            ));
        };
        for (name, property) in self.properties() {
            if let Some(default) = property.get("default")
                && !fields.contains_key(name)
            {
                fields.insert(name.clone(), default.clone());
            }
        }
        let mut problems = Vec::new();
        if let Some(Value::String(source)) = fields.get("source")
            && let Err(message) = source_problem(source)
        {
            problems.push(FieldError {
                pointer: "/source".to_owned(),
                message,
            });
        }
        let input = Value::Object(fields);
        for error in self.validator.iter_errors(&input) {
            for problem in self.problems(&error) {
                // Of two problems with one field the first is enough.
                if !problems
                    .iter()
                    .any(|other: &FieldError| other.pointer == problem.pointer)
                {
                    problems.push(problem);
                }
            }
        }
        if problems.is_empty() {
            return Ok(input);
        }
        Err(ApiError {
            fields: problems,
            ..ApiError::new(
                ErrorCode::Invalid,
                "The input is not valid; see each field.",
            )
        })
    }

    /// What a form's texts mean: numbers where the schema wants numbers, nothing where nothing was typed.
    /// A text that is no number stays a text, for the schema to refuse.
    pub fn typed(&self, texts: &Map<String, Value>) -> Value {
        let mut input = Map::new();
        for (name, value) in texts {
            let text = value.as_str().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            let kind = self.schema["properties"][name]["type"].as_str();
            let typed = match kind {
                Some("integer") => text.parse::<i64>().map(Value::from).ok(),
                Some("number") => text.parse::<f64>().map(Value::from).ok(),
                Some("boolean") => match text {
                    "true" | "on" => Some(true.into()),
                    "false" => Some(false.into()),
                    _ => None,
                },
                Some("object") => serde_json::from_str(text).ok().filter(Value::is_object),
                _ => None,
            };
            input.insert(name.clone(), typed.unwrap_or_else(|| text.into()));
        }
        Value::Object(input)
    }

    fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.schema["properties"].as_object().into_iter().flatten()
    }

    /// A schema's refusal in words for people: of each field that it names.
    fn problems(&self, error: &jsonschema::ValidationError<'_>) -> Vec<FieldError> {
        let at = error.instance_path().as_str().to_owned();
        let (pointer, message) = match error.kind() {
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                (format!("{at}/{name}"), "This is needed.".to_owned())
            }
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let known: Vec<_> = self.properties().map(|(name, _)| name.as_str()).collect();
                let known = known.join(", ");
                return unexpected
                    .iter()
                    .map(|name| FieldError {
                        pointer: format!("{at}/{name}"),
                        message: format!("There is no field “{name}”; the fields are {known}."),
                    })
                    .collect();
            }
            ValidationErrorKind::Enum { options } => {
                let options: Vec<_> = options
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(Value::to_string)
                    .collect();
                (at, format!("Must be one of {}.", options.join(", ")))
            }
            ValidationErrorKind::Minimum { limit } => (at, format!("Must be {limit} or more.")),
            ValidationErrorKind::Maximum { limit } => (at, format!("Must be {limit} or less.")),
            ValidationErrorKind::MaxLength { limit } => {
                (at, format!("Must have {limit} characters or fewer."))
            }
            ValidationErrorKind::Type { .. } => {
                let kind = self.schema["properties"][at.trim_start_matches('/')]["type"].as_str();
                let wanted = match kind {
                    Some("integer") => "a whole number",
                    Some("number") => "a number",
                    Some("boolean") => "true or false",
                    Some("object") => "a JSON object",
                    _ => "a text",
                };
                (at, format!("Must be {wanted}."))
            }
            _ => (at, error.to_string()),
        };
        vec![FieldError { pointer, message }]
    }
}

/// What is wrong with a source's address, if anything.
fn source_problem(source: &str) -> Result<(), String> {
    const SCHEMES: &str = "Use an https://, http:// or s3:// address";
    let Ok(url) = Url::parse(source) else {
        return Err(format!(
            "This is no address. {SCHEMES}, such as https://media.example/talk.mp4."
        ));
    };
    match url.scheme() {
        "https" | "http" => {}
        "s3" => {
            if url.path().trim_start_matches('/').is_empty() {
                return Err("This names a bucket but no object; use s3://bucket/key.".to_owned());
            }
        }
        "gs" => {
            return Err(
                "Cloud Storage (gs://) is not supported yet; use an https:// address that Cloud Storage signed."
                    .to_owned(),
            );
        }
        other => return Err(format!("{other}:// is not supported. {SCHEMES}.")),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(format!(
            "This address names no host. {SCHEMES}, such as https://media.example/talk.mp4."
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "Take the user name and password out of the address: jobs are shown to everybody here."
                .to_owned(),
        );
    }
    Ok(())
}

/// A source's address for people and logs: without credentials, query and fragment, which may hold secrets.
pub fn shown_source(source: &str) -> String {
    match Url::parse(source) {
        Ok(mut url) => {
            url.set_query(None);
            url.set_fragment(None);
            // Both refuse only addresses that cannot have credentials in the first place.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.into()
        }
        Err(_) => source.split(['?', '#']).next().unwrap_or("").to_owned(),
    }
}

/// What a job of this input is called: as its title says, or else by the last segment of its source's path.
pub fn title_of(input: &Value) -> String {
    match input["title"].as_str().map(str::trim) {
        Some(title) if !title.is_empty() => title.to_owned(),
        _ => last_segment(input["source"].as_str().unwrap_or_default()),
    }
}

fn last_segment(source: &str) -> String {
    let shown = shown_source(source);
    let segment = shown
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let text = percent_decoded(segment);
    if text.is_empty() { shown } else { text }
}

fn percent_decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn media() -> &'static Pipeline {
        pipeline("media").unwrap_or_else(|_| panic!("media ships"))
    }

    fn problems(input: Value) -> Vec<(String, String)> {
        let error = media().input(input).unwrap_err();
        error
            .fields
            .into_iter()
            .map(|field| (field.pointer, field.message))
            .collect()
    }

    #[test]
    fn defaults_are_filled_in() {
        let input = media()
            .input(json!({"source": "https://x.example/a.mp4"}))
            .unwrap();
        assert_eq!(input["max_height"], 1080);
        assert_eq!(input["segment_seconds"], 4);
        assert_eq!(input["part_mib"], 8);
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let found = problems(json!({"max_height": 999, "part_mib": 1, "colour": "red", "size": 2}));
        let pointers: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        for pointer in ["/source", "/max_height", "/part_mib", "/colour", "/size"] {
            assert!(pointers.contains(&pointer), "{pointer} in {found:?}");
        }
    }

    #[test]
    fn sources_are_refused_with_what_to_do() {
        for (source, says) in [
            ("gs://bucket/clip.mp4", "not supported yet"),
            ("ftp://x.example/a.mp4", "ftp:// is not supported"),
            ("https://user:hunter2@x.example/a.mp4", "password"),
            ("s3://bucket", "no object"),
            ("clip.mp4", "no address"),
            ("file:///etc/passwd", "file:// is not supported"),
        ] {
            let found = problems(json!({"source": source}));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].1.contains(says), "{source}: {found:?}");
            assert!(!found[0].1.contains("hunter2"));
        }
    }

    #[test]
    fn a_forms_texts_become_what_the_schema_wants() {
        let Value::Object(texts) = json!({"source": " https://x.example/a.mp4 ", "title": "", "max_height": "720", "part_mib": "big"})
        else {
            unreachable!()
        };
        assert_eq!(
            media().typed(&texts),
            json!({"source": "https://x.example/a.mp4", "max_height": 720, "part_mib": "big"})
        );
    }

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        assert_eq!(
            shown_source("https://u:p@x.example/a%20b.mp4?X-Amz-Signature=s#f"),
            "https://x.example/a%20b.mp4"
        );
        for (input, title) in [
            (
                json!({"source": "https://x.example/v/a%20b.mp4?sig=s"}),
                "a b.mp4",
            ),
            (
                json!({"source": "s3://bucket/2026/talk.mov", "title": " "}),
                "talk.mov",
            ),
            (
                json!({"source": "s3://bucket/a", "title": " A talk "}),
                "A talk",
            ),
        ] {
            assert_eq!(title_of(&input), title);
        }
    }
}
