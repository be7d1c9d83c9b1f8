//! A form from a JSON Schema (draft 2020-12): one field a property of a flat object. Owns which control a
//! property gets; validation is the server's.

use serde_json::Value;

/// A control for one property.
#[derive(Debug, Clone, PartialEq)]
pub enum Control {
    Text {
        max_length: Option<u64>,
        /// The first of `examples`.
        example: Option<String>,
    },
    Integer {
        minimum: Option<i64>,
        maximum: Option<i64>,
    },
    Number,
    /// `enum`, and `boolean` as the values `true` and `false` with their words.
    Choice(Vec<(String, String)>),
}

/// One property as a field of the form.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub title: String,
    pub description: Option<String>,
    pub required: bool,
    /// As the control shows it; empty without one.
    pub default: String,
    pub control: Control,
}

/// A value as it stands in a control.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn control(property: &Value) -> Control {
    if let Some(values) = property["enum"].as_array() {
        return Control::Choice(
            values
                .iter()
                .map(|value| (text(value), text(value)))
                .collect(),
        );
    }
    match property["type"].as_str() {
        Some("boolean") => Control::Choice(vec![
            ("true".to_owned(), "Yes".to_owned()),
            ("false".to_owned(), "No".to_owned()),
        ]),
        Some("integer") => Control::Integer {
            minimum: property["minimum"].as_i64(),
            maximum: property["maximum"].as_i64(),
        },
        Some("number") => Control::Number,
        _ => Control::Text {
            max_length: property["maxLength"].as_u64(),
            example: property["examples"][0].as_str().map(str::to_owned),
        },
    }
}

/// The schema's properties, in its order.
pub fn fields(schema: &Value) -> Vec<Field> {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    schema["properties"]
        .as_object()
        .map(|properties| {
            properties
                .iter()
                .map(|(name, property)| Field {
                    title: property["title"].as_str().unwrap_or(name).to_owned(),
                    description: property["description"].as_str().map(str::to_owned),
                    required: required.contains(&name.as_str()),
                    default: text(&property["default"]),
                    control: control(property),
                    name: name.clone(),
                })
                .collect()
        })
        .unwrap_or_default()
}

/// What a control shows: what was typed, else the default.
pub fn shown(field: &Field, typed: Option<&Value>) -> String {
    typed
        .and_then(|typed| typed.get(&field.name))
        .map_or_else(|| field.default.clone(), text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_property_becomes_the_control_of_its_type() {
        let schema = json!({
            "properties": {
                "source": {"type": "string", "title": "Source", "maxLength": 9, "examples": ["s3://a/b"]},
                "height": {"type": "integer", "enum": [1080, 720], "default": 1080},
                "seconds": {"type": "integer", "minimum": 2, "maximum": 10, "default": 4},
                "loud": {"type": "boolean", "default": false}
            },
            "required": ["source"]
        });
        let fields = fields(&schema);
        let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["source", "height", "seconds", "loud"]);
        assert!(fields[0].required && !fields[1].required);
        assert_eq!(
            fields[0].control,
            Control::Text {
                max_length: Some(9),
                example: Some("s3://a/b".to_owned())
            }
        );
        assert_eq!(
            fields[1].control,
            Control::Choice(vec![
                ("1080".to_owned(), "1080".to_owned()),
                ("720".to_owned(), "720".to_owned())
            ])
        );
        assert_eq!(
            fields[2].control,
            Control::Integer {
                minimum: Some(2),
                maximum: Some(10)
            }
        );
        assert_eq!(fields[3].default, "false");
        assert_eq!(fields[3].title, "loud");
    }

    #[test]
    fn what_was_typed_is_kept_even_when_it_is_wrong() {
        let fields = fields(&json!({"properties": {"seconds": {"type": "integer", "default": 4}}}));
        assert_eq!(shown(&fields[0], None), "4");
        assert_eq!(shown(&fields[0], Some(&json!({"seconds": "abc"}))), "abc");
        assert_eq!(shown(&fields[0], Some(&json!({"seconds": ""}))), "");
    }

    #[test]
    fn no_schema_is_an_empty_form() {
        assert_eq!(fields(&Value::Null), []);
    }
}
